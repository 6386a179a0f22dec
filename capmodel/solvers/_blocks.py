"""Loss of buffers that change hands as a whole, by kind, and what they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from capmodel.formulary._elementwise import floats, maximum, minimum, where
from capmodel.formulary._typing import Array
from capmodel.formulary.block_waits import block_backlog, block_sojourn_time
from capmodel.formulary.blocks import block_ring_loss, double_buffer_loss
from capmodel.path import Buffer, Wakeup

BlockLoss = tuple[Array, Array, Array]  # share lost, buffers closed per second, share of them
# whose reader sleeps


def with_reads(wakeup: Wakeup, processes: Array) -> Wakeup:
    """All processes read from one core: a block of each is read before the next of any."""
    return replace(wakeup, poll_cost=wakeup.poll_cost * processes)


def packets_per_block(buffer: Buffer, flow: Array) -> Array:
    """A retire timer closes blocks before they are full: they hold what came in one period."""
    return minimum(buffer.block, maximum(flow * buffer.retire, 1.0))


def _double(buffer: Buffer, wakeup: Wakeup, flow: Array, work: Array, scv: Array) -> BlockLoss:
    lost, asleep = double_buffer_loss(
        flow, buffer.block, work, wakeup.poll_cost, wakeup.latency, scv
    )
    return lost, flow * (1.0 - lost) / buffer.block, asleep


def _blocks(buffer: Buffer, wakeup: Wakeup, flow: Array, work: Array, scv: Array) -> BlockLoss:
    filled = packets_per_block(buffer, flow)
    lost = block_ring_loss(flow, filled, buffer.blocks, work, wakeup.poll_cost, wakeup.latency)
    closed = flow * (1.0 - lost) / filled
    asleep = np.where(flow * (work + wakeup.poll_cost / filled) < 1.0, 1.0, 0.0)
    return lost, closed, asleep


BLOCK_KINDS: dict[str, Callable[[Buffer, Wakeup, Array, Array, Array], BlockLoss]] = {
    "double": _double,
    "blocks": _blocks,
}

# wait calls per block: a read call hands a half buffer over, while a ring of blocks is polled only
# where none of them is ready
_CALLS: dict[str, Callable[[Array], Array]] = {
    "double": np.ones_like,
    "blocks": lambda asleep: asleep,
}


def calls_per_block(buffer: Buffer, asleep: Array) -> Array:
    """Wait calls per block of a reader that finds none ready at that share of them [-]."""
    return _CALLS[buffer.kind](asleep)


def block_loss(buffer: Buffer, wakeup: Wakeup, flow: Array, work: Array, scv: Array) -> BlockLoss:
    """Loss at a block-wise buffer fed at `flow` [1/s] and read at `work` [s] per packet."""
    return BLOCK_KINDS[buffer.kind](buffer, wakeup, flow, work, scv)


def block_occupancy(
    buffer: Buffer, wakeup: Wakeup, flow: Array, lost: Array, asleep: Array, work: Array,
    delay: Array,
) -> Array:  # fmt: skip
    """Packets in the buffer on average: of a reader that sleeps, and of one that is behind."""
    block, blocks = floats(buffer.block), floats(buffer.blocks)
    waits = block_sojourn_time(flow, block, buffer.retire, work, delay)
    sleeps = flow * (1.0 - lost) * waits
    filled = packets_per_block(buffer, flow)
    # who is behind reads no faster than a block is filled
    reading = maximum(wakeup.poll_cost + filled * work, 1e-300)
    fast = maximum(flow, filled / reading)
    behind = block_backlog(fast, filled, maximum(blocks, 2.0), work, wakeup.poll_cost)
    # with one block there is none to fall behind with
    sleeping = where(blocks < 2.0, 1.0, asleep)
    return where(sleeping < 1.0, sleeping * sleeps + (1.0 - sleeping) * behind, sleeps)
