"""A consumer that leaves an empty buffer: cycles of M/G/1/K with vacations, for small K."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from capmodel.derivations.mg1k import poisson_counts
from capmodel.derivations.notation import by_capacity, nonnegative, positive

OFFERED = positive("offered_rate")
CONSUMER = positive("consumer_cost")
LATENCY = nonnegative("wakeup_latency")
POLL = nonnegative("poll_cost")
SLEEP = positive("sleep")
THRESHOLD = sp.Symbol("threshold", integer=True, positive=True)

LEVELS = range(1, 4)


def served_in_a_cycle(starts: list[sp.Expr], counts: list[sp.Expr]) -> sp.Expr:
    """Mean packets served from the law of the number present at the start until nobody is left.

    From i present, one service leads to ``i - 1 + A``, at most K - 1. With Q the moves between
    1..K, the visits are ``s (1 - Q)^-1``; each visit is one packet served.
    """
    capacity = len(starts)
    moves = sp.zeros(capacity, capacity)
    for i in range(1, capacity + 1):
        for after in range(1, capacity):
            if after >= i - 1:
                moves[i - 1, after - 1] = counts[after - i + 1]
        # what would exceed K - 1 present after the service is held there
        if capacity > 1:
            moves[i - 1, capacity - 2] = 1 - sum(counts[: capacity - 1 - (i - 1)])
    visits = (sp.eye(capacity) - moves).T.LUsolve(sp.Matrix(starts))
    return sum(visits)


def joined(present: int, mean: sp.Expr, capacity: int) -> list[sp.Expr]:
    """Law of `present` packets and a Poisson number more, on 0..K, held at K."""
    counts = poisson_counts(mean, capacity)
    law: list[sp.Expr] = [sp.Integer(0)] * (capacity + 1)
    for n in range(present, capacity):
        law[n] = counts[n - present]
    law[capacity] = 1 - sum(law[:capacity])
    return law


def _rates(starts: list[sp.Expr], away: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Carried rate, loss, cycles per second: the packets of a cycle over its length."""
    counts = poisson_counts(OFFERED * CONSUMER, len(starts) + 1)
    packets = served_in_a_cycle(starts, counts)
    length = away + packets * CONSUMER
    return packets / length, 1 - packets / length / OFFERED, 1 / length


def threshold_cycle(capacity: int, threshold: int) -> tuple[sp.Expr, ...]:
    """Carried rate, loss, wakeups: poll, sleep until N packets are there, run L later.

    With probability ``e^(-lambda P)`` nobody comes during the poll; then N packets take
    ``N/lambda``, and more come during L. Otherwise the next busy period starts with those that
    came. The consumer is woken once per cycle with a sleep.
    """
    asleep = sp.exp(-OFFERED * POLL)
    woken = joined(threshold, OFFERED * LATENCY, capacity)
    polled = joined(0, OFFERED * POLL, capacity)
    starts = [asleep * a + b for a, b in zip(woken[1:], polled[1:], strict=True)]
    away = POLL + asleep * (threshold / OFFERED + LATENCY)
    carried, lost, cycles = _rates(starts, away)
    return carried, lost, cycles * asleep


def sleep_cycle(capacity: int) -> tuple[sp.Expr, ...]:
    """Carried rate, loss, sleeps: sleep for V until somebody is there at the end of one."""
    law = joined(0, OFFERED * SLEEP, capacity)
    some = 1 - law[0]
    carried, lost, cycles = _rates([p / some for p in law[1:]], SLEEP / some)
    return carried, lost, cycles / some


def n_policy() -> tuple[sp.Expr, ...]:
    """Carried rate, loss and wakeups at constant service, K = 1..3, N up to K, no timeout."""

    def of(capacity: int, part: int) -> sp.Expr:
        cases = [
            (threshold_cycle(capacity, n)[part], sp.Eq(THRESHOLD, n))
            for n in range(1, capacity + 1)
        ]
        return sp.Piecewise(*cases)

    return _parts(of)


def fixed_sleep() -> tuple[sp.Expr, ...]:
    """Carried rate, loss and sleeps at constant service, K = 1..3, by renewal-reward."""
    return _parts(lambda capacity, part: sleep_cycle(capacity)[part])


def _parts(of: Callable[[int, int], sp.Expr]) -> tuple[sp.Expr, ...]:
    def single(part: int) -> sp.Expr:
        return by_capacity(lambda capacity: of(capacity, part), LEVELS)

    return tuple(single(part) for part in range(3))
