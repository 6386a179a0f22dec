"""Phase-type distributions: fitted to a mean and a variability, and their moments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from capmodel.numerics.gth import Array, gsolve

MAX_ORDER = 8


@dataclass(frozen=True)
class PhaseType:
    r"""Time until a chain that starts at random leaves its phases.

    Attributes
    ----------
    start : ndarray, shape (m,)
        Probability of starting in each phase; adds up to 1.
    rates : ndarray, shape (m, m)
        Nonnegative rates between phases; the diagonal is ignored.
    exits : ndarray, shape (m,)
        Nonnegative rates of ending.

    Examples
    --------
    >>> erlang = PhaseType.fit(mean=2.0, scv=0.25)
    >>> erlang.order, erlang.mean, erlang.scv
    (4, 2.0, 0.25)
    """

    start: Array
    rates: Array
    exits: Array

    @property
    def order(self) -> int:
        """Number of phases [-]."""
        return len(self.start)

    def moment(self, k: int) -> float:
        r"""The k-th moment, :math:`k!\, \alpha (-T)^{-k} 1`."""
        ones = np.ones(self.order)
        for _ in range(k):
            ones = gsolve(self.rates, self.exits, ones)
        return float(math.factorial(k) * (self.start @ ones))

    @property
    def mean(self) -> float:
        """Mean, in the unit of time of the rates."""
        return self.moment(1)

    @property
    def scv(self) -> float:
        """Variance over squared mean [-]."""
        mean = self.moment(1)
        return self.moment(2) / mean**2 - 1.0

    def scaled(self, pace: float) -> PhaseType:
        """The same distribution passed through `pace` times as fast."""
        return PhaseType(self.start, self.rates * pace, self.exits * pace)

    @classmethod
    def exponential(cls, mean: float) -> PhaseType:
        """One phase of the given mean."""
        return cls(np.ones(1), np.zeros((1, 1)), np.full(1, 1.0 / mean))

    @classmethod
    def erlang(cls, mean: float, order: int) -> PhaseType:
        """Sum of `order` equal exponential phases; the least variable one of that order."""
        pace = order / mean
        exits = np.zeros(order)
        exits[-1] = pace
        start = np.zeros(order)
        start[0] = 1.0
        return cls(start, np.diag(np.full(order - 1, pace), 1), exits)

    @classmethod
    def fit(cls, mean: float, scv: float, max_order: int = MAX_ORDER) -> PhaseType:
        r"""A distribution of few phases with the given mean and variability.

        Parameters
        ----------
        mean : float
            Positive mean.
        scv : float
            Squared coefficient of variation, not negative.
        max_order : int
            Most phases; an scv below 1/max_order becomes an Erlang distribution of that order.

        Returns
        -------
        PhaseType
            Exponential at scv 1; below, a mixture of Erlang distributions of neighbouring orders
            and common rate; above, two exponentials with balanced means.

        Notes
        -----
        Mean and scv are matched exactly for ``scv >= 1/max_order``.

        Source: H. C. Tijms, A First Course in Stochastic Models, Wiley 2003, appendix B.

        Examples
        --------
        >>> [PhaseType.fit(1.0, scv).order for scv in (0.0, 0.3, 1.0, 4.0)]
        [8, 4, 1, 2]
        """
        if not (mean > 0.0 and math.isfinite(mean)):
            raise ValueError(f"mean must be positive and finite, got {mean!r}")
        if not (scv >= 0.0 and math.isfinite(scv)):
            raise ValueError(f"scv must be finite and not negative, got {scv!r}")
        if scv == 1.0:
            return cls.exponential(mean)
        if scv > 1.0:
            return cls._balanced(mean, scv)
        if scv * max_order <= 1.0:
            return cls.erlang(mean, max_order)
        return cls._erlang_mixture(mean, scv)

    @classmethod
    def _balanced(cls, mean: float, scv: float) -> PhaseType:
        spread = math.sqrt((scv - 1.0) / (scv + 1.0))
        fast = 0.5 * (1.0 + spread)
        slow = 1.0 / ((scv + 1.0) * (1.0 + spread))  # = (1 - spread)/2 without cancellation
        start = np.array([fast, slow])
        return cls(start, np.zeros((2, 2)), 2.0 * start / mean)

    @classmethod
    def _erlang_mixture(cls, mean: float, scv: float) -> PhaseType:
        order = math.ceil(1.0 / scv - 1e-12)
        if abs(order * scv - 1.0) < 1e-12:
            return cls.erlang(mean, order)
        skip = (order * scv - math.sqrt(order * (1.0 + scv) - order**2 * scv)) / (1.0 + scv)
        whole = cls.erlang(1.0, order)
        pace = (order - skip) / mean
        start = np.zeros(order)
        start[0], start[1] = 1.0 - skip, skip
        return cls(start, whole.rates * pace / order, whole.exits * pace / order)


__all__ = ["MAX_ORDER", "PhaseType"]
