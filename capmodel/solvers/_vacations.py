"""The consumer's time away from the buffer, policy by policy.

Every policy is reduced to the same five numbers (`Vacation`); one renewal argument then gives the
carried rate of all of them (`cycle`). `VACATIONS` is the table of policies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capmodel.formulary._elementwise import clip, floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.formulary.split import poll_miss_probability
from capmodel.path import Number, Wakeup


@dataclass(frozen=True)
class Vacation:
    """One sleep cycle of the consumer.

    It is `off` [s] in all, of which `overhead` [s] is kernel time and `burst` [s] one undivided
    stretch during which packets only pile up, after a `signal` [s] during which the kernel delivers
    nothing; `polls` wait calls and `wakes` kernel signals per cycle; at least `least` packets per
    cycle; the consumer is `busy` [s] waiting per cycle. All of this for exponential delivery
    intervals; `window` [s] is the time of one wait call where regular deliveries are to be counted
    packet by packet instead (None where the policy does not sleep by events).
    """

    off: Number
    overhead: Number
    burst: Number
    signal: Number
    polls: Number
    wakes: float
    least: Number
    busy: Number
    window: Number | None = None


def _held_back(wakeup: Wakeup, interval: Array, finish: Number) -> Array:
    """Time a signal waits for more packets or the timer; the timer waits for the kernel's packet.

    `finish` [s] is what the kernel on average still has to do on the packet in its hands.
    """
    counted = (wakeup.threshold - 1.0) * interval
    return np.asarray(where(wakeup.timeout < counted, wakeup.timeout + finish, counted))


def _poll(wakeup: Wakeup, interval: Array, consumer: Array, finish: Number) -> Vacation:
    miss = poll_miss_probability(interval, consumer, wakeup.poll_cost, 1.0)
    burst = wakeup.latency + _held_back(wakeup, interval, finish)
    polling = wakeup.poll_cost / miss
    off = wakeup.cost + burst + polling + interval
    least = minimum(wakeup.threshold, 1.0 + wakeup.timeout / interval)
    return Vacation(
        off, wakeup.cost + 0.0 * off, burst, wakeup.cost, 1.0 / miss, 1.0, least, polling,
        wakeup.poll_cost,
    )  # fmt: skip


def _spin(wakeup: Wakeup, interval: Array, consumer: Array, finish: Number) -> Vacation:
    off = interval
    slowed = wakeup.contention / (1.0 + wakeup.contention)
    return Vacation(off, slowed * off, 0.0 * off, 0.0, 0.0 * off, 0.0, 0.0 * off, off)


def _sleep(wakeup: Wakeup, interval: Array, consumer: Array, finish: Number) -> Vacation:
    call = wakeup.sleep + wakeup.poll_cost
    off = maximum(call, interval)
    share = where(call > 0.0, wakeup.poll_cost / where(call > 0.0, call, 1.0), 1.0)
    slowed = wakeup.contention / (1.0 + wakeup.contention) * share
    calls = off / where(call > 0.0, call, off)
    return Vacation(
        off, slowed * off, wakeup.sleep + 0.0 * off, 0.0, calls, 0.0, 0.0 * off, share * off
    )


def _yield(wakeup: Wakeup, interval: Array, consumer: Array, finish: Number) -> Vacation:
    # the spin is a long poll: it is looked at during all of it, and only its end sleeps
    window = wakeup.spin + wakeup.poll_cost
    miss = poll_miss_probability(interval, consumer, window, 1.0)
    looking = window / miss + interval
    burst = wakeup.latency + _held_back(wakeup, interval, finish)
    off = wakeup.cost + burst + looking
    slowed = wakeup.contention / (1.0 + wakeup.contention) * looking
    one = 1.0 + 0.0 * off
    return Vacation(off, wakeup.cost + slowed, burst, wakeup.cost, one, 1.0, one, looking)


VACATIONS: dict[str, Callable[[Wakeup, Array, Array, Number], Vacation]] = {
    "poll": _poll,
    "read": _poll,
    "spin": _spin,
    "sleep": _sleep,
    "yield": _yield,
    "block": _poll,
    "rotation": _poll,
}


def vacation(wakeup: Wakeup, interval: Array, consumer: Array, finish: Number = 0.0) -> Vacation:
    """The policy's sleep cycle when packets come every `interval` [s]."""
    return VACATIONS[wakeup.policy](wakeup, interval, consumer, finish)


@dataclass(frozen=True)
class Cycle:
    """Outcome per second: rate carried, cycles, time lost to a full buffer per cycle [s].

    `polls` wait calls and `busy` [s] of waiting per cycle.
    """

    carried: Array
    cycles: Array
    lost_time: Array
    polls: Array
    busy: Array


def cycle(
    interval: Array,
    consumer: Array,
    away: Vacation,
    capacity: Number,
    scv: Array,
    kernel_pays: bool,
) -> Cycle:
    r"""Renewal argument over one sleep cycle, for ``consumer < interval``.

    The consumer comes back to a backlog worth ``lag`` seconds of deliveries and works it off at
    the difference of the two rates: :math:`E N (a - c_a) = S - o - \text{lost}`, a cycle lasts
    :math:`E N\, a + o + \text{lost}`. When the kernel is not saturated it has time to spare for
    its overhead (`kernel_pays` false). Regular deliveries (scv 0) are counted packet by packet; in
    between, sleeps per packet are interpolated by the squared coefficient of variation.
    """
    overhead = away.overhead if kernel_pays else 0.0
    stretch = away.burst if kernel_pays else away.burst + away.signal
    # a signalled consumer leaves its waking packet in the buffer, one that sleeps by time nothing
    lost = maximum(stretch - maximum(capacity - away.wakes, 0.0) * interval, 0.0)
    lag = maximum(away.off - overhead - lost, 0.0)
    gain = interval - consumer
    with np.errstate(divide="ignore", invalid="ignore"):
        least = minimum(away.least, capacity)
        packets = maximum(maximum(lag / gain, least), 1e-12)
    sleeps, polls, busy = 1.0 / packets, away.polls, away.busy
    mix = clip(scv, 0.0, 1.0)
    if away.window is not None and some(mix < 1.0):
        regular, looks = _regular_packets(stretch - lost, gain, away.window)
        regular = maximum(regular, least)
        sleeps = mix * sleeps + (1.0 - mix) / regular
        polls = mix * polls + (1.0 - mix) * looks
        busy = mix * busy + (1.0 - mix) * looks * away.window
    carried = 1.0 / (interval + (overhead + lost) * sleeps)
    return Cycle(carried, carried * sleeps, lost, polls + 0.0 * carried, busy + 0.0 * carried)


_LOOKS = 200  # wait calls cut short by a packet, one after the other, before the loop is given up


def _regular_packets(lag: Array, gain: Array, window: Number) -> tuple[Array, Array]:
    r"""Packets per wakeup when they come like clockwork, and wait calls per wakeup.

    After :math:`m = \lfloor lag/(a - c_a) \rfloor + 1` packets the buffer is empty for
    :math:`m (a - c_a) - lag`; if that is shorter than the wait call the consumer does not sleep,
    but the whole call has been added to its lag. A call as long as the gain per packet never ends
    in sleep.
    """
    shape = np.broadcast_shapes(np.shape(lag), np.shape(gain), np.shape(window))
    behind = np.broadcast_to(floats(lag), shape).copy()
    step = np.broadcast_to(floats(window), shape)
    safe = maximum(gain, 1e-300)
    looks = np.ones(shape)
    packets = np.floor(behind / safe) + 1.0
    for _ in range(_LOOKS):
        short = (packets * safe - behind <= step) & (step > 0.0) & (step < safe)
        if not some(short):
            break
        behind = where(short, behind + step, behind)
        looks = looks + short
        packets = np.floor(behind / safe) + 1.0
    never = (step >= safe) & (step > 0.0)
    return where(never, np.inf, packets), where(never, 1.0, looks)
