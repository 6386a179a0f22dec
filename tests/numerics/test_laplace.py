"""Numerical inversion of transforms of known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from capmodel.numerics.laplace import cdf_of, moments_of, quantile_of


def gamma(shape: float):
    return lambda s: (1.0 + s) ** -shape


@pytest.mark.parametrize("shape", [1.0, 2.5, 40.0, 2000.0])
def test_gamma_distributions(shape: float) -> None:
    law, spread = stats.gamma(shape), np.sqrt(shape)
    for z in (-3.0, -1.0, 0.0, 1.0, 4.0):
        time = max(shape + z * spread, 0.05 * shape)
        assert cdf_of(gamma(shape), time, spread) == pytest.approx(law.cdf(time), abs=1e-9)
    for p in (1e-4, 0.5, 0.999):
        found = quantile_of(gamma(shape), p, shape, spread)
        assert found == pytest.approx(law.ppf(p), rel=1e-7)


def test_a_rare_event_keeps_its_digits() -> None:
    rare = 1e-12
    assert cdf_of(lambda s: rare / (rare + s), 5.0, 1.0 / rare) == pytest.approx(
        -np.expm1(-5.0 * rare), rel=1e-9
    )


def test_moments() -> None:
    mean, spread = moments_of(gamma(9.0), 5.0)
    assert mean == pytest.approx(9.0, rel=1e-5)
    assert spread == pytest.approx(3.0, rel=1e-5)


def test_nothing_comes_at_once_and_a_step_is_refused() -> None:
    assert cdf_of(gamma(1.0), 0.0, 1.0) == 0.0
    with pytest.raises(ArithmeticError, match="too many terms"):
        cdf_of(lambda s: np.exp(-s), 1.0, 1e-9)
