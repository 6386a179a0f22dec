"""The event loop against recursions that follow one packet after the other: the same fates."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from capmodel.path import Arrivals, Buffer, CapturePath, Consumer, Cores, Kernel, Wakeup
from capmodel.simulation import simulate
from capmodel.simulation.costs import costs, plain, source
from capmodel.simulation.events import events
from capmodel.simulation.record import no_record
from capmodel.simulation.tally import (
    BUFFER_DROPS,
    CAPTURED,
    COUNTS,
    OFFERED,
    RING_DROPS,
    TIMES,
    WAKES,
)
from tests.oracles.packet_by_packet import blocks_on_two_cores, one_core

COUNTED = [OFFERED, RING_DROPS, BUFFER_DROPS, CAPTURED, WAKES]
HORIZON = 4000.0


def poisson_times(rate: float, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1.0 / rate, int(2 * rate * HORIZON) + 100))
    return times[times <= HORIZON]


def by_events(path: CapturePath, arrivals: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    c = costs(path)
    assert not plain(c)
    times, counts = np.zeros(len(TIMES)), np.zeros(len(COUNTS), dtype=np.int64)
    events(
        (c, c), (np.inf, np.inf), 0, source(path.arrivals, True), np.random.default_rng(0),
        arrivals, 0, arrivals.size, HORIZON, 0, times, counts, no_record(),
    )  # fmt: skip
    return [int(counts[i]) for i in COUNTED]


@pytest.mark.parametrize("rate", [0.3, 0.9, 1.4, 4.0])
@pytest.mark.parametrize("consumer", [0.2, 0.83, 1.7])
@pytest.mark.parametrize(("block", "blocks"), [(1, 1), (1, 7), (16, 1), (8, 2), (5, 16)])
@pytest.mark.parametrize("drop_cost", [1.0, 0.37])
def test_blocks(rate: float, consumer: float, block: int, blocks: int, drop_cost: float) -> None:
    path = CapturePath(
        Arrivals(rate, "poisson", 1.0), Kernel(12, 1.0, drop_cost),
        Buffer(block * blocks, "blocks", block, blocks), Consumer(consumer),
        Wakeup("block", cost=2.0, latency=6.03, poll_cost=0.1317),
    )  # fmt: skip
    arrivals = poisson_times(rate, 5)
    expected = blocks_on_two_cores(
        arrivals.tolist(), HORIZON, ring=12, block=block, blocks=blocks, kernel_cost=1.0,
        drop_cost=drop_cost, consumer_cost=consumer, wakeup_cost=2.0, latency=6.03,
        read_cost=0.1317,
    )  # fmt: skip
    assert by_events(path, arrivals) == list(astuple(expected))
    assert expected.wakes > 0


@pytest.mark.parametrize("rate", [0.2, 0.45, 0.7, 1.4])
@pytest.mark.parametrize("consumer", [0.2, 0.83, 1.7])
@pytest.mark.parametrize("capacity", [1, 9, 200])
@pytest.mark.parametrize("drop_cost", [1.0, 0.37])
@pytest.mark.parametrize(("latency", "switch"), [(0.0, 0.11), (6.03, 0.11), (6.03, 0.0)])
def test_one_core(
    rate: float, consumer: float, capacity: int, drop_cost: float, latency: float, switch: float
) -> None:
    path = CapturePath(
        Arrivals(rate, "poisson", 1.0), Kernel(12, 1.0, drop_cost), Buffer(capacity),
        Consumer(consumer),
        Wakeup("poll", cost=0.53, latency=latency, poll_cost=0.1317, switch_cost=switch),
        Cores("same"),
    )  # fmt: skip
    arrivals = poisson_times(rate, 6)
    expected = one_core(
        arrivals.tolist(), HORIZON, ring=12, capacity=capacity, kernel_cost=1.0,
        drop_cost=drop_cost, consumer_cost=consumer, wakeup_cost=0.53, latency=latency,
        poll_cost=0.1317, switch_cost=switch,
    )  # fmt: skip
    assert by_events(path, arrivals) == list(astuple(expected))
    assert expected.wakes > 0


@pytest.mark.parametrize("scv", [0.0, 0.3, 1.0, 2.5])
def test_draws_made_ahead_are_draws(scv: float) -> None:
    """Two runs of one seed are the same; M/G/1 on a core of its own has the mean of its service.

    The consumer is busy for the carried rate times its mean cost, whichever law.
    """
    path = CapturePath.same_core(
        rate=0.5, ring=64, capacity=500, kernel_cost=0.6, consumer_cost=0.8, service=scv
    )
    found = simulate(path, packets=400_000)
    assert found.counts == simulate(path, packets=400_000).counts
    carried = found.mean["carried_rate"]
    for work, cost in (("kernel.packets", 0.6), ("consumer.packets", 0.8)):
        width = 4.0 * found.half_width[work] + 4.0 * cost * found.half_width["carried_rate"]
        assert abs(found.mean[work] - carried * cost) <= width + 1e-3
        assert width < 0.05


def test_a_scheduler_between_two_laws_draws_from_each() -> None:
    """What was drawn ahead for one placement is not used in the other."""
    first = CapturePath.same_core(
        rate=0.3, ring=64, capacity=200, kernel_cost=0.6, consumer_cost=0.8, service=0.0
    )
    second = replace(first, kernel=replace(first.kernel, scv=1.0),
                     consumer=replace(first.consumer, scv=4.0))  # fmt: skip
    here, there = costs(first), costs(second)
    assert here.kernel_law != there.kernel_law
    found = []
    for places in ((here, here), (here, there)):
        times, counts = np.zeros(len(TIMES)), np.zeros(len(COUNTS), dtype=np.int64)
        events(
            places, (50.0, 50.0), 0, source(first.arrivals), np.random.default_rng(3), np.empty(0),
            0, 100_000, np.inf, 0, times, counts, no_record(),
        )  # fmt: skip
        found.append((times, counts))
    (times, counts), (times2, counts2) = found
    busy = TIMES.index("consumer packets")
    # the same mean work per packet, and more waiting behind irregular work
    assert times[busy] / counts[CAPTURED] == pytest.approx(0.8, rel=1e-3)
    assert times2[busy] / counts2[CAPTURED] == pytest.approx(0.8, rel=0.05)
    assert times2[TIMES.index("stay")] > 1.05 * times[TIMES.index("stay")]
