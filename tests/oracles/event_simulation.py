"""Slow and obvious: the capture path moved from one event to the next, nothing averaged.

Two cores. A packet arrives and takes a slot of the ring (none free: ring drop). The kernel serves
one packet in `kernel_cost`, frees its ring slot, puts it into the buffer (full: buffer drop) and,
if the consumer sleeps and enough packets wait, spends `wakeup_cost` on a signal; the consumer runs
`wakeup_cost + latency` after the signal began. The consumer spends `consumer_cost` per packet and
frees the buffer slot at the end of it. What it does at an empty buffer is its policy:

* poll: enters the call, which takes `poll_cost`; at its end a packet keeps it awake, or it sleeps;
* spin: looks all the time, and kernel work takes (1 + contention) times as long meanwhile;
* sleep: sleeps `sleep` seconds, looks, sleeps again.

One core: whenever the ring holds a packet the kernel works on it, otherwise the consumer goes on
where it was interrupted, woken for free; a packet that finds the buffer full costs `drop_cost`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEVER = math.inf


@dataclass
class Counts:
    """What was counted between the end of the warm-up and the end of the run."""

    offered: int = 0
    ring_drops: int = 0
    buffer_drops: int = 0
    delivered: int = 0
    wakes: int = 0
    polls: int = 0
    elapsed: float = 0.0
    kernel_busy: float = 0.0
    left_inside: int = 0  # packets inside at the end less packets inside after the warm-up

    @property
    def captured(self) -> float:
        return self.delivered / (self.delivered + self.ring_drops + self.buffer_drops)

    @property
    def carried_rate(self) -> float:
        return self.delivered / self.elapsed

    @property
    def wakeup_rate(self) -> float:
        return self.wakes / self.elapsed


def durations(law: str, mean: float, rng: np.random.Generator) -> Iterator[float]:
    """Endless draws of a duration; a mean of 0 or infinity is that constant."""
    if law in ("deterministic", "cbr") or mean in (0.0, NEVER):
        return itertools.repeat(mean)
    assert law in ("exponential", "poisson"), law
    return (x for _ in itertools.count() for x in rng.exponential(mean, 4096).tolist())


def two_core(  # noqa: PLR0912, PLR0915 - one loop, one branch per event
    *,
    rate: float,
    ring: int,
    capacity: int,
    kernel_cost: float,
    consumer_cost: float,
    wakeup_cost: float = 0.0,
    latency: float = 0.0,
    poll_cost: float = 0.0,
    threshold: int = 1,
    timeout: float = NEVER,
    policy: str = "poll",
    sleep: float = 0.0,
    contention: float = 0.0,
    arrivals: str = "poisson",
    service: str = "deterministic",
    waits: str = "deterministic",
    packets: int = 50_000,
    warmup: int = 5_000,
    seed: int = 1,
) -> Counts:
    """Offer `packets` packets after `warmup` others and count what becomes of them."""
    rng = np.random.default_rng(seed)
    gap = durations(arrivals, 1.0 / rate, rng)
    kernel_time = durations(service, kernel_cost, rng)
    consumer_time = durations(service, consumer_cost, rng)
    signal_time = durations(waits, wakeup_cost, rng)
    latency_time = durations(waits, latency, rng)
    poll_time = durations(waits, poll_cost, rng)
    sleep_time = durations(waits, sleep, rng)

    now = 0.0
    in_ring = in_buffer = 0  # both include the packet in service
    kernel, kernel_end = "idle", NEVER  # idle, packet, signal
    consumer, consumer_end = "asleep", NEVER  # asleep, waking, packet, poll, sleep, spin
    if policy == "spin":
        consumer = "spin"
    elif policy == "sleep":
        consumer, consumer_end = "sleep", next(sleep_time)
    timer_end, signal_due = NEVER, False
    arrival = next(gap)
    counts, inside, begun, seen = Counts(), 0, 0.0, 0

    while True:
        last, now = now, min(arrival, kernel_end, consumer_end, timer_end)
        if kernel != "idle":
            counts.kernel_busy += now - last
        before = consumer
        delivered_now = False

        if now == kernel_end:
            if kernel == "packet":
                in_ring -= 1
                delivered_now = in_buffer < capacity
                in_buffer += delivered_now
                counts.buffer_drops += not delivered_now
            kernel, kernel_end = "idle", NEVER
        elif now == consumer_end:
            if consumer == "packet":
                in_buffer, counts.delivered = in_buffer - 1, counts.delivered + 1
            if in_buffer > 0:
                consumer, consumer_end = "packet", now + next(consumer_time)
            elif policy == "spin":
                consumer, consumer_end = "spin", NEVER
            elif policy == "sleep":
                consumer, consumer_end = "sleep", now + next(sleep_time)
                counts.polls += 1
            elif consumer == "poll":
                consumer, consumer_end = "asleep", NEVER
            else:
                consumer, consumer_end = "poll", now + next(poll_time)
                counts.polls += 1
        elif now == timer_end:
            timer_end, signal_due = NEVER, True
        else:
            seen += 1
            if seen == warmup + 1:  # everything before this packet is forgotten
                counts, inside, begun = Counts(), in_ring + in_buffer, now
            if seen > warmup + packets:
                break
            counts.offered += 1
            arrival = now + next(gap)
            if in_ring == ring:
                counts.ring_drops += 1
            else:
                in_ring += 1

        # a packet that came to the buffer is noticed by whoever is looking, or starts the timer
        if delivered_now and consumer == "spin":
            consumer, consumer_end = "packet", now + next(consumer_time)
        if delivered_now and consumer == "asleep":
            if in_buffer >= threshold:
                signal_due = True
            elif in_buffer == 1:
                timer_end = now + timeout
        # the kernel signals as soon as it is between packets, before it takes the next one
        if signal_due and kernel == "idle":
            signal_due, timer_end = False, NEVER
            length = next(signal_time)
            kernel, kernel_end = "signal", now + length
            consumer, consumer_end = "waking", now + length + next(latency_time)
            counts.wakes += 1
        if kernel == "idle" and in_ring > 0:
            slow = 1.0 + contention if consumer == "spin" else 1.0
            kernel, kernel_end = "packet", now + slow * next(kernel_time)
        elif kernel == "packet" and (before == "spin") != (consumer == "spin"):
            factor = 1.0 + contention if consumer == "spin" else 1.0 / (1.0 + contention)
            kernel_end = now + factor * (kernel_end - now)

    counts.elapsed = now - begun
    counts.left_inside = in_ring + in_buffer - inside
    return counts


def same_core(  # noqa: PLR0912, PLR0915
    *,
    rate: float,
    ring: int,
    capacity: int,
    kernel_cost: float,
    consumer_cost: float,
    drop_cost: float | None = None,
    arrivals: str = "poisson",
    service: str = "deterministic",
    packets: int = 50_000,
    warmup: int = 5_000,
    seed: int = 1,
) -> Counts:
    """One core, kernel first; the consumer wakes for free and goes on where it was interrupted."""
    rng = np.random.default_rng(seed)
    gap = durations(arrivals, 1.0 / rate, rng)
    kernel_time = durations(service, kernel_cost, rng)
    drop_time = durations(service, kernel_cost if drop_cost is None else drop_cost, rng)
    consumer_time = durations(service, consumer_cost, rng)

    now, arrival = 0.0, next(gap)
    in_ring = in_buffer = 0
    kernel_left = consumer_left = NEVER  # time of the core still needed by the packet in service
    counts, inside, begun, seen = Counts(), 0, 0.0, 0
    while True:
        worker = "kernel" if in_ring else "consumer" if in_buffer else "nobody"
        left = {"kernel": kernel_left, "consumer": consumer_left, "nobody": NEVER}[worker]
        step = min(arrival - now, left)
        finished = left <= arrival - now
        now = now + step if finished else arrival
        if worker == "kernel":
            counts.kernel_busy += step
            kernel_left -= step
        elif worker == "consumer":
            consumer_left -= step

        if finished and worker == "kernel":
            in_ring -= 1
            if in_buffer == capacity:
                counts.buffer_drops += 1
            else:
                in_buffer += 1
                if in_buffer == 1:
                    counts.wakes += 1
                    consumer_left = next(consumer_time)
            if in_ring:
                kernel_left = next(drop_time if in_buffer == capacity else kernel_time)
        elif finished:
            in_buffer -= 1
            counts.delivered += 1
            if in_buffer:
                consumer_left = next(consumer_time)
        else:
            seen += 1
            if seen == warmup + 1:
                counts, inside, begun = Counts(), in_ring + in_buffer, now
            if seen > warmup + packets:
                break
            counts.offered += 1
            arrival = now + next(gap)
            if in_ring == ring:
                counts.ring_drops += 1
            else:
                in_ring += 1
                if in_ring == 1:
                    kernel_left = next(drop_time if in_buffer == capacity else kernel_time)

    counts.elapsed = now - begun
    counts.left_inside = in_ring + in_buffer - inside
    return counts
