"""How long until a stage of a path loses its first packet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from capmodel.formulary import (
    mean_overflow_time_diffusion,
    mean_overflow_time_mg1k,
    mean_overflow_time_mm1k,
    overflow_time_cdf_diffusion,
    overflow_time_cdf_mm1k,
    overflow_time_quantile_diffusion,
    overflow_time_quantile_mm1k,
)
from capmodel.formulary._phases import Law as ServiceLaw
from capmodel.numerics.uniformisation import TooMuchWorkError, absorption
from capmodel.path import CapturePath
from capmodel.quantities import format_duration
from capmodel.tables import labelled
from capmodel.transient import _chain as chain
from capmodel.transient._queue import StageQueue, checked, stage_queue
from capmodel.transient._stage_chain import stage_chain

_HEAVY = 0.98  # load from which a stage is followed as Brownian motion
_MOST_FOLLOWED = 20_000  # packets of a stage
_WORK = 3e8
_RARE = 1e4  # times the time that a full stage takes to empty: what came before is forgotten
_SHOWN = (0.01, 0.5, 0.99)  # quantiles, as printed
_STAGE = "stage as the decomposition sees it"
_STAGE_ERROR = (
    "mean within 10 % where the stage is overloaded, within a factor of 3 up to a million kernel "
    "services (ring of 16, buffer of 24 packets or more); of rarer overflows the order of "
    "magnitude, at worst two powers of ten too soon"
)
_NEAR = (
    "within 2 % for a stage of 100 packets or more whose load is above 1; what the other stage "
    "makes of its arrivals is not in it"
)


class Law(Protocol):
    """A distribution of times [s]."""

    @property
    def mean(self) -> float:
        """Mean."""
        ...

    def cdf(self, time: float) -> float:
        """Probability of at most `time`."""
        ...

    def quantile(self, p: float) -> float:
        """Time with probability p below it."""
        ...


@dataclass(frozen=True, repr=False)
class OverflowTime:
    """Time until the first packet is lost at a stage.

    Attributes
    ----------
    path : CapturePath
        What was asked about.
    stage : str
        Where the loss is.
    level : int
        Packets there to begin with; everything else is empty, the consumer asleep if it can be.
    method : str
        How the distribution was found.
    exact : bool
        Whether that is exact for this path.
    error : str
        The stated error, in words.
    """

    path: CapturePath
    stage: str
    level: int
    method: str
    exact: bool
    error: str
    law: Law = field(repr=False)

    @property
    def mean(self) -> float:
        """Mean time [s]; infinite if nothing is ever lost there, or beyond 1e308 s."""
        return self.law.mean

    def cdf(self, time: float) -> float:
        """Probability of a loss within a time [s] from now."""
        if not time >= 0.0:
            raise ValueError(f"time must be 0 or more, got {time!r}")
        return 1.0 if math.isinf(time) and math.isfinite(self.mean) else self.law.cdf(time)

    def quantile(self, p: float) -> float:
        """Time [s] within which the first loss comes with probability p."""
        if not 0.0 < p < 1.0:
            raise ValueError(f"p must lie between 0 and 1, both excluded, got {p!r}")
        return self.law.quantile(p)

    def summary(self) -> list[tuple[str, str]]:
        """The mean and some quantiles, and how they were found, as pairs of label and text."""
        times = [("mean", self.mean), *((f"p{100 * p:g}", self.quantile(p)) for p in _SHOWN)]
        return [
            *((name, _in_words(time)) for name, time in times),
            ("method", self.method),
            ("error", self.error),
        ]

    @property
    def _title(self) -> str:
        packets = "packet" if self.level == 1 else "packets"
        return f"time to the first loss at the {self.stage}, from {self.level:,} {packets} there"

    def __str__(self) -> str:
        return labelled(self._title, self.summary())

    def __repr__(self) -> str:
        times = ", ".join(f"{name} {text}" for name, text in self.summary()[:-2])
        return f"<OverflowTime: {self._title}; {times}>"


def _in_words(time: float) -> str:
    return "never" if math.isinf(time) else format_duration(time)


def overflow_time(path: CapturePath, stage: str = "buffer", level: int = 0) -> OverflowTime:
    """Distribution of the time until the first packet is lost at a stage.

    Parameters
    ----------
    path : CapturePath
        One path, no grid; pinning "same" or "split".
    stage : {"buffer", "ring"}
        Where.
    level : int
        Packets in that stage to begin with, 0 to its size.

    Returns
    -------
    OverflowTime
        With its mean, ``cdf(t)`` and ``quantile(p)``.

    Raises
    ------
    ValueError
        If the path is none that drops, the stage is unknown or the level does not fit.

    Notes
    -----
    A small Markovian path (60,000 states) is followed exactly, by uniformisation. Of larger ones
    the stage is taken as the decomposition sees it, followed if it is small enough, else by its
    exact mean and the shape of a limit: exponential, or Brownian motion reflected at 0 from a
    load of 0.98 on. What the decomposition does not solve is a single queue: M/M/1/K exactly,
    Brownian motion, or the exact mean of M/G/1/K and an exponential time. Without any randomness
    it is the time in which the surplus fills the stage. During random bursts a large stage sees
    the rate of the burst.

    Examples
    --------
    >>> path = CapturePath.split(rate=0.8, ring=8, capacity=16, kernel_cost=1.0, consumer_cost=1.1)
    >>> first = overflow_time(path, "buffer")
    >>> first.exact, first.cdf(100.0) < 0.5 < first.cdf(1000.0)
    (True, True)
    """
    checked(path, stage)
    size = _size(path, stage)
    if not (0 <= level <= size and level == math.floor(level)):
        raise ValueError(f"level must be a whole number from 0 to {size:g}, got {level!r}")
    reason = chain.objection(path)
    if reason is None:
        try:
            return _followed(path, stage, int(level))
        except TooMuchWorkError:
            pass
    return _alone(path, stage, int(level))


def _size(path: CapturePath, stage: str) -> float:
    if path.buffer.kind == "ring":
        return float(path.buffer.capacity)
    return float({"ring": path.kernel.ring, "buffer": path.buffer.capacity}[stage])


def _followed(path: CapturePath, stage: str, level: int) -> OverflowTime:
    direct = path.buffer.kind == "ring" or path.kernel.cost == 0.0
    holds = "buffer" if direct else stage
    if direct and stage != ("ring" if path.buffer.kind == "ring" else "buffer"):
        return OverflowTime(path, stage, level, "no such stage", True, "exact", _Never())
    found = chain.path_chain(path, ends=holds, **{holds: level})
    exits = found.column({"ring": "ring_drops", "buffer": "drops"}[holds])
    law = absorption(found.rates, exits, found.start, settle=found.settle)
    exact = chain.is_exact(path)
    return OverflowTime(
        path, stage, level, "Markov chain, uniformised", exact,
        "exact for phase-type services and exponential waits, to about 1e-10" if exact else
        "exact for services of Erlang-8 in place of more regular ones, to about 1e-10",
        law,
    )  # fmt: skip


def _alone(path: CapturePath, stage: str, level: int) -> OverflowTime:
    queue = stage_queue(path, stage)
    law = _decomposed(path, queue, stage, level) if queue.variance > 0.0 else None
    if law is not None:
        return OverflowTime(path, stage, level, _STAGE, False, _STAGE_ERROR, law)
    method = next(method for method in _METHODS if method.fits(path, queue))
    law = method.build(queue, level)
    return OverflowTime(path, stage, level, method.title, method.exact, method.error, law)


@dataclass(frozen=True)
class _Never:
    """Nothing is ever lost."""

    mean: float = math.inf

    def cdf(self, time: float) -> float:
        return 0.0

    def quantile(self, p: float) -> float:
        return math.inf


@dataclass(frozen=True)
class _Fixed:
    """A time without any randomness."""

    mean: float

    def cdf(self, time: float) -> float:
        return float(time >= self.mean)

    def quantile(self, p: float) -> float:
        return self.mean


@dataclass(frozen=True)
class _Memoryless:
    """An exponential time."""

    mean: float

    def cdf(self, time: float) -> float:
        return -math.expm1(-time / self.mean)

    def quantile(self, p: float) -> float:
        return -self.mean * math.log1p(-p)


@dataclass(frozen=True)
class _Formula:
    """A law of the formulary, by its arguments."""

    mean: float
    of_time: Callable[[float], float]
    of_share: Callable[[float], float]

    def cdf(self, time: float) -> float:
        return self.of_time(time)

    def quantile(self, p: float) -> float:
        return self.of_share(p)


def _fluid(queue: StageQueue, level: int) -> Law:
    room = max(queue.capacity - level, 0.0)
    return _Fixed(room / queue.drift) if queue.drift > 0.0 else _Never()


def _mm1k(queue: StageQueue, level: int) -> Law:
    mean = (queue.load, queue.capacity, 1.0 / queue.service_rate, level)
    return _Formula(
        float(mean_overflow_time_mm1k(*mean)),
        lambda time: float(overflow_time_cdf_mm1k(time, *mean)),
        lambda p: float(overflow_time_quantile_mm1k(p, *mean)),
    )


def _brownian(queue: StageQueue, level: int) -> Law:
    size = queue.capacity + 1.5
    rest = (size, queue.drift, queue.variance, min(level, queue.capacity) + 0.5)
    mean = float(mean_overflow_time_diffusion(*rest))
    if not math.isfinite(mean):
        return _Never()
    return _Formula(
        mean,
        lambda time: float(overflow_time_cdf_diffusion(time, *rest)),
        lambda p: float(overflow_time_quantile_diffusion(p, *rest)),
    )


@dataclass(frozen=True)
class _Scaled:
    """Another law with its time stretched to a mean of its own."""

    law: Law
    mean: float

    def cdf(self, time: float) -> float:
        return self.law.cdf(time * self.law.mean / self.mean)

    def quantile(self, p: float) -> float:
        return self.law.quantile(p) * self.mean / self.law.mean


def _decomposed(path: CapturePath, queue: StageQueue, stage: str, level: int) -> Law | None:
    """The stage as the decomposition sees it; followed, or by its mean and the shape of a limit."""
    own = stage_chain(path, stage, level)
    if own is None:
        return None
    mean = own.mean
    if not math.isfinite(mean):
        return _Never()
    rare = queue.load < _HEAVY and mean > _RARE * queue.capacity / queue.service_rate
    if not rare and queue.capacity <= _MOST_FOLLOWED:
        try:
            return own.followed(_WORK)
        except TooMuchWorkError:
            pass
    return _Scaled(_brownian(queue, level), mean) if queue.load >= _HEAVY else _Memoryless(mean)


def _rare(queue: StageQueue, level: int) -> Law:
    scv = queue.service_scv
    law: ServiceLaw = ("hyperexponential", scv)
    if scv <= 1.0:
        law = "deterministic" if scv < 1.0 / 500 else ("erlang", max(round(1.0 / scv), 1))
    size = max(math.floor(queue.capacity), 1)
    mean = float(
        mean_overflow_time_mg1k(queue.load, size, 1.0 / queue.service_rate, law, min(level, size))
    )
    return _Memoryless(mean) if math.isfinite(mean) else _Never()


def _one_stage(path: CapturePath, queue: StageQueue) -> bool:
    markovian = queue.inflow_scv == 1.0 and queue.service_scv == 1.0
    plain = path.kernel.cost == 0.0 and path.wakeup.policy == "spin"
    return plain and markovian and path.arrivals.process == "poisson" and queue.capacity <= 1e6


def _large(path: CapturePath, queue: StageQueue) -> bool:
    return queue.load >= _HEAVY or queue.inflow_scv != 1.0 or queue.capacity > 1e5


@dataclass(frozen=True)
class _Method:
    """A way to take a stage by itself: what it is for, and how it builds the law."""

    title: str
    exact: bool
    error: str
    fits: Callable[[CapturePath, StageQueue], bool]
    build: Callable[[StageQueue, int], Law]


_METHODS: tuple[_Method, ...] = (
    _Method(
        "nothing waits there", True, "exact",
        lambda path, queue: math.isinf(queue.service_rate), lambda queue, level: _Never(),
    ),
    _Method("M/M/1/K, transform inverted", True, "exact, to about 1e-9", _one_stage, _mm1k),
    _Method(
        "fluid", False, "within a few packets' time; random moments are not in it",
        lambda path, queue: queue.variance == 0.0, _fluid,
    ),
    _Method("stage by itself, Brownian motion", False, _NEAR, _large, _brownian),
    _Method(
        "stage by itself, M/G/1/K, memoryless", False,
        "mean exact for a stage by itself with Poisson arrivals; what the other stage makes of "
        "them is not in it",
        lambda path, queue: True, _rare,
    ),
)  # fmt: skip
