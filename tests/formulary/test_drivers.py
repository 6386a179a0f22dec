"""Interrupts of a driver that polls until the ring is empty, one busy period after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import interrupts_per_packet_napi


def busy_periods(
    rate: float, kernel: float, cost: float, delay: float, scv: float, packets: int = 100_000
) -> float:
    """Interrupts per packet: one raises the kernel, it starts after delay and cost."""
    rng = np.random.default_rng(11)
    gaps = rng.exponential(1 / rate, packets) if scv else np.full(packets, 1 / rate)
    free, interrupts = 0.0, 0
    for arrival in np.cumsum(gaps):
        if arrival > free:
            interrupts += 1
            free = arrival + delay + cost
        free += kernel
    return interrupts / packets


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("cost", "delay"), [(0.0, 0.0), (0.4, 0.0), (0.4, 12.0)])
def test_poisson(rate: float, cost: float, delay: float) -> None:
    found = float(interrupts_per_packet_napi(rate, 0.9, cost, delay, 1.0))
    assert found == pytest.approx(busy_periods(rate, 0.9, cost, delay, 1.0), rel=0.03)


@pytest.mark.parametrize("rate", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("delay", [0.0, 0.6, 3.3, 12.1])
def test_constant_rate_within_one_packet_per_busy_period(rate: float, delay: float) -> None:
    exact = 1.0 / busy_periods(rate, 0.9, 0.2, delay, 0.0)
    found = 1.0 / float(interrupts_per_packet_napi(rate, 0.9, 0.2, delay, 0.0))
    assert abs(found - exact) <= 1.0 + 1e-2


@given(
    st.floats(0.01, 10.0), st.floats(0.01, 10.0), st.floats(0.0, 5.0), st.floats(0.0, 50.0),
    st.floats(0.0, 1.0),
)  # fmt: skip
def test_between_none_and_one(
    rate: float, kernel: float, cost: float, delay: float, scv: float
) -> None:
    found = float(interrupts_per_packet_napi(rate, kernel, cost, delay, scv))
    assert 0.0 <= found <= 1.0
    if rate * kernel >= 1.0:
        assert found == 0.0
    assert interrupts_per_packet_napi(rate, kernel, cost, delay + 1.0, scv) <= found + 1e-15
