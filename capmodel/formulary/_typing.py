"""Array types and the one conversion that every formula starts with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
ArrayLike = npt.ArrayLike


def asarrays(*values: ArrayLike) -> tuple[Array, ...]:
    """Every argument as a float64 array (broadcasting is left to numpy)."""
    return tuple(np.asarray(value, dtype=np.float64) for value in values)


def scalar_or_array(value: Any) -> Any:
    """A plain float for a zero-dimensional result, the array itself otherwise."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array
