r"""Finite chains in time: when they leave, and what they add up until then, by positive sums only.

A chain of rates is looked at by the ticks of a Poisson clock that is faster than every state:
between ticks nothing happens, at a tick the chain moves or stays. Distributions in time are then
Poisson mixtures of nonnegative terms, so that a probability of 1e-30 keeps its digits. Once the
survivors have forgotten where they began they leave at a constant hazard, and the rest of time is
a geometric series.

Source: A. Jensen, Skandinavisk Aktuarietidskrift 36, 1953; D. Gross, D. R. Miller, Operations
Research 32(2), 1984.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.numerics.gth import Array

Sparse = Any  # scipy.sparse has no types

MOST_WORK = 3e9  # multiplications, a few seconds
_SPREAD = 12.0  # standard deviations of a Poisson count beyond which nothing is left
_CALM = 1e-6  # relative change of the hazard over half of all ticks; the rest is its square
_STILL = 1e-8  # the same of the probabilities themselves, absolute
_LEAST, _FLUSH = 1e-280, 16
_GONE = 1e-14  # share of survivors that no longer matters


class TooMuchWorkError(ArithmeticError):
    """The chain needs more ticks than can be afforded."""


@dataclass(frozen=True)
class Absorption:
    """Time until a chain leaves by the exits that count, given that it leaves by one of them.

    Attributes
    ----------
    pace : float
        Ticks per unit of time.
    flux : ndarray
        Probability of leaving by a counted exit at tick 1, 2, ...
    left : float
        Probability of being inside after the last of these ticks.
    hazard : float
        Probability per tick of leaving from then on, by whatever exit.
    share : float
        Which share of that is by counted exits.
    """

    pace: float
    flux: Array
    left: float
    hazard: float
    share: float

    @property
    def probability(self) -> float:
        """Probability of leaving by a counted exit at all [-]."""
        return float(self.flux.sum()) + self.left * self.share

    @property
    def mean(self) -> float:
        """Mean time."""
        n = np.arange(1.0, len(self.flux) + 1.0)
        late = self.left * self.share
        total = float(n @ self.flux)
        if late > 0.0:
            total += late * (len(self.flux) + 1.0 / self.hazard)
        return total / (self.pace * self.probability)

    def cdf(self, time: float) -> float:
        """Probability of having left by `time`."""
        if not time > 0.0:
            return 0.0
        ticks, m = len(self.flux), self.pace * time
        late = self.left * self.share
        decay = math.log1p(-self.hazard) if late > 0.0 else 0.0
        if self._all_ticked(m):
            # E (1 - h)^(n - N) of a Poisson n, without its window
            rest = -math.expm1(-m * self.hazard - ticks * decay)
            return min((float(self.flux.sum()) + late * rest) / self.probability, 1.0)
        by_then = np.cumsum(self.flux)
        n, weights = poisson_window(m)
        # n ticks have passed: the first min(n, ticks) of them are on record
        known = np.where(n > 0, by_then[np.clip(n, 1, ticks) - 1], 0.0)
        total = float(weights @ known)
        if late > 0.0:
            later = np.maximum(n - ticks, 0)
            total += late * float(weights @ -np.expm1(later * decay))
        return min(total / self.probability, 1.0)

    def _all_ticked(self, m: float) -> bool:
        """Whether the ticks on record have certainly passed when m are expected."""
        return m - _SPREAD * math.sqrt(m) - 40.0 > len(self.flux)

    def survival(self, time: float) -> float:
        """Probability of leaving after `time`, as accurate where it is tiny."""
        if not time > 0.0:
            return 1.0
        ticks, m = len(self.flux), self.pace * time
        late = self.left * self.share
        decay = math.log1p(-self.hazard) if late > 0.0 else 0.0
        if self._all_ticked(m):
            return min(late * math.exp(-m * self.hazard - ticks * decay) / self.probability, 1.0)
        n, weights = poisson_window(m)
        to_come = np.cumsum(self.flux[::-1])[::-1]
        after = np.where(n < ticks, to_come[np.minimum(n, ticks - 1)] + late, 0.0)
        total = float(weights @ after)
        if late > 0.0:
            later = np.exp(np.maximum(n - ticks, 0) * decay)
            total += late * float(weights @ np.where(n < ticks, 0.0, later))
        return min(total / self.probability, 1.0)

    def quantile(self, p: float) -> float:
        """Time by which a share p of them has left."""
        return inverted(self.cdf, self.survival, p, self.mean)


def inverted(cdf: Any, survival: Any, p: float, scale: float) -> float:
    """Root of cdf(t) = p, from whichever tail is the smaller; `scale` is where to begin."""
    from scipy.optimize import brentq

    low_tail = p <= 0.5
    target = math.log(p) if low_tail else math.log1p(-p)

    def off(log_time: float) -> float:
        time = math.exp(log_time)
        value = cdf(time) if low_tail else survival(time)
        gap = math.log(max(value, 1e-320)) - target
        return gap if low_tail else -gap

    low = high = math.log(scale)
    width = 1.0
    while off(low) > 0.0:
        low, width = low - width, 2.0 * width
        if low < -700.0:
            return 0.0
    width = 1.0
    while off(high) < 0.0:
        high, width = high + width, 2.0 * width
        if high > 700.0:
            return math.inf
    return math.exp(float(brentq(off, low, high, xtol=1e-13, rtol=1e-13)))


def poisson_window(mean: float) -> tuple[Any, Array]:
    """Counts around the mean and their probabilities, from their ratios; they add up to 1.

    Source: B. L. Fox, P. W. Glynn, Communications of the ACM 31(4), 1988.
    """
    reach = _SPREAD * math.sqrt(mean) + 40.0
    low, high = max(int(mean - reach), 0), int(mean + reach) + 1
    n = np.arange(low, high + 1)
    mode = min(max(int(mean), low), high)
    with np.errstate(under="ignore"):
        up = np.cumprod(mean / n[n > mode])
        down = np.cumprod(n[(n <= mode) & (n > low)][::-1] / mean)[::-1]
    weights = np.concatenate([down, [1.0], up])
    return n, weights / weights.sum()


def _clock(rates: Sparse, exits: Array) -> tuple[float, Sparse, Array]:
    """Pace, transposed matrix of moves per tick with its diagonal, exits per tick."""
    from scipy import sparse

    out = np.asarray(rates.sum(axis=1)).ravel() + exits
    pace = 1.02 * float(out.max())  # a little faster than the fastest: no state always moves
    moves = (rates + sparse.diags_array(pace - out)).T.tocsr() / pace
    return pace, moves, exits / pace


def absorption(
    rates: Sparse, exits: Array, start: Array, counted: Array | None = None, *,
    settle: float = 0.0, most_work: float = MOST_WORK,
) -> Absorption:  # fmt: skip
    """Time until a chain leaves.

    Parameters
    ----------
    rates : sparse matrix, shape (n, n)
        Nonnegative rates between different states.
    exits : ndarray, shape (n,)
        Rates of leaving.
    start : ndarray, shape (n,)
        Probabilities at the beginning.
    counted : ndarray, shape (n,), optional
        The part of `exits` whose time is asked for; default: all.
    settle : float
        Time before which a steady hazard is not trusted to last.
    most_work : float
        Multiplications to spend at most.

    Returns
    -------
    Absorption

    Raises
    ------
    TooMuchWorkError
        If the hazard has not become steady by then.

    Examples
    --------
    >>> from scipy import sparse
    >>> two = absorption(sparse.csr_array([[0.0, 2.0], [0.0, 0.0]]), np.array([0.0, 2.0]),
    ...                  np.array([1.0, 0.0]))  # a sum of two exponential times
    >>> round(two.mean, 12), bool(np.isclose(two.survival(1.0), 3.0 * np.exp(-2.0), rtol=1e-13))
    (1.0, True)
    """
    counted = exits if counted is None else counted
    pace, moves, out = _clock(rates, exits)
    counts = counted / pace
    most = max(int(most_work / (moves.nnz + 4 * len(start))), 64)
    inside = np.asarray(start, dtype=np.float64)
    flux, hazards, shares = [], [], []
    check = 32
    for tick in range(1, most + 1):
        gone, here = float(inside @ out), float(inside @ counts)
        alive = float(inside.sum())
        flux.append(here)
        hazards.append(gone / alive)
        shares.append(here / gone if gone > 0.0 else 0.0)
        inside = moves @ inside
        if tick % _FLUSH == 0:
            inside[inside < _LEAST] = 0.0  # subnormal numbers take a hundred times as long
        if tick == check or alive - gone < _GONE:
            left = float(inside.sum())
            if left < _GONE:
                return Absorption(pace, np.array(flux), 0.0, 1.0, 0.0)
            before, now = hazards[tick // 2], hazards[-1]
            calm = now > 0.0 and abs(before - now) < _CALM * now and tick > pace * settle
            if calm and abs(shares[tick // 2] - shares[-1]) < _CALM:
                return Absorption(pace, np.array(flux), left, now, shares[-1])
            check = tick + max(tick // 8, 32)
    raise TooMuchWorkError(f"{most} ticks of a chain of {len(start)} states were not enough")


@dataclass(frozen=True)
class Run:
    """What a chain adds up over a time, and where it is at the end."""

    sums: Array
    end: Array


def run(
    rates: Sparse, start: Array, weights: Array, duration: float, *,
    settle: float = 0.0, most_work: float = MOST_WORK,
) -> Run:  # fmt: skip
    r"""Expected :math:`\int_0^T w(X_t)\,dt` of a chain that nobody leaves, and its law at T.

    Parameters
    ----------
    rates : sparse matrix, shape (n, n)
        Nonnegative rates between different states.
    start : ndarray, shape (n,)
        Probabilities at the beginning.
    weights : ndarray, shape (n, q)
        What every state counts per unit of time, nonnegative.
    duration : float
        T.
    settle : float
        Time before which a steady state is not trusted to last.
    most_work : float
        Multiplications to spend at most.

    Returns
    -------
    Run

    Raises
    ------
    TooMuchWorkError
        If neither the end nor a steady state is reached by then.

    Examples
    --------
    >>> from scipy import sparse
    >>> flip = sparse.csr_array([[0.0, 1.0], [1.0, 0.0]])
    >>> found = run(flip, np.array([1.0, 0.0]), np.eye(2), 3.0)
    >>> bool(np.isclose(found.sums[1], 1.5 - (1.0 - np.exp(-6.0)) / 4.0, rtol=1e-12))
    True
    """
    from scipy.special import gammainc

    pace, moves, _ = _clock(rates, np.zeros(len(start)))
    m = pace * duration
    counts, chances = poisson_window(m)
    most = max(int(most_work / (moves.nnz + weights.size)), 64)
    inside = np.asarray(start, dtype=np.float64)
    end, earned, kept = np.zeros_like(inside), [], inside
    check, last = 64, int(counts[-1])
    for tick in range(most + 1):
        earned.append(inside @ weights)
        if tick >= counts[0]:
            end = end + chances[tick - counts[0]] * inside
        if tick == last:
            later = gammainc(np.arange(1.0, tick + 2.0), m)  # P(more than n ticks)
            return Run(later @ np.array(earned) / pace, end)
        if tick == check:
            still = float(np.abs(inside - kept).sum()) < _STILL
            if still and tick > pace * settle:
                break
            kept, check = inside, 2 * tick
        inside = moves @ inside
        if tick % _FLUSH == 0:
            inside[inside < _LEAST] = 0.0
    else:
        raise TooMuchWorkError(f"{most} ticks of a chain of {len(start)} states were not enough")
    later = gammainc(np.arange(1.0, len(earned) + 1.0), m)
    rest = m - float(later.sum())  # ticks after those on record, as many as there are on average
    weight = float(chances[np.searchsorted(counts, tick, side="right") :].sum())
    sums = later @ np.array(earned) + max(rest, 0.0) * earned[-1]
    return Run(sums / pace, end + weight * inside)
