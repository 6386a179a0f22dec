"""Strategies for users: valid values, every regime, known to Hypothesis by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from capmodel import predict, solve, testing
from capmodel.machine import Machine
from capmodel.path import ARRIVAL_PROCESSES, DRIVER_MODES, PINNINGS, CapturePath
from capmodel.results import REGIMES
from capmodel.workload import Workload

ROOT = Path(__file__).parents[1]


@given(testing.workloads())
def test_workloads_are_valid(workload: Workload) -> None:
    assert isinstance(workload, Workload)
    assert 100.0 <= workload.rate <= 2e7
    assert 64.0 <= workload.mean_size <= 9216.0
    assert workload.to_arrivals().rate == workload.rate


@given(testing.machines())
def test_machines_are_valid(machine: Machine) -> None:
    assert isinstance(machine, Machine)
    assert all(constant.value >= 0.0 for constant in machine.constants.values())


@given(testing.machines(synthetic=True), st.sampled_from([64, 1518]))
def test_a_synthetic_machine_serves_what_its_base_serves(machine: Machine, size: int) -> None:
    base = testing.load_machine(machine.name.removeprefix("synthetic_"))
    arguments: dict[str, Any] = {"rate": 1e4, "size": size, "work": 1e-7}
    try:
        predict(**arguments, machine=base)
    except ValueError:
        return
    assert 0.0 <= predict(**arguments, machine=machine).captured <= 1.0
    assert not machine.samples


@given(testing.paths(on_full=("drop", "block")))
def test_paths_are_valid_and_have_an_answer(path: CapturePath) -> None:
    solution = solve(path, "closed_form")
    assert np.isfinite(solution.carried_rate)
    assert np.ndim(solution.carried_rate) == 0


@given(testing.paths(scalar=False))
def test_grids_of_paths_broadcast(path: CapturePath) -> None:
    solution = solve(path, "closed_form")
    works, rates = np.shape(path.consumer.cost)[0], np.shape(path.arrivals.rate)[0]
    assert np.shape(solution.carried_rate) == (works, rates)


@given(
    st.sampled_from(PINNINGS), st.sampled_from(ARRIVAL_PROCESSES), st.sampled_from(DRIVER_MODES),
    st.sampled_from(["slots", "ring", "double", "blocks"]), st.data(),
)  # fmt: skip
def test_wishes_are_kept(
    pinning: str, arrivals: str, driver: str, buffer: str, data: st.DataObject
) -> None:
    path = data.draw(
        testing.paths(
            pinning=pinning, arrivals=arrivals, driver=driver, buffer=buffer, service=1.0,
            ring=(2, 64), capacity=(8, 32), processes=1, busy=True, endless=True, unit=1.0,
        )
    )  # fmt: skip
    assert path.cores.pinning == pinning
    assert path.arrivals.process == arrivals
    assert path.kernel.driver.mode == driver
    assert path.buffer.kind == buffer
    assert path.kernel.scv == path.consumer.scv == 1.0
    assert 2 <= path.kernel.ring <= 64
    assert path.consumer.processes == 1
    assert path.consumer.cost > 0.0
    assert np.isinf(path.arrivals.duration)


def test_an_unknown_wish_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="split"):
        testing.paths(pinning="spilt")
    with pytest.raises(ValueError, match="buffer"):
        testing.paths(buffer="heap")


@pytest.mark.parametrize("regime", [r for r in REGIMES if r != "card"])
def test_every_regime_is_reached(regime: str) -> None:
    wanted = REGIMES.index(regime)
    find(
        testing.paths(),
        lambda path: int(solve(path, "closed_form").regime) == wanted,
        settings=settings(
            max_examples=3000,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )


@given(testing.predictions_kwargs())
def test_predictions_are_accepted_and_conserve_packets(arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no rate above the wire speed either
        prediction = predict(**arguments)
    solution = prediction.solution
    lost = sum(solution.drops.values())
    assert solution.carried_rate + lost == pytest.approx(solution.offered_rate, rel=1e-12)


def entry_points() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(project["entry-points"]["hypothesis"])


def run(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    there = os.pathsep.join(map(str, (*folders, ROOT)))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": there}, cwd=ROOT.anchor,
    )  # fmt: skip


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    """A folder in which the package looks installed: nothing but its name and entry points."""
    info = tmp_path / "capmodel-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: capmodel\nVersion: 0\n")
    lines = [f"{name} = {target}" for name, target in entry_points().items()]
    (info / "entry_points.txt").write_text("\n".join(["[hypothesis]", *lines, ""]))
    return tmp_path


@pytest.mark.parametrize("first", ["hypothesis", "capmodel", "capmodel.testing"])
def test_hypothesis_knows_the_types_whatever_is_imported_first(
    distribution: Path, first: str
) -> None:
    code = (
        f"import {first}\n"
        "from hypothesis import Phase, find, settings, strategies as st\n"
        "from capmodel import CapturePath, Machine, Workload\n"
        "for kind in (CapturePath, Machine, Workload):\n"
        "    first = settings(max_examples=5, database=None, phases=[Phase.generate])\n"
        "    kinds = st.from_type(kind).map(type)\n"
        "    assert find(kinds, lambda value: True, settings=first) is kind\n"
    )
    done = run(code, distribution)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_not_import_hypothesis(distribution: Path) -> None:
    code = "import capmodel, sys\nassert 'hypothesis' not in sys.modules\nassert capmodel.predict"
    done = run(code, distribution)
    assert done.returncode == 0, done.stderr
