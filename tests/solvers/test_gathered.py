"""Packets that gather in the ring for a limited interrupt: wakeups and waits, by simulation."""

from __future__ import annotations

import pytest

from capmodel import predict

PLACES = [
    ("pf_packet", rate, pinning)
    for rate in ("100kpps", "300kpps", "500kpps", "700kpps")
    for pinning in ("split", "same")
    if (rate, pinning) != ("700kpps", "same")
]  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "rate", "pinning"), [*PLACES, ("tpacket_v2", "500kpps", "split")]
)
def test_wakeups_and_sojourn_are_those_of_batches(backend: str, rate: str, pinning: str) -> None:
    said, seen = (
        predict(rate=rate, size=64, backend=backend, pinning=pinning, solver=solver)
        for solver in ("closed_form", "simulation")
    )
    assert said.captured == pytest.approx(seen.captured, abs=1e-3)
    assert said.wakeup_rate == pytest.approx(seen.wakeup_rate, rel=0.2)
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.3)


@pytest.mark.parametrize("arrivals", ["cbr", "poisson"])
@pytest.mark.parametrize("rate", ["20kpps", "100kpps", "300kpps", "600kpps"])
def test_a_consumer_that_looks_first_sleeps_between_batches(rate: str, arrivals: str) -> None:
    """Beyond half of the kernel's load (600 kpps) only every pair of batches leaves a long gap."""
    said, seen = (
        predict(rate=rate, size=64, backend="pf_ring", arrivals=arrivals, solver=solver)
        for solver in ("closed_form", "simulation")
    )
    assert said.captured == pytest.approx(seen.captured, abs=1e-3)
    assert said.wakeup_rate == pytest.approx(seen.wakeup_rate, rel=0.25)
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.2)


@pytest.mark.parametrize("work", ["1us", "2us"])
def test_batches_pile_up_before_a_consumer_slower_than_the_kernel(work: str) -> None:
    said, seen = (
        predict(rate="300kpps", size=64, backend="pf_packet", work=work, solver=solver)
        for solver in ("closed_form", "simulation")
    )
    assert seen.solution.buffer_occupancy > 1.5
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.1)


@pytest.mark.parametrize("pinning", ["split", "same"])
@pytest.mark.parametrize("rate", ["1kpps", "5kpps", "20kpps"])
def test_poisson_packets_wait_for_interrupts_even_where_they_are_rare(
    rate: str, pinning: str
) -> None:
    said, seen = (
        predict(rate=rate, size=64, backend="pf_packet", pinning=pinning, arrivals="poisson",
                solver=solver)
        for solver in ("closed_form", "simulation")
    )  # fmt: skip
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.12)


@pytest.mark.filterwarnings("ignore:rate 2 Mpps during bursts exceeds the wire speed")
@pytest.mark.parametrize("ring", [256, 512, 1024, 4096])
def test_what_the_ring_keeps_of_a_burst_is_delivered_after_it(ring: int) -> None:
    said, seen = (
        predict(rate=2e5, size=64, backend="pf_packet", arrivals="bursts(on=2ms,off=18ms)",
                ring=ring, solver=solver)
        for solver in ("closed_form", "simulation")
    )  # fmt: skip
    assert said.captured == pytest.approx(seen.captured, rel=0.03)
    assert said.wakeup_rate == pytest.approx(seen.wakeup_rate, rel=0.2)
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.1)


def test_on_one_core_every_interrupt_ends_one_sleep() -> None:
    throttle = 8000.0  # the card's, of the default machine
    for rate in ("50kpps", "200kpps"):
        found = predict(rate=rate, size=64, backend="pf_packet", pinning="same")
        assert found.wakeup_rate == pytest.approx(throttle)
    rare = predict(rate="5kpps", size=64, backend="pf_packet", pinning="same")
    assert rare.wakeup_rate == pytest.approx(5000.0)


@pytest.mark.parametrize("backend", ["pf_packet", "tpacket_v2"])
@pytest.mark.parametrize(
    ("rate", "work"),
    [("600kpps", "1us"), ("600kpps", "5us"), ("900kpps", "0s"), ("900kpps", "500ns"),
     ("1.2Mpps", "2us")],
)  # fmt: skip
def test_interrupts_go_on_and_take_their_time_on_an_overloaded_core(
    backend: str, rate: str, work: str
) -> None:
    """The stated accuracy, 1 % of the carried rate."""
    said, seen = (
        predict(rate=rate, size=64, backend=backend, pinning="same", work=work, duration=1e9,
                solver=solver)
        for solver in ("closed_form", "simulation")
    )  # fmt: skip
    assert said.captured == pytest.approx(seen.captured, rel=0.01)


@pytest.mark.parametrize("consumers", [2, 3])
@pytest.mark.parametrize("rate", ["20kpps", "100kpps", "300kpps", "600kpps"])
def test_signals_that_the_kernel_has_no_time_for_are_saved_by_a_backlog(
    rate: str, consumers: int
) -> None:
    said, seen = (
        predict(rate=rate, size=64, backend="pf_packet", consumers=consumers, duration=1e9,
                solver=solver)
        for solver in ("closed_form", "simulation")
    )  # fmt: skip
    assert said.captured == pytest.approx(seen.captured, abs=0.005)


@pytest.mark.parametrize("arrivals", ["cbr", "poisson"])
@pytest.mark.parametrize("pinning", ["split", "same"])
@pytest.mark.parametrize(
    ("backend", "rate"),
    [("pf_packet", "300kpps"), ("pf_packet", "650kpps"), ("pf_packet", "750kpps"),
     ("pf_ring", "650kpps"), ("tpacket_v3", "900kpps")],
)  # fmt: skip
def test_a_ring_must_hold_what_comes_between_two_interrupts(
    backend: str, rate: str, pinning: str, arrivals: str
) -> None:
    said, seen = (
        predict(rate=rate, size=64, backend=backend, pinning=pinning, arrivals=arrivals, ring=64,
                duration=1e9, solver=solver)
        for solver in ("closed_form", "simulation")
    )  # fmt: skip
    assert said.captured == pytest.approx(seen.captured, abs=0.02)


def test_the_decomposition_says_that_it_does_not_know_of_batches() -> None:
    often = predict(
        rate="300kpps", size=64, backend="pf_packet", arrivals="poisson", solver="decomposition"
    )
    assert any("gather in the ring" in note for note in often.solution.notes)
    rarely = predict(rate="5kpps", size=64, backend="pf_packet", arrivals="poisson")
    assert rarely.solver == "decomposition"
    assert not any("gather in the ring" in note for note in rarely.solution.notes)


def test_where_packets_gather_the_closed_form_answers() -> None:
    found = predict(rate="300kpps", size=64, backend="pf_packet", arrivals="poisson")
    assert found.solver == "closed_form"
    said, seen = (
        predict(rate="750kpps", size=64, arrivals="poisson", ring=128, duration=1e9, solver=solver)
        for solver in ("closed_form", "simulation")
    )
    assert any("losses at the ring below 1 %" in warning for warning in said.warnings)
    assert 30.0 * said.drops["ring"] < seen.drops["ring"] < 0.01 * 750e3  # worth a sentence
