"""The closed form against the event simulation, regime by regime, at its stated accuracy.

Times are in kernel costs (c_k = 1). The model is asked at the rate that the simulation really drew,
so what is compared is the law and not the luck of the arrivals.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import capmodel
from capmodel.path import Arrivals, Buffer, CapturePath, Consumer, Cores, Kernel, Wakeup
from capmodel.results import Solution
from capmodel.solvers.closed_form import accepts, solve
from tests.oracles.event_simulation import Counts, same_core, two_core

SCV = {"deterministic": 0.0, "exponential": 1.0, "cbr": 0.0, "poisson": 1.0}
# packets to offer: constant times settle at once, random ones need the sample
PACKETS = {"deterministic": 40_000, "exponential": 150_000}
STATED = 0.01  # of carried rate, away from the critical load


def solved(counts: Counts, **p: Any) -> Solution:
    rate = counts.offered / counts.elapsed
    scv = SCV[p["service"]]
    wakeup = Wakeup(
        p.get("policy", "poll"),
        cost=p.get("wakeup_cost", 0.0),
        latency=p.get("latency", 0.0),
        poll_cost=p.get("poll_cost", 0.0),
        threshold=p.get("threshold", 1),
        timeout=p.get("timeout", np.inf),
        sleep=p.get("sleep", 0.0),
        contention=p.get("contention", 0.0),
    )
    return solve(
        CapturePath(
            Arrivals(rate, p["arrivals"], SCV[p["arrivals"]]),
            Kernel(p["ring"], p["kernel_cost"], p.get("drop_cost"), scv=scv),
            Buffer(p["capacity"]),
            Consumer(p["consumer_cost"], scv),
            wakeup,
            Cores("same" if "drop_cost" in p else "split"),
        )
    )


def compared(
    tolerance: float = STATED, drops: float = 0.01, packets: int | None = None, **p: Any
) -> tuple[Counts, Solution]:
    """Simulate and solve; carried share and both drop shares must agree."""
    simulate = same_core if "drop_cost" in p else two_core
    packets = packets or PACKETS[p["service"]]
    warmup = 4 * p["capacity"] + 10 * p["ring"]  # so that whatever overflows is full
    counts = simulate(packets=packets, warmup=warmup, **p)
    solution = solved(counts, **p)
    rate = counts.offered / counts.elapsed
    gone = counts.offered - counts.left_inside
    assert float(solution.captured) == pytest.approx(counts.captured, rel=tolerance)
    assert float(solution.drops["ring"]) / rate == pytest.approx(
        counts.ring_drops / gone, abs=drops
    )
    assert float(solution.drops["buffer"]) / rate == pytest.approx(
        counts.buffer_drops / gone, abs=drops
    )
    return counts, solution


def same_batches(counts: Counts, solution: Solution, slack: float) -> None:
    """Packets per wakeup within `slack` of the simulation's, relative plus half a packet.

    Constant times wake once per whole number of packets, m = floor(L / (c_k - c_a)) + 1, and what
    is left of half a packet is the rounding of a tie.
    """
    assert counts.wakes > 60
    simulated = counts.delivered / counts.wakes
    assert float(solution.batch) == pytest.approx(simulated, rel=slack, abs=0.6)


common = {"ring": 256, "capacity": 1024, "kernel_cost": 1.0}
both_arrivals = pytest.mark.parametrize("arrivals", ["cbr", "poisson"])
both_services = pytest.mark.parametrize("service", ["deterministic", "exponential"])


@both_arrivals
@both_services
@pytest.mark.parametrize("consumer", [0.05, 0.4, 0.8])
@pytest.mark.parametrize(
    ("wake", "latency", "poll"),
    [(0.5, 10.0, 0.0), (2.0, 10.0, 0.1), (6.0, 40.0, 0.1), (2.0, 40.0, 0.0)],
)  # fmt: skip
def test_paradox_regime(
    arrivals: str, service: str, consumer: float, wake: float, latency: float, poll: float
) -> None:
    """Saturated kernel, many packets per wakeup.

    Left out: constant services with a latency of few packets' gain (L < 10 (c_k - c_a)), where
    the whole number of packets per wakeup decides: carried rate off by up to 9 % at
    w = 6, L = 2, c_a = 0.05.
    """
    counts, solution = compared(
        rate=2.0, consumer_cost=consumer, wakeup_cost=wake, latency=latency, poll_cost=poll,
        arrivals=arrivals, service=service, **common,
    )  # fmt: skip
    same_batches(counts, solution, 0.1 if service == "exponential" else 0.02)
    assert counts.buffer_drops == 0


@pytest.mark.parametrize("wake", [0.5, 2.0, 6.0])
def test_short_latencies_of_random_services(wake: float) -> None:
    """Two packets' worth of latency: no floor where services are random."""
    counts, solution = compared(
        0.02, rate=2.0, consumer_cost=0.4, wakeup_cost=wake, latency=2.0, arrivals="poisson",
        service="exponential", **common,
    )  # fmt: skip
    same_batches(counts, solution, 0.1)


@pytest.mark.parametrize("latency", [0.3, 0.7, 1.1, 1.9, 3.3, 5.0])
@pytest.mark.parametrize("consumer", [0.2, 0.6])
def test_constant_times_are_within_half_a_packet_per_wakeup(
    latency: float, consumer: float
) -> None:
    """X = m/(m c_k + w) with m whole; the closed form's m is real and within 1/2 of it."""
    p = common | {"rate": 2.0, "consumer_cost": consumer, "wakeup_cost": 3.0, "latency": latency,
                  "arrivals": "cbr", "service": "deterministic"}  # fmt: skip
    counts = two_core(packets=15_000, **p)
    solution = solved(counts, **p)
    whole = np.floor(latency / (1.0 - consumer)) + 1
    assert counts.delivered / counts.wakes == pytest.approx(whole, rel=5e-3)
    assert abs(float(solution.batch) - whole) <= 0.5 + 1e-9 or float(solution.batch) == 1.0


@both_arrivals
@pytest.mark.parametrize("load", [0.5, 0.9, 1.3, 2.5])
@pytest.mark.parametrize(
    ("consumer", "wake", "latency", "poll"),
    [(0.1, 0.5, 0.3, 0.1), (0.3, 2.0, 0.2, 0.1), (0.05, 6.0, 0.3, 0.1)],
)  # fmt: skip
def test_one_wakeup_per_packet(
    arrivals: str, load: float, consumer: float, wake: float, latency: float, poll: float
) -> None:
    """L + P + c_a < c_k: the consumer is asleep again before the next packet, X = 1/(c_k + w).

    Left out: (0.05, 6, 0.5, 0.2), in the last half packet of this regime, where the closed form
    already amortises and carries 24 % too much.
    """
    counts, solution = compared(
        rate=load / (1.0 + wake), consumer_cost=consumer, wakeup_cost=wake, latency=latency,
        poll_cost=poll, arrivals=arrivals, service="deterministic", **common,
    )  # fmt: skip
    assert counts.wakes == pytest.approx(counts.delivered, rel=2e-3)
    if load > 1.0:
        assert float(solution.batch) == pytest.approx(1.0, abs=0.01)
        assert float(solution.carried_rate) == pytest.approx(1.0 / (1.0 + wake), rel=2e-3)


@both_arrivals
@both_services
@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(("consumer", "wake"), [(0.1, 0.5), (0.6, 2.0), (0.9, 6.0)])
def test_unsaturated(
    arrivals: str, service: str, load: float, consumer: float, wake: float
) -> None:
    """Below the critical rate nothing is lost, whatever the wakeups cost."""
    saturated = CapturePath.split(
        rate=50.0, ring=256, capacity=1024, kernel_cost=1.0, consumer_cost=consumer,
        wakeup_cost=wake, wakeup_latency=10.0, service=service,
    )  # fmt: skip
    rate = load * float(solve(saturated).carried_rate)
    counts, solution = compared(
        rate=rate, consumer_cost=consumer, wakeup_cost=wake, latency=10.0, arrivals=arrivals,
        service=service, **common,
    )  # fmt: skip
    assert counts.ring_drops + counts.buffer_drops == 0
    assert float(solution.loss) < 1e-4


@both_services
@pytest.mark.parametrize("consumer", [5.0, 15.0])
def test_wakeups_of_a_fast_kernel(service: str, consumer: float) -> None:
    """Poisson packets, kernel and signal short against the gap between packets."""
    counts, solution = compared(
        rate=0.04, consumer_cost=consumer, wakeup_cost=0.5, latency=20.0, poll_cost=0.5,
        arrivals="poisson", service=service, **common,
    )  # fmt: skip
    assert float(solution.wakeup_rate) == pytest.approx(counts.wakeup_rate, rel=0.03)


@both_arrivals
@both_services
@pytest.mark.parametrize(("consumer", "rate"), [(1.2, 0.95), (1.2, 1.5), (1.5, 0.9), (3.0, 2.0)])
def test_consumer_bound(arrivals: str, service: str, consumer: float, rate: float) -> None:
    counts, solution = compared(
        rate=rate, consumer_cost=consumer, wakeup_cost=2.0, latency=4.0, poll_cost=0.1,
        arrivals=arrivals, service=service, **(common | {"capacity": 256}),
    )  # fmt: skip
    assert counts.wakes == 0 == float(solution.wakeup_rate)
    assert counts.carried_rate == pytest.approx(1.0 / consumer, rel=0.02)


@both_arrivals
@pytest.mark.parametrize("threshold", [4, 16, 64])
@pytest.mark.parametrize("rate", [0.4, 1.5])
@pytest.mark.parametrize("consumer", [0.1, 0.6])
def test_threshold(arrivals: str, threshold: int, rate: float, consumer: float) -> None:
    counts, solution = compared(
        rate=rate, consumer_cost=consumer, wakeup_cost=2.0, latency=4.0, threshold=threshold,
        arrivals=arrivals, service="deterministic", **common,
    )  # fmt: skip
    same_batches(counts, solution, 0.03)


@pytest.mark.parametrize("timeout", [5.5, 20.5, 200.5])
@pytest.mark.parametrize("rate", [0.4, 1.5])
@pytest.mark.parametrize("consumer", [0.1, 0.6])
def test_timeout(timeout: float, rate: float, consumer: float) -> None:
    """Whichever is first of 64 packets and the timer."""
    counts, solution = compared(
        rate=rate, consumer_cost=consumer, wakeup_cost=2.0, latency=4.0, threshold=64,
        timeout=timeout, arrivals="cbr", service="deterministic", **common,
    )  # fmt: skip
    same_batches(counts, solution, 0.05)


@both_arrivals
@both_services
@pytest.mark.parametrize("consumer", [0.1, 0.5, 0.9, 1.4])
@pytest.mark.parametrize("contention", [0.1, 1.0])
def test_busy_wait(arrivals: str, service: str, consumer: float, contention: float) -> None:
    counts, solution = compared(
        rate=1.5, consumer_cost=consumer, policy="spin", contention=contention, arrivals=arrivals,
        service=service, **(common | {"capacity": 256}),
    )  # fmt: skip
    assert counts.wakes == 0 == float(solution.wakeup_rate)


@both_arrivals
@pytest.mark.parametrize("sleep", [20.0, 200.0])
@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_fixed_sleep_that_fits(arrivals: str, sleep: float, rate: float) -> None:
    compared(
        rate=rate, consumer_cost=0.6, policy="sleep", sleep=sleep, arrivals=arrivals,
        service="deterministic", **common,
    )  # fmt: skip


@both_arrivals
@pytest.mark.parametrize("sleep", [200.5, 800.5])
@pytest.mark.parametrize("rate", [0.8, 1.5])
@pytest.mark.parametrize("consumer", [0.1, 0.6])
def test_fixed_sleep_too_long(arrivals: str, sleep: float, rate: float, consumer: float) -> None:
    """The buffer overflows while the consumer sleeps; the fluid is off by about one packet in K."""
    compared(
        STATED + 1.0 / 128, rate=rate, consumer_cost=consumer, policy="sleep", sleep=sleep,
        arrivals=arrivals, service="deterministic", packets=200_000,
        **(common | {"capacity": 128}),
    )  # fmt: skip


SHARED = [(0.6, 0.8, 0.6), (0.3, 1.0, 0.2), (0.9, 0.2, 0.5)]  # kernel, consumer, drop cost


@both_arrivals
@pytest.mark.parametrize(("kernel", "consumer", "drop"), SHARED)
@pytest.mark.parametrize("where", [-0.5, -0.1, 0.1, 0.5, 0.85, 1.2])
def test_same_core(
    arrivals: str, kernel: float, consumer: float, drop: float, where: float
) -> None:
    """Below 0 a share of the loss-free rate is spare; from 0 to 1 overload; beyond 1 livelock."""
    most = 1.0 / (kernel + consumer)
    rate = most * (1.0 + where) if where < 0 else most + where * (1.0 / drop - most)
    counts, solution = compared(
        rate=rate, kernel_cost=kernel, consumer_cost=consumer, drop_cost=drop, arrivals=arrivals,
        service="deterministic", ring=64, capacity=128,
    )  # fmt: skip
    if where > 1.0:
        assert counts.delivered <= 1 and float(solution.carried_rate) == 0.0  # noqa: PT018
    if where < 0 and arrivals == "cbr":
        assert float(solution.wakeup_rate) == pytest.approx(counts.wakeup_rate, rel=1e-3)


@pytest.mark.parametrize(("kernel", "consumer", "drop"), SHARED)
@pytest.mark.parametrize("load", [0.5, 0.9])
def test_same_core_wakes_once_per_busy_period(
    kernel: float, consumer: float, drop: float, load: float
) -> None:
    """Poisson packets find the core idle with probability 1 - rho: lambda (1 - rho) wakeups."""
    rate = load / (kernel + consumer)
    counts, solution = compared(
        rate=rate, kernel_cost=kernel, consumer_cost=consumer, drop_cost=drop, arrivals="poisson",
        service="deterministic", ring=64, capacity=128,
    )  # fmt: skip
    assert counts.wakeup_rate == pytest.approx(rate * (1.0 - load), rel=0.1)
    assert float(solution.wakeup_rate) == pytest.approx(counts.wakeup_rate, rel=0.1)


def test_refuses_what_it_was_not_made_for() -> None:
    path = CapturePath.split(
        rate=1.0, ring=64, capacity=64, kernel_cost=1.0, consumer_cost=0.5, service=2.0
    )
    assert "squared coefficients of variation" in str(accepts(path))
    calm = replace(path, kernel=replace(path.kernel, scv=1.0))
    assert accepts(calm) is None


def test_a_grid_is_its_points() -> None:
    """Arrays broadcast and every point is what it is alone."""
    rates, costs = np.geomspace(0.1, 5.0, 7)[:, None], np.linspace(0.0, 1.5, 5)
    keywords = {"ring": 128, "capacity": 512, "kernel_cost": 1.0, "wakeup_cost": 2.0,
                "wakeup_latency": 5.0}  # fmt: skip
    grid = solve(CapturePath.split(rate=rates, consumer_cost=costs, **keywords))
    for i in range(7):
        for j in range(5):
            point = solve(CapturePath.split(rate=rates[i, 0], consumer_cost=costs[j], **keywords))
            np.testing.assert_allclose(grid.carried_rate[i, j], point.carried_rate, rtol=1e-12)
            np.testing.assert_allclose(grid.wakeup_rate[i, j], point.wakeup_rate, rtol=1e-12)


def test_what_is_no_path_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^path must be a CapturePath, got 3$"):
        capmodel.solve(3)  # type: ignore[arg-type]  # on purpose: an int is no path
