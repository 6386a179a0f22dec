"""The diffusion against exact chains, in rational and in 90-digit arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import loss_gg1k_diffusion
from tests.oracles.chains import md1k_loss, mm1k_loss
from tests.oracles.reference import reference_values

LOADS = (
    "0.3",
    "0.7",
    "0.8",
    "0.9",
    "0.95",
    "0.98",
    "1.0",
    "1.02",
    "1.05",
    "1.1",
    "1.3",
    "2.0",
    "4",
)


def exact(service: str, load: str, capacity: int) -> float:
    return float(
        mm1k_loss(Fraction(load), capacity)
        if service == "exponential"
        else md1k_loss(load, capacity)
    )


VARIABILITY = {"exponential": 2.0, "deterministic": 1.0}


@pytest.mark.parametrize("service", VARIABILITY)
@pytest.mark.parametrize("capacity", [32, 64, 100])
@pytest.mark.parametrize("load", LOADS)
def test_carried_rate_within_a_thousandth(service: str, capacity: int, load: str) -> None:
    """The docstring promises 3 %; it is 0.07 % at worst (M/M/1/32 at load 0.9)."""
    lost = exact(service, load, capacity)
    found = float(loss_gg1k_diffusion(float(load), capacity, VARIABILITY[service]))
    assert 1.0 - found == pytest.approx(1.0 - lost, rel=1e-3)


@pytest.mark.parametrize("service", VARIABILITY)
@pytest.mark.parametrize("load", ["0.9", "0.95", "0.98", "1.0", "1.02", "1.1", "2.0"])
def test_loss_itself_within_a_factor_of_two_near_one(service: str, load: str) -> None:
    found = float(loss_gg1k_diffusion(float(load), 32, VARIABILITY[service]))
    assert 0.5 < found / exact(service, load, 32) < 2.0


@pytest.mark.parametrize("prefix", ["MM1K_loss", "MD1K_loss"])
def test_reference_values_at_a_buffer_of_fifty(prefix: str) -> None:
    found = 0
    for p, (value,) in reference_values(prefix).values():
        if p["K"] == 50:
            diffusion = loss_gg1k_diffusion(p["rho"], 50, 2.0 if prefix[1] == "M" else 1.0)
            assert 1.0 - diffusion == pytest.approx(1.0 - value, abs=1e-3)
            found += 1
    assert found >= 2


@given(st.floats(0.01, 20.0), st.integers(1, 10**6))
def test_no_variability_is_the_fluid(load: float, capacity: int) -> None:
    fluid = max(1.0 - 1.0 / load, 0.0)
    assert float(loss_gg1k_diffusion(load, capacity, 0.0)) == pytest.approx(fluid, abs=1e-15)
    assert float(loss_gg1k_diffusion(load, 1e12, 2.0)) == pytest.approx(fluid, abs=1e-9)


@given(st.floats(0.1, 3.0), st.floats(1.0, 1e4), st.floats(0.01, 2.0))
def test_monotone_in_everything(load: float, capacity: float, spread: float) -> None:
    here = float(loss_gg1k_diffusion(load, capacity, spread))
    slack = 1e-12
    assert loss_gg1k_diffusion(1.01 * load, capacity, spread) >= here * (1 - slack)
    assert loss_gg1k_diffusion(load, 1.5 * capacity, spread) <= here * (1 + slack)
    assert loss_gg1k_diffusion(load, capacity, 1.5 * spread) >= here * (1 - slack)
    assert here >= max(1.0 - 1.0 / load, 0.0) * (1 - slack)


def test_continuous_through_load_one() -> None:
    steps = np.array([-1e-6, -1e-9, -1e-11, -1e-13, 0.0, 1e-13, 1e-11, 1e-9, 1e-6])
    near = loss_gg1k_diffusion(1.0 + steps, 64.0, 2.0)
    np.testing.assert_allclose(near, 1.0 / 65.0, rtol=1e-4)


def test_tiny_losses_do_not_vanish() -> None:
    """exp(-gamma) of the heavy-traffic solution, far below the rounding of 1."""
    found = float(loss_gg1k_diffusion(0.5, 300, 2.0))
    gamma = 2 * 300 * 0.5 / 2.0
    assert found == pytest.approx(0.5 * np.exp(-gamma), rel=1e-9)
