"""A SymPy expression in many digits, how hard its point is, and whether numpy agrees with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from sympy.printing.pycode import MpmathPrinter

DIGITS = 50
EPSILON = float(np.finfo(np.float64).eps)
NUDGE = mpmath.mpf(2) ** -50  # relative; as large as a rounding error or two

Number = Callable[..., Any]


def lower_gamma(k: Any, x: Any) -> Any:
    """The series of positive terms; mpmath's own gives up for arguments in the thousands."""
    return x**k * mpmath.exp(-x) / k * kummer((1,), (k + 1,), x)


def upper_gamma(k: Any, x: Any) -> Any:
    """Legendre's continued fraction beyond the mean, the complement of the series before it."""
    if x <= k + 1:
        return mpmath.gamma(k) - lower_gamma(k, x)
    tiny = mpmath.mpf(10) ** (-4 * mpmath.mp.dps)
    b = x + 1 - k
    c, d = 1 / tiny, 1 / b
    value, n, change = d, 0, mpmath.mpf(0)
    while abs(change - 1) > mpmath.mp.eps:
        n += 1
        a = -n * (n - k)
        b += 2
        d = 1 / (a * d + b)
        c = b + a / c
        change = c * d
        value *= change
    return x**k * mpmath.exp(-x) * value


def kummer(upper: tuple[Any], lower: tuple[Any], x: Any) -> Any:
    """1F1 for positive arguments, term by term."""
    (a,), (b,) = upper, lower
    term = total = mpmath.mpf(1)
    j = 0
    while term > total * mpmath.mp.eps or (a + j) * x > (b + j) * (j + 1):
        term *= (a + j) * x / ((b + j) * (j + 1))
        total += term
        j += 1
    return total


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Expressions repeat their terms; each is worth computing once per precision."""

    @lru_cache(maxsize=1000)
    def at(digits: int, *arguments: Any) -> Any:
        return function(*arguments)

    return lambda *arguments: at(mpmath.mp.dps, *arguments)


OWN = {
    "lowergamma": remembered(lower_gamma),
    "uppergamma": remembered(upper_gamma),
    "hyper": remembered(kummer),
}


class _Printer(MpmathPrinter):
    """Calls the three functions above by name; a sum's bounds are whole numbers of mpmath's."""

    def _print_Sum(self, expression: Any) -> str:
        ((index, first, last),) = expression.limits
        term, first, last = map(self._print, (expression.function, first, last))
        return f"sum(({term} for {index} in range(int({first}), int({last}) + 1)), start=mpf(0))"

    def _print_lowergamma(self, expression: Any) -> str:
        return f"lowergamma({', '.join(map(self._print, expression.args))})"

    def _print_uppergamma(self, expression: Any) -> str:
        return f"uppergamma({', '.join(map(self._print, expression.args))})"

    def _print_hyper(self, expression: Any) -> str:
        return f"hyper({', '.join(map(self._print, expression.args))})"


def compiled(expression: Any, names: Sequence[str]) -> Number:
    """The expression as a function of mpmath numbers, Piecewise branches evaluated lazily."""
    symbols = {symbol.name: symbol for symbol in expression.free_symbols}
    unknown = set(symbols) - set(names)
    assert not unknown, f"the derivation is in {sorted(unknown)}, the formula in {sorted(names)}"
    arguments = [symbols.get(name, sp.Symbol(name)) for name in names]
    printer = _Printer(
        {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True}
    )
    return sp.lambdify(arguments, expression, [OWN, "mpmath"], printer=printer)


def settled(function: Number, values: Sequence[float]) -> mpmath.mpf:
    """The value to 30 digits and more: the working precision is doubled until two agree."""
    digits, before = DIGITS, None
    while digits <= 3200:
        with mpmath.workdps(digits):
            value = mpmath.mpf(function(*map(mpmath.mpf, values)))
            if digits >= 400 and abs(value) < mpmath.mpf(10) ** (-0.8 * digits):
                return mpmath.mpf(0)  # a difference that shrinks with the precision
            if before is not None and (
                value == before or abs(value - before) <= abs(value) * mpmath.mpf(10) ** -30
            ):
                return value
        digits, before = 2 * digits, value
    raise AssertionError(f"no settled value at {values}")


def condition(
    function: Number, values: Sequence[float], value: mpmath.mpf, held: Collection[int]
) -> float:
    """Relative change of the value per relative change of the arguments, the worst of each summed.

    Steps of a few rounding errors to both sides: a jump or a kink within the reach of rounding
    makes this as large as it must be.
    """
    total = mpmath.mpf(0)
    for i in set(range(len(values))) - set(held):
        changes = []
        for sign in (1, -1):
            nudged = list(map(mpmath.mpf, values))
            with mpmath.workdps(2 * DIGITS):
                nudged[i] *= 1 + sign * NUDGE
            moved = settled(function, nudged)
            changes.append(abs((moved - value) / (value * NUDGE)))
        total += max(changes)
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
    held: Collection[str] = (),
    where: Callable[..., bool] = lambda **_: True,
) -> int:
    """Compare formula and derivation on a grid; the number of points compared.

    The relative difference may be ``roundings`` machine epsilons times (1 + condition), and
    ``floor`` where the formula has a known error of its own. Arguments that are ``held`` are whole
    numbers or choose a branch, and are not varied for the condition.
    """
    names = list(grid)
    parameters = list(inspect.signature(formula).parameters)
    assert "arguments" in parameters or set(names) <= set(parameters), (names, parameters)
    several = isinstance(derived, tuple)
    functions = [compiled(d, names) for d in (derived if several else (derived,))]
    fixed = {names.index(name) for name in held}
    kept = [p for p in points(grid) if where(**dict(zip(names, p, strict=True)))]
    assert kept
    columns = dict(zip(names, map(np.array, zip(*kept, strict=True)), strict=True))
    results = formula(**columns)
    for function, result in zip(functions, results if several else (results,), strict=True):
        for values, got in zip(kept, np.broadcast_to(result, len(kept)), strict=True):
            exact = settled(function, values)
            at = dict(zip(names, values, strict=True))
            if mpmath.isinf(exact) or abs(exact) < 1e-290:
                near = (
                    0.0 if exact else 2.0 * EPSILON
                )  # a difference of shares may leave a rounding
                assert got == float(exact) or abs(got) <= max(near, 1e-280), (at, got, exact)
                continue
            error = float(abs((mpmath.mpf(float(got)) - exact) / exact))
            allowed = floor + roundings * EPSILON
            if error > allowed:  # only then is it worth to ask how hard the point is
                allowed += roundings * EPSILON * condition(function, values, exact, fixed)
            assert error <= allowed, (at, float(got), float(exact), error, allowed)
    return len(kept)
