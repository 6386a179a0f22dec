"""Experiments against an instrument of known costs: order, screening, resuming, refusals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from capmodel.lab.experiment import Experiment, Limits, PointResult, run_experiment
from capmodel.lab.fit import observations
from capmodel.lab.outcome import LabRun
from capmodel.lab.point import LabPoint
from tests.lab.fake import FakeLab, fake_run

DESIGN = tuple(LabPoint(rate, duration="10ms") for rate in (1e5, 2e5, 3e5, 4e5))


class Killed(BaseException):
    pass


class Counting:
    """An instrument that stops after some runs; a point yields less at every turn."""

    def __init__(self, stop_after: int = 10**9, waited: float = 0.0) -> None:
        self.calls: list[LabPoint] = []
        self.stop_after = stop_after
        self.waited = waited

    def __call__(self, point: LabPoint) -> LabRun:
        if len(self.calls) >= self.stop_after:
            raise Killed
        self.calls.append(point)
        turn = sum(call == point for call in self.calls)
        return fake_run(point, captured=1.0 - turn / 100.0, waited=self.waited)


def test_every_point_comes_once_per_round_and_rounds_follow_each_other() -> None:
    lab = Counting()
    run_experiment(DESIGN, rounds=5, measure=lab)
    rounds = [lab.calls[start : start + 4] for start in range(0, 20, 4)]
    assert all(set(each) == set(DESIGN) for each in rounds)
    assert len({tuple(DESIGN.index(point) for point in each) for each in rounds}) > 1


def test_medians_and_spread_are_those_of_the_runs() -> None:
    experiment = run_experiment(DESIGN, rounds=5, measure=Counting())
    for result in experiment.results:
        assert result.median() == pytest.approx(0.97)
        # quartiles of five equidistant values are the second and the fourth
        assert result.spread() == pytest.approx(0.02 / 1.3489795)
    assert experiment.noise_floor == pytest.approx(np.mean([0.02, 0.01, 0.0, 0.01, 0.02]))


@pytest.mark.parametrize("killed_after", [0, 1, 5, 11])
def test_a_killed_experiment_continues_and_loses_the_run_in_progress_at_most(
    tmp_path: Path, killed_after: int
) -> None:
    journal = tmp_path / "journal.jsonl"
    first = Counting(stop_after=killed_after)
    with pytest.raises(Killed):
        run_experiment(DESIGN, rounds=3, journal=journal, measure=first)
    second = Counting()
    run_experiment(DESIGN, rounds=3, journal=journal, measure=second)
    whole = Counting()
    run_experiment(DESIGN, rounds=3, measure=whole)
    assert first.calls + second.calls == whole.calls


def test_a_line_torn_by_the_kill_is_measured_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run_experiment(DESIGN, rounds=1, journal=journal, measure=Counting())
    text = journal.read_text()
    journal.write_text(text[: -len(text.splitlines()[-1]) // 2])
    again = Counting()
    experiment = run_experiment(DESIGN, rounds=1, journal=journal, measure=again)
    assert len(again.calls) == 1
    assert experiment.runs == len(DESIGN)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_finished_journal_needs_no_instrument(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    made = run_experiment(DESIGN, rounds=2, journal=journal, measure=Counting())
    read = run_experiment(DESIGN, rounds=2, journal=journal, measure=Counting(stop_after=0))
    assert read == made


def test_journals_of_equal_seeds_are_identical(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        run_experiment(DESIGN, rounds=2, seed=7, journal=tmp_path / name, measure=FakeLab(seed=3))
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]


def test_noisy_runs_are_repeated_within_the_bound_and_marked() -> None:
    lab = Counting(waited=0.5)
    experiment = run_experiment(DESIGN, rounds=3, retries=0.5, measure=lab)
    assert len(lab.calls) == 18  # twelve of the plan and half as many again
    assert experiment.noisy == 18
    assert run_experiment(DESIGN, rounds=3, measure=Counting(waited=0.005)).noisy == 0


def test_calm_runs_replace_noisy_ones() -> None:
    class Mixed(Counting):
        def __call__(self, point: LabPoint) -> LabRun:
            self.waited = 0.5 if len(self.calls) < 4 else 0.0
            return super().__call__(point)

    experiment = run_experiment(DESIGN, rounds=2, retries=1.0, measure=Mixed())
    assert [result.noisy for result in experiment.results] == [1] * 4
    assert all(len(result.runs) == 2 for result in experiment.results)
    assert all(run.waited == 0.0 for result in experiment.results for run in result.runs)


def test_waiting_for_a_shared_core_is_not_noise() -> None:
    point = LabPoint(1e5, duration="10ms", pinning="same")
    assert Limits().calm(fake_run(point, captured=1.0, consumer_waited=0.4))
    split = point.with_values(pinning="split")
    assert not Limits().calm(fake_run(split, captured=1.0, consumer_waited=0.4))


@pytest.mark.parametrize(("own", "calm"), [(0.0095, True), (0.001, False)])
def test_others_on_a_shared_core_are_noise(own: float, calm: bool) -> None:
    point = LabPoint(1e5, duration="10ms", pinning="same")
    run = fake_run(point, captured=1.0)
    consumer = dataclasses.replace(run.consumers[0], user=own)
    run = dataclasses.replace(
        run, consumers=(consumer,), cpu={0: {"steal": 0.0}, 1: {"steal": 0.0, "user": 0.01}}
    )
    assert Limits().calm(run) == calm
    experiment = run_experiment([point, DESIGN[0]], rounds=2, measure=lambda _: run)
    kept = {item.point for item in observations(experiment)}
    assert kept == ({point, DESIGN[0]} if calm else {DESIGN[0]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "rounds must be a whole number from 1 to 1000, got 0"),
        ({"rounds": True}, "rounds must be a whole number from 1 to 1000, got True"),
        ({"retries": -1.0}, r"retries must be a share from 0 to 10, got -1\.0"),
        ({"retries": float("nan")}, "retries must be a share from 0 to 10, got nan"),
    ],
)
def test_refusals(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_experiment(DESIGN, measure=Counting(), **arguments)


def test_an_empty_design_is_refused() -> None:
    with pytest.raises(ValueError, match="design must hold at least one point"):
        run_experiment([], measure=Counting())


def test_limits_are_shares() -> None:
    with pytest.raises(ValueError, match=r"stolen must be a share from 0 to 1, got 1\.5"):
        Limits(stolen=1.5)


def test_a_journal_of_another_experiment_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run_experiment(DESIGN, rounds=1, journal=journal, measure=Counting())
    with pytest.raises(ValueError, match=r"another experiment .its design differs"):
        run_experiment(DESIGN[:2], rounds=1, journal=journal, measure=Counting())
    with pytest.raises(ValueError, match=r"another experiment .its plan differs"):
        run_experiment(DESIGN, rounds=2, journal=journal, measure=Counting())


@pytest.mark.parametrize("damage", ["nonsense\n", "{}\n", '{"journal": 99}\n'])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, damage: str) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text(damage)
    with pytest.raises(ValueError, match="line 1"):
        run_experiment(DESIGN, rounds=1, journal=journal, measure=Counting())
    assert journal.read_text() == damage


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run_experiment(DESIGN, rounds=1, journal=journal, measure=Counting())
    lines = journal.read_text().splitlines(keepends=True)
    lines[2] = '{"point": 99}\n'
    journal.write_text("".join(lines))
    with pytest.raises(ValueError, match="line 3"):
        run_experiment(DESIGN, rounds=1, journal=journal, measure=Counting())


def test_an_unknown_quantity_is_named() -> None:
    result = PointResult(DESIGN[0], (fake_run(DESIGN[0], captured=1.0),), 0)
    with pytest.raises(ValueError, match="captured"):
        result.median("caught")
    assert Experiment((result,), 1).noise_floor == 0.0
