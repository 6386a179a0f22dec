"""The consumers' loops, compiled: take a packet, work on it, wait for the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.lab._machine_code import (
    MSG_DONTWAIT,
    c_nanosleep,
    c_poll,
    c_recv,
    c_sched_yield,
    call_deflate,
    clock,
    load8,
    load16,
    load32,
    load64,
    store32,
    store64,
)
from capmodel.lab.board import (
    BYTES,
    DELIVERED,
    INTERRUPTED,
    POLLS,
    STOP,
    VALUE,
    WORK_TIME,
    YIELDS,
)
from capmodel.simulation.compiled import compiled

Words = npt.NDArray[np.int64]

# how a consumer waits
POLL, BUSY, SLEEP, YIELD, READ = range(5)
WAITS = {"poll": POLL, "busy": BUSY, "sleep": SLEEP, "yield": YIELD, "read": READ}

# linux/if_packet.h: status that hands a slot or block to the user; places in its structures
_USER = 1
_BLOCK_STATUS, _BLOCK_PACKETS, _BLOCK_FIRST = 8, 12, 16
_V3_SNAPLEN, _V3_MAC = 12, 24

# packets whose compression is timed: reading the clock twice for each would be felt
_TIMED_EACH = 16

# zlib.h, struct z_stream on 64-bit systems
_NEXT_IN, _AVAIL_IN, _NEXT_OUT, _AVAIL_OUT = 0, 8, 24, 32


class Waiting(NamedTuple):
    """How to wait: kind, address of a pollfd, address of a timespec, calls of sched_yield().

    `log` is the address at which every poll() is written down, 0 for nowhere, `room` how many have
    room, `scratch` the address of two words to work in.
    """

    kind: int
    poll: int
    sleep: int
    yields: int
    log: int
    room: int
    scratch: int


class Work(NamedTuple):
    """Work per packet: turns of a loop per packet and per byte; or deflate(), stream and output."""

    packet: float
    byte: float
    deflate: int
    stream: int
    room: int
    size: int
    scratch: int


@compiled
def turn(turns: int, value: int) -> int:
    """Compute for so many turns, each of which needs the one before.

    Work is counted in turns and not in time: what interrupts a program adds to its time, but does
    none of its work.
    """
    for _ in range(turns):
        # Marsaglia's xorshift: no compiler folds several turns into one, as it would sums and
        # products
        value ^= value << 13
        value ^= value >> 7
        value ^= value << 17
    return value


@compiled
def turn_time(turns: int, rounds: int, place: int, out: Words) -> float:
    """Time of a turn [ns]: the shortest of several rounds, which nothing has interrupted."""
    best = np.inf
    for _ in range(rounds):
        begun = clock(place)
        out[VALUE] = turn(turns, out[VALUE])
        best = min(best, float(clock(place) - begun))
    return best / turns


@compiled
def work_on(work: Work, data: int, length: int, out: Words) -> None:
    """Do a packet's work: look at it, then compute, or compress it."""
    out[BYTES] += length
    if work.deflate != 0:
        timed = out[DELIVERED] % _TIMED_EACH == 0
        begun = clock(work.scratch) if timed else 0
        store64(work.stream + _NEXT_IN, np.uint64(data))
        store32(work.stream + _AVAIL_IN, np.uint32(length))
        while load32(work.stream + _AVAIL_IN) != 0:
            # what comes out is dropped, as by a writer to /dev/null
            store64(work.stream + _NEXT_OUT, np.uint64(work.room))
            store32(work.stream + _AVAIL_OUT, np.uint32(work.size))
            if call_deflate(work.deflate, work.stream, 0) != 0:
                break
        if timed:
            out[WORK_TIME] += _TIMED_EACH * (clock(work.scratch) - begun)
        return
    out[VALUE] = turn(int(work.packet + work.byte * length), out[VALUE] + load8(data))


@compiled
def pause(waiting: Waiting, address: int, out: Words) -> None:
    """Wait once; `address` is a word whose lowest bit says that something came."""
    if waiting.kind == BUSY:
        return
    if waiting.kind == SLEEP:
        out[POLLS] += 1
        c_nanosleep(waiting.sleep, 0)
        return
    for _ in range(waiting.yields):
        out[YIELDS] += 1
        c_sched_yield()
        if load32(address) & _USER:
            return
    noted = waiting.log != 0 and out[POLLS] < waiting.room
    entered = clock(waiting.scratch) if noted else 0
    if c_poll(waiting.poll, 1, -1) < 0:
        out[INTERRUPTED] += 1
    else:
        if noted:
            place = waiting.log + 24 * out[POLLS]
            store64(place, np.uint64(out[DELIVERED]))
            store64(place + 8, np.uint64(entered))
            store64(place + 16, np.uint64(clock(waiting.scratch)))
        out[POLLS] += 1


@compiled
def consume_slots(
    base: int, slots: int, slot: int, status: int, length: int, mac: int, at: int,
    waiting: Waiting, work: Work, control: Words, out: Words,
) -> int:  # fmt: skip
    """Read a ring of slots until it is empty and the run is over; returns the slot reached.

    `status`, `length` and `mac` are places in a slot's header; `at` is the first slot to read.
    """
    stop = control.ctypes.data + 8 * STOP
    while True:
        place = base + at * slot
        if load32(place + status) & _USER:
            work_on(work, place + load16(place + mac), load32(place + length), out)
            store32(place + status, np.uint32(0))
            out[DELIVERED] += 1
            at = at + 1 if at + 1 < slots else 0
        elif load64(stop) != 0:
            return at
        else:
            pause(waiting, place + status, out)


@compiled
def consume_blocks(
    base: int, blocks: int, block: int, at: int,
    waiting: Waiting, work: Work, control: Words, out: Words,
) -> int:  # fmt: skip
    """Read a ring of blocks until it is empty and the run is over; returns the block reached."""
    stop = control.ctypes.data + 8 * STOP
    while True:
        place = base + at * block
        if load32(place + _BLOCK_STATUS) & _USER:
            packet = place + load32(place + _BLOCK_FIRST)
            for _ in range(load32(place + _BLOCK_PACKETS)):
                data = packet + load16(packet + _V3_MAC)
                work_on(work, data, load32(packet + _V3_SNAPLEN), out)
                out[DELIVERED] += 1
                packet += load32(packet)
            store32(place + _BLOCK_STATUS, np.uint32(0))
            at = at + 1 if at + 1 < blocks else 0
        elif load64(stop) != 0:
            return at
        else:
            pause(waiting, place + _BLOCK_STATUS, out)


@compiled
def consume_copies(
    descriptor: int, room: int, size: int,
    waiting: Waiting, work: Work, control: Words, out: Words,
) -> int:  # fmt: skip
    """Read a socket with a copying call per packet until it is empty and the run is over."""
    stop = control.ctypes.data + 8 * STOP
    never = np.zeros(1, dtype=np.int64)
    flags = 0 if waiting.kind == READ else MSG_DONTWAIT
    while True:
        over = load64(stop) != 0
        if waiting.kind == READ:
            out[POLLS] += 1
        got = c_recv(descriptor, room, size, MSG_DONTWAIT if over else flags)
        if got >= 0:
            work_on(work, room, got, out)
            out[DELIVERED] += 1
        elif over:
            return 0
        elif waiting.kind == READ:
            out[INTERRUPTED] += 1
        else:
            pause(waiting, never.ctypes.data, out)


class XdpRings(NamedTuple):
    """Addresses: frames; places of the ring of received packets; places of the ring of free frames.

    `mask` is the number of places in a ring, a power of two, less one.
    """

    frames: int
    mask: int
    producer: int
    consumer: int
    entries: int
    fill_producer: int
    fill_entries: int


@compiled
def consume_redirected(
    rings: XdpRings, waiting: Waiting, work: Work, control: Words, out: Words
) -> int:
    """Read an AF_XDP ring until it is empty and the run is over."""
    stop = control.ctypes.data + 8 * STOP
    never = np.zeros(1, dtype=np.int64)
    at = np.int64(load32(rings.consumer))
    free = np.int64(load32(rings.fill_producer))
    while True:
        if np.int64(load32(rings.producer)) != at:
            entry = rings.entries + 16 * (at & rings.mask)
            frame = np.int64(load64(entry))
            work_on(work, int(rings.frames + frame), load32(entry + 8), out)
            at = (at + 1) & 0xFFFFFFFF
            store32(rings.consumer, np.uint32(at))
            store64(rings.fill_entries + 8 * (free & rings.mask), np.uint64(frame))
            free = (free + 1) & 0xFFFFFFFF
            store32(rings.fill_producer, np.uint32(free))
            out[DELIVERED] += 1
        elif load64(stop) != 0:
            return 0
        else:
            pause(waiting, never.ctypes.data, out)
