"""Predicted against measured: which prediction stands for which row, and how far apart they are.

A data set's ``comparison.toml`` maps rows to predictions. Its `model_error` is the relative error
that the model's form is granted, written down when the set is added; it enters the likelihood of
the calibration and the verdict of the validation alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from capmodel import formulary
from capmodel.catalogue import expect, read_toml
from capmodel.data_files import data_folder
from capmodel.errors import damaged_file, unknown_choice
from capmodel.machine import load_machine
from capmodel.measurements import Measurement, data_set_names, load_data_set
from capmodel.observe import Observer, Setting, quantity

FOLDERS = ("published", "lab")  # of the data folder
COVERAGE = 2.0  # standard errors inside which a prediction counts as right
_CASE: dict[str, type | tuple[type, ...]] = {
    "rows": dict, "quantity": str, "predict": dict, "columns": dict, "model_error": (int, float),
    "why": str, "relative_to": dict, "factor": (int, float), "formula": str, "arguments": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One measured row, the setting that predicts it, and the error the model's form is granted."""

    data_set: str
    row: Measurement
    setting: Setting
    quantity: str
    model_error: float
    reference: Setting | None = None
    factor: float = 1.0
    formula: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def machine(self) -> str:
        """Name of the machine whose costs are used."""
        return str(self.setting.arguments["machine"])

    @property
    def sigma(self) -> float:
        """Standard error of the comparison: measured and granted to the model."""
        return float(np.hypot(self.row.error, self.model_error * abs(self.row.value)))

    def predicted(self, observer: Observer) -> Any:
        """The predicted value, one per member of the observer's sample."""
        if self.formula:
            return self.factor * self._formula(observer)
        value = self.factor * observer.read(self.setting, self.quantity)[0]
        if self.reference is None:
            return value
        return value / observer.read(self.reference, self.quantity)[0] - 1.0

    def _formula(self, observer: Observer) -> Any:
        """A formula of the formulary on the machine's costs and the row's conditions."""
        costs = observer.costs(load_machine(self.machine))
        given = {
            name: costs[source] if isinstance(source, str) else source
            for name, source in self.arguments.items()
        }
        return getattr(formulary, self.formula)(**given)


@dataclass(frozen=True)
class ComparisonRow:
    """Predicted and measured side by side."""

    data_set: str
    id: str
    role: str
    quantity: str
    predicted: float
    measured: float
    sigma: float
    spread: float

    @property
    def error(self) -> float:
        """Predicted over measured, less 1 [-]; the difference itself where nothing was measured."""
        difference = self.predicted - self.measured
        return difference / self.measured if self.measured else difference

    @property
    def allowed(self) -> float:
        """Distance that counts as agreement, in the unit of the value."""
        return COVERAGE * float(np.hypot(self.sigma, self.spread))

    @property
    def agrees(self) -> bool:
        """Whether measured and predicted lie within their stated errors of each other."""
        return abs(self.predicted - self.measured) <= self.allowed


@cache
def comparisons(data_set: str, folder: str = "published") -> tuple[Comparison, ...]:
    """The rows of a data set that a prediction stands for.

    Parameters
    ----------
    data_set, folder : str
        As for :func:`capmodel.measurements.load_data_set`.

    Returns
    -------
    tuple of Comparison
        Empty if the set has no ``comparison.toml``.

    Raises
    ------
    ValueError
        If a file is damaged; the message names file and key.

    Examples
    --------
    >>> comparisons("deri2004")[0].machine
    'deri2004'
    """
    path = data_folder() / folder / data_set / "comparison.toml"
    if not path.is_file():
        return ()
    raw = read_toml(path)
    rows = load_data_set(data_set, folder).rows
    found = []
    for number, case in enumerate(raw.get("case", []), start=1):
        where = f"case {number}"
        _check_case(case, path, where)
        name = case.get("quantity", "")
        chosen = [row for row in rows if _matches(row, case["rows"])]
        if not chosen:
            raise damaged_file(path, f"{where}.rows", "matches no row")
        for source in case.get("columns", {}).values():
            column = source.partition("+")[0]
            if column not in chosen[0].conditions:
                raise damaged_file(path, f"{where}.columns", f"there is no condition {column!r}")
        for row in chosen:
            setting = _setting(case["predict"], case.get("columns", {}), row)
            reference = (
                _setting({**case["predict"], **case["relative_to"]}, case.get("columns", {}), row)
                if "relative_to" in case
                else None
            )
            arguments = {
                key: float(row.conditions[source[1:]]) if source.startswith("@") else source
                for key, source in case.get("arguments", {}).items()
            }
            found.append(
                Comparison(
                    data_set,
                    row,
                    setting,
                    name or row.quantity,
                    float(case["model_error"]),
                    reference,
                    float(case.get("factor", 1.0)),
                    case.get("formula", ""),
                    arguments,
                )
            )
    return tuple(found)


def _check_case(case: dict[str, Any], path: Path, where: str) -> None:
    """Refuse a case that is wrong by itself, naming file and key."""
    expect(case, _CASE, path, where)
    for key in ("rows", "predict", "model_error"):
        if key not in case:
            raise damaged_file(path, f"{where}.{key}", "missing")
    if case["model_error"] < 0.0:
        raise damaged_file(path, f"{where}.model_error", "must not be negative")
    if "machine" not in case["predict"]:
        raise damaged_file(path, f"{where}.predict", "names no machine")
    if "formula" in case:
        if case["formula"] not in formulary.__all__:
            raise damaged_file(path, f"{where}.formula", f"no formula {case['formula']!r}")
        return
    try:
        quantity(case.get("quantity", ""))
    except ValueError as error:
        raise damaged_file(path, f"{where}.quantity", str(error)) from None


def _matches(row: Measurement, wanted: Mapping[str, Any]) -> bool:
    own = {"id": row.id, "role": row.role, "quantity": row.quantity, **row.conditions}

    def fits(key: str, value: Any) -> bool:
        options = value if isinstance(value, list) else [value]
        return own.get(key) in [str(option) for option in options]

    return all(fits(key, value) for key, value in wanted.items())


def _setting(fixed: Mapping[str, Any], columns: Mapping[str, str], row: Measurement) -> Setting:
    def convert(argument: str, text: str) -> Any:
        number = float(text)
        if argument == "buffer":
            return f"{number:.0f} B"
        # a fitted burst length need not be whole: columns are not counted in slots
        return np.array([number]) if argument == "threshold" else number

    read = {}
    for key, source in columns.items():
        # "size+4": pktgen's sizes leave out the checksum that ours count
        column, _, added = source.partition("+")
        value = convert(key, row.conditions[column])
        read[key] = value + float(added) if added else value
    return Setting({**fixed, **read})


def main_table(
    data_sets: Iterable[str] | None = None, folder: str = "published"
) -> tuple[ComparisonRow, ...]:
    """Predicted against measured for every row that a prediction stands for.

    Parameters
    ----------
    data_sets : iterable of str, optional
        Default: all.
    folder : str
        ``"published"`` or ``"lab"``.

    Returns
    -------
    tuple of ComparisonRow

    Raises
    ------
    ValueError
        If a set does not exist or is damaged.
    """
    chosen = data_set_names(folder) if data_sets is None else tuple(data_sets)
    observer = Observer()
    rows = []
    for name in chosen:
        if name not in data_set_names(folder):
            load_data_set(name, folder)
        for item in comparisons(name, folder):
            predicted = float(np.mean(item.predicted(observer)))
            rows.append(
                ComparisonRow(
                    name,
                    item.row.id,
                    item.row.role,
                    item.quantity,
                    predicted,
                    item.row.value,
                    item.sigma,
                    _spread(item),
                )
            )
    return tuple(rows)


def tables(data_set: str | None = None) -> tuple[ComparisonRow, ...]:
    """Predicted against measured, for published sets and those of the lab alike.

    Parameters
    ----------
    data_set : str, optional
        One set by name, or all of a folder (``"published"``, ``"lab"``); default: all.

    Returns
    -------
    tuple of ComparisonRow

    Raises
    ------
    ValueError
        If there is no such set, or it is damaged.

    Examples
    --------
    >>> len(tables("deri2004"))
    2
    """
    if data_set is None:
        return tuple(row for folder in FOLDERS for row in main_table(folder=folder))
    if data_set in FOLDERS:
        return main_table(folder=data_set)
    known = {name: folder for folder in FOLDERS for name in data_set_names(folder)}
    if data_set not in known:
        raise unknown_choice("data set", data_set, (*FOLDERS, *known))
    return main_table([data_set], known[data_set])


@dataclass(frozen=True)
class Summary:
    """How one data set fares in one role."""

    data_set: str
    role: str
    rows: int
    agree: int
    median_error: float
    worst_error: float
    worst_row: str


def summarise(rows: Iterable[ComparisonRow]) -> tuple[Summary, ...]:
    """One line per data set and role.

    Parameters
    ----------
    rows : iterable of ComparisonRow
        As from :func:`main_table`.

    Returns
    -------
    tuple of Summary
        With the median and the largest relative error [-] (differences where nothing was measured).

    Examples
    --------
    >>> [line.rows for line in summarise(main_table(["deri2004"]))]
    [2]
    """
    groups: dict[tuple[str, str], list[ComparisonRow]] = {}
    for row in rows:
        groups.setdefault((row.data_set, row.role), []).append(row)
    found = []
    for (data_set, role), members in groups.items():
        errors = [abs(row.error) for row in members]
        worst = int(np.argmax(errors))
        found.append(
            Summary(
                data_set,
                role,
                len(members),
                sum(row.agrees for row in members),
                float(np.median(errors)),
                errors[worst],
                members[worst].id,
            )
        )
    return tuple(found)


def _spread(item: Comparison) -> float:
    """Standard deviation of the prediction under its machine's posterior."""
    samples = load_machine(item.machine).samples
    if not samples:
        return 0.0
    return float(np.std(item.predicted(Observer({item.machine: samples}))))


def log_likelihood(items: Sequence[Comparison], observer: Observer) -> Any:
    """Gaussian log-likelihood of measured rows, up to a constant.

    Parameters
    ----------
    items : sequence of Comparison
        The rows.
    observer : Observer
        Solves them, for one set of costs or a sample.

    Returns
    -------
    float or ndarray
    """
    total: Any = 0.0
    for item in items:
        total = total - 0.5 * ((item.predicted(observer) - item.row.value) / item.sigma) ** 2
    return total
