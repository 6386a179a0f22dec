"""What the finite-buffer formulas ask of their arguments, and the loop over broadcast elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike

_LARGEST_LOAD = 1e9


def _refuse(name: str, allowed: str, values: Array, good: Any) -> None:
    if not np.all(good):
        worst = values[~np.asarray(good)].flat[0] if values.ndim else values.item()
        raise ValueError(f"{name} must be {allowed}, not {worst:g}")


def whole(name: str, value: ArrayLike, least: int = 1, most: int = 10_000_000) -> Array:
    """Whole numbers within bounds, as float64."""
    values = np.asarray(value, dtype=np.float64)
    good = (values >= least) & (values <= most) & (values == np.floor(values))
    _refuse(name, f"a whole number from {least} to {most}", values, good)
    return values


def load_of(name: str, value: ArrayLike) -> Array:
    """Offered loads from 0 to a billion; a larger one is a slip of units."""
    values = np.asarray(value, dtype=np.float64)
    _refuse(name, "from 0 to 1e9", values, (values >= 0.0) & (values <= _LARGEST_LOAD))
    return values


def positive(name: str, value: ArrayLike) -> Array:
    """Positive finite numbers."""
    values = np.asarray(value, dtype=np.float64)
    _refuse(name, "positive and finite", values, (values > 0.0) & np.isfinite(values))
    return values


def not_negative(name: str, value: ArrayLike, *, infinite: bool = False) -> Array:
    """Numbers from 0 up; infinity where it has a meaning."""
    values = np.asarray(value, dtype=np.float64)
    good = (values >= 0.0) & (np.isfinite(values) | infinite)
    _refuse(name, "0 or more" + ("" if infinite else " and finite"), values, good)
    return values


def probability(name: str, value: ArrayLike) -> Array:
    """Probabilities strictly between 0 and 1."""
    values = np.asarray(value, dtype=np.float64)
    _refuse(name, "between 0 and 1, both excluded", values, (values > 0.0) & (values < 1.0))
    return values


def elementwise(function: Callable[..., float], *arrays: Array) -> Array:
    """`function` of every element of the broadcast arrays; equal elements are worked out once."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    columns = [np.broadcast_to(array, shape).ravel().tolist() for array in arrays]
    known: dict[tuple[float, ...], float] = {}
    for row in zip(*columns, strict=True):
        if row not in known:
            known[row] = function(*row)
    values = [known[row] for row in zip(*columns, strict=True)]
    return np.array(values, dtype=np.float64).reshape(shape)
