"""A consumer that stands still: what piles up, what is lost, and when the backlog is gone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from capmodel.formulary import (
    first_passage_cdf_brownian,
    first_passage_quantile_brownian,
    stall_drops,
    stall_loss_probability,
)
from capmodel.formulary._poisson import poisson_pmf
from capmodel.path import CapturePath
from capmodel.quantities import format_duration, format_share, parse_duration
from capmodel.results import Solution
from capmodel.tables import labelled
from capmodel.transient._queue import checked, drain_rate, peak_inflow, stage_queue

CERTAIN = 0.999  # probability without loss that counts as surviving


@dataclass(frozen=True, repr=False)
class Recovery:
    """A stall of the consumer, and the time after it until its backlog is gone.

    Attributes
    ----------
    path : CapturePath
        What stalls.
    stall : float
        How long the consumer stands still [s].
    stage : str
        Where the packets pile up: ``buffer``, or ``ring`` where there is none behind it.
    level, capacity : float
        Packets there as the stall begins, and at most [-].
    inflow, inflow_scv : float
        Packets that come meanwhile [1/s], and their squared coefficient of variation [-]; of
        bursts, those of a burst.
    service_rate, service_scv : float
        Packets that the consumer works off afterwards [1/s], and the scv of its service [-].
    method, error : str
        How the numbers were found, and their stated error, in words.
    """

    path: CapturePath
    stall: float
    stage: str
    level: float
    capacity: float
    inflow: float
    inflow_scv: float
    service_rate: float
    service_scv: float
    method: str
    error: str

    @property
    def room(self) -> float:
        """Free places as the stall begins [-]."""
        return max(self.capacity - self.level, 0.0)

    @property
    def load(self) -> float:
        """Inflow over the rate at which the backlog is worked off [-]."""
        return self.inflow / self.service_rate

    @cached_property
    def drops(self) -> float:
        """Packets lost during the stall, on average [-] (a count)."""
        return self._over(self.inflow * self.stall, self.room)[1]

    @cached_property
    def lossless(self) -> float:
        """Probability that the stall loses no packet [-]."""
        return self._over(self.inflow * self.stall, self.room)[0]

    @property
    def backlog(self) -> float:
        """Packets present at the end of the stall, on average [-]."""
        return self.level + self.inflow * self.stall - self.drops

    @property
    def mean(self) -> float:
        """Mean time from the end of the stall until the backlog is gone [s]; infinite if never."""
        if self.load >= 1.0:
            return math.inf if self.backlog > 0.0 else 0.0
        return self.backlog / (self.service_rate - self.inflow)

    @cached_property
    def variance(self) -> float:
        """Variance of that time [s^2]."""
        if self.load >= 1.0:
            return math.inf
        cost, rest = 1.0 / self.service_rate, 1.0 - self.load
        own = self.backlog * (self.service_scv + self.load * self.inflow_scv) / rest**3
        return cost**2 * (own + self._backlog_variance / rest**2)

    def cdf(self, time: float) -> float:
        """Probability that the backlog is gone within a time [s] after the stall."""
        if not time >= 0.0:
            raise ValueError(f"time must be 0 or more, got {time!r}")
        if not self.mean > 0.0 or math.isinf(self.mean):
            return float(self.mean == 0.0)
        if self.variance == 0.0:
            return float(time >= self.mean)
        scale = self.variance / self.mean
        return float(first_passage_cdf_brownian(time, self.mean, 1.0, scale))

    def quantile(self, p: float) -> float:
        """Time [s] after the stall within which the backlog is gone with probability p."""
        if not 0.0 < p < 1.0:
            raise ValueError(f"p must lie between 0 and 1, both excluded, got {p!r}")
        if not self.mean > 0.0 or math.isinf(self.mean) or self.variance == 0.0:
            return self.mean
        scale = self.variance / self.mean
        return float(first_passage_quantile_brownian(p, self.mean, 1.0, scale))

    @cached_property
    def longest(self) -> float:
        """Longest stall [s] that loses nothing with a probability of 0.999."""
        from scipy.optimize import brentq

        def off(stall: float) -> float:
            return self._over(self.inflow * stall, self.room)[0] - CERTAIN

        if off(0.0) < 0.0 or self.room < 1.0:
            return 0.0
        high = 2.0 * (self.room + 1.0) / self.inflow
        if self.inflow_scv == 0.0:
            return math.floor(self.room) / self.inflow
        return float(brentq(off, 0.0, high, rtol=1e-10, xtol=1e-300))

    def summary(self) -> list[tuple[str, str]]:
        """The stall and what follows, as pairs of label and text."""
        gone = "never: the consumer has no time to spare"
        if math.isfinite(self.mean):
            gone = format_duration(self.mean)
        longest = "unlimited" if math.isinf(self.longest) else format_duration(self.longest)
        return [
            ("chance of no loss", format_share(self.lossless)),
            ("backlog at its end", f"{self.backlog:,.0f} of {self.capacity:,.0f} packets"),
            ("backlog gone after", gone),
            ("longest stall survived", longest),
            ("method", self.method),
            ("error", self.error),
        ]

    @property
    def _title(self) -> str:
        return f"stall of {format_duration(self.stall)}, packets pile up in the {self.stage}"

    def __str__(self) -> str:
        return labelled(self._title, self.summary())

    def __repr__(self) -> str:
        gone = dict(self.summary())["backlog gone after"]
        return f"<Recovery: {self._title}; backlog gone after {gone}>"

    def _over(self, mean: float, room: float) -> tuple[float, float]:
        """Probability that what comes fits, and the mean number of packets that do not."""
        if self.inflow_scv == 1.0 and mean <= 1e7:
            places = math.floor(room)
            return (
                1.0 - float(stall_loss_probability(mean, 1.0, places)),
                float(stall_drops(mean, 1.0, places)),
            )
        spread = math.sqrt(self.inflow_scv * mean)
        if spread == 0.0:
            return float(mean <= room), max(mean - room, 0.0)
        from scipy.special import ndtr

        u = (mean - room) / spread
        density = math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
        return float(ndtr(-u)), max(spread * (u * float(ndtr(u)) + density), 0.0)

    @cached_property
    def _backlog_variance(self) -> float:
        """Variance of the packets that came and fitted."""
        mean, room = self.inflow * self.stall, math.floor(self.room)
        spread = math.sqrt(self.inflow_scv * mean)
        if self.inflow_scv != 1.0 or mean > 1e7 or mean + 12.0 * spread < room:
            return spread**2 * self.lossless
        n = np.arange(
            max(math.floor(mean - 12.0 * spread - 40.0), 0), math.ceil(mean + 12.0 * spread) + 40.0
        )
        chances = poisson_pmf(n, mean)
        kept = np.minimum(n, room)
        centre = float(chances @ kept) / float(chances.sum())
        return float(chances @ (kept - centre) ** 2)


def recovery(
    path: CapturePath,
    stall: float | str,
    level: float | None = None,
    solution: Solution | None = None,
) -> Recovery:
    """What a stall of the consumer piles up and loses, and how long it takes to be over.

    Parameters
    ----------
    path : CapturePath
        One path, no grid; pinning "same" or "split".
    stall : float or str
        How long the consumer stands still [s], as "5ms".
    level : float, optional
        Packets in the buffer as it begins, whole; default: the steady state's mean, rounded.
    solution : Solution, optional
        That steady state, if it is known already.

    Returns
    -------
    Recovery
        Backlog, drops, the probability that nothing is lost, and the distribution of the time
        until the backlog is gone.

    Raises
    ------
    ValueError
        If the path is none that drops, or an argument is out of range.

    Notes
    -----
    While the consumer stands still nobody has to be woken, and the kernel delivers what comes, at
    most 1/c_k. What fits is counted as Poisson where arrivals are, as constant where they are, as
    normal otherwise. The time that follows is a busy period: mean exact for Poisson arrivals,
    distribution inverse Gaussian with the exact variance
    (:func:`capmodel.formulary.variance_recovery_time_mg1`). A buffer that changes hands in blocks
    has a block less: the consumer is in the middle of one.

    Examples
    --------
    >>> path = CapturePath.split(rate=0.5, ring=64, capacity=1000, kernel_cost=1.0,
    ...     consumer_cost=0.8)
    >>> after = recovery(path, 1000.0, level=0)
    >>> round(after.backlog), round(after.mean, 1), after.lossless > 0.999
    (500, 666.7, True)
    """
    checked(path)
    stood = parse_duration(stall, name="stall", positive=False)
    stage = "ring" if path.buffer.kind == "ring" else "buffer"
    held = stage_queue(path, stage, solution).content if level is None else level
    capacity = float(path.buffer.capacity)
    if path.buffer.kind in ("double", "blocks"):
        capacity -= float(path.buffer.block)
    if not held >= 0.0 or (level is not None and level != math.floor(level)):
        raise ValueError(f"level must be a whole number, 0 or more, got {level!r}")
    inflow, scv = peak_inflow(path)
    kernel = float(path.kernel.cost)
    if kernel > 0.0 and inflow * kernel >= 1.0:
        inflow, scv = 1.0 / kernel, float(path.kernel.scv)
    return Recovery(
        path, stood, stage, float(min(round(held), capacity)), capacity, inflow, scv,
        drain_rate(path, inflow), float(path.consumer.scv),
        "arrivals counted, then a busy period (inverse Gaussian)",
        "counts exact for Poisson and constant arrivals at the buffer; distribution of the "
        "recovery within 0.02 from a backlog of 100 packets on",
    )  # fmt: skip
