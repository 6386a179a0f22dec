"""Phase-type fits: the moments of the textbook, and those asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.numerics.phase_type import MAX_ORDER, PhaseType


@pytest.mark.parametrize("order", [1, 2, 4, 8, 64])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_erlang_moments(order, k):
    """k-th moment of a sum of n exponentials of rate n: (n + k - 1)! / ((n - 1)! n^k)."""
    expected = math.prod(order + i for i in range(k)) / order**k
    assert PhaseType.erlang(1.0, order).moment(k) == pytest.approx(expected, rel=1e-13)


def test_exponential_moments():
    assert PhaseType.exponential(3.0).moment(4) == pytest.approx(24.0 * 81.0, rel=1e-14)


def test_two_exponentials_moments():
    """Balanced means by hand: at scv 4, p = (1 + sqrt(3/5))/2, each branch has half the mean."""
    p = (1.0 + math.sqrt(0.6)) / 2.0
    third = 6.0 * (p / (2.0 * p) ** 3 + (1.0 - p) / (2.0 * (1.0 - p)) ** 3)
    assert PhaseType.fit(1.0, 4.0).moment(3) == pytest.approx(third, rel=1e-12)


@given(st.floats(1e-9, 1e9), st.floats(1.0 / MAX_ORDER, 1e6))
def test_mean_and_scv_are_matched(mean, scv):
    fit = PhaseType.fit(mean, scv)
    assert fit.mean == pytest.approx(mean, rel=1e-12)
    assert fit.scv == pytest.approx(scv, rel=1e-9)
    assert fit.order <= MAX_ORDER
    assert fit.start.sum() == pytest.approx(1.0, rel=1e-14)
    assert np.all(fit.start >= 0.0)


@given(st.just(0.0) | st.floats(1e-9, 1.0), st.integers(1, 20))
def test_order_is_the_least(scv, most):
    """n phases reach an scv of 1/n at best."""
    order = PhaseType.fit(1.0, scv, most).order
    assert order == min(most, math.ceil(1.0 / scv - 1e-12)) if scv > 0.0 else order == most


def test_deterministic_is_an_erlang_distribution():
    fit = PhaseType.fit(2.0, 0.0, max_order=16)
    assert (fit.order, fit.mean, fit.scv) == (16, pytest.approx(2.0), pytest.approx(1.0 / 16.0))


def test_scaled_runs_faster():
    fit = PhaseType.fit(2.0, 0.3)
    assert fit.scaled(4.0).mean == pytest.approx(0.5)
    assert fit.scaled(4.0).scv == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("mean", "scv"), [(0.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, -0.1), (1.0, math.nan)]
)
def test_refuses(mean, scv):
    with pytest.raises(ValueError, match="must be"):
        PhaseType.fit(mean, scv)
