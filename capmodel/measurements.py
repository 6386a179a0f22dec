"""Published measurements: a folder per source, its table and what must be known about it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from capmodel.catalogue import read_toml
from capmodel.data_files import data_folder
from capmodel.errors import damaged_file, unknown_choice

ROLES = ("calibration", "validation")
_FIXED = ("id", "role", "quantity", "value", "error", "locator")


@dataclass(frozen=True)
class Measurement:
    """One measured number: SI value, standard error, role, place in the source, conditions."""

    id: str
    role: str
    quantity: str
    value: float
    error: float
    locator: str
    conditions: Mapping[str, str]


@dataclass(frozen=True)
class DataSet:
    """The measurements of one source."""

    name: str
    meta: Mapping[str, Any]
    rows: tuple[Measurement, ...]


def data_set_names(folder: str = "published") -> tuple[str, ...]:
    """Names of the data sets.

    Parameters
    ----------
    folder : str
        ``"published"`` or ``"lab"``.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "ipcbench" in data_set_names()
    True
    """
    root = data_folder() / folder
    return tuple(sorted(item.name for item in root.iterdir() if (item / "meta.toml").is_file()))


@cache
def load_data_set(name: str, folder: str = "published") -> DataSet:
    """A data set by name.

    Parameters
    ----------
    name, folder : str
        As for :func:`data_set_names`.

    Returns
    -------
    DataSet

    Raises
    ------
    ValueError
        If there is no such set, or a file is damaged (the message names file, line and key).

    Examples
    --------
    >>> load_data_set("deri2004").rows[0].value
    0.149
    """
    if name not in data_set_names(folder):
        raise unknown_choice("data set", name, data_set_names(folder))
    root = data_folder() / folder / name
    return DataSet(name, read_toml(root / "meta.toml"), read_rows(root / "measurements.csv"))


def read_rows(path: Path) -> tuple[Measurement, ...]:
    """The measurements of a CSV file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tuple of Measurement

    Raises
    ------
    ValueError
        At the first line that is damaged, naming file, line and column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            # a line number per row: rows may be blank or hold a field over several lines
            table = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or []
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise damaged_file(path, "file", str(error)) from None
    for name in _FIXED:
        if name not in header:
            raise damaged_file(path, "line 1", f"column {name!r} is missing")
    rows: list[Measurement] = []
    for number, row in table:
        found = _row(row, path, f"line {number}")
        if any(found.id == other.id for other in rows):
            raise damaged_file(path, f"line {number}", f"id {found.id!r} stands twice")
        rows.append(found)
    return tuple(rows)


def _row(row: Mapping[str | None, Any], path: Path, where: str) -> Measurement:
    if None in row or None in row.values():
        raise damaged_file(path, where, "has another number of fields than the header")
    numbers = {}
    for name in ("value", "error"):
        try:
            numbers[name] = float(row[name])
        except ValueError:
            raise damaged_file(path, f"{where}, {name}", f"{row[name]!r} is not a number") from None
        if not math.isfinite(numbers[name]):
            raise damaged_file(path, f"{where}, {name}", "must be finite")
    if numbers["error"] <= 0.0:
        raise damaged_file(path, f"{where}, error", f"must be above 0, got {numbers['error']:g}")
    if row["role"] not in ROLES:
        raise damaged_file(
            path, f"{where}, role", f"{row['role']!r} is not one of {', '.join(ROLES)}"
        )
    conditions = {str(key): str(value) for key, value in row.items() if key not in _FIXED}
    return Measurement(
        row["id"], row["role"], row["quantity"], numbers["value"], numbers["error"],
        row["locator"], conditions,
    )  # fmt: skip
