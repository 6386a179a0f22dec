"""What ring and buffer of two cores lose, and what bursts leave in the buffer."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._elementwise import (
    each_floats,
    floats,
    maximum,
    minimum,
    where,
)
from capmodel.formulary._typing import Array
from capmodel.formulary.batches import interrupt_batch_loss
from capmodel.formulary.burst_backlog import (
    mean_backlog_on_off_deterministic,
    mean_backlog_on_off_fluid,
)
from capmodel.formulary.bursts import loss_on_off_deterministic, loss_on_off_fluid
from capmodel.formulary.loss import loss_gg1k_diffusion
from capmodel.path import CapturePath, Number
from capmodel.solvers._blocks import BLOCK_KINDS
from capmodel.solvers._shares import Flags, duty_of, reciprocal


def loss_at_ring(
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
    on, off = each_floats(path.arrivals.on, path.arrivals.off)
    loss = burst_loss(path, offered, minimum(kernel_rate, 2.0 * offered), on, off, ring)
    batch = batch_loss_in_bursts(path, offered, kernel_rate, looks)
    return where(batch > 0.0, loss + (1.0 - loss) * batch, loss)


def batch_loss_in_bursts(
    path: CapturePath, peak: Array, kernel_rate: Array, looks: Number
) -> Array:
    """Share of a burst lost between interrupts [-]: a kernel that it saturates looks once."""
    arrivals, kernel = path.arrivals, path.kernel
    ring, period = floats(kernel.ring), 1.0 / floats(looks)
    steady = interrupt_batch_loss(peak, kernel_rate, ring, period, arrivals.scv, kernel.scv)
    on = floats(arrivals.on)
    once = maximum(peak * minimum(period, on) - ring, 0.0) / (peak * on)
    return where(peak < kernel_rate, steady, once)


def burst_loss(
    path: CapturePath, peak: Array, drain: Array, on: Array, off: Array, room: Array
) -> Array:
    """Loss of bursts at a buffer that is drained at a constant rate [-]."""
    if path.arrivals.random_bursts:
        return loss_on_off_fluid(peak, drain, 1.0 / on, 1.0 / off, room)
    return loss_on_off_deterministic(peak, drain, on, off, room)


def loss_at_buffer(path: CapturePath, taken: Array, work: Array, scv: Array) -> tuple[Array, Flags]:
    """Loss at the buffer of a consumer that is too slow [-], and where it is overloaded."""
    load = taken * work
    capacity = floats(path.buffer.capacity)
    arrivals = path.arrivals
    if path.buffer.kind in BLOCK_KINDS and arrivals.process != "on_off":
        # whole buffers change hands: their own law has counted this loss already
        return 0.0 * load, load + path.wakeup.poll_cost * taken / path.buffer.block >= 1.0
    if arrivals.process == "on_off":
        load, room = taken * reading_time(path, work), room_for_bursts(path)
        drain = where(load > 0.0, taken * reciprocal(load), np.inf)
        on, off = each_floats(arrivals.on, arrivals.off)
        lost = burst_loss(path, taken, minimum(drain, 2.0 * taken), on, off, room)
        return lost, load >= 1.0
    return loss_gg1k_diffusion(load, capacity, scv + path.consumer.scv), load >= 1.0


def reading_time(path: CapturePath, work: Array) -> Array:
    """Consumer time per packet, its part of the read call for a whole block included [s]."""
    if path.buffer.kind not in BLOCK_KINDS:
        return work
    each = path.wakeup.poll_cost * path.consumer.processes / path.buffer.block
    return np.asarray(work + each)


def room_for_bursts(path: CapturePath) -> Array:
    """Packets that a burst finds room for: a block is given back only as a whole."""
    capacity = floats(path.buffer.capacity)
    if path.buffer.kind not in BLOCK_KINDS:
        return capacity
    return maximum(capacity - path.buffer.block, 1.0)


def burst_backlog(
    path: CapturePath, offered: Array, kernel_rate: Array, taken: Array, work: Array, room: Array
) -> Array:
    """Packets in the buffer, per share of time in bursts, of a consumer that they overload."""
    arrivals = path.arrivals
    # what the ring keeps of a burst comes after it, at the kernel's pace
    peak = minimum(offered, kernel_rate)
    on = floats(arrivals.on) * taken / peak
    off = maximum(arrivals.on + arrivals.off - on, 1e-3 * on)
    drain = where(work > 0.0, reciprocal(work), 1e6 * peak)
    return burst_content(path, peak, drain, on, off, room) / duty_of(path)


def ring_backlog(path: CapturePath, peak: Array, drain: Array) -> Array:
    """Packets in the ring, per share of time in bursts, of a kernel that they overload."""
    on, off = floats(path.arrivals.on), floats(path.arrivals.off)
    ring = floats(path.kernel.ring)
    return burst_content(path, peak, minimum(drain, 2.0 * peak), on, off, ring) / duty_of(path)


def burst_content(
    path: CapturePath, peak: Array, drain: Array, on: Array, off: Array, room: Array
) -> Array:
    """What bursts leave in a buffer that is drained at a constant rate, on average [packets]."""
    if path.arrivals.random_bursts:
        return mean_backlog_on_off_fluid(peak, drain, 1.0 / on, 1.0 / off, room)
    return mean_backlog_on_off_deterministic(peak, drain, on, off, room)
