"""How often a sleep that ends at a uniform moment has to be ended by an interrupt."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative

GAP = nonnegative("gap")
LEAVE = nonnegative("leave")
SETTLE = nonnegative("settle")


def wake_interrupt_probability() -> sp.Expr:
    """Share of a gap in which the core does not look for work: what no integral over it finds.

    It looks between `leave` and ``leave + settle``; a uniform moment falls there as often as that
    interval, cut off at the end of the gap, is long.
    """
    t = sp.Dummy("t", nonnegative=True)
    ends = sp.Min(LEAVE, GAP), sp.Min(LEAVE + SETTLE, GAP)
    looking = sp.integrate(sp.Integer(1), (t, *ends))
    return sp.Piecewise(
        (1, sp.Or(sp.Eq(SETTLE, 0), sp.And(sp.Eq(GAP, 0), LEAVE > 0))),
        (0, sp.Eq(GAP, 0)),
        ((GAP - looking) / GAP, True),
    )
