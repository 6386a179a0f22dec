"""Running a calibration: sample, judge, write the machine files, report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.atomic import replacing
from capmodel.calibration import Prior, Problem, folds, load_problem
from capmodel.catalogue import locate
from capmodel.comparison import Comparison
from capmodel.constant import UNITS, Constant
from capmodel.formulary._typing import Array
from capmodel.measurements import load_data_set
from capmodel.observe import Observer
from capmodel.posterior import Posterior, pinned_by, sample_posterior

_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9_]+) = \{")
_SECTION = re.compile(r"\[(?P<name>[A-Za-z0-9_.]+)\]")


@dataclass(frozen=True)
class FoldResult:
    """Claims left out of one fit, and the tightest margin of each under it [points]."""

    left_out: tuple[str, ...]
    margins: tuple[float, ...]


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration found.

    Attributes
    ----------
    posterior : Posterior
        The sample.
    margins : mapping of str to float
        Tightest margin of every claim at the point values [points].
    held : mapping of str to float
        Share of the sample under which the claim holds [-].
    residuals : tuple
        (row id, measured, fitted, standard error) of every measured row that was fitted.
    pins : mapping
        The costs that each claim pins: (machine, cost, correlation of the cost with its margin).
    folds : tuple of FoldResult
        Claims under fits that did not know them; empty unless asked for.
    """

    posterior: Posterior
    margins: Mapping[str, float]
    held: Mapping[str, float]
    residuals: tuple[tuple[str, float, float, float], ...]
    pins: Mapping[str, list[tuple[str, str, float]]]
    folds: tuple[FoldResult, ...] = ()

    def __str__(self) -> str:
        lines = [f"calibration {self.posterior.problem.name}"]
        lines += _posterior_lines(self.posterior)
        if self.margins:
            met = sum(margin > 0.0 for margin in self.margins.values())
            lines.append(f"claims at the point values: {met} of {len(self.margins)} hold")
            for name, margin in self.margins.items():
                pins = ", ".join(f"{m}.{c} ({s:+.1f})" for m, c, s in self.pins.get(name, []))
                lines.append(
                    f"  {name:<26} margin {margin:8.2f}  held by {100 * self.held[name]:3.0f} %"
                    f"  pins {pins}"
                )
        for name, measured, fitted, error in self.residuals:
            lines.append(
                f"  {name:<26} measured {measured:.6g}  fitted {fitted:.6g}"
                f"  ({(fitted - measured) / error:+.1f} standard errors)"
            )
        if self.folds:
            total = [margin for fold in self.folds for margin in fold.margins]
            held = sum(margin > 0.0 for margin in total)
            lines.append(f"left out of the fit: {held} of {len(total)} claims still hold")
            for number, fold in enumerate(self.folds, start=1):
                for name, margin in zip(fold.left_out, fold.margins, strict=True):
                    verdict = "holds" if margin > 0.0 else "FAILS"
                    lines.append(f"  fold {number:>2}  {name:<26} {verdict}  margin {margin:8.2f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON."""
        problem = self.posterior.problem
        return {
            "calibration": problem.name,
            "costs": [
                {
                    "machine": prior.machine, "cost": prior.cost, "unit": prior.unit,
                    "prior_median": prior.median, "prior_spread": prior.spread,
                    "value": value, "low": low, "high": high,
                }
                for prior, (value, low, high) in zip(
                    problem.priors, _summaries(self.posterior), strict=True
                )
            ],
            "margins": dict(self.margins),
            "held": dict(self.held),
            "residuals": [list(item) for item in self.residuals],
            "pins": {name: [list(item) for item in found] for name, found in self.pins.items()},
            "folds": [
                {"left_out": list(fold.left_out), "margins": list(fold.margins)}
                for fold in self.folds
            ],
        }  # fmt: skip


def run(
    name: str,
    *,
    members: int = 200,
    moves: int = 1,
    final_moves: int = 25,
    seed: int | None = None,
    fold_count: int = 0,
    out: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> CalibrationReport:
    """Calibrate, judge and, if a folder is given, write the machine files.

    Parameters
    ----------
    name : str
        A calibration, see :func:`capmodel.calibration.problem_names`.
    members, moves, final_moves : int
        Effort, see :func:`capmodel.posterior.sample_posterior`.
    seed : int, optional
        Default: the seed that the calibration's file states.
    fold_count : int
        Number of folds in which claims are left out of the fit; 0 for none.
    out : Path, optional
        Folder for machine files and posterior samples.
    progress : callable, optional
        Called with the share of the likelihood switched on.

    Returns
    -------
    CalibrationReport

    Raises
    ------
    ValueError
        If the calibration is unknown, a file is damaged, or an effort is below 1.
    """
    for label, value in (("members", members), ("moves", moves), ("final_moves", final_moves)):
        if value < 1:
            raise ValueError(f"{label} must be at least 1, got {value}")
    if fold_count < 0:
        raise ValueError(f"fold_count must be at least 0, got {fold_count}")
    problem = load_problem(name)
    if fold_count and not problem.claims:
        raise ValueError(f"fold_count must be 0 for calibration {name!r}, which knows no claims")
    chosen = problem.seed if seed is None else seed
    effort: dict[str, Any] = {
        "members": members,
        "moves": moves,
        "final_moves": final_moves,
        "seed": chosen,
    }
    posterior = sample_posterior(problem, **effort, progress=progress)
    report = judge(posterior)
    if fold_count:
        report = CalibrationReport(
            posterior, report.margins, report.held, report.residuals, report.pins,
            _folds(posterior, fold_count, chosen, progress),
        )  # fmt: skip
    if out is not None:
        for machine in problem.machines:
            write_machine(posterior, machine, out)
    return report


def judge(posterior: Posterior) -> CalibrationReport:
    """Claims and rows at the point values of a posterior.

    Parameters
    ----------
    posterior : Posterior
        A sample with its point values.

    Returns
    -------
    CalibrationReport
        Without folds.
    """
    problem, point = posterior.problem, posterior.point[None, :]
    margins: dict[str, float] = {}
    held: dict[str, float] = {}
    if problem.claims:
        at_point, at_sample = problem.claim_scores(point)[:, 0], problem.claim_scores(posterior.z)
        for claim, score, scores in zip(problem.claims, at_point, at_sample, strict=True):
            margins[claim.id] = float(score)
            held[claim.id] = float(np.mean(scores > 0.0))
    observer = Observer(problem.values(point))
    residuals = tuple(_residual(item, observer) for item in problem.rows)
    pins = pinned_by(posterior) if problem.claims else {}
    return CalibrationReport(posterior, margins, held, residuals, pins)


def _residual(item: Comparison, observer: Observer) -> tuple[str, float, float, float]:
    fitted = float(np.mean(item.predicted(observer)))
    return item.row.id, item.row.value, fitted, item.sigma


FOLD_MEMBERS, FOLD_SWEEPS = 32, 5


def _folds(
    posterior: Posterior, count: int, seed: int, progress: Callable[[float], None] | None
) -> tuple[FoldResult, ...]:
    """Fits that do not know some claims: a part of the sample, moved on without them.

    A fold needs point values only, so few members do; they forget the claims that were taken away
    within a sweep or two.
    """
    problem, z = posterior.problem, posterior.z
    thinned = z[np.linspace(0, len(z) - 1, FOLD_MEMBERS).round().astype(int)]
    results = []
    for number, left_out in enumerate(folds(problem, count)):
        fold = sample_posterior(
            problem.without(left_out),
            final_moves=FOLD_SWEEPS,
            seed=seed + 1 + number,
            start=thinned,
            progress=progress,
        )
        scores = problem.claim_scores(fold.point[None, :])[:, 0]
        margins = tuple(
            float(score)
            for claim, score in zip(problem.claims, scores, strict=True)
            if claim.id in left_out
        )
        results.append(FoldResult(left_out, margins))
    return tuple(results)


def _summaries(posterior: Posterior) -> list[tuple[float, float, float]]:
    """Point value and 90 % interval of every cost, in the prior's unit."""
    found = []
    for prior, z, point in zip(
        posterior.problem.priors, posterior.z.T, posterior.point, strict=True
    ):
        value = prior.median * np.exp(prior.spread * point)
        low, high = prior.median * np.exp(prior.spread * np.quantile(z, [0.05, 0.95]))
        found.append((float(value), float(low), float(high)))
    return found


def _posterior_lines(posterior: Posterior) -> list[str]:
    lines = ["cost                                     prior median   value   90 % interval"]
    for prior, (value, low, high) in zip(
        posterior.problem.priors, _summaries(posterior), strict=True
    ):
        label = f"{prior.machine}.{prior.cost}"
        lines.append(
            f"  {label:<40} {prior.median:>9.4g} {value:>9.4g}  "
            f"{low:.4g} to {high:.4g} {prior.unit}"
        )
    return lines


def write_machine(posterior: Posterior, machine: str, out: Path) -> Path:
    """Write a machine's TOML file with calibrated costs, and its posterior sample beside it.

    Parameters
    ----------
    posterior : Posterior
        The sample.
    machine : str
        One of its problem's machines.
    out : Path
        The folder.

    Returns
    -------
    Path
        The TOML file.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    problem = posterior.problem
    columns = [index for index, prior in enumerate(problem.priors) if prior.machine == machine]
    sample = problem.values(posterior.z)[machine]
    names = [problem.priors[index].cost for index in columns]
    rows = np.column_stack([sample[name] for name in names])
    body = "\n".join(",".join(f"{value:.6g}" for value in row) for row in rows)
    _write(out / f"{machine}.posterior.csv", ",".join(names) + "\n" + body + "\n")
    fitted = {
        problem.priors[index].cost: _constant(problem, problem.priors[index], posterior, index)
        for index in columns
    }
    text = _replace_entries(locate("machines", machine).read_text(encoding="utf-8"), fitted)
    path = out / f"{machine}.toml"
    _write(path, _with_posterior(text, f"{machine}.posterior.csv"))
    return path


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _constant(problem: Problem, prior: Prior, posterior: Posterior, column: int) -> Constant:
    factors = np.exp(prior.spread * posterior.z[:, column])
    value = prior.median * float(np.exp(prior.spread * posterior.point[column]))
    source = "braun2010" if problem.claims else _first_source(problem)
    evidence = "claims" if problem.claims else "measured rows"
    return Constant(
        name=prior.cost,
        value=float(f"{value:.6g}"),
        unit=prior.unit,
        std=float(f"{prior.median * np.std(factors):.4g}"),
        origin="calibrated",
        source=source,
        locator=f"posterior under the {evidence}, calibration {problem.name}; "
        f"prior: {prior.locator}",
    )


def _first_source(problem: Problem) -> str:
    for item in problem.rows:
        return str(load_data_set(item.data_set).meta["source"])
    return "capmodel"


def _replace_entries(text: str, fitted: Mapping[str, Constant]) -> str:
    """Replace the entries of a machine file that were fitted; everything else stays as it is."""
    prefix, lines = "", []
    for line in text.splitlines():
        section, entry = _SECTION.fullmatch(line.strip()), _ENTRY.match(line)
        if section:
            prefix = "" if section["name"] == "costs" else f"{section['name']}."
        if entry and f"{prefix}{entry['name']}" in fitted:
            constant = fitted[f"{prefix}{entry['name']}"]
            lines.append(f"{entry['name']} = {constant.to_toml()}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _with_posterior(text: str, file: str) -> str:
    kept = [line for line in text.splitlines() if not line.startswith("posterior = ")]
    return "\n".join([kept[0], f'posterior = "{file}"', *kept[1:]]) + "\n"


def standardised(problem: Problem, values: Mapping[str, Mapping[str, Any]]) -> Array:
    """Standardised parameters of given costs (the inverse of `Problem.values`).

    Parameters
    ----------
    problem : Problem
        Its priors define the scale.
    values : mapping of mappings
        For every machine its costs in SI, as arrays of one length.

    Returns
    -------
    ndarray
        One row per member of the sample, one column per cost [-].
    """
    return np.column_stack(
        [
            np.log(
                np.asarray(values[prior.machine][prior.cost]) / (prior.median * UNITS[prior.unit])
            )
            / prior.spread
            for prior in problem.priors
        ]
    )
