"""What kernel and consumers can be doing, and the moves of packets and blocks between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capmodel.simulation.compiled import compiled, inlined
from capmodel.simulation.costs import BLOCKS, SLEEP, SPIN, Costs

# the kernel: idle, in an interrupt, at a packet before and after it has looked for room, signalling
IDLE, INTERRUPTED, PASS, DELIVER, SIGNAL, STALLED = range(6)
# a consumer away from its core: asleep, being signalled, on its way, in a fixed sleep;
ASLEEP, SIGNALLED, WAKING, NAPPING = range(4)
# and on it: switching in, opening a block, at a packet, entering poll, entering sleep, looking
SWITCH, READ, PACKET, POLLING_CALL, CALL, LOOK = range(4, 10)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@compiled
def start(
    c: Costs,
    filled: int,
    phase: Integers,
    left: Floats,
    timer: Floats,
    held: Integers,
    closed: Integers,
    opened: Floats,
    sizes: Integers,
) -> None:
    """Consumers as a run finds them: waiting, or at work where `filled` packets are held."""
    n = phase.size
    for i in range(n):
        if c.policy == SPIN:
            phase[i], left[i] = LOOK, np.inf
        elif c.policy == SLEEP:
            phase[i], timer[i] = NAPPING, (c.sleep + c.poll) * (i + 1.0) / n
        held[i] = min(filled, c.capacity)
        if held[i] > 0 and c.kind == BLOCKS:
            closed[i] = min(held[i], c.blocks)
            sizes[i, :] = held[i] // closed[i]
            held[i] = closed[i] * sizes[i, 0]
            phase[i], left[i] = READ, c.poll
            if closed[i] == c.blocks:
                opened[i] = -1.0
        elif held[i] > 0:
            phase[i], left[i], timer[i] = PACKET, c.consumer, np.inf


@inlined
def close_block(
    c: Costs,
    i: int,
    now: float,
    phase: Integers,
    batch_timer: Floats,
    due: Flags,
    filling: Integers,
    closed: Integers,
    opened: Floats,
    sizes: Integers,
    oldest: Integers,
) -> int:
    """Hand the open block of buffer `i` over; returns how many signals became due."""
    at = (oldest[i] + closed[i]) % sizes.shape[1]
    sizes[i, at] = filling[i]
    closed[i] += 1
    filling[i] = 0
    batch_timer[i] = np.inf
    opened[i] = now if closed[i] < c.blocks else -1.0
    signals = 0
    if phase[i] == ASLEEP and not due[i]:
        due[i] = True
        signals = 1
    return signals


@inlined
def free_block(
    c: Costs,
    i: int,
    now: float,
    closed: Integers,
    opened: Floats,
    sizes: Integers,
    oldest: Integers,
) -> None:
    """Give the oldest block of buffer `i` back, and open it if the kernel waits for one."""
    oldest[i] = oldest[i] + 1 if oldest[i] + 1 < sizes.shape[1] else 0
    closed[i] -= 1
    if opened[i] < 0.0 and closed[i] < c.blocks:
        opened[i] = now
