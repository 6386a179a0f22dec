"""The consumer's time away from the buffer, policy by policy.

Every policy is reduced to the same five numbers (`Vacation`); one renewal argument then gives the
carried rate of all of them (`cycle`). `VACATIONS` is the table of policies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capmodel.formulary._typing import Array
from capmodel.formulary.split import poll_miss_probability
from capmodel.path import Number, Wakeup


@dataclass(frozen=True)
class Vacation:
    """One sleep cycle of the consumer.

    It is `off` [s] in all, of which `overhead` [s] is kernel time and `burst` [s] one undivided
    stretch during which packets only pile up, after a `signal` [s] during which the kernel delivers
    nothing; `polls` wait calls and `wakes` kernel signals per cycle; at least `least` packets per
    cycle; the consumer is `busy` [s] waiting per cycle.
    """

    off: Number
    overhead: Number
    burst: Number
    signal: Number
    polls: Number
    wakes: float
    least: Number
    busy: Number


def _gap(interval: Array, consumer: Array, scv: Array) -> Array:
    """Mean time from an empty buffer to the next delivery (overshoot; exact at scv 0 and 1)."""
    mix = np.clip(scv, 0.0, 1.0)
    return mix * interval + (1.0 - mix) * 0.5 * np.maximum(interval - consumer, 0.0)


def _poll(wakeup: Wakeup, interval: Array, consumer: Array, scv: Array) -> Vacation:
    miss = poll_miss_probability(interval, consumer, wakeup.poll_cost, scv)
    extra = np.minimum((wakeup.threshold - 1.0) * interval, wakeup.timeout)
    burst = wakeup.latency + extra
    polling = wakeup.poll_cost / miss
    off = wakeup.cost + burst + polling + _gap(interval, consumer, scv)
    least = np.minimum(wakeup.threshold, 1.0 + wakeup.timeout / interval)
    return Vacation(
        off, wakeup.cost + 0.0 * off, burst, wakeup.cost, 1.0 / miss, 1.0, least, polling
    )


def _spin(wakeup: Wakeup, interval: Array, consumer: Array, scv: Array) -> Vacation:
    off = np.maximum(_gap(interval, consumer, scv), 1e-3 * interval)
    slowed = wakeup.contention / (1.0 + wakeup.contention)
    return Vacation(off, slowed * off, 0.0 * off, 0.0, 0.0 * off, 0.0, 0.0 * off, off)


def _sleep(wakeup: Wakeup, interval: Array, consumer: Array, scv: Array) -> Vacation:
    call = wakeup.sleep + wakeup.poll_cost
    off = np.maximum(call, _gap(interval, consumer, scv))
    share = np.where(call > 0.0, wakeup.poll_cost / np.where(call > 0.0, call, 1.0), 1.0)
    slowed = wakeup.contention / (1.0 + wakeup.contention) * share
    calls = off / np.where(call > 0.0, call, off)
    return Vacation(
        off, slowed * off, wakeup.sleep + 0.0 * off, 0.0, calls, 0.0, 0.0 * off, share * off
    )


def _yield(wakeup: Wakeup, interval: Array, consumer: Array, scv: Array) -> Vacation:
    # the spin is a long poll: it is looked at during all of it, and only its end sleeps
    window = wakeup.spin + wakeup.poll_cost
    miss = poll_miss_probability(interval, consumer, window, scv)
    looking = window / miss + _gap(interval, consumer, scv)
    extra = np.minimum((wakeup.threshold - 1.0) * interval, wakeup.timeout)
    burst = wakeup.latency + extra
    off = wakeup.cost + burst + looking
    slowed = wakeup.contention / (1.0 + wakeup.contention) * looking
    one = 1.0 + 0.0 * off
    return Vacation(off, wakeup.cost + slowed, burst, wakeup.cost, one, 1.0, one, looking)


VACATIONS: dict[str, Callable[[Wakeup, Array, Array, Array], Vacation]] = {
    "poll": _poll,
    "read": _poll,
    "spin": _spin,
    "sleep": _sleep,
    "yield": _yield,
    "block": _poll,
    "rotation": _poll,
}


def vacation(wakeup: Wakeup, interval: Array, consumer: Array, scv: Array) -> Vacation:
    """The policy's sleep cycle when packets come every `interval` [s]."""
    return VACATIONS[wakeup.policy](wakeup, interval, consumer, scv)


@dataclass(frozen=True)
class Cycle:
    """Outcome per second: rate carried, cycles, and time lost to a full buffer per cycle [s]."""

    carried: Array
    cycles: Array
    lost_time: Array


def cycle(
    interval: Array, consumer: Array, away: Vacation, capacity: Number, kernel_pays: bool
) -> Cycle:
    r"""Renewal argument over one sleep cycle, for ``consumer < interval``.

    The consumer comes back to a backlog worth ``lag`` seconds of deliveries and works it off at
    the difference of the two rates: :math:`E N (a - c_a) = S - o - \text{lost}`, a cycle lasts
    :math:`E N\, a + o + \text{lost}`. When the kernel is not saturated it has time to spare for
    its overhead (`kernel_pays` false).
    """
    overhead = away.overhead if kernel_pays else 0.0
    stretch = away.burst if kernel_pays else away.burst + away.signal
    # a signalled consumer leaves its waking packet in the buffer, one that sleeps by time nothing
    lost = np.maximum(stretch - np.maximum(capacity - away.wakes, 0.0) * interval, 0.0)
    lag = np.maximum(away.off - overhead - lost, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        packets = np.maximum(lag / (interval - consumer), away.least)
        packets = np.maximum(packets, 1e-12)
        length = packets * interval + overhead + lost
    return Cycle(packets / length, 1.0 / length, lost)
