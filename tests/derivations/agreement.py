"""A SymPy expression in many digits, how ill-conditioned it is, and whether numpy agrees with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import mpmath
import numpy as np
import sympy as sp

DIGITS = 50
EPSILON = float(np.finfo(np.float64).eps)
NUDGE = mpmath.mpf(2) ** -50  # relative; as large as a rounding error or two

Number = Callable[..., Any]


def compiled(expression: Any, names: Sequence[str]) -> Number:
    """The expression as a function of mpmath numbers, Piecewise branches evaluated lazily."""
    symbols = {symbol.name: symbol for symbol in expression.free_symbols}
    unknown = set(symbols) - set(names)
    assert not unknown, f"the derivation is in {sorted(unknown)}, the formula in {sorted(names)}"
    return sp.lambdify([symbols.get(name, sp.Symbol(name)) for name in names], expression, "mpmath")


def settled(function: Number, values: Sequence[float]) -> mpmath.mpf:
    """The value to 30 digits and more: the working precision is doubled until two agree."""
    digits, before = DIGITS, None
    while digits <= 3200:
        with mpmath.workdps(digits):
            value = mpmath.mpf(function(*map(mpmath.mpf, values)))
            if before is not None and (
                value == before or abs(value - before) <= abs(value) * mpmath.mpf(10) ** -30
            ):
                return value
        digits, before = 2 * digits, value
    raise AssertionError(f"no settled value at {values}")


def condition(function: Number, values: Sequence[float], value: mpmath.mpf) -> float:
    """Relative change of the value per relative change of the arguments, the worst of each summed.

    Steps of a few rounding errors to both sides: a jump or a kink within the reach of rounding
    makes this as large as it must be.
    """
    if value == 0 or mpmath.isinf(value):
        return 0.0
    total = mpmath.mpf(0)
    for i, x in enumerate(values):
        changes = []
        for sign in (1, -1):
            with mpmath.workdps(2 * DIGITS):
                nudged = [mpmath.mpf(v) for v in values]
                nudged[i] *= 1 + sign * NUDGE
            if x == int(x) and abs(x) < 2**53 and i in getattr(function, "whole", ()):
                continue
            moved = settled(function, nudged)
            changes.append(abs((moved - value) / (value * NUDGE)))
        total += max(changes, default=mpmath.mpf(0))
    return float(total)


def points(grid: Mapping[str, Sequence[float]]) -> Iterator[tuple[float, ...]]:
    """Every combination of the values of a grid."""
    return product(*grid.values())


def check(
    formula: Callable[..., Any],
    derived: Any,
    grid: Mapping[str, Sequence[float]],
    *,
    roundings: float,
    floor: float = 0.0,
    whole: Sequence[str] = ("capacity",),
    where: Callable[..., bool] = lambda **_: True,
) -> int:
    """Compare formula and derivation on a grid; the number of points compared.

    The relative difference may be ``roundings`` machine epsilons times (1 + condition), and
    ``floor`` where the formula states an error of its own.
    """
    names = list(grid)
    parameters = list(inspect.signature(formula).parameters)
    assert set(names) <= set(parameters), (names, parameters)
    several = isinstance(derived, tuple)
    functions = [compiled(d, names) for d in (derived if several else (derived,))]
    for function in functions:
        function.whole = {names.index(name) for name in whole if name in names}  # type: ignore[attr-defined]
    kept = [p for p in points(grid) if where(**dict(zip(names, p, strict=True)))]
    assert kept
    columns = dict(zip(names, map(np.array, zip(*kept, strict=True)), strict=True))
    results = formula(**columns)
    for function, result in zip(functions, results if several else (results,), strict=True):
        for values, got in zip(kept, np.broadcast_to(result, len(kept)), strict=True):
            exact = settled(function, values)
            allowed = floor + roundings * EPSILON * (1.0 + condition(function, values, exact))
            at = dict(zip(names, values, strict=True))
            if mpmath.isinf(exact) or exact == 0 or abs(exact) < 1e-290:
                assert got == float(exact) or abs(got) < 1e-280, (at, got, exact)
                continue
            error = float(abs((mpmath.mpf(float(got)) - exact) / exact))
            assert error <= allowed, (at, float(got), float(exact), error, allowed)
    return len(kept)
