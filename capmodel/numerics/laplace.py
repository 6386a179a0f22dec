r"""Distribution functions from their Laplace-Stieltjes transforms, by Fourier series.

.. math::
    F(t) \approx \frac{e^{A/2}}{t}\Big[\tfrac12 \Re \hat F\big(\tfrac{A}{2t}\big)
    + \sum_{k \ge 1} (-1)^k\, \Re \hat F\big(\tfrac{A + 2k\pi i}{2t}\big)\Big],\qquad
    \hat F(s) = E e^{-sT}/s

with Euler's summation of the tail. The discretisation leaves :math:`e^{-A} F(3t)`, rounding about
:math:`e^{A/2}` units in the last place of the result: 1e-10 in all, relative to F where F grows no
faster than t.

Source: J. Abate, W. Whitt, ORSA Journal on Computing 7(1), 1995.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from capmodel.numerics.gth import Array

Complex = npt.NDArray[np.complex128]
Transform = Callable[[Complex], Complex]

_DISCRETISATION = 23.0  # A
_PLAIN, _PER_WIDTH, _AVERAGED = 40, 4.0, 14
_BINOMIAL = np.array([math.comb(_AVERAGED, j) for j in range(_AVERAGED + 1)]) / 2.0**_AVERAGED
MOST_TERMS = 200_000


def cdf_of(transform: Transform, time: float, spread: float) -> float:
    """Probability of at most `time`.

    Parameters
    ----------
    transform : callable
        :math:`E e^{-sT}` of an array of complex s.
    time : float
        t.
    spread : float
        Standard deviation of T, or any time over which its distribution function is smooth.

    Returns
    -------
    float

    Examples
    --------
    >>> bool(abs(cdf_of(lambda s: 1.0 / (1.0 + s), 2.0, 1.0) - 1.0 + np.exp(-2.0)) < 1e-9)
    True
    """
    if not time > 0.0:
        return 0.0
    plain = _PLAIN + math.ceil(_PER_WIDTH * time / spread)
    if plain > MOST_TERMS:
        raise ArithmeticError(f"a spread of {spread:g} in {time:g} needs too many terms")
    k = np.arange(plain + _AVERAGED + 1)
    s: Complex = np.asarray((_DISCRETISATION + 2j * np.pi * k) / (2.0 * time), dtype=np.complex128)
    terms: Array = np.real(transform(s) / s) * np.where(k % 2 == 0, 1.0, -1.0)
    terms[0] *= 0.5
    sums = np.cumsum(terms)[plain:]
    value = math.exp(_DISCRETISATION / 2.0) / time * float(_BINOMIAL @ sums)
    return min(max(value, 0.0), 1.0)


def moments_of(transform: Transform, scale: float) -> tuple[float, float]:
    """Mean and standard deviation, from the transform near 0; `scale` is about the mean.

    Examples
    --------
    >>> [round(x, 4) for x in moments_of(lambda s: (1.0 + s) ** -4.0, 3.0)]
    [4.0, 2.0]
    """
    step = 1e-3 / scale
    ends: Complex = np.array([step, -step], dtype=np.complex128)
    high, low = np.log(np.real(transform(ends)))
    mean = (low - high) / (2.0 * step)
    return float(mean), math.sqrt(max(float(high + low), 0.0)) / step


def quantile_of(transform: Transform, p: float, mean: float, spread: float) -> float:
    """Time t with P(T <= t) = p.

    Examples
    --------
    >>> bool(abs(quantile_of(lambda s: 1.0 / (1.0 + s), 0.5, 1.0, 1.0) - np.log(2.0)) < 1e-9)
    True
    """
    from scipy.optimize import brentq

    def off(time: float) -> float:
        return cdf_of(transform, time, spread) - p

    low = high = mean
    while off(high) < 0.0:
        high += max(4.0 * spread, 0.1 * high)
    while low > 0.0 and off(low) > 0.0:
        low = max(low - 4.0 * spread, 0.25 * low) if low > 1e-12 * mean else 0.0
    return float(brentq(off, low, high, xtol=1e-300, rtol=1e-11))
