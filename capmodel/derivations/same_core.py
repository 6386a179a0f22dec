"""One core, the kernel first: what is left for the consumer."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative, positive

OFFERED = positive("offered_rate")
KERNEL = positive("kernel_cost")
CONSUMER = nonnegative("consumer_cost")
DROP = positive("drop_cost")
SHARE = positive("kernel_share")
INTERRUPTS = nonnegative("interrupt_share")

_RATE = sp.Symbol("X", positive=True)


def loss_free_rate() -> sp.Expr:
    """The most a core carries without loss: each packet costs it ``c_k + c_a``."""
    (rate,) = sp.solve(sp.Eq(_RATE * (KERNEL + CONSUMER) + INTERRUPTS, 1), _RATE)
    return rate


def priority_rate() -> sp.Expr:
    """Carried rate in overload under strict priority.

    The kernel takes every packet offered: X of them it stores at c_k, the others it takes only to
    throw them away at the full buffer, at c_d. The consumer has the rest:
    ``X c_k + (lambda - X) c_d + X c_a + omega = 1``.
    """
    balance = sp.Eq(_RATE * (KERNEL + CONSUMER) + (OFFERED - _RATE) * DROP + INTERRUPTS, 1)
    (rate,) = sp.solve(balance, _RATE)
    return sp.factor(rate)


def guaranteed_rate() -> sp.Expr:
    """Carried rate if persistent kernel work is held to a share of the core.

    The consumer has at least ``1 - phi``; it cannot carry more than what a core carries that
    drops nothing (then the kernel needs less than its share).
    """
    (rate,) = sp.solve(sp.Eq(_RATE * CONSUMER, 1 - SHARE), _RATE)
    free = sp.Piecewise((rate, CONSUMER > 0), (sp.oo, True))
    return sp.Min(free, loss_free_rate())


def same_core_carried_rate() -> sp.Expr:
    """The three together: no loss, else priority or the guaranteed share, whichever is more.

    Dropping at the price of storing, with a consumer that costs nothing, leaves the priority
    balance without a solution; that consumer is never starved and the guaranteed rate holds.
    """
    both = KERNEL + CONSUMER
    priority = sp.Piecewise((sp.Max(priority_rate(), 0), both > DROP), (0, True))
    overload = sp.Min(OFFERED, sp.Max(priority, guaranteed_rate()))
    return sp.Piecewise((OFFERED, OFFERED * both <= 1 - INTERRUPTS), (overload, True))
