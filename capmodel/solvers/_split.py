"""Kernel and consumer on two cores: ring, kernel, buffer and consumer in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capmodel.formulary._elementwise import (
    each_floats,
    floats,
    inverse,
    maximum,
    minimum,
    some,
    where,
)
from capmodel.formulary._typing import Array
from capmodel.formulary.batches import interrupt_batch_loss
from capmodel.formulary.burst_backlog import (
    mean_backlog_on_off_deterministic,
    mean_backlog_on_off_fluid,
)
from capmodel.formulary.bursts import loss_on_off_deterministic, loss_on_off_fluid
from capmodel.formulary.consumers import shared_core_carried_rate
from capmodel.formulary.loss import loss_gg1k_diffusion
from capmodel.path import CapturePath, Number, Wakeup
from capmodel.solvers._blocks import (
    BLOCK_KINDS,
    block_loss,
    block_occupancy,
    calls_per_block,
    with_reads,
)
from capmodel.solvers._drivers import DriverLoad, driver_load
from capmodel.solvers._gathering import Batches
from capmodel.solvers._outcome import Outcome, regime_index, with_idle
from capmodel.solvers._vacations import Vacation, cycle, vacation

# a time whose inverse is not a number counts as none
_NOTHING = 1e-300
# a reader that sleeps at so few of its blocks never does [-]
_RARELY = 1e-6
# packets that never come together
_NEVER = 1e15

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Stage:
    """The buffer side as the kernel meets it, for one placement and one offered rate."""

    kernel_rate: Array  # most the kernel takes from the ring [1/s]
    share_lost: Array  # of what it takes, lost to a consumer that is away [-]
    cycles: Array  # sleep cycles per second, all processes
    wakes: Number  # kernel signals per cycle
    polls: Array  # wait calls per cycle
    overhead: Array  # kernel time per cycle [s]
    busy: Array  # consumer time per cycle while it waits [s]
    peak: Array  # packets found on return from a sleep [-]
    fill: Array  # time from the first of them until the consumer takes it [s]
    burst: Array | None = None  # packets per cycle of a kernel with more to take; 0: not known
    sleepers: Number = 1.0  # processes whose sleeps are counted apart
    held: Array | None = None  # packets in the buffer on average, where not by sleep cycles


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
    stage = _stage(path, at_card, accepted_cost, dropped_cost, work, departures)
    ring_load = at_card * _inverse(stage.kernel_rate)
    ring_loss = _ring_loss(path, at_card, stage.kernel_rate, ring_load, scv, load.looks)
    taken = at_card * (1.0 - ring_loss)
    ring_drops = at_card * ring_loss + (offered - at_card)

    consumer_loss, overload = _consumer_loss(path, taken, work, departures)
    if arrivals.process == "on_off":
        # the ring spreads a burst: a consumer that keeps up with the kernel is not overloaded
        keeps_up = stage.kernel_rate * work < 1.0
        consumer_loss = where(keeps_up, 0.0, consumer_loss)
        overload = overload & ~keeps_up
    kept = 1.0 - stage.share_lost
    overflow = taken * stage.share_lost
    consumer_drops = taken * kept * consumer_loss
    carried = taken * kept * (1.0 - consumer_loss)

    duty, bursty = _duty(path), arrivals.process == "on_off" and stage.held is None
    room = 1.0 / duty  # core time per second of bursts: both sides work on between them
    batches = Batches.of(load, at_card, scv, ring_load)
    stage = _in_batches(path, stage, batches, accepted_cost, overload)
    cycles = _sleeps(path, stage, taken, consumer_loss, overload)
    # nobody waits more often than the consumers' core has time to
    cycles = minimum(cycles, _affordable(maximum(room - carried * work, 0.0), stage.busy))
    accepted, dropped = carried, overflow + consumer_drops
    packets_time, drops_time = accepted * cost, dropped * drop_cost
    # nor is anybody woken more often than the kernel has time to
    left = maximum(room - packets_time - drops_time, 0.0)
    cycles = minimum(cycles, _affordable(left, stage.overhead))
    overhead_time = cycles * stage.overhead
    busy = packets_time + drops_time + overhead_time
    interrupts = load.interrupts(at_card, taken, busy * _inverse(taken))
    spare = maximum(room - busy, 0.0)
    interrupts = minimum(interrupts, _affordable(spare, kernel.driver.interrupt_cost))
    direct = path.buffer.kind == "ring"
    buffer_drops = overflow + consumer_drops
    zero = 0.0 * buffer_drops
    flow = minimum(carried, stage.kernel_rate)
    ring_occupancy, buffer_occupancy = _occupancies(
        path, ring_load, scv, stage, flow, work, at_card, taken, overload
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
    path: CapturePath, stage: _Stage, taken: Array, consumer_loss: Array, overload: Flags
) -> Array:
    """Sleep cycles per second of bursts, of all processes together."""
    cycles = stage.cycles * (1.0 - consumer_loss)
    if stage.held is not None:  # read calls, which go on in overload
        return cycles
    bursts = path.arrivals.process == "on_off"
    if bursts and stage.burst is not None:
        # what the ring holds after a burst is delivered at the kernel's pace, as in the burst
        cycles = maximum(cycles, taken * _inverse(stage.burst))
    return where(overload, _bursts_per_second(path), cycles)


def _in_batches(
    path: CapturePath, stage: _Stage, batches: Batches, cost: Array, overload: Flags
) -> _Stage:
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


def departure_scv(load: Array, arrival_scv: Array, service_scv: Array) -> Array:
    """Variability of the kernel's output, between its arrivals' and its own (Marshall 1968)."""
    square = minimum(load, 1.0) ** 2
    return (1.0 - square) * arrival_scv + square * service_scv


def _inverse(value: Array) -> Array:
    """1/value, with 0 for 0 (a stage that costs nothing has no rate to divide by)."""
    result: Array = inverse(value, _NOTHING)
    return result


def _affordable(time: Array, price: Number) -> Array:
    """How often per second something fits into a share of a core; without end if it is free."""
    return where(floats(price) > _NOTHING, time * _inverse(price), np.inf)


def _bursts_per_second(path: CapturePath) -> Array:
    """Sleeps of a consumer that bursts overload: one each, once drained [1/s of burst time]."""
    arrivals = path.arrivals
    return np.asarray(1.0 / arrivals.on if arrivals.process == "on_off" else 0.0)


def _duty(path: CapturePath) -> Array:
    arrivals = path.arrivals
    if arrivals.process != "on_off":
        return np.asarray(1.0)
    return floats(arrivals.on / (arrivals.on + arrivals.off))


def _stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> _Stage:
    if path.buffer.kind in BLOCK_KINDS:
        return _block_stage(path, offered, cost, drop_cost, work, scv)
    several = some(floats(path.consumer.processes) > 1.0)
    each_packet = path.wakeup.policy in ("poll", "read") and some(path.wakeup.threshold <= 1.0)
    if several and each_packet:
        return _shared_stage(path, offered, cost, drop_cost, work, scv)
    return _cycle_stage(path, offered, cost, drop_cost, work, scv)


def _consumer_bound_rate(cost: Array, drop_cost: Array, work: Array) -> Array:
    """Packets a kernel takes from the ring when the full buffer throws the rest away [1/s]."""
    carried = _inverse(work)
    spare = maximum(1.0 - carried * cost, 0.0)
    return carried + spare * _inverse(drop_cost)


def _cycle_stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> _Stage:
    capacity = floats(path.buffer.capacity)
    wakeup = _within(path.wakeup, capacity)
    kernel_scv = floats(path.kernel.scv)
    every = _inverse(offered)
    infinite = cost <= 0.0
    # a kernel that costs nothing is never saturated: its cycle is not used, but must be finite
    paid = where(infinite, every, cost)
    residual = 0.5 * (1.0 + kernel_scv) * cost
    free = vacation(wakeup, every, minimum(work, every))
    tied = vacation(wakeup, paid, minimum(work, paid), residual)
    behind = minimum(work, every * (1.0 - 1e-12))
    slow = cycle(every, behind, free, capacity, scv, False)
    if some(kernel_scv != path.arrivals.scv):
        # a kernel busy with wakeups passes its own rhythm on, not only that of the arrivals
        loaded = offered * cost + slow.cycles * free.overhead
        scv = departure_scv(loaded, floats(path.arrivals.scv), kernel_scv)
        slow = cycle(every, behind, free, capacity, scv, False)
    fast = cycle(paid, minimum(work, paid * (1 - 1e-12)), tied, capacity, kernel_scv, True)

    bound = (work >= every) & (work >= cost)  # the consumer never catches up
    kernel_first = (work < cost) & ((fast.carried < slow.carried) | (every <= cost)) & ~infinite
    lost_fast = fast.lost_time * fast.cycles * _inverse(drop_cost)
    lost_slow = slow.lost_time * slow.cycles * offered
    rate_fast = fast.carried + lost_fast
    bound_rate = _consumer_bound_rate(cost, drop_cost, work)
    kernel_rate = where(infinite, np.inf, where(work < cost, rate_fast, bound_rate))
    share = where(
        kernel_first,
        lost_fast * _inverse(rate_fast),
        where(bound, 0.0, lost_slow * _inverse(slow.carried + lost_slow)),
    )

    def choose(saturated: Array, idle: Array) -> Array:
        return where(bound, 0.0, where(kernel_first, saturated, idle))

    peak = minimum(
        capacity,
        1.0 + where(kernel_first, tied.burst * _inverse(cost), free.burst * offered),
    )
    return _Stage(
        kernel_rate=kernel_rate,
        share_lost=share,
        cycles=choose(fast.cycles, slow.cycles),
        wakes=free.wakes,
        polls=choose(fast.polls, slow.polls),
        overhead=choose(tied.overhead, free.overhead),
        busy=choose(fast.busy, slow.busy),
        peak=peak,
        fill=choose(tied.burst + tied.signal, free.burst + free.signal),
        burst=_per_cycle(path.wakeup, fast.carried, fast.cycles),
    )


def _per_cycle(wakeup: Wakeup, carried: Array, cycles: Array) -> Array | None:
    """Packets per sleep of a consumer that any packet wakes; without end where it never sleeps."""
    if wakeup.policy not in ("poll", "read"):
        return None
    found = where(cycles > 0.0, carried * _inverse(cycles), np.inf)
    return where(floats(wakeup.threshold) > 1.0, 0.0, found)


def _within(wakeup: Wakeup, capacity: Array) -> Wakeup:
    """A threshold above the buffer is never reached: only the timer wakes."""
    if not some(floats(wakeup.threshold) > capacity):
        return wakeup
    return replace(wakeup, threshold=where(wakeup.threshold > capacity, _NEVER, wakeup.threshold))


def _shared_stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> _Stage:
    """Several processes on the consumer core, each woken by itself (mean field)."""
    wakeup, consumer = path.wakeup, path.consumer
    each, processes = each_floats(consumer.cost, consumer.processes)
    residual = 0.5 * (1.0 + floats(path.kernel.scv)) * cost
    away = vacation(wakeup, cost, minimum(each, cost), residual)
    # the gap before the waking packet is the mean field's own; what is held back is ours
    idle = away.off - wakeup.cost - wakeup.latency - cost
    switch = wakeup.poll_cost + wakeup.switch_cost

    def at(rate: Array) -> tuple[Array, Array]:
        return shared_core_carried_rate(
            rate, processes, cost, each, wakeup.cost, wakeup.latency, idle, switch
        )

    most, most_cycles = at(where(cost > 0.0, _inverse(cost), offered))
    limited = most < _inverse(work) * (1.0 - 1e-9)
    kernel_rate = where(limited | (work <= 0.0), most, _consumer_bound_rate(cost, drop_cost, work))
    most_read = where(work > 0.0, _inverse(work), np.inf)
    wanted = minimum(minimum(offered, kernel_rate), most_read)
    # where the mean field has no time for that many signals, a backlog in the ring brings packets
    # as fast as the kernel takes them, and the processes sleep less: what it can pay for is carried
    _, cycles = at(wanted)
    zero = np.zeros_like(kernel_rate)
    return _Stage(
        kernel_rate=kernel_rate,
        share_lost=zero,
        cycles=cycles,
        wakes=1.0,
        polls=away.polls + zero,
        overhead=wakeup.cost + zero,
        busy=minimum(away.busy, switch) + zero,
        peak=minimum(1.0 + away.burst * _inverse(cost), path.buffer.capacity),
        fill=away.burst + away.signal + zero,
        burst=_per_cycle(wakeup, most * processes, most_cycles),
        sleepers=processes,
    )


def _block_stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> _Stage:
    """Buffers that change hands as a whole: a read call each, a signal where the reader sleeps."""
    processes, block = floats(path.consumer.processes), floats(path.buffer.block)
    wakeup = with_reads(path.wakeup, processes)

    def most(asleep: Array) -> Array:
        """Packets the kernel takes when that share of its buffers find the reader asleep."""
        signal = wakeup.cost * processes * asleep
        # a retire timer closes blocks early: 1/retire a second, but never more than packets
        retired = maximum(1.0 - signal / path.buffer.retire, 0.0) * _inverse(cost)
        rate = minimum(_inverse(cost + signal / block), maximum(_inverse(cost + signal), retired))
        return where(cost > 0.0, rate, np.inf)

    # a reader that keeps up with an untroubled kernel sleeps, one that does not is never signalled
    eager = minimum(offered, most(np.zeros_like(work)))
    lost, _, asleep = block_loss(path.buffer, wakeup, eager, work, scv)
    # a reader that is behind leaves the kernel time to throw packets away
    each = _inverse(eager * (1.0 - lost))
    throws = where(cost > 0.0, _consumer_bound_rate(cost, drop_cost, each), np.inf)
    kernel_rate = where(asleep > _RARELY, most(asleep), maximum(most(asleep), throws))
    flow = minimum(offered, kernel_rate)
    lost, closed, asleep = block_loss(path.buffer, wakeup, flow, work, scv)
    # what a timer leaves in a block hangs on the flow: the kernel has time for this many of both
    both = (1.0 - lost) * cost + lost * drop_cost
    behind = (asleep <= _RARELY) & (cost > 0.0)
    kernel_rate = where(behind, minimum(kernel_rate, _inverse(both)), kernel_rate)
    one = np.ones_like(lost)
    delay = wakeup.cost + wakeup.latency + wakeup.poll_cost
    return _Stage(
        kernel_rate=kernel_rate,
        share_lost=lost,
        cycles=closed * processes,
        wakes=asleep,
        polls=calls_per_block(path.buffer, asleep * one),
        overhead=wakeup.cost * where(behind, 0.0, asleep),
        busy=path.wakeup.poll_cost * one,
        peak=one,
        fill=0.0 * one,
        held=block_occupancy(path.buffer, wakeup, flow, lost, asleep, work, delay),
    )


def _ring_loss(
    path: CapturePath, offered: Array, kernel_rate: Array, load: Array, scv: Array, looks: Number
) -> Array:
    """Loss at the receive ring [-]: of a burst only what outlasts the ring."""
    ring = floats(path.kernel.ring)
    if path.arrivals.process != "on_off":
        loss = loss_gg1k_diffusion(load, ring, scv + path.kernel.scv)
        batch = interrupt_batch_loss(
            offered, kernel_rate, ring, 1.0 / floats(looks), scv, path.kernel.scv
        )
        return where(batch > 0.0, loss + (1.0 - loss) * batch, loss)
    return _burst_loss(path, offered, minimum(kernel_rate, 2.0 * offered), ring)


def _burst_loss(path: CapturePath, peak: Array, drain: Array, room: Array) -> Array:
    """Loss of bursts at a buffer that is drained at a constant rate [-]."""
    arrivals = path.arrivals
    on, off = each_floats(arrivals.on, arrivals.off)
    if arrivals.random_bursts:
        return loss_on_off_fluid(peak, drain, 1.0 / on, 1.0 / off, room)
    return loss_on_off_deterministic(peak, drain, on, off, room)


def _consumer_loss(path: CapturePath, taken: Array, work: Array, scv: Array) -> tuple[Array, Flags]:
    """Loss at the buffer of a consumer that is too slow [-], and where it is overloaded."""
    load = taken * work
    capacity = floats(path.buffer.capacity)
    arrivals = path.arrivals
    if path.buffer.kind in BLOCK_KINDS and arrivals.process != "on_off":
        # whole buffers change hands: their own law has counted this loss already
        return 0.0 * load, load + path.wakeup.poll_cost * taken / path.buffer.block >= 1.0
    if arrivals.process == "on_off":
        drain = where(work > 0.0, _inverse(work), np.inf)
        return _burst_loss(path, taken, minimum(drain, 2.0 * taken), capacity), load >= 1.0
    return loss_gg1k_diffusion(load, capacity, scv + path.consumer.scv), load >= 1.0


def _burst_backlog(
    path: CapturePath, offered: Array, kernel_rate: Array, taken: Array, work: Array, room: Array
) -> Array:
    """Packets in the buffer per second of bursts, of a consumer that they overload [s/s]."""
    arrivals, duty = path.arrivals, _duty(path)
    # what the ring keeps of a burst comes after it, at the kernel's pace
    peak = minimum(offered, kernel_rate)
    on = floats(arrivals.on) * taken / peak
    off = maximum(arrivals.on / duty - on, 1e-3 * on)
    drain = where(work > 0.0, _inverse(work), 1e6 * peak)
    if arrivals.random_bursts:
        return mean_backlog_on_off_fluid(peak, drain, 1.0 / on, 1.0 / off, room) / duty
    return mean_backlog_on_off_deterministic(peak, drain, on, off, room) / duty


def _occupancies(
    path: CapturePath, ring_load: Array, scv: Array, stage: _Stage, carried: Array, work: Array,
    offered: Array, taken: Array, overload: Flags,
) -> tuple[Array, Array]:  # fmt: skip
    ring, capacity = each_floats(path.kernel.ring, path.buffer.capacity)
    spread = scv + path.kernel.scv
    open_load = minimum(ring_load, 1.0 - 1e-12)
    queued = open_load + open_load**2 * spread / (2.0 * (1.0 - open_load))
    in_ring = where(ring_load >= 1.0, ring, minimum(queued, ring))
    load = minimum(carried * work, 1.0)
    room = maximum(1.0 - load, 1e-12)
    # one sleep cycle: fills from its first packet on, drains at the rest of the consumer's rate
    drain = stage.peak * work / room
    cycles = stage.cycles / stage.sleepers
    waiting = 0.5 * ((1.0 + stage.peak) * stage.fill + stage.peak * drain) * cycles
    steady = minimum(load + minimum(waiting, stage.peak), capacity)
    in_buffer = where(load >= 1.0 - 1e-9, capacity, steady)
    if stage.held is not None:
        in_buffer = minimum(stage.held, capacity)
    if path.arrivals.process == "on_off" and stage.held is None:
        fluid = _burst_backlog(path, offered, stage.kernel_rate, taken, work, capacity)
        in_buffer = where(overload, fluid, in_buffer)
    if path.buffer.kind == "ring":
        return in_buffer, np.zeros_like(in_buffer)
    return in_ring, in_buffer


def _regime(
    stage: _Stage,
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


__all__ = ["Vacation", "departure_scv", "solve_split"]
