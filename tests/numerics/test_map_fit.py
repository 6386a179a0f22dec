"""Fits: what is asked for is got, what can be had is granted, what cannot is refused."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_fit import correlation_bounds, fit_map, fit_map2, fit_mmpp2
from capmodel.testing import maps

rates = st.floats(1e-2, 1e2)


def has(process: MAP, scv: float, correlation: float, mean: float = 1.0) -> None:
    assert process.mean == pytest.approx(mean, rel=1e-9)
    assert process.scv == pytest.approx(scv, rel=1e-8)
    assert float(process.autocorrelation(1)) == pytest.approx(correlation, abs=1e-9)


def test_the_canonical_form_of_the_literature() -> None:
    """BuTools' documentation of MAP2FromMoments (after Bodrog et al. 2008), five digits each."""
    moments, correlation = (0.04918, 0.0052609, 0.00091819), 0.022416
    scv = moments[1] / moments[0] ** 2 - 1.0
    fitted = fit_map2(scv, correlation, mean=moments[0], third_moment=moments[2] / moments[0] ** 3)
    # two rounded digits cancel in these moments: compare what they say of the process of which
    # the documentation says that they are
    origin = MAP([[0, 1.0], [1.0, 0]], [[6.0, 7.0], [3.0, 21.0]])
    np.testing.assert_allclose(origin.moments(), moments, rtol=2e-5)
    assert float(origin.autocorrelation(1)) == pytest.approx(correlation, rel=3e-5)
    np.testing.assert_allclose(fitted.moments(), moments, rtol=1e-9)
    exact = fit_map2(
        origin.scv, float(origin.autocorrelation(1)), mean=origin.mean,
        third_moment=origin.moments()[2] / origin.mean**3,
    )  # fmt: skip
    np.testing.assert_allclose(exact.silent, [[0, 9.199], [0, 0]], rtol=1e-4)
    np.testing.assert_allclose(exact.arriving, [[4.7108, 0], [2.801, 22.289]], rtol=1e-4)


def published_bounds(scv: float, third: float) -> tuple[float, float]:
    """Bodrog, Heindl, Horvath, Telek 2008, as the documentation of BuTools restates them."""
    h2 = (scv + 1.0) / 2.0 - 1.0
    h3 = third / 6.0 - (scv + 1.0) ** 2 / 4.0
    above = h2 if h2 >= 0 else -((h2 + math.sqrt(-h3)) ** 2)
    if h2 <= 0 or h3 / h2 + h2 < 1:
        below = -h3 - h2**2
    else:
        t = h3 + h2**2 - h2
        root = math.sqrt(t**2 + 4.0 * h2**3)
        below = h2 * (t - root) / (t + root)
    low, high = sorted((below / scv, above / scv))
    return low, high


@given(st.floats(1.01, 50.0), st.floats(1.001, 20.0))
def test_the_bounds_are_the_published_ones(scv: float, excess: float) -> None:
    third = 1.5 * (1.0 + scv) ** 2 * excess
    ours, theirs = correlation_bounds(scv, third), published_bounds(scv, third)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


@given(st.floats(0.51, 0.99), st.floats(0.0, 1.0))
def test_the_bounds_below_exponential_are_the_published_ones(scv: float, part: float) -> None:
    low, high = 9 * scv - 3 + 3 * math.sqrt(2) * (1 - scv) ** 1.5, 6 * scv
    third = low + part * (high - low)
    ours, theirs = correlation_bounds(scv, third), published_bounds(scv, third)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@given(maps())
def test_every_process_of_two_phases_can_be_asked_for(process: MAP) -> None:
    scv, correlation = process.scv, float(process.autocorrelation(1))
    assume(abs(scv - 1.0) > 1e-2)
    third = process.moments()[2] * process.rate**3
    assume(abs(third / (1.5 * (1.0 + scv) ** 2) - 1.0) > 1e-6 or scv < 1.0)
    fitted = fit_map2(scv, correlation, mean=process.mean, third_moment=third)
    np.testing.assert_allclose(fitted.moments(), process.moments(), rtol=1e-7)
    np.testing.assert_allclose(
        fitted.autocorrelation([1, 2, 5]), process.autocorrelation([1, 2, 5]), atol=1e-7
    )


@given(rates, rates, rates, rates)
def test_there_is_one_modulated_poisson_process_each(
    high: float, low: float, out: float, back: float
) -> None:
    """What is fitted to a process's own statistics is that process."""
    assume(abs(high - low) > 0.1 * max(high, low))
    process = MAP.mmpp([high, low], [out, back])
    scv, correlation = process.scv, float(process.autocorrelation(1))
    assume(scv > 1.01)
    third = process.moments()[2] * process.rate**3
    assume(third > 1.5 * (1.0 + scv) ** 2 * 1.001)
    again = fit_mmpp2(scv, correlation, mean=process.mean, third_moment=third)
    order = [0, 1] if high > low else [1, 0]
    np.testing.assert_allclose(np.diag(again.arriving), np.array([high, low])[order], rtol=1e-5)
    np.testing.assert_allclose(again.silent.sum(1), np.array([out, back])[order], rtol=1e-5)


@given(st.floats(1.0001, 1e3), st.floats(0.0, 0.999999), st.floats(1e-6, 1e6))
def test_mmpp_reaches_its_whole_region(scv: float, part: float, mean: float) -> None:
    correlation = part * 0.5 * (scv - 1.0) / scv
    process = fit_mmpp2(scv, correlation, mean=mean)
    has(process, scv, correlation, mean)
    lags = np.array([1, 2, 3])
    decay = 2.0 * scv * correlation / (scv - 1.0)
    np.testing.assert_allclose(
        process.autocorrelation(lags), correlation * decay ** (lags - 1), atol=1e-9
    )
    assert np.count_nonzero(process.arriving - np.diag(np.diag(process.arriving))) == 0


@given(st.floats(0.5, 1e3), st.floats(0.0, 1.0))
def test_two_phases_reach_their_whole_region(scv: float, part: float) -> None:
    assume(abs(scv - 1.0) > 1e-3)
    low, high = correlation_bounds(scv)
    correlation = low + (high - low) * (0.0005 + 0.999 * part)
    has(fit_map2(scv, correlation), scv, correlation)


@given(st.floats(0.125, 1e3), st.floats(0.0, 1.0), st.floats(0.001, 0.9999), st.floats(1e-6, 1e6))
def test_correlation_and_decay_by_themselves(
    scv: float, part: float, decay: float, mean: float
) -> None:
    correlation = part * decay * (8.0 * scv - 1.0) / (9.0 * scv)
    process = fit_map(scv, correlation, decay, mean=mean)
    has(process, scv, correlation, mean)
    np.testing.assert_allclose(
        process.autocorrelation([2, 10]), correlation * decay ** np.array([1, 9]), atol=1e-9
    )
    assert process.order <= 16


def test_a_slow_decay_keeps_its_digits() -> None:
    """1 - decay = 1e-9: the sum of the correlations is 1e9 times the first."""
    correlation = 0.375 * (1.0 - 1e-9)
    process = fit_mmpp2(4.0, correlation)
    total = 4.0 * (1.0 + 2.0 * correlation / 1e-9)
    assert process.dispersion_limit == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize(
    ("scv", "correlation", "third", "message"),
    [
        (4.0, 0.375, None, "correlation must be from 0 to below (scv - 1)/(2 scv) = 0.375 for an"),
        (4.0, -0.01, None, "got -0.01"),
        (0.9, 0.0, None, "scv must be 1 or more for an MMPP of two phases, got 0.9"),
        (1.0, 0.1, None, "correlation must be 0 for an MMPP of two phases with scv 1"),
        (4.0, 0.1, 37.5, "third_moment must be above 1.5 (1 + scv)^2 = 37.5 for scv 4"),
        (math.nan, 0.1, None, "scv must be positive and finite"),
        (math.inf, 0.1, None, "scv must be positive and finite"),
        (4.0, math.nan, None, "correlation must be from -1 to below 1"),
    ],
)
def test_what_an_mmpp_cannot_be(
    scv: float, correlation: float, third: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_mmpp2(scv, correlation, third_moment=third)


@pytest.mark.parametrize("scv", [0.5, 0.6, 0.9, 1.5, 2.9, 3.0, 10.0])
@pytest.mark.parametrize("third", [None, "some"])
def test_just_outside_is_refused_with_the_bounds(scv: float, third: str | None) -> None:
    middle = 1.0001 * (9 * scv - 3 + 3 * math.sqrt(2) * (1 - scv) ** 1.5) if scv < 1 else 0.0
    value = None if third is None else min(middle, 6 * scv) if scv < 1 else 3.0 * (1 + scv) ** 2
    low, high = correlation_bounds(scv, value)
    for outside in (low - 1e-3, high + 1e-3):
        with pytest.raises(ValueError, match=re.escape(f"{low:.6g}")) as refusal:
            fit_map2(scv, outside, third_moment=value)
        assert f"{high:.6g}" in str(refusal.value)
        assert "for a process of two phases" in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.4, 0.0), "scv must be 0.5 or more for a process of two phases, got 0.4"),
        ((1.0, 0.1), "correlation must be 0 for a process of two phases with scv 1"),
    ],
)
def test_what_two_phases_cannot_be(arguments: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_map2(*arguments)
    with pytest.raises(ValueError, match=r"third_moment must be from 3\.\d+ to 6 scv = 3.6"):
        fit_map2(0.6, 0.0, third_moment=9.0)
    with pytest.raises(ValueError, match="mean must be positive and finite"):
        fit_map2(4.0, 0.1, mean=0.0)


def test_what_no_process_of_regimes_is() -> None:
    for arguments, message in (
        ((0.1, 0.0, 0.5), "scv must be 1/8 or more"),
        ((2.0, 0.1, 1.0), "decay must be between 0 and 1, both excluded"),
        ((2.0, 0.5, 0.5), "correlation must be from 0 to 0.416667 for scv 2 and decay 0.5"),
        ((2.0, -0.1, 0.5), "correlation must be from 0 to"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            fit_map(*arguments)


def test_without_correlation_it_is_a_renewal_process() -> None:
    assert fit_map(1.0, 0.0, 0.5) == MAP.mmpp([1.0], [[0.0]])
    assert fit_mmpp2(1.0, 0.0, mean=0.5) == MAP.mmpp([2.0], [[0.0]])
    assert correlation_bounds(1.0) == (0.0, 0.0)
