"""What the command line writes: tables, JSON, CSV, files, progress."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from capmodel.atomic import replacing
from capmodel.backend import Backend, Release, StageCosts, backend_names, load_backend
from capmodel.claims import ClaimResult
from capmodel.machine import Machine, load_machine, machine_names
from capmodel.prediction import Prediction
from capmodel.references import reference
from capmodel.si_values import si_values
from capmodel.size_classes import sizes_text
from capmodel.support import supported_backends
from capmodel.sweep_result import Sweep
from capmodel.tables import WIDTH, text_table
from capmodel.traffic import TrafficSummary

_LONG = 2_000  # points; what takes longer than a moment shows its progress


def as_json(value: Any) -> str:
    """JSON text; infinities and NaN, which JSON does not have, become null.

    Examples
    --------
    >>> as_json({"batch": float("inf")}).split()
    ['{', '"batch":', 'null', '}']
    """
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def prediction_text(prediction: Prediction) -> str:
    """The numbers of a prediction under a heading; warnings go elsewhere."""
    rows = prediction.summary()
    width = max(len(name) for name, _ in rows)
    head = [
        prediction.title,
        f"on {prediction.machine.title}, {prediction.application.title}",
    ]
    return "\n".join([*head, *(f"  {name:<{width}}  {text}" for name, text in rows)])


def traffic_text(summary: TrafficSummary) -> str:
    """The summary, and how to predict for it."""
    arguments = f'--rate {summary.rate:.6g} --arrivals "{summary.arrivals_text()}"'
    size = f"--size {sizes_text(summary.sizes)} --duration {summary.duration:.6g}s"
    jumbo = " --jumbo" if summary.as_arguments().get("jumbo") else ""
    return f"{summary}\n\nto predict: capmodel predict {arguments} {size}{jumbo}"


def paragraphs(text: str) -> str:
    """Text folded to the width of a table; indented lines stay as they are."""
    return "\n\n".join(_folded(part) for part in text.split("\n\n"))


def _folded(paragraph: str) -> str:
    lines = paragraph.split("\n")
    return "\n".join(text if text.startswith(" ") else textwrap.fill(text, WIDTH) for text in lines)


def listed(heading: str, lines: Sequence[str]) -> str:
    """Lines under a heading, folded."""
    folded = (
        textwrap.fill(line, WIDTH, initial_indent="  - ", subsequent_indent="    ")
        for line in lines
    )
    return "\n".join([heading, *folded])


def sweep_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """One dictionary per point: quantities as numbers in the SI, names and objects by name."""
    fixed_size = sweep.fixed.get("size", 64)
    known: dict[tuple[str, str], Any] = {}  # many points, few values
    rows = []
    for row in sweep.to_rows():
        size = row.get("size", fixed_size)
        for name in sweep.axes:
            key = (name, f"{row[name]!r} {size!r}" if name == "rate" else repr(row[name]))
            if key not in known:
                known[key] = si_values({name: row[name]}, size)[name]
            row[name] = known[key]
        rows.append(row)
    return rows


def sweep_text(sweep: Sweep, kind: str) -> str:
    """A sweep as CSV or JSON."""
    return SWEEP_FORMATS[kind](sweep)


def _sweep_json(sweep: Sweep) -> str:
    given = {key: value for key, value in sweep.fixed.items() if value is not None}
    # one wire rate is as many packet rates as there are sizes
    fixed = si_values(given, sweep.fixed.get("size"))
    return as_json({"fixed": fixed, "warnings": sweep.warnings, "points": sweep_rows(sweep)}) + "\n"


def _sweep_csv(sweep: Sweep) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*sweep.axes, *sweep.keys()])
    writer.writerows(row.values() for row in sweep_rows(sweep))
    return text.getvalue()


SWEEP_FORMATS: Mapping[str, Callable[[Sweep], str]] = {"csv": _sweep_csv, "json": _sweep_json}


def write_file(path: str | Path, text: str) -> None:
    """Write a file that is either whole or as it was before."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def progress_bar(total_hint: int = _LONG) -> Callable[[int, int], None] | None:
    """A bar on standard error for long work, if somebody watches; else None."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if total > total_hint:
            filled = 40 * done // total
            end = "\n" if done >= total else ""
            bar = "#" * filled + "." * (40 - filled)
            print(f"\r[{bar}] {100 * done // total:3d} %", end=end, file=sys.stderr, flush=True)

    return show


def claims_text(results: Sequence[ClaimResult], *, numbers: bool) -> str:
    """Every claim with its verdict and smallest margin; at the end how many hold."""
    rows = [
        [r.claim.id, r.claim.section, _VERDICTS[r.met], round(float(r.margins.min()), 2)]
        for r in results
    ]
    lines = [text_table(["claim", "section", "verdict", "margin"], rows)]
    if numbers:
        lines += ["", *(_claim_numbers(result) for result in results)]
    held = sum(result.met for result in results)
    return "\n".join([*lines, "", f"{held} of {len(results)} claims hold"])


_VERDICTS = {True: "holds", False: "FAILS"}


def _claim_numbers(result: ClaimResult) -> str:
    head = textwrap.fill(f"{result.claim.id}: {result.claim.finding}", WIDTH)
    scenarios = (
        textwrap.fill(
            f"{name}: " + " ".join(f"{100 * value:.1f}" for value in values) + " %",
            WIDTH, initial_indent="    ", subsequent_indent="      ",
        )
        for name, values in result.numbers.items()
    )  # fmt: skip
    return "\n".join([head, *scenarios])


def claims_rows(results: Sequence[ClaimResult]) -> list[dict[str, Any]]:
    """Every claim as plain values."""
    return [
        {
            "id": r.claim.id, "section": r.claim.section, "finding": r.claim.finding,
            "holds": r.met, "margin": float(r.margins.min()),
            "captured": {name: list(values) for name, values in r.numbers.items()},
        }
        for r in results
    ]  # fmt: skip


def comparison_text(rows: Sequence[Any]) -> str:
    """Predicted beside measured, a table for every set of measurements."""
    if not rows:
        return "no row of these measurements is compared with a prediction"
    parts = [
        f"{name}\n{_comparison_table(list(group))}\n"
        for name, group in itertools.groupby(rows, key=lambda row: row.data_set)
    ]
    agreeing = sum(bool(row.agrees) for row in rows)
    return "\n".join([*parts, f"{agreeing} of {len(rows)} rows agree"])


def _comparison_table(rows: Sequence[Any]) -> str:
    headers = ["row", "quantity", "predicted", "measured", "allowed", "agrees"]
    return text_table(headers, [
        [row.id, row.quantity, *map(_short, (row.predicted, row.measured, row.allowed)),
         "yes" if row.agrees else "NO"]
        for row in rows
    ])  # fmt: skip


def _short(value: float) -> float:
    """Four significant digits: more than any measurement has."""
    return float(f"{value:.4g}")


def summary_text(lines: Sequence[Any], rows: Sequence[Any]) -> str:
    """A Markdown table with a line per set and role, and how many rows of either role agree."""
    measured = {(row.data_set, row.role, row.id): row.measured for row in rows}
    table = ["| data set | role | rows | agree | median error | largest error | at row |",
             "|---|---|---:|---:|---:|---:|---|"]  # fmt: skip
    for line in lines:
        # where nothing was measured there is a difference, and no relative error
        relative = measured[line.data_set, line.role, line.worst_row] != 0.0
        worst = f"{100 * line.worst_error:.1f} %" if relative else f"{line.worst_error:.3g}"
        table.append(
            f"| {line.data_set} | {line.role} | {line.rows} | {line.agree} "
            f"| {100 * line.median_error:.1f} % | {worst} | {line.worst_row} |"
        )
    agree = {
        role: (
            sum(line.agree for line in lines if line.role == role),
            sum(line.rows for line in lines if line.role == role),
        )
        for role in ("validation", "calibration")
    }
    (right, tested), (met, fitted) = agree["validation"], agree["calibration"]
    verdict = f"{right} of {tested} validation rows agree, {met} of {fitted} calibration rows"
    return "\n".join([*table, "", verdict])


def recorded_text(report: Mapping[str, Any]) -> str:
    """A stored calibration report: what holds of the claims left out, then claim by claim.

    The report of a calibration without claims is the table of its fitted rows.
    """
    left_out = {
        name: (number, margin)
        for number, fold in enumerate(report["folds"], start=1)
        for name, margin in zip(fold["left_out"], fold["margins"], strict=True)
    }
    lines = ["no claims were left out of the fit"]
    if left_out:
        held = sum(margin > 0.0 for _, margin in left_out.values())
        lines = [f"left out of the fit in {len(report['folds'])} folds, "
                 f"{held} of {len(left_out)} claims still hold"]  # fmt: skip
    if report["margins"]:
        headers = ["claim", "margin", "held by [%]", "fold", "left out", "", "pins (correlation)"]
        table = [
            [name, round(margin, 2), round(100.0 * report["held"][name]),
             *_left_out(*left_out.get(name, (None, None))), _pinned(report["pins"].get(name, []))]
            for name, margin in report["margins"].items()
        ]  # fmt: skip
    else:
        headers = ["row", "measured", "fitted", "standard errors"]
        table = [
            [name, _short(measured), _short(fitted), round((fitted - measured) / error, 1)]
            for name, measured, fitted, error in report["residuals"]
        ]
    return "\n".join([*lines, "", text_table(headers, table)])


def _pinned(costs: Sequence[Sequence[Any]]) -> str:
    """The costs that a claim's margin hangs on most, by correlation."""
    short = [f"{machine.partition('_')[2]}.{cost} {by:+.1f}" for machine, cost, by in costs]
    return ", ".join(short[:2]) or "-"


def _left_out(fold: int | None, margin: float | None) -> tuple[int | None, float | None, str]:
    if margin is None:
        return fold, None, "-"
    return fold, round(margin, 2), _VERDICTS[margin > 0.0]


def comparison_rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Predicted beside measured as plain values."""
    return [
        {
            **{field.name: getattr(row, field.name) for field in fields(row)},
            "allowed": row.allowed, "error": row.error, "agrees": bool(row.agrees),
        }
        for row in rows
    ]  # fmt: skip


def backend_rows() -> list[dict[str, Any]]:
    """Every backend in short."""
    return [
        {"name": b.name, "family": b.family, "policy": b.waiting.policy, "title": b.title}
        for b in map(load_backend, backend_names())
    ]


def backend_details(backend: Backend) -> dict[str, Any]:
    """One backend in full: costs charged, waiting, buffer, sources."""
    waiting, rule = backend.waiting, backend.buffer
    return {
        "name": backend.name,
        "title": backend.title,
        "family": backend.family,
        "driver": backend.driver,
        "when full": backend.on_full,
        "knobs": sorted(backend.knobs),
        "kernel charges": _charges(backend.kernel),
        "consumer charges": _charges(backend.consumer),
        "waiting": _stated(waiting),
        "buffer": _stated(rule),
        "sources": [f"{reference(s.source).text()} [{s.locator}]" for s in backend.sources],
    }


def _charges(stage: StageCosts) -> list[str]:
    """What a stage charges, by name, and how often."""
    return [
        *stage.once,
        *(f"{cost} per process" for cost in stage.per_consumer),
        *([f"{stage.copy} per captured byte"] if stage.copy else []),
        *_lines(stage.shared_lines),
        *(_releases(stage.release) if stage.release else []),
    ]


def _releases(release: Release) -> list[str]:
    packets = "packet" if release.threshold == 1.0 else f"{release.threshold:g} packets"
    charged = [*release.once, *_lines(release.shared_lines)]
    return [f"{cost} per {packets} given back" for cost in charged]


def _lines(count: float) -> list[str]:
    return [f"{count:g} x cache_line_transfer"] if count else []


def _stated(part: Any) -> list[str]:
    """Fields of a dataclass that are not left at nothing."""
    pairs = ((field.name, getattr(part, field.name)) for field in fields(part))
    return [f"{name} = {value}" for name, value in pairs if value not in (None, 0.0)]


def details_text(details: Mapping[str, Any]) -> str:
    """Names and values, lists folded."""
    lines = []
    for key, value in details.items():
        if key == "sources":
            lines.append(listed("sources:", value))
            continue
        text = ", ".join(value) if isinstance(value, list) else str(value)
        lines.append(textwrap.fill(f"{key}: {text or '-'}", WIDTH, subsequent_indent="    "))
    return "\n".join(lines)


def machine_rows() -> list[dict[str, Any]]:
    """Every machine in short."""
    return [
        {"name": m.name, "cores": m.cores, "samples": _samples(m), "title": m.title}
        for m in map(load_machine, machine_names())
    ]


def _samples(machine: Machine) -> int:
    return len(next(iter(machine.samples.values()))) if machine.samples else 0


def machine_details(machine: Machine) -> dict[str, Any]:
    """One machine in full: every constant with its provenance."""
    return {
        "name": machine.name,
        "title": machine.title,
        "cores": machine.cores,
        "cards": list(machine.cards),
        "backends": list(supported_backends(machine)),
        "samples": _samples(machine),
        "notes": machine.notes,
        "constants": [
            {
                "name": key, "value": c.value, "std": c.std, "unit": c.unit, "origin": c.origin,
                "source": c.source, "locator": c.locator,
            }
            for key, c in machine.constants.items()
        ],
    }  # fmt: skip


def machine_text(machine: Machine) -> str:
    """One machine in full, as a table."""
    details = machine_details(machine)
    constants = details.pop("constants")
    rows = [
        [c["name"], c["value"], c["std"], c["unit"], c["origin"], f"{c['source']}: {c['locator']}"]
        for c in constants
    ]
    table = text_table(["cost", "value", "sd", "unit", "origin", "source"], rows)
    return f"{details_text({k: v for k, v in details.items() if v != ''})}\n\n{table}"
