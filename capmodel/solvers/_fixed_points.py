"""Fixed points of a map, from several starts at once, by Anderson's acceleration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from capmodel.numerics.gth import Array

Result = TypeVar("Result")

_TOLERANCE = 3e-5  # of the last step; the point it leads to is closer by the map's contraction
_MOST_STEPS = 60
_PATIENCE = 6  # steps before the search is kept within brackets
_MERGED = 1e-3  # starts that have come so close lead to the same point
_CALM = 0.3  # a point that moves less hardly moves
_FARTHEST = 2.0  # most that the secant changes any coordinate


def fixed_points(
    step: Callable[[Array], tuple[Array, Result]], starts: Array, least: float
) -> tuple[list[tuple[Result, int]], int]:
    """Fixed points that the starts lead to, in the order of the starts, and how many starts failed.

    `step` maps a stack of points to a stack of points and anything else that it found on the way;
    of the latter the last is returned, with the position of the fixed point in its stack.
    Values of the map below `least` count as `least`. A search that takes long is bracketed by the
    mean of all coordinates but the last.
    """
    points = np.array(starts, dtype=np.float64)
    before: tuple[Array, Array] | None = None  # points and residuals one step ago
    found: list[tuple[int, Result, int]] = []
    names, search = np.arange(len(points)), _Brackets(points, least)
    for taken in range(_MOST_STEPS):
        image, result = step(points)
        image = np.maximum(image, least)
        residual = image - points
        size = np.maximum.reduce(np.abs(residual), -1)
        settled = size < _TOLERANCE
        found += [(int(names[i]), result, int(i)) for i in settled.nonzero()[0]]
        if len(found) and settled.all():
            names = names[:0]
            break
        # the first step goes to the image itself, so that those who meet there stay together
        calm = size < (np.inf if before is None else _CALM)
        keep = ~settled & _first_of_its_kind(image, calm)
        if not keep.any():
            names = names[:0]
            break
        search.saw(names, points, image, residual)
        following = image if before is None else _accelerated(points, image, residual, before)
        if taken >= _PATIENCE:
            following = search.within(following, halving=taken % 2 == 0)
        if keep.all():
            before, points = (points, residual), following
            continue
        names, before, points = names[keep], (points[keep], residual[keep]), following[keep]
    found.sort(key=lambda entry: entry[0])
    return [(result, i) for _, result, i in found], len(names)


class _Brackets:
    """Where each search must look, worked out from all that it saw once it takes long."""

    def __init__(self, starts: Array, least: float) -> None:
        self.least, self.names, self.shape = least, np.arange(len(starts)), starts
        self.bracket = np.stack([np.full(len(starts), -np.inf), np.full(len(starts), np.inf)])
        self.seen: list[tuple[npt.NDArray[np.intp], Array, Array, Array]] = []

    def saw(
        self, names: npt.NDArray[np.intp], points: Array, image: Array, residual: Array
    ) -> None:
        """Remember a step of the searches of these names, which rise."""
        self.seen.append((names, points, image, residual))

    def within(self, following: Array, *, halving: bool) -> Array:
        """Points to go to instead, for the searches of the last step."""
        names = self.seen[-1][0]
        rows = np.searchsorted(self.names, names)
        shape, bracket = self.shape[rows], self.bracket[:, rows]
        for some, points, image, residual in self.seen:
            rows = np.searchsorted(some, names)
            # how the coordinates differ from each other, unless the limit has made them equal
            free = np.logical_and.reduce(image[rows] > self.least, -1, keepdims=True)
            shape = np.where(free, image[rows], shape)
            bracket = _narrowed(bracket, points[rows], residual[rows])
        self.names, self.shape, self.bracket, self.seen = names, shape, bracket, []
        following = shape if halving else np.where(free, following, shape)
        return _inside(following, bracket, halving)


def _narrowed(bracket: Array, points: Array, residual: Array) -> Array:
    """Where the mean of the coordinates must lie if the map falls as they rise."""
    mean, way = points[:, :-1].mean(-1), residual[:, :-1].mean(-1)
    low = np.where(way > 0.0, np.maximum(bracket[0], mean), bracket[0])
    high = np.where(way < 0.0, np.minimum(bracket[1], mean), bracket[1])
    # found while the shape was another: look around once more
    margin = np.where(high - low < 1e-3 * np.abs(way), 0.5, 0.0)
    return np.stack([low - margin, high + margin])


def _inside(points: Array, bracket: Array, always: bool) -> Array:
    """Shift points to the middle of the bracket: those whose mean is outside, or all."""
    low, high = bracket
    mean = points[:, :-1].mean(-1)
    known = np.isfinite(low) & np.isfinite(high)  # an open end has no middle to go to
    low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
    outside = known & (low < high) & (always | (mean <= low) | (mean >= high))
    middle = np.where(outside, 0.5 * (low + high), mean)
    shift = np.ones(points.shape[-1])
    shift[-1] = 0.0
    shifted: Array = points + (middle - mean)[:, None] * shift
    return shifted


def _first_of_its_kind(points: Array, calm: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether no earlier point is on the way to the same place: close by, both hardly moving."""
    if len(points) == 1:
        return np.ones(1, dtype=np.bool_)
    near = np.abs(points[:, None] - points).max(-1) < _MERGED
    same = near & calm[:, None] & calm
    first: npt.NDArray[np.bool_] = ~np.tril(same, -1).any(-1)
    return first


def _accelerated(
    points: Array, image: Array, residual: Array, before: tuple[Array, Array]
) -> Array:
    """Secant step along the last change of the residual (Anderson's method of depth one)."""
    moved, changed = points - before[0], residual - before[1]
    length = (changed * changed).sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = (changed * residual).sum(-1, keepdims=True) / length
    # where the residual hardly changes there is nothing to learn from it
    weight = np.where(np.abs(weight) < 2.0, weight, 0.0)
    return image - np.clip(weight * (moved + changed), -_FARTHEST, _FARTHEST)
