"""The commands that fit and judge: what they refuse, and what they print of a stored set."""

from __future__ import annotations

from pathlib import Path

import pytest

from capmodel.cli import main
from capmodel.comparison import tables
from capmodel.lab.calibrate import Calibration
from capmodel.lab.experiment import run_experiment
from capmodel.lab.fit import Fit, fit, observations
from capmodel.lab.host import Host
from capmodel.lab.judgement import Validation, judge
from capmodel.lab.machine_file import write_machine
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import load_priors
from capmodel.lab.programs_check import check_programs, load_programs, programs_text
from capmodel.lab.receivers import RECEIVERS
from capmodel.lab.sets import write_set
from capmodel.machine import load_machine
from tests.lab.fake import FakeLab, fake_run

HOST = Host("a fake", "0.0", True, 2, 0.0, "2026-01-01")
POINTS = tuple(
    LabPoint(rate, work=work, duration="20ms", buffer="256 slots", arrivals=arrivals)
    for rate, work, arrivals in (
        ("500kpps", "0", "cbr"), ("450kpps", "1us", "cbr"), ("400kpps", "4us", "poisson"),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    experiment = run_experiment(POINTS, rounds=2, measure=FakeLab())
    found: Fit = fit(observations(experiment), load_priors(), members=10, steps=1)
    out = folder / "host.toml"
    facts = {"title": "a fake", "cores": "2", "kernel": "none", "locator": "a test"}
    write_machine(found, out, facts)
    checked: Validation = judge(load_machine(out), experiment, HOST)
    write_set(folder / "set", Calibration(found, experiment, HOST), checked, "host", "")
    return folder


def test_a_stored_set_is_fitted_without_measuring(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stored / "again.toml"
    assert main(["lab", "calibrate", "--data", str(stored / "set"), "--out", str(out)]) == 0
    assert "not pinned down by these data: local_wakeup" in capsys.readouterr().out
    again = load_machine(out)
    assert again.title == "a fake, 2 cores, virtual, Linux 0.0"
    # what was fitted is the user's, as the set says; what was assumed beside it is the package's
    assert {(c.origin, c.source) for c in again.constants.values()} == {
        ("calibrated", "own"), ("assumed", "capmodel"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["calibrate", "--out", "host.json"], "out must end in .toml"),
        (["calibrate", "--out", "/nowhere/host.toml"], "there is no folder /nowhere"),
        (["calibrate", "--data", "/nowhere", "--save", "x"], "excludes save and journal"),
        (["calibrate", "--data", "/nowhere"], "/nowhere/meta.toml"),
        (["validate", "--machine", "/nowhere/host.toml"], "it does not exist"),
        (["validate", "--machine", "braun"], "machine must be one of"),
        (["programs", "--machine", "ntop2011"], "has no cost"),
    ],
)
def test_refusals_are_one_sentence(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["lab", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_sets_of_both_folders_are_read() -> None:
    assert tables("deri2004")
    assert tables("zlib_shape") == ()  # of the lab, and without anything that predicts it
    with pytest.raises(ValueError, match="data set must be one of"):
        tables("nothing")


def test_programs_are_predicted_beside_what_they_capture(stored: Path) -> None:
    def measure(point: LabPoint):  # type: ignore[no-untyped-def]
        assert point.app is not None
        return fake_run(point, captured=0.75)

    rows = check_programs(stored / "host.toml", rates=(1e5,), duration="20ms", measure=measure)
    assert [row.title for row in rows] == [program.title for program in load_programs()]
    assert [row.measured for row in rows] == [0.75, 0.75]
    # nothing is lost of a fifth of what the kernel can take
    assert rows[0].predicted == pytest.approx(1.0, abs=1e-3)
    assert "mean error" in programs_text(rows)


def test_every_program_is_one_that_the_lab_can_run() -> None:
    for program in load_programs():
        assert program.backend in RECEIVERS
        assert program.measured(1e5, "1s").app == program.app
        assert program.modelled(program.measured(1e5, "1s")).backend == program.backend
