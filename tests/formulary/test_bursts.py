"""Bursts and finite runs against integrated equations, uniformised chains and stepped fluids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capmodel.formulary import (
    buffer_for_loss_on_off,
    finite_run_drops,
    finite_run_loss_diffusion,
    loss_on_off_deterministic,
    loss_on_off_fluid,
)
from tests.oracles.chains import mm1k_transient_losses, mmpp_loss, on_off_loss
from tests.oracles.reference import reference_values


@pytest.mark.parametrize("rate", [1.1, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("capacity", [200, 400])
@pytest.mark.parametrize("fillings", [0.7, 1.0, 1.3, 2.0, 4.0])
def test_finite_run_against_the_uniformised_chain(
    rate: float, capacity: int, fillings: float
) -> None:
    """Length in units of the time that the drift needs to fill the buffer."""
    length = fillings * capacity / (rate - 1.0)
    exact = mm1k_transient_losses(rate, 1.0, capacity, length)
    found = float(finite_run_loss_diffusion(rate, 1.0, capacity, length))
    assert found == pytest.approx(exact, abs=1e-3 * rate * length)  # of what was offered
    if fillings >= 2.0:
        assert found == pytest.approx(exact, rel=1e-3)  # of what was lost


def test_finite_run_reference_values() -> None:
    for p, (value,) in reference_values("MM1K_transient").values():
        found = finite_run_loss_diffusion(p["lam"], p["mu"], p["K"], p["T"])
        assert found == pytest.approx(value, rel=1e-3)


def test_long_run_loses_the_drift_less_one_buffer() -> None:
    """Overload delta for T fills K once and then loses all of the drift."""
    found = float(finite_run_loss_diffusion(1.5, 1.0, 100, 1e6))
    assert found == pytest.approx(0.5e6 - 100 - 1 + (1.5 + 1.0) / 0.5, rel=1e-7)


def test_finite_run_fluid() -> None:
    """Counting packets one by one: rate 2, service 1, buffer 30, all that is inside is saved."""
    inside, lost = 0.0, 0.0
    for _ in range(100):
        inside += 1.0
        lost += max(inside - 30.0, 0.0)
        inside = min(inside, 30.0)
    assert float(finite_run_drops(1.0, 30.0, 100.0)) == pytest.approx(lost / 100.0)
    assert float(finite_run_drops(1.0, 300.0, 100.0)) == 0.0
    assert float(finite_run_drops(1.0, 300.0, np.inf)) == 1.0


@pytest.mark.parametrize("capacity", [1.0, 50.0, 100.0, 400.0])
@pytest.mark.parametrize(
    ("peak", "drain", "leave_on", "leave_off"),
    [
        (2.0, 1.0, 0.02, 0.01),
        (2.0, 1.0, 0.01, 0.03),  # overloaded on average
        (2.0, 1.0, 0.02, 0.02 + 1e-9),  # at the critical load, to rounding
        (10.0, 3.0, 0.5, 0.02),
        (1.2, 1.0, 0.001, 0.001),
    ],
)
def test_on_off_against_the_forward_equations(
    peak: float, drain: float, leave_on: float, leave_off: float, capacity: float
) -> None:
    exact = float(on_off_loss(peak, drain, leave_on, leave_off, capacity))
    found = float(loss_on_off_fluid(peak, drain, leave_on, leave_off, capacity))
    assert found == pytest.approx(exact, rel=1e-6 if abs(leave_on - leave_off) < 1e-8 else 1e-10)


def test_on_off_reference_values() -> None:
    ((p, (value,)),) = reference_values("MMFF").values()
    found = loss_on_off_fluid(p["h"], p["c"], p["al"], p["be"], p["K"])
    assert found == pytest.approx(value, rel=1e-12)


def test_on_off_at_exactly_the_critical_load() -> None:
    exact = float(on_off_loss(2.0, 1.0, 0.02, 0.02, 100.0))
    assert float(loss_on_off_fluid(2.0, 1.0, 0.02, 0.02, 100.0)) == pytest.approx(exact, rel=1e-12)


def test_on_off_is_the_limit_of_packets() -> None:
    """Ever more packets per burst bring the packet chain to the fluid, at the rate of 1/size."""
    fluid = float(loss_on_off_fluid(2.0, 1.0, 0.02, 0.01, 50.0))
    errors = []
    for packets in (1, 2, 4):
        rates = (1e-12, 2.0 * packets)
        chain = mmpp_loss(rates, (0.01, 0.02), 1.0 * packets, 50 * packets)
        errors.append(chain / fluid - 1.0)
    assert errors[0] > errors[1] > errors[2] > 0.0
    assert errors[2] == pytest.approx(errors[0] / 4.0, rel=0.2)


@given(st.floats(1.01, 20.0), st.floats(0.01, 5.0), st.floats(0.02, 0.98), st.floats(1e-9, 0.5))
def test_buffer_and_loss_are_inverse(
    peak: float, leave_on: float, load: float, target: float
) -> None:
    assume(load / peak < 0.99)
    share_on = load / peak  # of the time, so that the mean rate is `load` of a drain of 1
    leave_off = leave_on * share_on / (1.0 - share_on)
    size = float(buffer_for_loss_on_off(peak, 1.0, leave_on, leave_off, target))
    without = (peak - 1.0) / peak
    if target >= without:
        assert size == 0.0
    else:
        found = float(loss_on_off_fluid(peak, 1.0, leave_on, leave_off, size))
        assert found == pytest.approx(target, rel=1e-6)


def test_no_buffer_is_enough_for_an_overload() -> None:
    assert buffer_for_loss_on_off(2.0, 1.0, 0.01, 0.02, 1e-3) == np.inf
    assert buffer_for_loss_on_off(0.9, 1.0, 0.01, 0.02, 1e-3) == 0.0


@given(st.floats(0.1, 4.0), st.floats(0.001, 1.0), st.floats(0.001, 1.0), st.floats(1.0, 1e3))
def test_on_off_loss_falls_with_buffer(
    peak: float, leave_on: float, leave_off: float, capacity: float
) -> None:
    small = loss_on_off_fluid(peak, 1.0, leave_on, leave_off, capacity)
    large = loss_on_off_fluid(peak, 1.0, leave_on, leave_off, 1.2 * capacity)
    assert large <= small * (1.0 + 1e-9)
    if peak <= 1.0:
        assert small == 0.0


@pytest.mark.parametrize(
    ("peak", "drain", "on", "off", "capacity"),
    [(2.0, 1.0, 100.0, 200.0, 50.0), (3.0, 1.0, 40.0, 20.0, 1000.0), (2.0, 1.5, 30.0, 5.0, 4.0),
     (2.0, 1.0, 10.0, 30.0, 11.0), (5.0, 2.0, 10.0, 12.0, 27.0)],
)  # fmt: skip
def test_fixed_bursts_step_by_step(
    peak: float, drain: float, on: float, off: float, capacity: float
) -> None:
    """The periodic fluid burst by burst until it has settled."""
    content = 0.0
    lost = 0.0
    for _ in range(500):
        content += (peak - drain) * on
        lost = max(content - capacity, 0.0)
        content = max(min(content, capacity) - drain * off, 0.0)
    found = float(loss_on_off_deterministic(peak, drain, on, off, capacity))
    assert found == pytest.approx(lost / (peak * on), abs=1e-12)
