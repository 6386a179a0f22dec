"""Two cores, a kernel that never runs dry: one law for every wakeup policy."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

KERNEL = positive("kernel_cost")
CONSUMER = positive("consumer_cost")
WAKE = positive("wakeup_cost")
OFF = positive("off_time")
OFFERED = positive("offered_rate")

_RATE, _WAKEUPS, _PACKETS, _KAPPA = sp.symbols("X nu n kappa", positive=True)


def time_balances() -> tuple[sp.Expr, sp.Expr]:
    """Carried rate and wakeup rate when every wakeup is worth several packets.

    In one second the saturated kernel spends ``X c_k`` on packets and ``nu w`` on wakeups, and has
    no time left. The consumer spends ``X c_a`` on packets and, since every sleep cycle takes it
    away from the buffer for S, ``nu S`` away. Two linear equations in X and nu.
    """
    kernel = sp.Eq(_RATE * KERNEL + _WAKEUPS * WAKE, 1)
    consumer = sp.Eq(_RATE * CONSUMER + _WAKEUPS * OFF, 1)
    (solution,) = sp.solve((kernel, consumer), (_RATE, _WAKEUPS), dict=True)
    return sp.factor(solution[_RATE]), sp.factor(solution[_WAKEUPS])


def one_wakeup_per_packet() -> sp.Expr:
    """Carried rate when the consumer is asleep again before every packet: nu = X."""
    balance = sp.Eq(_RATE * KERNEL + _RATE * WAKE, 1)
    (rate,) = sp.solve(balance, _RATE)
    return rate


def packets_per_wakeup() -> sp.Expr:
    """Packets per wakeup: both cores take equally long for one cycle.

    The kernel needs ``n c_k + w`` for a cycle of n packets, the consumer ``n c_a + S``. There are
    never less than one. A consumer that is not the faster never falls asleep.
    """
    cycle = sp.Eq(_PACKETS * KERNEL + WAKE, _PACKETS * CONSUMER + OFF)
    (packets,) = sp.solve(cycle, _PACKETS)
    return sp.Piecewise((sp.Max(packets, 1), CONSUMER < KERNEL), (sp.oo, True))


def carried_rate_saturated() -> sp.Expr:
    """Carried rate of a saturated kernel in all three regimes.

    A consumer that is not the faster one never sleeps and carries 1/c_a. A faster one sleeps, and
    the kernel pays for a wakeup per cycle or, if the cycle would be shorter than one packet, per
    packet. Whether the second applies is decided by the larger rate: the two meet where a cycle
    holds exactly one packet.
    """
    amortised, _ = time_balances()
    often = sp.Piecewise((amortised, OFF > WAKE), (0, True))
    (never,) = sp.solve(sp.Eq(_RATE * CONSUMER, 1), _RATE)
    return sp.Piecewise(
        (sp.Max(one_wakeup_per_packet(), often), CONSUMER < KERNEL),
        (never, True),
    )


def wakeup_rate_saturated() -> sp.Expr:
    """Wakeups per second, in the regimes of :func:`carried_rate_saturated`; none in the last."""
    _, amortised = time_balances()
    several = sp.And(OFF > WAKE, OFF - WAKE > KERNEL - CONSUMER)
    return sp.Piecewise(
        (0, CONSUMER >= KERNEL),
        (amortised, several),
        (one_wakeup_per_packet(), True),
    )


def kappa_effective() -> sp.Expr:
    """The factor kappa with which the amortised rate reads ``1/(c_k + kappa (c_k - c_a))``."""
    amortised, _ = time_balances()
    law = sp.Eq(amortised, 1 / (KERNEL + _KAPPA * (KERNEL - CONSUMER)))
    (kappa,) = sp.solve(law, _KAPPA)
    return sp.Piecewise((sp.factor(kappa), OFF > WAKE), (sp.oo, True))


def paradox() -> sp.Expr:
    """How the amortised rate changes with the consumer's cost, ``w (S - w)/(S c_k - w c_a)^2``.

    Positive for S > w: a slower consumer sleeps less often and is woken less often.
    """
    amortised, _ = time_balances()
    return sp.factor(sp.diff(amortised, CONSUMER))


def critical_rate() -> sp.Expr:
    """Offered rate below which nothing is lost even at no work: the saturated rate at c_a = 0."""
    amortised, _ = time_balances()
    idle = sp.Piecewise((sp.cancel(amortised.subs(CONSUMER, 0)), OFF > WAKE), (0, True))
    return sp.Max(one_wakeup_per_packet(), idle)


def optimal_consumer_cost() -> sp.Expr:
    """Least consumer cost that captures the most.

    The saturated rate rises to 1/c_k at c_a = c_k. If more than that is offered, the peak is the
    optimum. If less, the amortised rate meets the offered one at a lower cost, from which on
    nothing is lost; nothing is lost without any work below the critical rate.
    """
    amortised, _ = time_balances()
    (plateau,) = sp.solve(sp.Eq(amortised, OFFERED), CONSUMER)
    return sp.Piecewise(
        (KERNEL, OFFERED * KERNEL >= 1),
        (0, critical_rate() >= OFFERED),
        (sp.Min(KERNEL, sp.Max(plateau, 0)), True),
    )
