"""One stage of a path as a queue by itself: what comes, how fast it goes, how much fits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capmodel.errors import unknown_choice
from capmodel.path import CapturePath
from capmodel.results import STAGES, Solution
from capmodel.solvers import decomposition, solve

_SATURATED = 0.99  # share of its time from which the kernel sets the pace of what it delivers


@dataclass(frozen=True)
class StageQueue:
    """A stage by itself.

    Attributes
    ----------
    inflow, service_rate : float
        Packets that come, and that a busy server takes [1/s]; an infinite rate keeps nothing.
    inflow_scv, service_scv : float
        Squared coefficients of variation [-].
    capacity : float
        Most packets present, less what a sleeping consumer lets come before it runs [-].
    content : float
        Packets present on average [-].
    drop_rate : float
        Packets lost there in the long run [1/s].
    """

    inflow: float
    inflow_scv: float
    service_rate: float
    service_scv: float
    capacity: float
    content: float
    drop_rate: float

    @property
    def load(self) -> float:
        """Inflow over service rate [-]."""
        return self.inflow / self.service_rate

    @property
    def drift(self) -> float:
        """By how much the content grows while the server is busy [1/s]."""
        return self.inflow - self.service_rate

    @property
    def variance(self) -> float:
        """Variance of that growth per time [1/s]."""
        served = self.service_rate * self.service_scv if np.isfinite(self.service_rate) else 0.0
        return self.inflow * self.inflow_scv + served


def checked(path: CapturePath, stage: str | None = None) -> None:
    """Refuse what is not one path, or has no such stage, in a sentence."""
    if stage is not None and stage not in STAGES:
        raise unknown_choice("stage", stage, STAGES)
    if path.cores.pinning == "auto":
        raise ValueError(
            "path must have pinning 'same' or 'split' to be followed in time, not 'auto'"
        )
    if path.on_full == "block":
        raise ValueError("path must drop when it is full; a channel that blocks loses nothing")
    for name, value in (
        ("rate", path.arrivals.rate), ("capacity", path.buffer.capacity),
        ("ring", path.kernel.ring), ("cost", path.consumer.cost), ("cost", path.kernel.cost),
    ):  # fmt: skip
        if np.ndim(value) > 0:
            raise ValueError(f"path must be one path, not a grid: {name} is an array")


def stage_queue(path: CapturePath, stage: str, solution: Solution | None = None) -> StageQueue:
    """The stage of a path as its steady state makes it (`solution`, worked out if not given)."""
    known = steady(path) if solution is None else solution
    return {"ring": _ring, "buffer": _buffer}[stage](path, known)


def steady(path: CapturePath) -> Solution:
    """The endless path's steady state, by a solver that knows small losses where there is one."""
    endless = replace(path, arrivals=replace(path.arrivals, duration=np.inf))
    if path.arrivals.process != "cbr" and decomposition.accepts(endless) is None:
        return decomposition.solve(endless)
    return solve(endless)


def peak_inflow(path: CapturePath) -> tuple[float, float]:
    """Rate [1/s] and scv [-] at which packets come to the ring, while a burst lasts if any.

    Of arrivals that follow a chain: their mean rate, and the variability of long counts.
    """
    arrivals = path.arrivals
    if arrivals.phases is not None:
        rate = min(float(arrivals.rate), float(path.kernel.driver.bus_rate))
        return rate, float(arrivals.phases.dispersion_limit)
    scv = 1.0 if arrivals.process == "poisson" else float(arrivals.scv)
    return min(float(arrivals.peak_rate), float(path.kernel.driver.bus_rate)), scv


def _ring(path: CapturePath, solution: Solution) -> StageQueue:
    rate, scv = peak_inflow(path)
    if path.kernel.cost == 0.0:
        if path.buffer.kind != "ring":
            return StageQueue(rate, scv, np.inf, 0.0, float(path.kernel.ring), 0.0, 0.0)
        pace = 1.0 / (float(path.consumer.cost) * float(path.consumer.processes))
        return StageQueue(
            rate, scv, pace, float(path.consumer.scv), float(path.buffer.capacity) - _head(path),
            float(solution.ring_occupancy), float(solution.drops["ring"]),
        )  # fmt: skip
    kernel = path.kernel
    carried = float(solution.carried_rate)
    wakes = float(solution.wakeup_rate) / carried if carried > 0.0 else 0.0
    each = float(kernel.cost) + wakes * float(path.wakeup.cost)
    if path.cores.pinning == "same":
        each = float(kernel.cost)  # the kernel goes first
    return StageQueue(
        rate, scv, 1.0 / each, float(kernel.scv), float(kernel.ring),
        float(solution.ring_occupancy), float(solution.drops["ring"]),
    )  # fmt: skip


def _buffer(path: CapturePath, solution: Solution) -> StageQueue:
    rate, scv = peak_inflow(path)
    kernel = float(path.kernel.cost)
    if path.buffer.kind == "ring":
        return StageQueue(rate, scv, np.inf, 0.0, float(path.buffer.capacity), 0.0, 0.0)
    if kernel > 0.0 and rate * kernel > _SATURATED:
        rate, scv = min(rate, 1.0 / kernel), float(path.kernel.scv)
    return StageQueue(
        rate, scv, drain_rate(path, rate), float(path.consumer.scv),
        max(float(path.buffer.capacity) - rate * _head(path), 1.0),
        float(solution.buffer_occupancy), float(solution.drops["buffer"]),
    )  # fmt: skip


def drain_rate(path: CapturePath, inflow: float) -> float:
    """How fast a consumer with a backlog empties its buffer [1/s]."""
    work = float(path.consumer.cost) * float(path.consumer.processes)
    if path.cores.pinning != "same":
        return 1.0 / work if work > 0.0 else np.inf
    left = 1.0 - inflow * float(path.kernel.cost)
    share = max(left, 1.0 - float(path.cores.kernel_share), 0.0)
    return share / work if share > 0.0 else 1e-300


def _head(path: CapturePath) -> float:
    """Time for which a sleeping consumer lets packets come before it runs [s]."""
    wakeup = path.wakeup
    waits = {"spin": 0.0, "sleep": float(wakeup.sleep)}
    return waits.get(wakeup.policy, float(wakeup.cost) + float(wakeup.latency))
