"""The ring and the kernel, for a consumer that falls asleep at given rates."""

from __future__ import annotations

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights
from capmodel.numerics.doubling import solve_few_phases
from capmodel.numerics.gth import Array
from capmodel.solvers._feeds import KernelService

_SUMS = (
    "full", "not_full", "in_ring", "completed", "emptying", "signalling", "signalling_empty",
    "interrupts",
)  # fmt: skip


class RingStage:
    """A queue with room for `ring` packets whose server also signals.

    States: consumer awake or asleep by kernel phase, and the signal; levels are ring contents.
    A completion while the consumer sleeps starts a signal of exponential length; without one
    (`signal` 0) the consumer does not matter.
    """

    def __init__(self, rate: float, ring: int, kernel: KernelService, signal: float) -> None:
        self.rate, self.ring, self.kernel, self.signal = rate, ring, kernel, signal
        self.p = p = kernel.time.order
        self.coupled = signal > 0.0
        kinds = 2 if self.coupled else 1
        n = kinds * p + int(self.coupled)
        b = kinds + int(self.coupled)
        time, end = kernel.time, kinds * p
        self.local, self.down = np.zeros((n, n)), np.zeros((n, n))
        self.last, self.up = np.zeros((n, b)), np.zeros((b, n))
        self.below = np.zeros((b, b))
        for kind in range(kinds):
            rows = slice(kind * p, kind * p + p)
            self.local[rows, rows] = time.rates
            self.up[kind, rows] = rate * kernel.first
        self.down[:p, :p] = np.outer(time.exits, time.start)
        self.last[:p, 0] = time.exits
        if self.coupled:
            self.down[p:end, -1] = self.last[p:end, -1] = time.exits
            self.local[-1, :p] = time.start / signal
            self.below[-1, 0] = 1.0 / signal
            self.up[-1, -1] = rate
        index = {name: i for i, name in enumerate(_SUMS)}
        self.core, self.ground = np.zeros((n, len(_SUMS))), np.zeros((b, len(_SUMS)))
        self.core[:, index["not_full"]] = self.ground[:, index["not_full"]] = 1.0
        self.core[:p, index["completed"]] = time.exits
        self.ground[:kinds, index["interrupts"]] = rate * kernel.interrupts
        if self.coupled:
            self.core[-1, index["signalling"]] = 1.0
            self.ground[-1, index["signalling"]] = self.ground[-1, index["signalling_empty"]] = 1.0
        self.slope = np.zeros_like(self.core)
        self.slope[:, index["in_ring"]] = 1.0
        self.top = self.core.copy()
        self.top[:, index["in_ring"]] = ring
        self.top[:, index["full"]] = 1.0
        self.top[:, index["not_full"]] = 0.0
        self.index = index

    def solve(self, asleep_idle: Array, asleep_busy: Array, pace: Array) -> dict[str, Array]:
        """Shares of time and rates, for stacks of paces [-] and rates of falling asleep [1/s].

        `asleep_busy` has one column per kernel phase.
        """
        p, size = self.p, len(pace)
        scale = np.where(self.kernel.paced > 0.0, pace[:, None], 1.0)  # awake phases only
        whole = np.ones((size, len(self.local), 1))
        whole[:, :p, 0] = scale
        local, down, last = self.local * whole, self.down * whole, self.last * whole
        below = np.repeat(self.below[None], size, axis=0)
        core = np.repeat(self.core[None], size, axis=0)
        completed = self.index["completed"]
        core[:, :p, completed] *= scale
        top = np.repeat(self.top[None], size, axis=0)
        top[..., completed] = core[..., completed]
        if self.coupled:
            here = np.arange(p)
            local[:, here, p + here] += asleep_busy
            below[:, 0, 1] = asleep_idle
        solution = solve_few_phases(
            Levels(self.ring, self.rate * np.eye(len(self.local)), local, down, local),
            Boundary(below, self.up, last),
            Weights(self.ground, core, self.slope, top),
        )
        found = {name: solution.sums[..., i] for name, i in self.index.items()}
        emptying = (solution.first[..., :p] * last[..., :p, 0]).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            after = found["signalling_empty"] / found["signalling"]
            empties = emptying / found["completed"]
        found["empties"] = np.where(found["completed"] > 0.0, np.clip(empties, 0.0, 1.0), 0.5)
        found["empties_after_signal"] = np.where(
            found["signalling"] > 0.0, np.clip(after, 0.0, 1.0), 0.5
        )
        return found
