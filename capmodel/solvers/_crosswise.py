"""The coupled tandem with the ring as the level: for a large ring before a small buffer.

Levels are ring contents; phases are buffer content and consumer state by kernel phase, and the
signal. Everything is in the core: there is no state from which the ring only grows for good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights, solve_levels
from capmodel.numerics.gth import Array
from capmodel.solvers._feeds import KernelService
from capmodel.solvers._sleeping import Sleeper

_SUMS = (
    "carried", "delivered", "buffer_drops", "ring_drops", "wakeups", "polls", "in_ring",
    "in_buffer", "running", "polling", "waking", "waiting", "signalling", "busy", "interrupting",
    "idle", "interrupts",
)  # fmt: skip


class _Buffer:
    """States of buffer and consumer, the signal excepted: kinds in blocks, by buffer content."""

    def __init__(self, consumer: Sleeper, capacity: int) -> None:
        K, m = capacity, consumer.service.order
        polls = consumer.poll > 0.0 and not consumer.spins
        delayed = consumer.latency > 0.0 and not consumer.spins
        sizes = {
            "polling": K + 1 if polls else 0,
            "waiting": 1,
            "running": K * m,
            "waking": K if delayed else 0,
        }
        starts = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1], strict=True))
        self.size = b = sum(sizes.values())
        self.spins = consumer.spins
        self.kind = np.repeat(list(sizes), list(sizes.values()))
        self.content = np.concatenate([
            np.arange(sizes["polling"]), [0], np.repeat(np.arange(1, K + 1), m),
            np.arange(1, sizes["waking"] + 1),
        ]).astype(int)  # fmt: skip
        self.waiting = w = int(starts["waiting"])

        def run(n: int) -> slice:
            begin = starts["running"] + (n - 1) * m
            return slice(begin, begin + m)

        service = consumer.service
        self.moves, self.deliver = np.zeros((b, b)), np.zeros((b, b))  # rates, probabilities
        self.done, self.emptied = np.zeros(b), np.zeros(b)
        self.resume = np.zeros(b)  # where the consumer is when the signal ends
        down = int(starts["polling"]) if polls else w
        for n in range(1, K + 1):
            here, up = run(n), run(min(n + 1, K))
            self.moves[here, here] = service.rates
            self.done[here] = service.exits
            if n > 1:
                self.moves[here, run(n - 1)] = np.outer(service.exits, service.start)
            else:
                self.moves[here, down] = service.exits
                self.emptied[here] = service.exits
            self.deliver[here, up] = np.eye(m)
        for name, time, least in (("polling", consumer.poll, 0), ("waking", consumer.latency, 1)):
            if not sizes[name]:
                continue
            first = int(starts[name])
            for n in range(least, K + 1):
                state = first + n - least
                if n:
                    self.moves[state, run(n)] = service.start / time
                else:
                    self.moves[state, w] = 1.0 / time
                self.deliver[state, first + min(n + 1, K) - least] = 1.0
        if delayed:
            self.resume[starts["waking"]] = 1.0
        else:
            self.resume[run(1)] = service.start
        if not (consumer.signal > 0.0 and not consumer.spins):
            self.deliver[w] = self.resume


def solve_crosswise(
    rate: float,
    ring: int,
    kernel: KernelService,
    consumer: Sleeper,
    capacity: int,
    *,
    full_pace: float = 1.0,
    empty_pace: float = 1.0,
) -> dict[str, float]:
    """Long-run rates [1/s], contents [-] and shares of time [-], by name."""
    chain = crosswise_chain(rate, ring, kernel, consumer, capacity, full_pace, empty_pace)
    solution = solve_levels(chain.levels, chain.boundary, chain.weights)
    return dict(zip(_SUMS, solution.sums.tolist(), strict=True))


@dataclass(frozen=True)
class CrosswiseChain:
    """The chain by ring content, and how many packets its phases have in the buffer."""

    levels: Levels
    boundary: Boundary
    weights: Weights
    content: Array  # of the phases of a level
    content_below: Array  # of the phases while the ring is empty


def crosswise_chain(
    rate: float,
    ring: int,
    kernel: KernelService,
    consumer: Sleeper,
    capacity: int,
    full_pace: float,
    empty_pace: float,
) -> CrosswiseChain:
    """The coupled tandem by ring content."""
    buffer = _Buffer(consumer, capacity)
    b, p, w = buffer.size, kernel.time.order, buffer.waiting
    signals = consumer.signal > 0.0 and not consumer.spins
    s = int(signals)
    pace = np.where(
        buffer.content == capacity, full_pace, np.where(buffer.content == 0, empty_pace, 1.0)
    )
    paces = {value: kernel.at_pace(float(value)) for value in np.unique(pace)}
    exits = np.stack([paces[value].exits for value in pace])  # (b, p)

    n = b * p + s
    local, down, last = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, b + s))
    local[: b * p, : b * p] = np.kron(buffer.moves, np.eye(p))
    for i, value in enumerate(pace):
        rows = slice(i * p, i * p + p)
        local[rows, rows] += paces[value].rates
        if signals and i == w:
            down[rows, -1] = last[rows, -1] = exits[i]
            continue
        left = np.outer(exits[i], kernel.time.start)
        down[rows, : b * p] = np.einsum("ij,k->ikj", left, buffer.deliver[i]).reshape(p, b * p)
        last[rows, :b] = np.outer(exits[i], buffer.deliver[i])
    below, up = np.zeros((b + s, b + s)), np.zeros((b + s, n))
    below[:b, :b] = buffer.moves
    up[:b, : b * p] = rate * np.kron(np.eye(b), kernel.first)
    if signals:
        local[-1, : b * p] = np.kron(buffer.resume, kernel.time.start) / consumer.signal
        below[-1, :b] = buffer.resume / consumer.signal
        up[-1, -1] = rate

    levels = Levels(ring, rate * np.eye(n), local, down, local)
    core, ground = _weights(buffer, kernel, exits, capacity, s)
    slope, top = np.zeros_like(core), core.copy()
    slope[:, _SUMS.index("in_ring")] = 1.0
    top[:, _SUMS.index("in_ring")] = ring
    top[:, _SUMS.index("ring_drops")] = rate
    ground[:b, _SUMS.index("interrupts")] = rate * kernel.interrupts
    content = buffer.content.astype(np.float64)
    signal = np.ones(s)  # the one packet that is being signalled
    return CrosswiseChain(
        levels, Boundary(below, up, last), Weights(ground, core, slope, top),
        np.append(np.repeat(content, p), signal), np.append(content, signal),
    )  # fmt: skip


def _weights(
    buffer: _Buffer, kernel: KernelService, exits: Array, capacity: int, s: int
) -> tuple[Array, Array]:
    """What counts while the kernel works on a packet or signals, and while the ring is empty."""
    b, p, q = buffer.size, kernel.time.order, len(_SUMS)
    index = {name: i for i, name in enumerate(_SUMS)}
    plain = np.zeros((b, q))
    plain[:, index["carried"]] = buffer.done
    plain[:, index["polls"]] = 0.0 if buffer.spins else buffer.emptied
    plain[:, index["in_buffer"]] = buffer.content
    for name in ("running", "polling", "waking", "waiting"):
        plain[:, index[name]] = buffer.kind == name
    busy = np.repeat(plain, p, axis=0)
    flat = exits.reshape(-1)
    kind, content = np.repeat(buffer.kind, p), np.repeat(buffer.content, p)
    busy[:, index["delivered"]] = flat
    busy[:, index["buffer_drops"]] = flat * (content == capacity)
    busy[:, index["wakeups"]] = flat * (kind == "waiting") * (not buffer.spins)
    busy[:, index["busy"]] = np.tile(kernel.paced, b)
    busy[:, index["interrupting"]] = 1.0 - np.tile(kernel.paced, b)
    plain[:, index["idle"]] = 1.0
    signal = np.zeros((s, q))
    signal[:, index["signalling"]] = signal[:, index["in_buffer"]] = 1.0
    return np.concatenate([busy, signal]), np.concatenate([plain, signal])
