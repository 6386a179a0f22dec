"""What a disturbed run says, from runs that are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from capmodel.cli import main
from capmodel.lab import cli
from capmodel.lab.disturbance import disturbances
from capmodel.lab.experiment import Limits
from capmodel.lab.figures import draw
from capmodel.lab.host import Host
from capmodel.lab.outcome import LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.repeats import Repeats
from tests.lab.fake import fake_run

POINT = LabPoint("300kpps")
HOST = Host("Made-up 9000 CPU @ 3 GHz", "6.1", False, 4, 0.0, "2026-01-01")


def run(**changes: Any) -> LabRun:
    """A quiet run of 10 ms, and what is changed of it."""
    return replace(fake_run(POINT, captured=1.0), **changes)


def stolen(seconds: float) -> dict[int, dict[str, float]]:
    return {0: {"steal": seconds}, 1: {"steal": 0.0}}


def test_a_quiet_run_says_nothing() -> None:
    assert disturbances(run()) == ()
    assert "disturbed" not in cli.run_text(run())


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        # 4 ms of two cores' 20
        (run(cpu=stolen(4e-3)), ("hypervisor", "4 ms (20 % of the time; allowed: 2 %)", "host")),
        (fake_run(POINT, captured=1.0, waited=0.3),
         ("Other processes had core 0 for 3 ms (30 %", "while the sender", "off core 0")),
        (fake_run(POINT, captured=1.0, consumer_waited=0.05),
         ("Other processes had core 1 for 500 us (5 %", "while the consumer", "off core 1")),
        # 256 places at a million packets a second are 256 us
        (replace(fake_run(POINT, captured=0.9), late=2e-3),
         ("stood still at once for 2 ms", "ring of 256 packets lasts 256 us", "Repeat")),
    ],
    ids=["hypervisor", "sender", "consumer", "pause"],
)  # fmt: skip
def test_it_is_said_who_took_how_much_and_what_to_do(made: LabRun, parts: tuple[str, ...]) -> None:
    (found,) = disturbances(made)
    for part in parts:
        assert part in str(found)
    text = " ".join(cli.run_text(made).split())
    assert "This run was disturbed" in text
    assert str(found) in text


def test_on_a_shared_core_the_consumer_waits_in_any_case() -> None:
    point = POINT.with_values(pinning="same")
    made = fake_run(point, captured=1.0, consumer_waited=0.5)
    assert disturbances(made) == ()
    busy = replace(made, cpu={0: {"steal": 0.0}, 1: {"steal": 0.0, "user": 5e-3}})
    (found,) = disturbances(busy)
    assert "computed on core 1" in found.who
    assert found.share == pytest.approx(0.5)


def test_a_run_that_an_experiment_repeats_says_why() -> None:
    limits = Limits()
    for point in (POINT, POINT.with_values(pinning="same")):
        for waited in (0.0, 0.005, 0.02):
            for consumer in (0.0, 0.005, 0.02):
                for steal in (0.0, 1e-4, 1e-3):
                    made = fake_run(point, captured=1.0, waited=waited, consumer_waited=consumer)
                    made = replace(made, cpu=stolen(steal))
                    assert bool(disturbances(made)) == (not limits.calm(made))


def test_the_command_says_it_in_both_forms(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fake_run(POINT, captured=1.0, waited=0.3)
    monkeypatch.setattr(cli, "run_point", lambda point: made)
    assert main(["lab", "run", "--rate", "300kpps"]) == 0
    assert "Other processes had core 0" in capsys.readouterr().out
    assert main(["lab", "run", "--rate", "300kpps", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["disturbances"]
    assert found["share"] == pytest.approx(0.3)
    assert found["text"] == str(disturbances(made)[0])


def series() -> tuple[Repeats, ...]:
    points = [POINT.with_values(work=work) for work in (0.0, 1e-6)]
    waits = ((0.0, 0.02), (0.3, 0.0))
    return tuple(
        Repeats(point, tuple(fake_run(point, captured=0.8, waited=waited) for waited in pair))
        for point, pair in zip(points, waits, strict=True)
    )


def test_a_showcase_says_the_worst_of_each_kind(
    capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = cli.argparse.Namespace(rate=None, repeats=2, plot=str(tmp_path / "a.png"), json=False)
    columns = ("work [us]", "captured [%]")
    assert cli._showcase(lambda *_, **__: series(), columns, options) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "2 of 4 runs were disturbed; of each kind the worst:" in text
    assert "3 ms (30 % of the time" in text
    assert "200 us" not in text
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"


def test_a_picture_says_what_was_measured_where() -> None:
    title = draw(series(), HOST).get_suptitle()
    for part in ("300 kpps", "64-byte frames", POINT.receiver.title, "poll", HOST.title):
        assert part in title
    assert draw(series()).get_suptitle().count("\n") >= 1  # of this machine


def test_the_title_does_not_meet_the_legend() -> None:
    points = [POINT.with_values(pinning=place) for place in ("same", "split", "auto")]
    figure = draw([Repeats(p, (fake_run(p, captured=0.5),)) for p in points], HOST)
    figure.canvas.draw()
    legend = figure.axes[0].get_legend()
    assert legend is not None
    title = figure._suptitle
    assert title.get_window_extent().ymin >= legend.get_window_extent().ymax
