"""Kernel and consumer on one core: priority, starvation, and what is left for the consumer."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import asarrays
from capmodel.formulary.loss import loss_gg1k_diffusion
from capmodel.formulary.same_core import same_core_carried_rate
from capmodel.path import CapturePath
from capmodel.solvers._blocks import BLOCK_KINDS, block_loss
from capmodel.solvers._drivers import driver_load
from capmodel.solvers._outcome import Outcome, regime_index, with_idle
from capmodel.solvers._split import (
    _affordable,
    _consumer_loss,
    _duty,
    _inverse,
    departure_scv,
)
from capmodel.solvers._vacations import cycle, vacation


def solve_same(path: CapturePath) -> Outcome:
    """Long-run rates of the one-core path; arrays broadcast."""
    arrivals, kernel, consumer, wakeup = path.arrivals, path.kernel, path.consumer, path.wakeup
    load = driver_load(kernel, arrivals)
    offered, scv, share = asarrays(arrivals.peak_rate, arrivals.scv, path.cores.kernel_share)
    cost = (np.asarray(kernel.cost, dtype=np.float64) + load.extra) * load.stretch
    drop_cost = (np.asarray(kernel.drop_cost, dtype=np.float64) + load.extra) * load.stretch
    work = np.asarray(consumer.cost * consumer.processes, dtype=np.float64)
    at_card = np.minimum(offered, load.cap)

    duty = _duty(path)
    # the core is overloaded by what it is offered on average, bursts by what the buffer cannot hold
    carried = same_core_carried_rate(at_card, cost, work, drop_cost, share)
    overload = at_card * (cost + work) > 1.0
    # what the consumer leaves of the core goes to the kernel: packets taken only to be dropped
    left = np.maximum(1.0 - carried * (work + cost), 0.0)
    taken = np.where(overload, np.minimum(at_card, carried + left * _inverse(drop_cost)), at_card)
    spread = scv + kernel.scv
    ring_loss = loss_gg1k_diffusion(at_card * cost, kernel.ring, spread) * np.where(
        overload, 0.0, 1.0
    )
    ring_drops = np.maximum(at_card - taken, 0.0) + at_card * ring_loss + (offered - at_card)
    taken = taken - at_card * ring_loss
    carried = np.minimum(carried, taken)

    # below overload the consumer works in what the kernel leaves: its packets take longer
    slow_work = work * _inverse(np.maximum(1.0 - taken * cost, 1e-9))
    departures = departure_scv(at_card * cost, scv, np.asarray(kernel.scv))
    if path.buffer.kind in BLOCK_KINDS:
        lost, closed, asleep = block_loss(path.buffer, wakeup, taken, slow_work, departures)
        cycles, polls, waiting = closed * asleep, np.ones_like(lost), wakeup.poll_cost
        wakes = 1.0
    else:
        every = _inverse(taken)
        away = vacation(wakeup, every, np.minimum(slow_work, every), departures)
        turn = cycle(
            every, np.minimum(slow_work, every * (1 - 1e-12)), away, path.buffer.capacity, False
        )
        missed = turn.lost_time * turn.cycles * taken
        lost = missed * _inverse(turn.carried + missed)
        cycles, polls, waiting, wakes = turn.cycles, away.polls, away.busy, away.wakes
    random_loss, _ = _consumer_loss(path, taken, np.where(overload, 0.0, slow_work), departures)
    if arrivals.process == "on_off":
        random_loss, _ = _consumer_loss(path, taken, slow_work, departures)
        carried = np.where(overload, taken * (1.0 - random_loss), carried)
        overload_drops = taken * random_loss
    else:
        overload_drops = np.where(overload, taken - carried, 0.0)
    small = np.where(overload, 0.0, lost + (1.0 - lost) * random_loss)
    buffer_drops = np.where(overload, np.maximum(taken - carried, 0.0), taken * small)
    carried = np.where(overload, carried, taken * (1.0 - small))
    cycles = np.where(overload, 0.0, cycles)

    direct = path.buffer.kind == "ring"
    zero = 0.0 * buffer_drops
    packets_kernel, drops_kernel = carried * kernel.cost, buffer_drops * kernel.drop_cost
    used = packets_kernel + drops_kernel + carried * work
    interrupts = load.interrupts(at_card, taken, used * _inverse(taken))
    slack = np.maximum(1.0 - used, 0.0)
    interrupts = np.minimum(interrupts, _affordable(slack, kernel.driver.interrupt_cost))
    slack = np.maximum(slack - interrupts * kernel.driver.interrupt_cost, 0.0)
    # no wakeup happens that the core has no time for: batches grow instead
    price = wakeup.cost * wakes + wakeup.switch_cost + waiting
    cycles = np.minimum(cycles, _affordable(slack, price))
    capacity, ring = asarrays(path.buffer.capacity, kernel.ring)
    in_buffer = np.where(
        overload, capacity, np.minimum(carried * (slow_work + wakeup.latency), capacity)
    )
    in_ring = np.where(at_card * cost >= 1.0, ring, np.minimum(at_card * cost, ring))
    regime = np.where(
        overload,
        regime_index("shared core"),
        np.where(lost > 1e-6, regime_index("buffer"), regime_index("unsaturated")),
    )
    return Outcome(
        ring_drops=duty * (ring_drops + (buffer_drops if direct else zero)),
        buffer_drops=zero if direct else duty * buffer_drops,
        overload_drops=zero if direct else duty * np.minimum(overload_drops, buffer_drops),
        wakeup_rate=duty * cycles * wakes,
        poll_rate=duty * cycles * polls,
        interrupt_rate=duty * interrupts,
        core_time={
            "shared": with_idle(
                {
                    "kernel packets": duty * packets_kernel,
                    "kernel drops": duty * drops_kernel,
                    "interrupts": duty * interrupts * kernel.driver.interrupt_cost,
                    "consumer packets": duty * carried * work,
                    "wakeups": duty * cycles * (wakeup.cost * wakes + wakeup.switch_cost),
                    "waiting": duty * cycles * waiting,
                }
            )
        },
        ring_occupancy=duty * in_ring,
        buffer_occupancy=duty * in_buffer,
        delay=load.delay + 0.0 * carried,
        regime=np.where(offered > load.cap, regime_index("card"), regime),
    )
