"""One core, one request at a time and a flood: the softirq's rules followed packet by packet.

No formula and no mean: a ring, a clock, and who has the core. Times are in flood packets' times.

- A pass takes packets in their order until the ring is empty or `budget` are done.
- After a pass that leaves packets, another follows at once, unless a process waits for the core or
  it was the tenth; then ``ksoftirqd`` is woken for the rest.
- A process that waits gets the core between passes, before ``ksoftirqd``.
- While ``ksoftirqd`` is runnable an arrival starts no pass, so the process is not interrupted;
  otherwise every arrival interrupts it until the ring is empty.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

NEVER = float("inf")
RESTARTS = 10
FLOOD, REQUEST = False, True


@dataclass(frozen=True)
class Walked:
    """Idle time per transaction and its standard error; the share that got the core with packets
    left in the ring; and the time per transaction: what is not idle is service, and the flood.
    """

    duration: float
    idle: float
    idle_error: float
    handed_over: float


class Core:
    """The clock, the ring, and what arrives."""

    def __init__(self, load: float, seed: int, regular: bool) -> None:
        self.rng, self.load, self.regular = np.random.default_rng(seed), load, regular
        self.now, self.request_at, self.idle = 0.0, NEVER, 0.0
        self.ring: deque[bool] = deque()
        self.gaps: deque[float] = deque()
        self.next = self.gap()

    def gap(self) -> float:
        if self.regular:
            return 1.0 / self.load
        if not self.gaps:
            self.gaps.extend(self.rng.exponential(1.0 / self.load, 10_000))
        return self.gaps.popleft()

    def take_in(self) -> None:
        """What has arrived by now goes into the ring, in its order."""
        while self.next <= self.now:
            if self.request_at <= self.next:
                self.ring.append(REQUEST)
                self.request_at = NEVER
            self.ring.append(FLOOD)
            self.next += self.gap()
        if self.request_at <= self.now:
            self.ring.append(REQUEST)
            self.request_at = NEVER

    def wait(self) -> None:
        """Nothing to do until the next arrival."""
        until = min(self.next, self.request_at)
        self.idle += until - self.now
        self.now = until
        self.take_in()

    def softirq(self, budget: float, request_cost: float) -> tuple[bool, bool]:
        """Passes on end; whether the request was among the packets, and whether some are left."""
        woken = False
        for _ in range(RESTARTS):
            done = 0
            while self.ring and done < budget:
                if self.ring.popleft() is REQUEST:
                    woken = True
                    self.now += request_cost
                else:
                    self.now += 1.0
                done += 1
                self.take_in()
            if woken or not self.ring:
                break
        return woken, bool(self.ring)


def walk(
    *, load: float, service: float, elsewhere: float, budget: float, transactions: int, seed: int,
    in_kernel: float = 1.0, regular: bool = False,
) -> Walked:  # fmt: skip
    """Transactions one after the other; the first fifth is not counted.

    `in_kernel` of the service is spent in the softirq, when the request is taken out of the ring.
    """
    core = Core(load, seed, regular)
    core.request_at, ksoftirqd = elsewhere, False
    idle, handed = [], 0
    for number in range(transactions):
        if number == transactions // 5:
            idle, handed = [], 0
        before, woken = core.idle, False
        while not woken:
            if core.ring:
                woken, ksoftirqd = core.softirq(budget, in_kernel)
            else:
                core.wait()
        handed += ksoftirqd
        left = service - in_kernel
        while left > 0.0:
            if ksoftirqd:
                core.now, left = core.now + left, 0.0
            elif core.ring:
                _, ksoftirqd = core.softirq(budget, in_kernel)
            else:
                step = min(left, core.next - core.now)
                left -= step if step < left else left
                core.now += step
            core.take_in()
        core.request_at = core.now + elsewhere
        idle.append(core.idle - before)
    counted, mean = len(idle), float(np.mean(idle))
    error = float(np.std(idle) / np.sqrt(counted))
    # by the core's balance; the clock says the same but for the backlog that has grown meanwhile
    return Walked((service + mean) / (1.0 - load), mean, error, handed / counted)
