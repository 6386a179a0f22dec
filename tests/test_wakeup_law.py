"""The table of signal costs and latencies: its checks, its means, its file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.machine import load_machine
from capmodel.wakeup_law import WakeupLaw, read_law

LAW = WakeupLaw(
    (0.0, 1e-6, 4e-6),
    ((0.1, 0.3), (2.0, 4.0), (0.5, 0.7)),
    ((0.0, 0.2), (3.0, 5.0), (1.0, 1.0)),
    ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
)


@given(gap=st.floats(1e-9, 2e-5))
def test_means_are_those_of_many_uniform_moments(gap: float) -> None:
    moments = (np.arange(20_000) + 0.5) / 20_000 * gap
    row = np.array([max(i for i, begin in enumerate(LAW.since) if begin <= m) for m in moments])
    for found, table in zip(LAW.mean(gap), (LAW.cost, LAW.latency), strict=True):
        expected = np.array([np.mean(values) for values in table])[row].mean()
        assert found == pytest.approx(expected, rel=2e-3)


def test_means_take_arrays() -> None:
    gaps = np.array([0.0, 5e-7, 1e-5])
    cost, latency = LAW.mean(gaps)
    assert [float(x) for x in cost] == [LAW.mean(float(gap))[0] for gap in gaps]
    assert [float(x) for x in latency] == [LAW.mean(float(gap))[1] for gap in gaps]


def test_a_machine_file_gives_the_law_back() -> None:
    text = LAW.to_toml("own", 'a "quoted" place')
    assert read_law(tomllib.loads(text)["wakeup_law"], Path("machine.toml")) == LAW


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"since": (0.1, 1.0, 2.0)}, "since must ascend from 0"),
        ({"since": (0.0, 2.0, 1.0)}, "since must ascend from 0"),
        ({"since": (0.0, 1.0)}, "cost must have a row for each of the 2 intervals, got 3"),
        ({"cost": ((0.1, 0.3), (2.0,), (0.5, 0.7))}, "a row of cost must hold 2 finite numbers"),
        ({"latency": ((-1.0, 1.0),) * 3}, "a row of latency must hold 2 finite numbers"),
        ({"cost": ((float("nan"), 1.0),) * 3}, "a row of cost must hold 2 finite numbers"),
        ({"slept": ((0.5, 1.0),) * 3}, "slept must be 0 or 1"),
    ],
)
def test_damage_is_named(change: dict[str, object], said: str) -> None:
    given = {name: getattr(LAW, name) for name in ("since", "cost", "latency", "slept")}
    with pytest.raises(ValueError, match=said):
        WakeupLaw(**given | change)


MACHINE = """
title = "m"
cores = 2
[costs]
{costs}
"""
COST = (
    '{name} = {{ value = 1.0, unit = "us", std = 0.0, origin = "assumed", source = "capmodel", '
    'locator = "test" }}'
)


def machine(folder: Path, *names: str, law: str) -> Path:
    path = folder / "m.toml"
    costs = "\n".join(COST.format(name=name) for name in names)
    path.write_text(MACHINE.format(costs=costs) + "\n" + law, encoding="utf-8")
    return path


def test_a_machine_reads_its_law(tmp_path: Path) -> None:
    text = LAW.to_toml("own", "here")
    path = machine(tmp_path, "wakeup", "wakeup_latency", law=text)
    assert load_machine(path).wakeup_law == LAW
    heir = tmp_path / "heir.toml"
    heir.write_text('title = "h"\ncores = 2\nextends = "m.toml"\n', encoding="utf-8")
    assert load_machine(heir).wakeup_law == LAW


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('unit = "us"', 'unit = "ms"', "wakeup_law.unit.*must be 'us', got 'ms'"),
        ("since = [0, 1, 4]", "since = [1, 4]", "since must ascend from 0"),
        ("since = [0, 1, 4]", 'since = ["a", 1, 4]', "wakeup_law"),
        ('origin = "measured"', "", "wakeup_law.origin.*missing"),
        ("since", "sinse", "sinse"),
    ],
)
def test_a_damaged_table_names_file_and_key(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    text = LAW.to_toml("own", "here")
    assert before in text
    path = machine(tmp_path, "wakeup", "wakeup_latency", law=text.replace(before, after))
    with pytest.raises(ValueError, match=f"m.toml.*{said}"):
        load_machine(path)


def test_a_law_needs_the_costs_that_it_multiplies(tmp_path: Path) -> None:
    path = machine(tmp_path, "wakeup", law=LAW.to_toml("own", "here"))
    with pytest.raises(ValueError, match="needs the costs wakeup and wakeup_latency"):
        load_machine(path)
