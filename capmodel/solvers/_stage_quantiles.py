r"""Quantiles of the two stages of the decomposition, each by itself; their sum as if independent.

A packet's time in a stage is that of those before it, phase by phase; its Laplace transform is a
polynomial in the transform of one service, weighted by what the packet finds. The sum is inverted
numerically.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, solve_levels
from capmodel.numerics.gth import Array
from capmodel.numerics.laplace import Complex, cdf_of, moments_of, quantile_of
from capmodel.numerics.level_law import Blocks, LevelLaw
from capmodel.solvers._ring_stage import RingStage
from capmodel.solvers._sleeping import Feed, Sleeper, SleeperChain

_NEGLIGIBLE = 1e-14


@dataclass(frozen=True)
class StageQuantiles:
    """Quantiles of ring and buffer at a fixed point of the decomposition.

    `ring` with its consumer's rates of falling asleep (and mean pace), and the `feed` that it is
    to the buffer; all stacks of one.
    """

    ring: RingStage
    feed: Feed
    consumer: Sleeper
    capacity: int
    asleep: Array
    pace: Array

    def occupancy_quantile(self, p: float, stage: str) -> float:
        """Least number not exceeded for a share p of the time [-]."""
        law = {"ring": self._ring, "buffer": self._buffer}[stage]
        return float(law.quantile(p))

    def sojourn_quantile(self, p: float) -> float:
        """Time within which a share p of the captured packets is done [s]."""
        mean, spread = self.moments
        return quantile_of(self.transform, p, mean, spread)

    @property
    def mean_sojourn(self) -> float:
        """Mean time of a captured packet [s]."""
        return self.moments[0]

    def sojourn_cdf(self, time: float) -> float:
        """Share of the captured packets that are done within a time [s]."""
        return cdf_of(self.transform, time, self.moments[1])

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the time that a captured packet stays [s]."""
        cost = self.consumer.service.mean
        rough, _ = moments_of(self.transform, self.capacity * cost)
        return moments_of(self.transform, rough)

    def transform(self, s: Complex) -> Complex:
        """Laplace transform of the time that a captured packet stays."""
        return self._ring_time(s) * self._buffer_time(s)

    @cached_property
    def ring_chain(self) -> tuple[Levels, Boundary, Any]:
        k = self.ring.k
        chain = self.ring.chain(self.asleep[:, :k], self.asleep[:, k:], self.pace)
        levels, boundary, weights = (first_of(part) for part in chain)
        return levels, boundary, weights

    @cached_property
    def _ring(self) -> LevelLaw:
        levels, boundary, weights = self.ring_chain
        return LevelLaw(Blocks.of(levels, boundary), solve_levels(levels, boundary, weights))

    @cached_property
    def _ring_empty(self) -> Array:
        return solve_levels(*self.ring_chain).boundary

    @cached_property
    def _buffer_chain(self) -> SleeperChain:
        return SleeperChain(first_of(self.feed), self.consumer, self.capacity)

    @cached_property
    def _buffer_empty(self) -> Array:
        return self._buffer_chain.stationary(first_of(self.feed)).boundary

    @cached_property
    def _buffer(self) -> LevelLaw:
        chain, feed = self._buffer_chain, first_of(self.feed)
        solution = chain.stationary(feed)
        signalling = float(solution.boundary[chain.bottom.signalling].sum())
        blocks = Blocks.of(*chain.rates(feed))
        return LevelLaw(blocks, solution, moved=signalling)

    @cached_property
    def _ring_found(self) -> tuple[Array, Array]:
        """Rates of packets accepted into phases of the ring: at position 1, and behind n others."""
        blocks, law = self._ring.blocks, self._ring.phases
        return self._ring_empty @ blocks.enter, law[:-1] @ blocks.up

    def _ring_time(self, s: Complex) -> Complex:
        blocks = self._ring.blocks
        first, behind = self._ring_found
        total = float(first.sum() + behind.sum())
        out = _inside(s, blocks.local, blocks.down.sum(-1))
        one = out @ blocks.down.sum(-1)  # from each phase until the packet in service is done
        step = out @ blocks.down
        waits = _matrix_polynomial(behind / total, step) @ step
        ends = (waits + first / total) @ one[..., None]
        return np.asarray(ends[..., 0, 0])

    @cached_property
    def _buffer_found(self) -> dict[str, Array]:
        """Rates at which accepted packets find each state, the feed's own state summed over."""
        chain, feed, consumer = self._buffer_chain, first_of(self.feed), self.consumer
        law, bottom = self._buffer.phases, chain.bottom
        r, m, d = feed.moves.shape[-1], consumer.service.order, consumer.stages
        rate, rate_empty = feed.delivers.sum(-1), feed.empty_delivers.sum(-1)
        inside = law[:-1]
        groups = inside[:, r * m :].reshape(len(inside), len(consumer.delays), r, d)
        polling = self._buffer_empty[bottom.polling].reshape(-1, r, d)
        return {
            "working": np.einsum("nrc,r->nc", inside[:, : r * m].reshape(-1, r, m), rate),
            "away": np.einsum("ngrd,r->gnd", groups, rate),
            "polling": np.einsum("prd,r->pd", polling, rate_empty),
            "waiting": np.asarray(self._buffer_empty[bottom.waiting] @ rate_empty),
        }

    def _buffer_time(self, s: Complex) -> Complex:
        consumer, found = self.consumer, self._buffer_found
        service = consumer.service
        left = _inside(s, service.rates, service.exits) @ service.exits
        one = left @ service.start  # a whole service
        total = sum(float(part.sum()) for part in found.values())

        def behind(chances: Array) -> Complex:
            """Sum over n = 1, 2, ... of the chance to find n, times n services."""
            return one * _polynomial(chances, one)

        time = sum(behind(found["working"][:, c]) * left[:, c] for c in range(service.order))
        for k, delay in enumerate(consumer.delays):
            stage = _stage(s, delay, consumer.stages)
            for j in range(consumer.stages):
                rest = stage ** (consumer.stages - j)
                time = time + behind(found["away"][k][:, j]) * rest * one
                if delay == consumer.poll and k == 0 and found["polling"].size:
                    time = time + found["polling"][0, j] * rest * one
        wake = np.ones_like(s)
        if not consumer.spins:
            wake = wake / (1.0 + s * consumer.signal)
            if consumer.latency > 0.0:
                wake = wake * _stage(s, consumer.latency, consumer.stages) ** consumer.stages
        return np.asarray((time + found["waiting"] * wake * one) / total)


def first_of(part: Any) -> Any:
    """The first member of a stack, as dataclasses of the numerics hold it."""
    grouped = {"rise", "stay", "join", "top_stay", "depart"}
    changed = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, np.ndarray):
            plain = 3 if field.name in grouped or field.name.startswith("excursion") else 2
            plain = 1 if field.name == "serves" else plain
            changed[field.name] = value[0] if value.ndim > plain else value
    return replace(part, **changed)


def _inside(s: Complex, rates: Array, exits: Array) -> Complex:
    """(s + D - A)^-1 for every s."""
    moves = rates - np.diag(np.diag(rates))
    out = np.diag(moves.sum(-1) + exits) - moves
    return np.asarray(np.linalg.inv(s[:, None, None] * np.eye(len(rates)) + out))


def _stage(s: Complex, time: float, stages: int) -> Complex:
    return np.asarray(1.0 / (1.0 + s * time / stages))


def _trimmed(chances: Array) -> tuple[int, Array]:
    """Where the chances that matter begin, and these."""
    if not len(chances):  # of one place, where nobody waits behind others
        return 0, chances
    total = chances.reshape(len(chances), -1).sum(-1)
    kept = np.flatnonzero(total > _NEGLIGIBLE * total.sum())
    if not kept.size:
        return 0, chances[:0]
    return int(kept[0]), chances[kept[0] : kept[-1] + 1]


def _polynomial(chances: Array, x: Complex) -> Complex:
    """Sum of chances[n] x^n, n from 0, by blocks of about the root of their number."""
    low, kept = _trimmed(chances)
    if not kept.size:
        return 0.0 * x
    width = max(1, math.isqrt(len(kept)))
    blocks = -(-len(kept) // width)
    padded = np.zeros(blocks * width)
    padded[: len(kept)] = kept
    powers = x ** np.arange(width)[:, None]
    inner = padded.reshape(blocks, width) @ powers
    outer, total = powers[-1] * x, np.zeros_like(x)
    for row in inner[::-1]:
        total = total * outer + row
    return total * x**low


def _matrix_polynomial(chances: Array, step: Complex) -> Complex:
    """Sum of the row chances[n] times step^n, n from 0; shape (s, 1, m)."""
    low, kept = _trimmed(chances)
    size = step.shape[-1]
    if not kept.size:
        return np.zeros((len(step), 1, size), dtype=np.complex128)
    width = max(1, math.isqrt(len(kept)))
    blocks = -(-len(kept) // width)
    padded = np.zeros((blocks * width, size))
    padded[: len(kept)] = kept
    rows = padded.reshape(blocks, width, size).transpose(1, 0, 2)
    inner = np.zeros((len(step), blocks, size), dtype=np.complex128)
    for row in rows[::-1]:
        inner = inner @ step + row
    outer = np.linalg.matrix_power(step, width)
    total = np.zeros((len(step), 1, size), dtype=np.complex128)
    for j in range(blocks - 1, -1, -1):
        total = total @ outer + inner[:, j : j + 1]
    return np.asarray(total @ np.linalg.matrix_power(step, low))
