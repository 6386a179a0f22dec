"""Measuring a set that lasts: calibration and validation in the same rounds, written as data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capmodel.lab.calibrate import Calibration, calibrated, may_steer
from capmodel.lab.data_set import Part, write_data_set
from capmodel.lab.design import calibration_design, validation_design
from capmodel.lab.experiment import Experiment, Measure, run_experiment
from capmodel.lab.host import this_host
from capmodel.lab.judgement import Validation
from capmodel.lab.priors import load_priors
from capmodel.lab.waits import waits_of, write_waits

Progress = Callable[[int, int], None]


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
    return calibrated(known, host, seed=seed, progress=progress), fresh


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
    waits = waits_of(calibration.experiment.all_runs())
    if len(waits.calls):
        write_waits(folder, waits)
