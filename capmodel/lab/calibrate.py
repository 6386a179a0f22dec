"""Calibrating this machine, and judging a calibration by points that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.lab.data_set import Part, write_data_set
from capmodel.lab.design import calibration_design, validation_design
from capmodel.lab.experiment import Experiment, Measure, run_experiment
from capmodel.lab.fit import Fit, fit, observations
from capmodel.lab.host import Host, this_host
from capmodel.lab.machine_file import check_machine_path, write_machine
from capmodel.lab.model import MODELLED, path_of, shown
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import load_priors
from capmodel.machine import Machine, load_machine
from capmodel.tables import text_table

# E|x| of a standard normal value
_MEAN_ABSOLUTE = math.sqrt(2.0 / math.pi)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Calibration:
    """A fitted machine and the runs behind it; the runs are None if a stored set was fitted."""

    fit: Fit
    experiment: Experiment | None
    host: Host

    def __str__(self) -> str:
        return calibration_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Costs with their intervals as plain values."""
        return {
            "machine": self.host.title,
            "misfit": self.fit.misfit,
            "noise_floor": None if self.experiment is None else self.experiment.noise_floor,
            "costs": [
                {
                    "cost": cost.prior.name, "value": cost.value, "unit": cost.prior.unit,
                    "low": cost.low, "high": cost.high, "pinned": cost.pinned,
                }
                for cost in self.fit.costs
            ],
        }  # fmt: skip


def locator_of(host: Host, experiment: Experiment | None) -> str:
    """How a machine's numbers were found, on one line.

    Parameters
    ----------
    host : Host
        Who measured.
    experiment : Experiment or None
        The runs; None if a stored set was fitted.

    Returns
    -------
    str
    """
    runs = "" if experiment is None else f", {experiment.runs} runs"
    return f"capmodel lab calibrate, {host.date}{runs}"


def calibrate(
    *,
    rounds: int = 4,
    journal: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    steering: bool | None = None,
    measure: Measure | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Measure this machine and fit its costs.

    Parameters
    ----------
    rounds : int
        Repetitions of the design.
    journal : str or Path, optional
        File by which a stopped calibration continues.
    out : str or Path, optional
        Machine file to write, ending in ``.toml``.
    seed : int
        Of the order of the points and of the fit.
    steering : bool, optional
        Whether to measure kernel and consumer on one core; default: if this process may.
    measure : callable, optional
        Runs a point; default: the live instrument.
    progress : callable, optional
        Called with what is done and what there is to do: first of the runs, then of the fit.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If an argument is out of range.
    LabError
        If this machine cannot be measured; the message says what to do.
    """
    if out is not None:
        check_machine_path(Path(out))
    host = this_host()
    design = calibration_design(steering=may_steer() if steering is None else steering)
    experiment = run_experiment(
        design, rounds=rounds, journal=journal, seed=seed, measure=measure, progress=progress
    )
    found = fit(
        observations(experiment), load_priors(), cores=host.cores, seed=seed, progress=progress
    )
    result = Calibration(found, experiment, host)
    if out is not None:
        write_calibration(result, Path(out))
    return result


def write_calibration(result: Calibration, out: Path, *, source: str = "own") -> None:
    """Write the machine file of a calibration.

    Parameters
    ----------
    result : Calibration
        What was found.
    out : Path
        The file, ending in ``.toml``.
    source : str
        ``"own"``, or the key in the bibliography of the set that was fitted.
    """
    host = result.host
    facts = {
        "title": host.title, "cores": str(host.cores), "kernel": f"Linux {host.kernel}",
        "locator": locator_of(host, result.experiment),
    }  # fmt: skip
    write_machine(result.fit, out, facts, source=source)


def may_steer() -> bool:
    """Whether packet steering, which the placement on one core needs, may be set: by root only.

    Returns
    -------
    bool
    """
    import os

    return hasattr(os, "geteuid") and os.geteuid() == 0


def calibration_text(result: Calibration) -> str:
    """A calibration for people to read: costs, intervals, and what the data did not pin down.

    Parameters
    ----------
    result : Calibration
        What was found.

    Returns
    -------
    str
    """
    rows = [
        [
            cost.prior.name, f"{cost.value:.3g}", f"{cost.low:.3g} to {cost.high:.3g}",
            cost.prior.unit, cost.prior.meaning,
        ]
        for cost in result.fit.costs
    ]  # fmt: skip
    lines = [result.host.title]
    if result.experiment is not None:
        points = len(result.experiment.results)
        lines.append(
            f"{points} points, {result.experiment.rounds} rounds, {result.experiment.noisy} noisy "
            f"runs; a single run is {100 * result.experiment.noise_floor:.1f} points off its "
            "median on average"
        )
    lines += [text_table(["cost", "value", "90 % interval", "unit", "what it is"], rows)]
    lines.append(f"residuals: {result.fit.misfit:.2f} of their stated errors (root mean square)")
    if result.experiment is not None and result.experiment.noisy > result.experiment.runs / 2:
        lines.append(
            "most runs were disturbed by other processes or the hypervisor: calibrate again when "
            "the machine is idle"
        )
    loose = [cost for cost in result.fit.costs if not cost.pinned]
    for cost in loose:
        lines.append(
            f"not pinned down by these data: {cost.prior.name}; it needs {cost.prior.pinned_by}"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class Judged:
    """Predicted against measured at one point; shares [-], rates [1/s]."""

    point: LabPoint
    quantity: str
    predicted: float
    measured: float
    spread: float
    floor: float

    @property
    def error(self) -> float:
        """Predicted less measured."""
        return self.predicted - self.measured


@dataclass(frozen=True)
class Validation:
    """A machine's predictions beside fresh measurements.

    Attributes
    ----------
    rows : tuple of Judged
        Captured shares.
    rates : tuple of Judged
        Wakeups and wait calls, where lab and model count the same.
    experiment : Experiment
        The runs.
    host : Host
        Who measured.
    """

    rows: tuple[Judged, ...]
    rates: tuple[Judged, ...]
    experiment: Experiment
    host: Host

    @property
    def errors(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Absolute errors of the captured shares [-]."""
        return np.abs([row.error for row in self.rows])

    @property
    def mean_error(self) -> float:
        """Mean absolute error of the captured share [-]."""
        return float(np.mean(self.errors))

    @property
    def p90_error(self) -> float:
        """Absolute error that nine of ten points stay below [-]."""
        return float(np.quantile(self.errors, 0.9))

    @property
    def median_floor(self) -> float:
        """Mean absolute error that the medians themselves have [-]."""
        return float(np.mean([_MEAN_ABSOLUTE * row.floor for row in self.rows]))

    def __str__(self) -> str:
        return validation_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Every row and the summary as plain values."""
        return {
            "machine": self.host.title,
            "mean_error": self.mean_error,
            "p90_error": self.p90_error,
            "noise_floor": self.experiment.noise_floor,
            "median_floor": self.median_floor,
            "rows": [
                {
                    "point": row.point.to_dict(), "quantity": row.quantity,
                    "predicted": row.predicted, "measured": row.measured, "spread": row.spread,
                }
                for row in (*self.rows, *self.rates)
            ],
        }  # fmt: skip


def validate(
    machine: str | Path | Machine,
    *,
    rounds: int = 3,
    journal: str | Path | None = None,
    seed: int = 1,
    steering: bool | None = None,
    design: Sequence[LabPoint] | None = None,
    measure: Measure | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Measure points that no calibration has seen, and predict them.

    Parameters
    ----------
    machine : str, Path or Machine
        A calibrated machine.
    rounds : int
        Repetitions of the design.
    journal : str or Path, optional
        File by which a stopped validation continues.
    seed : int
        Of the order of the points.
    steering : bool, optional
        As for :func:`calibrate`.
    design : sequence of LabPoint, optional
        Points of the caller's own.
    measure : callable, optional
        Runs a point; default: the live instrument.
    progress : callable, optional
        Called with the runs that are done and those planned.

    Returns
    -------
    Validation

    Raises
    ------
    ValueError
        If an argument is out of range, or the machine cannot predict a point.
    LabError
        If this machine cannot be measured.
    """
    rig = load_machine(machine)
    host = this_host()
    points = (
        validation_design(steering=may_steer() if steering is None else steering)
        if design is None
        else tuple(design)
    )
    for point in points:
        path_of(point, rig)  # better refused now than after the measurement
    experiment = run_experiment(
        points, rounds=rounds, journal=journal, seed=seed, measure=measure, progress=progress
    )
    return judge(rig, experiment, host)


def judge(machine: Machine, experiment: Experiment, host: Host) -> Validation:
    """Predictions of a machine beside an experiment's medians.

    Parameters
    ----------
    machine : Machine
        Predicts.
    experiment : Experiment
        Measured.
    host : Host
        Who measured.

    Returns
    -------
    Validation
    """
    results = {result.point: result for result in experiment.results}
    predicted = {point: shown(path_of(point, machine)) for point in results}
    judged: dict[bool, list[Judged]] = {True: [], False: []}
    for item in observations(experiment):
        judged[item.quantity == MODELLED[0]].append(
            Judged(
                item.point, item.quantity, predicted[item.point][item.quantity], item.value,
                results[item.point].spread(item.quantity), item.error,
            )
        )  # fmt: skip
    return Validation(tuple(judged[True]), tuple(judged[False]), experiment, host)


def validation_text(result: Validation) -> str:
    """A validation for people to read: every point, then the errors beside the noise.

    Parameters
    ----------
    result : Validation
        Predictions and measurements.

    Returns
    -------
    str
    """
    rates = {(row.point, row.quantity): row for row in result.rates}
    table = []
    for row in result.rows:
        wakes = rates.get((row.point, "wakeup_rate"))
        table.append(
            [
                f"{row.point.rate / 1e3:.0f}", f"{1e6 * row.point.work[0]:.2f}",
                row.point.backend, row.point.pinning, str(row.point.arrivals),
                f"{100 * row.predicted:.1f}", f"{100 * row.measured:.1f}",
                f"{100 * row.error:+.1f}", f"{100 * row.spread:.1f}",
                "" if wakes is None else f"{wakes.predicted / 1e3:.1f}",
                "" if wakes is None else f"{wakes.measured / 1e3:.1f}",
            ]
        )  # fmt: skip
    head = ["kpps", "work [us]", "backend", "pinning", "arrivals", "predicted [%]", "measured [%]",
            "error", "spread", "wakes/ms", "measured"]  # fmt: skip
    noisy = result.experiment.noisy
    left_out = len(result.experiment.results) - len(result.rows)
    return "\n".join(
        [
            result.host.title,
            text_table(head, table),
            f"captured share: mean error {100 * result.mean_error:.2f} points, 90 % within "
            f"{100 * result.p90_error:.2f} points ({len(result.rows)} points)",
            f"noise floor: a single run is {100 * result.experiment.noise_floor:.2f} points off "
            f"its median on average; the medians are good to {100 * result.median_floor:.2f} "
            f"points; {noisy} noisy runs, {left_out} points left out",
        ]
    )


def measure_set(
    *,
    rounds: int = 8,
    journal: str | Path | None = None,
    seed: int = 0,
    steering: bool | None = None,
    measure: Measure | None = None,
    progress: Progress | None = None,
) -> tuple[Calibration, Experiment]:
    """Calibrate on one design and measure the other in the same rounds, for a set that lasts.

    Parameters
    ----------
    rounds, journal, seed, steering, measure, progress
        As for :func:`calibrate`.

    Returns
    -------
    tuple
        The calibration, and the experiment that it has not seen.

    Raises
    ------
    ValueError, LabError
        As for :func:`calibrate`.

    Notes
    -----
    A machine whose pace changes over minutes, as a virtual one's does with its neighbours, gives
    the second of two experiments other costs than the first. Here both meet the same changes.
    """
    host = this_host()
    steered = may_steer() if steering is None else steering
    designs = calibration_design(steering=steered), validation_design(steering=steered)
    both = run_experiment(
        (*designs[0], *designs[1]), rounds=rounds, journal=journal, seed=seed, measure=measure,
        progress=progress,
    )  # fmt: skip
    known = Experiment(both.results[: len(designs[0])], rounds)
    fresh = Experiment(both.results[len(designs[0]) :], rounds)
    found = fit(observations(known), load_priors(), cores=host.cores, seed=seed, progress=progress)
    return Calibration(found, known, host), fresh


def write_set(
    folder: Path, calibration: Calibration, validation: Validation, machine: str, notes: str
) -> None:
    """Write both experiments as one data set, the first for calibration, the other for validation.

    Parameters
    ----------
    folder : Path
        Folder of the set.
    calibration, validation : Calibration, Validation
        What was measured.
    machine : str
        Name of the machine file that predicts the set.
    notes : str
        What a reader has to know.
    """
    assert calibration.experiment is not None
    parts = [
        Part("calibration", calibration.experiment),
        Part("validation", validation.experiment),
    ]
    method = (
        "capmodel lab: raw frames through a virtual link in a network namespace of its own; "
        f"{calibration.experiment.rounds} rounds over the points of both roles, medians; runs that "
        "lost more than 2 % to the hypervisor or 1 % to other processes count as noisy and are "
        "repeated within half of the plan"
    )
    write_data_set(
        folder, parts, host=calibration.host, machine=machine, priors=load_priors(),
        method=method, notes=notes,
    )  # fmt: skip
