"""The ring and the kernel, for a consumer that falls asleep at given rates."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights
from capmodel.numerics.doubling import Frame, has_few_phases, solve_few_phases
from capmodel.numerics.gth import Array
from capmodel.solvers._feeds import KernelService, kron

_SUMS = ("full", "not_full", "in_ring", "completed", "signalling", "interrupts")


class RingStage:
    """A queue with room for `ring` packets whose server also signals.

    States: consumer awake or asleep by kernel phase, and the signal, each by phase of the arrivals;
    levels are ring contents. Intervals between arrivals have `phases` equal exponential phases. A
    completion while the consumer sleeps starts a signal of exponential length; without one
    (`signal` 0) the consumer does not matter.
    """

    def __init__(
        self, rate: float, ring: int, kernel: KernelService, signal: float, phases: int = 1
    ) -> None:
        self.ring, self.kernel = ring, kernel
        self.p, self.k = p, k = kernel.time.order, phases
        self.coupled = signal > 0.0
        local, down, last, up, below = ring_server(kernel, signal)
        n, b = last.shape
        kinds = b - int(self.coupled)
        # a phase of the interval ends, the last of them with an arrival
        passing, arriving = erlang_arrivals(rate, phases)
        unit = np.eye(k)
        self.local = kron(local, unit) + kron(np.eye(n), passing)
        self.below = kron(below, unit) + kron(np.eye(b), passing)
        self.down, self.last = kron(down, unit), kron(last, unit)
        self.above, self.up = kron(np.eye(n), arriving), kron(up, arriving)
        index = {name: i for i, name in enumerate(_SUMS)}
        core, ground = np.zeros((n, k, len(_SUMS))), np.zeros((b, k, len(_SUMS)))
        # what an arrival sees: it comes at the end of the last phase
        core[:, -1, index["not_full"]] = ground[:, -1, index["not_full"]] = k
        core[:p, :, index["completed"]] = kernel.time.exits[:, None]
        ground[:kinds, -1, index["interrupts"]] = k * rate * kernel.interrupts
        if self.coupled:
            core[-1, :, index["signalling"]] = 1.0
            ground[-1, :, index["signalling"]] = 1.0
        self.core, self.ground = core.reshape(n * k, -1), ground.reshape(b * k, -1)
        self.slope = np.zeros_like(self.core)
        self.slope[:, index["in_ring"]] = 1.0
        self.top = self.core.copy()
        self.top[:, index["in_ring"]] = ring
        self.top[:, index["full"]] = self.core[:, index["not_full"]]
        self.top[:, index["not_full"]] = 0.0
        self.index = index
        here = np.arange(p * k - 1)
        self.passing = here[(here + 1) % k > 0]  # from where an interval goes on
        # in flat matrices: from awake to asleep, in the ring's own states and in the empty ring's
        self.asleep_busy = _diagonal(n * k, p * k, p * k)
        self.asleep_idle = _diagonal(b * k, k, k)

    @cached_property
    def frame(self) -> Frame | None:
        """What all chains at the usual pace have in common, where they have few phases."""
        whole = self.local + self.above
        levels = Levels(self.ring, self.above, self.local, self.down, whole)
        if not has_few_phases(levels):
            return None
        weights = Weights(self.ground, self.core, self.slope, self.top)
        return Frame.of(levels, Boundary(self.below, self.up, self.last), weights)

    def solve(self, asleep_idle: Array, asleep_busy: Array, pace: Array) -> dict[str, Array]:
        """Shares of time and rates, for stacks of paces [-] and rates of falling asleep [1/s].

        `asleep_idle` has one column per phase of the arrivals, `asleep_busy` one per kernel phase.
        ``empties`` and ``empties_after_signal`` go by phase of the arrivals.
        """
        p, k, size = self.p, self.k, len(pace)
        levels, boundary, weights = self.chain(asleep_idle, asleep_busy, pace)
        usual = weights.core is self.core
        solution = solve_few_phases(levels, boundary, weights, self.frame if usual else None)
        sums, first, bottom = solution.sums, solution.first, solution.boundary
        if sums.ndim == 1:  # a stack of one, see `chain`
            sums, first, bottom = sums[None], first[None], bottom[None]
        found = {name: sums[:, i] for name, i in self.index.items()}
        first = first[:, : p * k, None] * boundary.down[..., : p * k, :k]
        ended = bottom[:, -k:] if self.coupled else np.zeros((size, k))
        parts = np.array([first.sum(-2), ended])
        shares = _share(parts, np.array([found["completed"], found["signalling"]]))
        found["empties"], found["empties_after_signal"] = shares
        return found

    def chain(
        self, asleep_idle: Array, asleep_busy: Array, pace: Array
    ) -> tuple[Levels, Boundary, Weights]:
        """The chains of such stacks, by ring content; one alone is no stack: that is faster."""
        if np.logical_and.reduce(pace == 1.0):
            return self._at_usual_pace(asleep_idle, asleep_busy)
        p, k, size = self.p, self.k, len(pace)
        scale: Array = np.where(self.kernel.paced > 0.0, pace[:, None], 1.0)  # awake phases only
        scale = np.repeat(scale, k, axis=-1)
        whole: Array = np.ones((size, len(self.local), 1))
        whole[:, : p * k, 0] = scale
        local, down, last = self.local * whole, self.down * whole, self.last * whole
        if k > 1:  # arrivals keep their own pace
            here = self.passing
            local[:, here, here + 1] = self.local[here, here + 1]
        below = np.repeat(self.below[None], size, axis=0)
        core = np.repeat(self.core[None], size, axis=0)
        completed = self.index["completed"]
        core[:, : p * k, completed] *= scale
        top = np.repeat(self.top[None], size, axis=0)
        top[..., completed] = core[..., completed]
        self._fall_asleep(local, below, asleep_idle, asleep_busy)
        if size == 1:
            local, down, below, last = local[0], down[0], below[0], last[0]
            core, top = core[0], top[0]
        return (
            Levels(self.ring, self.above, local, down, local + self.above),
            Boundary(below, self.up, last),
            Weights(self.ground, core, self.slope, top),
        )

    def _at_usual_pace(
        self, asleep_idle: Array, asleep_busy: Array
    ) -> tuple[Levels, Boundary, Weights]:
        """The same for paces of 1: only what depends on falling asleep are stacks."""
        size = len(asleep_idle)
        local, below = np.empty((size, *self.local.shape)), np.empty((size, *self.below.shape))
        local[...], below[...] = self.local, self.below
        self._fall_asleep(local, below, asleep_idle, asleep_busy)
        if size == 1:
            local, below = local[0], below[0]
        return (
            Levels(self.ring, self.above, local, self.down, local + self.above),
            Boundary(below, self.up, self.last),
            Weights(self.ground, self.core, self.slope, self.top),
        )

    def _fall_asleep(
        self, local: Array, below: Array, asleep_idle: Array, asleep_busy: Array
    ) -> None:
        """Put the rates of falling asleep where they belong."""
        if not self.coupled:
            return
        size, k = len(local), self.k
        each = asleep_busy if k == 1 else np.repeat(asleep_busy, k, axis=-1)
        local.reshape(size, -1)[:, self.asleep_busy] = each
        below.reshape(size, -1)[:, self.asleep_idle] = asleep_idle


class RingServer(NamedTuple):
    """Rates of the kernel, apart from arrivals [1/s], and where arrivals to an empty ring lead [-].

    Above level 1 and at it: within a level, down one; from level 1 to the empty ring; from the
    empty ring, where `up` holds probabilities; within the empty ring.
    """

    local: Array
    down: Array
    last: Array
    up: Array
    below: Array


def ring_server(kernel: KernelService, signal: float) -> RingServer:
    """The kernel with the consumer awake or, where a signal takes time, asleep; and the signal."""
    p, time, signals = kernel.time.order, kernel.time, signal > 0.0
    kinds = 2 if signals else 1
    n, b, end = kinds * p + int(signals), kinds + int(signals), kinds * p
    local, down = np.zeros((n, n)), np.zeros((n, n))
    last, up, below = np.zeros((n, b)), np.zeros((b, n)), np.zeros((b, b))
    for kind in range(kinds):
        rows = slice(kind * p, kind * p + p)
        local[rows, rows] = time.rates
        up[kind, rows] = kernel.first
    down[:p, :p] = np.outer(time.exits, time.start)
    last[:p, 0] = time.exits
    if signals:
        down[p:end, -1] = last[p:end, -1] = time.exits
        local[-1, :p] = time.start / signal
        below[-1, 0] = 1.0 / signal
        up[-1, -1] = 1.0
    return RingServer(local, down, last, up, below)


def _diagonal(order: int, count: int, right: int) -> slice:
    """The first so many entries of a diagonal so far right of the main one, in a flat matrix."""
    return slice(right, right + (count - 1) * (order + 1) + 1, order + 1)


def erlang_arrivals(rate: float, phases: int) -> tuple[Array, Array]:
    """Rates [1/s] between the phases of Erlang intervals, and those of the arrivals."""
    passing, arriving = np.zeros((phases, phases)), np.zeros((phases, phases))
    np.fill_diagonal(passing[:, 1:], phases * rate)
    arriving[-1, 0] = phases * rate
    return passing, arriving


def _share(parts: Array, total: Array) -> Array:
    """Parts of a total, by phase of the arrivals; a half in all if the total is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = parts / total[..., None]
    least = np.minimum(np.maximum(shares, 0.0), 1.0)
    shares = np.where(total[..., None] > 0.0, least, 0.5 / parts.shape[-1])
    if parts.shape[-1] == 1:
        return shares
    whole: Array = shares / np.maximum(shares.sum(-1, keepdims=True), 1.0)
    return whole
