"""A machine: the sourced cost of every primitive on it, and a posterior sample of those costs."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from capmodel.catalogue import expect, locate, names, read_toml
from capmodel.constant import DIMENSIONS, Constant
from capmodel.errors import closest, damaged_file, unknown_choice
from capmodel.references import reference
from capmodel.wakeup_law import WakeupLaw, read_law

UNPUBLISHED = ("capmodel", "own")  # sources that need no entry in the bibliography

_TOP: dict[str, type | tuple[type, ...]] = {
    "title": str, "cores": int, "kernel": str, "notes": str, "default_nic": str, "posterior": str,
    "costs": dict, "totals": dict, "nic": dict, "extends": str,
    "wakeup_law": dict,
}  # fmt: skip


# what describes the bus between card and memory
_BUS = ("bus_rate", "bus_descriptors")


@dataclass(frozen=True)
class Machine:
    """Sourced numbers of one machine.

    Attributes
    ----------
    name, title, notes : str
        What it is.
    cores : int
        Cores that kernel and capture processes may use; 1 forbids ``pinning="split"``.
    constants : mapping of str to Constant
        Costs by name; ``totals.<backend>.<stage>`` and ``nic.<card>.<property>`` for the others.
    samples : mapping of str to ndarray
        Posterior sample of the calibrated costs [SI], equally long columns; empty if none.
    default_nic : str
        The card used unless another is named.
    base : str
        The machine that this one extends, if any; `own` names the constants that replace its.
    wakeup_law : WakeupLaw, optional
        How a signal's cost and latency depend on the time since the wait call, if measured.
    """

    name: str
    title: str
    cores: int
    constants: Mapping[str, Constant] = field(repr=False)
    samples: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    default_nic: str = ""
    notes: str = ""
    base: str = ""
    own: frozenset[str] = frozenset()
    wakeup_law: WakeupLaw | None = None

    def __contains__(self, key: object) -> bool:
        return key in self.constants

    def value(self, key: str) -> float:
        """A constant in SI units.

        Parameters
        ----------
        key : str
            Its name.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If this machine has no such constant; the message lists what it has.
        """
        if key not in self.constants:
            raise unknown_choice(f"cost of machine {self.name!r}", key, tuple(self.constants))
        return self.constants[key].si

    def values(self) -> dict[str, float]:
        """All constants in SI units."""
        return dict(self._si)

    @cached_property
    def _si(self) -> dict[str, float]:
        return {key: constant.si for key, constant in self.constants.items()}

    def sampled_values(self) -> dict[str, Any]:
        """All constants, the calibrated ones as arrays over the posterior sample."""
        return {**self.values(), **self.samples}

    @property
    def cards(self) -> tuple[str, ...]:
        """Names of the network cards."""
        return tuple(
            dict.fromkeys(key.split(".")[1] for key in self.constants if key.startswith("nic."))
        )


def machine_names() -> tuple[str, ...]:
    """Names of the machines that come with the package.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "braun_amd" in machine_names()
    True
    """
    return names("machines")


def load_machine(machine: str | Path | Machine) -> Machine:
    """A machine by name, or from a TOML file of the user's own.

    Parameters
    ----------
    machine : str, Path or Machine
        A name from :func:`machine_names`, a path that ends in ``.toml``, or a machine (returned
        as it is).

    Returns
    -------
    Machine

    Raises
    ------
    ValueError
        If the name is unknown or the file is damaged (the message names file and key).

    Examples
    --------
    >>> load_machine("braun_amd").cores
    2
    """
    if isinstance(machine, Machine):
        return machine
    if not isinstance(machine, (str, Path)):
        raise TypeError(
            f"machine must be a name, a path to a .toml file or a Machine, got {machine!r}"
        )
    if str(machine).endswith(".toml"):
        return read_machine(Path(machine))
    return _packaged(str(machine))


@cache
def _packaged(name: str) -> Machine:
    return read_machine(locate("machines", name))


def read_machine(path: Path) -> Machine:
    """A machine from a TOML file.

    Parameters
    ----------
    path : Path
        The file. What it extends is a machine of the package, or a TOML file beside it.

    Returns
    -------
    Machine

    Raises
    ------
    ValueError
        If the file is damaged; the message names file and key.
    """
    return _read(path, ())


def _read(path: Path, heirs: tuple[Path, ...]) -> Machine:
    if path in heirs:
        raise damaged_file(path, "extends", "goes in a circle")
    raw = read_toml(path)
    expect(raw, _TOP, path, "machine")
    for key in ("title", "cores"):
        if key not in raw:
            raise damaged_file(path, key, "missing")
    if raw["cores"] < 1:
        raise damaged_file(path, "cores", f"must be at least 1, got {raw['cores']}")
    base = _base(raw["extends"], path, (*heirs, path)) if "extends" in raw else None
    fresh = _constants(raw, path)
    constants = {**(base.constants if base else {}), **fresh}
    own = frozenset(fresh)
    inherited = base.samples if base else {}
    samples = {name: sample for name, sample in inherited.items() if name not in own}
    if base is not None:
        _fits_base(fresh, base, path)
        if samples:
            samples.update(_own_samples(fresh, len(next(iter(samples.values())))))
    if "posterior" in raw:
        read = _read_posterior(path.with_name(raw["posterior"]), constants)
        _holds_points(read, constants, path)
        samples.update(read)
    lengths = sorted({len(sample) for sample in samples.values()})
    if len(lengths) > 1:
        what = f"samples of the base and its own differ in length: {lengths}"
        raise damaged_file(path, "posterior", what)
    law = read_law(raw["wakeup_law"], path) if "wakeup_law" in raw else None
    if law is None and base is not None:
        law = base.wakeup_law
    if law is not None and not {"wakeup", "wakeup_latency"} <= constants.keys():
        raise damaged_file(path, "wakeup_law", "needs the costs wakeup and wakeup_latency")
    default_nic = raw.get("default_nic", base.default_nic if base else "")
    if default_nic and not any(key.startswith(f"nic.{default_nic}.") for key in constants):
        raise damaged_file(path, "default_nic", f"there is no table nic.{default_nic}")
    _complete_buses(constants, path)
    return Machine(
        name=path.stem,
        title=raw["title"],
        cores=raw["cores"],
        constants=MappingProxyType(constants),
        samples=MappingProxyType(samples),
        default_nic=default_nic,
        notes=raw.get("notes", ""),
        base=base.name if base else "",
        own=own,
        wakeup_law=law,
    )


def _fits_base(fresh: Mapping[str, Constant], base: Machine, path: Path) -> None:
    """Refuse what looks like a slip: a name almost that of a cost, a unit of another kind."""
    for key, constant in fresh.items():
        if key in base:
            kinds = [DIMENSIONS[each.unit] for each in (constant, base.constants[key])]
            if kinds[0] != kinds[1]:
                what = f"{constant.unit!r} is a {kinds[0]}, but {base.name!r} has a {kinds[1]} here"
                raise damaged_file(path, f"{key}.unit", what)
        elif "." not in key and (near := closest(key, base.constants)) is not None:
            raise damaged_file(path, key, f"{base.name!r} has no such cost; did you mean {near!r}?")


def _complete_buses(constants: Mapping[str, Constant], path: Path) -> None:
    """A bus is described by its rate and by what a packet's descriptors cost on it, or not."""
    for key in constants:
        card, _, name = key.rpartition(".")
        if name in _BUS and any(f"{card}.{other}" not in constants for other in _BUS):
            raise damaged_file(path, key, f"needs all of {', '.join(_BUS)} in the table [{card}]")


def _own_samples(fresh: Mapping[str, Constant], count: int) -> dict[str, Any]:
    """Log-normal draws of the constants that replace a base's, from their own std."""
    drawn = {}
    for key, constant in fresh.items():
        if constant.std > 0.0 and constant.value > 0.0:
            spread = np.sqrt(np.log1p((constant.std / constant.value) ** 2))
            random = np.random.default_rng(np.random.SeedSequence(list(key.encode())))
            drawn[key] = constant.si * np.exp(spread * random.standard_normal(count))
    return drawn


def _holds_points(
    read: Mapping[str, np.ndarray[Any, Any]], constants: Mapping[str, Constant], path: Path
) -> None:
    """Refuse a value that its own sample does not contain: it is another machine's sample."""
    for key, sample in read.items():
        if not np.min(sample) * (1 - 1e-6) <= constants[key].si <= np.max(sample) * (1 + 1e-6):
            raise damaged_file(
                path, key, "lies outside its posterior sample: to change a cost of a calibrated "
                "machine, write a file that extends it",
            )  # fmt: skip


def _constants(raw: dict[str, Any], path: Path) -> dict[str, Constant]:
    """The constants that the file itself holds."""
    constants: dict[str, Constant] = {}
    for prefix, table in _tables(raw, path):
        for name, entry in table.items():
            key = f"{prefix}{name}"
            if not isinstance(entry, dict):
                raise damaged_file(path, key, "must be a table with value and source")
            constant = Constant.from_toml(key, entry, file=path)
            if constant.source not in UNPUBLISHED:
                try:
                    reference(constant.source)
                except KeyError as error:
                    raise damaged_file(path, f"{key}.source", str(error.args[0])) from None
            if constant.value < 0.0:
                raise damaged_file(path, key, f"must not be negative, got {constant.value}")
            constants[key] = constant
    return constants


def _base(name: str, path: Path, heirs: tuple[Path, ...]) -> Machine:
    if name.endswith(".toml"):
        return _read(path.parent / name, heirs)
    try:
        return _packaged(name)
    except ValueError as error:
        raise damaged_file(path, "extends", str(error)) from None


def _tables(raw: dict[str, Any], path: Path) -> list[tuple[str, dict[str, Any]]]:
    tables = [("", raw.get("costs", {}))]
    for group in ("totals", "nic"):
        for name, table in raw.get(group, {}).items():
            if not isinstance(table, dict):
                raise damaged_file(path, f"{group}.{name}", "must be a table")
            tables.append((f"{group}.{name}.", table))
    return tables


def _read_posterior(
    path: Path, constants: Mapping[str, Constant]
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        what = "it does not exist; the machine's line 'posterior' names it"
        raise damaged_file(path, "file", what) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damaged_file(path, "file", str(error)) from None
    if len(rows) < 2:
        raise damaged_file(path, "file", "holds no sample")
    header = rows[0]
    for index, name in enumerate(header):
        if name not in constants:
            raise damaged_file(path, "line 1", f"{name!r} is not a constant of the machine")
        if name in header[:index]:
            raise damaged_file(path, "line 1", f"{name!r} stands twice")
    columns = np.empty((len(rows) - 1, len(header)))
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise damaged_file(
                path, f"line {number}", f"has {len(row)} fields, the header {len(header)}"
            )
        try:
            columns[number - 2] = [float(item) for item in row]
        except ValueError as error:
            raise damaged_file(path, f"line {number}", str(error)) from None
        if not np.all(np.isfinite(columns[number - 2])) or np.any(columns[number - 2] < 0.0):
            raise damaged_file(path, f"line {number}", "must be finite and not negative")
    return {name: columns[:, index].copy() for index, name in enumerate(header)}
