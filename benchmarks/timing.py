"""Repeated timing and ratios; standard library only, since peers are timed by the same code."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Sampler = Callable[[], float]  # seconds per call, from one repeat

LEAST = 0.01  # a repeat lasts at least so long [s], by as many calls as that takes


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one of each repeat."""

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds or not all(value > 0.0 for value in self.seconds):
            raise ValueError(f"seconds must be positive and at least one, got {self.seconds!r}")

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Slowest over fastest."""
        return max(self.seconds) / min(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """How many times longer one takes than the other: median and range over the repeats."""

    median: float
    low: float
    high: float


def ratio(theirs: Timing, ours: Timing) -> Ratio:
    """Repeat by repeat, since what slows the machine slows neighbours alike."""
    if len(theirs.seconds) != len(ours.seconds):
        raise ValueError(f"{len(theirs.seconds)} repeats do not pair with {len(ours.seconds)}")
    pairs = [a / b for a, b in zip(theirs.seconds, ours.seconds, strict=True)]
    return Ratio(statistics.median(pairs), min(pairs), max(pairs))


def sample(
    call: Callable[[], object],
    least: float = LEAST,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Seconds per call, of twice as many calls again and again until they last `least` seconds.

    The clock is the process's own time: what else the machine does is not counted. It is not read
    between the calls, which would slow the short ones.
    """
    calls = 1
    while True:
        begin = clock()
        for _ in range(calls):
            call()
        taken = clock() - begin
        if taken >= least:
            return taken / calls
        calls *= 2


def interleaved(
    samplers: Mapping[str, Sampler], repeats: int, dear: float = math.inf
) -> dict[str, Timing]:
    """Every sampler in turn, `repeats` times over, after a call of each that warms it up.

    A first call that took more than `dear` seconds counts, for the next would take as long.
    """
    first = {name: sampler() for name, sampler in samplers.items()}
    taken = {
        name: [first[name] if first[name] > dear else sampler()]
        for name, sampler in samplers.items()
    }
    for _ in range(repeats - 1):
        for name, sampler in samplers.items():
            taken[name].append(sampler())
    return {name: Timing(tuple(values)) for name, values in taken.items()}


def timing(call: Callable[[], object], repeats: int = 5, least: float = LEAST) -> Timing:
    """One call by itself, warmed up."""
    return interleaved({"it": lambda: sample(call, least)}, repeats)["it"]


def in_words(seconds: float) -> str:
    """A time with its unit, to three digits."""
    units: Sequence[tuple[float, str]] = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    size, unit = next((item for item in units if seconds >= 0.9995 * item[0]), units[-1])
    return f"{seconds / size:.3g} {unit}"
