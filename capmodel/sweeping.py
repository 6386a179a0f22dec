"""`sweep`: the predictions of a whole grid of arguments in one call."""

from __future__ import annotations

import itertools
import math
import warnings as python_warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from capmodel.api import DEFAULT_MACHINE, _application, _choices, _text, _validity
from capmodel.application import Application, load_application, own_work
from capmodel.assemble import assemble
from capmodel.backend import load_backend
from capmodel.machine import Machine, load_machine
from capmodel.numerics.arrival_process import MAP
from capmodel.quantities import parse_buffer, parse_count, parse_duration, parse_rate, parse_slots
from capmodel.results import INTERVAL_LEVEL, REGIMES, Solution
from capmodel.solvers import solve
from capmodel.support import default_backend
from capmodel.sweep_result import BOTTLENECK, INTERVAL_ENDS, Sweep
from capmodel.sweep_support import supported_axes
from capmodel.workload import Bursts, Workload

__all__ = ["MOST_POINTS", "Sweep", "sweep"]

ARGUMENTS = (
    "rate", "size", "backend", "machine", "application", "work", "pinning", "ring", "buffer",
    "consumers", "arrivals", "duration", "threshold", "timeout", "sleep", "nic", "driver", "jumbo",
    "solver",
)  # fmt: skip
MOST_POINTS = 1_000_000
_BLOCK = 20_000  # numbers solved at once: bounds the memory, and is how often progress is told

T = TypeVar("T")
Series: TypeAlias = T | Sequence[T] | NDArray[Any]
Arrays: TypeAlias = dict[str, NDArray[Any]]


def sweep(
    rate: Series[float | str],
    size: Series[float | str | dict[Any, float]] = 64,
    backend: Series[str] | None = None,
    machine: Series[str | Path | Machine] = DEFAULT_MACHINE,
    application: Series[str | Application | None] = None,
    *,
    work: float | str | tuple[Any, Any] | list[Any] | NDArray[Any] | None = None,
    pinning: Series[str | None] = None,
    ring: Series[int | str | None] = None,
    buffer: Series[str | None] = None,
    consumers: Series[int] = 1,
    arrivals: Series[str | Bursts | MAP] = "cbr",
    duration: Series[float | str] = "100s",
    threshold: Series[int | None] = None,
    timeout: Series[float | str | None] = None,
    sleep: Series[float | str | None] = None,
    nic: Series[str | None] = None,
    driver: Series[str | None] = None,
    jumbo: Series[bool] = False,
    solver: Series[str | None] = None,
    intervals: bool = False,
    unsupported: str = "error",
    progress: Callable[[int, int], object] | None = None,
) -> Sweep:
    """Predict for every combination of the values given.

    Parameters
    ----------
    rate, size, backend, machine, application, work, pinning, ring, buffer, consumers, arrivals, \
duration, threshold, timeout, sleep, nic, driver, jumbo, solver
        As for :func:`capmodel.predict`; each may be a list, a tuple or an array of such values. A
        tuple for `work` is its pair (per packet, per byte): several works are a list. The default
        backend is one for the whole grid: the first that all its machines have the costs of.
    intervals : bool
        Also find the 90 % interval of the captured share, which solves the whole posterior sample
        of the machine at every point.
    unsupported : {"error", "skip"}
        What to do with backends (or machines, or applications, where the backend is one) for which
        a machine lacks costs: refuse the sweep and list them all, or leave them out of the grid
        with a warning that names them.
    progress : callable, optional
        Called now and then with the number of points done and the number of all.

    Returns
    -------
    Sweep
        The grid has one axis for every argument that is a series, in the order of the signature.

    Raises
    ------
    ValueError, TypeError
        One sentence; where one point is at fault it names that point's values.

    Warns
    -----
    UserWarning
        If a rate exceeds the wire speed of the card, or something unsupported was left out.

    Examples
    --------
    >>> grid = sweep(rate=["0.2Mpps", "1.27Mpps"], pinning=["same", "split"])
    >>> grid.shape
    (2, 2)
    >>> grid["bottleneck"].tolist()
    [['unsaturated', 'unsaturated'], ['shared core', 'kernel']]
    """
    series = (
        rate, size, backend, machine, application, work, pinning, ring, buffer, consumers,
        arrivals, duration, threshold, timeout, sleep, nic, driver, jumbo, solver,
    )  # fmt: skip
    given: dict[str, Any] = dict(zip(ARGUMENTS, series, strict=True))
    if backend is None:
        machines = _axis("machine", machine) or (machine,)
        given["backend"] = default_backend(*map(load_machine, machines))
    axes = {name: values for name in given if (values := _axis(name, given[name])) is not None}
    fixed = {name: _plain(value) for name, value in given.items() if name not in axes}
    _refuse_many(axes)
    _check_each(axes, fixed)
    axes, left_out = supported_axes(axes, fixed, unsupported)
    grid = _Grid(axes, fixed, intervals)
    arrays, found = grid.solve(progress)
    for text in (*left_out, *(text for text in found if text.startswith("rate"))):
        python_warnings.warn(text, UserWarning, stacklevel=2)
    notes = (*left_out, *found)
    for array in arrays.values():
        array.setflags(write=False)
    return Sweep(MappingProxyType(axes), MappingProxyType(fixed), MappingProxyType(arrays), notes)


def _axis(name: str, value: Any) -> tuple[Any, ...] | None:
    """The values of a series; None if it is a single value."""
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            raise ValueError(f"{name} must have one dimension, got {value.ndim}")
        if value.ndim == 0:
            return None
        value = value.tolist()
    elif not isinstance(value, list) and (name == "work" or not isinstance(value, tuple)):
        return None
    if not value:
        raise ValueError(f"{name} must hold at least one value, got none")
    return tuple(map(_plain, value))


def _plain(value: Any) -> Any:
    """Python's number for numpy's, which would not survive a table or a file."""
    scalar = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return value.item() if scalar else value


def _refuse_many(axes: Mapping[str, tuple[Any, ...]]) -> None:
    total = math.prod(len(values) for values in axes.values())
    if total > MOST_POINTS:
        sizes = " x ".join(f"{len(values)} {name}" for name, values in axes.items())
        raise ValueError(f"a sweep may have {MOST_POINTS:,} points, got {total:,} ({sizes})")


def _work_parts(value: Any) -> tuple[float, float]:
    own = own_work(value)
    return float(own.packet), float(own.byte)


# Arguments that a path takes as arrays; the numbers behind what the caller wrote.
_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "rate": partial(parse_rate, size=64, name="rate"),
    "work": _work_parts,
    "ring": partial(parse_slots, name="ring"),
    "duration": partial(parse_duration, name="duration"),
    "threshold": partial(parse_slots, name="threshold"),
    "timeout": partial(parse_duration, name="timeout"),
    "sleep": partial(parse_duration, name="sleep"),
}
_CHECKS: dict[str, Callable[[Any], Any]] = {
    **_NUMBERS,
    "backend": lambda value: load_backend(_text(value, "backend")),
    "machine": load_machine,
    "application": load_application,
    "buffer": parse_buffer,
    "consumers": partial(parse_count, name="consumers"),
    "arrivals": lambda value: Workload.from_user(1.0, arrivals=value),
}


def _check_each(axes: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any]) -> None:
    """Refuse values that are wrong by themselves, before any point is solved."""
    jumbo = fixed.get("jumbo", True)
    checks: dict[str, Callable[[Any], Any]] = {
        **_CHECKS, "size": lambda value: Workload.from_user(1.0, value, jumbo=jumbo),
    }  # fmt: skip
    for name, check in checks.items():
        for value in axes.get(name, (fixed.get(name),)):
            try:
                if value is not None:
                    check(value)
            except (ValueError, TypeError) as error:
                raise _placed(error, {name: value} if name in axes else {}) from None


def _placed(error: Exception, point: Mapping[str, Any]) -> ValueError | TypeError:
    """The same complaint, with the point at which it arose."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    if not point:
        return kind(str(error))
    return kind(f"{error} (at {', '.join(f'{name}={value!r}' for name, value in point.items())})")


def _read(solution: Solution) -> Arrays:
    numbers = {
        "captured": solution.captured, "loss": solution.loss,
        "carried_rate": solution.carried_rate, "ring_drops": solution.drops["ring"],
        "buffer_drops": solution.drops["buffer"], "wakeup_rate": solution.wakeup_rate,
        "poll_rate": solution.poll_rate, "sojourn_time": solution.sojourn_time,
        "buffer_occupancy": solution.buffer_occupancy, "captured_std": solution.captured_std,
    }  # fmt: skip
    found: Arrays = {key: np.asarray(value, dtype=np.float64) for key, value in numbers.items()}
    found[BOTTLENECK] = np.asarray(REGIMES)[np.asarray(solution.regime, dtype=np.intp)]
    return found


class _Grid:
    """The points of a sweep: names are walked through, numbers are solved as one column."""

    def __init__(
        self, axes: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any], intervals: bool
    ) -> None:
        self._axes, self._intervals = axes, intervals
        self._fixed = fixed
        self._inner = tuple(
            name for name, values in axes.items() if name in _NUMBERS and None not in values
        )
        self._outer = tuple(name for name in axes if name not in self._inner)

    def solve(
        self, progress: Callable[[int, int], object] | None
    ) -> tuple[Arrays, tuple[str, ...]]:
        """Every quantity over the grid, and the notes of all points."""
        outer = {name: self._axes[name] for name in self._outer}
        inner = {name: self._axes[name] for name in self._inner}
        cases = list(itertools.product(*outer.values()))
        count = math.prod(len(values) for values in inner.values())
        flat: Arrays = {}
        notes: dict[str, None] = {}
        for row, names in enumerate(cases):
            chosen = dict(zip(outer, names, strict=True))
            case = _Case(self._fixed, chosen, inner, self._intervals)
            for start in range(0, count, case.step):
                stop = min(start + case.step, count)
                found, remarks = case.solve(start, stop)
                notes.update(dict.fromkeys(remarks))
                for key, values in found.items():
                    kind = _WORD if key == BOTTLENECK else np.float64
                    flat.setdefault(key, np.empty((len(cases), count), dtype=kind))
                    flat[key][row, start:stop] = values
                if progress is not None:
                    progress(row * count + stop, len(cases) * count)
        return {key: self._in_order(values) for key, values in flat.items()}, tuple(notes)

    def _in_order(self, values: NDArray[Any]) -> NDArray[Any]:
        """From (names, numbers) to the axes in the order of the signature."""
        walked = (*self._outer, *self._inner)
        shaped = values.reshape([len(self._axes[name]) for name in walked])
        return np.ascontiguousarray(shaped.transpose([walked.index(name) for name in self._axes]))


_WORD = np.asarray(REGIMES).dtype


class _Case:
    """All points that share the arguments which are names."""

    def __init__(
        self,
        fixed: Mapping[str, Any],
        names: Mapping[str, Any],
        inner: Mapping[str, tuple[Any, ...]],
        intervals: bool,
    ) -> None:
        self._arguments = {**dict.fromkeys(ARGUMENTS), **fixed, **names}
        self._names, self._inner = names, inner
        self._machine = load_machine(self._arguments["machine"])
        self._columns = {name: self._column(name, values) for name, values in inner.items()}
        samples = self._machine.samples if intervals else {}
        self._intervals = intervals
        self._samples = len(next(iter(samples.values()))) if samples else 0
        self.step = max(_BLOCK // max(self._samples, 1), 1)

    def _column(self, name: str, values: tuple[Any, ...]) -> NDArray[np.float64]:
        if name != "rate" or not any(isinstance(value, str) for value in values):
            return np.array([_NUMBERS[name](value) for value in values], dtype=np.float64)
        # a wire rate depends on the frame size
        size, jumbo = self._arguments["size"], self._arguments["jumbo"]
        return np.array([Workload.from_user(v, size, jumbo=jumbo).rate for v in values])

    def solve(self, start: int, stop: int) -> tuple[Arrays, tuple[str, ...]]:
        """The points from `start` to `stop`; halves them to find the one that is at fault."""
        try:
            return self._solve(np.arange(start, stop))
        except (ValueError, TypeError) as error:
            if stop - start == 1:
                raise _placed(error, self._point(start)) from None
        middle = (start + stop) // 2
        first, notes = self.solve(start, middle)
        second, more = self.solve(middle, stop)
        return {key: np.concatenate([first[key], second[key]]) for key in first}, (*notes, *more)

    def _places(self, flat: Any) -> dict[str, Any]:
        shape = tuple(len(values) for values in self._inner.values())
        return dict(zip(self._inner, np.unravel_index(flat, shape), strict=True)) if shape else {}

    def _point(self, flat: int) -> dict[str, Any]:
        numbers = {name: self._inner[name][i] for name, i in self._places(flat).items()}
        point = {**self._names, **numbers}
        return {name: point[name] for name in self._arguments if name in point}

    def _solve(self, flat: NDArray[np.intp]) -> tuple[Arrays, tuple[str, ...]]:
        columns = {name: self._columns[name][i] for name, i in self._places(flat).items()}
        solution, notes = self._solution(columns)
        found = {key: np.broadcast_to(v, flat.shape) for key, v in _read(solution).items()}
        if self._intervals:
            found |= self._ends(columns, found["captured"], solution.solver)
        return found, (*notes, *solution.notes)

    def _ends(self, columns: Arrays, captured: NDArray[Any], solver: str) -> Arrays:
        if not self._samples:
            return dict.fromkeys(INTERVAL_ENDS, captured)
        upright = {name: column[:, None] for name, column in columns.items()}
        solution, _ = self._solution(upright, self._machine.sampled_values(), solver)
        sampled = np.broadcast_to(solution.captured, (len(captured), self._samples))
        levels = [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2]
        return dict(zip(INTERVAL_ENDS, np.quantile(sampled, levels, axis=1), strict=True))

    def _solution(
        self, columns: Arrays, values: Mapping[str, Any] | None = None, solver: str | None = None
    ) -> tuple[Solution, tuple[str, ...]]:
        """As `predict` does it, with columns in place of numbers."""
        given = {**self._arguments, **columns}
        if "work" in columns:
            packet, byte = columns["work"][..., 0], columns["work"][..., 1]
            given["work"] = (packet, byte)
        workload = Workload.from_user(
            given["rate"], given["size"], given["arrivals"], given["duration"], jumbo=given["jumbo"]
        )
        application = _application(given["application"], given["work"])
        backend = load_backend(given["backend"])
        choices = _choices(
            given["pinning"], given["ring"], given["buffer"], given["consumers"],
            given["threshold"], given["timeout"], given["sleep"], given["nic"], given["driver"],
            backend,
        )  # fmt: skip
        path = assemble(workload, application, backend, self._machine, choices, values)
        notes = _validity(workload, backend, self._machine, choices, path, application)
        return solve(path, solver or given["solver"]), notes
