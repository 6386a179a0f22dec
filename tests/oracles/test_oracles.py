"""The oracles are held to values that neither they nor the package computed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.oracles import chains
from tests.oracles.deferred_ring import DeferredRing
from tests.oracles.event_simulation import Counts, same_core, two_core
from tests.oracles.reference import reference_values


def conserved(counts: Counts) -> bool:
    gone = counts.delivered + counts.ring_drops + counts.buffer_drops
    return counts.offered == gone + counts.left_inside


@pytest.mark.parametrize(("p", "value"), reference_values("MM1K_loss").values())
def test_mm1k(p: dict[str, Any], value: list[float]) -> None:
    loss = chains.mm1k_loss(Fraction(str(p["rho"])), p["K"])
    assert float(loss) == pytest.approx(value[0], rel=1e-12)


@pytest.mark.parametrize(("p", "value"), reference_values("MD1K_loss").values())
def test_md1k(p: dict[str, Any], value: list[float]) -> None:
    assert float(chains.md1k_loss(str(p["rho"]), p["K"])) == pytest.approx(value[0], rel=1e-13)


@pytest.mark.parametrize(("p", "value"), reference_values("MM1K_transient").values())
def test_mm1k_transient(p: dict[str, Any], value: list[float]) -> None:
    lost = chains.mm1k_transient_losses(p["lam"], p["mu"], p["K"], p["T"])
    assert lost == pytest.approx(value[0], rel=1e-9)


@pytest.mark.parametrize(("p", "value"), reference_values("BPF_ZC").values())
def test_double_buffer(p: dict[str, Any], value: list[float]) -> None:
    lost, wakes = chains.double_buffer(p["lam"], p["B"], p["p"], p["ca"], p["L"])
    assert float(p["lam"] * (1 - lost)) == pytest.approx(value[0], rel=1e-12)
    assert float(wakes) == pytest.approx(value[1], rel=1e-12)


def test_on_off() -> None:
    ((p, value),) = reference_values("MMFF").values()
    lost = chains.on_off_loss(p["h"], p["c"], p["al"], p["be"], p["K"])
    assert float(lost) == pytest.approx(value[0], rel=1e-12)


def test_mmpp() -> None:
    ((p, value),) = reference_values("MMPP").values()
    lost = chains.mmpp_loss(tuple(p["l"]), tuple(p["s"]), p["mu"], p["K"])
    assert lost == pytest.approx(value[0], rel=1e-10)


@pytest.mark.parametrize(("p", "value"), reference_values("AB_exp_tandem").values())
def test_two_core_simulation(p: dict[str, Any], value: list[float]) -> None:
    counts = two_core(
        rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"],
        wakeup_cost=p["w"], latency=p["L"], poll_cost=p["P"], service="exponential",
        waits="exponential", packets=200_000,
    )  # fmt: skip
    assert conserved(counts)
    # three or more standard errors of a run of this length
    assert counts.carried_rate == pytest.approx(value[0], rel=0.01)
    assert counts.wakeup_rate == pytest.approx(value[1], rel=0.05)
    assert counts.buffer_drops / counts.elapsed == pytest.approx(value[2], rel=0.15)
    assert counts.ring_drops / counts.elapsed == pytest.approx(value[3], rel=0.15)
    assert counts.kernel_busy / counts.elapsed == pytest.approx(
        (value[0] + value[2]) * p["ck"] + value[1] * p["w"], rel=0.02
    )


def test_saturated_two_core_simulation() -> None:
    ((p, value),) = reference_values("AB_exp_saturated").values()
    counts = two_core(
        rate=8.0, ring=24, capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"],
        wakeup_cost=p["w"], latency=p["L"], poll_cost=p["P"], service="exponential",
        waits="exponential", packets=800_000,
    )  # fmt: skip
    assert counts.carried_rate == pytest.approx(value[0], rel=0.02)


@pytest.mark.parametrize(("p", "value"), reference_values("AA_exp").values())
def test_same_core_simulation(p: dict[str, Any], value: list[float]) -> None:
    counts = same_core(
        rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"],
        service="exponential", packets=150_000,
    )  # fmt: skip
    assert conserved(counts)
    assert counts.carried_rate == pytest.approx(value[0], rel=0.02)
    assert counts.buffer_drops / counts.elapsed == pytest.approx(value[2], rel=0.02, abs=0.005)


def test_fixed_sleep_simulation() -> None:
    ((p, value),) = reference_values("MG1K_fixedsleep_2").values()
    counts = two_core(
        rate=p["lam"], ring=10, capacity=p["K"], kernel_cost=0.0, consumer_cost=1.0,
        policy="sleep", sleep=p["V"], packets=60_000,
    )  # fmt: skip
    assert counts.carried_rate == pytest.approx(value[0], rel=0.005)
    assert counts.polls / counts.elapsed == pytest.approx(value[1], rel=0.01)


def test_threshold_and_timeout_simulation() -> None:
    ((p, value),) = reference_values("MG1K_Npolicy_0").values()
    counts = two_core(
        rate=p["lam"], ring=10, capacity=p["K"], kernel_cost=0.0, consumer_cost=p["par"],
        threshold=p["N"], timeout=float(p["Tm"]), latency=p["L"], poll_cost=p["P"], packets=200_000,
    )  # fmt: skip
    assert counts.wakeup_rate == pytest.approx(value[1], rel=0.02)
    assert 1 - counts.captured == pytest.approx(1 - value[0] / p["lam"], rel=0.4)


@pytest.mark.parametrize(("latency", "batch"), [(0.3, 1), (2.5, 7), (4.7, 12)])
def test_integer_law_of_constant_times(latency: float, batch: int) -> None:
    """Kernel 1, consumer 0.6: it finds the buffer empty after the first m with 0.4 m > latency."""
    assert batch == int(latency / 0.4) + 1
    counts = two_core(
        rate=3.0, ring=64, capacity=1000, kernel_cost=1.0, consumer_cost=0.6, wakeup_cost=3.0,
        latency=latency, arrivals="cbr", packets=30_000,
    )  # fmt: skip
    assert counts.delivered / counts.wakes == pytest.approx(batch, rel=2e-3)
    assert counts.carried_rate == pytest.approx(batch / (batch + 3.0), rel=2e-3)


def test_spinning_consumer_slows_the_kernel() -> None:
    """A kernel always at work is slowed while the consumer idles: c_k + kappa (c_k - c_a) each."""
    counts = two_core(
        rate=3.0, ring=64, capacity=1000, kernel_cost=1.0, consumer_cost=0.4, policy="spin",
        contention=0.5, arrivals="cbr", packets=20_000,
    )  # fmt: skip
    assert counts.carried_rate == pytest.approx(1.0 / 1.3, rel=1e-3)
    assert counts.wakes == 0


def test_a_writer_that_never_looks_puts_off_over_all() -> None:
    # by hand: of 9 messages into an empty ring the 3rd, 6th and 9th bring an atomic write each
    ring = DeferredRing(slots=16, most=3)
    ring.run([True] * 9)
    assert (ring.written, ring.writer.exchanges, ring.reader.exchanges) == (9, 3, 0)
    # a full ring: 15 of 16 slots, then a look that does what is put off (here nothing) and waits
    ring.run([True] * 9)
    assert (ring.written, ring.freed, ring.writer.exchanges) == (15, 0, 5)


def test_a_reader_that_looks_each_time_puts_off_until_the_next_look() -> None:
    ring = DeferredRing(slots=16, most=3)
    ring.run([True] * 9 + [False] * 10)
    # the first of every three is written last, so all nine are ready; the tenth look finds nothing
    assert ring.order == list(range(9))
    assert ring.reader.exchanges == 9
    # two messages more: the first is put off, so that nothing is ready for a reader in order
    ring.run([True] * 2 + [False])
    assert (ring.written, ring.read) == (11, 9)
