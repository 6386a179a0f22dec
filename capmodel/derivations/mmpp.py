"""Correlated arrivals into a finite queue: the whole chain of two phases, for small K."""

from __future__ import annotations

from functools import cache

import sympy as sp

from capmodel.derivations.notation import by_capacity, positive

RATE_1, RATE_2 = positive("rate_1"), positive("rate_2")
LEAVE_1, LEAVE_2 = positive("leave_1"), positive("leave_2")
ALONG_1, ALONG_2 = sp.symbols("along_1 along_2", nonnegative=True)
SERVICE = positive("service_time")

LEVELS = range(1, 3)


@cache
def _solution(capacity: int) -> tuple[sp.Expr, sp.Expr]:
    """Loss and mean number from the balance of every state (number present, phase).

    In phase i packets come at ``rate_i`` and change nothing, or at ``along_i`` and take the phase
    with them; the phase also changes in silence at ``leave_i``. A packet at K is lost.
    """
    states = [(n, phase) for n in range(capacity + 1) for phase in (0, 1)]
    place = {state: i for i, state in enumerate(states)}
    stays, along, leaves = (RATE_1, RATE_2), (ALONG_1, ALONG_2), (LEAVE_1, LEAVE_2)
    flow = sp.zeros(len(states), len(states))
    for (n, phase), i in place.items():
        more = min(n + 1, capacity)
        for target, rate in (
            ((more, phase), stays[phase]),
            ((more, 1 - phase), along[phase]),
            ((n, 1 - phase), leaves[phase]),
            ((max(n - 1, 0), phase), 1 / SERVICE),
        ):
            if target != (n, phase):
                flow[i, place[target]] += rate
    for i in range(len(states)):
        flow[i, i] = -sum(flow[i, j] for j in range(len(states)) if j != i)
    names = sp.symbols(f"p:{len(states)}")
    balance = [*(sp.Matrix([names]) * flow)[:-1], sum(names) - 1]
    (shares,) = sp.linsolve(balance, names)
    pace = [stays[phase] + along[phase] for _, phase in states]
    offered = sum(p * r for p, r in zip(shares, pace, strict=True))
    lost = sum(shares[place[capacity, phase]] * pace[phase] for phase in (0, 1))
    return lost / offered, sum(p * n for p, (n, _) in zip(shares, states, strict=True))


def loss_map1k() -> sp.Expr:
    """Share lost of two-phase arrivals, exponential service, K = 1 and 2, from all balances."""
    return by_capacity(lambda capacity: _solution(capacity)[0], LEVELS)


def mean_occupancy_map1k() -> sp.Expr:
    """Mean number present of the same queue, from the same balance equations."""
    return by_capacity(lambda capacity: _solution(capacity)[1], LEVELS)


def loss_mmpp1k() -> sp.Expr:
    """Share lost where no packet takes the phase with it: the Markov-modulated Poisson case."""
    return loss_map1k().subs({ALONG_1: 0, ALONG_2: 0})
