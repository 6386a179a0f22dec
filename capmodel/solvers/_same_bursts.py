r"""Bursts on one core: the kernel goes first while they last, the consumer has the pauses.

While a burst comes at r the consumer works at :math:`(1 - \omega - r c_k)/c_a`, between bursts at
:math:`1/c_a`. Only the slopes of the content matter: it rises at :math:`u = r - (1 - \omega -
r c_k)/c_a` and falls at :math:`1/c_a`, like that of a source of peak :math:`u + 1/c_a` behind a
constant drain of :math:`1/c_a`, of which the same content is lost while it is full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capmodel.formulary._elementwise import floats, inverse, maximum, minimum, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath, Number
from capmodel.solvers._losses import batch_loss_in_bursts, burst_content, burst_loss

_NOTHING = 1e-300


@dataclass(frozen=True)
class Bursts:
    """What ring and buffer lose of bursts [-], and what the buffer holds per second of them."""

    ring_loss: Array
    lost: Array
    backlog: Array


def bursts_on_one_core(
    path: CapturePath, offered: Array, cost: Array, drop_cost: Array, work: Array,
    interrupted: Array, looks: Number,
) -> Bursts:  # fmt: skip
    """Losses of bursts of `offered` [1/s] at these costs per packet [s]."""
    arrivals, ring, room = path.arrivals, floats(path.kernel.ring), floats(path.buffer.capacity)
    on, off = floats(arrivals.on), floats(arrivals.off)
    fastest = where(cost > 0.0, inverse(cost, _NOTHING), 2.0 * offered)
    pace = minimum(
        fastest, 2.0 * offered
    )  # a ring that is drained faster than filled loses nothing
    ring_loss = burst_loss(path, offered, pace, on, off, ring)
    batch = batch_loss_in_bursts(path, offered, fastest, looks)
    ring_loss = where(batch > 0.0, ring_loss + (1.0 - ring_loss) * batch, ring_loss)
    # per second of bursts there is this much time, pauses included; nothing takes more
    room_time = maximum((on + off) / on - interrupted, 0.0)
    cheapest = minimum(cost, drop_cost)
    fits = where(cheapest > 0.0, room_time * inverse(cheapest, _NOTHING), np.inf)
    taken = minimum(offered * (1.0 - ring_loss), fits)
    ring_loss = maximum(offered - taken, 0.0) / offered

    # what the ring keeps of a burst comes after it
    peak = minimum(offered, fastest)
    lasts = on * taken / peak
    pause = maximum(on + off - lasts, 1e-3 * lasts)
    drain = where(work > 0.0, inverse(work, _NOTHING), 1e6 * peak)
    beside = maximum(1.0 - interrupted - peak * cost, 0.0) * drain
    rise = maximum(peak - beside, 0.0)
    lost = burst_loss(path, rise + drain, drain, lasts, pause, room)
    held = burst_content(path, rise + drain, drain, lasts, pause, room)
    lost = minimum(lost * (rise + drain) / peak, 1.0)
    left, each = maximum(room_time - taken * drop_cost, 0.0), cost + work - drop_cost
    most = where(each > 0.0, left * inverse(each, _NOTHING), taken)
    lost = maximum(lost, maximum(taken - most, 0.0) * inverse(taken, _NOTHING))
    return Bursts(np.asarray(ring_loss), np.asarray(lost), held * (on + off) / on)
