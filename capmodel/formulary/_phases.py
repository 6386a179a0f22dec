"""Laws of service and of intervals by name, and powers of nonnegative matrices."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from capmodel.errors import unknown_choice
from capmodel.formulary._typing import Array
from capmodel.numerics.phase_type import PhaseType

Law: TypeAlias = (
    Literal["deterministic", "exponential"] | tuple[Literal["erlang", "hyperexponential"], float]
)

_SIMPLE = ("deterministic", "exponential")
_MOST_PHASES = 500


def phases_of(name: str, law: Law, mean: float = 1.0) -> PhaseType | None:
    """Phases of a law with the given mean; None for a constant time."""
    if isinstance(law, str):
        if law not in _SIMPLE:
            raise unknown_choice(name, law, [*_SIMPLE, "erlang", "hyperexponential"])
        if law == "deterministic":
            return None
        return PhaseType.exponential(mean)
    pair: object = law  # what comes from a file need not be what the types say
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ValueError(f"{name} must be a name or a pair such as ('erlang', 4), not {law!r}")
    kind, parameter = pair
    if kind == "erlang":
        if not 1 <= parameter <= _MOST_PHASES or parameter != int(parameter):
            raise ValueError(
                f"{name} 'erlang' needs a whole number of phases from 1 to {_MOST_PHASES}, "
                f"not {parameter!r}"
            )
        return PhaseType.erlang(mean, int(parameter))
    if kind == "hyperexponential":
        if not (1.0 <= parameter < math.inf):
            raise ValueError(
                f"{name} 'hyperexponential' needs a finite scv of at least 1, not {parameter!r}"
            )
        # balanced means; the smaller weight is (1 - root)/2 without the subtraction
        root = math.sqrt((parameter - 1.0) / (parameter + 1.0))
        rare = 1.0 / ((parameter + 1.0) * (1.0 + root))
        start = np.array([(1.0 + root) / 2.0, rare])
        return PhaseType(start, np.zeros((2, 2)), 2.0 * start / mean)
    raise unknown_choice(name, kind, ["erlang", "hyperexponential"])


def scaled_power(matrix: Array, exponent: int) -> tuple[Array, float]:
    """(P, c) with matrix^exponent = P e^c, by squaring; c keeps the entries within range."""
    power, scale = np.eye(matrix.shape[0]), 0.0
    square, log = _within_range(matrix, 0.0)
    with np.errstate(under="ignore"):
        while exponent:
            if exponent & 1:
                power, scale = _within_range(power @ square, scale + log)
            exponent >>= 1
            if exponent:
                square, log = _within_range(square @ square, 2.0 * log)
    return power, scale


def _within_range(matrix: Array, scale: float) -> tuple[Array, float]:
    largest = float(matrix.max())
    if 1e-100 < largest < 1e100 or largest == 0.0:
        return matrix, scale
    return matrix / largest, scale + math.log(largest)
