"""Wait calls of many runs, and the law of signal cost and latency that they show."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capmodel.atomic import replacing
from capmodel.constant import Constant
from capmodel.errors import damaged_file
from capmodel.formulary._typing import Array
from capmodel.lab.outcome import LabRun
from capmodel.lab.records import PHASES
from capmodel.wakeup_law import WakeupLaw

_KEPT = 6000  # wait calls kept of an experiment
_COLUMNS = 8  # equally probable pairs in an interval of the law
_LEAST = 4 * _COLUMNS  # wait calls in an interval of the law
# where intervals may begin [s]: close together while the consumer goes to sleep and its core turns
# idle, then ever wider; those that hold too few calls are joined with the one before
_EDGES = np.concatenate([np.arange(0.0, 3.0, 0.15), 3.0 * 1.35 ** np.arange(24)]) * 1e-6
# beside the phases of sending calls: times that the sender stood still, and the runs it was watched
STALL, RUN = "stall", "run"
_KINDS = (*PHASES, STALL, RUN)
_FILES = ("waits.csv", "sends.csv")
_WAIT_COLUMNS = ("since", "duration", "until", "slept")
_SEND_COLUMNS = ("phase", "calls", "duration")


@dataclass(frozen=True)
class MeasuredLaw:
    """What wait calls say of a machine: mean costs [s], and the law in multiples of two of them.

    Attributes
    ----------
    wakeup, wakeup_latency : float
        Mean cost of a signal to a consumer that slept, and time from its end until it runs [s].
    waking : float
        What the kernel takes longer for a packet while the consumer was signalled and does not run
        yet [s].
    poll_call : float or None
        Median length of a wait call that returned at once [s]; None if there was none.
    law : WakeupLaw
        By the time since the call was entered.
    """

    wakeup: float
    wakeup_latency: float
    waking: float
    poll_call: float | None
    law: WakeupLaw


@dataclass(frozen=True)
class Waits:
    """Wait calls of an experiment, and the sending calls beside them.

    Attributes
    ----------
    calls : ndarray
        A row for each: from entering the wait call until the sending call that ended it began, the
        length of that, from its beginning until the consumer was back [s], and whether it slept.
    sends : mapping
        For each of :data:`~capmodel.lab.records.PHASES` the number of sending calls that signalled
        nobody, and their mean length [s]; for ``"stall"`` the times that the sender stood still,
        for ``"run"`` the runs in which it was watched.
    """

    def stalls(self) -> tuple[Constant, ...]:
        """How often and how long the sender stood still, with errors; nothing if it never did.

        Returns
        -------
        tuple of Constant
            ``stall_rate`` and ``stall_time``: counts are taken for Poisson, lengths for
            exponential.
        """
        count, mean = self.sends.get(STALL, (0, 0.0))
        runs, length = self.sends.get(RUN, (0, 0.0))
        if count == 0:
            return ()
        rate, spread = count / (runs * length), 1.0 / np.sqrt(count)
        said = f"{count} stalls of over 200 us in {runs * length:.0f} s of runs"
        return tuple(
            Constant(
                name, float(f"{value:.6g}"), unit, float(f"{value * spread:.4g}"), "measured",
                "own", said,
            )
            for name, value, unit in (
                ("stall_rate", rate, "1/s"), ("stall_time", 1e6 * mean, "us")
            )
        )  # fmt: skip

    calls: Array
    sends: Mapping[str, tuple[int, float]]

    def measured(self) -> MeasuredLaw | None:
        """The law, or None where too few calls tell.

        Returns
        -------
        MeasuredLaw or None
        """
        if any(self.sends[name][0] < _LEAST for name in PHASES):
            return None
        awake, first, waking = (self.sends[name][1] for name in PHASES)
        since, duration, until, slept = self.calls.T
        # a packet lies in the buffer about when its sending call would end without a signal
        since = since + awake
        told = since >= 0.0
        since, duration, until, slept = (x[told] for x in (since, duration, until, slept))
        asleep = slept > 0.0
        if asleep.sum() < _LEAST:
            return None
        # the call after a signal bears what is left of it
        cost = np.maximum(duration - awake, 0.0) + asleep * max(first - waking, 0.0)
        latency = np.maximum(until - duration, 0.0)
        wakeup, wakeup_latency = float(cost[asleep].mean()), float(latency[asleep].mean())
        at_once = (until + since - awake)[~asleep]
        edges = _edges(since)
        rows = [
            _pairs(cost[here] / wakeup, latency[here] / wakeup_latency, slept[here])
            for here in _inside(since, edges)
        ]
        law = WakeupLaw(tuple(float(f"{edge:.12g}") for edge in edges), *zip(*rows, strict=True))
        return MeasuredLaw(
            wakeup=wakeup,
            wakeup_latency=wakeup_latency,
            waking=max(waking - awake, 0.0),
            poll_call=float(np.median(at_once)) if len(at_once) >= _LEAST else None,
            law=law,
        )


def _edges(since: Array) -> Array:
    """Beginnings of intervals that each hold enough calls."""
    counts = np.histogram(since, np.append(_EDGES, np.inf))[0]
    kept, held = [0.0], 0
    for edge, count in zip(_EDGES, counts, strict=True):
        if held >= _LEAST and since[since >= edge].size >= _LEAST:
            kept.append(float(edge))
            held = 0
        held += int(count)
    return np.array(kept)


def _inside(since: Array, edges: Array) -> list[Array]:
    ends = np.append(edges[1:], np.inf)
    return [(since >= edge) & (since < end) for edge, end in zip(edges, ends, strict=True)]


def _pairs(
    cost: Array, latency: Array, slept: Array
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Equally probable groups of similar calls, each by its means."""
    groups = np.array_split(np.argsort(cost + latency, kind="stable"), _COLUMNS)

    def means(values: Array) -> tuple[float, ...]:
        return tuple(float(f"{values[group].mean():.4g}") for group in groups)

    return (
        means(cost), means(latency),
        tuple(float(slept[group].mean() >= 0.5) for group in groups),
    )  # fmt: skip


def waits_of(runs: Iterable[LabRun]) -> Waits:
    """The wait calls of some runs.

    Parameters
    ----------
    runs : iterable of LabRun
        Runs; those without a record count for nothing.

    Returns
    -------
    Waits

    Notes
    -----
    The kernel counts how often a consumer slept, not in which calls: as many calls as that, the
    longest, are taken for those that slept.
    """
    told = [run for run in runs if run.waits is not None and run.waits.waits]
    sends = {}
    for name in PHASES:
        found = [run.waits.sends[name] for run in told if run.waits is not None]
        calls = sum(count for count, _ in found)
        total = sum(count * mean for count, mean in found)
        sends[name] = (calls, total / calls if calls else 0.0)
    stalls = sum(run.stalls for run in told)
    sends[STALL] = (stalls, sum(run.stall_time for run in told) / max(stalls, 1))
    sends[RUN] = (len(told), sum(run.elapsed for run in told) / max(len(told), 1))
    if not told:
        return Waits(np.zeros((0, 4)), sends)
    table = np.concatenate([run.waits.waits for run in told if run.waits is not None])
    shares = [
        np.full(len(run.waits.waits), min(run.wakes / max(run.polls or 1, 1), 1.0))
        for run in told
        if run.waits is not None
    ]
    length = table[:, 0] + table[:, 2]
    shortest = np.quantile(length, 1.0 - float(np.concatenate(shares).mean()))
    calls_and_slept = np.column_stack([table, length > shortest])
    kept = np.linspace(0, len(table) - 1, min(_KEPT, len(table))).astype(np.int64)
    return Waits(calls_and_slept[np.unique(kept)], sends)


def write_waits(folder: Path, waits: Waits) -> None:
    """Write wait calls and sending calls as two tables of a set.

    Parameters
    ----------
    folder : Path
        Its folder.
    waits : Waits
        What was measured.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    calls = [
        [*(f"{value:.4g}" for value in row[:3]), str(int(row[3]))] for row in waits.calls.tolist()
    ]
    sends = [[name, str(count), f"{mean:.6g}"] for name, (count, mean) in waits.sends.items()]
    for name, head, rows in zip(
        _FILES, (_WAIT_COLUMNS, _SEND_COLUMNS), (calls, sends), strict=True
    ):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *rows])
        with replacing(folder / name) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_waits(folder: Path) -> Waits | None:
    """The wait calls of a set; None if it holds none.

    Parameters
    ----------
    folder : Path
        Its folder.

    Returns
    -------
    Waits or None

    Raises
    ------
    ValueError
        If a table is damaged; the message names file and line.
    """
    if not (folder / _FILES[0]).is_file():
        return None
    calls = _table(folder / _FILES[0], _WAIT_COLUMNS)
    sends = _table(folder / _FILES[1], _SEND_COLUMNS)
    found = {}
    try:
        for name, count, mean in sends:
            found[name] = (int(count), float(mean))
        table = np.array([[float(value) for value in row] for row in calls]).reshape(-1, 4)
    except ValueError as error:
        raise damaged_file(folder / _FILES[0], "rows", str(error)) from None
    if set(found) != set(_KINDS):
        raise damaged_file(folder / _FILES[1], "phase", f"must be {', '.join(_KINDS)}")
    return Waits(table, found)


def _table(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != columns:
        raise damaged_file(path, "line 1", f"must name the columns {', '.join(columns)}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(columns):
            raise damaged_file(path, f"line {number}", f"must hold {len(columns)} values")
    return rows[1:]
