"""The chance that no packet comes while the consumer enters its wait."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative, positive

INTERVAL = positive("interval")
CONSUMER = positive("consumer_cost")
POLL = positive("poll_cost")
SCV = nonnegative("scv")

NEVER = sp.Rational(1, 10**9)  # the formula's floor, which stands for "never sleeps"


def poll_miss_probability() -> sp.Expr:
    """Probability that none comes, for exponential and for constant intervals.

    Exponential intervals have no memory: the probability of silence obeys ``p' = -p/a``. With
    constant ones the consumer, at constant cost, gains ``a - c_a`` on the kernel per packet, so
    the moment at which it finds the buffer empty is uniform over the last such step: the next
    packet is a uniform time from 0 to ``a - c_a`` away.
    """
    t = positive("t")
    p = sp.Function("p")
    silent = sp.dsolve(sp.Eq(p(t).diff(t), -p(t) / INTERVAL), ics={p(0): 1}).rhs
    step = INTERVAL - CONSUMER
    waits = sp.integrate(1 / step, (t, POLL, step))
    uniform = sp.Piecewise((sp.Max(waits, 0), INTERVAL > CONSUMER), (0, True))
    return sp.Piecewise(
        (sp.Max(silent.subs(t, POLL), NEVER), SCV >= 1),
        (sp.Max(uniform, NEVER), sp.Eq(SCV, 0)),
    )
