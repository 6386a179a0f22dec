"""A small path as a Markov chain that begins at a known state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from capmodel.numerics.cyclic_reduction import Levels
from capmodel.numerics.gth import Array, stationary
from capmodel.numerics.level_law import Blocks
from capmodel.numerics.phase_type import MAX_ORDER, PhaseType
from capmodel.numerics.whole_chain import by_state, whole_chain
from capmodel.path import CapturePath
from capmodel.solvers import exact
from capmodel.solvers._chains import feed_of, kernel_of, sleeper
from capmodel.solvers._feeds import COUNTS, source, states
from capmodel.solvers._sleeping import SUMS, SleeperChain

MOST_STATES = 60_000
MOST_PHASES = 2_000
COLUMNS = {name: i for i, name in enumerate(SUMS)} | {
    name: len(SUMS) + i for i, name in enumerate(COUNTS)
}


def objection(path: CapturePath) -> str | None:
    """Why a path is not followed as a chain; None if it is."""
    reason = exact.objection(path, least_scv=0.0) or exact.not_random(path)
    if reason is not None:
        return reason
    if exact.is_regular(path):
        return "constant intervals between arrivals"
    kernel = 1.0 + float(path.kernel.ring) * PhaseType.fit(1.0, float(path.kernel.scv)).order
    each = states(path.arrivals) * (kernel if path.kernel.cost > 0.0 else 1.0)
    kinds = PhaseType.fit(1.0, float(path.consumer.scv)).order + 2
    if each > MOST_PHASES or each * kinds * float(path.buffer.capacity) > MOST_STATES:
        return f"a chain of more than {MOST_STATES} states"
    return None


def is_exact(path: CapturePath) -> bool:
    """Whether the chain has the services of the path, not only ones nearly as regular."""
    stages = [path.consumer.scv] + ([path.kernel.scv] if path.kernel.cost > 0.0 else [])
    return all(float(scv) >= 1.0 / MAX_ORDER for scv in stages)


@dataclass(frozen=True)
class PathChain:
    """All states of a path: rates between them, weights by `COLUMNS`, exits by stage."""

    rates: Any
    weights: Array
    start: Array
    settle: float  # time in which even the slowest of its arrivals forget

    def column(self, name: str) -> Array:
        """One weight of every state."""
        return self.weights[:, COLUMNS[name]]


def path_chain(path: CapturePath, ring: int = 0, buffer: int = 0, *, ends: str = "") -> PathChain:
    """The chain of a path with so many packets in ring and buffer to begin with.

    With ``ends`` "buffer" or "any" no packet is lost at the buffer: the chain ends instead, at the
    rate ``drops``.
    """
    feed, consumer, capacity = feed_of(path), sleeper(path), int(path.buffer.capacity)
    chain = SleeperChain(feed, consumer, capacity)
    levels, boundary = chain.rates(feed)
    weights = by_state(levels, chain.weights)
    if ends in ("buffer", "any"):
        kept = replace(feed, full_delivers=0.0 * feed.full_delivers)
        levels, boundary = SleeperChain(kept, consumer, capacity).rates(kept)
    rates = whole_chain(Blocks.of(levels, boundary))
    # the stationary solution counts these apart from the rest
    weights[chain.bottom.waiting, len(SUMS) :] = feed.counts
    signalling = weights[chain.bottom.signalling]
    if len(signalling):
        signalling[:, len(SUMS) :] = feed.signal_counts
    arrivals = source(path.arrivals)
    moves = arrivals.moves + arrivals.arrive
    between = moves[~np.eye(len(moves), dtype=bool)]
    slow = between[between > 0.0]
    start = _start(path, chain, levels, stationary(moves), ring, buffer)
    return PathChain(rates, weights, start, 30.0 / float(slow.min()) if slow.size else 0.0)


def _start(
    path: CapturePath, chain: SleeperChain, levels: Levels, arrivals: Array, ring: int, buffer: int
) -> Array:
    """The consumer sleeps at an empty buffer; whoever has work has just begun it."""
    a = len(arrivals)
    groups = 0 if levels.rise is None else levels.rise.shape[-3]
    feed_states = levels.up.shape[-1] // sleeper(path).service.order
    states = np.zeros(feed_states)
    if ring == 0 or path.kernel.cost == 0.0:
        states[:a] = arrivals
    else:
        kernel = kernel_of(path)
        p = kernel.time.order
        at = (1 + (ring - 1) * p) * a
        states[at : at + p * a] = np.kron(kernel.time.start, arrivals)
    consumer, bottom = sleeper(path), chain.bottom
    m, d = consumer.service.order, consumer.stages
    level = feed_states * (m + groups * d)
    start = np.zeros(bottom.size + level * levels.count)
    if buffer == 0:
        start[bottom.waiting] = states
    else:
        at = bottom.size + (buffer - 1) * level
        start[at : at + feed_states * m] = np.kron(states, consumer.service.start)
    return start
