"""What kernel and consumers can be doing, and the moves of packets and blocks between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capmodel.simulation.compiled import compiled
from capmodel.simulation.costs import BLOCKS, SLEEP, SPIN, Costs

# the kernel: idle, in an interrupt, at a packet before and after it has looked for room, signalling
IDLE, INTERRUPTED, PASS, DELIVER, SIGNAL = range(5)
# a consumer away from its core: asleep, being signalled, on its way, in a fixed sleep;
ASLEEP, SIGNALLED, WAKING, NAPPING = range(4)
# and on it: switching in, opening a block, at a packet, entering poll, entering sleep, looking
SWITCH, READ, PACKET, POLLING_CALL, CALL, LOOK = range(4, 10)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
State = tuple[
    Integers,
    Floats,
    Floats,
    Floats,
    Integers,
    Flags,
    Integers,
    Integers,
    Floats,
    Integers,
    Integers,
]


@compiled
def start(c: Costs, filled: int, state: State) -> None:
    """Consumers as a run finds them: waiting, or at work where `filled` packets are held."""
    phase, left, timer, _, held, _, _, closed, opened, sizes, _ = state
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


@compiled
def deliver(c: Costs, i: int, now: float, state: State) -> int:
    """Put a packet into buffer `i`, which has room; returns how many signals became due."""
    phase, _, _, batch_timer, held, due, filling, _, opened, _, _ = state
    held[i] += 1
    if c.kind == BLOCKS:
        filling[i] += 1
        if filling[i] == c.block:
            return close_block(c, i, now, state)
        if filling[i] == 1 and np.isfinite(c.retire):
            # the timer ticks from the opening of the block; an empty block is left open
            batch_timer[i] = opened[i] + c.retire * (np.floor((now - opened[i]) / c.retire) + 1.0)
        return 0
    if phase[i] == 0:
        if held[i] >= c.threshold:
            if not due[i]:
                due[i] = True
                return 1
        elif held[i] == 1:
            batch_timer[i] = now + c.timeout
    return 0


@compiled
def close_block(c: Costs, i: int, now: float, state: State) -> int:
    """Hand the open block of buffer `i` over; returns how many signals became due."""
    phase, _, _, batch_timer, _, due, filling, closed, opened, sizes, oldest = state
    sizes[i, (oldest[i] + closed[i]) % sizes.shape[1]] = filling[i]
    closed[i] += 1
    filling[i] = 0
    batch_timer[i] = np.inf
    opened[i] = now if closed[i] < c.blocks else -1.0
    if phase[i] == 0 and not due[i]:
        due[i] = True
        return 1
    return 0


@compiled
def free_block(c: Costs, i: int, now: float, state: State) -> None:
    """Give the oldest block of buffer `i` back, and open it if the kernel waits for one."""
    _, _, _, _, _, _, _, closed, opened, sizes, oldest = state
    oldest[i] = (oldest[i] + 1) % sizes.shape[1]
    closed[i] -= 1
    if opened[i] < 0.0 and closed[i] < c.blocks:
        opened[i] = now


@compiled
def pick(phase: Integers, turn: int, core: int) -> int:
    """Who runs next on the consumers' core: whoever has work, in turn; else one that looks; -1."""
    n = phase.size
    looking = core
    for k in range(n):
        i = (turn + k) % n
        if SWITCH <= phase[i] < LOOK:
            return i
        if phase[i] == LOOK and looking < 0:
            looking = i
    return looking
