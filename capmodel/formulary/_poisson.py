"""Poisson counts to full relative accuracy, however small the probability."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._typing import Array

_SMALL = 20
_FACTORIAL = np.array([math.factorial(k) for k in range(_SMALL + 1)], dtype=np.float64)
_SPREAD = 14.0  # standard deviations beyond which a Poisson count adds less than 1e-30
_FLOOR = 30
_TAIL = 80


def poisson_pmf(count: Array, mean: float) -> Array:
    """P(A = k) of a Poisson count; Loader's saddle-point form where k is large."""
    if mean == 0.0:
        return np.where(count == 0.0, 1.0, 0.0)
    small = np.minimum(count, _SMALL).astype(np.int64)
    with np.errstate(under="ignore", over="ignore"):
        if mean < 600.0:
            direct = np.exp(-mean) * np.power(mean, small) / _FACTORIAL[small]
        else:
            direct = np.exp(small * math.log(mean) - mean - np.log(_FACTORIAL[small]))
        k = np.maximum(count, _SMALL + 1.0)
        r = 1.0 / (k * k)
        stirling = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / k
        saddle = np.exp(-stirling - _deviance(k, mean)) / np.sqrt(2.0 * np.pi * k)
    return np.where(count <= _SMALL, direct, saddle)


def _deviance(k: Array, mean: float) -> Array:
    """Value of k log(k/m) + m - k, by its series where the two are close."""
    v = (k - mean) / (k + mean)
    near = np.abs(v) < 0.1
    w = np.where(near, v, 0.0)
    w2 = w * w
    series = np.zeros_like(k)
    for j in range(12, 0, -1):
        series = w2 * (series + 1.0 / (2 * j + 1))
    # k log((1+v)/(1-v)) = 2kv + 2kv (v^2/3 + v^4/5 + ...) and 2kv + m - k = v (k - m)
    close = (k - mean) * w + 2.0 * k * w * series
    return np.where(near, close, k * np.log(k / mean) + mean - k)


def poisson_reach(mean: float) -> int:
    """A count beyond which the probabilities, and their sums, no longer matter."""
    return math.ceil(mean + _SPREAD * math.sqrt(mean)) + _FLOOR


def _beyond(mean: float) -> int:
    """Counts beyond one that is at least `poisson_reach`, after which its own tail is complete."""
    return _TAIL + math.ceil(4.0 * math.sqrt(mean))


def poisson_end(mean: float) -> int:
    """A count from which on the probabilities are 0 in double precision."""
    # k log(k/m) + m - k is at least (k - m)^2 / 2k, and e^-745 is the last number above 0
    return math.ceil(mean + 745.0 + math.sqrt(745.0**2 + 1490.0 * mean))


def poisson_counts(mean: float, length: int) -> tuple[Array, Array, Array]:
    """P(A = k), P(A > k) and E(A - k)^+ for k = 0 .. length - 1, as sums of positive terms."""
    if length < mean - _SPREAD * math.sqrt(mean) - _FLOOR:  # certain to be exceeded
        k = np.arange(length, dtype=np.float64)
        return poisson_pmf(k, mean), np.ones(length), mean - k
    last = min(max(length, poisson_reach(mean)) + _beyond(mean), poisson_end(mean))
    equal = poisson_pmf(np.arange(last, dtype=np.float64), mean)
    above, excess = tails(equal)
    if last < length:  # zeros from there on, which nobody has to add up
        zeros = np.zeros(length - last)
        equal, above, excess = (np.append(a, zeros) for a in (equal, above, excess))
    return equal[:length], above[:length], excess[:length]


def tails(equal: Array) -> tuple[Array, Array]:
    """P(A > k) and E(A - k)^+ of a count whose whole law is given."""
    above = np.append(np.cumsum(equal[:0:-1])[::-1], 0.0)
    excess = np.cumsum(above[::-1])[::-1]
    return above, excess
