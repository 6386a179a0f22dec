"""The mean depth of a sleep that ends at a uniform moment."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative, positive

GAP = nonnegative("gap")
SETTLE = nonnegative("settle")


def mean_sleep_depth() -> sp.Expr:
    """Mean of ``1 - exp(-t/settle)`` over a uniform t from 0 to `gap`.

    The depth comes to rest at a rate in proportion to what is left: ``d' = (1 - d)/settle``.
    """
    t, tau, g = positive("t"), positive("tau"), positive("g")
    d = sp.Function("d")
    depth = sp.dsolve(sp.Eq(d(t).diff(t), (1 - d(t)) / tau), ics={d(0): 0}).rhs
    mean = sp.simplify(sp.integrate(depth, (t, 0, g)) / g)
    return sp.Piecewise(
        (1, sp.Eq(SETTLE, 0)), (0, sp.Eq(GAP, 0)), (mean.subs({tau: SETTLE, g: GAP}), True)
    )
