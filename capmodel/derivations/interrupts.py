"""Packets per interrupt of a driver that polls until the ring is empty: M/G/1 with setup."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative, positive

OFFERED = positive("offered_rate")
KERNEL = positive("kernel_cost")
COST = positive("interrupt_cost")
DELAY = positive("delay")
SCV = nonnegative("scv")

_FAMILY, _COUNT = sp.symbols("f n", positive=True)


def family() -> sp.Expr:
    """Packets that one packet brings about: itself, and those that come during its service."""
    (mean,) = sp.solve(sp.Eq(_FAMILY, 1 + OFFERED * KERNEL * _FAMILY), _FAMILY)
    return mean


def poisson_batch() -> sp.Expr:
    """Packets per interrupt, Poisson arrivals: the opening one and those of the setup, with kin."""
    return sp.factor((1 + OFFERED * (COST + DELAY)) * family())


def constant_batch() -> sp.Expr:
    """Packets per interrupt, constant rate: the ring is empty once arrivals are caught up with."""
    setup = COST + DELAY
    (count,) = sp.solve(sp.Eq(_COUNT / OFFERED, setup + _COUNT * KERNEL), _COUNT)
    return sp.Max(count, 1)


def interrupts_per_packet_napi() -> sp.Expr:
    """Interrupts per packet at the two ends, Poisson and constant; 0 where the ring never empties.

    Between the two ends the formula interpolates, and nothing is derived.
    """
    busy = OFFERED * KERNEL >= 1
    poisson = sp.factor(1 / poisson_batch())
    return sp.Piecewise(
        (0, busy),
        (poisson, sp.Eq(SCV, 1)),
        (1 / constant_batch(), sp.Eq(SCV, 0)),
    )
