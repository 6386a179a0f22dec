"""Measurements of the lab as a data set: the files that `capmodel validate` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capmodel.atomic import replacing
from capmodel.constant import toml_value
from capmodel.errors import damaged_file
from capmodel.lab.experiment import Experiment
from capmodel.lab.fit import Observation, observations
from capmodel.lab.host import Host
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import Priors
from capmodel.measurements import read_rows

_FIXED = ("id", "role", "quantity", "value", "error", "locator")
_CONDITIONS = ("rate", "size", "backend", "work", "pinning", "ring", "buffer", "timeout",
               "arrivals", "duration", "runs", "noisy", "spread")  # fmt: skip
_COLUMNS: Mapping[str, str] = {
    "id": "[-] name of the row, unique in this file",
    "role": "[-] calibration or validation",
    "quantity": "[-] what is measured",
    "value": "[-] for captured, [1/s] for rates: median over the runs",
    "error": "[unit of value] standard error of the median",
    "locator": "[-] how the row was measured",
    "rate": "[1/s] offered packets per second",
    "size": "[B] frame size, checksum included",
    "backend": "[-] what receives",
    "work": "[s] the consumer's own time per packet",
    "pinning": "[-] same: softirq on the consumer's core; split: on the sender's",
    "ring": "[slots] places of the sender's virtual receive ring",
    "buffer": "[-] memory between kernel and consumer, with its unit",
    "timeout": "[s] retire timeout of a block; empty where there are none",
    "arrivals": "[-] arrival process",
    "duration": "[s] length of a run",
    "runs": "[-] runs that the median is of",
    "noisy": "[-] runs that were disturbed, and repeated where the experiment allowed it",
    "spread": "[unit of value] standard deviation from run to run",
}
# an error of nothing is not possible: a share is counted in packets, a rate in events
_LEAST = {"captured": 1e-4, "wakeup_rate": 10.0, "poll_rate": 10.0}


@dataclass(frozen=True)
class Part:
    """An experiment and its role in the set."""

    role: str
    experiment: Experiment


def table_rows(parts: Sequence[Part], locator: str) -> list[dict[str, str]]:
    """The rows of a set's table.

    Parameters
    ----------
    parts : sequence of Part
        Experiments with their roles.
    locator : str
        How they were measured.

    Returns
    -------
    list of dict
        Text by column.
    """
    rows = []
    for part in parts:
        results = {result.point: result for result in part.experiment.results}
        numbers = {point: index for index, point in enumerate(results, start=1)}
        for item in observations(part.experiment):
            result, point = results[item.point], item.point
            identity = f"{part.role[0]}{numbers[point]:02d}-{item.quantity.replace('_', '-')}"
            rows.append(
                {
                    "id": identity,
                    "role": part.role,
                    "quantity": item.quantity,
                    "value": f"{item.value:.6g}",
                    "error": f"{max(item.error, _LEAST[item.quantity]):.3g}",
                    "locator": locator,
                    **conditions_of(point),
                    "runs": str(len(result.runs)),
                    "noisy": str(result.noisy),
                    "spread": f"{result.spread(item.quantity):.3g}",
                }
            )
    return rows


def conditions_of(point: LabPoint) -> dict[str, str]:
    """The conditions of a point, as a table holds them.

    Parameters
    ----------
    point : LabPoint
        The point.

    Returns
    -------
    dict
        Text by column.
    """
    buffer = point.buffer
    return {
        "rate": f"{point.rate:.9g}",
        "size": f"{point.size:.9g}",
        "backend": point.backend,
        "work": f"{point.work[0]:.9g}",
        "pinning": point.pinning,
        "ring": str(point.ring),
        "buffer": f"{buffer.amount:.0f} {'slots' if buffer.unit == 'slots' else 'B'}",
        "timeout": "" if point.timeout is None else f"{point.timeout:.9g}",
        "arrivals": str(point.arrivals),
        "duration": f"{point.duration:.9g}",
    }


def point_of(conditions: Mapping[str, str]) -> LabPoint:
    """The point that has these conditions.

    Parameters
    ----------
    conditions : mapping
        As from :func:`conditions_of`.

    Returns
    -------
    LabPoint

    Raises
    ------
    KeyError, ValueError
        If they are not those of a point.
    """
    given: dict[str, Any] = {
        name: conditions[name] for name in ("backend", "pinning", "buffer", "arrivals")
    }
    given |= {name: float(conditions[name]) for name in ("rate", "size", "work", "duration")}
    if conditions["timeout"]:
        given["timeout"] = float(conditions["timeout"])
    return LabPoint(ring=int(conditions["ring"]), **given)


def read_observations(folder: Path, role: str = "calibration") -> tuple[Observation, ...]:
    """The measured rows of a set, as a fit takes them.

    Parameters
    ----------
    folder : Path
        Folder of the set.
    role : str
        ``"calibration"`` or ``"validation"``.

    Returns
    -------
    tuple of Observation

    Raises
    ------
    ValueError
        If the table is damaged or holds no such row; the message names file and line.
    """
    path = folder / "measurements.csv"
    rows = [row for row in read_rows(path) if row.role == role]
    if not rows:
        raise damaged_file(path, "role", f"there is no row with role {role!r}")
    found = []
    for row in rows:
        try:
            point = point_of(row.conditions)
        except (KeyError, ValueError, TypeError) as error:
            raise damaged_file(path, row.id, f"is not a point of the lab ({error})") from None
        found.append(Observation(point, row.quantity, row.value, row.error))
    return tuple(found)


def write_data_set(
    folder: Path,
    parts: Sequence[Part],
    *,
    host: Host,
    machine: str,
    priors: Priors,
    method: str,
    notes: str = "",
) -> None:
    """Write table, meta and comparison of a set; each file is whole or not there.

    Parameters
    ----------
    folder : Path
        Its folder; made if it does not exist.
    parts : sequence of Part
        Experiments with their roles, which are fixed from here on.
    host : Host
        Who measured.
    machine : str
        Name of the machine file that predicts it.
    priors : Priors
        State the error granted to the model's form.
    method, notes : str
        How it was measured, and what a reader has to know.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    locator = f"capmodel lab, {host.date}"
    rows = table_rows(parts, locator)
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.DictWriter(table, [*_FIXED, *_CONDITIONS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    floor = ", ".join(
        f"{part.role} {100 * part.experiment.noise_floor:.2f} points" for part in parts
    )
    meta = {
        "title": f"Captures through the kernel of {host.title}",
        "source": "own",
        "locator": "capmodel lab",
        "date": host.date,
        "cpu": host.cpu,
        "kernel": f"Linux {host.kernel}",
        "virtual": host.virtual,
        "cores": host.cores,
        "load_average": host.load,
        "method": method,
        "error": "standard error of the median, half from the point's own runs and half from the "
        f"median of all points; mean distance of a single run from its point's median: {floor}",
        "notes": notes,
    }
    files = {
        "measurements.csv": table.getvalue(),
        "meta.toml": _meta_text(meta),
        "comparison.toml": comparison_text(rows, machine, priors),
    }
    for name, text in files.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def _meta_text(meta: Mapping[str, Any]) -> str:
    lines = [f"{key} = {toml_value(value)}" for key, value in meta.items() if value != ""]
    columns = [f"{key} = {toml_value(text)}" for key, text in _COLUMNS.items()]
    return "\n".join([*lines, "", "[columns]", *columns]) + "\n"


# conditions that are names or carry a unit: a case of a comparison holds one value of each
_GROUPED = ("backend", "pinning", "buffer", "timeout", "arrivals")


def comparison_text(rows: Iterable[Mapping[str, str]], machine: str, priors: Priors) -> str:
    """The comparison of a set: one case per quantity and kind of setting.

    Parameters
    ----------
    rows : iterable of mapping
        As from :func:`table_rows`.
    machine : str
        Name of the machine that predicts them.
    priors : Priors
        State the error granted to the model's form.

    Returns
    -------
    str
        TOML.
    """
    keys = dict.fromkeys((row["quantity"], *(row[name] for name in _GROUPED)) for row in rows)
    cases = []
    for quantity, *values in keys:
        chosen = dict(zip(_GROUPED, values, strict=True))
        fixed = {name: value for name, value in chosen.items() if value}
        if "timeout" in fixed:
            fixed["timeout"] = f"{fixed['timeout']}s"
        predict = ", ".join(
            f"{name} = {toml_value(value)}" for name, value in {"machine": machine, **fixed}.items()
        )
        match = ", ".join(f"{name} = {toml_value(value)}" for name, value in chosen.items())
        form = priors.form[quantity]
        cases.append(
            "[[case]]\n"
            f"rows = {{ quantity = {toml_value(quantity)}, {match} }}\n"
            f"quantity = {toml_value(quantity)}\n"
            f"predict = {{ {predict} }}\n"
            'columns = { rate = "rate", size = "size", work = "work", ring = "ring", '
            'duration = "duration" }\n'
            f"model_error = {form.relative or form.absolute}\n"
        )
    head = "# Written with the set by capmodel lab; one case per quantity and kind of setting.\n"
    return head + "\n".join(cases)
