"""M/M/1/K from its balance equations, for symbolic K."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

LOAD = positive("offered_load")
CAPACITY = sp.Symbol("capacity", integer=True, positive=True)

_N = sp.Symbol("n", integer=True, nonnegative=True)


def weight(n: sp.Expr) -> sp.Expr:
    """Stationary weight of n packets against none, ``rho^n``.

    Across the cut between n and n + 1 as many packets come as go: ``lambda p_n = mu p_(n+1)``, a
    recurrence of first order.
    """
    p = sp.Function("p")
    solved = sp.rsolve(p(_N + 1) - LOAD * p(_N), p(_N), {p(0): 1})
    return solved.subs(_N, n)


def total_weight() -> sp.Expr:
    """Sum of the weights over 0..K, a geometric sum with its own value at load 1."""
    return sp.summation(weight(_N), (_N, 0, CAPACITY))


def loss_mm1k() -> sp.Expr:
    """Share lost: a Poisson arrival sees the stationary state, and is lost if that is K."""
    return _ratio(weight(CAPACITY))


def mean_mm1k() -> sp.Expr:
    """Mean number present, the weighted sum of n over the sum of weights."""
    geometric = sp.summation(_N * LOAD**_N, (_N, 0, CAPACITY))
    return _ratio(geometric)


def _ratio(weights: sp.Expr) -> sp.Expr:
    whole = total_weight()
    at_one = sp.simplify(weights.subs(LOAD, 1).doit()) / (CAPACITY + 1)
    if isinstance(weights, sp.Piecewise):
        weights = weights.args[-1].expr
    return sp.Piecewise((at_one, sp.Eq(LOAD, 1)), (weights / whole.args[-1].expr, True))
