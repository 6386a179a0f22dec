"""Readers of blocks: what they leave in the buffer and how often they call, by simulation."""

from __future__ import annotations

from itertools import product

import pytest

from capmodel import predict

RATES = ("5kpps", "100kpps", "600kpps", "900kpps")
LONG = 1e9  # s: a run that a buffer's content does not change


# where a batch of one interrupt overflows the two halves of a buffer, a limit that is stated
NEAR_LIVELOCK = ("bpf", "same", "900kpps", "0s")


def both(**arguments: object) -> tuple[object, object]:
    said, seen = (
        predict(size=64, duration=LONG, solver=solver, **arguments)
        for solver in ("closed_form", "simulation")
    )
    return said, seen


@pytest.mark.parametrize(
    ("backend", "pinning", "rate", "work"),
    [
        case
        for case in product(("tpacket_v3", "bpf"), ("split", "same"), RATES, ("0s", "2us"))
        if case != NEAR_LIVELOCK
    ],
)
def test_waits_and_calls(backend: str, pinning: str, rate: str, work: str) -> None:
    said, seen = both(backend=backend, pinning=pinning, rate=rate, work=work)
    assert said.captured == pytest.approx(seen.captured, abs=0.008)
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.12)
    assert said.poll_rate == pytest.approx(seen.poll_rate, rel=0.06, abs=1.0)
    # on a core that is nearly full a reader is signalled now and then
    assert said.wakeup_rate == pytest.approx(seen.wakeup_rate, rel=0.05, abs=100.0)


def test_near_livelock_the_limit_is_stated() -> None:
    backend, pinning, rate, work = NEAR_LIVELOCK
    said, _ = both(backend=backend, pinning=pinning, rate=rate, work=work)
    assert any("half of the buffer" in warning for warning in said.warnings)


@pytest.mark.parametrize("backend", ["tpacket_v3", "bpf"])
@pytest.mark.parametrize("pinning", ["split", "same"])
@pytest.mark.parametrize("rate", ["100kpps", "300kpps", "900kpps"])
def test_several_readers(backend: str, pinning: str, rate: str) -> None:
    said, seen = both(backend=backend, pinning=pinning, rate=rate, consumers=3)
    assert said.captured == pytest.approx(seen.captured, abs=0.005)
    assert said.poll_rate == pytest.approx(seen.poll_rate, rel=0.06, abs=1.0)


def test_a_reader_that_is_behind_lets_the_kernel_drop_at_the_price_of_dropping() -> None:
    said, seen = both(backend="tpacket_v3", rate="1.2Mpps", work="5us")
    for stage, rate in seen.drops.items():
        assert said.drops[stage] == pytest.approx(rate, abs=0.01 * 1.2e6)


def test_a_reader_calls_once_per_block() -> None:
    found = predict(rate="600kpps", size=64, backend="bpf", work="5us", duration=LONG)
    block = found.path.buffer.block
    assert found.wakeup_rate == 0.0
    assert found.poll_rate == pytest.approx(found.carried_rate / block, rel=1e-9)
