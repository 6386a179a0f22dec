"""Every path from one event to the next: blocks, drivers, shared cores, several consumers.

The state is small, so the next event is found by comparing the few times at which one can happen.
Work is kept as time left and a speed, which changes when cores are shared or a spinning consumer
disturbs the kernel. `places` holds two placements between which an automatic scheduler moves (twice
the same where there is none).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capmodel.simulation import tally
from capmodel.simulation.arrivals import begin, draw, next_stall, redraw, refill
from capmodel.simulation.compiled import compiled
from capmodel.simulation.costs import (
    BLOCKS,
    FIXED,
    INTERRUPT,
    MODERATED,
    NAPI,
    POLLING,
    RING,
    ROTATION,
    SLEEP,
    SLOTS,
    SPIN,
    YIELD,
    Costs,
    Source,
)
from capmodel.simulation.record import Record, came_in, forget, pass_time, went_out
from capmodel.simulation.state import (
    ASLEEP,
    CALL,
    DELIVER,
    IDLE,
    INTERRUPTED,
    LOOK,
    NAPPING,
    PACKET,
    PASS,
    POLLING_CALL,
    READ,
    SIGNAL,
    SIGNALLED,
    STALLED,
    SWITCH,
    WAKING,
    close_block,
    free_block,
    start,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CHUNK = 1024
_SLICE = 1000  # pieces of work after which a consumer lets the others have the core


@compiled
def events(  # noqa: PLR0912, PLR0915 - one loop, one branch per event
    places: tuple[Costs, Costs],
    stays: tuple[float, float],
    place: int,
    source: Source,
    rng: np.random.Generator,
    trace: Floats,
    warmup: int,
    packets: int,
    horizon: float,
    filled: int,
    times: Floats,
    counts: Integers,
    record: Record,
) -> None:
    """Offer `packets` after `warmup` others, or all until `horizon` [s]; add up in the tallies."""
    c = places[place]
    n = c.processes
    clock, arrivals, index = np.zeros(4), np.empty(_CHUNK), 0
    draws, draws2 = np.empty(_CHUNK), np.empty(_CHUNK)  # of the kernel's work and the consumers'
    next_draw = next_draw2 = _CHUNK
    alike = places[0].kernel_law == places[1].kernel_law
    alike = alike and places[0].consumer_law == places[1].consumer_law
    # no call within the loop may take arrays: who refers to each is counted, which takes longer
    # than all the rest of an event; so some moves stand here that could be functions
    begins, fresh = np.zeros(n, np.bool_), False  # who has just begun a packet
    begin(rng, source, clock)
    last = warmup + packets
    stamps = np.zeros(min(max(places[0].ring, places[1].ring), last + 1))
    head, tail = 0, 0  # of the ring, in `stamps`
    # consumers: what each does, time left of it, timers, packets and blocks in its buffer
    phase = np.full(n, ASLEEP)
    left, timer, batch_timer = np.zeros(n), np.full(n, np.inf), np.full(n, np.inf)
    held, todo = np.zeros(n, np.int64), np.zeros(n, np.int64)
    due, expired, refused = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    filling, closed, opened = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n)
    blocks_most = max(places[0].blocks, places[1].blocks) if c.kind == BLOCKS else 1
    sizes = np.zeros((n, min(blocks_most, last + 1)), np.int64)
    oldest = np.zeros(n, np.int64)
    # since when (a run begins as the consumers enter the wait); signals to who is not asleep yet
    fell_asleep, hasty = np.full(n, c.poll), 0
    awake_since = np.full(n, -np.inf)
    stall = next_stall(rng, c.stall_gap, c.stall_time, 0.0)
    pending = 0  # signals and block closures that wait for the kernel
    core, turn, ran = -1, 0, 0  # consumer on the core, and whose turn is next
    now, in_ring, sweeping = 0.0, 0, c.driver == INTERRUPT
    kernel, kernel_left, kernel_speed, speed = IDLE, 0.0, 1.0, 1.0
    target, factor, rest, full, latency = 0, 1.0, 0.0, 0, c.latency
    interrupt_at, last_interrupt, allowed = np.inf, -np.inf, 0
    tick_at = c.tick if c.driver == POLLING else np.inf
    move_at = rng.standard_exponential() * stays[place] if np.isfinite(stays[0]) else np.inf
    refill(rng, source, clock, trace, arrivals)
    arrival = arrivals[0]
    if arrival > horizon:
        arrival = np.inf
    seen_packets, measuring, begun = 0, True, 0.0
    stop_at = horizon
    # tallies in local variables, which the compiler keeps in registers
    elapsed = ring_time = buffer_time = stay = 0.0
    kernel_packets = kernel_drops = kernel_wakeups = kernel_interrupts = 0.0
    consumer_packets = consumer_waiting = consumer_switches = 0.0
    offered = ring_drops = buffer_drops = captured = wakes = polls = interrupts = 0
    ring_before = buffers_before = 0
    start(c, filled, phase, left, timer, held, closed, opened, sizes)
    inside = held.sum()  # of all buffers
    if filled > 0:
        core = 0
    if record.kept:  # what a run finds came before it, at time 0
        record.at[:, 1] = held % record.came.shape[1]

    while True:
        # the next of the few events that can happen; what was known before goes first, since the
        # two ends of work are what the processor has to wait for
        t_timer, t_batch, who, whose = timer[0], batch_timer[0], 0, 0
        for i in range(1, n):
            if timer[i] < t_timer:
                t_timer, who = timer[i], i
            if batch_timer[i] < t_batch:
                t_batch, whose = batch_timer[i], i
        known = min(t_timer, t_batch, interrupt_at, tick_at, move_at, stop_at, arrival)
        t_kernel = t_consumer = np.inf
        if kernel != IDLE and kernel_speed > 0.0:
            t_kernel = now + (kernel_left if kernel_speed == 1.0 else kernel_left / kernel_speed)
        if core >= 0 and speed > 0.0:
            t_consumer = now + (left[core] if speed == 1.0 else left[core] / speed)
        worked = min(t_kernel, t_consumer)
        then = min(known, worked)
        if then == np.inf:
            break
        step = then - now
        now = then
        if kernel != IDLE:
            kernel_left -= step * kernel_speed
        if core >= 0:
            left[core] -= step * speed
        present = inside * step
        stay += present
        if measuring and record.kept:
            pass_time(record, c, in_ring, held, step)
        if measuring:
            ring_time += in_ring * step
            buffer_time += present
            if kernel != IDLE:
                useful = step * kernel_speed
                if kernel in (PASS, DELIVER):
                    kernel_packets += useful
                elif kernel == SIGNAL:
                    kernel_wakeups += useful
                else:
                    kernel_interrupts += useful
                if kernel_speed != 1.0 and not c.same:
                    kernel_wakeups += step - useful  # what contention adds
            if core >= 0:
                used = step * speed
                if phase[core] == PACKET:
                    consumer_packets += used
                elif phase[core] == SWITCH:
                    consumer_switches += used
                else:
                    consumer_waiting += used

        ask = -1  # the consumer that has to decide what to do next
        if then == t_kernel:
            if kernel == INTERRUPTED:
                sweeping = True
                kernel = IDLE
            elif kernel == STALLED:
                kernel = IDLE
            elif kernel == SIGNAL:
                if target >= 0:
                    phase[target], timer[target] = WAKING, now + latency
                    if c.wait_law.kind != 0:
                        timer[target] = now + latency * draw(rng, c.wait_law)
                kernel = IDLE
            else:
                more = False
                if kernel == PASS:
                    full = 0
                    for i in range(n):
                        refused[i] = c.kind != RING and (
                            opened[i] < 0.0 if c.kind == BLOCKS else held[i] >= c.capacity
                        )
                        full += refused[i]
                    rest = c.kernel
                    if full > 0:
                        rest -= (c.kernel - c.dropped) * full / n
                    rest -= min(c.kernel, c.dropped)
                    more = rest > 0.0
                if more:
                    kernel, kernel_left = DELIVER, rest * factor
                else:
                    kernel = IDLE
                    in_ring -= 1
                    allowed -= 1
                    if measuring and full > 0:
                        work = min(c.kernel, c.dropped) + rest
                        kernel_drops += work * factor * full / n
                    for i in range(n):
                        if refused[i]:
                            buffer_drops += 1
                        else:
                            hasty += c.early > 0.0 and phase[i] == POLLING_CALL and held[i] == 0
                            held[i] += 1
                            inside += 1
                            if c.kind == BLOCKS:
                                filling[i] += 1
                                if filling[i] == c.block:
                                    pending += close_block(
                                        c, i, now, phase, batch_timer, due, filling, closed, opened,
                                        sizes, oldest,
                                    )  # fmt: skip
                                elif filling[i] == 1 and c.retire < np.inf:
                                    # the timer ticks from the opening of the block; an empty block
                                    # is left open
                                    ticks = np.floor((now - opened[i]) / c.retire) + 1.0
                                    batch_timer[i] = opened[i] + c.retire * ticks
                            elif phase[i] == ASLEEP:
                                if held[i] >= c.threshold:
                                    pending += not due[i]
                                    due[i] = True
                                elif held[i] == 1:
                                    batch_timer[i] = now + c.timeout
                            if record.kept:
                                came_in(record, i, stamps[head])
                            if phase[i] == LOOK and held[i] > 0 and c.kind != BLOCKS:
                                phase[i], begins[i], fresh = PACKET, True, True
                    stay += (now - stamps[head]) * (n - full)
                    head = head + 1 if head + 1 < stamps.size else 0
        elif then == t_consumer:
            ask = core
        elif then == t_timer:
            timer[who] = np.inf
            awake_since[who] = now
            if phase[who] == WAKING and c.switch > 0.0:
                phase[who], left[who] = SWITCH, c.switch
            else:
                ask = who
        elif then == t_batch:
            # what the timer asks for waits for the packet in the kernel
            batch_timer[whose] = np.inf
            expired[whose] = True
            pending += 1
        elif then == arrival:
            seen_packets += 1
            if seen_packets == warmup + 1 and warmup > 0:
                ring_time = buffer_time = stay = 0.0
                kernel_packets = kernel_drops = kernel_wakeups = kernel_interrupts = 0.0
                consumer_packets = consumer_waiting = consumer_switches = 0.0
                offered = ring_drops = buffer_drops = captured = 0
                wakes = polls = interrupts = 0
                forget(record)
                begun = now
                ring_before = in_ring
                buffers_before = inside
            if seen_packets > last:
                break
            offered += 1
            index += 1
            if index == _CHUNK:
                refill(rng, source, clock, trace, arrivals)
                index = 0
            arrival = arrivals[index]
            if arrival > horizon:
                arrival = np.inf
            most = c.ring
            if c.kind == RING:
                most = c.capacity - held.max()
            if in_ring >= most or in_ring >= stamps.size:
                ring_drops += 1
            else:
                in_ring += 1
                stamps[tail] = now
                tail = tail + 1 if tail + 1 < stamps.size else 0
                if interrupt_at == np.inf and (
                    c.driver == MODERATED
                    or (c.driver == NAPI and not sweeping and kernel != INTERRUPTED)
                ):
                    interrupt_at = max(now, last_interrupt + c.spacing)
        elif then in (interrupt_at, tick_at):
            if then == tick_at:
                tick_at = now + c.tick
                allowed = c.budget
                if kernel == IDLE and in_ring == 0 and core < 0 and np.isfinite(arrival):
                    skipped = int((arrival - now) / c.tick)
                    tick_at = now + (skipped + 1) * c.tick if skipped > 0 else tick_at
                    if measuring:
                        interrupts += max(skipped, 0)
                        kernel_interrupts += max(skipped, 0) * c.interrupt
            else:
                interrupt_at = np.inf
            last_interrupt = now
            if measuring:
                interrupts += 1
            if kernel == IDLE:
                kernel, kernel_left = INTERRUPTED, c.interrupt
            else:  # the interrupt takes its time from what the kernel is doing
                kernel_left += c.interrupt
                sweeping = True
                if measuring:
                    kernel_interrupts += c.interrupt
                    if kernel == SIGNAL:
                        kernel_wakeups -= c.interrupt
                    elif kernel != STALLED:
                        kernel_packets -= c.interrupt
        elif then == move_at:
            place = 1 - place
            c = places[place]
            if not alike:  # what was drawn ahead is of no use here
                next_draw = next_draw2 = _CHUNK
            move_at = now + rng.standard_exponential() * stays[place]
            for i in range(n):
                if c.kind == BLOCKS and opened[i] >= 0.0 and closed[i] >= c.blocks:
                    opened[i] = -1.0
        else:  # the end of a finite run: what is still inside is worked off, off the record
            stop_at = np.inf
            elapsed = now
            measuring = False

        # a consumer that came to the end of what it did
        if ask >= 0:
            i = ask
            was = phase[i]
            if was == PACKET:
                held[i] -= 1
                inside -= 1
                captured += 1
                if record.kept:
                    went_out(record, i, now)
                if c.kind == BLOCKS:
                    todo[i] -= 1
                    if todo[i] == 0:
                        free_block(c, i, now, closed, opened, sizes, oldest)
            if was == READ:
                todo[i] = sizes[i, oldest[i]]
            if c.kind == BLOCKS and (todo[i] > 0):
                phase[i], begins[i], fresh = PACKET, True, True
            elif c.kind == BLOCKS and closed[i] > 0:
                phase[i], left[i] = READ, c.poll
                polls += measuring and c.policy == ROTATION  # a read call hands each block over
            elif c.kind == BLOCKS:
                phase[i], fell_asleep[i] = ASLEEP, now
                polls += measuring and c.policy != ROTATION
            elif was == CALL and c.sleep > 0.0:
                phase[i], timer[i] = NAPPING, now + c.sleep  # the call itself does not look
            elif held[i] > 0:
                phase[i], begins[i], fresh = PACKET, True, True
            elif c.policy == SPIN:
                phase[i], left[i] = LOOK, np.inf
            elif c.policy == SLEEP:
                period = c.sleep + c.poll
                skipped = 0
                if kernel == IDLE and in_ring == 0 and np.isfinite(arrival) and core < 0:
                    skipped = int((arrival - now) / period)
                if skipped > 1:  # nobody will see these looks at an empty buffer
                    phase[i], timer[i] = NAPPING, now + skipped * period
                    if measuring:
                        polls += skipped
                        consumer_waiting += skipped * c.poll
                else:
                    phase[i], left[i] = CALL, c.poll
                    if measuring:
                        polls += 1
            elif c.policy == YIELD and was not in (LOOK, POLLING_CALL):
                phase[i], left[i] = LOOK, c.spin
            elif was == POLLING_CALL:
                phase[i], fell_asleep[i] = ASLEEP, now
            else:
                phase[i], left[i] = POLLING_CALL, c.poll
                if c.wait_law.kind != 0:
                    left[i] *= draw(rng, c.wait_law)
                if measuring:
                    polls += 1
            ran += 1
            if core == i and (ran >= _SLICE or not SWITCH <= phase[i] < LOOK):
                core, turn, ran = -1, i + 1, 0  # it gives the core away to wait, or must
        if fresh:  # the work of packets that have just been begun
            fresh = False
            for i in range(n):
                if begins[i]:
                    begins[i], left[i] = False, c.consumer
                    if c.consumer_law.kind != FIXED:
                        if next_draw2 == _CHUNK:
                            redraw(rng, c.consumer_law, draws2)
                            next_draw2 = 0
                        left[i] *= draws2[next_draw2]
                        next_draw2 += 1

        # the kernel between two pieces of work
        if kernel == IDLE:
            while stall.end <= now:
                stall = next_stall(rng, c.stall_gap, c.stall_time, stall.end)
            if stall.at <= now:
                kernel, kernel_left = STALLED, stall.end - now
        if kernel == IDLE:
            if pending > 0:
                for i in range(n):
                    if expired[i]:
                        expired[i] = False
                        pending -= 1
                        if c.kind != BLOCKS:
                            pending += not due[i]
                            due[i] = True
                        elif filling[i] > 0:
                            pending += close_block(
                                c, i, now, phase, batch_timer, due, filling, closed, opened,
                                sizes, oldest,
                            )  # fmt: skip
                for i in range(n):
                    if due[i]:
                        due[i] = False
                        pending -= 1
                        if phase[i] == ASLEEP:
                            phase[i] = SIGNALLED
                            target = i
                            kernel, kernel_left = SIGNAL, c.signal
                            latency, slept = c.latency, 1
                            if c.since.size > 0:
                                row = np.searchsorted(c.since, now - fell_asleep[i], "right") - 1
                                columns = c.law_costs.shape[1]
                                column = int(columns * rng.random()) if columns > 1 else 0
                                kernel_left = c.law_costs[row, column]
                                latency = c.law_latencies[row, column]
                                slept = int(c.law_slept[row, column])
                            elif c.settle > 0.0:
                                idle = now - fell_asleep[i] - c.leave
                                if 0.0 <= idle < c.settle:
                                    kernel_left, latency = c.early, c.idle_latency
                            if c.wait_law.kind != 0:
                                kernel_left *= draw(rng, c.wait_law)
                            batch_timer[i] = np.inf if c.kind != BLOCKS else batch_timer[i]
                            if measuring:
                                wakes += slept
                            break
            if kernel == IDLE and hasty > 0:
                hasty -= 1
                target, kernel, kernel_left = -1, SIGNAL, c.early
            if kernel == IDLE and in_ring > 0:
                ready = sweeping or c.driver == INTERRUPT
                if c.driver == POLLING:
                    ready = allowed > 0
                if ready:
                    factor = 1.0
                    if c.kernel_law.kind != FIXED:
                        if next_draw == _CHUNK:
                            redraw(rng, c.kernel_law, draws)
                            next_draw = 0
                        factor = draws[next_draw]
                        next_draw += 1
                    kernel, kernel_left = PASS, min(c.kernel, c.dropped) * factor
                    if c.near > 0.0 and c.kind == SLOTS and 2 * held.max() < c.capacity:
                        kernel_left += c.near
                    if c.waking > 0.0:
                        for i in range(n):
                            if phase[i] == WAKING:
                                kernel_left += c.waking
                                break
                    if c.driver == INTERRUPT and measuring:
                        interrupts += 1
            elif kernel == IDLE:
                sweeping, allowed = False, 0  # who finds the ring empty waits for the next look
                if not measuring:
                    idle = True
                    for i in range(n):
                        stuck = phase[i] == ASLEEP and batch_timer[i] == np.inf
                        idle = idle and (held[i] == 0 or stuck)
                    if idle:
                        break
        # the consumers' core, and how fast either side works now
        if core < 0 or (phase[core] == LOOK and n > 1):
            # whoever has work, in turn; else one that looks
            for k in range(n):
                i = turn + k if turn + k < n else turn + k - n
                if SWITCH <= phase[i] < LOOK:
                    core = i
                    break
                if phase[i] == LOOK and core < 0:
                    core = i
        kernel_speed, speed = 1.0, 1.0
        if c.same:
            if kernel != IDLE:
                kernel_speed, speed = 1.0, 0.0
                if c.share < 1.0 and core >= 0 and now - awake_since[core] >= c.turn:
                    kernel_speed, speed = c.share, 1.0 - c.share
        elif c.contention > 0.0 and core >= 0 and phase[core] in (LOOK, CALL):
            kernel_speed = 1.0 / (1.0 + c.contention)

    if np.isfinite(horizon):
        captured += inside + n * in_ring
        in_ring = inside = 0
    else:
        elapsed = now - begun
    times[tally.ELAPSED], times[tally.STAY] = elapsed, stay
    times[tally.RING_TIME], times[tally.BUFFER_TIME] = ring_time, buffer_time
    times[tally.KERNEL_PACKETS] = kernel_packets - kernel_drops
    times[tally.KERNEL_DROPS], times[tally.KERNEL_WAKEUPS] = kernel_drops, kernel_wakeups
    times[tally.KERNEL_INTERRUPTS] = kernel_interrupts
    times[tally.CONSUMER_PACKETS] = consumer_packets
    times[tally.CONSUMER_WAITING] = consumer_waiting
    times[tally.CONSUMER_SWITCHES] = consumer_switches
    counts[tally.OFFERED], counts[tally.CAPTURED] = offered, captured
    counts[tally.RING_DROPS], counts[tally.BUFFER_DROPS] = ring_drops, buffer_drops
    counts[tally.WAKES], counts[tally.POLLS], counts[tally.INTERRUPTS] = wakes, polls, interrupts
    counts[tally.RING_BEFORE], counts[tally.RING_AFTER] = ring_before, in_ring
    counts[tally.BUFFERS_BEFORE], counts[tally.BUFFERS_AFTER] = buffers_before, inside
