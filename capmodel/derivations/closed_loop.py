"""One request at a time beside a flood of higher priority."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

FLOOD = positive("flood_rate")
KERNEL = positive("kernel_cost")
SERVICE = positive("service")
ELSEWHERE = positive("elsewhere")


def busy_period() -> sp.Expr:
    """Mean busy period of the flood: one packet, and a busy period for each that came meanwhile."""
    busy = sp.Symbol("B", positive=True)
    (mean,) = sp.solve(sp.Eq(busy, KERNEL + FLOOD * KERNEL * busy), busy)
    return mean


def closed_loop_rate() -> sp.Expr:
    """Transactions per second: one per ``elsewhere`` and completion time.

    A service that is preempted and resumed takes its own time and one busy period of the flood for
    each flood packet that comes during that time.
    """
    completion = sp.simplify(SERVICE * (1 + FLOOD * busy_period()))
    return sp.Piecewise((1 / (ELSEWHERE + completion), FLOOD * KERNEL < 1), (0, True))
