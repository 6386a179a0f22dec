"""M/G/1/K from the balance of what departures leave behind, for small K."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import sympy as sp

from capmodel.derivations.notation import by_capacity, positive

LOAD = positive("offered_load")
CAPACITY = sp.Symbol("capacity", integer=True, positive=True)
PACKETS = sp.Symbol("packets", integer=True, nonnegative=True)
SERVICE = positive("service_time")

LEVELS = range(1, 6)


def poisson_counts(mean: sp.Expr, number: int) -> list[sp.Expr]:
    """Arrivals during a constant service."""
    return [sp.exp(-mean) * mean**k / sp.factorial(k) for k in range(number)]


def geometric_counts(mean: sp.Expr, number: int) -> list[sp.Expr]:
    """Arrivals during an exponential service: each comes first with ``rho/(1 + rho)``."""
    return [mean**k / (1 + mean) ** (k + 1) for k in range(number)]


@cache
def _left_behind(capacity: int) -> tuple[tuple[sp.Symbol, ...], tuple[sp.Expr, ...]]:
    """Stationary chain of the number left behind, in the symbols a_0, a_1, ...

    A departure that leaves i > 0 behind is followed by a service that leaves ``i - 1 + A``, at
    most K - 1; one that leaves nobody waits for a packet, whose service leaves A.
    """
    counts = sp.symbols(f"a:{capacity + 1}", positive=True)
    flow = sp.zeros(capacity, capacity)
    for i in range(capacity):
        start = max(i - 1, 0)
        for arrivals in range(capacity - 1 - start):
            flow[i, start + arrivals] += counts[arrivals]
        flow[i, capacity - 1] += 1 - sum(counts[: capacity - 1 - start])
    shares = sp.symbols(f"p:{capacity}")
    row = sp.Matrix([shares])
    balance = [*(row * flow - row)[:-1], sum(shares) - 1]
    (solution,) = sp.linsolve(balance, shares)
    return counts, tuple(sp.factor(entry) for entry in solution)


def left_behind(counts: Sequence[sp.Expr], capacity: int) -> list[sp.Expr]:
    """What departures leave behind, given the probabilities of 0, 1, ... arrivals in a service."""
    symbols, shares = _left_behind(capacity)
    return [share.subs(dict(zip(symbols, counts, strict=False))) for share in shares]


def occupancies(counts: Sequence[sp.Expr], load: sp.Expr, capacity: int) -> list[sp.Expr]:
    """Probabilities of 0..K packets at any time.

    Between two departures lie a service and, if nobody was left behind, a wait of ``1/lambda``:
    ``rho + d_0`` mean arrivals, of which one is carried. Accepted arrivals find what departures
    leave, and arrivals find what is there: ``p_n = d_n/(rho + d_0)`` for n < K. The rest is K.
    """
    left = left_behind(counts, capacity)
    offered = load + left[0]
    below = [share / offered for share in left]
    return [*below, 1 - 1 / offered]


def loss(counts: Sequence[sp.Expr], load: sp.Expr, capacity: int) -> sp.Expr:
    """Share lost: a Poisson arrival is lost if it finds K."""
    return occupancies(counts, load, capacity)[-1]


def _deterministic(capacity: int) -> list[sp.Expr]:
    return occupancies(poisson_counts(LOAD, capacity + 1), LOAD, capacity)


def loss_md1k() -> sp.Expr:
    """Share lost at constant service, K = 1..5, from the chain of departures."""
    return by_capacity(lambda capacity: _deterministic(capacity)[-1], LEVELS)


def occupancy_mg1k() -> sp.Expr:
    """Probability of n packets at constant service, K = 1..5, from the chain of departures."""

    def chance(capacity: int) -> sp.Expr:
        cases = [(p, sp.Eq(PACKETS, n)) for n, p in enumerate(_deterministic(capacity))]
        return sp.Piecewise(*cases, (0, True))

    return by_capacity(chance, LEVELS)


def mean_occupancy_mg1k() -> sp.Expr:
    """Mean number present at constant service, K = 1..5, from the chain of departures."""
    return by_capacity(_mean, LEVELS)


def mean_sojourn_time_mg1k() -> sp.Expr:
    """Mean time of an accepted packet at constant service by Little's law, K = 1..5."""
    return by_capacity(
        lambda capacity: SERVICE * _mean(capacity) / (LOAD * (1 - _deterministic(capacity)[-1])),
        LEVELS,
    )


def _mean(capacity: int) -> sp.Expr:
    return sp.Add(*(n * p for n, p in enumerate(_deterministic(capacity))))
