"""A scheduler that moves the consumer: mean and variance of a time average."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

SAME = positive("same")
SPLIT = positive("split")
LEAVE_SAME = positive("leave_same")
LEAVE_SPLIT = positive("leave_split")
LENGTH = positive("duration")

_T, _U = sp.symbols("t u", positive=True)
_TAU = sp.Symbol("tau", positive=True)


def share_same() -> sp.Expr:
    """Share of time on the same core: as often left as entered, ``p alpha = (1 - p) beta``."""
    p = sp.Symbol("p", positive=True)
    (share,) = sp.solve(sp.Eq(p * LEAVE_SAME, (1 - p) * LEAVE_SPLIT), p)
    return share


def environment_mean() -> sp.Expr:
    """Mean over time: either value with the share of time that the consumer spends there."""
    p = share_same()
    return p * SAME + (1 - p) * SPLIT


def autocovariance(t: sp.Expr) -> sp.Expr:
    """Covariance of the quantity now and t later.

    The probability of being on the same core follows ``q' = beta - (alpha + beta) q``. From q = 1
    it decays to p as ``p + (1 - p) e^(-t/tau)``; hence
    ``E f(0) f(t) - (E f)^2 = (f_same - f_split)^2 p (1 - p) e^(-t/tau)``.
    """
    q = sp.Function("q")
    law = sp.Eq(q(_T).diff(_T), LEAVE_SPLIT - (LEAVE_SAME + LEAVE_SPLIT) * q(_T))
    stays = sp.dsolve(law, ics={q(0): 1}).rhs
    p = share_same()
    both = p * stays  # same core now and t later
    covariance = (SAME - SPLIT) ** 2 * (both - p**2)
    return sp.simplify(covariance).subs(_T, t)


def environment_variance() -> sp.Expr:
    """Variance of the average over a run: ``2/T^2`` times the integral of (T - t) C(t)."""
    p = share_same()
    scale = (SAME - SPLIT) ** 2 * p * (1 - p)
    decay = sp.exp(-_T / _TAU)
    weighted = 2 / LENGTH**2 * sp.integrate((LENGTH - _T) * decay, (_T, 0, LENGTH))
    return scale * sp.simplify(weighted).subs(_TAU, 1 / (LEAVE_SAME + LEAVE_SPLIT))
