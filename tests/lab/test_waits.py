"""A law drawn from known wait calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capmodel.lab.outcome import ConsumerCounts, LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import load_priors
from capmodel.lab.records import WaitRecord
from capmodel.lab.waits import Waits, read_waits, waits_of, write_waits

AWAKE, FIRST, WAKING = 2.0e-6, 2.5e-6, 2.2e-6
SENDS = {"awake": (1000, AWAKE), "first": (1000, FIRST), "waking": (1000, WAKING),
         "stall": (4, 2e-3), "run": (40, 0.25)}  # fmt: skip


def calls(count: int, seed: int = 1) -> np.ndarray:
    """Of a machine whose consumer sleeps after 0.6 us: 3 us of signal then, and 9 us away."""
    random = np.random.default_rng(seed)
    came = random.uniform(0.0, 4.0e-6, count)  # of the packet, after the call was entered
    slept = came > 0.6e-6
    cost = np.where(slept, 3.0e-6 * random.uniform(0.5, 1.5, count), 0.1e-6)
    latency = np.where(slept, 9.0e-6, 0.2e-6)
    duration = AWAKE + cost
    return np.column_stack([came - AWAKE, duration, duration + latency, slept])


def run_of(table: np.ndarray, wakes: int) -> LabRun:
    point = LabPoint("100kpps", duration="1s", pinning="split")
    counts = ConsumerCounts(100_000, 0, len(table), wakes, 0, 0, 0.0, 0.0, 0.0, 0.0)
    record = WaitRecord(SENDS, tuple((float(a), float(b), float(c)) for a, b, c, _ in table))
    return LabRun(point, 100_000, 0, 0, (counts,), 100_000, 0.2, 1.0, 0.0, 0.0, {}, {}, "", record)


def test_costs_are_told_directly() -> None:
    table = calls(20_000)
    slept = table[:, 3] > 0
    found = Waits(table, SENDS).measured()
    assert found is not None
    # what the next sending call bears belongs to the signal
    expected = (table[slept, 1] - AWAKE).mean() + FIRST - WAKING
    assert found.wakeup == pytest.approx(expected, rel=1e-12)
    assert found.wakeup_latency == pytest.approx(9.0e-6, rel=1e-9)
    assert found.waking == pytest.approx(WAKING - AWAKE, rel=1e-9)
    assert found.poll_call is not None
    # until the consumer is back: 0.2 us after its sending call, which took 0.1 us longer
    assert found.poll_call == pytest.approx(0.3e-6 + 0.3e-6, rel=0.1)


def test_the_law_tells_sleep_from_waiting() -> None:
    found = Waits(calls(20_000), SENDS).measured()
    assert found is not None
    law = found.law
    for begin, end, cost, latency, slept in zip(
        law.since, [*law.since[1:], np.inf], law.cost, law.latency, law.slept, strict=True
    ):
        if end <= 0.6e-6:
            assert set(slept) == {0.0}
            assert np.mean(cost) * found.wakeup == pytest.approx(0.1e-6, rel=1e-3)
        elif begin >= 0.6e-6:
            assert set(slept) == {1.0}
            assert np.mean(cost) * found.wakeup == pytest.approx(3.3e-6, rel=0.05)
            assert np.mean(latency) * found.wakeup_latency == pytest.approx(9.0e-6, rel=1e-3)
            # the spread within an interval is kept, not only its mean
            assert max(cost) / min(cost) > 2.0


def test_every_call_counts_once_in_the_mean() -> None:
    table = calls(20_000)
    found = Waits(table, SENDS).measured()
    assert found is not None
    counts = np.histogram(table[:, 0] + AWAKE, [*found.law.since, np.inf])[0]
    mean = np.average(np.mean(found.law.latency, axis=1), weights=counts) * found.wakeup_latency
    assert mean == pytest.approx((table[:, 2] - table[:, 1]).mean(), rel=2e-3)


def test_the_kernel_s_count_says_which_calls_slept() -> None:
    table = calls(400)
    wakes = int(table[:, 3].sum())
    found = waits_of([run_of(table, wakes)])
    assert found.calls[:, 3].sum() == wakes
    assert np.array_equal(found.calls[:, 3], table[:, 3])


def test_runs_without_a_record_count_for_nothing() -> None:
    table = calls(400)
    run = run_of(table, 300)
    assert np.array_equal(waits_of([run, replace(run, waits=None)]).calls, waits_of([run]).calls)
    assert waits_of([replace(run, waits=None)]).measured() is None


def test_too_few_calls_tell_nothing() -> None:
    assert Waits(calls(10), SENDS).measured() is None
    assert Waits(calls(1000), SENDS | {"awake": (0, 0.0)}).measured() is None


def test_stalls_are_counted() -> None:
    rate, time = Waits(calls(10), SENDS).stalls()
    assert (rate.name, rate.si, rate.si_std) == ("stall_rate", 4 / 10.0, pytest.approx(0.2))
    assert (time.name, time.si, time.si_std) == ("stall_time", 2e-3, pytest.approx(1e-3))
    assert Waits(calls(10), SENDS | {"stall": (0, 0.0)}).stalls() == ()
    names = {constant.name for constant in load_priors().informed(Waits(calls(10), SENDS)).assumed}
    assert {"stall_rate", "stall_time"} <= names


def test_tables_are_read_back(tmp_path: Path) -> None:
    waits = Waits(calls(2000), SENDS)
    write_waits(tmp_path, waits)
    found = read_waits(tmp_path)
    assert found is not None
    assert found.calls == pytest.approx(waits.calls, rel=1e-3)
    assert found.sends == SENDS
    assert read_waits(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("waits.csv", "since,", "sinse,", "must name the columns"),
        ("waits.csv", ",1\n", "\n", "must hold 4 values"),
        ("sends.csv", "awake", "alive", "phase.*must be awake, first, waking, stall, run"),
        ("sends.csv", "1000", "many", "many"),
    ],
)
def test_damaged_tables_name_file_and_line(
    tmp_path: Path, name: str, before: str, after: str, said: str
) -> None:
    write_waits(tmp_path, Waits(calls(100), SENDS))
    text = (tmp_path / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        read_waits(tmp_path)


def test_priors_give_way_to_what_was_told() -> None:
    priors = load_priors()
    assert priors.informed(None) is priors
    waits = Waits(calls(20_000), SENDS)
    informed, measured = priors.informed(waits), waits.measured()
    assert measured is not None
    by_name = {cost.name: cost for cost in informed.costs}
    assert by_name["wakeup"].median == pytest.approx(1e6 * measured.wakeup)
    assert by_name["wakeup"].spread < 0.2
    # the law stands for the states of the consumer's core
    assert not {"sleep_leave", "sleep_settle", "idle_latency", "early_signal"} & set(by_name)
    assert informed.machine(2).wakeup_law == measured.law
