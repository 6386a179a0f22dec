"""Calibration against an instrument whose costs are known, and what is written of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from capmodel import predict
from capmodel.lab.calibrate import calibrate
from capmodel.lab.data_set import read_observations
from capmodel.lab.design import calibration_design, validation_design
from capmodel.lab.experiment import Experiment, run_experiment
from capmodel.lab.fit import Fit, fit, observations
from capmodel.lab.host import this_host
from capmodel.lab.judgement import judge, validate
from capmodel.lab.machine_file import write_machine
from capmodel.lab.model import path_of, shown
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import Priors, load_priors
from capmodel.lab.sets import measure_set, write_set
from capmodel.machine import load_machine
from tests.lab.fake import TRUTH, FakeLab

FACTS = {"title": "a fake", "cores": "2", "kernel": "none", "locator": "a test"}
KNOWN = ("driver_receive", "wakeup", "wakeup_latency", "mmap_read")


def few_costs() -> Priors:
    """The four costs that a handful of points can tell apart; the others at their truth."""
    priors = load_priors()
    kept = tuple(cost for cost in priors.costs if cost.name in KNOWN)
    known = [
        dataclasses.replace(priors.machine(2).constants[name], value=1e6 * value)
        for name, value in TRUTH.items()
        if name not in KNOWN
    ]
    rest = [
        constant
        for name, constant in priors.machine(2).constants.items()
        if name not in TRUTH and not name.startswith("nic.")
    ]
    return dataclasses.replace(priors, costs=kept, assumed=(*known, *rest))


SMALL = tuple(
    LabPoint(rate, work=work, duration="40ms", buffer="512 slots")
    for rate, work in (
        ("500kpps", "0"), ("500kpps", "700ns"), ("500kpps", "1400ns"), ("500kpps", "3us"),
        ("400kpps", "300ns"), ("400kpps", "4us"),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def measured() -> Experiment:
    return run_experiment(SMALL, rounds=3, measure=FakeLab(spread=0.005))


@pytest.fixture(scope="module")
def found(measured: Experiment) -> Fit:
    return fit(observations(measured), few_costs(), members=100)


def test_known_costs_lie_in_their_intervals(found: Fit) -> None:
    assert {cost.prior.name for cost in found.costs} == set(KNOWN)
    for cost in found.costs:
        truth = 1e6 * TRUTH[cost.prior.name]
        # 90 % intervals of four costs, once: outside one by its own width would be an error
        width = cost.high - cost.low
        assert cost.low - 0.5 * width <= truth <= cost.high + 0.5 * width, cost
        assert cost.pinned, cost


def test_the_fit_reproduces_what_it_was_given(found: Fit) -> None:
    for item, fitted in zip(found.observations, found.fitted, strict=True):
        if item.quantity == "captured":
            assert fitted == pytest.approx(item.value, abs=0.02)


def test_a_cost_that_no_point_bears_on_keeps_its_prior() -> None:
    priors = few_costs()
    apart = next(cost for cost in load_priors().costs if cost.name == "local_wakeup")
    priors = dataclasses.replace(priors, costs=(*priors.costs, apart))
    experiment = run_experiment(SMALL[:4], rounds=2, measure=FakeLab())
    loose = fit(observations(experiment), priors, members=400).costs[-1]
    assert loose.prior.name == "local_wakeup"
    assert not loose.pinned
    # spread of the prior's logarithm, from a sample of 400
    spread = np.log(loose.high / loose.low) / (2 * 1.6449)
    assert spread == pytest.approx(apart.spread, rel=0.2)


def test_the_same_seed_writes_the_same_files(tmp_path: Path, measured: Experiment) -> None:
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        again = fit(observations(measured), few_costs(), members=20, steps=2)
        write_machine(again, tmp_path / name / "host.toml", FACTS)
        texts.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 2


def test_the_machine_file_predicts_with_an_interval(tmp_path: Path, found: Fit) -> None:
    path = tmp_path / "host.toml"
    write_machine(found, path, FACTS)
    machine = load_machine(path)
    assert len(machine.samples["wakeup"]) == 100
    prediction = predict(
        machine=path, backend="tpacket_v2", work=7e-7, pinning="split", ring=256,
        buffer="4096 slots", arrivals="cbr", rate=4.5e5, duration="0.1s",
    )  # fmt: skip
    assert prediction.solver == "simulation"  # the costs depend on time asleep
    low, high = prediction.interval()
    assert low < prediction.captured < high
    # the same costs by the way that the fit took
    point = LabPoint("450kpps", work="700ns", duration="0.1s")
    assert prediction.captured == pytest.approx(
        shown(path_of(point, machine))["captured"], abs=0.01
    )


def test_a_machine_that_cannot_be_read_back_is_not_written(tmp_path: Path, found: Fit) -> None:
    with pytest.raises(ValueError, match=r"out must end in \.toml"):
        write_machine(found, tmp_path / "host.csv", FACTS)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_machine(found, tmp_path / "nowhere" / "host.toml", FACTS)
    assert list(tmp_path.iterdir()) == []


def test_designs_share_no_point_and_need_no_root_without_steering() -> None:
    assert set(calibration_design()).isdisjoint(validation_design())
    for design in (calibration_design(steering=False), validation_design(steering=False)):
        assert all(point.pinning != "same" for point in design)


def test_every_point_of_both_designs_can_be_predicted() -> None:
    machine = load_priors().machine(2)
    for point in (*calibration_design(), *validation_design()):
        path = path_of(point, machine)
        assert path.arrivals.duration == point.duration


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wait": "busy"}, "wait .of a prediction"),
        ({"zlib_level": 3}, "zlib_level has no cost"),
        ({"arrivals": "trace(x.csv)"}, "arrivals must be a law"),
        ({"backend": "tpacket_v1"}, "backend .of a prediction"),
        ({"app": "tcpdump -i {iface}"}, "needs an application"),
    ],
)
def test_a_point_without_a_model_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        path_of(LabPoint(**{"rate": 1e5, "duration": "10ms", **changes}), load_priors().machine(2))


def test_too_few_points_are_refused(measured: Experiment) -> None:
    one = [item for item in observations(measured) if item.point == SMALL[0]]
    with pytest.raises(ValueError, match="at least two measured points"):
        fit(one, few_costs())


def test_nothing_is_measured_for_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    lab = FakeLab()
    with pytest.raises(ValueError, match=r"out must end in \.toml"):
        calibrate(out=tmp_path / "host.json", measure=lab)
    assert lab.calls == []


def test_a_machine_without_the_costs_is_refused_before_measuring() -> None:
    lab = FakeLab()
    with pytest.raises(ValueError, match="has no cost"):
        validate("ntop2011", measure=lab)
    assert lab.calls == []


def written(point: LabPoint) -> tuple[str, ...]:
    """A point by the digits that a table holds."""
    values = (point.rate, point.work[0], point.ring, point.duration)
    numbers = (f"{value:.9g}" for value in values)
    return (point.backend, point.pinning, str(point.arrivals), str(point.buffer), *numbers)


@pytest.mark.slow
def test_calibrate_validate_and_save(tmp_path: Path) -> None:
    lab = FakeLab(spread=0.005)
    out = tmp_path / "host.toml"
    result = calibrate(rounds=2, out=out, measure=lab, steering=True)
    checked = validate(out, rounds=2, measure=lab, steering=True)
    # the instrument follows the model's own form: what is left is noise and solver
    assert checked.mean_error < 0.01
    assert checked.p90_error < 0.025
    assert "not pinned down" in str(result)
    assert "noise floor" in str(checked)
    assert len(checked.moved) == len(calibration_design()[::3])
    joint, fresh = measure_set(rounds=2, measure=lab, steering=True)
    assert joint.experiment is not None
    assert tuple(each.point for each in joint.experiment.results) == calibration_design()
    assert judge(load_machine(out), fresh, this_host()).mean_error < 0.01
    folder = tmp_path / "set"
    write_set(folder, result, checked, "host", "a fake")
    rows = read_observations(folder, "validation")
    assert {written(row.point) for row in rows} == {written(p) for p in validation_design()}
    assert result.experiment is not None
    stored = {(written(row.point), row.quantity): row.value for row in read_observations(folder)}
    for item in observations(result.experiment):
        assert stored[written(item.point), item.quantity] == pytest.approx(item.value, rel=1e-5)
    assert this_host().cpu in (folder / "meta.toml").read_text()
