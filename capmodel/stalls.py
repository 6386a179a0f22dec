"""Will it survive a stall of the consumer, or a burst? A prediction's answer, with its odds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from capmodel.quantities import (
    format_duration,
    format_rate,
    format_share,
    parse_duration,
    parse_rate,
)
from capmodel.solvers import solve
from capmodel.transient._queue import checked, stage_queue
from capmodel.transient.recovery import CERTAIN, Recovery, recovery

if TYPE_CHECKING:
    from capmodel.prediction import Prediction

__all__ = ["Survival", "survives"]

_SHOWN = (0.5, 0.99)
_RARE = 1e-6  # share lost in any case that is not worth a word
_CLEAR = 1e-3  # share of what comes from which a surplus is an overload


@dataclass(frozen=True)
class Survival:
    """Whether a capture set-up gets over a stall or a burst.

    Attributes
    ----------
    question : str
        What was asked, in words.
    duration : float
        Length of the stall or the burst [s].
    lossless : float
        Probability that no packet is lost during it [-].
    drops : mapping
        Packets lost during it on average, by stage [-] (counts).
    longest : float
        Longest stall or burst [s] that loses nothing with a probability of 0.999.
    recovery : Recovery
        The time after it, until the backlog is gone.
    error : str
        The stated error, in words.
    usual : float
        Share of packets lost in any case, without a stall or burst [-]; what a stall loses, and its
        chance to lose nothing, are beyond that.
    ring : pair, optional
        Packets in the receive ring at the end of a burst, and how many it holds [-] (counts).
    """

    question: str
    duration: float
    lossless: float
    drops: dict[str, float]
    longest: float
    recovery: Recovery
    error: str
    usual: float = 0.0
    ring: tuple[float, float] | None = None

    @property
    def survives(self) -> bool:
        """Whether nothing (further) is lost with a probability of 0.999 or more."""
        return self.lossless >= CERTAIN

    @property
    def lost(self) -> float:
        """Packets lost during it on average [-] (a count)."""
        return sum(self.drops.values())

    def rows(self) -> list[tuple[str, str]]:
        """The answer as pairs of label and text."""
        further = " further" if self.usual else ""
        good = "no further loss" if self.usual else "survives"
        verdict = good if self.survives else "loses packets"
        after, name = self.recovery, self.question.split()[0]
        gone = "never: the consumer has no time to spare"
        if math.isfinite(after.mean):
            median, late = (format_duration(after.quantile(p)) for p in _SHOWN)
            gone = f"{format_duration(after.mean)}  (p50 {median}, p99 {late})"
        lost = f"{self.lost:,.0f} packets" if self.lost >= 0.5 else "none"
        stages = [(after.stage, after.backlog, after.capacity)]
        stages += [("ring", *self.ring)] if self.ring and after.stage != "ring" else []
        usual = [("lost in any case", format_share(self.usual))] if self.usual else []
        longest = "unlimited" if math.isinf(self.longest) else format_duration(self.longest)
        return [
            *usual,
            (self.question, verdict),
            (f"chance of no{further} loss", format_share(round(self.lossless, 6))),
            (f"lost{further} on average", lost),
            *(
                (f"in the {stage} at its end", f"{held:,.0f} of {most:,.0f} packets")
                for stage, held, most in stages
            ),
            ("backlog gone after", gone),
            (f"longest {name} {'without more' if self.usual else 'survived'}", longest),
        ]

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values, ready for JSON."""
        after = self.recovery
        return {
            "question": self.question, "duration": self.duration, "survives": self.survives,
            "lossless": self.lossless, "drops": dict(self.drops), "longest": self.longest,
            "backlog": after.backlog, "capacity": after.capacity,
            "recovery": {"mean": after.mean} | {
                f"p{100 * p:g}": after.quantile(p) for p in _SHOWN
            },
            "usual_loss": self.usual, "error": self.error,
            "ring": None if self.ring is None else dict(zip(("backlog", "capacity"), self.ring,
                                                            strict=True)),
        }  # fmt: skip

    def __str__(self) -> str:
        width = max(len(label) for label, _ in self.rows())
        return "\n".join(f"  {label:<{width}}  {text}" for label, text in self.rows())


def survives(
    prediction: Prediction,
    stall: float | str | None = None,
    burst: tuple[float | str, float | str] | None = None,
) -> Survival:
    """Whether a predicted set-up gets over a stall of its consumer, or a burst.

    Parameters
    ----------
    prediction : Prediction
        The set-up.
    stall : float or str, optional
        For how long the consumer stands still [s], as "5ms".
    burst : pair, optional
        Rate [1/s] and length [s] of a burst, as ("2Mpps", "10ms"); give one of the two.

    Returns
    -------
    Survival

    Raises
    ------
    ValueError
        If not exactly one of them is given, one is out of range, or the path is none that drops
        (or is left to the scheduler).

    Notes
    -----
    Buffers hold their steady state's mean before. A stall only fills the buffer
    (:func:`capmodel.transient.recovery`). During a burst ring and buffer fill by the surplus of
    the steady state at the burst's rate; random arrivals and services make it normal about that.
    A stage that the burst does not overload loses as its steady state does.

    Examples
    --------
    >>> from capmodel import predict
    >>> light = predict(rate="100kpps", backend="pf_packet", buffer="4096 slots")
    >>> [survives(light, stall=pause).survives for pause in ("10ms", "1s")]
    [True, False]
    """
    if (stall is None) == (burst is None):
        raise ValueError("give either a stall or a burst, not both and not none")
    checked(prediction.path)
    if stall is not None:
        return _stalled(prediction, stall)
    assert burst is not None
    pair: object = burst  # what comes from a caller need not be what the types say
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"burst must be a pair of rate and length, got {burst!r}")
    return _burst(prediction, *burst)


def _stalled(prediction: Prediction, stall: float | str) -> Survival:
    after = recovery(prediction.path, stall, solution=prediction.solution)
    return Survival(
        f"stall of {format_duration(after.stall)}", after.stall, after.lossless,
        {"ring": 0.0, "buffer": 0.0} | {after.stage: after.drops}, after.longest, after,
        after.error, _usual(prediction),
    )  # fmt: skip


def _usual(prediction: Prediction) -> float:
    """Share lost without any stall; less than one in a million is none."""
    return prediction.loss if prediction.loss > _RARE else 0.0


@dataclass(frozen=True)
class _Filling:
    """A stage during a burst: surplus [1/s], its variance [1/s], free places and content before.

    A stage that is not `overloaded` loses now and then, however much room there was.
    """

    surplus: float
    variance: float
    room: float
    overloaded: bool
    content: float

    def held(self, time: float) -> float:
        """Packets in it after a time [s], if there were room enough [-]."""
        return self.content + (self.surplus * time if self.overloaded else 0.0)

    def over(self, time: float) -> tuple[float, float]:
        """Probability that it does not overflow in a time [s], and the packets lost on average."""
        if not self.overloaded:
            return math.exp(-self.surplus * time), self.surplus * time
        mean = self.surplus * time - self.room
        spread = math.sqrt(self.variance * time)
        if spread == 0.0:
            return float(mean <= 0.0), max(mean, 0.0)
        from scipy.special import ndtr

        u = mean / spread
        density = math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
        return float(ndtr(-u)), max(spread * (u * float(ndtr(u)) + density), 0.0)


def _burst(prediction: Prediction, rate: float | str, length: float | str) -> Survival:
    path = prediction.path
    size = prediction.workload.mean_size
    peak = parse_rate(rate, size=float(size), name="rate of the burst")
    time = parse_duration(length, name="length of the burst")
    if not math.isfinite(time):
        raise ValueError(f"length of the burst must be finite, got {length!r}")
    offered = float(prediction.offered_rate)
    if not peak >= offered:
        raise ValueError(
            f"rate of the burst must be the usual rate, {format_rate(offered)}, or more, "
            f"got {format_rate(peak)}"
        )
    fillings = _fillings(prediction, peak)
    chances, lost = {}, {}
    for stage, filling in fillings.items():
        chances[stage], lost[stage] = filling.over(time)
    after = recovery(path, 0.0, solution=prediction.solution)
    filling = fillings[after.stage]
    held = after.level + max(filling.surplus, 0.0) * time - lost[after.stage]
    ring = min(fillings["ring"].held(time), float(path.kernel.ring))
    name = f"burst of {format_duration(time)} at {format_rate(peak)}"
    return Survival(
        name, time, math.prod(chances.values()), lost,
        _longest(lambda t: math.prod(one.over(t)[0] for one in fillings.values())),
        replace(after, level=min(held, after.capacity)),
        "fluid surplus of the steady state at the burst's rate, normal about it; within the "
        f"error of the solver {prediction.solver!r} at that rate",
        _usual(prediction),
        (ring, float(path.kernel.ring)),
    )  # fmt: skip


def _fillings(prediction: Prediction, peak: float) -> dict[str, _Filling]:
    """Both stages at the rate of a burst; what they lose there anyway is their surplus."""
    path = prediction.path
    arrivals = replace(path.arrivals, rate=peak, duration=np.inf)
    if arrivals.process in ("on_off", "map"):  # within a burst nothing else varies
        arrivals = replace(arrivals, process="poisson", scv=1.0, on=0.0, off=0.0, phases=None)
    busy = replace(path, arrivals=arrivals)
    crowded, usual = solve(busy, prediction.solver), prediction.solution
    found = {}
    for stage in ("ring", "buffer"):
        before, queue = stage_queue(path, stage, usual), stage_queue(busy, stage, crowded)
        surplus = float(crowded.drops[stage])
        room = max(queue.capacity - before.content, 0.0)
        found[stage] = _Filling(
            surplus, queue.variance, room, surplus > _CLEAR * peak, float(before.content)
        )
    return found


def _longest(chance: Callable[[float], float]) -> float:
    """Longest time with a chance of `CERTAIN` or more."""
    low, high = 0.0, 1e-6
    while chance(high) >= CERTAIN:
        low, high = high, 2.0 * high
        if high > 1e9:
            return math.inf
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if chance(middle) >= CERTAIN else (low, middle)
    return low
