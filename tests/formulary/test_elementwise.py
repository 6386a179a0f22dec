"""Choices between single numbers are numpy's own, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import _elementwise as fast

ANY = st.floats(allow_nan=True, allow_infinity=True)


def same(got: object, expected: object) -> None:
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
    assert np.asarray(got).dtype == np.asarray(expected).dtype
    assert np.shape(got) == np.shape(expected)


@given(ANY, ANY, st.booleans())
def test_as_numpy(a, b, flag):
    for one, other in ((a, b), (np.float64(a), b), (a, np.array([b, 1.0]))):
        same(fast.minimum(one, other), np.minimum(one, other))
        same(fast.maximum(one, other), np.maximum(one, other))
        same(fast.where(flag, one, other), np.where(flag, one, other))
    same(fast.where(np.array([flag, True]), a, b), np.where([flag, True], a, b))
    for value in (a, np.float64(a), np.array([a, b])):
        same(fast.clip(value, 0.0, 1.0), np.clip(value, 0.0, 1.0))
        same(fast.floats(value), np.asarray(value, dtype=np.float64))


@given(st.floats(1e-300, 1e300), st.floats(-1e300, 1e-301))
def test_inverse(large, small):
    """Where nothing is left to divide by, the inverse is 0."""
    same(fast.inverse(large, 1e-300 / 2), 1.0 / np.float64(large))
    same(fast.inverse(small, 1e-300), np.float64(0.0))
    same(fast.inverse(np.array([large, small]), 1e-300 / 2), np.array([1.0 / large, 0.0]))


@pytest.mark.parametrize("flag", [True, False, np.bool_(True), np.array([False, True]), [False]])
def test_some(flag):
    assert fast.some(flag) is bool(np.any(flag))


def test_single_numbers_divide_as_arrays_do():
    """No ZeroDivisionError where an array would give infinity."""
    with np.errstate(divide="ignore"):
        assert 1.0 / fast.floats(0) == np.inf
        assert 1.0 / fast.maximum(0.0, 0.0) == np.inf
        assert 1.0 / fast.where(True, 0.0, 1.0) == np.inf
