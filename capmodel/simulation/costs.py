"""One placement of a capture path as flat numbers that compiled code takes; no numba here."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.path import Arrivals, CapturePath, Number

Floats = npt.NDArray[np.float64]

# how the consumer waits
POLL, SPIN, SLEEP, YIELD, ROTATION = range(5)
POLICIES = {
    "poll": POLL,
    "read": POLL,
    "rotation": ROTATION,
    "block": POLL,
    "spin": SPIN,
    "sleep": SLEEP,
    "yield": YIELD,
}
# what the buffer is: slots, whole blocks, or the receive ring itself
SLOTS, BLOCKS, RING = range(3)
KINDS = {"slots": SLOTS, "double": BLOCKS, "blocks": BLOCKS, "ring": RING}
# what makes the kernel look at the ring
NAPI, INTERRUPT, MODERATED, POLLING = range(4)
DRIVERS = {
    "napi": NAPI,
    "thread": NAPI,
    "interrupt": INTERRUPT,
    "moderated": MODERATED,
    "polling": POLLING,
}
# laws of a time with mean 1
FIXED, EXPONENTIAL, ERLANG, HYPER = range(4)
# laws of arrival
RENEWAL, BURSTS, TRACE, MODULATED = range(4)

_NO_ROW, _NO_TABLE = np.empty(0), np.empty((0, 0))
_MOST = 2**62  # stands for "no limit" where an integer is counted


class Law(NamedTuple):
    """Distribution with mean 1: its kind, and two numbers that mean what the kind says."""

    kind: int
    shape: float
    share: float


class Source(NamedTuple):
    """Arrivals: kind, mean gap in a burst [s], law of gaps, burst and pause [s], whether random.

    Of a Markov chain also: the probability of being in a phase up to each, the mean time between
    moves in each [s], and the probabilities, added up, of the moves without and with an arrival.
    """

    kind: int
    gap: float
    law: Law
    on: float
    off: float
    random: bool
    start: Floats
    stays: Floats
    moves: Floats


class Costs(NamedTuple):
    """One placement: sizes in packets, times in seconds, policies as the numbers above.

    `since`, and the tables with a row for each of its intervals, are empty without a law that was
    measured.
    """

    same: bool
    share: float
    ring: int
    capacity: int
    kind: int
    block: int
    blocks: int
    retire: float
    driver: int
    interrupt: float
    spacing: float
    tick: float
    budget: int
    kernel: float
    dropped: float
    kernel_law: Law
    processes: int
    consumer: float
    consumer_law: Law
    policy: int
    signal: float
    latency: float
    poll: float
    switch: float
    threshold: int
    timeout: float
    sleep: float
    spin: float
    contention: float
    wait_law: Law
    near: float
    early: float
    leave: float
    settle: float
    idle_latency: float
    waking: float
    since: Floats
    law_costs: Floats
    law_latencies: Floats
    law_slept: Floats
    stall_gap: float
    stall_time: float
    turn: float


def law(scv: float) -> Law:
    """Law with mean 1 and a squared coefficient of variation: Erlang mixtures below 1, H2 above.

    Examples
    --------
    >>> law(0.25)
    Law(kind=2, shape=4.0, share=0.0)
    """
    if scv <= 1e-12:
        return Law(FIXED, 0.0, 0.0)
    if abs(scv - 1.0) <= 1e-12:
        return Law(EXPONENTIAL, 1.0, 0.0)
    if scv > 1.0:
        # balanced means: both branches contribute half of the mean
        return Law(HYPER, 2.0, 0.5 * (1.0 + math.sqrt((scv - 1.0) / (scv + 1.0))))
    # Tijms: k - 1 phases with probability q, else k, of one rate k - q
    k = math.ceil(1.0 / scv - 1e-9)
    q = (k * scv - math.sqrt(max(k * (1.0 + scv) - k * k * scv, 0.0))) / (1.0 + scv)
    return Law(ERLANG, float(k), q if q > 1e-9 else 0.0)


def _whole(value: Number) -> int:
    """Packets as a whole number, at least one; no limit stays no limit."""
    number = float(value)
    return _MOST if number >= _MOST else max(int(number + 1e-9), 1)


def source(arrivals: Arrivals, traced: bool = False) -> Source:
    """What the arrivals of a path (or a trace in their place) look like to the kernels."""
    scv = 1.0 if arrivals.process == "poisson" else float(arrivals.scv)
    kind = BURSTS if arrivals.process == "on_off" and float(arrivals.off) > 0.0 else RENEWAL
    start, stays, moves = np.ones(1), np.ones(1), np.ones((1, 2))
    if arrivals.phases is not None:
        phases = arrivals.phases.at_rate(float(arrivals.rate))
        rates = np.concatenate([phases.silent, phases.arriving], axis=1)
        kind, leaving = MODULATED, rates.sum(axis=1)
        start, stays = np.cumsum(phases.shares), 1.0 / leaving
        moves = np.cumsum(rates, axis=1) / leaving[:, None]
        start[-1], moves[:, -1] = np.inf, np.inf  # rounding must not leave a gap at the end
    return Source(
        TRACE if traced else kind,
        1.0 / float(arrivals.peak_rate),
        law(scv),
        float(arrivals.on),
        float(arrivals.off),
        bool(arrivals.random_bursts),
        start,
        stays,
        moves,
    )


def costs(path: CapturePath, waits_scv: float = 0.0) -> Costs:
    """The flat numbers of one placement."""
    kernel, driver, buffer = path.kernel, path.kernel.driver, path.buffer
    if float(kernel.stall_rate) * float(kernel.stall_time) >= 1.0:
        raise ValueError(
            "a core that stands still all the time carries nothing: stall_rate times "
            f"stall_time must be below 1, got {kernel.stall_rate * kernel.stall_time}"
        )
    consumer, wakeup, same = path.consumer, path.wakeup, path.cores.pinning == "same"
    processes = _whole(consumer.processes)
    policy, mode = POLICIES[wakeup.policy], DRIVERS[driver.mode]
    measured = wakeup.law
    # a measured law counts from when the wait call was entered
    poll, sleep = float(wakeup.poll_cost) if measured is None else 0.0, float(wakeup.sleep)
    if policy == SLEEP and poll + sleep <= 0.0:
        policy = SPIN  # a sleep of no length looks all the time
    if mode == POLLING and not math.isfinite(float(driver.tick)):
        mode = NAPI  # a timer that never stops ticking looks all the time
    extra = float(driver.interrupt_cost) if mode == INTERRUPT else 0.0
    return Costs(
        same=same,
        share=min(float(path.cores.kernel_share), 1.0),
        ring=_whole(kernel.ring),
        capacity=_whole(buffer.capacity),
        kind=KINDS[buffer.kind],
        block=_whole(buffer.block),
        blocks=_whole(buffer.blocks),
        retire=float(buffer.retire),
        driver=mode,
        interrupt=float(driver.interrupt_cost),
        spacing=1.0 / float(driver.throttle),
        tick=1.0 / float(driver.tick),
        budget=_whole(driver.budget),
        kernel=float(kernel.cost) + extra,
        dropped=float(kernel.drop_cost) + extra,
        kernel_law=law(float(kernel.scv)),
        processes=processes,
        consumer=float(consumer.cost),
        consumer_law=law(float(consumer.scv)),
        policy=policy,
        signal=float(wakeup.cost),
        latency=float(wakeup.latency),
        poll=poll,
        # on a core of its own the latency holds the switch already
        switch=float(wakeup.switch_cost) if same or processes > 1 else 0.0,
        threshold=_whole(np.ceil(wakeup.threshold)),
        timeout=float(wakeup.timeout),
        sleep=sleep,
        spin=float(wakeup.spin),
        # who shares the kernel's core is stopped while the kernel works, and disturbs nobody
        contention=0.0 if same else float(wakeup.contention),
        wait_law=law(waits_scv),
        near=float(kernel.near_cost),
        early=float(wakeup.early_cost),
        leave=float(wakeup.leave),
        settle=float(wakeup.settle),
        idle_latency=float(wakeup.idle_latency),
        waking=float(wakeup.waking),
        since=_NO_ROW if measured is None else np.array(measured.since),
        law_costs=_NO_TABLE if measured is None else wakeup.cost * np.array(measured.cost),
        law_latencies=(
            _NO_TABLE if measured is None else wakeup.latency * np.array(measured.latency)
        ),
        law_slept=_NO_TABLE if measured is None else np.array(measured.slept),
        stall_gap=_gap_of(float(kernel.stall_rate), float(kernel.stall_time)),
        stall_time=float(kernel.stall_time),
        turn=float(path.cores.kernel_turn),
    )


def _gap_of(rate: float, time: float) -> float:
    """Mean time [s] from the end of a stall to the next; without an end where there is none."""
    return 1.0 / rate - time if rate * time > 0.0 else np.inf


def plain(c: Costs) -> bool:
    """Whether the recursion by packet holds: one consumer with slots and a core of its own."""
    napping_disturbs = c.policy == SLEEP and c.contention > 0.0 and c.poll > 0.0
    return (
        not c.same
        and c.processes == 1
        and c.kind != BLOCKS
        and c.driver in (NAPI, INTERRUPT)
        and not napping_disturbs
    )
