r"""Signals that depend on how long the consumer has slept, and a kernel slowed by its nearness.

The event simulation follows both from packet to packet. A closed form knows means only, so the path
is replaced by one with constant costs that are right on average:

* a consumer that keeps up is always near, one that does not is a full buffer behind: the kernel
  takes :math:`c_k + n` per packet if :math:`c_a < \max(c_k + n, 1/\lambda)` and :math:`c_k` else;
* the time asleep ends with the next delivery, whose phase the wait call leaves uniform over the
  :math:`g = \max(c_k, 1/\lambda) - c_a - P` that are left of the interval: the mean depth of sleep
  :math:`\bar d` is that of :func:`~capmodel.formulary.mean_sleep_depth`,

and the signal costs :math:`w_e + (w - w_e)\bar d`, the latency is :math:`L \bar d`. What early
signals cost a kernel whose consumer never gets to sleep is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capmodel.formulary.sleep_depth import mean_sleep_depth
from capmodel.path import CapturePath


def gradual(path: CapturePath) -> bool:
    """Whether any cost of a path depends on sleep or distance.

    Parameters
    ----------
    path : CapturePath
        The path, its alternatives included.

    Returns
    -------
    bool
    """
    values = (path.kernel.near_cost, path.wakeup.early_cost, path.wakeup.settle)
    return any(np.any(np.asarray(value) > 0.0) for value in values) or any(
        gradual(place) for place in path.alternatives
    )


def averaged(path: CapturePath) -> CapturePath:
    """The path with constant costs that stand for those of a gradual one.

    Parameters
    ----------
    path : CapturePath
        One placement.

    Returns
    -------
    CapturePath
        The same object where nothing is gradual.
    """
    if not gradual(path):
        return path
    kernel, wakeup = path.kernel, path.wakeup
    work = np.asarray(path.consumer.cost * path.consumer.processes, dtype=np.float64)
    every = 1.0 / np.asarray(path.arrivals.peak_rate, dtype=np.float64)
    beside = np.where(work < np.maximum(kernel.cost + kernel.near_cost, every),
                      kernel.near_cost, 0.0)  # fmt: skip
    cost = kernel.cost + beside
    gap = np.maximum(np.maximum(cost, every) - work - wakeup.poll_cost, 0.0)
    depth = mean_sleep_depth(gap, wakeup.settle)
    # a consumer that is never asleep is not woken: any positive depth does
    depth = np.maximum(depth, 1e-9)
    early = np.minimum(wakeup.early_cost, wakeup.cost)
    return replace(
        path,
        kernel=replace(kernel, cost=cost, drop_cost=kernel.drop_cost + 0.0 * beside, near_cost=0.0),
        wakeup=replace(
            wakeup,
            cost=early + (wakeup.cost - early) * depth,
            latency=wakeup.latency * depth,
            early_cost=0.0,
            settle=0.0,
        ),
    )
