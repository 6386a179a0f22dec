"""Predictions for many costs at once: what claims, comparisons and calibration look at.

The same way as :func:`capmodel.predict` (workload, assemble, solve), but a keyword may be a column
of values and a machine's costs may be a whole sample, so that one solution holds the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from capmodel.api import _application, _choices, predict
from capmodel.application import Application, load_application
from capmodel.assemble import assemble
from capmodel.backend import load_backend
from capmodel.errors import unknown_choice
from capmodel.formulary._typing import Array
from capmodel.machine import Machine, load_machine
from capmodel.results import Solution
from capmodel.solvers import solve
from capmodel.workload import Workload

Values = Mapping[str, Mapping[str, Any]]  # machine -> cost -> value or sample


@dataclass(frozen=True)
class Setting:
    """Arguments of :func:`capmodel.predict`, of which one may be a series of values."""

    arguments: Mapping[str, Any]
    swept: str = ""
    series: tuple[Any, ...] = ()

    @property
    def key(self) -> str:
        """Equal for equal settings."""
        return repr(
            (sorted(self.arguments.items(), key=lambda pair: pair[0]), self.swept, self.series)
        )

    def each(self) -> list[dict[str, Any]]:
        """The arguments of every single prediction."""
        if not self.swept:
            return [dict(self.arguments)]
        return [{**self.arguments, self.swept: value} for value in self.series]


def _consumer_share(solution: Solution) -> Any:
    shared = solution.core_time.get("shared")
    return shared["consumer packets"] if shared else solution.core_time["consumer"]["packets"]


def _kernel_utilisation(solution: Solution) -> Any:
    if "kernel" not in solution.utilisation:
        raise ValueError("kernel_utilisation needs a kernel on a core of its own (pinning split)")
    return solution.utilisation["kernel"]


QUANTITIES: dict[str, Callable[[Solution], Any]] = {
    "captured": lambda s: s.captured,
    "loss": lambda s: s.loss,
    "carried_rate": lambda s: s.carried_rate,
    "captured_std": lambda s: s.captured_std,
    "ring_drops": lambda s: s.drops["ring"],
    "buffer_drops": lambda s: s.drops["buffer"],
    "wakeup_rate": lambda s: s.wakeup_rate,
    "poll_rate": lambda s: s.poll_rate,
    "polls_per_packet": lambda s: s.poll_rate / np.maximum(s.carried_rate, 1e-300),
    "consumer_share": _consumer_share,
    "interrupts_per_packet": lambda s: s.interrupt_rate / np.maximum(s.carried_rate, 1e-300),
    "kernel_rate": lambda s: s.offered_rate - s.drops["ring"],
    "kernel_utilisation": _kernel_utilisation,
    "consumer_load": lambda s: s.offered_rate * (s.path.consumer.cost * s.path.consumer.processes),
}


def quantity(name: str) -> Callable[[Solution], Any]:
    """The function that reads a quantity off a solution.

    Parameters
    ----------
    name : str
        One of `QUANTITIES`.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If there is no such quantity; the message lists them.
    """
    if name not in QUANTITIES:
        raise unknown_choice("quantity", name, tuple(QUANTITIES))
    return QUANTITIES[name]


class Observer:
    """Solves settings, each once, for the machines' point values or for samples of their costs.

    Parameters
    ----------
    values : mapping, optional
        Costs by machine that replace the machine's own, arrays of one length.
    """

    def __init__(self, values: Values | None = None) -> None:
        self._values = values
        self._found: dict[str, tuple[Solution, ...]] = {}

    def read(self, setting: Setting, name: str = "captured") -> Array:
        """A quantity: one row per value of the series (one row without), samples along the rest."""
        read = quantity(name)
        rows = [np.asarray(read(solution), dtype=np.float64) for solution in self.solve(setting)]
        if len(rows) == 1 and setting.swept:
            row = rows[0]
            count = len(setting.series)
            tail = row.shape[1:] if row.ndim else ()
            return np.broadcast_to(row, (count, *tail)) if row.shape[:1] != (count,) else row
        shape = np.broadcast_shapes(*(row.shape for row in rows))
        return np.stack([np.broadcast_to(row, shape) for row in rows])

    def solve(self, setting: Setting) -> tuple[Solution, ...]:
        """The solutions of a setting: one that holds the whole series, or one per value."""
        key = setting.key
        if key not in self._found:
            self._found[key] = self._solve(setting)
        return self._found[key]

    def _solve(self, setting: Setting) -> tuple[Solution, ...]:
        column = _COLUMNS.get(setting.swept)
        if setting.swept and column is not None:
            return (self._one(column(setting)),)
        return tuple(self._one(arguments) for arguments in setting.each())

    def _one(self, arguments: Mapping[str, Any]) -> Solution:
        parsed = dict(arguments)
        machine = load_machine(parsed.pop("machine", "braun_amd"))
        backend = load_backend(parsed.pop("backend", "pf_packet"))
        workload = Workload.from_user(
            parsed.pop("rate"), parsed.pop("size", 64), parsed.pop("arrivals", "cbr"),
            parsed.pop("duration", "100s"),
        )  # fmt: skip
        application = _application(parsed.pop("application", None), parsed.pop("work", None))
        names = (
            "pinning", "ring", "buffer", "consumers", "threshold", "timeout", "sleep", "nic",
            "driver",
        )  # fmt: skip
        given = {name: parsed.pop(name, None) for name in names}
        if given["consumers"] is None:
            given["consumers"] = 1
        if parsed:
            raise ValueError(f"unknown arguments of predict: {', '.join(sorted(parsed))}")
        choices = _choices(**given, backend=backend)
        values = self.costs(machine)
        return solve(assemble(workload, application, backend, machine, choices, values))

    def costs(self, machine: Machine) -> dict[str, Any]:
        """A machine's costs with those under study in place, its base's included [SI]."""
        values: dict[str, Any] = machine.values()
        given = self._values or {}
        if machine.base in given:
            inherited = given[machine.base]
            values.update({key: item for key, item in inherited.items() if key not in machine.own})
        values.update(given.get(machine.name, {}))
        return values


def _numbers(setting: Setting) -> dict[str, Any]:
    column = np.asarray(setting.series, dtype=np.float64)[:, None]
    return {**setting.arguments, setting.swept: column}


def _levels(setting: Setting) -> dict[str, Any]:
    """All levels of one application in one column."""
    levels = [load_application(name) for name in setting.series]
    first = levels[0]
    # `first` is the first level tested, so its curve is known by the time it is compared
    if any(level.curve is None or level.curve[0] != first.curve[0] for level in levels):  # type: ignore[index]
        raise ValueError(f"application levels {setting.series} do not share their sizes")
    times = tuple(level.curve[1] for level in levels if level.curve is not None)
    column: Application = replace(first, name="levels", curve=(first.curve[0], times))  # type: ignore[index, arg-type]
    return {**setting.arguments, "application": column}


_COLUMNS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "rate": _numbers,
    "sleep": _numbers,
    "timeout": _numbers,
    "threshold": _numbers,
    "application": _levels,
}


class PublicObserver(Observer):
    """The same through :func:`capmodel.predict` alone, one prediction at a time."""

    def _solve(self, setting: Setting) -> tuple[Solution, ...]:
        return tuple(predict(**arguments).solution for arguments in setting.each())
