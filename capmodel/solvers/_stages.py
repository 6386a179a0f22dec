"""The buffer side as the kernel meets it: consumers that sleep, several, and readers of blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capmodel.formulary._elementwise import each_floats, floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.formulary.consumers import shared_core_carried_rate
from capmodel.path import CapturePath, Number, Wakeup
from capmodel.solvers._blocks import (
    BLOCK_KINDS,
    block_loss,
    block_occupancy,
    calls_per_block,
    with_reads,
)
from capmodel.solvers._losses import reading_time
from capmodel.solvers._shares import bursts_per_second, departure_scv, reciprocal
from capmodel.solvers._vacations import cycle, vacation

# a reader that sleeps at so few of its blocks never does [-]
_RARELY = 1e-6
# packets that never come together
_NEVER = 1e15


@dataclass(frozen=True)
class Stage:
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


def stage_of(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> Stage:
    if path.buffer.kind in BLOCK_KINDS:
        return _block_stage(path, offered, cost, drop_cost, work, scv)
    several = some(floats(path.consumer.processes) > 1.0)
    each_packet = path.wakeup.policy in ("poll", "read") and some(path.wakeup.threshold <= 1.0)
    if several and each_packet:
        return _shared_stage(path, offered, cost, drop_cost, work, scv)
    return _cycle_stage(path, offered, cost, drop_cost, work, scv)


def _consumer_bound_rate(cost: Array, drop_cost: Array, work: Array) -> Array:
    """Packets a kernel takes from the ring when the full buffer throws the rest away [1/s]."""
    carried = reciprocal(work)
    spare = maximum(1.0 - carried * cost, 0.0)
    return carried + spare * reciprocal(drop_cost)


def _cycle_stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> Stage:
    capacity = floats(path.buffer.capacity)
    wakeup = _within(path.wakeup, capacity)
    kernel_scv = floats(path.kernel.scv)
    every = reciprocal(offered)
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
    lost_fast = fast.lost_time * fast.cycles * reciprocal(drop_cost)
    lost_slow = slow.lost_time * slow.cycles * offered
    rate_fast = fast.carried + lost_fast
    bound_rate = _consumer_bound_rate(cost, drop_cost, work)
    kernel_rate = where(infinite, np.inf, where(work < cost, rate_fast, bound_rate))
    share = where(
        kernel_first,
        lost_fast * reciprocal(rate_fast),
        where(bound, 0.0, lost_slow * reciprocal(slow.carried + lost_slow)),
    )

    def choose(saturated: Array, idle: Array) -> Array:
        return where(bound, 0.0, where(kernel_first, saturated, idle))

    peak = minimum(
        capacity,
        1.0 + where(kernel_first, tied.burst * reciprocal(cost), free.burst * offered),
    )
    return Stage(
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
    found = where(cycles > 0.0, carried * reciprocal(cycles), np.inf)
    return where(floats(wakeup.threshold) > 1.0, 0.0, found)


def _within(wakeup: Wakeup, capacity: Array) -> Wakeup:
    """A threshold above the buffer is never reached: only the timer wakes."""
    if not some(floats(wakeup.threshold) > capacity):
        return wakeup
    return replace(wakeup, threshold=where(wakeup.threshold > capacity, _NEVER, wakeup.threshold))


def _shared_stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> Stage:
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

    most, most_cycles = at(where(cost > 0.0, reciprocal(cost), offered))
    limited = most < reciprocal(work) * (1.0 - 1e-9)
    kernel_rate = where(limited | (work <= 0.0), most, _consumer_bound_rate(cost, drop_cost, work))
    most_read = where(work > 0.0, reciprocal(work), np.inf)
    wanted = minimum(minimum(offered, kernel_rate), most_read)
    # where the mean field has no time for that many signals, a backlog in the ring brings packets
    # as fast as the kernel takes them, and the processes sleep less: what it can pay for is carried
    _, cycles = at(wanted)
    zero = np.zeros_like(kernel_rate)
    return Stage(
        kernel_rate=kernel_rate,
        share_lost=zero,
        cycles=cycles,
        wakes=1.0,
        polls=away.polls + zero,
        overhead=wakeup.cost + zero,
        busy=minimum(away.busy, switch) + zero,
        peak=minimum(1.0 + away.burst * reciprocal(cost), path.buffer.capacity),
        fill=away.burst + away.signal + zero,
        burst=_per_cycle(wakeup, most * processes, most_cycles),
        sleepers=processes,
    )


def _block_stage(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array, scv: Array
) -> Stage:
    """Buffers that change hands as a whole: a read call each, a signal where the reader sleeps."""
    processes, block = floats(path.consumer.processes), floats(path.buffer.block)
    wakeup = with_reads(path.wakeup, processes)

    def most(asleep: Array) -> Array:
        """Packets the kernel takes when that share of its buffers find the reader asleep."""
        signal = wakeup.cost * processes * asleep
        # a retire timer closes blocks early: 1/retire a second, but never more than packets
        retired = maximum(1.0 - signal / path.buffer.retire, 0.0) * reciprocal(cost)
        rate = minimum(
            reciprocal(cost + signal / block), maximum(reciprocal(cost + signal), retired)
        )
        return where(cost > 0.0, rate, np.inf)

    # a reader that keeps up with an untroubled kernel sleeps, one that does not is never signalled
    eager = minimum(offered, most(np.zeros_like(work)))
    lost, _, asleep = block_loss(path.buffer, wakeup, eager, work, scv)
    # a reader that is behind leaves the kernel time to throw packets away
    each = reciprocal(eager * (1.0 - lost))
    throws = where(cost > 0.0, _consumer_bound_rate(cost, drop_cost, each), np.inf)
    kernel_rate = where(asleep > _RARELY, most(asleep), maximum(most(asleep), throws))
    flow = minimum(offered, kernel_rate)
    lost, closed, asleep = block_loss(path.buffer, wakeup, flow, work, scv)
    # what a timer leaves in a block hangs on the flow: the kernel has time for this many of both
    both = (1.0 - lost) * cost + lost * drop_cost
    behind = (asleep <= _RARELY) & (cost > 0.0)
    kernel_rate = where(behind, minimum(kernel_rate, reciprocal(both)), kernel_rate)
    one = np.ones_like(lost)
    if path.arrivals.process == "on_off":
        # who falls behind in a burst has the buffer and the pause: that is counted apart
        slow = flow * reading_time(path, work) >= 1.0
        lost, behind = where(slow, 0.0, lost), behind & ~slow
        kernel_rate = where(slow, most(np.zeros_like(work)), kernel_rate)
        asleep = where(slow, minimum(bursts_per_second(path) * reciprocal(closed), 1.0), asleep)
    delay = wakeup.cost + wakeup.latency + wakeup.poll_cost
    waiting = one if path.arrivals.process == "on_off" else asleep
    return Stage(
        kernel_rate=kernel_rate,
        share_lost=lost,
        cycles=closed * processes,
        wakes=asleep,
        polls=calls_per_block(path.buffer, asleep * one),
        overhead=wakeup.cost * where(behind, 0.0, asleep),
        busy=path.wakeup.poll_cost * one,
        peak=one,
        fill=0.0 * one,
        held=block_occupancy(path.buffer, wakeup, flow, lost, waiting, work, delay),
    )
