"""What chains of :mod:`capmodel.numerics.doubling` have in common, worked out once for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights
from capmodel.numerics.few_states import acyclic_ginverse
from capmodel.numerics.gth import Array


class Phases(NamedTuple):
    """Some of the phases, `at` their numbers: a slice if it can be one, which takes less time."""

    at: slice | npt.NDArray[np.intp]
    number: int

    @classmethod
    def entered(cls, rates: Array) -> Phases:
        """Columns in which there is something."""
        found = np.logical_or.reduce(rates.reshape(-1, rates.shape[-1])).nonzero()[0]
        numbers = found.tolist()
        if not numbers:
            return cls(slice(0, 0, 1), 0)
        step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
        regular = range(numbers[0], numbers[-1] + 1, step)
        if numbers == list(regular):
            return cls(slice(regular.start, regular.stop, step), len(numbers))
        return cls(found, len(numbers))

    def after(self, first: int) -> slice | npt.NDArray[np.intp]:
        """Their numbers where so many others come first."""
        if isinstance(self.at, slice):
            return slice(self.at.start + first, self.at.stop + first, self.at.step)
        return self.at + first


class Frame(NamedTuple):
    """What of a chain depends neither on the rates within levels nor on where moves upwards lead.

    Attributes
    ----------
    down, start : Phases
        Phases of the core, and of the boundary, that are entered from above.
    rising : ndarray, shape (..., b)
        Rates of leaving the boundary.
    leaving, leaving_first : ndarray, shape (..., m)
        Rates of leaving a level of the core below the last, and level 1.
    falls, leaves : ndarray, shape (..., m, k), (..., m, e)
        Rates from the core into what is entered from above, and from level 1 into the boundary.
    earned_below, earned_first, earned_last : ndarray, shape (..., b or m, 1 + q)
        What a unit of time earns in the boundary, in level 1, in the last: the time itself first.
    second : ndarray, shape (..., m, 1 + q + g + k)
        In level 2: that, by how much more it is one level up, and rates downwards.
    growing : list of int
        The g sums that depend on the level.
    """

    down: Phases
    start: Phases
    rising: Array
    leaving: Array
    leaving_first: Array
    falls: Array
    leaves: Array
    earned_below: Array
    earned_first: Array
    earned_last: Array
    second: Array
    growing: list[int]

    @classmethod
    def of(cls, levels: Levels, boundary: Boundary, weights: Weights) -> Frame:
        """From one of the chains."""
        down, start = Phases.entered(levels.down), Phases.entered(boundary.down)
        rising = boundary.up.sum(-1)
        if boundary.depart is not None:
            rising = rising + boundary.depart.sum((-3, -1))
        upward, ends, ends_first = (
            np.add.reduce(rates, -1) for rates in (levels.up, levels.down, boundary.down)
        )
        leaving = leaving_first = upward + ends
        if not np.array_equal(ends, ends_first):
            leaving_first = upward + ends_first
        slope = with_mass(weights.core_slope, 0.0)
        grows = np.logical_or.reduce(slope.reshape(-1, slope.shape[-1]))
        if weights.excursion_slope is not None and levels.rise is not None:
            more = weights.excursion_slope.reshape(-1, slope.shape[-1] - 1)
            grows[1:] |= np.logical_or.reduce(more)
        growing = grows.nonzero()[0].tolist()
        falls, first = levels.down[..., down.at].copy(), with_mass(weights.core) + slope
        return cls(
            down, start, rising, leaving, leaving_first, falls, boundary.down[..., start.at].copy(),
            with_mass(weights.boundary), first, with_mass(weights.core_top),
            beside(first + slope, slope[..., growing], falls), growing,
        )  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What does not depend on where moves upwards lead, only on how fast they are.

    Attributes
    ----------
    frame : Frame
        What does not depend on the rates within levels either.
    below : ndarray, shape (..., e, b)
        Mean times in the boundary, by the phase in which it is entered.
    inside, inside_first : ndarray, shape (..., m, m)
        Mean times within a level of the core below the last, and within level 1.
    earned_below : ndarray, shape (..., e, 1 + q)
        Sums over `below`, the time itself first.
    second : ndarray, shape (..., m, 1 + q + g + k)
        Of a visit to level 2: what it earns, by how much more one level up, and into which phase
        it ends downwards.
    excursions
        The same of the excursions, if there are any.
    """

    frame: Frame
    below: Array
    inside: Array
    inside_first: Array
    earned_below: Array
    second: Array
    excursions: KnownExcursions | None

    @classmethod
    def of(
        cls, levels: Levels, boundary: Boundary, weights: Weights, frame: Frame | None = None
    ) -> Known:
        """From one chain for all that differ only in where a move upwards leads.

        Examples
        --------
        >>> one = np.ones((1, 1))
        >>> levels = Levels(9, one, 0 * one, 3 * one, 0 * one)
        >>> weights = Weights(one, one, 0 * one, one)
        >>> Known.of(levels, Boundary(0 * one, one, 3 * one), weights).inside.tolist()
        [[0.25]]
        """
        if frame is None:
            frame = Frame.of(levels, boundary, weights)
        below = _times(boundary.local, frame.rising)[..., frame.start.at, :]
        inside = inside_first = _times(levels.local, frame.leaving)
        if frame.leaving_first is not frame.leaving:
            inside_first = _times(levels.local, frame.leaving_first)
        return cls(
            frame, below, inside, inside_first, below @ frame.earned_below,
            inside @ frame.second, KnownExcursions.of(levels, weights, frame.growing),
        )  # fmt: skip


class KnownExcursions(NamedTuple):
    """Of phases that only rise and end in the core, all groups side by side."""

    inside: Array  # mean times within a level below the last
    joined: Array  # rates into the core, by group
    join: Array
    onward: Array  # where in the core a visit to a level below the last ends
    earned_first: Array  # per time in level 1, and in the last
    earned_last: Array
    second: Array  # in a visit to level 2: earned, by how much more one level up

    @classmethod
    def of(cls, levels: Levels, weights: Weights, growing: list[int]) -> KnownExcursions | None:
        """Of one chain, if it has any."""
        rise, stay, join = levels.rise, levels.stay, levels.join
        if rise is None or stay is None or join is None:
            return None
        none = np.zeros((*rise.shape[-3:-1], weights.core.shape[-1]))
        flat, slope, top = (
            _under(none if weight is None else weight)
            for weight in (weights.excursion, weights.excursion_slope, weights.excursion_top)
        )
        joined, more = join.sum(-1), with_mass(slope, 0.0)
        inside = diagonal(acyclic_ginverse(stay, joined + rise.sum(-1)))
        first = with_mass(flat) + more
        return cls(
            inside, joined, _under(join), inside @ _under(join), first, with_mass(top),
            inside @ beside(first + more, more[..., growing]),
        )  # fmt: skip


def _times(rates: Array, exits: Array) -> Array:
    """Mean times within a set of states, of which the rates alone may be a stack."""
    if exits.ndim == rates.ndim - 1:
        return acyclic_ginverse(rates, exits)
    each = np.empty(np.broadcast_shapes(rates.shape[:-1], exits.shape))
    each[...] = exits
    return acyclic_ginverse(rates, each)


def diagonal(groups: Array) -> Array:
    """Groups (..., g, t, u) along the diagonal of one matrix."""
    g, t, u = groups.shape[-3:]
    out = np.zeros((*groups.shape[:-3], g * t, g * u))
    for i in range(g):
        out[..., i * t : (i + 1) * t, i * u : (i + 1) * u] = groups[..., i, :, :]
    return out


def _under(groups: Array) -> Array:
    """Groups (..., g, t, u) under each other."""
    g, t, u = groups.shape[-3:]
    return groups.reshape(*groups.shape[:-3], g * t, u)


def batch_of(*parts: Array) -> tuple[int, ...]:
    """Leading dimensions of a stack of chains with these matrices."""
    whole: tuple[int, ...] = ()
    for part in parts:
        batch = part.shape[:-2]
        if batch not in ((), whole):
            whole = np.broadcast_shapes(whole, batch) if whole else batch
    return whole


def beside(*parts: Array) -> Array:
    """Matrices of equally many rows side by side; not all need be stacks."""
    rows, columns, end = parts[0].shape[-2], 0, 0
    for part in parts:
        columns += part.shape[-1]
    out = np.empty((*batch_of(*parts), rows, columns))
    for part in parts:
        begin, end = end, end + part.shape[-1]
        out[..., begin:end] = part
    return out


def with_mass(weight: Array, each: float = 1.0) -> Array:
    """Prepend the weight that makes the sum the total probability."""
    out = np.empty((*weight.shape[:-1], weight.shape[-1] + 1))
    out[..., 0], out[..., 1:] = each, weight
    return out
