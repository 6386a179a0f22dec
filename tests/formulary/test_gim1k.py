"""GI/M/1/K: the chain of what an arrival finds, in many digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from capmodel.formulary import loss_gim1k, loss_mm1k
from tests.oracles.finite_queues import counts, gim1k_loss

LAWS = ["deterministic", "exponential", ("erlang", 4), ("hyperexponential", 4.0)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", [0.05, 0.5, 0.95, 1 - 1e-9, 1.0, 1 + 1e-9, 1.4, 20.0])
@pytest.mark.parametrize("capacity", [1, 2, 3, 12, 25])
def test_embedded_chain(law: Any, load: float, capacity: int) -> None:
    expected = gim1k_loss(law, load, capacity, 320)
    if expected > 1e-290:
        found = float(loss_gim1k(load, capacity, law))
        assert float(found / expected - 1) == pytest.approx(0.0, abs=3e-14)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", [0.1, 0.8, 2.0])
def test_one_place(law: Any, load: float) -> None:
    """Lost if the service outlasts the interval: the transform of the interval."""
    expected = float(counts(law, 1 / load, 1)[0])
    assert float(loss_gim1k(load, 1, law)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("load", [0.02, 0.9, 1.0, 3.0])
@pytest.mark.parametrize("capacity", [1, 30, 150])
def test_one_phase_is_poisson(load: float, capacity: int) -> None:
    expected = float(loss_mm1k(load, capacity))
    for law in [("erlang", 1), ("hyperexponential", 1.0)]:
        assert float(loss_gim1k(load, capacity, law)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("load", [0.7, 0.9])
def test_decay_of_constant_intervals(load: float) -> None:
    """A place more multiplies the loss by s = exp(-(1 - s)/load), the root of GI/M/1."""
    root = brentq(lambda s: np.exp(-(1 - s) / load) - s, 0.0, 1 - 0.5 * (1 - load), xtol=1e-15)
    a, b = loss_gim1k(load, [200, 300])
    assert b / a == pytest.approx(root**100, rel=1e-11)


def test_large_and_extreme() -> None:
    for law in LAWS:
        big = loss_gim1k([1e-9, 1e-3, 0.5, 1.0, 2.0, 1e6], 10_000_000, law)
        assert np.all(big >= 0.0)
        np.testing.assert_allclose(big[-2:], [0.5, 1 - 1e-6], rtol=1e-12)
        assert 0 < big[3] < 1e-6
    assert float(loss_gim1k(0.0, 3)) == 0.0


@example(1.4e-45, 3, ("erlang", 4))
@example(7.7e-229, 1551, ("hyperexponential", 4.0))
@given(load=st.floats(0.0, 1e6), capacity=st.integers(1, 10_000_000), law=st.sampled_from(LAWS))
def test_numbers_are_numbers(load: float, capacity: int, law: Any) -> None:
    loss = float(loss_gim1k(load, capacity, law))
    assert max(0.0, (load - 1.0) / load if load else 0.0) * (1 - 1e-9) <= loss <= 1.0


def test_broadcasting_and_refusals() -> None:
    assert loss_gim1k([[0.5], [1.0]], [1, 2, 3]).shape == (2, 3)
    with pytest.raises(ValueError, match="arrivals must be one of"):
        loss_gim1k(0.5, 3, "poisson")
