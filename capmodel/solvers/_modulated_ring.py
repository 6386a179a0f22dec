"""The ring and the kernel under arrivals that follow a Markov chain.

As :class:`~capmodel.solvers._ring_stage.RingStage`, but the chain has any phases, which all that is
handed on to the buffer is told apart by: bursts outlast both queues.
"""

from __future__ import annotations

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights
from capmodel.numerics.doubling import solve_few_phases
from capmodel.numerics.gth import Array
from capmodel.solvers._feeds import KernelService, Source, kron
from capmodel.solvers._ring_stage import ring_server

# sums, and whether they have a column for every state of the arrivals
_SUMS = {
    "full": False, "not_full": False, "in_ring": False, "completed": True, "signalling": True,
    "interrupts": False,
}  # fmt: skip


class ModulatedRing:
    """A queue with room for `ring` packets whose server also signals.

    States: consumer awake or asleep by kernel phase, and the signal; each by state of the
    arrivals; levels are ring contents. A completion while the consumer sleeps starts a signal of
    exponential length; without one (`signal` 0) the consumer does not matter.
    """

    def __init__(self, source: Source, ring: int, kernel: KernelService, signal: float) -> None:
        self.ring, self.kernel = ring, kernel
        self.p, self.a = kernel.time.order, source.states
        a = self.a
        self.coupled = signal > 0.0
        local, down, last, up, below = ring_server(kernel, signal)
        n, b = last.shape
        kinds = b - int(self.coupled)
        unit = np.eye(a)
        self.services, self.chain = kron(local, unit), kron(np.eye(n), source.moves)
        self.below = kron(below, unit) + kron(np.eye(b), source.moves)
        self.down, self.last = kron(down, unit), kron(last, unit)
        self.rise, self.up = kron(np.eye(n), source.arrive), kron(up, source.arrive)
        self._set_weights(source, kinds)

    def _set_weights(self, source: Source, kinds: int) -> None:
        a, p, time = self.a, self.p, self.kernel.time
        ends = np.cumsum([0, *(a if by_source else 1 for by_source in _SUMS.values())]).tolist()
        index = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(_SUMS)}
        self.index, q = index, ends[-1]
        states, bottom = len(self.down), len(self.below)
        self.core, self.ground = np.zeros((states, q)), np.zeros((bottom, q))
        offered = source.rates / source.mean  # arrivals see the states in which they come
        self.core[:, index["not_full"]] = np.tile(offered, states // a)[:, None]
        self.ground[:, index["not_full"]] = np.tile(offered, bottom // a)[:, None]
        self.core[: p * a, index["completed"]] = kron(time.exits[:, None], np.eye(a))
        self.ground[: kinds * a, index["interrupts"]] = np.tile(
            source.rates * self.kernel.interrupts, kinds
        )[:, None]
        if self.coupled:
            self.core[-a:, index["signalling"]] = np.eye(a)
            self.ground[-a:, index["signalling"]] = np.eye(a)
        self.slope = np.zeros_like(self.core)
        self.slope[:, index["in_ring"]] = 1.0
        self.top = self.core.copy()
        self.top[:, index["in_ring"]] = self.ring
        self.top[:, index["full"]] = self.core[:, index["not_full"]]
        self.top[:, index["not_full"]] = 0.0

    def solve(self, asleep_idle: Array, asleep_busy: Array, pace: Array) -> dict[str, Array]:
        """Shares of time and rates, for stacks of paces [-] and rates of falling asleep [1/s].

        `asleep_idle` has one column per state of the arrivals, `asleep_busy` one per kernel phase
        and state of the arrivals. ``empties`` and ``empties_after_signal`` are the probabilities of
        an empty ring, by the state that the arrivals are in.
        """
        p, a, size = self.p, self.a, len(pace)
        scale: Array = np.where(self.kernel.paced > 0.0, pace[:, None], 1.0)  # awake phases only
        scale = np.repeat(scale, a, axis=-1)
        whole: Array = np.ones((size, len(self.down), 1))
        whole[:, : p * a, 0] = scale
        local, down, last = self.services * whole + self.chain, self.down * whole, self.last * whole
        below = np.repeat(self.below[None], size, axis=0)
        core = np.repeat(self.core[None], size, axis=0)
        completed = self.index["completed"]
        core[:, : p * a, completed] *= scale[..., None]
        top = np.repeat(self.top[None], size, axis=0)
        top[..., completed] = core[..., completed]
        if self.coupled:
            here, idle = np.arange(p * a), np.arange(a)
            local[:, here, p * a + here] += asleep_busy
            below[:, idle, a + idle] = asleep_idle
        solution = solve_few_phases(
            # who finds the ring full is lost, but the chain of the arrivals moves on
            Levels(self.ring, self.rise, local, down, local + self.rise),
            Boundary(below, self.up, last),
            Weights(self.ground, core, self.slope, top),
        )
        found = {name: solution.sums[..., at] for name, at in self.index.items()}
        ends = np.repeat(self.kernel.time.exits, a) * scale
        emptying = (solution.first[..., : p * a] * ends).reshape(size, p, a).sum(-2)
        found["empties"] = _chance(emptying, found["completed"])
        ended = solution.boundary[..., -a:] if self.coupled else np.zeros((size, a))
        found["empties_after_signal"] = _chance(ended, found["signalling"])
        return found | {name: found[name][..., 0] for name, each in _SUMS.items() if not each}


def _chance(part: Array, total: Array) -> Array:
    """Part of a total as a probability; a half where the total is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = part / total
    return np.where(total > 0.0, np.clip(ratio, 0.0, 1.0), 0.5)


__all__ = ["ModulatedRing"]
