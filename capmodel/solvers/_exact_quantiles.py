"""Quantiles of the exact chain: how full both stages are, how long a captured packet stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from capmodel.numerics.cyclic_reduction import Weights, solve_levels
from capmodel.numerics.gth import Array
from capmodel.numerics.level_law import Blocks, LevelLaw
from capmodel.numerics.uniformisation import Absorption, TooMuchWorkError, absorption
from capmodel.numerics.whole_chain import by_state, whole_chain
from capmodel.path import CapturePath
from capmodel.solvers._chains import feed_of, kernel_of, paces, sleeper
from capmodel.solvers._crosswise import crosswise_chain
from capmodel.solvers._feeds import COUNTS
from capmodel.solvers._sleeping import SUMS, Feed, SleeperChain, solve_sleeper

MOST_PHASES = 450  # of a level, waits included; time grows with the cube
MOST_STATES = 200_000
_ELSEWHERE = "solver='simulation' has these quantiles"


@dataclass(frozen=True)
class ExactQuantiles:
    """Quantiles of one path's Markov chain; nothing is worked out before it is asked for.

    `by_ring` chooses the ring's content as the level of the chain, as the solution did.
    """

    path: CapturePath
    by_ring: bool

    def occupancy_quantile(self, p: float, stage: str) -> float:
        """Least number not exceeded for a share p of the time [-]."""
        path = self.path
        if path.kernel.cost == 0.0:
            holds = "ring" if path.buffer.kind == "ring" else "buffer"
            return float(self._level_law.quantile(p)) if stage == holds else 0.0
        if stage == ("ring" if self.by_ring else "buffer"):
            return float(self._level_law.quantile(p))
        return _quantile(self._across, p)

    def sojourn_quantile(self, p: float) -> float:
        """Time within which a share p of the captured packets is done [s]."""
        return self.sojourn.quantile(p)

    @property
    def mean_sojourn(self) -> float:
        """Mean time of a captured packet [s]."""
        return self.sojourn.mean

    @cached_property
    def _level_law(self) -> LevelLaw:
        """Of the buffer's content, or of the ring's."""
        return self._ring_law if self.by_ring else self._buffer_law[1]

    @cached_property
    def _buffer_law(self) -> tuple[Array, LevelLaw]:
        """Probabilities of the boundary's states, and of every level."""
        path = self.path
        feed = feed_of(path)
        chain = SleeperChain(feed, sleeper(path), int(path.buffer.capacity))
        solution = chain.stationary(feed)
        signalling = float(solution.boundary[chain.bottom.signalling].sum())
        blocks = _affordable(Blocks.of(*chain.rates(feed)))
        return solution.boundary, LevelLaw(blocks, solution, moved=signalling)

    @cached_property
    def _ring_law(self) -> LevelLaw:
        chain = self._crosswise
        solution = solve_levels(chain.levels, chain.boundary, chain.weights)
        return LevelLaw(_affordable(Blocks.of(chain.levels, chain.boundary)), solution)

    @cached_property
    def _crosswise(self) -> Any:
        path = self.path
        return crosswise_chain(
            float(path.arrivals.rate), int(path.kernel.ring), kernel_of(path), sleeper(path),
            int(path.buffer.capacity), *paces(path),
        )  # fmt: skip

    @cached_property
    def _across(self) -> Array:
        """Probabilities of the contents of the stage that is not the level."""
        path = self.path
        if self.by_ring:
            chain = self._crosswise
            size = int(path.buffer.capacity) + 1
            core, ground = _one_hot(chain.content, size), _one_hot(chain.content_below, size)
            weights = Weights(ground, core, 0.0 * core, core)
            return solve_levels(chain.levels, chain.boundary, weights).sums
        feed = _with_contents(feed_of(path), int(path.kernel.ring) + 1)
        flows = solve_sleeper(feed, sleeper(path), int(path.buffer.capacity))
        return flows.awake_counts + flows.asleep_counts + flows.signal_counts

    @cached_property
    def sojourn(self) -> Absorption:
        """Time from an accepted arrival until its processing ends, if the buffer takes it.

        From then on nothing arrives: what comes later is behind it in both queues.
        """
        path = self.path
        if path.cores.pinning == "same":
            raise ValueError(
                "sojourn_quantile: on a shared core later packets go before earlier ones, which "
                f"the exact solver does not follow; {_ELSEWHERE}"
            )
        below, law = self._buffer_law
        states = len(below) + law.blocks.count * len(law.first)
        if states > MOST_STATES:
            raise ValueError(
                f"sojourn_quantile: a chain of {states} states is too large to be followed "
                f"packet by packet, at most {MOST_STATES}; solver='decomposition' or "
                "'simulation' has these quantiles"
            )
        everything = np.concatenate([below, law.phases.ravel()])
        rates, done, dropped = self._alone(law.blocks.count)
        arrives = (whole_chain(law.blocks) - self._silent).tocoo()
        held = self._held
        # an arrival that finds no room may still move the chain of the arrivals
        taken = held[arrives.col] > held[arrives.row]
        start = np.bincount(
            arrives.col[taken], (everything[arrives.row] * arrives.data)[taken], states
        )
        try:
            return absorption(rates, done + dropped, start / start.sum(), done)
        except TooMuchWorkError:
            raise ValueError(
                "sojourn_quantile: times of very different length make this chain too stiff to "
                f"be followed packet by packet; {_ELSEWHERE}"
            ) from None

    @cached_property
    def _held(self) -> Array:
        """Packets in ring and buffer together, by state."""
        feed = feed_of(self.path)
        chain = SleeperChain(feed, sleeper(self.path), int(self.path.buffer.capacity))
        levels, _ = chain.rates(feed)
        weights, column = by_state(levels, chain.weights), len(SUMS) + COUNTS.index("in_ring")
        weights[chain.bottom.waiting, column] = feed.counts[:, COUNTS.index("in_ring")]
        if len(weights[chain.bottom.signalling]):
            signal = feed.signal_counts[:, COUNTS.index("in_ring")]
            weights[chain.bottom.signalling, column] = signal
        return weights[:, column] + weights[:, SUMS.index("in_buffer")]

    @cached_property
    def _silent(self) -> Any:
        """The chain's rates without arrivals."""
        path = self.path
        feed = feed_of(path, silent=True)
        chain = SleeperChain(feed, sleeper(path), int(path.buffer.capacity))
        return whole_chain(Blocks.of(*chain.rates(feed)))

    def _alone(self, count: int) -> tuple[Any, Array, Array]:
        """Rates without arrivals; exits of the last packet, processed, or refused by the buffer."""
        path = self.path
        feed = feed_of(path, silent=True)
        gone = feed.counts[:, COUNTS.index("idle")] > 0.0  # no packet is left in the ring
        delivers = feed.full_delivers.copy()
        lost = delivers[:, gone].sum(-1)
        delivers[:, gone] = 0.0
        consumer = sleeper(path)
        feed = replace(feed, full_delivers=delivers)
        blocks = Blocks.of(*SleeperChain(feed, consumer, count).rates(feed))
        m = consumer.service.order
        core = np.repeat(gone, m)
        leave, ends = blocks.leave.copy(), np.zeros(len(blocks.up))
        ends[: len(core)] = leave[: len(core)].sum(-1) * core
        leave[: len(core)][core] = 0.0
        below = len(blocks.below)
        rates = whole_chain(replace(blocks, leave=leave))
        done, dropped = np.zeros(rates.shape[0]), np.zeros(rates.shape[0])
        done[below : below + len(ends)] = ends
        groups = (len(ends) - len(core)) // (len(gone) * consumer.stages)
        refused = [np.repeat(lost, m), *[np.repeat(lost, consumer.stages)] * groups]
        dropped[-len(ends) :] = np.concatenate(refused)
        return rates, done, dropped


def _affordable(blocks: Blocks) -> Blocks:
    if len(blocks.up) > MOST_PHASES:
        raise ValueError(
            f"quantiles: {len(blocks.up)} states per level take too long, at most {MOST_PHASES}; "
            f"{_ELSEWHERE}"
        )
    return blocks


def _one_hot(content: Array, size: int) -> Array:
    return np.asarray(content[:, None] == np.arange(size), dtype=np.float64)


def _with_contents(feed: Feed, size: int) -> Feed:
    """The same feed, counting how long the ring holds 0, 1, ... packets."""
    column = COUNTS.index("in_ring")
    return replace(
        feed, counts=_one_hot(feed.counts[:, column], size),
        signal_counts=_one_hot(feed.signal_counts[:, column], size),
    )  # fmt: skip


def _quantile(chances: Array, p: float) -> float:
    summed = np.cumsum(chances)
    return float(np.minimum(np.searchsorted(summed, p * (1.0 - 4e-16)), len(chances) - 1))
