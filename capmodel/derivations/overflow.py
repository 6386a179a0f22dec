"""The first loss of a finite queue, by first-step analysis; and of reflected Brownian motion."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.finite_run import DRIFT, SIGMA, maximum_exceeds
from capmodel.derivations.notation import by_capacity, nonnegative, positive

LOAD = positive("offered_load")
SERVICE = positive("service_time")
LEVEL = nonnegative("level")
BARRIER = positive("barrier")
VARIANCE = positive("variance")
DISTANCE = positive("distance")
TIME = positive("time")
ANY_DRIFT = sp.Symbol("drift", real=True)


def _by_level(values: list[sp.Expr]) -> sp.Expr:
    return sp.Piecewise(*((value, sp.Eq(LEVEL, i)) for i, value in enumerate(values)))


def mean_overflow_time_mm1k() -> sp.Expr:
    """Mean time until an arrival finds K present, for K = 1..5.

    From i packets the next event is an arrival or, if i > 0, a departure; it comes after a mean
    time of one over the sum of both rates. The arrival that finds K ends it.
    """

    def solved(capacity: int) -> sp.Expr:
        times = list(sp.symbols(f"T_0:{capacity + 1}"))
        equations = []
        for i, time in enumerate(times):
            after = times[i + 1] if i < capacity else sp.Integer(0)
            back = times[i - 1] if i else time
            departs = 1 if i else 0
            equations.append(sp.Eq((LOAD + departs) * time, 1 + LOAD * after + departs * back))
        (solution,) = sp.solve(equations, times, dict=True)
        return SERVICE * _by_level([sp.cancel(solution[t]) for t in times])

    return by_capacity(solved, range(1, 6))


def mean_overflow_time_mg1k() -> sp.Expr:
    """The same for constant services, at the moments at which one begins, for K = 1..4.

    With i present K - i arrivals fit into a service. The time until it ends, or one more comes, is
    the sum over n of P(more than n arrivals)/lambda, for n up to K - i: while the service lasts,
    each arrival is awaited for 1/lambda.
    """
    equal = [sp.exp(-LOAD) * LOAD**k / sp.factorial(k) for k in range(6)]

    def more_than(n: int) -> sp.Expr:
        return 1 - sp.Add(*equal[: n + 1])

    def solved(capacity: int) -> sp.Expr:
        times = list(sp.symbols(f"T_0:{capacity + 1}"))
        equations = [sp.Eq(times[0], 1 / LOAD + times[1])]
        for i in range(1, capacity + 1):
            room = capacity - i
            spent = sp.Add(*(more_than(n) for n in range(room + 1))) / LOAD
            onward = sp.Add(*(equal[k] * times[i - 1 + k] for k in range(room + 1)))
            equations.append(sp.Eq(times[i], spent + onward))
        (solution,) = sp.solve(equations, times, dict=True)
        return SERVICE * _by_level([solution[t] for t in times])

    return by_capacity(solved, range(1, 5))


def first_passage_cdf_brownian() -> sp.Expr:
    """Probability of having covered a distance: that the maximum by then exceeds it.

    For a drift towards it; the tests turn it round.
    """
    towards = {DRIFT: positive("drift"), SIGMA: sp.sqrt(VARIANCE)}
    # SymPy writes a small erfc(z) as 2 - erfc(-z), which no number of digits would be enough for
    return (
        maximum_exceeds(DISTANCE, TIME)
        .subs(towards)
        .replace(sp.erfc, lambda z: 2 - sp.erfc(-z, evaluate=False))
    )


def mean_overflow_time_diffusion() -> sp.Expr:
    """Mean time from x to B, reflected at 0.

    It solves the backward equation ``sigma^2/2 u'' + delta u' = -1`` with ``u'(0) = 0`` and
    ``u(B) = 0``; without drift in its own right.
    """
    x = sp.Symbol("x", nonnegative=True)
    u = sp.Function("u")

    def solved(drift: sp.Expr) -> sp.Expr:
        law = sp.Eq(VARIANCE / 2 * u(x).diff(x, 2) + drift * u(x).diff(x), -1)
        ends = {u(x).diff(x).subs(x, 0): 0, u(BARRIER): 0}
        return sp.dsolve(law, u(x), ics=ends).rhs.subs(x, LEVEL)

    nonzero = sp.Symbol("d", nonzero=True)
    return sp.Piecewise(
        (solved(sp.Integer(0)), sp.Eq(ANY_DRIFT, 0)),
        (solved(nonzero).subs(nonzero, ANY_DRIFT), True),
    )
