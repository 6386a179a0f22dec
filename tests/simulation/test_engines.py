"""The recursion and the event loop are two accounts of one path: packet for packet the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capmodel.path import CapturePath, Driver, Wakeup
from capmodel.simulation.costs import costs, plain, source
from capmodel.simulation.events import events
from capmodel.simulation.record import no_record
from capmodel.simulation.run import simulate
from capmodel.simulation.tally import COUNTS, TIMES
from capmodel.simulation.tandem import recursion
from capmodel.wakeup_law import WakeupLaw

NO_FACTORS = (np.empty(0), np.empty(0))

POLICIES: dict[str, dict[str, Any]] = {
    "poll": {},
    "batch": {"threshold": 8, "timeout": 20.5},
    "spin": {"policy": "spin", "contention": 0.3},
    "yield": {"policy": "yield", "spin": 1.1, "contention": 0.3},
    "sleep": {"policy": "sleep", "sleep": 20.3},
    # settles slowly: else the next sleep depends on this one more than a rounding can bear
    "law": {
        "law": WakeupLaw((0.0, 0.311), ((0.2,), (1.3,)), ((0.1,), (0.9,)), ((0.0,), (1.0,))),
        "waking": 0.12,
    },
    "gradual": {"early_cost": 0.4, "settle": 9.7, "poll_cost": 0.35},
}


def path_of(policy: str, rate: float, consumer: float, **changes: Any) -> CapturePath:
    path = CapturePath.split(
        rate=rate, ring=64, capacity=128, kernel_cost=1.0, consumer_cost=consumer, wakeup_cost=2.0,
        wakeup_latency=6.03, poll_cost=0.1, service="deterministic",
    )  # fmt: skip
    kernel = replace(path.kernel, drop_cost=0.7, **changes)
    return replace(path, kernel=kernel, wakeup=replace(path.wakeup, **POLICIES[policy]))


def both(path: CapturePath, packets: int, horizon: float = np.inf) -> tuple[Any, Any, Any, Any]:
    c, offered = costs(path), source(path.arrivals)
    found: list[Any] = []
    for engine in ("recursion", "events"):
        times, counts = np.zeros(len(TIMES)), np.zeros(len(COUNTS), dtype=np.int64)
        rng = np.random.default_rng(11)
        warmup = 0 if np.isfinite(horizon) else 2000
        tail = (offered, rng, np.empty(0), warmup, packets, horizon, 0, times, counts)
        if engine == "recursion":
            recursion(c, *tail, *NO_FACTORS)
        else:
            events((c, c), (np.inf, np.inf), 0, *tail, no_record())
        found += [times, counts]
    return tuple(found)  # type: ignore[return-value]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("rate", [0.5, 1.1, 3.0])
@pytest.mark.parametrize("consumer", [0.4, 1.5])
@pytest.mark.parametrize("driver", [Driver(), Driver("napi", 0.3), Driver("interrupt", 0.2)])
def test_same_packets_same_fates(policy: str, rate: float, consumer: float, driver: Driver) -> None:
    path = path_of(policy, rate, consumer, driver=driver)
    assert plain(costs(path))
    times, counts, times2, counts2 = both(path, 40_000)
    elapsed = times[0]
    assert elapsed == pytest.approx(times2[0], rel=1e-12)
    # one counts packets of a stretch of arrivals, the other what happens during that stretch
    edge = 64 + 128
    for i, name in enumerate(COUNTS[:7]):
        assert abs(int(counts[i]) - int(counts2[i])) <= edge, name
    for i, name in enumerate(TIMES):
        if name not in ("stay", "ring time", "buffer time"):
            assert abs(times[i] - times2[i]) <= 2.5 * edge, name
        else:
            assert times[i] == pytest.approx(times2[i], rel=0.03, abs=0.03 * elapsed), name


@pytest.mark.parametrize("policy", POLICIES)
def test_whole_runs_are_the_same_to_the_packet(policy: str) -> None:
    path = path_of(policy, 2.0, 1.5)
    times, counts, times2, counts2 = both(path, 10**6, horizon=1000.0)
    assert counts[:4].tolist() == counts2[:4].tolist()
    assert counts[0] == counts[1:4].sum()
    assert times[0] == times2[0] == 1000.0


def test_random_services_agree_in_the_mean() -> None:
    """The same law from two engines that draw in different orders."""
    path = CapturePath.split(
        rate=0.9, ring=20, capacity=16, kernel_cost=1.0, consumer_cost=0.6, wakeup_cost=2.0,
        wakeup_latency=4.0, poll_cost=0.5,
    )  # fmt: skip
    # a sleep of no contention is plain, one with it is not: so is a consumer on another wait
    by_recursion = simulate(path, packets=1_600_000)
    other = replace(path, kernel=replace(path.kernel, driver=Driver("moderated")))
    by_events = simulate(other, packets=1_600_000)
    for name in ("carried_rate", "wakeup_rate", "ring_drops", "buffer_drops", "sojourn_time"):
        width = by_recursion.half_width[name] + by_events.half_width[name]
        assert abs(by_recursion.mean[name] - by_events.mean[name]) <= 2.0 * width, name


def test_a_sleep_that_disturbs_is_not_plain() -> None:
    path = path_of("poll", 1.0, 0.5)
    napping = Wakeup("sleep", sleep=3.0, poll_cost=0.5, contention=0.5)
    assert not plain(costs(replace(path, wakeup=napping)))
    result = simulate(replace(path.with_rate(3.0), wakeup=napping), packets=100_000)
    # the call takes 1/7 of the time that the consumer is away and slows the kernel by a half
    away = 1.0 - result.mean["consumer.packets"]
    assert result.mean["kernel.wakeups"] == pytest.approx(away / 7.0 / 3.0, rel=0.1)


def test_nearness_costs_the_same_in_both() -> None:
    for consumer in (0.4, 1.5):  # near all the time, and at the beginning only
        path = path_of("gradual", 2.0, consumer, near_cost=0.2)
        times, counts, times2, counts2 = both(path, 10**6, horizon=1000.0)
        assert counts[:4].tolist() == counts2[:4].tolist()
        busy = TIMES.index("kernel packets")
        assert abs(times[busy] - times2[busy]) < 1.3  # a packet may be under way at the end
