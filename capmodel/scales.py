"""What a figure's axes are called, in which unit, and where the values of a sweep stand on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capmodel.quantities import (
    parse_buffer,
    parse_count,
    parse_duration,
    parse_rate,
    parse_size,
    parse_slots,
)
from capmodel.sweep_result import Sweep, label
from capmodel.workload import Workload

# quantity -> (words, unit, factor from the SI)
QUANTITIES: Mapping[str, tuple[str, str, float]] = {
    "captured": ("captured", "%", 100.0),
    "loss": ("lost", "%", 100.0),
    "carried_rate": ("carried rate", "Mpps", 1e-6),
    "ring_drops": ("dropped at the ring", "Mpps", 1e-6),
    "buffer_drops": ("dropped at the buffer", "Mpps", 1e-6),
    "wakeup_rate": ("wakeups", "1000/s", 1e-3),
    "poll_rate": ("wait calls", "1000/s", 1e-3),
    "sojourn_time": ("sojourn time", "us", 1e6),
    "buffer_occupancy": ("packets in the buffer", "-", 1.0),
    "captured_std": ("spread of captured share between runs", "percentage points", 100.0),
}


def _duration_or_zero(value: Any) -> float:
    return parse_duration(value, name="work", positive=False)


# axis -> (words, unit, factor from the SI, reader)
AXES: Mapping[str, tuple[str, str, float, Callable[[Any], float]]] = {
    "rate": ("offered rate", "Mpps", 1e-6, parse_rate),
    "size": ("frame size", "B", 1.0, partial(parse_size, jumbo=True)),
    "work": ("application's own work per packet", "us", 1e6, _duration_or_zero),
    "ring": ("receive ring", "slots", 1.0, partial(parse_slots, name="ring")),
    "buffer": ("buffer", "", 1.0, lambda value: parse_buffer(value).amount),
    "consumers": ("capture processes", "-", 1.0, partial(parse_count, name="consumers")),
    "duration": ("length of the run", "s", 1.0, partial(parse_duration, name="duration")),
    "threshold": ("wakeup threshold", "packets", 1.0, partial(parse_slots, name="threshold")),
    "timeout": ("timeout", "ms", 1e3, partial(parse_duration, name="timeout")),
    "sleep": ("sleep", "us", 1e6, partial(parse_duration, name="sleep")),
}  # fmt: skip


def positions(sweep: Sweep, x: str) -> tuple[NDArray[np.float64], list[str]]:
    """Places on the axis, and the words there if they are not numbers."""
    values = sweep.axes[x]
    if x == "rate" and any(isinstance(value, str) for value in values):
        size = sweep.fixed.get("size", 64)
        return 1e-6 * np.array([_rate(value, size) for value in values]), []
    if x == "buffer":
        sizes = [parse_buffer(value) for value in values if value is not None]
        if len({size.unit for size in sizes}) == 1 and len(sizes) == len(values):
            scale = 2.0**-10 if sizes[0].unit == "bytes" else 1.0
            return scale * np.array([size.amount for size in sizes]), []
    elif x in AXES:
        factor, read = AXES[x][2:]
        try:
            return factor * np.array([read(value) for value in values], dtype=np.float64), []
        except (TypeError, ValueError):
            pass  # mixtures, pairs and defaults have names only
    return np.arange(float(len(values))), [str(label(value)) for value in values]


def _rate(value: Any, size: Any) -> float:
    return float(Workload.from_user(value, size, jumbo=True).rate)


def heading(sweep: Sweep, x: str, words: list[str]) -> str:
    """What stands under the axis, with the unit if there are numbers on it."""
    if x not in AXES or words:
        return AXES[x][0] if x in AXES else x
    unit = AXES[x][1]
    if x == "buffer":
        unit = "KiB" if parse_buffer(sweep.axes[x][0]).unit == "bytes" else "slots"
    return f"{AXES[x][0]} [{unit}]"


def line_names(sweep: Sweep, by: str | None) -> list[str]:
    """What the lines are called: a name, or the axis with its number."""
    if by is None:
        return [""]
    found = [label(value) for value in sweep.axes[by]]
    return [text if isinstance(text, str) else f"{by} {text}" for text in found]
