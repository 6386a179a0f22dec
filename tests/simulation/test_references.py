"""The simulation against exact values: chains, formulas of the literature, laws of balance.

Seeds are fixed; a value holds if it lies within four half-widths of the 95 % interval.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from capmodel.path import (
    Arrivals,
    Buffer,
    CapturePath,
    Consumer,
    Cores,
    Driver,
    Kernel,
    Wakeup,
)
from capmodel.simulation import SimulationResult, simulate
from tests.oracles.reference import reference_values

NO_KERNEL = Kernel(64, 0.0)


def poisson(rate: float) -> Arrivals:
    return Arrivals(rate, "poisson", 1.0)


def holds(result: SimulationResult, **wanted: float) -> None:
    for name, value in wanted.items():
        away = abs(result.mean[name] - value)
        # a quantity that no replication saw has no interval: it is below one in all of them
        seldom = 10.0 * result.mean["offered_rate"] / result.counts["offered"]
        width = result.half_width[name]
        assert away <= (4.0 * width if width > 0.0 else seldom), (name, result.mean[name], value)
        assert width <= max(0.05 * abs(value), seldom, 2e-3), (name, width, value)


def mm1k_loss(rho: Fraction, K: int) -> float:
    return float(rho**K / sum(rho**j for j in range(K + 1)))


def md1k_loss(rho: float, K: int) -> float:
    """Level crossing: M/D/1/K by the distribution at departures (Takagi 1993, Tijms 2003)."""
    a = [math.exp(-rho) * rho**j / math.factorial(j) for j in range(K + 1)]
    pi = [1.0]
    for j in range(K - 1):
        total = pi[j] - pi[0] * a[j] - sum(pi[i] * a[j - i + 1] for i in range(1, j + 1))
        pi.append(total / a[0])
    share = pi[0] / sum(pi)  # probability that a departure leaves nobody behind
    return 1.0 - 1.0 / (share + rho)


@pytest.mark.parametrize("rho", ["0.5", "0.8", "0.95", "1.2"])
@pytest.mark.parametrize("K", [1, 2, 5, 10])
def test_single_queues(rho: str, K: int) -> None:
    for service, loss in (
        ("exponential", mm1k_loss(Fraction(rho), K)),
        ("deterministic", md1k_loss(float(rho), K)),
    ):
        path = CapturePath.single(rate=float(rho), capacity=K, consumer_cost=1.0, service=service)
        holds(simulate(path, packets=800_000), loss=loss)


def test_md1k_of_the_test() -> None:
    for p, value in reference_values("MD1K_loss").values():
        if p["K"] <= 10:
            assert md1k_loss(p["rho"], p["K"]) == pytest.approx(value[0], rel=1e-8)


@pytest.mark.parametrize(
    ("scv", "rho", "loss"),
    [
        (0.25, 0.8, 0.0074517585262),  # M/E4/1/10, embedded chain
        (0.25, 0.95, 0.040912924408),
        (4.0, 0.8, 0.088676852891),  # M/H2/1/10, balanced means
        (4.0, 0.95, 0.14201379643),
    ],
)
def test_phase_type_services(scv: float, rho: float, loss: float) -> None:
    path = CapturePath.single(rate=rho, capacity=10, consumer_cost=1.0, service=scv)
    holds(simulate(path, packets=1_600_000), loss=loss)


@pytest.mark.parametrize("service", ["deterministic", "exponential", 0.25, 0.4, 4.0])
def test_one_slot_loses_the_same_for_every_service(service: Any) -> None:
    path = CapturePath.single(rate=1.5, capacity=1, consumer_cost=1.0, service=service)
    holds(simulate(path, packets=400_000), loss=0.6)


@pytest.mark.parametrize(("p", "value"), reference_values("AB_exp_tandem").values())
def test_two_cores_markov(p: dict[str, Any], value: list[float]) -> None:
    path = CapturePath.split(
        rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"],
        wakeup_cost=p["w"], wakeup_latency=p["L"], poll_cost=p["P"],
    )  # fmt: skip
    result = simulate(path, packets=4_000_000, waits_scv=1.0)
    holds(
        result, carried_rate=value[0], wakeup_rate=value[1], buffer_drops=value[2],
        ring_drops=value[3],
    )  # fmt: skip


def test_two_cores_saturated_markov() -> None:
    ((p, value),) = reference_values("AB_exp_saturated").values()
    path = CapturePath.split(
        rate=8.0, ring=24, capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"],
        wakeup_cost=p["w"], wakeup_latency=p["L"], poll_cost=p["P"],
    )  # fmt: skip
    result = simulate(path, packets=8_000_000, waits_scv=1.0)
    # closed chain of the saturated kernel
    holds(
        result, carried_rate=value[0], wakeup_rate=0.0369000468136976,
        buffer_drops=0.248139717798923,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "carried"),
    [(0.7, 0.686006029974), (0.9, 0.574997567754), (1.4, 0.200636247129),
     (1.6667, 0.037866668040), (2.0, 0.000610968691)],
)  # fmt: skip
def test_same_core_markov(rate: float, carried: float) -> None:
    path = CapturePath.same_core(
        rate=rate, ring=32, capacity=64, kernel_cost=0.6, consumer_cost=0.8
    )
    holds(simulate(path, packets=1_600_000), carried_rate=carried)


@pytest.mark.parametrize(
    ("rate", "block", "read", "latency", "carried", "wakes"),
    [
        (0.8, 16, 1.0, 2.0, 0.7546456946, 0.02878207),
        (0.95, 64, 1.0, 5.0, 0.9027418626, 0.00681849),
        (1.1, 64, 1.0, 5.0, 0.9632476563, 0.00233014),
        (0.9, 400, 2.0, 10.0, 0.8987680215, 0.0020976135),
        (0.8, 1, 0.0, 0.0, 0.8 * (1 - 0.19957030636), None),  # M/D/1/2
    ],
)
def test_double_buffer(
    rate: float, block: int, read: float, latency: float, carried: float, wakes: float | None
) -> None:
    """STORE and HOLD under Poisson arrivals: exact two-state chain of the swaps."""
    path = CapturePath(
        poisson(rate), NO_KERNEL, Buffer(2 * block, "double", block, 2), Consumer(1.0),
        Wakeup("rotation", latency=latency, poll_cost=read),
    )  # fmt: skip
    result = simulate(path, packets=1_600_000)
    holds(result, carried_rate=carried)
    if wakes is not None:
        assert abs(result.mean["wakeup_rate"] - wakes) <= 4 * result.half_width["wakeup_rate"]


@pytest.mark.parametrize(
    ("rate", "block", "blocks", "read", "latency", "carried", "wakes"),
    [(0.9, 8, 4, 0.5, 4.0, 0.8885328054, 0.00884947),
     (1.05, 16, 16, 0.1, 10.0, 0.9937888199, None)],
)  # fmt: skip
def test_ring_of_blocks(
    rate: float, block: int, blocks: int, read: float, latency: float, carried: float,
    wakes: float | None,
) -> None:  # fmt: skip
    """M/G^(b,b)/1/(Mb) with setup, embedded chain."""
    path = CapturePath(
        poisson(rate), NO_KERNEL, Buffer(block * blocks, "blocks", block, blocks), Consumer(1.0),
        Wakeup("block", latency=latency, poll_cost=read),
    )  # fmt: skip
    result = simulate(path, packets=1_600_000)
    holds(result, carried_rate=carried)
    if wakes is not None:
        holds(result, wakeup_rate=wakes)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_retire_timer(rate: float) -> None:
    """Low rates: one block per timer period that saw a packet, (1 - exp(-lambda tau))/tau."""
    path = CapturePath(
        poisson(rate), NO_KERNEL, Buffer(2000, "blocks", 500, 4, retire=10.0), Consumer(0.1),
        Wakeup("block"),
    )  # fmt: skip
    result = simulate(path, packets=400_000)
    holds(result, wakeup_rate=(1.0 - math.exp(-10.0 * rate)) / 10.0, loss=0.0)


@pytest.mark.parametrize(
    ("rate", "scv", "K", "N", "timeout", "latency", "poll", "loss", "wakes"),
    [
        (0.8, 0.0, 20, 4, 3.0, 2.0, 0.5, 1.5211952261e-4, 0.0306238673),
        (0.8, 1.0, 20, 4, 3.0, 2.0, 0.5, 3.8734906676e-3, 0.0310794412),
        (0.95, 0.25, 64, 16, math.inf, 5.0, 0.0, 7.2880552832e-4, 0.0023208553),
        (0.9, 4.0, 256, 32, 20.0, 3.0, 0.5, 3.92766127e-6, 0.0040176406),
    ],
)
def test_threshold_and_timeout(
    rate: float, scv: float, K: int, N: int, timeout: float, latency: float, poll: float,
    loss: float, wakes: float,
) -> None:  # fmt: skip
    """M/G/1/K with N-policy, timer, setup and poll: level-crossing recursion."""
    path = CapturePath(
        poisson(rate), NO_KERNEL, Buffer(K), Consumer(1.0, scv),
        Wakeup("poll", latency=latency, poll_cost=poll, threshold=N, timeout=timeout),
    )  # fmt: skip
    result = simulate(path, packets=4_000_000)
    for name, value in (("loss", loss), ("wakeup_rate", wakes)):
        away = abs(result.mean[name] - value)
        assert away <= 4 * result.half_width[name] + 1e-6, (name, result.mean[name])


@pytest.mark.parametrize(
    ("rate", "scv", "K", "sleep", "carried", "sleeps"),
    [(0.5, 0.0, 20, 10.0, 0.4999998714, 0.05000001), (0.8, 1.0, 64, 30.0, 0.7999932635, 0.00666689),
     (0.8, 0.0, 64, 100.0, 0.7547215299, 0.00245278)],
)  # fmt: skip
def test_fixed_sleep(
    rate: float, scv: float, K: int, sleep: float, carried: float, sleeps: float
) -> None:
    """Multiple vacations: the same recursion."""
    path = CapturePath(
        poisson(rate), NO_KERNEL, Buffer(K), Consumer(1.0, scv), Wakeup("sleep", sleep=sleep)
    )
    result = simulate(path, packets=1_600_000)
    for name, value in (("loss", 1 - carried / rate), ("poll_rate", sleeps)):
        away = abs(result.mean[name] - value)
        assert away <= 4 * result.half_width[name] + 2e-6, (name, result.mean[name])


@pytest.mark.parametrize("N", [1, 4, 16, 64])
def test_saturated_n_policy(N: int) -> None:
    """EN (c_k - c_a) = L + (N - 1) c_k + P (1 + P/c_k) + c_k where the kernel is exponential."""
    ck, ca, w, L, P = 1.0, 0.6, 2.0, 3.0, 0.5
    path = CapturePath.split(
        rate=4.0, ring=64, capacity=100_000, kernel_cost=ck, consumer_cost=ca, wakeup_cost=w,
        wakeup_latency=L, poll_cost=P, threshold=N,
    )  # fmt: skip
    batch = (L + (N - 1) * ck + P * (1 + P / ck) + ck) / (ck - ca)
    result = simulate(path, packets=4_000_000, waits_scv=1.0)
    holds(result, carried_rate=batch / (batch * ck + w), wakeup_rate=1 / (batch * ck + w))


@pytest.mark.parametrize("ca", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("kappa", [0.2, 1.0])
@pytest.mark.parametrize("service", ["deterministic", "exponential"])
def test_saturated_spin(ca: float, kappa: float, service: Any) -> None:
    """X = 1/(c_k + kappa (c_k - c_a)), whatever the distributions."""
    path = CapturePath.split(
        rate=4.0, ring=64, capacity=1000, kernel_cost=1.0, consumer_cost=ca, service=service
    )
    spinning = CapturePath(
        path.arrivals, path.kernel, path.buffer, path.consumer, Wakeup("spin", contention=kappa)
    )
    result = simulate(spinning, packets=1_600_000)
    wanted = 1.0 / (1.0 + kappa * (1.0 - ca))
    away = abs(result.mean["carried_rate"] - wanted)
    assert away <= 4 * result.half_width["carried_rate"] + 1e-3 * wanted


@pytest.mark.parametrize(
    ("N", "latency", "batch"),
    [(1, 0.3, 1), (1, 2.5, 7), (1, 4.7, 12), (1, 24.0 - 1e-6, 60), (4, 4.0, 18)],
)  # fmt: skip
def test_integer_law_of_constant_times(N: int, latency: float, batch: int) -> None:
    """m = floor((L + (N - 1) c_k)/(c_k - c_a)) + 1 and X = m/(m c_k + w) (Lettieri et al. 2018)."""
    path = CapturePath.split(
        rate=3.0, ring=64, capacity=1000, kernel_cost=1.0, consumer_cost=0.6, wakeup_cost=3.0,
        wakeup_latency=latency, threshold=N, service="deterministic", arrivals="cbr",
    )  # fmt: skip
    result = simulate(path, packets=400_000)
    assert result.mean["carried_rate"] == pytest.approx(batch / (batch + 3.0), rel=5e-4)


@pytest.mark.parametrize("delay", [10.0, 20.0, 50.0])
def test_interrupts_after_a_delay(delay: float) -> None:
    """Once H > S a busy period of the kernel wakes once: (1 - lambda c_k)/(1 + lambda (H + w))."""
    path = CapturePath(
        poisson(0.5), Kernel(256, 0.3, driver=Driver("napi", delay)), Buffer(1024), Consumer(0.3),
        Wakeup("poll", cost=1.0, latency=3.0),
    )  # fmt: skip
    mean = simulate(path, packets=400_000).mean
    wanted = (1 - 0.5 * 0.3) / (1 + 0.5 * (delay + 1.0))
    assert mean["wakeup_rate"] / 0.5 == pytest.approx(wanted, rel=0.01)
    assert mean["interrupt_rate"] / 0.5 == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize(
    ("ca", "captured"), [(0.25, (1.0, 0.865, 0.993, 0.784)), (0.1, (0.9995, 0.745, 0.497, 0.297))]
)
def test_several_processes(ca: float, captured: tuple[float, ...]) -> None:
    """Another event simulation's values (exponential services, fixed waits), to 3 digits."""
    found = []
    for n in (1, 2, 3, 4):
        path = CapturePath(
            poisson(1.27), Kernel(256, 0.6 + 0.03 * n, scv=1.0), Buffer(1024), Consumer(ca, 1.0, n),
            Wakeup("poll", cost=1.5, latency=4.0, poll_cost=0.4, switch_cost=0.2),
        )  # fmt: skip
        found.append(simulate(path, packets=400_000).mean["captured"])
    assert found == pytest.approx(captured, abs=0.008)
    rises = [b > a for a, b in pairwise(found)]
    assert rises == [b > a for a, b in pairwise(captured)]


def test_kernel_held_to_a_share() -> None:
    """Livelock without, (1 - phi)/c_a with a scheduler that holds the kernel to phi."""
    # the last: the kernel needs less than its share
    cases = ((2.5, 1.0, 0.0), (2.5, 0.7, 0.3 / 0.8), (1.4, 0.5, 0.5 / 0.8), (1.2, 0.9, 0.28 / 0.8))
    for rate, share, wanted in cases:
        path = CapturePath(
            poisson(rate), Kernel(32, 0.6), Buffer(64), Consumer(0.8), Wakeup(),
            Cores("same", kernel_share=share),
        )  # fmt: skip
        mean = simulate(path, packets=400_000).mean
        assert mean["carried_rate"] == pytest.approx(wanted, abs=5e-3)
