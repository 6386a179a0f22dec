"""The plain two-core path packet by packet: a recursion on departure times, no event list.

One consumer with slots (or the ring itself) on a core of its own. A packet finds a free ring slot
if the packet R before it has left the ring, a free buffer slot if the one K before it has been
processed; everything else follows from when the kernel and the consumer were last free.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capmodel.simulation.arrivals import begin, draw, next_stall, redraw, refill
from capmodel.simulation.compiled import compiled
from capmodel.simulation.costs import FIXED, INTERRUPT, RING, SLEEP, SPIN, YIELD, Costs, Source
from capmodel.simulation.tally import (
    BUFFER_DROPS,
    BUFFER_TIME,
    CAPTURED,
    CONSUMER_PACKETS,
    CONSUMER_WAITING,
    ELAPSED,
    INTERRUPTS,
    KERNEL_DROPS,
    KERNEL_INTERRUPTS,
    KERNEL_PACKETS,
    KERNEL_WAKEUPS,
    OFFERED,
    POLLS,
    RING_DROPS,
    RING_TIME,
    STAY,
    WAKES,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CHUNK = 1024  # arrivals and draws made at a time; stays in the first-level cache


@compiled
def _slowed(start: float, work: float, free: float, window: float, contention: float) -> float:
    """End of kernel work that is slower from `free`, when the consumer idles, for `window` [s]."""
    end = start + work
    if end <= free or start >= free + window:
        return end
    if start < free:
        work -= free - start
        start = free
    slow = 1.0 + contention
    room = free + window - start
    if work * slow <= room:
        return start + work * slow
    return free + window + work - room / slow


@compiled
def recursion(  # noqa: PLR0912, PLR0915 - one pass, one branch per thing that can happen
    c: Costs,
    source: Source,
    rng: np.random.Generator,
    trace: Floats,
    warmup: int,
    packets: int,
    horizon: float,
    filled: int,
    times: Floats,
    counts: Integers,
    kernel_factors: Floats,
    consumer_factors: Floats,
) -> None:
    """Offer `packets` after `warmup` others, or all until `horizon` [s]; add up in the tallies.

    The factors, if there are any, say of every packet of a trace how much of the mean work it is.
    """
    clock = np.zeros(4)
    begin(rng, source, clock)
    last = warmup + packets
    ring_size, size = min(c.ring, last + 1), min(c.capacity, last + 1)
    left_ring = np.full(ring_size, -np.inf)  # when the last R packets left the ring
    done = np.full(size, -np.inf)  # when the last K packets of the buffer will be processed
    came = np.zeros(size if c.threshold > 1 else 1)  # when those arrived that wait for a signal
    sized = kernel_factors.size > 0
    which = np.zeros(size if c.threshold > 1 and sized else 1, np.int64)  # and which they are
    arrivals, draws, draws2 = np.empty(_CHUNK), np.ones(_CHUNK), np.ones(_CHUNK)
    next_draw = next_draw2 = _CHUNK
    ring_at, at = 0, 0
    direct, per_packet = c.kind == RING, c.driver == INTERRUPT
    two_part, first = c.dropped != c.kernel, min(c.kernel, c.dropped)
    window = np.inf if c.policy == SPIN else (c.spin if c.policy == YIELD else 0.0)
    slows = c.contention > 0.0 and window > 0.0
    period = c.sleep + c.poll
    sleeps, batches = c.policy == SLEEP, c.threshold > 1
    kernel_fixed, consumer_fixed = c.kernel_law.kind == FIXED, c.consumer_law.kind == FIXED
    waits_fixed = c.wait_law.kind == FIXED
    kernel_free, last_interrupt = -np.inf, -np.inf
    free = 0.0  # when the consumer will have processed all that it knows of
    poll, cost, latency = c.poll, c.signal, c.latency
    nearness, early, settles = c.near > 0.0 and not direct, c.early, c.settle > 0.0
    half = size - (size + 1) // 2
    since, law_costs, law_latencies, law_slept = (
        c.since, c.law_costs, c.law_latencies, c.law_slept
    )  # fmt: skip
    lawful, columns = since.size > 0, law_costs.shape[1]
    stall = next_stall(rng, c.stall_gap, c.stall_time, 0.0)
    running = -np.inf  # when the consumer that was signalled last runs
    waiting, waiting_from, timer = 0, 0, np.inf  # packets that wait for a signal
    begun = arrival = 0.0
    # tallies in local variables, which the compiler keeps in registers
    offered = ring_drops = buffer_drops = captured = wakes = polls = interrupts = 0
    ring_time = buffer_time = stay = 0.0
    kernel_packets = kernel_drops = kernel_wakeups = kernel_interrupts = 0.0
    consumer_packets = consumer_waiting = 0.0
    # a run in progress: the buffer holds packets that came before
    for _ in range(min(filled, size)):
        free += c.consumer
        done[at] = free
        at = at + 1 if at + 1 < size else 0
    index = -1
    while True:
        index += 1
        if index % _CHUNK == 0:
            refill(rng, source, clock, trace, arrivals)
        arrival = arrivals[index % _CHUNK]
        if index == warmup and index > 0:
            offered = ring_drops = buffer_drops = captured = wakes = polls = interrupts = 0
            ring_time = stay = 0.0
            buffer_time = -waiting * arrival
            kernel_packets = kernel_drops = kernel_wakeups = kernel_interrupts = 0.0
            consumer_packets = consumer_waiting = 0.0
            begun = arrival
        if arrival > horizon or index >= last:
            break
        offered += 1
        if left_ring[ring_at] > arrival or (direct and done[at] > arrival):
            ring_drops += 1
            continue

        # the kernel; a timer may have run out before it takes this packet
        while stall.end < np.inf and (stall.end <= arrival or stall.end <= kernel_free):
            stall = next_stall(rng, c.stall_gap, c.stall_time, stall.end)
        if stall.at <= arrival or stall.at <= kernel_free:
            kernel_free = stall.end
        start = arrival if arrival > kernel_free else kernel_free
        signalled = waiting > 0 and timer <= start
        signal_at = timer if timer > kernel_free else kernel_free
        served = False
        end = start
        while True:
            if signalled:
                if not waits_fixed:
                    cost = c.signal * draw(rng, c.wait_law)
                    latency = c.latency * draw(rng, c.wait_law)
                kernel_free = signal_at + cost
                free = running = kernel_free + latency
                wakes += 1
                if signal_at < horizon:
                    kernel_wakeups += cost
                for _ in range(waiting):
                    work = c.consumer if consumer_fixed else c.consumer * draw(rng, c.consumer_law)
                    if sized:
                        work *= consumer_factors[which[waiting_from]]
                    free += work
                    done[waiting_from] = free
                    if free <= horizon:
                        consumer_packets += work
                    stay += free - came[waiting_from]
                    buffer_time += min(free, horizon)
                    waiting_from = waiting_from + 1 if waiting_from + 1 < size else 0
                waiting, timer, signalled = 0, np.inf, False
                start = arrival if arrival > kernel_free else kernel_free
            if served:
                break
            served = True
            if per_packet:
                interrupts += 1
            elif arrival >= kernel_free:
                # the ring was empty: an interrupt, as soon as the card may raise one
                soonest = last_interrupt + c.spacing
                last_interrupt = arrival if arrival > soonest else soonest
                interrupts += 1
                if last_interrupt < horizon:
                    kernel_interrupts += c.interrupt
                if slows:
                    slept = free if waiting == 0 else np.inf
                    start = _slowed(last_interrupt, c.interrupt, slept, window, c.contention)
                    if start <= horizon:
                        kernel_wakeups += start - last_interrupt - c.interrupt
                else:
                    start = last_interrupt + c.interrupt
            factor = 1.0
            if not kernel_fixed:
                if next_draw == _CHUNK:
                    redraw(rng, c.kernel_law, draws)
                    next_draw = 0
                factor = draws[next_draw]
                next_draw += 1
            if sized:
                factor *= kernel_factors[index]
            work = first * factor
            # near: of the packets before this one not half a buffer are left
            beside = c.near if nearness and done[(at + half) % size] <= start else 0.0
            if start < running:
                beside += c.waking
            idle_from = free if waiting == 0 else np.inf
            end = start + (work + beside)
            if slows:
                end = _slowed(start, work + beside, idle_from, window, c.contention)
            full = not direct and done[at] > end
            if two_part:
                rest = (c.dropped if full else c.kernel) * factor - work
                if rest > 0.0:
                    work += rest
                    if slows:
                        end = _slowed(end, rest, idle_from, window, c.contention)
                    else:
                        end += rest
            work += beside
            kernel_free = end
            left_ring[ring_at] = end
            ring_at = ring_at + 1 if ring_at + 1 < ring_size else 0
            ring_time += min(end, horizon) - arrival
            if end <= horizon:
                if full:
                    kernel_drops += work
                else:
                    kernel_packets += work
                if slows:
                    kernel_wakeups += end - start - work
            if full:
                buffer_drops += 1
                break
            captured += 1

            # the consumer: asleep and still waiting for the batch to fill?
            if batches:
                if waiting == 0 and end > free + window + poll and not sleeps:
                    polls += 1
                    if free < horizon:
                        consumer_waiting += window + poll
                    if not waits_fixed:
                        poll = c.poll * draw(rng, c.wait_law)
                    waiting_from, timer = at, end + c.timeout
                    free = np.inf
                if free == np.inf:
                    came[at] = arrival
                    if sized:
                        which[at] = index
                    done[at] = np.inf
                    at = at + 1 if at + 1 < size else 0
                    buffer_time -= min(end, horizon)
                    waiting += 1
                    signalled = waiting >= c.threshold or timer <= end
                    signal_at = end
                    if signalled:
                        continue
                    break
            if end > free:  # it has found the buffer empty
                idle = end - free
                if sleeps:
                    looks = np.ceil(idle / period)
                    polls += int(looks)
                    if end < horizon:
                        consumer_waiting += looks * c.poll
                    free += looks * period
                elif idle <= window:
                    if end < horizon:
                        consumer_waiting += idle
                    free = end
                else:
                    polls += 1
                    if free < horizon:
                        consumer_waiting += window + poll
                    free += window + poll
                    if lawful:
                        row = np.searchsorted(since, end - free, side="right") - 1
                        column = int(columns * rng.random()) if columns > 1 else 0
                        cost = law_costs[row, column]
                        wakes += int(law_slept[row, column])
                        if end < horizon:
                            kernel_wakeups += cost
                        kernel_free = end + cost
                        free = running = kernel_free + law_latencies[row, column]
                    elif end > free:  # asleep
                        cost, latency = c.signal, c.latency
                        if settles:
                            idle = end - free - c.leave
                            if 0.0 <= idle < c.settle:
                                cost, latency = early, c.idle_latency
                        if not waits_fixed:
                            cost *= draw(rng, c.wait_law)
                            latency *= draw(rng, c.wait_law)
                        wakes += 1
                        if end < horizon:
                            kernel_wakeups += cost
                        kernel_free = end + cost
                        free = running = kernel_free + latency
                    elif early > 0.0:
                        kernel_free = end + early
                        if end < horizon:
                            kernel_wakeups += early
                    if not waits_fixed:
                        poll = c.poll * draw(rng, c.wait_law)
            work = c.consumer
            if not consumer_fixed:
                if next_draw2 == _CHUNK:
                    redraw(rng, c.consumer_law, draws2)
                    next_draw2 = 0
                work *= draws2[next_draw2]
                next_draw2 += 1
            if sized:
                work *= consumer_factors[index]
            free += work
            done[at] = free
            at = at + 1 if at + 1 < size else 0
            if free <= horizon:
                consumer_packets += work
            stay += free - arrival
            buffer_time += min(free, horizon) - min(end, horizon)
            break
    over = horizon if np.isfinite(horizon) else arrival
    buffer_time += waiting * over
    times[ELAPSED] = over - begun
    times[RING_TIME], times[BUFFER_TIME], times[STAY] = ring_time, buffer_time, stay
    times[KERNEL_PACKETS], times[KERNEL_DROPS] = kernel_packets, kernel_drops
    times[KERNEL_WAKEUPS], times[KERNEL_INTERRUPTS] = kernel_wakeups, kernel_interrupts
    times[CONSUMER_PACKETS], times[CONSUMER_WAITING] = consumer_packets, consumer_waiting
    counts[OFFERED], counts[RING_DROPS], counts[BUFFER_DROPS] = offered, ring_drops, buffer_drops
    counts[CAPTURED], counts[WAKES], counts[POLLS] = captured, wakes, polls
    counts[INTERRUPTS] = interrupts
