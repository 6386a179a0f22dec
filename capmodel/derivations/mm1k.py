"""M/M/1/K from its balance equations, for symbolic K."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import by_capacity, nonnegative, positive

LOAD = positive("offered_load")
CAPACITY = sp.Symbol("capacity", integer=True, positive=True)
PACKETS = sp.Symbol("packets", integer=True, nonnegative=True)
SERVICE = positive("service_time")
TIME = nonnegative("time")

_N = sp.Symbol("n", integer=True, nonnegative=True)


def weight(n: sp.Expr) -> sp.Expr:
    """Stationary weight of n packets against none, ``rho^n``.

    Across the cut between n and n + 1 as many packets come as go: ``lambda p_n = mu p_(n+1)``, a
    recurrence of first order.
    """
    p = sp.Function("p")
    solved = sp.rsolve(p(_N + 1) - LOAD * p(_N), p(_N), {p(0): 1})
    return solved.subs(_N, n)


def _summed(term: sp.Expr) -> sp.Expr:
    """Sum over n = 0..K, with its own value at load 1."""
    at_one = sp.summation(term.subs(LOAD, 1), (_N, 0, CAPACITY))
    general = sp.summation(term, (_N, 0, CAPACITY))
    if isinstance(general, sp.Piecewise):
        general = general.args[-1].expr
    return sp.Piecewise((at_one, sp.Eq(LOAD, 1)), (general, True))


def occupancy_mm1k() -> sp.Expr:
    """Probability of n packets: their weight over the geometric sum of all weights."""
    within = weight(PACKETS) / _summed(weight(_N))
    return sp.Piecewise((within, PACKETS <= CAPACITY), (0, True))


def loss_mm1k() -> sp.Expr:
    """Share lost: a Poisson arrival sees the stationary state, and is lost if that is K."""
    return weight(CAPACITY) / _summed(weight(_N))


def mean_occupancy_mm1k() -> sp.Expr:
    """Mean number present, the sum of n by weight over the sum of the weights."""
    return _summed(_N * weight(_N)) / _summed(weight(_N))


def mean_sojourn_time_mm1k() -> sp.Expr:
    """Mean time of an accepted packet by Little's law: packets present over the rate accepted."""
    accepted = LOAD / SERVICE * (1 - loss_mm1k())
    return mean_occupancy_mm1k() / accepted


def sojourn_time_survival_mm1k() -> sp.Expr:
    """Probability that an accepted packet stays longer than t, for K = 1..6.

    It finds j < K with probability proportional to ``rho^j``, and stays for j + 1 exponential
    services: as long as fewer than j + 1 services of a Poisson process have ended.
    """
    pace = TIME / SERVICE

    def stays(capacity: int) -> sp.Expr:
        poisson = [sp.exp(-pace) * pace**i / sp.factorial(i) for i in range(capacity)]
        longer = [sp.Add(*poisson[: j + 1]) for j in range(capacity)]
        found = [weight(sp.Integer(j)) for j in range(capacity)]
        return sp.Add(*(f * s for f, s in zip(found, longer, strict=True))) / sp.Add(*found)

    return by_capacity(stays, range(1, 7))
