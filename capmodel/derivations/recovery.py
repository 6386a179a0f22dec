"""Stalls and what follows: Poisson counts, and busy periods that begin with a backlog."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative, positive

RATE = positive("offered_rate")
STALL = positive("stall")
STALL_RATE = positive("stall_rate")
STALL_TIME = positive("stall_time")
ROOM = nonnegative("room")
BACKLOG = nonnegative("backlog")
LOAD = nonnegative("offered_load")
SERVICE = positive("service_time")
SCV = nonnegative("service_scv")
TIME = nonnegative("time")

_ROOMS = (0, 1, 2, 5, 20)
_BACKLOGS, _SERVICES = (0, 1, 2, 3), 5


def _equal(mean: sp.Expr, k: int) -> sp.Expr:
    return sp.exp(-mean) * mean**k / sp.factorial(k)


def stall_drops() -> sp.Expr:
    """Mean number that does not fit: what comes, less what fits, summed over the Poisson law."""
    mean = RATE * STALL

    def lost(room: int) -> sp.Expr:
        fits = sp.Add(*(k * _equal(mean, k) for k in range(room + 1)))
        filled = room * (1 - sp.Add(*(_equal(mean, k) for k in range(room + 1))))
        return mean - fits - filled

    return sp.Piecewise(*((lost(room), sp.Eq(ROOM, room)) for room in _ROOMS))


def loss_in_stalls() -> sp.Expr:
    """Stalls per packet, times the mean number that one brings beyond the room."""
    length = sp.Symbol("x", positive=True)
    density = sp.exp(-length / STALL_TIME) / STALL_TIME
    beyond = sp.integrate((RATE * length - ROOM) * density, (length, ROOM / RATE, sp.oo))
    return sp.simplify(STALL_RATE / RATE * beyond)


def stall_loss_probability() -> sp.Expr:
    """Probability that more come than fit, the complement of the Poisson sum."""
    mean = RATE * STALL
    return sp.Piecewise(*(
        (1 - sp.Add(*(_equal(mean, k) for k in range(room + 1))), sp.Eq(ROOM, room))
        for room in _ROOMS
    ))  # fmt: skip


def _busy_moments() -> tuple[sp.Expr, sp.Expr]:
    """First two moments of a busy period, service 1, from its transform's own equation.

    The packets that come during the first service each begin a busy period of their own:
    ``B(s) = S(s + lambda - lambda B(s))``; differentiated once and twice at s = 0.
    """
    s, first, second = sp.symbols("s b_1 b_2")
    period = 1 - first * s + second * s**2 / 2
    argument = sp.expand(s + LOAD * (1 - period))
    service = 1 - argument + (1 + SCV) * argument**2 / 2
    gap = sp.expand(period - service)
    (one,) = sp.solve(gap.coeff(s, 1), first)
    (two,) = sp.solve(gap.coeff(s, 2).subs(first, one), second)
    return sp.simplify(one), sp.simplify(two)


def mean_recovery_time_mg1() -> sp.Expr:
    """Mean of as many busy periods in a row as there are packets: each waits for those before."""
    one, _ = _busy_moments()
    ends = SERVICE * BACKLOG * one
    return sp.Piecewise((ends, LOAD < 1), (0, sp.Eq(BACKLOG, 0)), (sp.oo, True))


def variance_recovery_time_mg1() -> sp.Expr:
    """Variance of the same sum of independent busy periods."""
    one, two = _busy_moments()
    ends = SERVICE**2 * BACKLOG * sp.factor(two - one**2)
    return sp.Piecewise((ends, LOAD < 1), (0, sp.Eq(BACKLOG, 0)), (sp.oo, True))


def recovery_time_cdf_mg1() -> sp.Expr:
    """Probability of being empty by t, after at most n constant services of 1, for n up to 5.

    By first steps: a service of one of b packets leaves b - 1 + k with the Poisson probability of k
    arrivals; nobody left ends it.
    """
    within: dict[tuple[int, int], sp.Expr] = {}

    def done(left: int, services: int) -> sp.Expr:
        if left == 0:
            return sp.Integer(1)
        if services < left:
            return sp.Integer(0)
        if (left, services) not in within:
            within[left, services] = sp.Add(*(
                _equal(LOAD, k) * done(left - 1 + k, services - 1) for k in range(services)
            ))  # fmt: skip
        return within[left, services]

    return sp.Piecewise(*(
        (done(b, n), sp.And(sp.Eq(BACKLOG, b), n <= TIME, n + 1 > TIME))
        for b in _BACKLOGS for n in range(_SERVICES + 1)
    ))  # fmt: skip
