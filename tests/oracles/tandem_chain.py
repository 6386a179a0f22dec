"""The capture path as a list of states and what can happen in each, solved as one linear system.

Written from the semantics alone, state by state; numbers may be fractions. Two cores: a state is
(arrival state, packets in the ring, kernel, packets in the buffer, consumer), where the kernel is
idle, signalling, in its interrupt or in a phase of a packet, and the consumer polls, sleeps, is
being woken or is in a phase of a packet. What happens is named, so that rates can be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Number = Any
State = tuple[Any, ...]
Happening = tuple[Number, State, tuple[str, ...]]  # rate, next state, what happened


@dataclass(frozen=True)
class Phases:
    """A phase-type time: start probabilities, rates between phases, rates of ending."""

    start: tuple[Number, ...]
    rates: tuple[tuple[Number, ...], ...]
    exits: tuple[Number, ...]


def exponential(mean: Number) -> Phases:
    return Phases((1,), ((0,),), (1 / mean if isinstance(mean, float) else Fraction(1) / mean,))


def erlang(mean: Number, order: int) -> Phases:
    pace = order / mean if isinstance(mean, float) else Fraction(order) / mean
    rates = tuple(tuple(pace if j == i + 1 else 0 for j in range(order)) for i in range(order))
    return Phases((1,) + (0,) * (order - 1), rates, (0,) * (order - 1) + (pace,))


@dataclass(frozen=True)
class TwoCores:
    """Two cores; `rates` and `switching` describe Poisson arrivals, modulated or not."""

    rates: tuple[Number, ...]
    ring: int
    capacity: int
    kernel: Phases
    consumer: Phases
    wakeup: Number = 0
    latency: Number = 0
    poll: Number = 0
    interrupt: Number = 0
    full_pace: Number = 1
    switching: tuple[Number, ...] = (0, 0)
    spins: bool = False
    empty_pace: Number = 1

    def begin(self) -> State:
        return (0, 0, "idle", 0, "spin" if self.spins else "asleep")

    def happenings(self, state: State) -> Iterator[Happening]:
        a, ring, kernel, buffer, consumer = state
        yield from self._arrivals(state)
        pace = 1
        if buffer == self.capacity:
            pace = self.full_pace
        elif consumer == "spin":
            pace = self.empty_pace
        if kernel == "interrupt":
            for rate, phase in self._starts(1 / Fraction(self.interrupt)):
                yield rate, (a, ring, phase, buffer, consumer), ()
        elif kernel == "signal":
            rate = 1 / Fraction(self.wakeup)
            for share, after in self._next_packet(ring):
                for part, woken in self._woken():
                    yield rate * share * part, (a, ring, after, buffer, woken), ()
        elif kernel != "idle":
            for phase, rate in enumerate(self.kernel.rates[kernel]):
                if rate:
                    yield rate * pace, (a, ring, phase, buffer, consumer), ()
            if self.kernel.exits[kernel]:
                yield from self._delivery(state, self.kernel.exits[kernel] * pace)
        yield from self._consumer(state)

    def _arrivals(self, state: State) -> Iterator[Happening]:
        a, ring, kernel, buffer, consumer = state
        rate = self.rates[a]
        if len(self.rates) > 1:
            yield self.switching[a], (1 - a, *state[1:]), ()
        if not rate:
            return
        if ring == self.ring:
            yield rate, state, ("offered", "ring drop")
        elif kernel != "idle":
            yield rate, (a, ring + 1, kernel, buffer, consumer), ("offered",)
        elif self.interrupt:
            yield rate, (a, 1, "interrupt", buffer, consumer), ("offered", "interrupt")
        else:
            for part, phase in self._starts(rate):
                yield part, (a, 1, phase, buffer, consumer), ("offered",)

    def _starts(self, rate: Number) -> Iterator[tuple[Number, int]]:
        for phase, share in enumerate(self.kernel.start):
            if share:
                yield rate * share, phase

    def _next_packet(self, ring: int) -> Iterator[tuple[Number, Any]]:
        if ring == 0:
            yield 1, "idle"
        else:
            yield from self._starts(1)

    def _served(self) -> Iterator[tuple[Number, Any]]:
        for phase, share in enumerate(self.consumer.start):
            if share:
                yield share, phase

    def _woken(self) -> Iterator[tuple[Number, Any]]:
        if self.latency:
            yield 1, "waking"
        else:
            yield from self._served()

    def _delivery(self, state: State, rate: Number) -> Iterator[Happening]:
        a, ring, _, buffer, consumer = state
        if buffer == self.capacity:
            for share, after in self._next_packet(ring - 1):
                yield rate * share, (a, ring - 1, after, buffer, consumer), ("buffer drop",)
        elif consumer == "asleep" and self.wakeup:
            yield rate, (a, ring - 1, "signal", 1, "signalled"), ("wakeup",)
        elif consumer in ("asleep", "spin"):
            what = ("wakeup",) if consumer == "asleep" else ()
            woken = list(self._woken() if consumer == "asleep" else self._served())
            for share, after in self._next_packet(ring - 1):
                for part, to in woken:
                    yield rate * share * part, (a, ring - 1, after, 1, to), what
        else:
            for share, after in self._next_packet(ring - 1):
                yield rate * share, (a, ring - 1, after, buffer + 1, consumer), ()

    def _consumer(self, state: State) -> Iterator[Happening]:
        a, ring, kernel, buffer, consumer = state
        if consumer == "poll":
            rate = 1 / Fraction(self.poll)
            if buffer == 0:
                yield rate, (a, ring, kernel, 0, "asleep"), ()
            else:
                for share, phase in self._served():
                    yield rate * share, (a, ring, kernel, buffer, phase), ()
        elif consumer == "waking":
            for share, phase in self._served():
                yield share / Fraction(self.latency), (a, ring, kernel, buffer, phase), ()
        elif isinstance(consumer, int):
            for phase, rate in enumerate(self.consumer.rates[consumer]):
                if rate:
                    yield rate, (a, ring, kernel, buffer, phase), ()
            rate = self.consumer.exits[consumer]
            if rate and buffer > 1:
                for share, phase in self._served():
                    yield rate * share, (a, ring, kernel, buffer - 1, phase), ("carried",)
            elif rate:
                idle = "spin" if self.spins else "poll" if self.poll else "asleep"
                what = ("carried",) if self.spins else ("carried", "poll")
                yield rate, (a, ring, kernel, 0, idle), what


@dataclass(frozen=True)
class OneCore:
    """One core: the kernel works whenever the ring holds a packet, else the consumer goes on."""

    rate: Number
    ring: int
    capacity: int
    kernel: Number
    consumer: Number
    drop: Number

    def begin(self) -> State:
        return (0, 0)

    def happenings(self, state: State) -> Iterator[Happening]:
        ring, buffer = state
        if ring == self.ring:
            yield self.rate, state, ("offered", "ring drop")
        else:
            yield self.rate, (ring + 1, buffer), ("offered",)
        if ring and buffer == self.capacity:
            yield 1 / Fraction(self.drop), (ring - 1, buffer), ("buffer drop",)
        elif ring:
            what = ("wakeup",) if buffer == 0 else ()
            yield 1 / Fraction(self.kernel), (ring - 1, buffer + 1), what
        elif buffer:
            what = ("carried", "poll") if buffer == 1 else ("carried",)
            yield 1 / Fraction(self.consumer), (0, buffer - 1), what


def listed(system: TwoCores | OneCore) -> dict[State, list[Happening]]:
    """Every state that can be reached, and what can happen there."""
    found: dict[State, list[Happening]] = {}
    todo = [system.begin()]
    while todo:
        state = todo.pop()
        if state not in found:
            found[state] = list(system.happenings(state))
            todo += [after for _, after, _ in found[state]]
    return found


def probabilities(chain: dict[State, list[Happening]], exact: bool) -> dict[State, Number]:
    """Stationary probabilities: by elimination in fractions, or by sparse LU in floats."""
    states = list(chain)
    index = {state: i for i, state in enumerate(states)}
    if exact:
        flow = [[Fraction(0)] * len(states) for _ in states]
        for state, happenings in chain.items():
            for rate, after, _ in happenings:
                flow[index[state]][index[after]] += Fraction(rate)
        return dict(zip(states, by_elimination(flow), strict=True))
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import spsolve

    rows, columns, values = [], [], []
    for state, happenings in chain.items():
        for rate, after, _ in happenings:
            rows += [index[after], index[state]]
            columns += [index[state]] * 2
            values += [float(rate), -float(rate)]
    size = len(states)
    balance = csc_matrix((values, (rows, columns)), shape=(size, size)).tolil()
    balance[0, :] = 1.0
    share = spsolve(balance.tocsc(), np.eye(size)[0])
    return dict(zip(states, share.tolist(), strict=True))


def by_elimination(flow: list[list[Fraction]]) -> list[Fraction]:
    """Censor the last state, and again; then put the states back."""
    flow = [row[:] for row in flow]
    for k in range(len(flow) - 1, 0, -1):
        out = sum(flow[k][:k])
        into = [(i, flow[i][k] / out) for i in range(k) if flow[i][k]]
        onto = [(j, flow[k][j]) for j in range(k) if flow[k][j]]
        for i, share in into:
            flow[i][k] = share
            for j, rate in onto:
                flow[i][j] += share * rate
    weights = [Fraction(1)]
    for k in range(1, len(flow)):
        weights.append(sum((weights[i] * flow[i][k] for i in range(k)), Fraction(0)))
    total = sum(weights)
    return [weight / total for weight in weights]


def rates(
    system: TwoCores | OneCore, exact: bool = False, extra: Callable[[State], Number] | None = None
) -> dict[str, Number]:
    """Long-run rate of everything that happens, by name; mean contents; `extra` averaged."""
    chain = listed(system)
    share = probabilities(chain, exact)
    names = ("offered", "carried", "ring drop", "buffer drop", "wakeup", "poll", "interrupt")
    found: dict[str, Number] = dict.fromkeys(names, 0)
    for state, happenings in chain.items():
        for rate, _, what in happenings:
            for name in what:
                found[name] += share[state] * (Fraction(rate) if exact else float(rate))
    ring, buffer = (0, 1) if isinstance(system, OneCore) else (1, 3)
    found["in ring"] = sum(p * state[ring] for state, p in share.items())
    found["in buffer"] = sum(p * state[buffer] for state, p in share.items())
    if extra is not None:
        found["extra"] = sum(p * extra(state) for state, p in share.items())
    return found
