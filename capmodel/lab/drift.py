"""How far a machine has moved since it was calibrated: the same points, measured again.

A virtual machine's pace changes over minutes with what its neighbours do. No prediction can be
better than the machine agrees with itself, so a validation measures some of the calibration's own
points again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capmodel.atomic import replacing
from capmodel.errors import damaged_file
from capmodel.lab.data_set import conditions_of, point_of
from capmodel.lab.experiment import Experiment
from capmodel.lab.point import LabPoint

_VALUE = "captured"
_CHANGED = 0.05  # mean distance [-] from which on a calibration is of another machine
_EACH = 3  # one of so many points of a calibration is measured again


@dataclass(frozen=True)
class Moved:
    """A point's captured share when the machine was calibrated, and now [-]."""

    point: LabPoint
    before: float
    now: float

    @property
    def distance(self) -> float:
        """How far it has moved [-]."""
        return abs(self.now - self.before)


def measured_path(machine: Path) -> Path:
    """The file beside a machine file that holds what it was calibrated by.

    Parameters
    ----------
    machine : Path
        The machine file.

    Returns
    -------
    Path
    """
    return machine.with_name(f"{machine.stem}.measured.csv")


def write_measured(machine: Path, experiment: Experiment) -> None:
    """Write a calibration's captured shares beside its machine file.

    Parameters
    ----------
    machine : Path
        The machine file.
    experiment : Experiment
        What was measured.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    rows = [
        {**conditions_of(result.point), _VALUE: f"{result.median():.6g}"}
        for result in experiment.results
        if not result.disturbed
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [_VALUE], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(measured_path(machine)) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_measured(machine: Path) -> dict[LabPoint, float]:
    """Captured shares by which a machine file was calibrated; empty if they were not kept.

    Parameters
    ----------
    machine : Path
        The machine file.

    Returns
    -------
    dict
        By point [-].

    Raises
    ------
    ValueError
        If the file is damaged; the message names it and the line.
    """
    path = measured_path(machine)
    if not path.is_file():
        return {}
    found = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                found[point_of(row)] = float(row[_VALUE])
            except (KeyError, ValueError, TypeError) as error:
                what = f"is not a measured point ({error})"
                raise damaged_file(path, f"line {number}", what) from None
    return found


def chosen(points: Iterable[LabPoint], steering: bool) -> tuple[LabPoint, ...]:
    """Which points of a calibration to measure again: every third that can be.

    Parameters
    ----------
    points : iterable of LabPoint
        Those of the calibration.
    steering : bool
        Whether points with kernel and consumer on one core can be measured.

    Returns
    -------
    tuple of LabPoint
    """
    able = [point for point in points if steering or point.pinning != "same"]
    return tuple(able[::_EACH])


def drift_text(moved: Sequence[Moved]) -> str:
    """How far the points moved, in one sentence.

    Parameters
    ----------
    moved : sequence of Moved
        At least one.

    Returns
    -------
    str
    """
    distance = np.array([item.distance for item in moved])
    changed = ""
    if float(distance.mean()) > _CHANGED:
        changed = (
            ". The machine is not what it was when it was calibrated, or something disturbs it: "
            "calibrate again while nothing else runs"
        )
    return (
        f"the machine itself: {len(moved)} points of the calibration, measured again, moved by "
        f"{100 * float(distance.mean()):.2f} points on average, 90 % within "
        f"{100 * float(np.quantile(distance, 0.9)):.2f} points{changed}"
    )
