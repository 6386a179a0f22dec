"""Applications: what they charge, the measured curve of packzip, the caller's own work."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import numpy as np
import pytest

import capmodel
from capmodel import Application, application_names, load_machine, machine_names
from capmodel.application import load_application, own_work
from capmodel.data_files import data_folder
from capmodel.references import references

FOLDER = Path(capmodel.__file__).parent / "applications"
with (data_folder() / "lab" / "zlib_shape" / "measurements.csv").open(encoding="utf-8") as file:
    MEASURED = [
        (int(row["level"]), int(row["size"]), float(row["time_per_packet"]))
        for row in csv.DictReader(file)
    ]


def every_application() -> list[str]:
    levelled = [f"packzip:{level}" for level in range(10)]
    return [*levelled, *(name for name in application_names() if name != "packzip")]


def test_the_measurements_cover_ten_levels_at_three_sizes() -> None:
    assert {(level, size) for level, size, _ in MEASURED} == {
        (level, size) for level in range(10) for size in (64, 256, 512)
    }


@pytest.mark.parametrize(("level", "size", "seconds"), MEASURED)
def test_the_curve_is_the_measurement_at_the_measured_sizes(
    level: int, size: int, seconds: float
) -> None:
    application = load_application(f"packzip:{level}")
    own = application.seconds({"packzip_call": 0.0, "zlib": 1.0}, size)
    assert float(own) == pytest.approx(seconds, rel=1e-12)
    # a slower machine takes longer by its factor, and pays for the call
    slower = application.seconds({"packzip_call": 2e-7, "zlib": 1.5}, size)
    assert float(slower) == pytest.approx(1.5 * seconds + 2e-7, rel=1e-12)


def test_the_file_holds_the_medians_as_they_were_measured() -> None:
    raw = tomllib.loads((FOLDER / "packzip.toml").read_text(encoding="utf-8"))
    held = {
        (level, size): nanoseconds
        for level, entry in enumerate(raw["level"])
        for size, nanoseconds in zip(raw["sizes"], entry["nanoseconds"], strict=True)
    }
    assert held == pytest.approx({(level, size): 1e9 * t for level, size, t in MEASURED}, rel=1e-12)


@pytest.mark.parametrize("level", range(10))
def test_between_the_sizes_a_line_and_beyond_them_in_proportion(level: int) -> None:
    application = load_application(f"packzip:{level}")
    costs = {"packzip_call": 0.0, "zlib": 1.0}
    at = {size: seconds for k, size, seconds in MEASURED if k == level}
    assert application.seconds(costs, 160) == pytest.approx((at[64] + at[256]) / 2)
    assert application.seconds(costs, 384) == pytest.approx((at[256] + at[512]) / 2)
    assert application.seconds(costs, 1024) == pytest.approx(2 * at[512])
    assert application.seconds(costs, 1514) == pytest.approx(at[512] * 1514 / 512)
    np.testing.assert_allclose(
        application.seconds(costs, np.array([64, 512, 1024])), [at[64], at[512], 2 * at[512]]
    )


@pytest.mark.parametrize("name", every_application())
def test_every_application_is_sourced_and_can_be_charged_somewhere(name: str) -> None:
    application = load_application(name)
    assert application.name == name
    assert application.title
    assert application.locator
    assert application.source == "capmodel" or application.source in references()
    assert application.snaplen >= 1
    machines = [load_machine(machine) for machine in machine_names()]
    for cost in application.primitives:
        assert any(cost in machine for machine in machines), cost


def test_tcpdump_captures_the_default_of_its_time() -> None:
    # tcpdump 4.0.0, interface.h: DEFAULT_SNAPLEN is 68 without INET6
    assert load_application("tcpdump").snaplen == 68
    assert load_application("tcpdump").primitives == ("tcpdump",)
    assert load_application("sink").primitives == ()


def test_own_work_per_packet_and_per_byte() -> None:
    work = own_work(("200ns", "5ns"), snaplen=96)
    assert work.seconds({}, 64) == pytest.approx(200e-9 + 64 * 5e-9)
    assert work.snaplen == 96
    assert own_work(7e-7) == own_work((7e-7, 0)) == own_work("7e-7 s")
    assert own_work("700ns").packet == pytest.approx(7e-7, rel=1e-15)
    np.testing.assert_allclose(own_work(np.array([0.0, 1e-6])).seconds({}, 64), [0.0, 1e-6])


@pytest.mark.parametrize(
    ("work", "kind", "message"),
    [
        ((1e-7, 1e-9, 3.0), ValueError, "work must be seconds per packet or a pair .* got 3"),
        (-1e-7, ValueError, "^work must be"),
        (("1us", "-1ns"), ValueError, "^work per byte must be"),
        ("1 parsec", ValueError, "^work has the unknown unit 'parsec'"),
        (True, TypeError, "^work must be"),
        ({}, TypeError, "^work must be"),
        (np.array([1e-7, -1.0]), ValueError, "^work must be finite, at least 0, got -1.0"),
    ],
)
def test_damaged_work(work: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        own_work(work)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tcpdmp", r"application must be one of .* \(did you mean 'tcpdump'\?\)"),
        ("packzip", "level of application 'packzip' must be one of '0'"),
        ("packzip:10", "level of application 'packzip' must be one of '0'"),
        ("packzip:+1", "level of application 'packzip' must be one of '0'"),
        ("tcpdump:1", "application 'tcpdump' has no levels"),
    ],
)
def test_unknown_applications(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_application(name)
    with pytest.raises(TypeError, match="application must be a name or an Application"):
        load_application(3)


def test_an_application_is_returned_as_it_is() -> None:
    mine = Application("mine", "my program", packet=1e-7)
    assert load_application(mine) is mine
    prediction = capmodel.predict(1e5, application=mine)
    assert prediction.application is mine
    assert "my program" in str(prediction)


GOOD = """title = "t"
costs = []
snaplen = 68
source = "capmodel"
locator = "here"
"""


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (GOOD.replace('title = "t"\n', ""), "title: missing"),
        (GOOD.replace("snaplen = 68\n", ""), "snaplen: missing"),
        (GOOD + "colour = 1\n", "application.colour: unknown key"),
        (GOOD.replace("68", '"68"'), "application.snaplen: '68' is of the wrong type"),
        (GOOD + "sizes = [64]\n[[level]]\nseconds = [1]\n", r"level\[0\].seconds: unknown key"),
        (GOOD + "sizes = [64]\n[[level]]\nnanoseconds = [1, 2]\n", r"level\[0\]: needs one time"),
        (GOOD + "[[level]]\nnanoseconds = [1]\n", r"level\[0\]: needs one time"),
        (GOOD + "sizes = [64]\n[[level]]\nnanoseconds = [1]\n", "scale: missing"),
        (
            GOOD + 'scale = "zlib"\nsizes = [512, 64]\n[[level]]\nnanoseconds = [1, 2]\n',
            "sizes: must rise",
        ),
        (GOOD.replace('"capmodel"', '"nowhere"'), "source: .*no work 'nowhere'"),
        (GOOD + "=", "syntax"),
    ],
)
def test_damaged_files_name_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, place: str
) -> None:
    (tmp_path / "mine.toml").write_text(content, encoding="utf-8")
    monkeypatch.setattr("capmodel.application.names", lambda folder: ("mine",))
    monkeypatch.setattr(
        "capmodel.application.locate", lambda folder, name: tmp_path / f"{name}.toml"
    )
    load_application.__globals__["_named"].cache_clear()
    with pytest.raises(ValueError, match=f"mine.toml, {place}"):
        load_application("mine:0" if "[[level]]" in content else "mine")
