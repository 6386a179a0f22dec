"""Rings that overflow between two interrupts, each packet followed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import interrupt_batch_loss

PERIOD = 100.0


def walked(gaps: np.ndarray, services: np.ndarray, ring: int) -> float:
    """Share of packets that find the ring full: the kernel looks at interrupts, then empties it."""
    lost, now, free = 0, 0.0, 0.0  # the kernel is busy until `free`
    leaves: list[float] = []  # when those that have been given to the kernel leave the ring
    waiting: list[float] = []  # service times of those that wait for the interrupt at `look`
    look, last = np.inf, -np.inf
    for gap, service in zip(gaps, services, strict=True):
        now += gap
        if look <= now:
            free = look
            for each in waiting:
                free += each
                leaves.append(free)
            waiting, last, look = [], look, np.inf
        while leaves and leaves[0] <= now:
            leaves.pop(0)
        if len(leaves) + len(waiting) >= ring:
            lost += 1
        elif leaves:  # the kernel is at it, and will take this one too
            free += service
            leaves.append(free)
        else:
            waiting.append(service)
            look = min(look, max(now, last + PERIOD))
    return lost / len(gaps)


def gaps_and_services(
    rate: float, scv: float, service_scv: float, packets: int = 60_000
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    gaps = rng.exponential(1.0, packets) if scv else np.ones(packets)
    services = rng.exponential(1.0, packets) if service_scv else np.ones(packets)
    return gaps / rate, services


@pytest.mark.parametrize("rate", [0.2, 0.45, 0.7, 0.8, 0.9])
@pytest.mark.parametrize(("scv", "service_scv"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize(("ring", "within"), [(64, 0.025), (120, 0.025), (40, 0.07)])
def test_a_ring_between_interrupts(
    rate: float, scv: int, service_scv: int, ring: int, within: float
) -> None:
    seen = walked(*gaps_and_services(rate, scv, service_scv), ring)
    said = float(interrupt_batch_loss(rate, 1.0, ring, PERIOD, scv, service_scv))
    assert said == pytest.approx(seen, abs=within)


def test_small_rings_lose_more_than_is_said() -> None:
    for scv in (0, 1):
        seen = walked(*gaps_and_services(0.8, scv, 1), 16)
        said = float(interrupt_batch_loss(0.8, 1.0, 16, PERIOD, scv, 1))
        assert said < seen < said + 0.16 + 0.02


def test_one_cycle_by_hand() -> None:
    """A full ring of 50 keeps the kernel for 250: then 80 come in one interval, and 30 are lost."""
    said = float(interrupt_batch_loss(0.8, 1.0, 50, PERIOD))
    assert said == pytest.approx(30.0 / (0.8 * (250.0 + 100.0 + 1.25)), rel=1e-12)


def test_where_nothing_is_lost() -> None:
    assert float(interrupt_batch_loss(0.5, 1.0, 10, 0.0)) == 0.0  # an interrupt for every packet
    assert float(interrupt_batch_loss(0.8, 1.0, 81, PERIOD)) == 0.0  # room for all of them
    assert float(interrupt_batch_loss(1.2, 1.0, 10, PERIOD)) == 0.0  # a kernel that never leaves
    assert float(interrupt_batch_loss(0.8, np.inf, 50, PERIOD)) == pytest.approx(30.0 / 80.0)


@given(
    rate=st.floats(1e-3, 3.0), ring=st.floats(1.0, 1e4), period=st.floats(0.0, 1e4),
    scv=st.floats(0.0, 1.0), service_scv=st.floats(0.0, 1.0),
)  # fmt: skip
def test_it_is_a_share(
    rate: float, ring: float, period: float, scv: float, service_scv: float
) -> None:
    said = float(interrupt_batch_loss(rate, 1.0, ring, period, scv, service_scv))
    assert 0.0 <= said <= 1.0


def test_arrays_are_single_numbers_side_by_side() -> None:
    rates, rings = np.array([0.3, 0.8, 0.95, 1.5]), np.array([[20.0], [50.0], [200.0]])
    whole = interrupt_batch_loss(rates, 1.0, rings, PERIOD, 1.0, 1.0)
    assert whole.shape == (3, 4)
    for (i, j), value in np.ndenumerate(whole):
        single = float(interrupt_batch_loss(rates[j], 1.0, rings[i, 0], PERIOD, 1.0, 1.0))
        assert single == pytest.approx(float(value), rel=1e-13, abs=0)
