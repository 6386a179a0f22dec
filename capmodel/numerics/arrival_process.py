r"""Markovian arrival processes: validated rates, and their exact statistics.

A chain moves without (:math:`D_0`) and with (:math:`D_1`) an arrival. Nothing in here knows what
arrives; a Markov-modulated Poisson process (MMPP) is the case whose arrivals do not change the
phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from capmodel.numerics.gth import Array, stationary
from capmodel.numerics.map_statistics import (
    map_autocorrelation,
    map_dispersion,
    map_dispersion_limit,
    map_moments,
)

MOST_PHASES = 200

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class MAP:
    r"""Markovian arrival process, as rates between its phases.

    Parameters
    ----------
    silent_rates : array_like, shape (m, m)
        Rates between phases without an arrival, :math:`D_0` [1/s]; its diagonal is ignored.
    arrival_rates : array_like, shape (m, m)
        Rates of arrivals with the move they cause, :math:`D_1` [1/s], diagonal included.

    Raises
    ------
    ValueError
        If a matrix is not square, a rate is negative or not finite, nothing ever arrives, or a
        phase cannot be reached from another.

    Notes
    -----
    Held as tuples, so that processes compare, hash and print by value. As the `arrivals` of a
    capture path a process gives the shape only: time is stretched until its rate is the path's.

    Source: M. F. Neuts, Journal of Applied Probability 16, 1979; W. Fischer, K. Meier-Hellstern,
    Performance Evaluation 18, 1993 (the modulated Poisson process and its counts).

    Examples
    --------
    >>> bursty = MAP.mmpp([9.0, 1.0], [1.0, 3.0])
    >>> bursty.rate, bursty.order, bursty.peak_rate
    (7.0, 2, 9.0)
    >>> bool(bursty.scv > 1.0), bursty == bursty.scaled(1.0)
    (True, True)
    """

    silent_rates: Rows
    arrival_rates: Rows

    if TYPE_CHECKING:  # what it takes is wider than what it holds

        def __init__(self, silent_rates: npt.ArrayLike, arrival_rates: npt.ArrayLike) -> None: ...

    def __post_init__(self) -> None:
        silent = _matrix("silent_rates", self.silent_rates)
        arriving = _matrix("arrival_rates", self.arrival_rates)
        np.fill_diagonal(silent, 0.0)
        for name, matrix in (("silent_rates", silent), ("arrival_rates", arriving)):
            good = np.isfinite(matrix) & (matrix >= 0.0)
            if not np.all(good):
                raise ValueError(f"{name} must be 0 or more and finite, not {matrix[~good][0]:g}")
        if arriving.shape != silent.shape:
            raise ValueError(
                f"arrival_rates must have the shape of silent_rates {silent.shape}, "
                f"not {arriving.shape}"
            )
        if not np.any(arriving > 0.0):
            raise ValueError("arrival_rates must have a positive entry")
        reach = np.eye(len(silent)) + ((silent + arriving) > 0.0)
        if not np.all(np.linalg.matrix_power(reach, len(silent)) > 0.0):
            raise ValueError(
                "silent_rates and arrival_rates must connect every phase with every other"
            )
        object.__setattr__(self, "silent_rates", _rows(silent))
        object.__setattr__(self, "arrival_rates", _rows(arriving))

    @classmethod
    def mmpp(cls, rates: npt.ArrayLike, switching: npt.ArrayLike) -> MAP:
        """A Poisson process whose rate follows a chain.

        Parameters
        ----------
        rates : array_like, shape (m,)
            Arrivals per second in each phase [1/s].
        switching : array_like, shape (m, m), or (2,) for two phases
            Rates between the phases [1/s]; of two phases the rates of leaving each.

        Returns
        -------
        MAP

        Examples
        --------
        >>> MAP.mmpp([2.0, 0.0], [0.5, 0.25]).silent_rates
        ((0.0, 0.5), (0.25, 0.0))
        """
        pace = np.asarray(rates, dtype=np.float64)
        moves = np.asarray(switching, dtype=np.float64)
        if pace.ndim != 1:
            raise ValueError(f"rates must have one entry per phase, not shape {pace.shape}")
        if pace.size == 2 and moves.shape == (2,):
            moves = np.array([[0.0, moves[0]], [moves[1], 0.0]])
        if moves.shape != (pace.size, pace.size):
            raise ValueError(
                f"switching must have a row and a column for each of the {pace.size} rates, "
                f"not shape {moves.shape}"
            )
        return cls(moves, np.diag(pace))

    @cached_property
    def silent(self) -> Array:
        """Rates without an arrival as an array, diagonal 0."""
        return np.array(self.silent_rates)

    @cached_property
    def arriving(self) -> Array:
        """Rates with an arrival as an array."""
        return np.array(self.arrival_rates)

    @property
    def order(self) -> int:
        """Number of phases [-]."""
        return len(self.silent_rates)

    @cached_property
    def shares(self) -> Array:
        """Share of time spent in each phase [-]."""
        return stationary(self.silent + self.arriving)

    @property
    def phase_rates(self) -> Array:
        """Arrivals per second while in each phase [1/s]."""
        return np.asarray(self.arriving.sum(axis=1))

    @cached_property
    def rate(self) -> float:
        """Long-run arrivals per second [1/s]."""
        return float(self.shares @ self.phase_rates)

    @property
    def peak_rate(self) -> float:
        """Arrivals per second in the busiest phase [1/s]."""
        return float(self.phase_rates.max())

    @property
    def mean(self) -> float:
        """Mean time between arrivals [s]."""
        return 1.0 / self.rate

    @property
    def scv(self) -> float:
        """Squared coefficient of variation of the times between arrivals [-]."""
        first, second = self.moments(2)
        return float(second / first**2 - 1.0)

    def moments(self, count: int = 3) -> Array:
        """Moments of the time between arrivals; see :func:`map_moments`."""
        return map_moments(self.silent, self.arriving, count)

    def autocorrelation(self, lags: npt.ArrayLike = 1) -> Array:
        """Correlation of times between arrivals; see :func:`map_autocorrelation`."""
        return map_autocorrelation(self.silent, self.arriving, lags)

    def dispersion(self, windows: npt.ArrayLike) -> Array:
        """Index of dispersion for counts at windows [s]; see :func:`map_dispersion`."""
        return map_dispersion(self.silent, self.arriving, windows)

    @property
    def dispersion_limit(self) -> float:
        """Index of dispersion for counts in ever longer windows [-]."""
        return map_dispersion_limit(self.silent, self.arriving)

    def sample(self, count: int, random: np.random.Generator) -> Array:
        """Times of successive arrivals.

        Parameters
        ----------
        count : int
            How many.
        random : Generator
            Where chance comes from.

        Returns
        -------
        ndarray, shape (count,)
            Rising, from a start in the long run's mix of phases [s].

        Examples
        --------
        >>> MAP.mmpp([9.0, 1.0], [1.0, 3.0]).sample(3, np.random.default_rng(0)).shape
        (3,)
        """
        rates = np.concatenate([self.silent, self.arriving], axis=1)
        leaving = rates.sum(axis=1)
        bounds = np.cumsum(rates, axis=1) / leaving[:, None]
        bounds[:, -1] = 1.0
        phase = int(random.choice(self.order, p=self.shares))
        times, now = np.empty(count), 0.0
        found = 0
        while found < count:
            # a block of moves at a time: chance is cheaper by the array
            waits, lucks = random.standard_exponential(1024), random.random(1024)
            for wait, luck in zip(waits.tolist(), lucks.tolist(), strict=True):
                now += wait / leaving[phase]
                move = int(np.searchsorted(bounds[phase], luck, side="right"))
                if move < self.order:
                    phase = move
                    continue
                phase = move - self.order
                times[found] = now
                found += 1
                if found == count:
                    break
        return times

    def scaled(self, pace: float) -> MAP:
        """The same process passed through `pace` times as fast."""
        return MAP(self.silent * pace, self.arriving * pace)

    def at_rate(self, rate: float) -> MAP:
        """The same process, its time stretched until it has the given rate [1/s]."""
        return self.scaled(rate / self.rate)


def _rows(matrix: Array) -> Rows:
    return tuple(tuple(float(x) for x in row) for row in matrix)


def _matrix(name: str, value: npt.ArrayLike) -> Array:
    try:
        matrix = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        raise ValueError(f"{name} must be a square matrix of numbers, not {value!r}") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix, not shape {matrix.shape}")
    if len(matrix) > MOST_PHASES:
        raise ValueError(f"{name} may have at most {MOST_PHASES} phases, not {len(matrix)}")
    return matrix


__all__ = ["MAP"]
