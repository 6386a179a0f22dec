"""What becomes of each packet of a list: blocks on two cores, and one core for both.

No events: a packet is followed until it is in the buffer, and what the consumer has done by then is
worked out from when it last had something to do. Constant costs; who draws nothing can be compared
packet for packet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

NEVER = float("inf")


@dataclass
class Fates:
    """Numbers of packets, and of signals before the end of the run."""

    offered: int = 0
    ring_drops: int = 0
    buffer_drops: int = 0
    captured: int = 0
    wakes: int = 0


@dataclass
class Ring:
    """A card's slots: each is taken until its packet has left the kernel."""

    slots: int
    leave: deque[float] = field(default_factory=deque)

    def takes(self, arrival: float) -> bool:
        while self.leave and self.leave[0] <= arrival:
            self.leave.popleft()
        return len(self.leave) < self.slots


def blocks_on_two_cores(
    arrivals: Sequence[float],
    horizon: float,
    *,
    ring: int,
    block: int,
    blocks: int,
    kernel_cost: float,
    drop_cost: float,
    consumer_cost: float,
    wakeup_cost: float,
    latency: float,
    read_cost: float,
) -> Fates:
    """Blocks that are handed over full, to a reader that sleeps while there is none."""
    fates, slots = Fates(), Ring(ring)
    kernel_free, reader_free, filling = 0.0, 0.0, 0
    freed: deque[float] = deque()  # when each block that has been handed over will be free again
    for arrival in arrivals:
        fates.offered += 1
        if not slots.takes(arrival):
            fates.ring_drops += 1
            continue
        seen = max(arrival, kernel_free) + min(kernel_cost, drop_cost)
        while freed and freed[0] <= seen:
            freed.popleft()
        full = len(freed) == blocks
        end = seen + max((drop_cost if full else kernel_cost) - min(kernel_cost, drop_cost), 0.0)
        slots.leave.append(end)
        kernel_free = end
        if full:
            fates.buffer_drops += 1
            continue
        fates.captured += 1
        filling += 1
        if filling == block:
            filling = 0
            if reader_free <= end:  # it has found no block, and sleeps
                fates.wakes += end < horizon
                kernel_free = end + wakeup_cost
                reader_free = kernel_free + latency
            reader_free += read_cost + block * consumer_cost
            freed.append(reader_free)
    return fates


def one_core(
    arrivals: Sequence[float],
    horizon: float,
    *,
    ring: int,
    capacity: int,
    kernel_cost: float,
    drop_cost: float,
    consumer_cost: float,
    wakeup_cost: float,
    latency: float,
    poll_cost: float,
    switch_cost: float,
) -> Fates:
    """The kernel goes first; the consumer has what it leaves of the core."""
    fates, slots = Fates(), Ring(ring)
    kernel_free, held = 0.0, 0
    # the consumer: what it is at, how much of that is left, and from when on it wants the core
    doing, left, ready = "sleep", NEVER, 0.0
    for arrival in arrivals:
        fates.offered += 1
        if not slots.takes(arrival):
            fates.ring_drops += 1
            continue
        # what the kernel leaves before this packet
        now = max(kernel_free, ready)
        while doing != "sleep" and now < arrival:
            if left > arrival - now:
                left -= arrival - now
                break
            now += left
            if doing == "packet":
                held -= 1
            if held:
                doing, left = "packet", consumer_cost
            elif doing == "poll":
                doing, left = "sleep", NEVER
            else:
                doing, left = "poll", poll_cost
        start = max(arrival, kernel_free)
        full = held == capacity
        end = start + min(kernel_cost, drop_cost)
        end += max((drop_cost if full else kernel_cost) - min(kernel_cost, drop_cost), 0.0)
        slots.leave.append(end)
        kernel_free = end
        if full:
            fates.buffer_drops += 1
            continue
        fates.captured += 1
        held += 1
        if doing == "sleep":
            fates.wakes += end < horizon
            kernel_free = end + wakeup_cost
            doing, left, ready = "switch", switch_cost, kernel_free + latency
    return fates
