"""Which values of a sweep the machines have the costs of, before any point is solved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from capmodel.api import _application
from capmodel.application import Application
from capmodel.backend import Backend, load_backend
from capmodel.errors import unknown_choice
from capmodel.machine import Machine, load_machine
from capmodel.support import Missing, missing_costs, unsupported
from capmodel.sweep_result import label

WAYS = ("error", "skip")
_NAMES = ("backend", "machine", "application")  # the first that varies is what is left out


@dataclass(frozen=True)
class _Lack:
    """What is missing for a combination of names."""

    backend: Backend
    application: Application
    machine: Machine
    missing: Missing

    def beside(self, axis: str) -> str:
        """What is missing, and where, of the names that are not on the axis."""
        place = {
            "backend": f"on machine {self.machine.name!r}",
            "machine": f"for backend {self.backend.name!r}",
            "application": f"on machine {self.machine.name!r}",
        }[axis]
        return f"{self.missing} {place}"


def supported_axes(
    axes: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any], way: str
) -> tuple[dict[str, tuple[Any, ...]], tuple[str, ...]]:
    """The axes of a sweep without the names for which a machine lacks costs.

    Parameters
    ----------
    axes, fixed : mapping
        Arguments that vary, and those that do not.
    way : {"error", "skip"}
        What is to be done with such names.

    Returns
    -------
    dict
        The axes. A name stays if it can be predicted together with all values of the others.
    tuple of str
        Remarks on what was left out.

    Raises
    ------
    ValueError
        If a name lacks costs and `way` is ``"error"``, or no name would be left.

    Examples
    --------
    >>> grid, remarks = supported_axes(
    ...     {"backend": ("pf_packet", "dpdk")}, {"machine": "braun_amd"}, "skip")
    >>> grid, remarks
    ({'backend': ('pf_packet',)}, \
("left out of the grid: backend 'dpdk' (no cost 'pmd_receive' on machine 'braun_amd')",))
    """
    if way not in WAYS:
        raise unknown_choice("unsupported", way, WAYS)
    axis = next((name for name in _NAMES if name in axes), None)
    lacks: dict[int, _Lack] = {}
    for index, lack in _lacks(axes, fixed, axis):
        lacks.setdefault(index, lack)
    if not lacks:
        return dict(axes), ()
    if axis is None:
        (lack,) = lacks.values()
        raise unsupported(lack.backend, lack.application, lack.machine, lack.missing)
    names = [str(label(value)) for value in axes[axis]]
    kept = [index for index in range(len(names)) if index not in lacks]
    listed = ", ".join(f"{names[index]!r} ({lacks[index].beside(axis)})" for index in sorted(lacks))
    if way == "error" or not kept:
        raise ValueError(f"{axis} cannot be {listed}; {_advice(names, kept, lacks)}")
    values = tuple(axes[axis][index] for index in kept)
    return {**axes, axis: values}, (f"left out of the grid: {axis} {listed}",)


def _advice(names: list[str], kept: list[int], lacks: Mapping[int, _Lack]) -> str:
    supported = ", ".join(repr(names[index]) for index in kept) or "none"
    advice = [f"supported: {supported}"]
    if kept:
        advice.append("unsupported='skip' (--skip-unsupported) leaves the others out")
    if any(not lack.missing.mechanism for lack in lacks.values()):
        advice.append("work= can be given instead of an application whose cost is missing")
    return "; ".join(advice)


def _lacks(
    axes: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any], axis: str | None
) -> Iterator[tuple[int, _Lack]]:
    """Combinations of names that lack something, with their place on the axis."""
    series = {
        name: list(enumerate(axes.get(name, (fixed.get(name),))))
        for name in (*_NAMES, "driver", "nic")
    }
    own_works = dict.fromkeys(work is not None for work in axes.get("work", (fixed.get("work"),)))
    backends = [(index, load_backend(name)) for index, name in series["backend"]]
    machines = [(index, load_machine(name)) for index, name in series["machine"]]
    for case in itertools.product(
        backends, machines, series["application"], series["driver"], series["nic"], own_works
    ):
        (b, backend), (m, machine), (a, name), (_, driver), (_, nic), own = case
        if (own and name is not None) or (nic is not None and nic not in machine.cards):
            continue  # refused where the point is solved, which says why
        application = _application(name, 0.0 if own else None)
        missing = missing_costs(backend, application, machine, driver=driver, nic=nic)
        if missing:
            index = {"backend": b, "machine": m, "application": a, None: 0}[axis]
            yield index, _Lack(backend, application, machine, missing)
