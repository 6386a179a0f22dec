"""Points of a calibration that a validation measures again."""

from __future__ import annotations

from pathlib import Path

import pytest

from capmodel.lab.drift import chosen, measured_path, read_measured, write_measured
from capmodel.lab.experiment import Experiment, run_experiment
from capmodel.lab.fit import fit, observations
from capmodel.lab.judgement import validate
from capmodel.lab.machine_file import write_machine
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import load_priors
from tests.lab.fake import FakeLab, fake_run

POINTS = tuple(
    LabPoint(rate, work=work, duration="20ms", pinning=pinning)
    for rate, work, pinning in (
        ("500kpps", "0", "split"), ("450kpps", "1us", "same"), ("400kpps", "2us", "split"),
        ("350kpps", "1.5us", "split"),
    )
)  # fmt: skip
FRESH = (LabPoint("420kpps", work="300ns", duration="20ms", pinning="split"),)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drift") / "host.toml"
    experiment = run_experiment(POINTS, rounds=2, measure=FakeLab())
    found = fit(observations(experiment), load_priors(), members=10, steps=1)
    write_machine(
        found, out, {"title": "a fake", "cores": "2", "kernel": "none", "locator": "a test"}
    )
    write_measured(out, experiment)
    return out


def test_what_was_measured_is_read_back(machine: Path) -> None:
    found = read_measured(machine)
    assert tuple(found) == POINTS
    assert all(0.0 < value <= 1.0 for value in found.values())
    assert read_measured(machine.with_name("other.toml")) == {}


def test_every_third_is_chosen_of_those_that_can_be_measured() -> None:
    assert chosen(POINTS, steering=True) == (POINTS[0], POINTS[3])
    assert chosen(POINTS, steering=False) == (POINTS[0],)


def test_a_machine_that_has_moved_is_told(machine: Path) -> None:
    before = read_measured(machine)
    lab = FakeLab(spread=0.0)

    def slower(point: LabPoint) -> object:
        found = lab(point)
        return fake_run(point, captured=0.9 * found.captured)

    result = validate(machine, rounds=1, design=FRESH, measure=slower, steering=True)
    assert tuple(row.point for row in result.rows) == FRESH
    assert tuple(item.point for item in result.moved) == (POINTS[0], POINTS[3])
    for item in result.moved:
        assert item.before == before[item.point]
        assert item.distance == pytest.approx(0.1 * item.before, abs=0.02)
    assert "2 points of the calibration, measured again, moved by" in str(result)
    assert "calibrate again while nothing else runs" in str(result)
    assert len(result.to_dict()["moved"]) == 2


def test_a_machine_by_name_has_nothing_to_repeat(machine: Path) -> None:
    unknown = machine.with_name("bare.toml")
    unknown.write_text(machine.read_text(encoding="utf-8"), encoding="utf-8")
    result = validate(unknown, rounds=1, design=FRESH, measure=FakeLab(), steering=True)
    assert result.moved == ()
    assert "measured again" not in str(result)


@pytest.mark.parametrize(
    ("before", "after"), [("split", "sideways"), (",captured", ",caught"), ("500000", "many")]
)
def test_damage_names_file_and_line(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "host.toml"
    experiment = run_experiment(
        POINTS, rounds=1, measure=lambda point: fake_run(point, captured=0.5)
    )
    write_measured(path, experiment)
    text = measured_path(path).read_text(encoding="utf-8")
    assert before in text
    measured_path(path).write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ValueError, match=r"host\.measured\.csv.*line 2"):
        read_measured(path)


def test_nothing_measured_is_an_empty_table(tmp_path: Path) -> None:
    write_measured(tmp_path / "host.toml", Experiment((), 1))
    assert read_measured(tmp_path / "host.toml") == {}
