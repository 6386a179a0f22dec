"""Correlated arrivals into a finite queue: the whole chain, in rational arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

Rates = Sequence[Sequence[sp.Rational]]


def map1k(
    silent: Rates, arriving: Rates, capacity: int, service: sp.Rational
) -> tuple[sp.Rational, sp.Rational]:
    """Loss and mean number from the balance of every state (number present, phase).

    From phase i to j in silence at ``silent[i][j]``, with a packet at ``arriving[i][j]``; a packet
    at K is lost, and a service ends at ``1/service`` where there is one. An expression in symbols
    would fill pages already at K = 2, so the numbers come first: any rationals.
    """
    phases = len(silent)
    states = [(n, i) for n in range(capacity + 1) for i in range(phases)]
    place = {state: index for index, state in enumerate(states)}
    flow = sp.zeros(len(states), len(states))
    for n, i in states:
        here = place[n, i]
        for j in range(phases):
            flow[here, place[n, j]] += silent[i][j] if i != j else 0
            flow[here, place[min(n + 1, capacity), j]] += arriving[i][j]
        if n > 0:
            flow[here, place[n - 1, i]] += 1 / service
    for index in range(len(states)):
        flow[index, index] -= sum(flow[index, :])
    balance = flow.T
    balance[len(states) - 1, :] = sp.ones(1, len(states))
    target = sp.zeros(len(states), 1)
    target[len(states) - 1] = 1
    shares = balance.LUsolve(target)
    pace = [sum(arriving[i]) for _, i in states]
    offered = sum(p * r for p, r in zip(shares, pace, strict=True))
    lost = sum(shares[place[capacity, i]] * sum(arriving[i]) for i in range(phases))
    mean = sum(p * n for p, (n, _) in zip(shares, states, strict=True))
    return lost / offered, mean
