"""A ring of blocks at constant rate, its retire timer, and the end of a poll."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

OFFERED = positive("offered_rate")
SIZE = positive("block")
COUNT = positive("blocks")
CONSUMER = positive("consumer_cost")
READ = positive("read_cost")
LATENCY = positive("wakeup_latency")
TIMEOUT = positive("timeout")


def _waits() -> sp.Expr:
    """Mean time per block without a free one, for M = 1 and 2."""
    fill = SIZE / OFFERED
    awake = READ + SIZE * CONSUMER
    asleep = awake + LATENCY
    # M = 1: filling and reading alternate, and the reader sleeps through every filling.
    one = asleep
    # M = 2, reader faster than the filling (G0 <= F): it sleeps when a block is closed at time 0
    # and frees it at G1. The next block is closed at F, and another is free at max(F, G1). It is
    # read from max(F, G1), awake if that is G1 > F, and so is done before a third is closed: the
    # reader sleeps again, after two blocks and max(F, G1) + F.
    alternating = (sp.Max(fill, asleep) + fill) / 2 - fill
    # M = 2, reader slower (G0 > F): it never sleeps, and a block passes every G0.
    steady = awake - fill
    two = sp.Piecewise((alternating, awake < fill), (steady, True))
    return sp.Piecewise((one, COUNT <= 1), (two, True))


def block_ring_loss() -> sp.Expr:
    """Share lost by one or two blocks: time without a free block over the time per block."""
    return _waits() / (SIZE / OFFERED + _waits())


def block_ring_carried_rate() -> sp.Expr:
    """Carried rate: one block of packets per filling time and wait."""
    return SIZE / (SIZE / OFFERED + _waits())


def block_rate() -> sp.Expr:
    """The larger of the two limits: every block full, or closed by the timer that saw a packet.

    The probability that a Poisson process of rate lambda is silent for t obeys ``p' = -lambda p``.
    """
    t = positive("t")
    p = sp.Function("p")
    silent = sp.dsolve(sp.Eq(p(t).diff(t), -OFFERED * p(t)), ics={p(0): 1}).rhs
    seen = (1 - silent.subs(t, TIMEOUT)) / TIMEOUT
    return sp.Max(OFFERED / SIZE, seen)
