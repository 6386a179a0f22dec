"""Runs that start with an empty buffer and end: fluid, and Brownian motion with drift."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import normal_cdf, normal_density, positive

DROPS = positive("drop_rate")
CAPACITY = positive("capacity")
LENGTH = positive("duration")
OFFERED = positive("offered_rate")
SERVED = positive("service_rate")
ARRIVAL_SCV = positive("arrival_scv")
SERVICE_SCV = positive("service_scv")

DRIFT = sp.Symbol("delta", positive=True)  # lambda - mu
SIGMA = sp.Symbol("sigma", positive=True)  # its square: lambda c_A^2 + mu c_S^2
BARRIER = sp.Symbol("K'", positive=True)


def finite_run_drops() -> sp.Expr:
    """Drops per second of a fluid run: nothing is lost until the buffer is full.

    The content rises at the endless run's drop rate d and is full after K/d; from then on d is
    lost, for the rest of the run.
    """
    filled = sp.Symbol("t", positive=True)
    (when,) = sp.solve(sp.Eq(DROPS * filled, CAPACITY), filled)
    lost = sp.expand(DROPS * (LENGTH - when))
    return sp.Max(lost, 0) / LENGTH


def maximum_exceeds(level: sp.Expr, length: sp.Expr) -> sp.Expr:
    """P(max over [0, T] of W > x) for Brownian motion with drift delta and variance sigma^2.

    By reflection; it solves the backward equation ``f_T = sigma^2/2 f_xx - delta f_x`` (x the
    distance to the level) with f = 1 at x = 0 and f = 0 at T = 0, which the tests check.
    """
    scale = SIGMA * sp.sqrt(length)
    direct = normal_cdf((DRIFT * length - level) / scale)
    mirrored = sp.exp(2 * DRIFT * level / SIGMA**2) * normal_cdf(-(level + DRIFT * length) / scale)
    return direct + mirrored


def overflow() -> sp.Expr:
    """Mean overflow at a barrier: the integral of :func:`maximum_exceeds` from there on.

    What overflows is the excess of the free process's maximum over the barrier. By parts: the
    mirrored term's exponential times the density of its normal is the density of the direct one.
    """
    scale = SIGMA * sp.sqrt(LENGTH)
    slope = 2 * DRIFT / SIGMA**2
    u = (DRIFT * LENGTH - BARRIER) / scale
    first = scale * (u * normal_cdf(u) + normal_density(u))
    mirrored = sp.exp(slope * BARRIER) * normal_cdf(-(BARRIER + DRIFT * LENGTH) / scale)
    return first + (normal_cdf(u) - mirrored) / slope


def idle_before_overload() -> sp.Expr:
    """Mean service capacity lost while the queue is empty at the start, ``sigma^2/(2 delta)``.

    It is the depth of the free process's minimum, exponential with rate ``2 delta/sigma^2``: the
    probability of ever falling below -x solves ``sigma^2/2 f'' + delta f' = 0``.
    """
    x = sp.Symbol("x", positive=True)
    f = sp.Function("f")
    decay = sp.Symbol("r", positive=True)
    law = SIGMA**2 / 2 * f(x).diff(x, 2) + DRIFT * f(x).diff(x)
    trial = law.subs(f(x), sp.exp(-decay * x)).doit()
    (rate,) = sp.solve(sp.simplify(trial / sp.exp(-decay * x)), decay)
    return sp.integrate(sp.exp(-rate * x), (x, 0, sp.oo))


def finite_run_loss_diffusion() -> sp.Expr:
    """Packets lost: the overflow at ``K + 1`` less what idleness at the start has put off.

    A packet is lost that finds K present, one packet above K.
    """
    level = CAPACITY + 1 - idle_before_overload()
    values = {
        DRIFT: OFFERED - SERVED,
        SIGMA: sp.sqrt(OFFERED * ARRIVAL_SCV + SERVED * SERVICE_SCV),
    }
    return sp.Max(overflow().subs(BARRIER, level).subs(values), 0)


def long_run() -> sp.Expr:
    """What the packets lost tend to in a long run: ``delta T - K - 1 + sigma^2/delta``."""
    slope = 2 * DRIFT / SIGMA**2
    level = CAPACITY + 1 - idle_before_overload()
    # Phi(u) -> 1, its density and the mirrored term -> 0
    return sp.expand(DRIFT * LENGTH - level + 1 / slope)
