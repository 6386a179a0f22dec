"""Real programs as consumers: predicted against measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capmodel.application import load_application
from capmodel.catalogue import expect, read_toml
from capmodel.errors import damaged_file
from capmodel.lab.experiment import Experiment, Measure, run_experiment
from capmodel.lab.model import path_of, shown
from capmodel.lab.point import LabPoint
from capmodel.machine import Machine, load_machine
from capmodel.tables import text_table

FILE = Path(__file__).with_name("programs.toml")
RATES = ("100kpps", "200kpps", "300kpps", "400kpps")

_KEYS: dict[str, type | tuple[type, ...]] = {
    "title": str, "app": str, "application": str, "backend": str, "buffer": str,
    "timeout": (int, float), "source": str,
}  # fmt: skip


@dataclass(frozen=True)
class Program:
    """A program that captures: its command line, and the model's words for how it does so."""

    title: str
    app: str
    application: str
    backend: str
    buffer: str
    source: str
    timeout: float | None = None

    def measured(self, rate: float | str, duration: float | str) -> LabPoint:
        """The point that runs the program itself."""
        return LabPoint(rate, app=self.app, duration=duration)

    def modelled(self, point: LabPoint) -> LabPoint:
        """The point that the model takes for it: the lab's own receiver of the same kind."""
        return replace(
            LabPoint(point.rate, backend=self.backend, buffer=self.buffer, timeout=self.timeout,
                     duration=point.duration),
        )  # fmt: skip


@dataclass(frozen=True)
class ProgramRow:
    """Captured share of a program at a rate, predicted and measured [-]; wakeups likewise [1/s]."""

    title: str
    rate: float
    predicted: float
    measured: float
    spread: float
    wakeups_predicted: float
    wakeups_measured: float


def load_programs(path: Path = FILE) -> tuple[Program, ...]:
    """The programs of a file.

    Parameters
    ----------
    path : Path
        The file; default: that of the package.

    Returns
    -------
    tuple of Program

    Raises
    ------
    ValueError
        If it is damaged; the message names file and key.

    Examples
    --------
    >>> [program.backend for program in load_programs()]
    ['tpacket_v3', 'tpacket_v2']
    """
    found = []
    for number, entry in enumerate(read_toml(path).get("program", []), start=1):
        where = f"program {number}"
        expect(entry, _KEYS, path, where)
        for key in _KEYS:
            if key not in entry and key != "timeout":
                raise damaged_file(path, f"{where}.{key}", "missing")
        found.append(Program(**entry))
    return tuple(found)


def check_programs(
    machine: str | Path | Machine,
    *,
    rates: Sequence[float | str] = RATES,
    rounds: int = 3,
    duration: float | str = "0.5s",
    journal: str | Path | None = None,
    seed: int = 2,
    measure: Measure | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ProgramRow, ...]:
    """Run every program at every rate, and predict it.

    Parameters
    ----------
    machine : str, Path or Machine
        A calibrated machine.
    rates : sequence
        Offered rates [1/s].
    rounds : int
        Repetitions of every point.
    duration : float or str
        Length of a run [s].
    journal : str or Path, optional
        File by which a stopped check continues.
    seed : int
        Of the order of the points.
    measure : callable, optional
        Runs a point; default: the live instrument.
    progress : callable, optional
        Called with the runs that are done and those planned.

    Returns
    -------
    tuple of ProgramRow
        Program by program, in the order of the rates.

    Raises
    ------
    ValueError
        If the machine cannot predict a program.
    LabError
        If a program is not installed, or this machine cannot be measured.
    """
    rig = load_machine(machine)
    programs = load_programs()
    points = {program.measured(rate, duration): program for program in programs for rate in rates}
    predicted = {point: _predicted(program, point, rig) for point, program in points.items()}
    experiment: Experiment = run_experiment(
        tuple(points), rounds=rounds, journal=journal, seed=seed, measure=measure,
        progress=progress,
    )  # fmt: skip
    return tuple(
        ProgramRow(
            points[result.point].title, float(result.point.rate),
            predicted[result.point]["captured"], result.median(), result.spread(),
            predicted[result.point]["wakeup_rate"], result.median("wakeup_rate"),
        )
        for result in experiment.results
    )  # fmt: skip


def _predicted(program: Program, point: LabPoint, machine: Machine) -> dict[str, float]:
    application = load_application(program.application)
    return shown(path_of(program.modelled(point), machine, application=application))


def programs_text(rows: Sequence[ProgramRow]) -> str:
    """Predicted and measured as a table for people to read.

    Parameters
    ----------
    rows : sequence of ProgramRow
        As from :func:`check_programs`.

    Returns
    -------
    str
    """
    table: list[list[Any]] = [
        [
            row.title, f"{row.rate / 1e3:.0f}", f"{100 * row.predicted:.1f}",
            f"{100 * row.measured:.1f}", f"{100 * (row.predicted - row.measured):+.1f}",
            f"{100 * row.spread:.1f}", f"{row.wakeups_predicted:.0f}",
            f"{row.wakeups_measured:.0f}",
        ]
        for row in rows
    ]  # fmt: skip
    head = ["program", "kpps", "predicted [%]", "measured [%]", "error", "spread", "wakes/s",
            "measured"]  # fmt: skip
    mean = sum(abs(row.predicted - row.measured) for row in rows) / max(len(rows), 1)
    return f"{text_table(head, table)}\ncaptured share: mean error {100 * mean:.2f} points"
