"""Kernel and consumer on two cores: ring, kernel, buffer and consumer in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capmodel.formulary._elementwise import each_floats, floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath
from capmodel.solvers._drivers import DriverLoad, driver_load
from capmodel.solvers._gathering import Batches
from capmodel.solvers._losses import (
    burst_backlog,
    loss_at_buffer,
    loss_at_ring,
    reading_time,
    ring_backlog,
    room_for_bursts,
)
from capmodel.solvers._outcome import Outcome, regime_index, with_idle
from capmodel.solvers._shares import (
    Flags,
    affordable,
    bursts_per_second,
    departure_scv,
    duty_of,
    random_waits,
    reciprocal,
)
from capmodel.solvers._stages import Stage, stage_of


def solve_split(path: CapturePath) -> Outcome:
    """Long-run rates of the two-core path; arrays broadcast."""
    arrivals, kernel, consumer = path.arrivals, path.kernel, path.consumer
    load = driver_load(kernel, arrivals)
    offered, scv = each_floats(arrivals.peak_rate, arrivals.scv)
    cost, drop_cost = each_floats(kernel.cost, kernel.drop_cost)
    work = floats(consumer.cost * consumer.processes)
    accepted_cost = (cost + load.extra) * load.stretch
    dropped_cost = (drop_cost + load.extra) * load.stretch
    at_card = minimum(offered, load.cap)

    departures = departure_scv(at_card * accepted_cost, scv, kernel.scv)
    stage = stage_of(path, at_card, accepted_cost, dropped_cost, work, departures)
    ring_load = at_card * reciprocal(stage.kernel_rate)
    ring_loss = loss_at_ring(path, at_card, stage.kernel_rate, ring_load, scv, load.looks)
    taken = at_card * (1.0 - ring_loss)
    ring_drops = at_card * ring_loss + (offered - at_card)

    consumer_loss, overload = loss_at_buffer(path, taken, work, departures)
    if arrivals.process == "on_off":
        # the ring spreads a burst: a consumer that keeps up with the kernel is not overloaded
        keeps_up = stage.kernel_rate * reading_time(path, work) < 1.0
        consumer_loss = where(keeps_up, 0.0, consumer_loss)
        overload = overload & ~keeps_up
    kept = 1.0 - stage.share_lost
    overflow = taken * stage.share_lost
    consumer_drops = taken * kept * consumer_loss
    carried = taken * kept * (1.0 - consumer_loss)

    duty, bursty = duty_of(path), arrivals.process == "on_off" and stage.held is None
    room = 1.0 / duty  # core time per second of bursts: both sides work on between them
    batches = Batches.of(load, at_card, scv, ring_load)
    stage = _in_batches(path, stage, batches, accepted_cost, overload)
    cycles = _sleeps(path, stage, taken, consumer_loss, overload)
    # nobody waits more often than the consumers' core has time to
    cycles = minimum(cycles, affordable(maximum(room - carried * work, 0.0), stage.busy))
    accepted, dropped = carried, overflow + consumer_drops
    packets_time, drops_time = accepted * cost, dropped * drop_cost
    # nor is anybody woken more often than the kernel has time to
    left = maximum(room - packets_time - drops_time, 0.0)
    cycles = minimum(cycles, affordable(left, stage.overhead))
    overhead_time = cycles * stage.overhead
    busy = packets_time + drops_time + overhead_time
    interrupts = load.interrupts(at_card, taken, busy * reciprocal(taken))
    spare = maximum(room - busy, 0.0)
    interrupts = minimum(interrupts, affordable(spare, kernel.driver.interrupt_cost))
    direct = path.buffer.kind == "ring"
    buffer_drops = overflow + consumer_drops
    zero = 0.0 * buffer_drops
    flow = minimum(carried, stage.kernel_rate)
    ring_occupancy, buffer_occupancy = _occupancies(
        path, ring_load, scv, stage, flow, work, at_card, taken, overload, departures
    )
    ring_occupancy = ring_occupancy + batches.gathering(minimum(spare, 1.0))
    kept_full = load.keeps_full(offered, kernel)
    ring_occupancy = where(kept_full, kernel.ring, minimum(ring_occupancy, kernel.ring))
    if stage.held is None:
        piled = batches.backlog(accepted_cost, work)
        buffer_occupancy = minimum(maximum(buffer_occupancy, piled), path.buffer.capacity)
    return Outcome(
        ring_drops=duty * (ring_drops + (buffer_drops if direct else zero)),
        buffer_drops=zero if direct else duty * buffer_drops,
        # only an overload that lasts fills a buffer once; bursts fill it again and again
        overload_drops=zero
        if direct
        else where(duty * taken * work >= 1.0, duty * buffer_drops, 0.0),
        wakeup_rate=duty * cycles * stage.wakes,
        # who is overloaded by bursts waits once after each
        poll_rate=duty * cycles * (maximum(stage.polls, 1.0) if bursty else stage.polls),
        interrupt_rate=duty * interrupts,
        core_time={
            "kernel": with_idle(
                {
                    "packets": duty * packets_time,
                    "drops": duty * drops_time,
                    "wakeups": duty * overhead_time,
                    "interrupts": duty * interrupts * kernel.driver.interrupt_cost,
                }
            ),
            "consumer": with_idle(
                {
                    "packets": minimum(duty * carried * work, 1.0),
                    "waiting": duty * cycles * stage.busy,
                }
            ),
        },
        ring_occupancy=duty * ring_occupancy,
        buffer_occupancy=duty * buffer_occupancy,
        delay=load.delay + 0.0 * carried,
        regime=_regime(stage, ring_loss, consumer_loss, overload, offered, load),
    )


def _sleeps(
    path: CapturePath, stage: Stage, taken: Array, consumer_loss: Array, overload: Flags
) -> Array:
    """Sleep cycles per second of bursts, of all processes together."""
    cycles = stage.cycles * (1.0 - consumer_loss)
    if stage.held is not None:  # read calls, which go on in overload
        return cycles
    bursts = path.arrivals.process == "on_off"
    if bursts and stage.burst is not None:
        # what the ring holds after a burst is delivered at the kernel's pace, as in the burst
        cycles = maximum(cycles, taken * reciprocal(stage.burst))
    return where(overload, bursts_per_second(path), cycles)


def _in_batches(
    path: CapturePath, stage: Stage, batches: Batches, cost: Array, overload: Flags
) -> Stage:
    """The same stage, its sleep cycles those of packets that come in batches."""
    wakeup, consumer, burst = path.wakeup, path.consumer, stage.burst
    if not some(batches.size > 0.0):
        return stage
    if wakeup.policy == "yield":
        window = wakeup.spin + wakeup.poll_cost
        work = floats(consumer.cost * consumer.processes)
        known, within = batches.looking(window, cost, work)
        known = known & ~overload
        slowed = wakeup.contention / (1.0 + wakeup.contention) * within
        return replace(
            stage,
            cycles=where(known, batches.each_second * consumer.processes, stage.cycles),
            busy=where(known, window + within, stage.busy),
            overhead=where(known, wakeup.cost + slowed, stage.overhead),
        )
    if burst is None:
        return stage
    cycles = batches.cycles(stage.cycles, burst, consumer.processes)
    return replace(stage, cycles=where(overload, stage.cycles, cycles))


def _occupancies(
    path: CapturePath, ring_load: Array, scv: Array, stage: Stage, carried: Array, work: Array,
    offered: Array, taken: Array, overload: Flags, departures: Array,
) -> tuple[Array, Array]:  # fmt: skip
    ring, capacity = each_floats(path.kernel.ring, path.buffer.capacity)
    spread = scv + path.kernel.scv
    open_load = minimum(ring_load, 1.0 - 1e-12)
    queued = open_load + open_load**2 * spread / (2.0 * (1.0 - open_load))
    full = ring
    if path.arrivals.process == "on_off":
        full = ring_backlog(path, offered, stage.kernel_rate)
    in_ring = where(ring_load >= 1.0, full, minimum(queued, ring))
    load = minimum(carried * work, 1.0)
    room = maximum(1.0 - load, 1e-12)
    # one sleep cycle: fills from its first packet on, drains at the rest of the consumer's rate
    drain = stage.peak * work / room
    cycles = stage.cycles / stage.sleepers
    behind_first = maximum(stage.peak - 1.0, 0.0)  # the first is in service then, not waiting
    waiting = 0.5 * ((1.0 + stage.peak) * stage.fill + behind_first * drain) * cycles
    # what random services leave waiting, beside what a sleep does
    random = load * random_waits(load, departures, floats(path.consumer.scv))
    steady = minimum(load + minimum(waiting, stage.peak) + random, capacity)
    in_buffer = where(load >= 1.0 - 1e-9, capacity, steady)
    if stage.held is not None:
        in_buffer = minimum(stage.held, capacity)
    if path.arrivals.process == "on_off":
        each, room = reading_time(path, work), room_for_bursts(path)
        fluid = burst_backlog(path, offered, stage.kernel_rate, taken, each, room)
        gathered = 0.0 if stage.held is None else stage.held
        in_buffer = where(overload, minimum(fluid + gathered, capacity / duty_of(path)), in_buffer)
    if path.buffer.kind == "ring":
        return in_buffer, np.zeros_like(in_buffer)
    return in_ring, in_buffer


def _regime(
    stage: Stage,
    ring_loss: Array,
    consumer_loss: Array,
    overload: Flags,
    offered: Array,
    load: DriverLoad,
) -> Array:
    names = ("card", "consumer", "buffer", "kernel")
    flags = (
        offered > load.cap,
        overload & (consumer_loss + stage.share_lost >= ring_loss),
        stage.share_lost > maximum(ring_loss, consumer_loss),
        ring_loss > 1e-6,
    )
    if all(isinstance(flag, (np.bool_, bool)) for flag in flags):
        first = (name for name, flag in zip(names, flags, strict=True) if flag)
        return np.asarray(regime_index(next(first, "unsaturated")))
    shape = np.broadcast_shapes(*(np.shape(flag) for flag in flags))
    chosen = np.full(shape, regime_index("unsaturated"))
    for name, flag in reversed(list(zip(names, flags, strict=True))):
        chosen = where(flag, regime_index(name), chosen)
    return chosen
