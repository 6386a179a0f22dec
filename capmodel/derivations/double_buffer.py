"""Two buffers that swap (BPF's STORE and HOLD): renewal-reward over a chain of two states."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.erlang_excess import above, mean_excess, not_above
from capmodel.derivations.notation import nonnegative, positive

OFFERED = positive("offered_rate")
SIZE = positive("buffer")
CONSUMER = positive("consumer_cost")
READ = positive("read_cost")
LATENCY = positive("wakeup_latency")
SCV = nonnegative("scv")

_A, _B = sp.symbols("a b", positive=True)  # P(F > G1), P(F > G0)


def asleep_at_swap() -> sp.Expr:
    """Probability that the reader sleeps at a swap, from the chain of swaps.

    A reader that sleeps at a swap is away and reading for ``G1 = L + p + B c_a``. It sleeps at the
    next swap too if the other buffer is not full by then: F > G1, with probability a. One that was
    awake reads for G0 and sleeps at the next swap if F > G0, with probability b.
    """
    pi = sp.Symbol("pi", positive=True)
    (stationary,) = sp.solve(sp.Eq(pi, pi * _A + (1 - pi) * _B), pi)
    return sp.factor(stationary)


def _parts() -> tuple[sp.Expr, sp.Expr]:
    """Probability of sleep at a swap, and mean time per swap before two full buffers."""
    fill = SIZE / OFFERED
    awake = READ + SIZE * CONSUMER
    asleep = awake + LATENCY
    shape = SIZE / SCV
    chances = {_A: above(shape, shape * asleep / fill), _B: above(shape, shape * awake / fill)}
    random = asleep_at_swap().subs(chances)
    # 1 - a + b, a near 1: the formula adds P(F <= G1) instead
    random = chances[_B] / (not_above(shape, shape * asleep / fill) + chances[_B])
    waits = random * mean_excess(fill, shape, asleep)
    waits += (1 - random) * mean_excess(fill, shape, awake)
    steps = {
        _A: sp.Piecewise((1, fill > asleep), (0, True)),
        _B: sp.Piecewise((1, fill > awake), (0, True)),
    }
    # in the fluid limit a = 1 with b = 0 cannot be: G1 is not below G0
    fixed = asleep_at_swap().subs(steps)
    fluid = fixed * sp.Max(asleep - fill, 0) + (1 - fixed) * sp.Max(awake - fill, 0)
    constant = sp.Eq(SCV, 0)
    return (
        sp.Piecewise((fixed, constant), (random, True)),
        sp.Piecewise((fluid, constant), (waits, True)),
    )


def double_buffer_loss() -> tuple[sp.Expr, sp.Expr]:
    """Share lost, and probability that the reader sleeps at a swap.

    A cycle from swap to swap lasts max(F, G), the filling time F and ``E(G - F)+`` during which
    both buffers are full and everything is lost.
    """
    asleep, waits = _parts()
    fill = SIZE / OFFERED
    return waits / (fill + waits), asleep


def double_buffer_carried_rate() -> tuple[sp.Expr, sp.Expr]:
    """Carried rate (one buffer per cycle) and wakeups (one per cycle that starts asleep)."""
    asleep, waits = _parts()
    cycle = SIZE / OFFERED + waits
    return SIZE / cycle, asleep / cycle
