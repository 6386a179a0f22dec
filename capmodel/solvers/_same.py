"""Kernel and consumer on one core: priority, starvation, and what is left for the consumer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capmodel.formulary._elementwise import clip, each_floats, floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.formulary.batches import interrupt_batch_loss
from capmodel.formulary.loss import loss_gg1k_diffusion
from capmodel.formulary.same_core import same_core_carried_rate
from capmodel.path import CapturePath, Number
from capmodel.solvers._blocks import (
    BLOCK_KINDS,
    block_loss,
    block_occupancy,
    calls_per_block,
    packets_per_block,
    with_reads,
)
from capmodel.solvers._drivers import driver_load
from capmodel.solvers._gathering import Batches
from capmodel.solvers._losses import loss_at_buffer
from capmodel.solvers._outcome import Outcome, regime_index, with_idle
from capmodel.solvers._same_bursts import bursts_on_one_core
from capmodel.solvers._shares import (
    affordable,
    bursts_per_second,
    departure_scv,
    duty_of,
    random_waits,
    reciprocal,
)
from capmodel.solvers._vacations import cycle, vacation

_ROUNDS = 2  # the second changes the carried rate by less than 1 %


@dataclass(frozen=True)
class _Waits:
    """Below overload: share lost while the consumer is away, and what its waits cost."""

    lost: Array
    cycles: Array
    polls: Array
    waiting: Array
    wakes: Number
    held: Array  # mean time a packet waits for others [s]
    awake: Number = 0.0  # from the signal until the consumer works, the context switch apart [s]
    together: Number = 1.0  # packets that one wakeup hands over, by the policy alone [-]
    switches: Number = 1.0  # context switches per cycle
    full: Array | None = None  # packets in the buffer in overload; None: as many as it takes
    kept: Array | None = None  # packets in a buffer of blocks, whose cycles go on in overload


def solve_same(path: CapturePath) -> Outcome:
    """Long-run rates of the one-core path; arrays broadcast."""
    arrivals, kernel = path.arrivals, path.kernel
    load = driver_load(kernel, arrivals)
    offered, scv, share = each_floats(arrivals.peak_rate, arrivals.scv, path.cores.kernel_share)
    cost, drop_cost = (
        (floats(each) + load.extra) * load.stretch for each in (kernel.cost, kernel.drop_cost)
    )
    work = floats(path.consumer.cost * path.consumer.processes)
    at_card = minimum(offered, load.cap)
    reading = work + _read_cost(path, at_card)
    if arrivals.process != "on_off" and some(at_card > load.looks):
        carried = same_core_carried_rate(at_card, cost, reading, drop_cost, share)
        handling = (carried * cost + (at_card - carried) * drop_cost) / at_card
        # what the ring does not hold between two interrupts never costs the core a thing
        batch = interrupt_batch_loss(
            at_card, reciprocal(handling), kernel.ring, 1.0 / floats(load.looks), scv, kernel.scv
        )
        at_card = where(batch > 0.0, at_card * (1.0 - batch), at_card)

    interrupted = np.zeros_like(at_card)
    carried = same_core_carried_rate(at_card, cost, reading, drop_cost, share)
    # the kernel goes first: it empties the ring and is interrupted again, overload or not; how
    # often hangs a little on how many packets it only throws away
    for _ in range(_ROUNDS if some(floats(load.apart) > 0.0) else 0):
        handling = (carried * cost + (at_card - carried) * drop_cost) / at_card
        interrupted = minimum(load.apart * load.interrupts(at_card, at_card, handling), 1.0)
        carried = same_core_carried_rate(at_card, cost, reading, drop_cost, share, interrupted)
    needed = at_card * (cost + reading) + interrupted
    overload = needed > 1.0
    # what the consumer leaves of the core goes to the kernel: packets taken only to be dropped
    left = maximum(1.0 - interrupted - carried * (reading + cost), 0.0)
    flooded = minimum(at_card, carried + left * reciprocal(drop_cost))
    ring_loss = where(
        overload,
        maximum(at_card - flooded, 0.0) / at_card,
        loss_gg1k_diffusion(at_card * cost, kernel.ring, scv + kernel.scv),
    )
    bursts = None
    if arrivals.process == "on_off":
        bursts = bursts_on_one_core(
            path, at_card, cost, drop_cost, reading, interrupted, load.looks
        )
        ring_loss = bursts.ring_loss
        carried = at_card * (1.0 - ring_loss) * (1.0 - bursts.lost)
    taken = at_card * (1.0 - ring_loss)

    # below overload the consumer works in what the kernel leaves: its packets take longer
    stretch = reciprocal(maximum(1.0 - taken * cost - interrupted, 1e-9))
    slow_work = work * stretch
    departures = departure_scv(at_card * cost, scv, np.asarray(kernel.scv))
    if path.buffer.kind in BLOCK_KINDS:
        waits = _block_waits(path, taken, carried, overload, stretch, departures)
    else:
        waits = _waits(path, taken, slow_work, departures)
    flood_loss = maximum(taken - carried, 0.0) / maximum(taken, 1e-300)
    if bursts is None:
        random_loss, _ = loss_at_buffer(path, taken, slow_work, departures)
    else:  # what they bring is worked off between them
        flood_loss, random_loss = bursts.lost, 0.0 * taken
        waits = replace(waits, full=bursts.backlog)
    small_loss = waits.lost + (1.0 - waits.lost) * random_loss
    lost = where(overload, flood_loss, small_loss)
    drops = at_card * ring_loss + (offered - at_card)  # what was lost before included
    return _outcome(path, offered, drops, taken, lost, needed, waits)


def _read_cost(path: CapturePath, flow: Array) -> Array:
    """Per packet what a reader pays per block [s]."""
    buffer = path.buffer
    if buffer.kind not in BLOCK_KINDS:
        return floats(0.0)
    each = floats(path.wakeup.poll_cost * path.consumer.processes)
    return each / packets_per_block(buffer, flow)


def _waits(path: CapturePath, taken: Array, work: Array, scv: Array) -> _Waits:
    wakeup = path.wakeup
    every = reciprocal(taken)
    away = vacation(wakeup, every, minimum(work, every))
    behind = minimum(work, every * (1.0 - 1e-12))
    turn = cycle(every, behind, away, path.buffer.capacity, scv, False)
    missed = turn.lost_time * turn.cycles * taken
    lost = missed * reciprocal(turn.carried + missed)
    cycles = turn.cycles
    if away.wakes:
        # the kernel goes first: what came while it was busy is one batch, so there is one wakeup
        # per busy period of the core: every packet's own for regular arrivals, and for Poisson
        # ones as many as find the core idle
        busy = minimum(taken * (path.kernel.cost + path.consumer.cost), 1.0)
        mix = clip(path.arrivals.scv, 0.0, 1.0)
        cycles = minimum(taken * (1.0 - mix * busy) / away.least, taken)
    late = wakeup.latency * away.wakes
    held = 0.5 * (away.burst - late)
    awake, together = away.signal + late, maximum(away.least, 1.0)
    return _Waits(lost, cycles, turn.polls, turn.busy, away.wakes, held, awake, together)


def _block_waits(
    path: CapturePath, taken: Array, carried: Array, overload: Array, stretch: Array, scv: Array
) -> _Waits:
    """One read call per block; on an overloaded core the reader never sleeps, and all are full."""
    buffer, processes = path.buffer, floats(path.consumer.processes)
    slow = with_reads(path.wakeup, processes * stretch)
    work = path.consumer.cost * processes * stretch
    lost, closed, asleep = block_loss(buffer, slow, taken, work, scv)
    asleep = where(overload, 0.0, asleep)
    lost = where(overload, maximum(taken - carried, 0.0) / maximum(taken, 1e-300), lost)
    # what a packet has of the core, its read call included; nothing is carried in 1e9 s at most
    each, filled = 1.0 / maximum(carried, 1e-9), packets_per_block(buffer, taken)
    work = where(overload, maximum(each - slow.poll_cost / filled, 0.0), work)
    closed = where(overload, carried / filled, closed)
    delay = slow.cost + slow.latency + slow.switch_cost + slow.poll_cost
    kept = block_occupancy(buffer, slow, taken, lost, asleep, work, delay)
    return _Waits(
        lost, closed * processes, calls_per_block(buffer, asleep),
        floats(path.wakeup.poll_cost), asleep, 0.0 * lost, switches=asleep, kept=kept,
    )  # fmt: skip


def _time_in_buffer(
    path: CapturePath, taken: Array, cycles: Array, waits: _Waits, batches: Batches
) -> Array:
    """Mean time from the kernel's hands until the consumer is done with a packet [s].

    All packets that a wakeup hands over wait for signal and context switch; on top, each waits
    until the kernel has taken the others and the consumer is done with those before it.
    """
    kernel, wakeup = path.kernel, path.wakeup
    work = floats(path.consumer.cost * path.consumer.processes)
    # what an interrupt gathered is worked off before the next one, else the kernel cuts in
    stretch = reciprocal(maximum(1.0 - batches.ring_load, 1e-9))
    each = work * where(batches.size > 0.0, 1.0, stretch)
    gathered = maximum(batches.size, 1.0)
    together = maximum(waits.together, gathered)
    woken = minimum(cycles / path.consumer.processes * together * reciprocal(taken), 1.0)
    started = woken * (waits.awake + waits.wakes * wakeup.switch_cost)
    others = 0.5 * ((gathered - 1.0) * kernel.cost + (together - 1.0) * each)
    # random arrivals and services wait for each other's work, as in a queue with both services in
    # one, and the kernel goes first meanwhile
    both, load = kernel.cost + work, minimum(taken * (kernel.cost + work), 1.0 - 1e-9)
    spread = kernel.scv * kernel.cost**2 + path.consumer.scv * work**2
    scv = floats(spread) * reciprocal(floats(both) ** 2)
    random = random_waits(load, floats(path.arrivals.scv), scv) * both * stretch
    return np.asarray(each + waits.held + started + others + random)


def _outcome(
    path: CapturePath, offered: Array, ring_drops: Array, taken: Array, lost: Array,
    needed: Array, waits: _Waits,
) -> Outcome:  # fmt: skip
    kernel, wakeup, duty = path.kernel, path.wakeup, duty_of(path)
    load = driver_load(kernel, path.arrivals)
    work = floats(path.consumer.cost * path.consumer.processes)
    ring, capacity = each_floats(kernel.ring, path.buffer.capacity)
    buffer_drops, carried = taken * lost, taken * (1.0 - lost)
    by_kernel = carried * kernel.cost + buffer_drops * kernel.drop_cost
    overload = needed > 1.0
    slack = maximum(1.0 / duty - by_kernel - carried * work, 0.0)
    kernel_load = taken * kernel.cost
    batches = Batches.of(load, taken, floats(path.arrivals.scv), kernel_load)
    cycles, paid = where(overload, bursts_per_second(path), waits.cycles), waits.waiting
    if wakeup.policy in ("poll", "read", "yield") and waits.kept is None:
        # the kernel goes first: what waited for one interrupt is one batch, to every process
        cycles = minimum(cycles, batches.each_second) * path.consumer.processes
    if waits.kept is not None:  # what is read has had its read call, whoever interrupts
        cycles = minimum(waits.cycles, affordable(slack, paid))
        slack = maximum(slack - cycles * paid, 0.0)
        paid = 0.0 * paid
    interrupts = load.interrupts(minimum(offered, load.cap), taken, by_kernel * reciprocal(taken))
    interrupts = minimum(interrupts, affordable(slack, kernel.driver.interrupt_cost))
    slack = maximum(slack - interrupts * kernel.driver.interrupt_cost, 0.0)
    # no wakeup happens that the core has no time for: batches grow instead
    signal = wakeup.cost * waits.wakes + wakeup.switch_cost * waits.switches
    cycles = minimum(cycles, affordable(slack, signal + paid))
    slow = _time_in_buffer(path, taken, cycles, waits, batches)
    regime = where(
        overload,
        regime_index("shared core"),
        where(
            waits.lost > 1e-6,
            regime_index("buffer"),
            where(ring_drops > 1e-6 * offered, regime_index("card"), regime_index("unsaturated")),
        ),
    )
    direct = path.buffer.kind == "ring"
    zero = 0.0 * buffer_drops
    full_buffer = capacity if waits.full is None else waits.full
    in_buffer = where(overload, full_buffer, carried * slow) if waits.kept is None else waits.kept
    full = (kernel_load >= 1.0) | load.keeps_full(offered, kernel)
    in_ring = kernel_load + batches.gathering(maximum(1.0 - kernel_load, 0.0))
    return Outcome(
        ring_drops=duty * (ring_drops + (buffer_drops if direct else zero)),
        buffer_drops=zero if direct else duty * buffer_drops,
        overload_drops=zero if direct else where(duty * needed > 1.0, duty * buffer_drops, 0.0),
        wakeup_rate=duty * cycles * waits.wakes,
        poll_rate=duty * cycles * waits.polls,
        interrupt_rate=duty * interrupts,
        core_time={
            "shared": with_idle(
                {
                    "kernel packets": duty * carried * kernel.cost,
                    "kernel drops": duty * buffer_drops * kernel.drop_cost,
                    "interrupts": duty * interrupts * kernel.driver.interrupt_cost,
                    "consumer packets": duty * carried * work,
                    "wakeups": duty * cycles * signal,
                    "waiting": duty * cycles * waits.waiting,
                }
            )
        },
        ring_occupancy=duty * where(full, ring, minimum(in_ring, ring)),
        buffer_occupancy=minimum(duty * in_buffer, capacity),
        delay=load.delay + 0.0 * carried,
        regime=where(offered > load.cap, regime_index("card"), regime),
    )
