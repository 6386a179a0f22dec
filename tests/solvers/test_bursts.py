"""Bursts, by simulation: what is lost, how long packets wait, how often the consumer sleeps."""

from __future__ import annotations

from itertools import product

import pytest

from capmodel import predict

OFFERS = [("200kpps", "1us", None), ("200kpps", "1us", "64MiB"), ("100kpps", "3us", "1024 slots"),
          ("100kpps", "200ns", None), ("200kpps", "3us", None)]  # fmt: skip


@pytest.mark.filterwarnings("ignore:rate .* during bursts exceeds the wire speed")
@pytest.mark.parametrize(
    ("pinning", "random", "offer"), list(product(("split", "same"), ("", ",random=no"), OFFERS))
)
def test_bursts(pinning: str, random: str, offer: tuple[str, str, str | None]) -> None:
    rate, work, buffer = offer
    said, seen = (
        predict(rate=rate, size=64, work=work, buffer=buffer, pinning=pinning, duration=1e9,
                arrivals=f"bursts(on=1ms,off=4ms{random})", solver=solver)
        for solver in ("closed_form", "simulation")
    )  # fmt: skip
    # a simulation sees some ten thousand random bursts: of rare long ones too few
    assert said.captured == pytest.approx(seen.captured, abs=0.008)
    assert said.sojourn_time == pytest.approx(seen.sojourn_time, rel=0.25)
    assert said.wakeup_rate == pytest.approx(seen.wakeup_rate, rel=0.55, abs=150.0)
    assert (said.poll_rate > 0.0) == (said.wakeup_rate > 0.0)


def test_a_larger_buffer_that_is_never_filled_changes_nothing() -> None:
    small, large = (
        predict(rate="200kpps", size=64, work="1us", buffer=buffer,
                arrivals="bursts(on=1ms,off=4ms)")
        for buffer in ("16384 slots", "32768 slots")
    )  # fmt: skip
    assert large.sojourn_time == pytest.approx(
        small.sojourn_time, rel=0.05
    )  # its cache misses, not its size
