"""Numpy's elementwise choices, for single numbers without numpy's overhead.

A formula that is written for arrays spends most of its time on bookkeeping when it is given single
numbers: ``np.where`` takes a microsecond, ``np.any`` and ``np.clip`` several, the choice itself
a twentieth of one. These functions make the choice where all arguments are single numbers and call
numpy otherwise. Values are the same bit for bit; what is returned for single numbers is a
``np.float64``, which divides by zero as arrays do, and is not made again where it is one. Nothing
transcendental is here: ``math.exp`` and ``np.exp`` may differ in the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from capmodel.formulary._typing import Array

# as far as formulas go, a single number is an array without dimensions
_FLOAT: Callable[[Any], Array] = np.float64  # type: ignore[assignment]  # see above
_SINGLE: Any = np.float64
_NUMBER = (float, int)
_TRUTH = (np.bool_, bool)


def floats(value: Any) -> Array:
    """As float64: a single number as ``np.float64``, anything else as an array."""
    if type(value) is _SINGLE:
        single: Array = value
        return single
    if isinstance(value, _NUMBER):
        return _FLOAT(value)
    array: Array = np.asarray(value, dtype=np.float64)[()]
    return array


def each_floats(*values: Any) -> tuple[Array, ...]:
    """Every argument as `floats` makes it."""
    return tuple(map(floats, values))


def minimum(a: Any, b: Any) -> Array:
    """As ``np.minimum``."""
    if isinstance(a, float) and isinstance(b, float):
        least: Any = a if a <= b or math.isnan(a) else b
        return least if type(least) is _SINGLE else _FLOAT(least)
    chosen: Array = np.minimum(a, b)
    return chosen


def maximum(a: Any, b: Any) -> Array:
    """As ``np.maximum``."""
    if isinstance(a, float) and isinstance(b, float):
        most: Any = a if a >= b or math.isnan(a) else b
        return most if type(most) is _SINGLE else _FLOAT(most)
    chosen: Array = np.maximum(a, b)
    return chosen


def clip(value: Any, low: Any, high: Any) -> Array:
    """As ``np.clip``."""
    if isinstance(value, float):
        return _FLOAT(low if value < low else high if value > high else value)
    chosen: Array = np.clip(value, low, high)
    return chosen


def where(condition: Any, yes: Any, no: Any) -> Array:
    """As ``np.where``."""
    if isinstance(condition, _TRUTH) and isinstance(yes, float) and isinstance(no, float):
        single: Any = yes if condition else no
        return single if type(single) is _SINGLE else _FLOAT(single)
    chosen: Array = np.where(condition, yes, no)[()]
    return chosen


def some(condition: Any) -> bool:
    """As ``np.any``, of everything."""
    if isinstance(condition, _TRUTH):
        return bool(condition)
    return bool(np.any(condition))


def inverse(value: Any, least: float = 0.0) -> Array:
    """1/value, and 0 where the value is not above `least`."""
    if isinstance(value, float):
        return _FLOAT(1.0 / value) if value > least else _FLOAT(0.0)
    array = np.asarray(value, dtype=np.float64)
    divided: Array = np.divide(1.0, array, out=np.zeros_like(array), where=array > least)[()]
    return divided
