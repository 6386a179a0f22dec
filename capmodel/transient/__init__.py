"""Capture paths in time: the first overflow, a run that ends, a consumer that stands still.

>>> from capmodel import CapturePath, transient
>>> path = CapturePath.single(rate=1.2, capacity=50, consumer_cost=1.0)
>>> round(transient.overflow_time(path, stage="ring").mean, 3)
230.002
"""

from capmodel.transient.finite_run import FiniteRun, finite_run
from capmodel.transient.overflow import OverflowTime, overflow_time
from capmodel.transient.recovery import Recovery, recovery

__all__ = [
    "FiniteRun",
    "OverflowTime",
    "Recovery",
    "finite_run",
    "overflow_time",
    "recovery",
]
