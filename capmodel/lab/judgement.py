"""Judging a calibration by points that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.lab.calibrate import may_steer
from capmodel.lab.design import validation_design
from capmodel.lab.drift import Moved, chosen, drift_text, read_measured
from capmodel.lab.experiment import Experiment, Measure, run_experiment
from capmodel.lab.fit import observations
from capmodel.lab.host import Host, this_host
from capmodel.lab.model import MODELLED, path_of, shown
from capmodel.lab.point import LabPoint
from capmodel.machine import Machine, load_machine
from capmodel.tables import text_table

# E|x| of a standard normal value
_MEAN_ABSOLUTE = math.sqrt(2.0 / math.pi)

Progress = Callable[[int, int], None]


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
    moved : tuple of Moved
        Points of the calibration that were measured again, where it left them.
    """

    rows: tuple[Judged, ...]
    rates: tuple[Judged, ...]
    experiment: Experiment
    host: Host
    moved: tuple[Moved, ...] = ()

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
            "moved": [
                {"point": item.point.to_dict(), "before": item.before, "now": item.now}
                for item in self.moved
            ],
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

    Notes
    -----
    Where the calibration left what it measured beside the machine file, some of its points are
    measured again in the same rounds: they tell how far the machine agrees with itself.
    """
    rig = load_machine(machine)
    host = this_host()
    steered = may_steer() if steering is None else steering
    points = validation_design(steering=steered) if design is None else tuple(design)
    for point in points:
        path_of(point, rig)  # better refused now than after the measurement
    stored = not isinstance(machine, Machine) and str(machine).endswith(".toml")
    known = read_measured(Path(str(machine))) if stored else {}
    again = chosen((point for point in known if point not in points), steered)
    both = run_experiment(
        (*points, *again), rounds=rounds, journal=journal, seed=seed, measure=measure,
        progress=progress,
    )  # fmt: skip
    fresh, old = both.results[: len(points)], both.results[len(points) :]
    moved = [
        Moved(result.point, known[result.point], result.median())
        for result in old
        if not result.disturbed
    ]
    return replace(judge(rig, Experiment(fresh, rounds), host), moved=tuple(moved))


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
    lines = [
        result.host.title,
        text_table(head, table),
        f"captured share: mean error {100 * result.mean_error:.2f} points, 90 % within "
        f"{100 * result.p90_error:.2f} points ({len(result.rows)} points)",
        f"noise floor: a single run is {100 * result.experiment.noise_floor:.2f} points off "
        f"its median on average; the medians are good to {100 * result.median_floor:.2f} "
        f"points; {noisy} noisy runs, {left_out} points left out",
    ]
    if result.moved:
        lines.append(drift_text(result.moved))
    return "\n".join(lines)
