"""GI/M/1/K from the balance of what arrivals find, for small K."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import sympy as sp

from capmodel.derivations.mg1k import poisson_counts
from capmodel.derivations.notation import by_capacity, positive

LOAD = positive("offered_load")
LEVELS = range(1, 6)


@cache
def _found(capacity: int) -> tuple[tuple[sp.Symbol, ...], sp.Expr]:
    """Probability that an arrival finds K, in the probabilities b_0, b_1, ... of the services.

    After an arrival that finds i, i + 1 are present (K, if it was lost). Of these, as many leave
    before the next arrival as services fit into an interval, b_k for exactly k of them.
    """
    served = sp.symbols(f"b:{capacity + 1}", positive=True)
    flow = sp.zeros(capacity + 1, capacity + 1)
    for i in range(capacity + 1):
        present = min(i + 1, capacity)
        for services in range(present):
            flow[i, present - services] += served[services]
        flow[i, 0] += 1 - sum(served[:present])
    shares = sp.symbols(f"p:{capacity + 1}")
    row = sp.Matrix([shares])
    balance = [*(row * flow - row)[:-1], sum(shares) - 1]
    (solution,) = sp.linsolve(balance, shares)
    return served, sp.factor(solution[-1])


def loss(services: Sequence[sp.Expr], capacity: int) -> sp.Expr:
    """Share lost, given the probabilities of 0, 1, ... services in an interval."""
    symbols, full = _found(capacity)
    return full.subs(dict(zip(symbols, services, strict=False)))


def loss_gim1k() -> sp.Expr:
    """Share lost at constant intervals, K = 1..5, from the chain of what arrivals find."""
    return by_capacity(lambda k: loss(poisson_counts(1 / LOAD, k + 1), k), LEVELS)
