"""From stage rates to a Solution: finite runs, conservation, where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.formulary._elementwise import floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath
from capmodel.results import LEAST_DROPS, REGIMES, Distributions, Solution
from capmodel.solvers._gathering import gathered

NAME = "closed_form"
ACCURACY = (
    "carried rate within 1 % for constant rates and for random arrivals away from the "
    "critical load, a few % within 3/ring of it; not for buffers as small as one wakeup's backlog; "
    "sojourn times within a third, further off near the critical load"
)
SPARE = 0.1  # share of a core's time that is idle, from which it is not saturated
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Outcome:
    """Long-run rates of one placement, before they are dressed as a Solution."""

    ring_drops: Array
    buffer_drops: Array
    overload_drops: Array  # the part of buffer_drops that a finite run's buffer can absorb
    wakeup_rate: Array
    poll_rate: Array
    interrupt_rate: Array
    core_time: Mapping[str, Mapping[str, Array]]
    ring_occupancy: Array
    buffer_occupancy: Array
    delay: Array  # fixed delays outside both queues [s]
    regime: Array


def regime_index(name: str) -> int:
    """Position of a regime's name in `REGIMES`."""
    return REGIMES.index(name)


def with_idle(times: Mapping[str, Any]) -> dict[str, Array]:
    """Add the idle share so that a core's time is 1; rounding may not make it negative."""
    shares = {key: floats(value) for key, value in times.items()}
    used = sum(shares.values())
    arrays = {key: share + 0.0 * used for key, share in shares.items()}
    arrays["idle"] = maximum(1.0 - used, 0.0)
    return arrays


def _regime(path: CapturePath, outcome: Outcome) -> Array:
    """A ring that overflows between two interrupts limits, not a core with time to spare."""
    regime = outcome.regime
    idle = outcome.core_time["kernel"]["idle"] if "kernel" in outcome.core_time else 0.0
    spare = (regime == regime_index("kernel")) & (floats(idle) > SPARE)
    if not some(spare):
        return regime
    return where(spare & (gathered(path) > 1.0), regime_index("card"), regime)


def finish(
    path: CapturePath,
    outcome: Outcome,
    offered: Array,
    distributions: Distributions | None = None,
) -> Solution:
    """Take the finite run into account, restore conservation exactly, build the Solution."""
    duration = path.arrivals.duration
    absorbed = minimum(outcome.overload_drops, path.buffer.capacity / duration)
    # what the ring holds at the end must still get past a buffer that is full by then
    slower = path.consumer.cost * path.consumer.processes
    passing = where(absorbed > 0.0, path.kernel.cost / maximum(slower, 1e-300), 1.0)
    ring_room = path.kernel.ring * minimum(passing, 1.0)
    ring_absorbed = minimum(outcome.ring_drops, ring_room / duration)
    ring = maximum(outcome.ring_drops - ring_absorbed, 0.0)
    buffer = maximum(outcome.buffer_drops - absorbed, 0.0)
    carried = maximum(offered - ring - buffer, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # what a full buffer takes once is no flow, and below that share all is rounding
        flow = offered - outcome.ring_drops - outcome.buffer_drops
        flow = where(flow > _ROUNDING * offered, flow, carried)
        # packets that the full buffer refuses have been in the ring too
        passed = maximum(flow, offered - outcome.ring_drops)
        sojourn = outcome.ring_occupancy / passed + outcome.buffer_occupancy / flow
        sojourn = where(carried > 0.0, sojourn, np.inf) + outcome.delay
    unsaturated = ring + buffer < LEAST_DROPS
    return Solution(
        path=path,
        solver=NAME,
        exact=False,
        accuracy=ACCURACY,
        offered_rate=offered,
        carried_rate=carried,
        drops={"ring": ring, "buffer": buffer},
        wakeup_rate=outcome.wakeup_rate,
        poll_rate=outcome.poll_rate,
        interrupt_rate=outcome.interrupt_rate,
        core_time=outcome.core_time,
        ring_occupancy=outcome.ring_occupancy,
        buffer_occupancy=outcome.buffer_occupancy,
        sojourn_time=sojourn,
        regime=where(unsaturated, regime_index("unsaturated"), _regime(path, outcome)),
        distributions=distributions,
    )
