"""When packets arrive, and how long things take: compiled draws from a numpy generator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.simulation.compiled import compiled
from capmodel.simulation.costs import (
    BURSTS,
    ERLANG,
    EXPONENTIAL,
    FIXED,
    HYPER,
    MODULATED,
    TRACE,
    Law,
    Source,
)

Floats = npt.NDArray[np.float64]


@compiled
def draw(rng: np.random.Generator, law: Law) -> float:
    """One value of a law with mean 1 [-]."""
    if law.kind == FIXED:
        return 1.0
    if law.kind == EXPONENTIAL:
        return rng.standard_exponential()
    if law.kind == ERLANG:
        phases = law.shape
        if law.share > 0.0 and rng.random() < law.share:
            phases -= 1.0
        return rng.standard_gamma(phases) / (law.shape - law.share)
    # HYPER: `share` of the draws at rate 2 share, the others at rate 2 (1 - share)
    chosen = law.share if rng.random() < law.share else 1.0 - law.share
    return rng.standard_exponential() / (law.shape * chosen)


class Stall(NamedTuple):
    """When a core stands still, and until when [s]."""

    at: float
    end: float


@compiled
def begin(rng: np.random.Generator, source: Source, clock: Floats) -> None:
    """Start the clock of a source at a random phase.

    The clock holds a count, the start [s], the last arrival [s] and the end of the burst [s]; of a
    Markov chain the phase, nothing, the last arrival and nothing.
    """
    if source.kind == MODULATED:
        clock[:] = 0.0
        clock[0] = np.searchsorted(source.start, rng.random(), side="right")
        return
    clock[0] = 0.0
    clock[1] = (rng.random() - 1.0) * source.gap
    clock[2] = 0.0
    clock[3] = np.inf
    if source.kind == BURSTS:
        part = rng.random() * (source.on + source.off)
        paused = part < source.off
        if source.random:
            clock[3] = rng.standard_exponential() * source.on
            clock[2] = rng.standard_exponential() * source.off if paused else 0.0
        else:
            clock[2] = source.off - part if paused else 0.0
            clock[3] = source.on if paused else source.on + source.off - part
        clock[3] += clock[2]
        clock[2] -= rng.random() * source.gap


@compiled
def refill(  # noqa: PLR0912 - one branch per kind of arrivals
    rng: np.random.Generator, source: Source, clock: Floats, trace: Floats, out: Floats
) -> None:
    """Fill `out` with the next arrival times [s]; infinite where a trace has ended.

    A whole array at a time: a loop that does nothing but draw is several times faster.
    """
    if source.kind == TRACE:
        index = int(clock[0])
        for i in range(out.size):
            out[i] = trace[index + i] if index + i < trace.size else np.inf
        clock[0] += out.size
    elif source.kind == BURSTS:
        for i in range(out.size):
            out[i] = _in_bursts(rng, source, clock)
    elif source.kind == MODULATED:
        for i in range(out.size):
            out[i] = _modulated(rng, source, clock)
    elif source.law.kind == FIXED:
        for i in range(out.size):
            # a product does not drift as a sum would
            out[i] = clock[1] + (clock[0] + i + 1.0) * source.gap
        clock[0] += out.size
    else:
        now = clock[2]
        if source.law.kind == EXPONENTIAL:
            for i in range(out.size):
                now += source.gap * rng.standard_exponential()
                out[i] = now
        else:
            for i in range(out.size):
                now += source.gap * draw(rng, source.law)
                out[i] = now
        clock[2] = now


@compiled
def _in_bursts(rng: np.random.Generator, source: Source, clock: Floats) -> float:
    gap = source.gap * draw(rng, source.law)
    while clock[2] + gap > clock[3]:
        # the rest of the gap goes on in the next burst: the mean rate is kept exactly
        gap -= clock[3] - clock[2]
        pause, length = source.off, source.on
        if source.random:
            pause *= rng.standard_exponential()
            length *= rng.standard_exponential()
        clock[2] = clock[3] + pause
        clock[3] = clock[2] + length
    clock[2] += gap
    return float(clock[2])


@compiled
def _modulated(rng: np.random.Generator, source: Source, clock: Floats) -> float:
    """Move the chain until something arrives."""
    phase, phases = int(clock[0]), source.stays.size
    now = clock[2]
    while True:
        now += source.stays[phase] * rng.standard_exponential()
        move = 0
        luck = rng.random()
        while source.moves[phase, move] <= luck:
            move += 1
        if move >= phases:
            clock[0], clock[2] = move - phases, now
            return float(now)
        phase = move


@compiled
def redraw(rng: np.random.Generator, law: Law, out: Floats) -> None:
    """Fill `out` with draws of a law with mean 1 [-]."""
    if law.kind == EXPONENTIAL:
        for i in range(out.size):
            out[i] = rng.standard_exponential()
    else:
        for i in range(out.size):
            out[i] = draw(rng, law)


@compiled
def next_stall(rng: np.random.Generator, gap: float, time: float, after: float) -> Stall:
    """When the kernel's core stands still next after a moment, and until when [s]."""
    if gap == np.inf:
        return Stall(np.inf, np.inf)
    at = after + gap * rng.standard_exponential()
    return Stall(at, at + time * rng.standard_exponential())


__all__ = ["HYPER", "begin", "draw", "next_stall", "redraw", "refill"]
