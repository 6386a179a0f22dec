"""Sending calls and wait calls, matched by hand."""

from __future__ import annotations

import numpy as np
import pytest

from capmodel.lab.board import POLLS, REFUSED, SENT, Board
from capmodel.lab.point import LabPoint
from capmodel.lab.records import Records, WaitRecord, read_records, recordable, summary

# six calls of a sender [ns]; the consumer waits twice, for the second and for the last packet
CALLS = np.array([[0, 1000], [1000, 4000], [4000, 5200], [5200, 6300], [9000, 9900], [9900, 11900]])
WAITS = np.array([[1, 700, 6000], [5, 10_400, 12_000]])


def test_calls_are_matched_by_the_packets_before() -> None:
    record = summary(CALLS, WAITS)
    assert record.waits == (
        pytest.approx((300e-9, 3000e-9, 5000e-9)),  # the second call, 300 ns after it fell asleep
        pytest.approx((-500e-9, 2000e-9, 2100e-9)),  # a call that had begun before the wait
    )


def test_phases_of_the_other_calls() -> None:
    sends = summary(CALLS, WAITS).sends
    assert sends["first"] == (1, pytest.approx(1200e-9))  # the third: it is not back before 6000
    assert sends["waking"] == (1, pytest.approx(1100e-9))
    assert sends["awake"] == (1, pytest.approx(900e-9))  # the fifth; the first came before any wait


def test_a_consumer_that_never_waits_is_awake() -> None:
    sends = summary(CALLS, np.zeros((0, 3), dtype=np.int64)).sends
    assert sends["awake"][0] == 6


def test_calls_that_were_held_up_do_not_count() -> None:
    calls = CALLS.copy()
    calls[2] = (4000, 400_000)
    calls[3:] += 400_000
    assert summary(calls, WAITS[:1]).sends["first"] == (0, 0.0)


def noted(lost: int = 0, refused: int = 0) -> WaitRecord | None:
    records, board = Records(LabPoint(1000, duration="6ms", pinning="split")), Board(1)
    records.sends[: CALLS.size] = CALLS.ravel()
    records.waits[: WAITS.size + 3] = [*WAITS.ravel(), 6, 13_000, 99_000]  # the end of the run
    board.sender[SENT], board.sender[REFUSED] = len(CALLS), refused
    board.consumer(0)[POLLS] = len(WAITS) + 1
    found = read_records(records, board, lost)
    return None if found is None else WaitRecord.from_dict(found)


def test_shared_memory_is_read_back() -> None:
    found, expected = noted(), summary(CALLS, WAITS)
    assert found is not None
    assert found.sends == {name: (n, pytest.approx(m)) for name, (n, m) in expected.sends.items()}
    assert found.waits == tuple(pytest.approx(wait) for wait in expected.waits)


def test_lost_packets_leave_nothing_to_match() -> None:
    assert noted(lost=1) is None
    assert noted(refused=1) is None


def test_what_can_be_recorded() -> None:
    base = {"duration": "0.1s", "pinning": "split", "backend": "tpacket_v2"}
    assert recordable(LabPoint("100kpps", **base))
    assert recordable(LabPoint("100kpps", **base | {"arrivals": "poisson"}))
    for change in (
        {"wait": "busy"}, {"pinning": "same"}, {"consumers": 2}, {"batch": 4},
        {"backend": "tpacket_v3"}, {"duration": None, "packets": 100},
    ):  # fmt: skip
        assert not recordable(LabPoint("100kpps", **base | change))
