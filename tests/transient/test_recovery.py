"""A stalled consumer, packet by packet, against the counts and the busy period."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.path import Arrivals, Buffer, CapturePath
from capmodel.transient import recovery


def path_of(rate: float = 0.5, capacity: int = 1000, cost: float = 0.8, **changes) -> CapturePath:
    return CapturePath.split(
        rate=rate, ring=64, capacity=capacity, kernel_cost=0.01, consumer_cost=cost, **changes
    )


def stalled(rate: float, capacity: int, cost: float, stall: float, seed: int) -> tuple[int, float]:
    """Packets lost in the stall, and the time after it until nobody waits; one at a time."""
    rng = np.random.default_rng(seed)
    held = lost = 0
    now = rng.exponential(1.0 / rate)
    while now < stall:
        held, lost = (held + 1, lost) if held < capacity else (held, lost + 1)
        now += rng.exponential(1.0 / rate)
    clock = stall
    while held:
        clock += rng.exponential(cost)
        while now < clock:
            held += 1
            now += rng.exponential(1.0 / rate)
        held -= 1
    return lost, clock - stall


@pytest.mark.parametrize(("stall", "capacity"), [(300.0, 1000), (300.0, 140)])
def test_a_stall_packet_by_packet(stall: float, capacity: int) -> None:
    rate, cost, runs = 0.5, 0.8, 300
    seen = np.array([stalled(rate, capacity, cost, stall, seed) for seed in range(runs)])
    after = recovery(path_of(rate, capacity, cost), stall, level=0)
    lost, times = seen[:, 0], seen[:, 1]
    assert after.drops == pytest.approx(lost.mean(), abs=4.0 * lost.std() / runs**0.5 + 1e-9)
    chance = float((lost == 0).mean())
    assert after.lossless == pytest.approx(chance, abs=4.0 * (0.25 / runs) ** 0.5)
    assert after.mean == pytest.approx(times.mean(), abs=4.0 * times.std() / runs**0.5)
    assert after.variance**0.5 == pytest.approx(times.std(), rel=0.15)
    for p in (0.1, 0.5, 0.9):
        assert after.cdf(float(np.quantile(times, p))) == pytest.approx(p, abs=0.1)


def test_fluid_counts_of_constant_rates() -> None:
    path = path_of(rate=0.5, capacity=1000, service="deterministic", arrivals="cbr")
    after = recovery(path, 3000.0, level=100)
    assert (after.drops, after.backlog, after.lossless) == (600.0, 1000.0, 0.0)
    assert after.mean == pytest.approx(1000.0 / (1.0 / 0.8 - 0.5))
    assert after.longest == pytest.approx(900.0 / 0.5)


def test_longest_is_where_the_odds_are_even_with_the_promise() -> None:
    after = recovery(path_of(), 10.0, level=0)
    assert recovery(path_of(), after.longest, level=0).lossless == pytest.approx(0.999, abs=1e-6)
    assert after.longest < 1000 / 0.5


def test_an_overloaded_consumer_never_recovers() -> None:
    after = recovery(path_of(rate=1.5), 10.0)
    assert after.mean == after.quantile(0.5) == math.inf
    assert after.cdf(1e9) == 0.0


def test_a_kernel_at_its_limit_fills_no_faster() -> None:
    path = CapturePath.split(rate=5.0, ring=64, capacity=500, kernel_cost=1.0, consumer_cost=0.5)
    assert recovery(path, 100.0, level=0).inflow == 1.0


def test_blocks_bursts_and_a_shared_core() -> None:
    whole = replace(path_of(), buffer=Buffer(1000, "blocks", 100, 10))
    assert recovery(whole, 1.0, level=0).capacity == 900
    bursts = replace(path_of(), arrivals=Arrivals(0.5, "on_off", 0.0, on=1.0, off=1.0))
    assert recovery(bursts, 1.0, level=0).inflow == 1.0
    shared = CapturePath.same_core(
        rate=0.5, ring=64, capacity=500, kernel_cost=0.6, consumer_cost=0.8
    )
    assert recovery(shared, 1.0, level=0).service_rate == pytest.approx(0.7 / 0.8)


@given(st.floats(0.0, 5e3), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_laws(stall: float, longer: float, level: int) -> None:
    """A longer stall, or a fuller buffer, loses more, is survived less, and takes longer."""
    path = path_of()
    short, long = recovery(path, stall, level), recovery(path, stall * (1.0 + longer), level)
    empty = recovery(path, stall, 0)
    for worse, better in ((long, short), (short, empty)):
        assert worse.drops >= better.drops * (1.0 - 1e-9)
        assert worse.lossless <= better.lossless + 1e-12
        assert worse.mean >= better.mean * (1.0 - 1e-9)
    assert short.backlog <= 1000.0 * (1.0 + 1e-9)
    if short.mean > 0.0:
        times = [short.quantile(p) for p in (0.05, 0.5, 0.95)]
        assert times == sorted(times)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="stall"):
        recovery(path_of(), "-5ms")
    with pytest.raises(ValueError, match="stall must be a finite number"):
        recovery(path_of(), math.inf)
    for level in (-1, 0.5):
        with pytest.raises(ValueError, match="level must be a whole number, 0 or more"):
            recovery(path_of(), 1.0, level=level)
    after = recovery(path_of(), 1.0)
    with pytest.raises(ValueError, match="time must be 0 or more"):
        after.cdf(-1.0)
    with pytest.raises(ValueError, match="p must lie between"):
        after.quantile(0.0)
