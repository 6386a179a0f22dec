"""A number that says where it comes from; one that cannot say so does not exist."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from os import PathLike
from typing import Any, Literal, Self, get_args

from capmodel.errors import closest, damaged_file, unknown_choice

Origin = Literal["published", "measured", "calibrated", "assumed"]
ORIGINS: tuple[str, ...] = get_args(Origin)

UNITS: Mapping[str, float] = {
    "-": 1.0,
    "%": 0.01,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "1/s": 1.0,
    "pps": 1.0,
    "kpps": 1e3,
    "Mpps": 1e6,
    "Hz": 1.0,
    "kHz": 1e3,
    "MHz": 1e6,
    "GHz": 1e9,
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "B/s": 1.0,
    "MB/s": 1e6,
    "GB/s": 1e9,
    "bit/s": 1.0,
    "Mbit/s": 1e6,
    "Gbit/s": 1e9,
    "s/B": 1.0,
    "us/B": 1e-6,
    "ns/B": 1e-9,
    "cycles": 1.0,
    "cycles/B": 1.0,
    "packets": 1.0,
    "slots": 1.0,
}
"""Factor from each unit to the SI; counts (packets, slots, cycles) stay counts."""

_KINDS: Mapping[str, str] = {
    "share": "- %",
    "time": "s ms us ns",
    "rate": "1/s pps kpps Mpps Hz kHz MHz GHz",
    "memory": "B kB MB KiB MiB GiB",
    "throughput": "B/s MB/s GB/s bit/s Mbit/s Gbit/s",
    "time per byte": "s/B us/B ns/B",
    "cycles": "cycles",
    "cycles per byte": "cycles/B",
    "count": "packets slots",
}
DIMENSIONS: Mapping[str, str] = {
    unit: kind for kind, units in _KINDS.items() for unit in units.split()
}
"""What each unit measures, in words."""


@dataclass(frozen=True)
class Constant:
    """A sourced number.

    Parameters
    ----------
    name : str
        What it is.
    value : float
        In `unit`.
    unit : str
        A key of `UNITS`.
    std : float
        Standard deviation of what is not known about the value [unit], at least 0.
    origin : {"published", "measured", "calibrated", "assumed"}
        Printed in the source; fitted to the source's measurements; or assumed.
    source : str
        A key of ``references.bib``, ``"capmodel"``, or ``"own"`` for a user's own measurement.
    locator : str
        Where in the source: section, figure, table, script.

    Raises
    ------
    ValueError
        If the source or locator is missing, the origin or unit is unknown, the value is not
        finite, or the standard deviation is negative or not finite.

    Examples
    --------
    >>> cost = Constant("wakeup_cost", 1.5, "us", 0.2, "assumed", "capmodel", "an example")
    >>> cost.si, cost.si_std
    (1.5e-06, 2e-07)
    """

    name: str
    value: float
    unit: str
    std: float
    origin: Origin
    source: str
    locator: str

    def __post_init__(self) -> None:
        for attribute in ("name", "unit", "origin", "source", "locator"):
            text = getattr(self, attribute)
            if not isinstance(text, str) or not text.strip():
                raise ValueError(
                    f"{attribute} of constant {self.name!r} must be a text that is not empty, "
                    f"not {text!r}"
                )
        if self.origin not in ORIGINS:
            raise unknown_choice(f"origin of constant {self.name!r}", self.origin, ORIGINS)
        if self.unit not in UNITS:
            raise unknown_choice(f"unit of constant {self.name!r}", self.unit, UNITS)
        object.__setattr__(self, "value", self._finite("value"))
        object.__setattr__(self, "std", self._finite("std"))
        if self.std < 0:
            raise ValueError(f"std of constant {self.name!r} must be at least 0, not {self.std!r}")

    def _finite(self, attribute: str) -> float:
        number = getattr(self, attribute)
        try:
            finite = isinstance(number, Real) and math.isfinite(number)
        except OverflowError:
            finite = False
        if isinstance(number, bool) or not finite:
            raise ValueError(
                f"{attribute} of constant {self.name!r} must be a finite number, not {number!r}"
            )
        return float(number)

    @property
    def si(self) -> float:
        """Value in SI units."""
        return self.value * UNITS[self.unit]

    @property
    def si_std(self) -> float:
        """Standard deviation in SI units."""
        return self.std * UNITS[self.unit]

    @classmethod
    def from_toml(cls, name: str, mapping: Mapping[str, Any], *, file: str | PathLike[str]) -> Self:
        """Constant from a TOML table with the keys value, unit, std, origin, source, locator.

        Parameters
        ----------
        name : str
            Key of the table in its file.
        mapping : mapping
            The table.
        file : str or path-like
            The file, for errors.

        Returns
        -------
        Constant
            With the name given.

        Raises
        ------
        ValueError
            Naming file and key, if a key is missing, unknown or of the wrong type, or the constant
            is refused.

        Examples
        --------
        >>> table = {"value": 210, "unit": "ns", "std": 15, "origin": "assumed",
        ...          "source": "capmodel", "locator": "an example"}
        >>> Constant.from_toml("copy_cost", table, file="mine.toml").si
        2.1e-07
        """
        where = f"key {name!r}"
        if not isinstance(mapping, Mapping):
            raise damaged_file(file, where, f"must be a table, not {mapping!r}")
        for key in mapping:
            if key not in _KEYS:
                near = closest(key, _KEYS)
                hint = f", did you mean {near!r}" if near is not None else ""
                raise damaged_file(file, where, f"has the unknown key {key!r}{hint}")
        for key, kind in _KEYS.items():
            if key not in mapping:
                raise damaged_file(file, where, f"the key {key!r} is missing")
            if isinstance(mapping[key], bool) or not isinstance(mapping[key], kind):
                noun = "a text" if kind is str else "a number"
                raise damaged_file(file, where, f"{key} must be {noun}, not {mapping[key]!r}")
        try:
            return cls(name=name, **mapping)
        except ValueError as error:
            raise damaged_file(file, where, str(error)) from None

    def to_toml(self) -> str:
        """Inline table that `from_toml` reads, without the name.

        Returns
        -------
        str
            TOML, on one line.

        Examples
        --------
        >>> Constant("ring", 256, "slots", 0, "assumed", "capmodel", "an example").to_toml()
        '{ value = 256.0, unit = "slots", std = 0.0, origin = "assumed", source = "capmodel",
        locator = "an example" }'
        """
        pairs = (f"{key} = {toml_value(getattr(self, key))}" for key in _KEYS)
        return f"{{ {', '.join(pairs)} }}"


_KEYS: Mapping[str, type] = {
    "value": Real,
    "unit": str,
    "std": Real,
    "origin": str,
    "source": str,
    "locator": str,
}


def toml_value(value: float | str) -> str:
    """A number, truth value or text as it stands in a TOML file.

    Parameters
    ----------
    value : float, bool or str
        What is to be written.

    Returns
    -------
    str

    Examples
    --------
    >>> toml_value(0.5), toml_value(True), toml_value("a text")
    ('0.5', 'true', '"a text"')
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
