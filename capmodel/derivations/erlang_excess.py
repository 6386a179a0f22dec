"""A gamma variable and a constant: mean of the larger, and a positive series for the excess."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

MEAN = positive("mean")
SHAPE = positive("shape")
FLOOR = positive("floor")

_J = sp.Symbol("j", integer=True, nonnegative=True)


def not_above(shape: sp.Expr, x: sp.Expr) -> sp.Expr:
    """P(F <= g) of a gamma variable, with ``x = g shape / mean``: by definition of the function."""
    return sp.lowergamma(shape, x) / sp.gamma(shape)


def above(shape: sp.Expr, x: sp.Expr) -> sp.Expr:
    """P(F > g) of a gamma variable."""
    return sp.uppergamma(shape, x) / sp.gamma(shape)


def mean_max(mean: sp.Expr, shape: sp.Expr, floor: sp.Expr) -> sp.Expr:
    """Mean of max(F, g) for F gamma: ``g P(F <= g)`` and the mean of F over F > g.

    The density of shape k, times t and divided by its mean, is the density of shape k + 1.
    """
    x = shape * floor / mean
    return floor * not_above(shape, x) + mean * above(shape + 1, x)


def mean_excess(mean: sp.Expr, shape: sp.Expr, floor: sp.Expr) -> sp.Expr:
    """Mean of (g - F)+ as a sum of positive terms.

    ``E(g - F)+ = g P(k, x) - m P(k + 1, x)``. Both incomplete gammas have the series
    ``P(k, x) = x^k e^-x / Gamma(k) * sum_j x^j / (k)_(j+1)``. Over the common factor
    ``t = x^k e^-x / Gamma(k + 1)`` the j-th terms are ``m t (x/k) x^j / (k + 1)_j`` and
    ``m t x x^j (k + 1) / (k + 1)_(j+1)`` over ``k + 1``; their difference (:func:`term`) is
    positive, and the sum of the differences is Kummer's function 1F1(2; k + 2; x).
    """
    x = shape * floor / mean
    lead = x**shape * sp.exp(-x) / sp.gamma(shape + 1)
    return mean * lead * x / (shape * (shape + 1)) * sp.hyper((2,), (shape + 2,), x)


def term(j: sp.Expr) -> sp.Expr:
    """The j-th term of the series over ``mean t x^(j+1) / (shape + 1)_j``."""
    first = 1 / SHAPE  # x/k of g P(k, x), the x taken out
    second = 1 / (SHAPE + 1 + j)  # x of m P(k + 1, x), and (k+1)_(j+1) = (k+1)_j (k+1+j)
    return sp.factor(sp.together(first - second))


def kummer_term(j: sp.Expr) -> sp.Expr:
    """The j-th term of ``x/(k (k + 1)) 1F1(2; k + 2; x)`` over the same factor."""
    ratio = sp.rf(2, j) / sp.factorial(j) / sp.rf(SHAPE + 2, j) * sp.rf(SHAPE + 1, j)
    return sp.simplify(ratio / (SHAPE * (SHAPE + 1)))


def mean_max_erlang() -> sp.Expr:
    """:func:`mean_max`: the constant where F is below it, else the mean of F."""
    return mean_max(MEAN, SHAPE, FLOOR)


def mean_excess_erlang() -> sp.Expr:
    """:func:`mean_excess`: a difference of two series, taken term by term."""
    return mean_excess(MEAN, SHAPE, FLOOR)
