"""Packets add up or there is no run; rates follow from counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.lab import ConsumerCounts, LabError, LabPoint, LabRun

COUNTS = st.integers(0, 10**6)


def counts(delivered, dropped, **more):
    zero = {"polls": 0, "wakes": 0, "yields": 0, "received_bytes": 0, "work_time": 0.0,
            "user": 0.0, "system": 0.0, "waited": 0.0}  # fmt: skip
    return ConsumerCounts(delivered, dropped, **{**zero, **more})


def run(offered, ring, backlog, *consumers, **more):
    values = {"send_calls": 1, "send_time": 1.0, "elapsed": 2.0, "late": 0.0, "waited": 0.0,
              "cpu": {}, "cores": {}}  # fmt: skip
    return LabRun(LabPoint(10.0), offered, ring, backlog, consumers, **{**values, **more})


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(-5, 5).filter(bool))
def test_a_packet_too_many_or_too_few_is_an_error_with_the_counters(ring, back, drops, got, error):
    offered = ring + back + drops + got
    whole = run(offered, ring, back, counts(got, drops))
    assert whole.delivered + whole.buffer_drops + ring + back == offered
    with pytest.raises(LabError, match="do not add up") as caught:
        run(offered, ring, back, counts(got + error, drops))
    assert caught.value.counters["offered"] == offered
    assert caught.value.counters["delivered"] == got + error


def test_every_consumer_must_add_up():
    run(10, 1, 1, counts(8, 0), counts(3, 5))
    with pytest.raises(LabError, match="consumer 1"):
        run(10, 1, 1, counts(8, 0), counts(3, 4))


def test_shares_and_rates_over_several_consumers():
    found = run(10, 1, 1, counts(8, 0, wakes=4, polls=6), counts(4, 4, wakes=2, polls=None))
    assert found.captured == pytest.approx(0.6)
    assert found.wakeup_rate == pytest.approx(3.0)
    assert found.carried_rate == pytest.approx(3.0)
    assert found.polls is None
    assert found.kernel_time == pytest.approx(1.0 / 9)


def test_stolen_time_is_over_the_cores_watched():
    cores = {0: {"steal": 0.25, "user": 1.0}, 1: {"steal": 0.5, "user": 0.0}}
    found = run(1, 0, 0, counts(1, 0), cpu=cores)
    assert found.stolen == pytest.approx(0.75)
    assert found.to_dict()["stolen"] == found.stolen
    assert replace(found, cpu={}).stolen == 0


def test_an_error_says_what_was_counted():
    assert str(LabError("it died", {"offered": 1234})) == "it died; counted so far: offered 1,234"
    assert str(LabError("it died")) == "it died"
