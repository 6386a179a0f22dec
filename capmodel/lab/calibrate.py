"""Calibrating this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capmodel.lab.design import calibration_design
from capmodel.lab.drift import write_measured
from capmodel.lab.experiment import Experiment, Measure, run_experiment
from capmodel.lab.fit import Fit, fit, observations
from capmodel.lab.host import Host, this_host
from capmodel.lab.machine_file import check_machine_path, write_machine
from capmodel.lab.priors import load_priors
from capmodel.lab.waits import waits_of
from capmodel.tables import text_table

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
    result = calibrated(experiment, host, seed=seed, progress=progress)
    if out is not None:
        write_calibration(result, Path(out))
    return result


def calibrated(
    experiment: Experiment, host: Host, *, seed: int = 0, progress: Progress | None = None
) -> Calibration:
    """Fit a machine's costs to what was measured on it.

    Parameters
    ----------
    experiment : Experiment
        The runs.
    host : Host
        Who measured.
    seed : int
        Of the fit.
    progress : callable, optional
        Called with what is done of the fit and what there is to do.

    Returns
    -------
    Calibration
    """
    priors = load_priors().informed(waits_of(experiment.all_runs()))
    found = fit(observations(experiment), priors, cores=host.cores, seed=seed, progress=progress)
    return Calibration(found, experiment, host)


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
    if result.experiment is not None:
        write_measured(out, result.experiment)


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
    counted = {item.name: item.value for item in result.fit.priors.assumed}
    if "stall_rate" in counted:
        lines.append(
            f"the kernel's core stood still {counted['stall_rate']:.2g} times a second, for "
            f"{1e-3 * counted['stall_time']:.2g} ms on average"
        )
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
