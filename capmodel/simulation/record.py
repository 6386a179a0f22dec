"""What single packets and moments were like: a record that the event simulation keeps if asked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.simulation.compiled import compiled, inlined
from capmodel.simulation.costs import RING, Costs

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Record(NamedTuple):
    """Time [s] by number in ring and buffer, stays [s] of captured packets; empty if not kept.

    `came` holds the arrivals of the packets in every buffer, `at` where the oldest of these is and
    where the next goes, `seen` how many stays there are.
    """

    kept: bool
    ring: Floats
    buffer: Floats
    stays: Floats
    came: npt.NDArray[np.float64]
    at: npt.NDArray[np.int64]
    seen: Integers


def no_record() -> Record:
    """A record that nobody keeps.

    Examples
    --------
    >>> no_record().kept
    False
    """
    return _record(False, 0, 0, 0, 1)


def new_record(here: Costs, most: int) -> Record:
    """A record for a run of at most so many packets."""
    sizes = min(here.ring, most) + 1, min(here.capacity, most) + 1
    # a card's ring that the consumer reads holds what both of them hold
    ring = max(sizes) if here.kind == RING else sizes[0]
    return _record(True, ring, sizes[1], most * here.processes, here.processes)


def _record(kept: bool, ring: int, buffer: int, stays: int, processes: int) -> Record:
    return Record(
        kept, np.zeros(ring), np.zeros(buffer), np.zeros(stays), np.zeros((processes, buffer)),
        np.zeros((processes, 2), dtype=np.int64), np.zeros(1, dtype=np.int64),
    )  # fmt: skip


@inlined
def pass_time(record: Record, c: Costs, in_ring: int, held: Integers, step: float) -> None:
    """A stretch of time in which nothing moves."""
    direct = c.kind == RING
    record.ring[in_ring + held[0] if direct else in_ring] += step
    for i in range(held.size):
        record.buffer[0 if direct else held[i]] += step


@inlined
def came_in(record: Record, i: int, stamp: float) -> None:
    """A packet that arrived at `stamp` has come into buffer `i`."""
    size = record.came.shape[1]
    record.came[i, record.at[i, 1]] = stamp
    record.at[i, 1] = (record.at[i, 1] + 1) % size


@inlined
def went_out(record: Record, i: int, now: float) -> None:
    """The oldest packet of buffer `i` has been processed."""
    size = record.came.shape[1]
    if record.seen[0] < record.stays.size:
        record.stays[record.seen[0]] = now - record.came[i, record.at[i, 0]]
        record.seen[0] += 1
    record.at[i, 0] = (record.at[i, 0] + 1) % size


@compiled
def forget(record: Record) -> None:
    """The warm-up is over."""
    record.ring[:] = 0.0
    record.buffer[:] = 0.0
    record.seen[0] = 0
