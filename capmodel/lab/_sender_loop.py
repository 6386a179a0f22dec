"""The sender's loop, compiled: the arrival clock, the virtual receive ring, the sending calls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.lab._machine_code import (
    EAGAIN,
    EINTR,
    ENOBUFS,
    c_send,
    c_sendmmsg,
    clock,
    last_error,
)
from capmodel.lab.board import (
    ELAPSED,
    FAILURE,
    LATE,
    OFFERED,
    REFUSED,
    RING_DROPS,
    SEND_CALLS,
    SEND_TIME,
    SENT,
    STALL_TIME,
    STALLS,
)
from capmodel.simulation.arrivals import begin, refill
from capmodel.simulation.compiled import compiled
from capmodel.simulation.costs import Source

# arrivals drawn at a time: few, so that drawing them does not hold up the sender
_DRAWN_AT_ONCE = 64
# words of the sender's state: arrivals used of those drawn, first place and places taken of the
# ring, whether the traffic has ended
_DRAWN, _HEAD, _WAITING, _ENDED = range(4)

# a look at the clock, or a sending call, that took longer [ns] was held up by something else
STALL = 200_000

# in place of an error number: the cap on the real time was reached
TOO_LONG = -1

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Played(NamedTuple):
    """What is played, and to which end: packets, seconds, and a cap [ns] on the real time."""

    source: Source
    trace: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    most: int
    until: float
    cap: int


class Outlet(NamedTuple):
    """Where it is sent: socket, packets per call, address of the frame, headers for batches."""

    descriptor: int
    batch: int
    frame: int
    messages: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.int64]


@compiled
def _arrive(
    rng: np.random.Generator, played: Played, seconds: float, clock_state: Floats, times: Floats,
    state: Words, queue: Words, out: Words,
) -> None:  # fmt: skip
    """Take what has arrived by now into the virtual receive ring, as far as there is room."""
    ring = queue.size
    while state[_ENDED] == 0:
        if state[_DRAWN] == times.size:
            refill(rng, played.source, clock_state, played.trace, times)
            state[_DRAWN] = 0
        due = times[state[_DRAWN]]
        if out[OFFERED] == played.most or due > played.until or due == np.inf:
            state[_ENDED] = 1
        elif due > seconds:
            break
        else:
            state[_DRAWN] += 1
            if state[_WAITING] < ring:
                length = played.lengths[out[OFFERED] % played.lengths.size]
                queue[(state[_HEAD] + state[_WAITING]) % ring] = length
                state[_WAITING] += 1
            else:
                out[RING_DROPS] += 1
            out[OFFERED] += 1


@compiled
def _hand_over(outlet: Outlet, state: Words, queue: Words, out: Words) -> int:
    """Hand a packet, or a batch, to the kernel; returns how many left the ring, or -1."""
    head, ring = state[_HEAD], queue.size
    out[SEND_CALLS] += 1
    if outlet.batch == 1:
        done = 1 if c_send(outlet.descriptor, outlet.frame, queue[head], 0) >= 0 else -1
    else:
        count = min(outlet.batch, state[_WAITING])
        for i in range(count):
            outlet.vectors[2 * i + 1] = queue[(head + i) % ring]
        done = int(c_sendmmsg(outlet.descriptor, outlet.messages.ctypes.data, count, 0))
    if done >= 0:
        out[SENT] += done
        return done
    problem = last_error()
    if problem == ENOBUFS:  # the kernel had no room: this packet is lost
        out[REFUSED] += 1
        return 1
    if problem in (EAGAIN, EINTR):
        return 0
    out[FAILURE] = problem
    return -1


@compiled
def play(
    rng: np.random.Generator, played: Played, outlet: Outlet, queue: Words, log: Words, out: Words,
) -> None:  # fmt: skip
    """Send what arrives until all has been sent; `queue` is the virtual receive ring.

    `log` takes when each call began and ended, as far as it has room.
    """
    scratch = np.zeros(2, dtype=np.int64)
    place = scratch.ctypes.data
    times = np.empty(_DRAWN_AT_ONCE, dtype=np.float64)
    clock_state = np.zeros(4, dtype=np.float64)
    state = np.zeros(4, dtype=np.int64)
    begin(rng, played.source, clock_state)
    state[_DRAWN] = times.size
    start = clock(place)
    last = now = start
    while state[_ENDED] == 0 or state[_WAITING] > 0:
        step = now - last
        out[LATE] = max(out[LATE], step)
        if step > STALL:
            out[STALLS] += 1
            out[STALL_TIME] += step
        last = now
        _arrive(rng, played, (now - start) * 1e-9, clock_state, times, state, queue, out)
        if now - start > played.cap:
            out[FAILURE] = TOO_LONG
            break
        if state[_WAITING] == 0:
            now = clock(place)
            continue
        done = _hand_over(outlet, state, queue, out)
        if done < 0:
            break
        state[_HEAD] = (state[_HEAD] + done) % queue.size
        state[_WAITING] -= done
        before = now
        now = clock(place)
        out[SEND_TIME] += now - before
        at = 2 * out[SENT]
        if 0 < at <= log.size:
            log[at - 2], log[at - 1] = before, now
    out[ELAPSED] = now - start
