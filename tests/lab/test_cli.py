"""The commands of the lab: what they print, and their refusals."""

from __future__ import annotations

import json
import os

import pytest

from capmodel.cli import main
from capmodel.lab import namespace as module
from capmodel.lab.cli import ACTIONS
from capmodel.lab.repeats import Repeats, run_interleaved
from capmodel.lab.run import ConsumerCounts, LabPoint, LabRun, run_point
from capmodel.lab.showcase import paradox, pinning

two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the lab needs two cores")


def failure(capsys, *argv):
    """The one sentence of a command that must fail with status 2."""
    assert main(["lab", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("capmodel: error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run"], "rate must be given"),
        (["run", "--rate", "3e5", "--interface", "eth0"], "unrecognized arguments"),
        (["run", "--rate", "3e5", "--zlib-level", "x"], "--zlib-level"),
        (["run", "--rate", "3e5", "--app", "tcpdump -i eth0"], "where the lab's interface goes"),
        (["paradox", "--rate", "fast"], "rate must be"),
        (["paradox", "--repeats", "0"], "repeats must be"),
        (["paradox", "--plot", "no-such-folder/a.png"], "no folder"),
        (["pinning", "--plot", "a.docx"], "ending of --plot must be one of"),
        (["nothing"], "invalid choice"),
    ],
)
def test_refusals_come_before_anything_is_started(capsys, monkeypatch, argv, words):
    def opened(self):
        raise AssertionError("a namespace was made")

    monkeypatch.setattr(module.Namespace, "__enter__", opened)
    assert words in failure(capsys, *argv)


def test_a_missing_extra_is_named(capsys, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert 'pip install "capmodel[lab]"' in failure(capsys, "run", "--rate", "1e5")


def test_every_command_explains_itself(capsys):
    for name, action in ACTIONS.items():
        assert main(["lab", name, "--help"]) == 0
        assert action.example in capsys.readouterr().out


@two_cores
@pytest.mark.usefixtures("namespace")
def test_run_prints_counters_that_add_up(capsys):
    argv = ["lab", "run", "--rate", "100kpps", "--size", "64=0.5+128=0.5", "--packets", "100"]
    assert main([*argv, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["offered"] == 100
    assert values["offered"] == sum(
        values[name] for name in ("delivered", "ring_drops", "backlog_drops", "buffer_drops")
    )
    assert main(argv) == 0
    assert "offered" in capsys.readouterr().out


@two_cores
def test_points_are_interleaved_and_repeated(namespace):
    points = [LabPoint(1e5, packets=20, work=work) for work in (0.0, 1e-6)]
    told = []
    series = run_interleaved(points, 3, namespace, progress=lambda *step: told.append(step))
    assert told == [(number, 6) for number in range(1, 7)]
    assert [item.point for item in series] == points
    for item in series:
        assert [run.point.seed for run in item.runs] == [0, 1, 2]
        low, high = item.quartiles("captured")
        assert low <= item.median("captured") <= high
        assert item.disturbed >= 0.0


def test_medians_are_medians():
    runs = []
    for delivered in (1, 9, 5):
        counts = {"delivered": delivered, "buffer_drops": 10 - delivered, "polls": 0, "wakes": 0,
                  "yields": 0, "received_bytes": 0, "work_time": 0.0, "user": 0.0, "system": 0.0,
                  "waited": 0.0}  # fmt: skip
        runs.append(LabRun(LabPoint(1.0), 10, 0, 0, (ConsumerCounts(**counts),), 1, 1.0, 2.0, 0.0,
                           0.5, {}, {}))  # fmt: skip
    item = Repeats(runs[0].point, tuple(runs))
    assert item.median("captured") == pytest.approx(0.5)
    assert item.quartiles("captured") == pytest.approx((0.3, 0.7))
    assert item.disturbed == pytest.approx(0.25)


@two_cores
@pytest.mark.slow
@pytest.mark.usefixtures("namespace")
def test_the_paradox_is_measured_drawn_and_printed(capsys, tmp_path):
    picture = tmp_path / "paradox.png"
    assert main(["lab", "paradox", "--repeats", "1", "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "captured [%]" in out
    assert "wakeups/s" in out
    assert picture.read_bytes()[1:4] == b"PNG"


@two_cores
@pytest.mark.slow
def test_the_showcases_cover_what_they_say(as_root):
    work = [item.point.work[0] for item in paradox("200kpps", 1, as_root)]
    assert work == sorted(work)
    assert work[0] == 0.0
    assert work[-1] > 1 / 200e3
    placed = pinning("200kpps", 1, as_root)
    assert {item.point.pinning for item in placed} == {"same", "split", "auto"}


@two_cores
def test_run_point_makes_a_namespace_of_its_own(namespace):
    assert run_point(LabPoint(1e5, packets=10)).offered == 10
