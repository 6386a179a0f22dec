"""Loss of buffers that change hands as a whole, by kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from capmodel.formulary._typing import Array
from capmodel.formulary.blocks import block_ring_loss, double_buffer_loss
from capmodel.path import Buffer, Wakeup

BlockLoss = tuple[Array, Array, Array]  # share lost, buffers closed per second, share of them
# whose reader sleeps


def _double(buffer: Buffer, wakeup: Wakeup, flow: Array, work: Array, scv: Array) -> BlockLoss:
    lost, asleep = double_buffer_loss(
        flow, buffer.block, work, wakeup.poll_cost, wakeup.latency, scv
    )
    return lost, flow * (1.0 - lost) / buffer.block, asleep


def _blocks(buffer: Buffer, wakeup: Wakeup, flow: Array, work: Array, scv: Array) -> BlockLoss:
    # a retire timer closes blocks before they are full: they hold what came in one period
    filled = np.clip(flow * buffer.retire, 1.0, buffer.block)
    lost = block_ring_loss(flow, filled, buffer.blocks, work, wakeup.poll_cost, wakeup.latency)
    closed = flow * (1.0 - lost) / filled
    asleep = np.where(flow * (work + wakeup.poll_cost / filled) < 1.0, 1.0, 0.0)
    return lost, closed, asleep


BLOCK_KINDS: dict[str, Callable[[Buffer, Wakeup, Array, Array, Array], BlockLoss]] = {
    "double": _double,
    "blocks": _blocks,
}


def block_loss(buffer: Buffer, wakeup: Wakeup, flow: Array, work: Array, scv: Array) -> BlockLoss:
    """Loss at a block-wise buffer fed at `flow` [1/s] and read at `work` [s] per packet."""
    return BLOCK_KINDS[buffer.kind](buffer, wakeup, flow, work, scv)
