"""One request at a time beside a flood on the same core."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.finite_run import DRIFT, SIGMA, maximum_exceeds
from capmodel.derivations.notation import nonnegative, normal_cdf, positive

FLOOD = positive("flood_rate")
KERNEL = positive("kernel_cost")
SERVICE = nonnegative("service")
ELSEWHERE = positive("elsewhere")
BUDGET = positive("budget")

LOAD = FLOOD * KERNEL
LEFT = 1 - LOAD

_FOUND = nonnegative("b")
_UNTIL = positive("v")


def busy_period() -> sp.Expr:
    """Mean time until the ring is empty: a backlog, and the same for each packet that comes then.

    A packet starts one of ``B = c (1 + lambda B)``, and a backlog b one of ``b (1 + lambda B)``.
    """
    busy = sp.Symbol("B", positive=True)
    (packet,) = sp.solve(sp.Eq(busy, KERNEL * (1 + FLOOD * busy)), busy)
    return sp.factor(_FOUND * (1 + FLOOD * packet))


def empty() -> sp.Expr:
    """P(the ring is empty again at u), in t: the ballot theorem (Takacs 1967), term by term.

    With j packets by then it is empty with probability ``1 - j c/u``.
    """
    u, j = positive("u"), sp.Symbol("j", integer=True, nonnegative=True)
    poisson = sp.exp(-FLOOD * u) * (FLOOD * u) ** j / sp.factorial(j)
    return sp.Sum(poisson * (1 - j * KERNEL / u), (j, 0, sp.floor(u / KERNEL)))


def idle_time() -> sp.Expr:
    """Mean time for which the flood leaves the core idle until t_0: the integral of `empty`.

    The term of j from j c on: ``lambda^j/j! (integral of u^j e^(-lambda u))``, an incomplete gamma
    function of j + 1, less ``j c`` times the same with a power less, one of j.
    """
    j = sp.Symbol("j", integer=True, positive=True)

    def between(shape: sp.Expr, scale: sp.Expr) -> sp.Expr:
        """Integral of ``u^(shape - 1) e^(-lambda u)`` from j c to t_0, by `scale`."""
        upper = sp.lowergamma(shape, FLOOD * ELSEWHERE)
        return scale * (upper - sp.lowergamma(shape, FLOOD * KERNEL * j)) / FLOOD**shape

    by_j = FLOOD**j / sp.gamma(j + 1)
    term = between(j + 1, by_j) - j * KERNEL * between(j, by_j)
    none = (1 - sp.exp(-FLOOD * ELSEWHERE)) / FLOOD
    return none + sp.Sum(term, (j, 1, sp.floor(ELSEWHERE / KERNEL)))


def backlog_found() -> sp.Expr:
    """The flood's work that is waiting after t_0: what came, less what the core did meanwhile."""
    return LOAD * ELSEWHERE - (ELSEWHERE - idle_time())


def strict_duration() -> sp.Expr:
    """Mean time per transaction when the flood has strict priority.

    The request's service waits for the backlog and is preempted: both are worked off, with all that
    comes meanwhile. It ends with an empty ring, so the next one finds what `backlog_found` says.
    """
    return ELSEWHERE + busy_period().subs(_FOUND, backlog_found() + SERVICE)


def not_worked_off() -> sp.Expr:
    """P(a backlog b is not worked off by v): Brownian motion from b has not been at 0."""
    worked_off = maximum_exceeds(_FOUND, _UNTIL)
    return 1 - worked_off.subs({DRIFT: LEFT, SIGMA: KERNEL * sp.sqrt(FLOOD)})


def left_behind() -> sp.Expr:
    """Mean of what is left of it at v: y times the density of motion that has not been at 0.

    By images, the density is that of a start at b less ``e^(2 delta b/sigma^2)`` times that of a
    start at -b. Over y > 0 a normal density gives ``m Phi(m/s) + s phi(m/s)``; the two densities at
    the origin cancel, the image being as likely there.
    """
    scale = KERNEL * sp.sqrt(FLOOD * _UNTIL)
    mirror = sp.exp(2 * LEFT * _FOUND / (FLOOD * KERNEL**2))
    here, there = _FOUND - LEFT * _UNTIL, -_FOUND - LEFT * _UNTIL
    return here * normal_cdf(here / scale) - mirror * there * normal_cdf(there / scale)


def duration() -> sp.Expr:
    """Mean time per transaction with passes of a limited number of packets.

    A pass ends half a budget past the backlog, or with what is left of one that began with the last
    answer. A process that gets the core by then finds the ring not empty with probability g; it is
    not preempted, and what it leaves is `left_behind` per g and what comes during its service. The
    kernel works t_0 on it until the next request. From that backlog the probability is g'; the
    share of such transactions is in balance, ``q (1 - g') = (1 - q) g``. The mean wait D is what is
    worked off meanwhile at ``1 - rho``. The core is not busy for more than all the time, and the
    flood needs no less: ``lambda c X + t_c X <= 1`` with lambda served, so ``T >= t_c/(1 - rho)``.
    """
    g, again, behind, after, found, kept = sp.symbols("g g' k k' b_0 b_1", nonnegative=True)
    q = sp.Symbol("q", nonnegative=True)
    (share,) = sp.solve(sp.Eq(q * (1 - again), (1 - q) * g), q)
    wait = ((1 - q) * (found - behind) + q * (kept - after)) / LEFT
    handed = ELSEWHERE + wait + q * SERVICE + (1 - q) * busy_period().subs(_FOUND, SERVICE)
    length = BUDGET * KERNEL

    def at(expression: sp.Expr, backlog: sp.Expr) -> sp.Expr:
        rest = _larger(length - ELSEWHERE, backlog + length / 2)
        return expression.xreplace({_FOUND: backlog, _UNTIL: rest})

    first = backlog_found()
    unfinished, remains = at(not_worked_off(), first), at(left_behind(), first)
    carried = _larger(remains / unfinished + LOAD * SERVICE - LEFT * ELSEWHERE, sp.Integer(0))
    values = {
        g: unfinished, behind: remains, found: first, kept: carried,
        again: at(not_worked_off(), carried), after: at(left_behind(), carried),
    }  # fmt: skip
    busy = _larger(handed.subs(q, share).xreplace(values), SERVICE / LEFT)
    return sp.Min(busy, strict_duration(), evaluate=False)


def _larger(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """The larger of two; SymPy would spend minutes on finding out which."""
    return sp.Max(a, b, evaluate=False)


def closed_loop_rate() -> sp.Expr:
    """One transaction at a time; none where the flood alone fills the core."""
    return sp.Piecewise((1 / duration(), LOAD < 1), (0, True))
