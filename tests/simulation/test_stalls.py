"""A kernel whose core stands still from time to time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from capmodel.path import CapturePath
from capmodel.simulation.run import simulate
from capmodel.solvers import select
from capmodel.solvers._gradual import averaged

# time in packets of the kernel; half loaded, a consumer that never holds anything up
PLAIN = CapturePath.split(
    rate=0.5, ring=64, capacity=4096, kernel_cost=1.0, consumer_cost=0.1, wakeup_cost=0.0,
    wakeup_latency=0.0, service="deterministic", arrivals="cbr",
)  # fmt: skip


def stalled(rate: float, time: float, ring: float = 64.0, **changes: object) -> CapturePath:
    kernel = replace(PLAIN.kernel, stall_rate=rate, stall_time=time, ring=ring)
    return replace(PLAIN, kernel=kernel, **changes)


def lost_in_stalls(rate: float, time: float, ring: int, arrivals: float) -> float:
    """Share lost where stalls are rare: what comes in a stall beyond the ring, exponential lengths.

    A stall of length l brings l * arrivals packets; all beyond the ring are lost, and the ring is
    empty again before the next stall. E[max(l a - R, 0)] = a T exp(-R / (a T)).
    """
    mean = arrivals * time
    return rate * mean * math.exp(-ring / mean) / arrivals


@pytest.mark.parametrize("ring", [16, 64, 256])
@pytest.mark.parametrize("time", [100.0, 400.0])
def test_what_a_stall_brings_beyond_the_ring_is_lost(ring: int, time: float) -> None:
    rate = 1e-5  # a stall in 100,000: rare
    path = stalled(rate, time, float(ring))
    result = simulate(path, packets=20_000_000, replications=4)
    expected = lost_in_stalls(rate, time, ring, 0.5)
    # some hundred stalls are seen: their number is Poisson
    seen = rate * 2.0 * 20_000_000
    spread = 3.0 * math.sqrt(2.0 / (seen * max(math.exp(-ring / (0.5 * time)), 1e-3)))
    # the packet in service when it begins, and the one that is done as it ends
    assert result.mean["loss"] == pytest.approx(expected, rel=spread + 2.0 / ring, abs=1e-6)
    assert result.mean["buffer_drops"] == 0.0


def test_a_saturated_kernel_loses_the_time_it_stands_still() -> None:
    path = stalled(1e-3, 200.0, arrivals=replace(PLAIN.arrivals, rate=2.0))
    mean = simulate(path, packets=20_000_000, replications=4).mean
    assert mean["carried_rate"] == pytest.approx(1.0 - 1e-3 * 200.0, rel=0.02)


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_both_engines_tell_the_same(rate: float) -> None:
    path = stalled(2e-3, 100.0, arrivals=replace(PLAIN.arrivals, rate=rate))
    driver = replace(path.kernel.driver, mode="moderated", throttle=1e12)
    other = replace(path, kernel=replace(path.kernel, driver=driver))
    found, expected = (simulate(p, packets=8_000_000, replications=4).mean for p in (other, path))
    for name in ("carried_rate", "ring_drops"):
        assert found[name] == pytest.approx(expected[name], rel=0.02, abs=1e-4), name


def test_no_stalls_are_the_plain_path() -> None:
    found, plain = (simulate(p, packets=50_000, replications=2).mean
                    for p in (stalled(0.0, 100.0), PLAIN))  # fmt: skip
    assert found == plain


def test_who_answers() -> None:
    path = stalled(1e-3, 10.0)
    assert select(path).name == "simulation"
    assert averaged(path).kernel.stall_rate == 0.0
    with pytest.raises(ValueError, match="stands still all the time"):
        simulate(stalled(1e-3, 1000.0), packets=1000, replications=2)
    with pytest.raises(ValueError, match="stall_time must be not negative"):
        stalled(1.0, float(np.nan))
