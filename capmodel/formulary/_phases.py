"""Phase-type times and the few matrix operations they need, without a single subtraction.

A nonsingular M-matrix is given by its rates off the diagonal and its exit rates (row sums): then
its inverse is the matrix of mean times of a transient chain, and elimination only adds, multiplies
and divides (Grassmann, Taksar, Heyman 1985; Alfa, Xue, Ye 2002). Every entry keeps its relative
accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from capmodel.errors import unknown_choice
from capmodel.formulary._typing import Array

Law: TypeAlias = (
    Literal["deterministic", "exponential"] | tuple[Literal["erlang", "hyperexponential"], float]
)

_SIMPLE = ("deterministic", "exponential")
_MOST_PHASES = 500


@dataclass(frozen=True)
class Phases:
    """A phase-type law: start probabilities, rates between phases, rates of ending."""

    start: Array
    moves: Array
    ends: Array

    @property
    def mean_left(self) -> Array:
        """Mean time to the end from each phase."""
        ones = np.ones((self.ends.size, 1))
        return mean_times(self.moves, self.ends, ones)[:, 0]

    @property
    def inverse(self) -> Array:
        """Mean time in each phase until the end, from each phase."""
        return mean_times(self.moves, self.ends, np.eye(self.ends.size))


def phases_of(name: str, law: Law, mean: float = 1.0) -> Phases | None:
    """Phases of a law with the given mean; None for a constant time."""
    if isinstance(law, str):
        if law not in _SIMPLE:
            raise unknown_choice(name, law, [*_SIMPLE, "erlang", "hyperexponential"])
        if law == "deterministic":
            return None
        return Phases(np.ones(1), np.zeros((1, 1)), np.array([1.0 / mean]))
    if not isinstance(law, tuple) or len(law) != 2:
        raise ValueError(f"{name} must be a name or a pair such as ('erlang', 4), not {law!r}")
    kind, parameter = law
    if kind == "erlang":
        if not 1 <= parameter <= _MOST_PHASES or parameter != int(parameter):
            raise ValueError(
                f"{name} 'erlang' needs a whole number of phases from 1 to {_MOST_PHASES}, "
                f"not {parameter!r}"
            )
        count = int(parameter)
        moves = np.diag(np.full(count - 1, count / mean), 1)
        return Phases(np.eye(count)[0], moves, np.eye(count)[-1] * (count / mean))
    if kind == "hyperexponential":
        if not (1.0 <= parameter < math.inf):
            raise ValueError(f"{name} 'hyperexponential' needs a finite scv >= 1, not {parameter!r}")
        # balanced means; the smaller weight is (1 - root)/2 without the subtraction
        root = math.sqrt((parameter - 1.0) / (parameter + 1.0))
        rare = 1.0 / ((parameter + 1.0) * (1.0 + root))
        start = np.array([(1.0 + root) / 2.0, rare])
        return Phases(start, np.zeros((2, 2)), 2.0 * start / mean)
    raise unknown_choice(name, kind, ["erlang", "hyperexponential"])


def mean_times(moves: Array, exits: Array, right: Array) -> Array:
    """Solution X >= 0 of A X = right >= 0, A the M-matrix with these rates and row sums."""
    rates, leave, x = moves.copy(), exits.copy(), right.copy()
    size = leave.size
    total = np.empty(size)
    for k in range(size - 1, -1, -1):
        total[k] = leave[k] + rates[k, :k].sum()
        share = rates[:k, k] / total[k]
        rates[:k, :k] += np.outer(share, rates[k, :k])
        leave[:k] += share * leave[k]
        x[:k] += np.outer(share, x[k])
    for k in range(size):
        x[k] = (x[k] + rates[k, :k] @ x[:k]) / total[k]
    return x


def stationary(moves: Array) -> Array:
    """Stationary probabilities of an irreducible chain, from its rates off the diagonal."""
    rates = moves.copy()
    size = rates.shape[0]
    for k in range(size - 1, 0, -1):
        rates[:k, k] /= rates[k, :k].sum()
        rates[:k, :k] += np.outer(rates[:k, k], rates[k, :k])
    weight = np.ones(size)
    for k in range(1, size):
        weight[k] = weight[:k] @ rates[:k, k]
        if weight[k] > 1e200:  # only ratios matter
            weight[: k + 1] /= weight[k]
    return weight / weight.sum()


def scaled_power(matrix: Array, exponent: int) -> tuple[Array, float]:
    """(P, c) with matrix^exponent = P e^c, by squaring; c keeps the entries below overflow."""
    power, scale = np.eye(matrix.shape[0]), 0.0
    square, log = matrix.copy(), 0.0
    with np.errstate(under="ignore"):
        while exponent:
            if exponent & 1:
                power, scale = power @ square, scale + log
                largest = power.max()
                if largest > 1e100:
                    power, scale = power / largest, scale + math.log(largest)
            exponent >>= 1
            if exponent:
                square, log = square @ square, 2.0 * log
                largest = square.max()
                if largest > 1e100:
                    square, log = square / largest, log + math.log(largest)
    return power, scale
