"""Tier 3: event simulation for every path that drops, a tenth of a second per million packets."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from capmodel.numerics.arrival_process import MAP
from capmodel.path import CapturePath
from capmodel.results import REGIMES, Solution
from capmodel.simulation.run import MISSING, SimulationResult, refusal, simulate
from capmodel.solvers._gradual import gradual
from capmodel.solvers._recorded_quantiles import RecordedQuantiles
from capmodel.wakeup_law import WakeupLaw

__all__ = ["NAME", "accepts", "doubts", "simulated_loss", "solve"]

NAME = "simulation"
_PACKETS, _REPLICATIONS = 1_000_000, 8
_BURSTS, _BLOCKS = 200, 6  # in a replication
_MOST_PACKETS = 16_000_000  # in all

_Activities = dict[str, dict[str, tuple[str, ...]]]  # core, activity, what was counted for it

# what the simulation counts for either core, by the words of a Solution
_SPLIT: _Activities = {
    "kernel": {
        "packets": ("kernel.packets",),
        "drops": ("kernel.drops",),
        "wakeups": ("kernel.wakeups",),
        "interrupts": ("kernel.interrupts",),
    },
    "consumer": {
        "packets": ("consumer.packets",),
        "waiting": ("consumer.waiting", "consumer.switches"),
    },
}
_SHARED: _Activities = {
    "shared": {
        "kernel packets": ("kernel.packets",),
        "kernel drops": ("kernel.drops",),
        "interrupts": ("kernel.interrupts",),
        "consumer packets": ("consumer.packets",),
        "wakeups": ("kernel.wakeups", "consumer.switches"),
        "waiting": ("consumer.waiting",),
    }
}
_CORES: dict[str, _Activities] = {
    "same": _SHARED,
    "split": _SPLIT,
    "auto": _SPLIT,
}


def accepts(path: CapturePath) -> str | None:
    """Why this solver cannot take the path; None if it can."""
    if importlib.util.find_spec("numba") is None:
        return MISSING
    return refusal(path)


def doubts(path: CapturePath) -> str | None:
    """Why another solver should be preferred where one accepts the path."""
    if gradual(path) and not any(np.ndim(value) for value in _numbers(path)):
        return None  # no other follows such costs from packet to packet
    return "a simulation has noise and takes a second: it is for those who ask for it"


def solve(path: CapturePath) -> Solution:
    """Simulate a path, or every point of a grid of paths; fields may be arrays that broadcast."""
    shape = np.broadcast_shapes(*(np.shape(value) for value in _numbers(path)))
    points = [_solve_one(_at(path, index, shape)) for index in np.ndindex(shape)]

    def gathered(values: list[Any]) -> Any:
        if isinstance(values[0], Mapping):
            return {key: gathered([value[key] for value in values]) for key in values[0]}
        return np.reshape(np.asarray(values), shape)

    names = [
        field.name
        for field in fields(Solution)
        if field.name not in ("path", "solver", "exact", "accuracy", "notes", "distributions")
    ]
    numbers = {name: gathered([getattr(point, name) for point, _ in points]) for name in names}
    width = max((width for _, width in points), default=0.0)
    notes = dict.fromkeys(note for point, _ in points for note in point.notes)
    return Solution(
        path=path,
        solver=NAME,
        exact=False,
        accuracy=f"simulation: {_within(width)}",
        notes=tuple(notes),
        distributions=None if shape else RecordedQuantiles(path, _PACKETS, _REPLICATIONS),
        **numbers,
    )


def simulated_loss(path: CapturePath) -> tuple[float, float, int]:
    """Share lost of one path, half-width of its 95 % confidence interval, packets simulated.

    A million packets at most, also where bursts would need more.
    """
    result = simulate(path, packets=_PACKETS, replications=_REPLICATIONS)
    lost = sum(_finite(path, result)) / result.mean["offered_rate"]
    return lost, result.half_width["loss"], result.packets * result.replications


def _numbers(part: Any) -> list[Any]:
    """Every number of a path, its alternatives included."""
    found: list[Any] = []
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, tuple):
            for item in value:
                found += _numbers(item)
        elif isinstance(value, (MAP, WakeupLaw)):  # a shape is one for the whole grid
            continue
        elif is_dataclass(value):
            found += _numbers(value)
        elif value is not None and not isinstance(value, (str, bool)):
            found.append(value)
    return found


def _at(part: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """One point of a grid, as a path of floats."""
    changed: dict[str, Any] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, tuple):
            changed[field.name] = tuple(_at(item, index, shape) for item in value)
        elif value is None or isinstance(value, (str, bool, MAP, WakeupLaw)):
            continue
        elif is_dataclass(value):
            changed[field.name] = _at(value, index, shape)
        else:
            changed[field.name] = float(np.broadcast_to(value, shape)[index])
    return replace(part, **changed)


def _solve_one(path: CapturePath) -> tuple[Solution, float]:
    result = simulate(path, packets=_packets(path), replications=_REPLICATIONS)
    mean, width = result.mean, result.half_width["captured"]
    ring, buffer = _finite(path, result)
    carried = max(mean["offered_rate"] - ring - buffer, 0.0)
    times: dict[str, dict[str, float]] = {}
    for core, activities in _CORES[path.cores.pinning].items():
        times[core] = {key: sum(mean[name] for name in names) for key, names in activities.items()}
        times[core]["idle"] = max(1.0 - sum(times[core].values()), 0.0)
    spread = result.std["captured"]
    if not result.whole_runs:
        spread = _spread(path, result)
    solution = Solution(
        path=path,
        solver=NAME,
        exact=False,
        accuracy="",
        offered_rate=mean["offered_rate"],
        carried_rate=carried,
        drops={"ring": ring, "buffer": buffer},
        wakeup_rate=mean["wakeup_rate"],
        poll_rate=mean["poll_rate"],
        interrupt_rate=mean["interrupt_rate"],
        core_time=times,
        ring_occupancy=mean["ring_occupancy"],
        buffer_occupancy=mean["buffer_occupancy"],
        sojourn_time=mean["sojourn_time"],
        regime=_regime(path, result),
        captured_std=spread,
        notes=result.notes,
    )
    return solution, width


def _packets(path: CapturePath) -> int:
    """More where they come in bursts or fill large blocks: every replication sees many of them."""
    whole = path.buffer.block if path.buffer.kind in ("double", "blocks") else 0.0
    least = max(_PACKETS, int(_BLOCKS * _REPLICATIONS * whole))
    if path.arrivals.phases is None:
        return min(least, _MOST_PACKETS)
    phases = path.arrivals.phases
    moves = (phases.silent + phases.arriving) * (1.0 - np.eye(phases.order))
    slowest = float(moves.sum(axis=1).min()) if phases.order > 1 else phases.rate
    per_burst = phases.rate / slowest
    return int(min(max(least, _BURSTS * _REPLICATIONS * per_burst), _MOST_PACKETS))


def _finite(path: CapturePath, result: SimulationResult) -> tuple[float, float]:
    """Drops by stage [1/s]; a long run loses what the steady state loses, less what is held."""
    mean, duration = result.mean, float(path.arrivals.duration)
    ring, buffer = mean["ring_drops"], mean["buffer_drops"]
    if result.whole_runs or math.isinf(duration):
        return ring, buffer
    in_ring = min(mean["ring_occupancy"] / duration, ring)
    # what the ring holds at the end still has to get through the buffer
    kept = 1.0 - buffer / max(mean["offered_rate"] - ring, 1e-300)
    in_buffer = min(mean["buffer_occupancy"] / duration, buffer)
    return ring - in_ring, buffer - in_buffer + in_ring * (1.0 - kept)


def _spread(path: CapturePath, result: SimulationResult) -> float:
    """Standard deviation from run to run of a run that was not simulated as a whole."""
    offered = float(path.arrivals.rate) * float(path.arrivals.duration)
    if math.isinf(offered):
        return 0.0
    noise = result.std["captured"] * math.sqrt(min(result.packets / offered, 1.0))
    return math.hypot(noise, result.moves_std)


def _regime(path: CapturePath, result: SimulationResult) -> int:
    """What limits, from where the packets were lost and which core was busy."""
    mean = result.mean
    if mean["loss"] <= 1e-6:
        return REGIMES.index("unsaturated")
    if path.cores.pinning == "same":
        return REGIMES.index("shared core")
    busy = mean["consumer.packets"] > 0.98
    if mean["buffer_drops"] > mean["ring_drops"] or path.buffer.kind == "ring":
        return REGIMES.index("consumer" if busy else "buffer")
    kernel = sum(share for name, share in mean.items() if name.startswith("kernel."))
    return REGIMES.index("kernel" if kernel > 0.9 else "card")


def _within(width: float) -> str:
    """What replications tell of each other; a difference in the last digits is that of a sum."""
    if width < 1e-12:
        return f"all {_REPLICATIONS} replications captured the same share"
    return (
        f"captured share within {width:.2g} with 95 % confidence, by {_REPLICATIONS} replications"
    )
