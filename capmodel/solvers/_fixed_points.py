"""Fixed points of a map, from several starts at once, by Anderson's acceleration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from capmodel.numerics.gth import Array

_TOLERANCE = 1e-9
_MOST_STEPS = 60
_MEMORY = 3
_FARTHEST = 5.0  # longest step in any coordinate


def fixed_points(step: Callable[[Array], Array], starts: Array, least: float) -> tuple[Array, int]:
    """Points x with step(x) = x that the starts lead to, in their order; and the steps taken.

    `step` maps a stack of points to a stack of points. Coordinates below `least` count as equal.
    Starts that do not converge are left out.
    """
    points = np.array(starts, dtype=np.float64)
    size, dimension = points.shape
    settled = np.zeros(size, dtype=bool)
    differences: list[tuple[Array, Array]] = []  # of points, of residuals
    previous: tuple[Array, Array] | None = None
    taken = 0
    for _ in range(_MOST_STEPS):
        image = step(points)
        taken += 1
        residual = image - points
        effective = np.maximum(image, least) - np.maximum(points, least)
        settled = np.abs(effective).max(-1) < _TOLERANCE
        if np.all(settled):
            break
        if previous is not None:
            differences.append((points - previous[0], residual - previous[1]))
            differences = differences[-_MEMORY:]
        previous = points, residual
        points = _next(points, image, residual, differences)
    return points[settled], taken


def _next(
    points: Array, image: Array, residual: Array, differences: list[tuple[Array, Array]]
) -> Array:
    new = image
    if differences:
        moved = np.stack([d[0] for d in differences], axis=-1)
        changed = np.stack([d[1] for d in differences], axis=-1)
        square = changed.swapaxes(-1, -2) @ changed
        trace = np.trace(square, axis1=-2, axis2=-1)[..., None, None]
        square = square + (1e-12 * trace + 1e-300) * np.eye(square.shape[-1])
        weights = np.linalg.solve(square, changed.swapaxes(-1, -2) @ residual[..., None])
        new = image - ((moved + changed) @ weights)[..., 0]
    return points + np.clip(new - points, -_FARTHEST, _FARTHEST)
