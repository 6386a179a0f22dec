"""The findings of a paper as data, and the one evaluator that runs them all.

Every check returns a margin in percentage points (or in the unit it states): positive where the
check is met. The same evaluator serves the command line, the tests and the calibration.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.api import predict
from capmodel.application import load_application
from capmodel.catalogue import expect, names, read_toml
from capmodel.data_files import data_folder
from capmodel.errors import damaged_file
from capmodel.formulary._typing import Array
from capmodel.observe import Observer, Setting

_TOP: dict[str, type | tuple[type, ...]] = {"words": dict, "defaults": dict, "claim": list}
_CLAIM: dict[str, type | tuple[type, ...]] = {
    "id": str, "section": str, "finding": str, "scenario": dict, "check": list,
}  # fmt: skip
_ARGUMENTS = tuple(inspect.signature(predict).parameters)
_LOG = re.compile(r"log\(\s*([0-9.e+-]+)\s*,\s*([0-9.e+-]+)\s*,\s*([0-9]+)\s*\)")
_POINTS = 100.0


@dataclass(frozen=True)
class Claim:
    """One finding: where it stands, what it says, the scenarios and the checks on them."""

    id: str
    section: str
    finding: str
    scenarios: Mapping[str, Setting]
    checks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ClaimResult:
    """A claim's margins (one row per check, samples along the rest) and its scenarios' numbers."""

    claim: Claim
    margins: Array
    numbers: Mapping[str, tuple[float, ...]]

    @property
    def met(self) -> bool:
        """Whether every check is met (for samples: by all of them)."""
        return bool(np.all(self.margins > 0.0))


def load_claims(path: Path | None = None) -> tuple[Claim, ...]:
    """The claims of a file.

    Parameters
    ----------
    path : Path, optional
        Default: the claims of Braun et al., IMC 2010.

    Returns
    -------
    tuple of Claim

    Raises
    ------
    ValueError
        If the file is damaged; the message names file and key.

    Examples
    --------
    >>> len(load_claims())
    43
    """
    file = path or data_folder() / "claims" / "braun2010.toml"
    raw = read_toml(file)
    expect(raw, _TOP, file, "claims")
    defaults = raw.get("defaults", {})
    claims: list[Claim] = []
    for entry in raw.get("claim", []):
        where = f"claim {entry.get('id', '?')}"
        expect(entry, _CLAIM, file, where)
        for key in _CLAIM:
            if key not in entry:
                raise damaged_file(file, f"{where}.{key}", "missing")
        if not entry["check"]:
            raise damaged_file(file, f"{where}.check", "must not be empty")
        if any(entry["id"] == claim.id for claim in claims):
            raise damaged_file(file, f"{where}.id", "stands twice")
        scenarios = {
            name: _setting({**defaults, **table}, file, f"{where}.scenario.{name}")
            for name, table in entry["scenario"].items()
        }
        for check in entry["check"]:
            _known_check(check, scenarios, file, where)
        claims.append(
            Claim(entry["id"], entry["section"], entry["finding"], scenarios, tuple(entry["check"]))
        )
    return tuple(claims)


def _setting(table: dict[str, Any], file: Path, where: str) -> Setting:
    sweep = table.pop("sweep", {})
    if len(sweep) > 1:
        raise damaged_file(file, where, "a sweep has one argument")
    for name in (*table, *sweep):
        if name not in _ARGUMENTS:
            raise damaged_file(file, where, f"predict has no argument {name}")
    for name, values in sweep.items():
        return Setting(table, name, _series(name, values, file, where))
    return Setting(table)


def _series(name: str, values: Any, file: Path, where: str) -> tuple[Any, ...]:
    if isinstance(values, list):
        if not values:
            raise damaged_file(file, where, "a sweep needs a value")
        return tuple(values)
    match = _LOG.fullmatch(str(values))
    if match:
        low, high, count = float(match[1]), float(match[2]), int(match[3])
        return tuple(np.geomspace(low, high, count).tolist())
    if name == "application" and values in names("applications"):
        levels: list[str] = []
        while True:
            try:
                levels.append(load_application(f"{values}:{len(levels)}").name)
            except ValueError:
                return tuple(levels)
    raise damaged_file(file, where, f"{values!r} is neither a list nor log(low, high, count)")


def _known_check(
    check: Mapping[str, Any], scenarios: Mapping[str, Setting], file: Path, where: str
) -> None:
    if check.get("kind") not in CHECKS:
        raise damaged_file(
            file, where, f"check {check.get('kind')!r} is not one of {', '.join(CHECKS)}"
        )
    kind = check["kind"]
    needed, optional = _KEYS[kind]
    for key in needed:
        if key not in check:
            raise damaged_file(file, where, f"check {kind!r} needs {key!r}")
    for key in check:
        if key not in ("kind", *needed, *optional):
            raise damaged_file(file, where, f"check {kind!r} has no {key!r}")
    for key in _NAMES_SCENARIOS:
        named = check.get(key, [])
        for name in [named] if isinstance(named, str) else named:
            if name not in scenarios:
                raise damaged_file(file, where, f"check names the unknown scenario {name!r}")


_NAMES_SCENARIOS = (
    "of", "more", "than", "left", "right", "without", "with", "ahead", "other", "others", "until",
    "under", "wide", "narrow",
)  # fmt: skip

# kind of check -> keys that it needs, keys that it may have
_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "more": (("more", "than"), ("least", "most", "quantity")),
    "within": (("of", "points"), ()),
    "at_least": (("of", "value"), ()),
    "below": (("of", "value"), ()),
    "no_gain": (("of", "points"), ()),
    "never_rises": (("of", "points"), ("quantity",)),
    "peak_inside": (("of",), ()),
    "falls": (("of", "quantity"), ()),
    "falls_more": (("left", "right"), ("least",)),
    "removes": (("without", "with", "share"), ()),
    "leads_first": (("ahead", "other"), ()),
    "not_above_best": (("of", "others"), ()),
    "dominates": (("of", "stage", "factor"), ()),
    "under": (("of", "quantity", "value"), ()),
    "loss_when_slow": (("of",), ()),
    "flat_to_peak": (("of", "until", "under", "points"), ()),
    "longest_moves": (("of", "other"), ()),
    "gap_shrinks": (("wide", "narrow"), ()),
    "near": (("of", "value", "points"), ()),
}


class _Case:
    """A claim's scenarios as an observer sees them, by name."""

    def __init__(self, claim: Claim, observer: Observer) -> None:
        self._claim, self._observer = claim, observer

    def setting(self, name: str) -> Setting:
        return self._claim.scenarios[name]

    def series(self, name: str, quantity: str = "captured") -> Array:
        return self._observer.read(self.setting(name), quantity)

    def one(self, name: str, quantity: str = "captured") -> Any:
        values = self.series(name, quantity)
        if self.setting(name).swept:
            raise ValueError(f"scenario {name!r} of claim {self._claim.id!r} is a series")
        return values[0]


Check = Callable[[_Case, Mapping[str, Any]], Any]


def _more(case: _Case, check: Mapping[str, Any]) -> Any:
    name = check.get("quantity", "captured")
    lead = _POINTS * (case.one(check["more"], name) - case.one(check["than"], name))
    margin = lead - check.get("least", 0.0)
    return np.minimum(margin, check["most"] - lead) if "most" in check else margin


def _within(case: _Case, check: Mapping[str, Any]) -> Any:
    rows = [row for name in check["of"] for row in case.series(name)]
    shape = np.broadcast_shapes(*(row.shape for row in rows))
    values = np.stack([np.broadcast_to(row, shape) for row in rows])
    return check["points"] - _POINTS * (values.max(axis=0) - values.min(axis=0))


def _at_least(case: _Case, check: Mapping[str, Any]) -> Any:
    # "reaches" includes the value itself: the smallest step counts as a margin
    return _POINTS * (case.one(check["of"]) - check["value"]) + 1e-9


def _below(case: _Case, check: Mapping[str, Any]) -> Any:
    return _POINTS * (check["value"] - case.one(check["of"]))


def _no_gain(case: _Case, check: Mapping[str, Any]) -> Any:
    values = case.series(check["of"])
    return check["points"] - _POINTS * (values[1:] - values[0]).max(axis=0)


def _never_rises(case: _Case, check: Mapping[str, Any]) -> Any:
    steps = np.diff(case.series(check["of"], check.get("quantity", "captured")), axis=0)
    return check["points"] - _POINTS * steps.max(axis=0)


def _peak_inside(case: _Case, check: Mapping[str, Any]) -> Any:
    values = case.series(check["of"])
    peak = values[1:].max(axis=0)
    return _POINTS * np.minimum(peak - values[0], values.max(axis=0) - values[-1])


def _falls(case: _Case, check: Mapping[str, Any]) -> Any:
    values = case.series(check["of"], check["quantity"])
    scale = _POINTS / np.maximum(values[0], 1e-300)
    rise = np.diff(values, axis=0).max(axis=0)
    return scale * np.where(rise > 1e-12 * values[0], -rise, values[0] - values[-1])


def _falls_more(case: _Case, check: Mapping[str, Any]) -> Any:
    def fall(pair: Sequence[str]) -> Any:
        return case.one(pair[0]) - case.one(pair[1])

    return _POINTS * (fall(check["left"]) - fall(check["right"])) - check.get("least", 0.0)


def _removes(case: _Case, check: Mapping[str, Any]) -> Any:
    before, after = case.one(check["without"], "loss"), case.one(check["with"], "loss")
    return _POINTS * ((before - after) / np.maximum(before, 1e-300) - check["share"])


def _leads_first(case: _Case, check: Mapping[str, Any]) -> Any:
    lead = _POINTS * (case.series(check["ahead"]) - case.series(check["other"]))
    behind = np.cumsum(lead < -0.1, axis=0) > 0
    before = np.where(behind, -np.inf, lead).max(axis=0)
    return np.where(np.isfinite(before) & (before > 0.0), before, lead.min(axis=0))


def _not_above_best(case: _Case, check: Mapping[str, Any]) -> Any:
    best = np.max([case.series(name) for name in check["others"]], axis=0)
    return _POINTS * (best - case.series(check["of"])).min(axis=0) + 1e-9


def _dominates(case: _Case, check: Mapping[str, Any]) -> Any:
    stages = {stage: case.one(check["of"], f"{stage}_drops") for stage in ("ring", "buffer")}
    chosen = stages.pop(check["stage"])
    rest = sum(stages.values())
    total = chosen + rest
    return _POINTS * (chosen - check["factor"] * rest) / np.maximum(total, 1e-300)


def _under(case: _Case, check: Mapping[str, Any]) -> Any:
    return _POINTS * (check["value"] - case.series(check["of"], check["quantity"])[-1]) + 1e-9


def _loss_when_slow(case: _Case, check: Mapping[str, Any]) -> Any:
    # a band of 2 % about the packet interval is left out: there either outcome is right
    load, captured = case.series(check["of"], "consumer_load"), case.series(check["of"])
    slow = np.where(load > 1.02, 0.999 - captured, np.inf).min(axis=0)
    fast = np.where(load < 0.98, captured - 0.999, np.inf).min(axis=0)
    return _POINTS * np.minimum(slow, fast)


def _flat_to_peak(case: _Case, check: Mapping[str, Any]) -> Any:
    flat, until, under = (case.series(check[key]) for key in ("of", "until", "under"))
    inside = np.arange(len(until)).reshape(-1, *(1,) * (until.ndim - 1)) <= until.argmax(axis=0)
    spread = np.where(inside, flat, -np.inf).max(axis=0) - np.where(inside, flat, np.inf).min(
        axis=0
    )
    below = np.where(inside, under - flat, np.inf).min(axis=0)
    return np.minimum(check["points"] - _POINTS * spread, _POINTS * below)


def _longest_moves(case: _Case, check: Mapping[str, Any]) -> Any:
    def longest(name: str) -> Any:
        return (case.series(name, "buffer_drops") <= 1.0).sum(axis=0)

    return np.abs(longest(check["of"]) - longest(check["other"])) - 0.5


def _gap_shrinks(case: _Case, check: Mapping[str, Any]) -> Any:
    def gap(pair: Sequence[str]) -> Any:
        return case.one(pair[0]) - case.one(pair[1])

    return _POINTS * (gap(check["wide"]) - gap(check["narrow"]))


def _near(case: _Case, check: Mapping[str, Any]) -> Any:
    return check["points"] - _POINTS * np.abs(case.one(check["of"]) - check["value"])


CHECKS: dict[str, Check] = {
    "more": _more,
    "within": _within,
    "at_least": _at_least,
    "below": _below,
    "no_gain": _no_gain,
    "never_rises": _never_rises,
    "peak_inside": _peak_inside,
    "falls": _falls,
    "falls_more": _falls_more,
    "removes": _removes,
    "leads_first": _leads_first,
    "not_above_best": _not_above_best,
    "dominates": _dominates,
    "under": _under,
    "loss_when_slow": _loss_when_slow,
    "flat_to_peak": _flat_to_peak,
    "longest_moves": _longest_moves,
    "gap_shrinks": _gap_shrinks,
    "near": _near,
}


def claim_margins(claim: Claim, observer: Observer) -> Array:
    """Margin of every check of a claim; positive where it is met.

    Parameters
    ----------
    claim : Claim
        The claim.
    observer : Observer
        Solves its scenarios.

    Returns
    -------
    ndarray
        One row per check, samples (if the observer has any) along the rest.
    """
    case = _Case(claim, observer)
    rows = [np.asarray(CHECKS[check["kind"]](case, check)) for check in claim.checks]
    shape = np.broadcast_shapes(*(row.shape for row in rows))
    return np.stack([np.broadcast_to(row, shape) for row in rows])


def evaluate_claims(
    claims: Sequence[Claim] | None = None, observer: Observer | None = None
) -> tuple[ClaimResult, ...]:
    """Evaluate claims with the machines' point values.

    Parameters
    ----------
    claims : sequence of Claim, optional
        Default: those of Braun et al., IMC 2010.
    observer : Observer, optional
        Who solves; default: one of the machines' point values.

    Returns
    -------
    tuple of ClaimResult

    Examples
    --------
    >>> results = evaluate_claims()
    >>> sum(result.met for result in results) <= len(results)
    True
    """
    observer = observer or Observer()
    results = []
    for claim in load_claims() if claims is None else claims:
        numbers = {
            name: tuple(float(np.mean(row)) for row in observer.read(setting))
            for name, setting in claim.scenarios.items()
        }
        results.append(ClaimResult(claim, claim_margins(claim, observer), numbers))
    return tuple(results)
