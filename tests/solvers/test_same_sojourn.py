"""How long a packet takes where kernel and consumer share a core, by hand and by simulation."""

from __future__ import annotations

import pytest

from capmodel import predict
from capmodel.solvers import solve


def both(rate: float, backend: str, **more: str) -> tuple[float, float]:
    """Mean sojourn time of the closed form, and of a simulation of the same path [s]."""
    path = predict(rate, backend=backend, pinning="same", solver="closed_form", **more).path
    said, seen = (solve(path, solver).sojourn_time for solver in ("closed_form", "simulation"))
    return float(said), float(seen)


@pytest.mark.parametrize("machine", ["braun_amd", "braun_xeon"])
@pytest.mark.parametrize("backend", ["pf_packet", "pf_packet_copy", "pf_packet_busy"])
def test_a_lone_packet_waits_for_everything_once(backend: str, machine: str) -> None:
    """Interrupt, kernel; signal and context switch where the consumer sleeps; its own work."""
    for rate in (200.0, 1e3, 5e3):
        found = predict(rate, backend=backend, machine=machine, pinning="same")
        path, wakeup = found.path, found.path.wakeup
        woken = wakeup.cost + wakeup.switch_cost if found.wakeup_rate > 0.0 else 0.0
        steps = path.kernel.driver.interrupt_cost + path.kernel.cost + woken + path.consumer.cost
        assert found.sojourn_time == pytest.approx(float(steps), rel=1e-3)
        said, seen = both(rate, backend, machine=machine)
        assert said == pytest.approx(seen, rel=2e-3)


@pytest.mark.parametrize("rate", [500.0, 2e3, 5e3])
def test_packets_that_one_timer_holds_back_are_woken_together(rate: float) -> None:
    said, seen = both(rate, "pf_packet_modified")
    assert said == pytest.approx(seen, rel=1e-3)


@pytest.mark.parametrize("rate", [1e3, 5e3, 1e5])
def test_a_block_is_read_packet_by_packet(rate: float) -> None:
    for backend, error in (("bpf", 0.01), ("tpacket_v3", 0.03)):
        said, seen = both(rate, backend)
        assert said == pytest.approx(seen, rel=error)


@pytest.mark.parametrize("backend", ["pf_packet", "pf_packet_busy"])
@pytest.mark.parametrize("rate", [500.0, 1e3, 5e3])
def test_random_packets_gather_for_an_interrupt_at_any_rate(backend: str, rate: float) -> None:
    said, seen = both(rate, backend, arrivals="poisson")
    assert said == pytest.approx(seen, rel=0.06)
    regular, _ = both(rate, backend)
    assert said > 1.3 * regular


@pytest.mark.parametrize("rate", [500.0, 1e3, 5e3, 2e4])
def test_random_packets_gather_on_two_cores_too(rate: float) -> None:
    path = predict(rate, arrivals="poisson", pinning="split", solver="closed_form").path
    said, seen = (float(solve(path, name).sojourn_time) for name in ("closed_form", "simulation"))
    assert said == pytest.approx(seen, rel=0.1)
