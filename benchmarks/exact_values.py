"""Values in as many digits as asked for, from balance equations or textbook closed forms.

Nothing of the package is used, so that its answers and a peer's can both be held to these. A float
is taken for the double that it is, since that is what the libraries are given. Run as
``python -m benchmarks.exact_values`` to print what the comparisons use, to 20 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import mpmath
from mpmath import mpf

Number = Any  # Fraction or mpf
Flows = Mapping[Any, Mapping[Any, Number]]

DIGITS = 40  # of every value


def relative_error(answer: float, exact: Number) -> float:
    """|answer/exact - 1|, also where the exact value is no double; infinite for no number."""
    with mpmath.workdps(DIGITS):
        if not mpmath.isfinite(answer):
            return float("inf")
        return float(abs(mpf(answer) / as_mpf(exact) - 1))


def as_mpf(value: Number) -> mpf:
    if isinstance(value, Fraction):
        return mpf(value.numerator) / mpf(value.denominator)
    return mpf(value)


def mm1k_loss(load: float, capacity: int) -> mpf:
    """Birth and death: weights load^n, and an arrival that finds the last of them is lost."""
    with mpmath.workdps(DIGITS + 20):
        rho = mpf(load)
        weight = total = mpf(1)
        for _ in range(capacity):
            weight *= rho
            total += weight
        return weight / total


def md1k_loss(load: float, capacity: int) -> mpf:
    """Closed form of Garcia, Brun and Gauchard (J. Appl. Prob. 39, 2002), sum of both signs.

    With b_n = sum over k of (-1)^k/k! (n-k)^k load^k e^((n-k) load) the loss is
    1 - b_{K-1}/(1 + load b_{K-1}). Terms reach e^(K load), the loss e^(-2 K (1 - load)) or so: so
    many digits are carried that both cancel.
    """
    spare = int(capacity * (load + 2.0)) + DIGITS + 20
    with mpmath.workdps(spare):
        rho, n = mpf(load), capacity - 1
        growth, b, over_factorial = mpmath.exp(rho), mpf(0), mpf(1)
        for k in range(n + 1):
            b += over_factorial * mpf(n - k) ** k * growth ** (n - k)
            over_factorial *= -rho / (k + 1)
        return 1 - b / (1 + rho * b)


def stationary(flows: Flows) -> dict[Any, Number]:
    """Probabilities of a chain from its rates, by censoring state after state: no subtraction."""
    states = list(flows)
    out: dict[Any, dict[Any, Number]] = {
        state: {to: rate for to, rate in flows[state].items() if to != state and rate}
        for state in states
    }
    into: dict[Any, set[Any]] = {state: set() for state in states}
    for state, rates in out.items():
        for to in rates:
            into[to].add(state)
    reduced = {}
    for k in reversed(range(1, len(states))):
        last = states[k]
        leaving = out.pop(last)
        pace = sum(leaving.values())
        entering = {origin: out[origin].pop(last) for origin in into[last] if origin in out}
        reduced[last] = (entering, pace)
        for to in leaving:
            into[to].discard(last)
        for origin, rate in entering.items():
            for to, onward in leaving.items():
                if to != origin:
                    out[origin][to] = out[origin].get(to, 0) + rate * onward / pace
                    into[to].add(origin)
    weights: dict[Any, Number] = {states[0]: 1}
    for state in states[1:]:
        entering, pace = reduced[state]
        weights[state] = sum(weights[origin] * rate for origin, rate in entering.items()) / pace
    total = sum(weights.values())
    return {state: weight / total for state, weight in weights.items()}


def explored(start: Any, moves: Callable[[Any], Iterable[tuple[Any, Number]]]) -> Flows:
    """Every state that can be reached, and the rates out of it."""
    found: dict[Any, dict[Any, Number]] = {}
    todo = [start]
    while todo:
        state = todo.pop()
        if state not in found:
            found[state] = {}
            for to, rate in moves(state):
                found[state][to] = found[state].get(to, 0) + rate
                todo.append(to)
    return found


def drop_tandem_loss(
    rate: Number, ring: int, capacity: int, first: Number, second: Number
) -> Number:
    """Two exponential stations in a row, each of which drops what finds it full.

    Exact if the numbers are fractions; with `mpf` to the digits that are set.
    """

    def moves(state: tuple[int, int]) -> Iterable[tuple[tuple[int, int], Number]]:
        i, j = state
        if i < ring:
            yield (i + 1, j), rate
        if i:
            yield (i - 1, min(j + 1, capacity)), 1 / first
        if j:
            yield (i, j - 1), 1 / second

    share = stationary(explored((0, 0), moves))
    carried = sum(p for (_, j), p in share.items() if j) / second
    return 1 - carried / rate


def mmpp1k_loss(rates: Sequence[float], leave: Sequence[float], capacity: int) -> mpf:
    """Poisson arrivals whose rate switches between two, exponential service of mean 1."""
    with mpmath.workdps(DIGITS + 20):
        arrive, switch = [mpf(x) for x in rates], [mpf(x) for x in leave]

        def moves(state: tuple[int, int]) -> Iterable[tuple[tuple[int, int], mpf]]:
            n, phase = state
            yield (n, 1 - phase), switch[phase]
            if n < capacity:
                yield (n + 1, phase), arrive[phase]
            if n:
                yield (n - 1, phase), mpf(1)

        share = stationary(explored((0, 0), moves))
        offered = mpmath.fsum(arrive[phase] * p for (_, phase), p in share.items())
        return mpmath.fsum(arrive[i] * share[capacity, i] for i in (0, 1)) / offered


def mean_wait_mg1(rate: Fraction, mean: Fraction, square: Fraction) -> Fraction:
    """Pollaczek and Khinchine: unlimited room, service by its first two moments."""
    return rate * square / (2 * (1 - rate * mean))


def mean_wait_threshold(rate: Fraction, mean: Fraction, square: Fraction, n: int) -> Fraction:
    """Server that waits for n: the first of them waits for n - 1 more, the last for none."""
    return mean_wait_mg1(rate, mean, square) + Fraction(n - 1, 2) / rate


def mean_wait_sleep(rate: Fraction, mean: Fraction, square: Fraction, sleep: Fraction) -> Fraction:
    """Server that sleeps a fixed time, again and again: half a sleep more."""
    return mean_wait_mg1(rate, mean, square) + sleep / 2


def main() -> None:
    from benchmarks.peers.comparison import CASES

    for case in CASES:
        print(f"{case.name:60} {mpmath.nstr(as_mpf(case.exact), 20)}")


if __name__ == "__main__":
    main()
