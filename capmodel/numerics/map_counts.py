r"""The modulated Poisson process of two phases from how its counts vary over time scales.

Such a process is told by its rate :math:`\lambda`, the index of dispersion for counts
:math:`I_\infty` that it tends to, the rate :math:`r` at which it forgets its phase, and how
lopsided the two phases are. With :math:`C` the variance of the rate and :math:`s` its skewness,

.. math::
    I(t) = 1 + (I_\infty - 1)\left(1 - \frac{1 - e^{-rt}}{rt}\right),\quad
    C = \tfrac12 \lambda r (I_\infty - 1),\quad
    \mu_3(t) = \lambda t + 3(I(t) - 1)\lambda t + 6 s C^{3/2} \int_0^t (t-u)\,u\,e^{-ru}\,du

with :math:`\mu_3` the third central moment of the count in a window of length t.

Source: H. Heffes, D. M. Lucantoni, IEEE Journal on Selected Areas in Communications 4(6), 1986
(``heffes1986``: rate, dispersion and third moment of counts determine the process);
R. Gusella, IEEE Journal on Selected Areas in Communications 9(2), 1991 (``gusella1991``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.gth import Array


def mmpp2_of_counts(
    rate: float, limit: float, relaxation: float, skewness: float | None = None
) -> MAP:
    r"""The process with given rate, limit of the dispersion, relaxation and skewness.

    Parameters
    ----------
    rate : float
        Arrivals per second [1/s].
    limit : float
        Index of dispersion for counts in long windows [-], above 1.
    relaxation : float
        Rate at which the phase is forgotten, the sum of the rates of leaving either [1/s].
    skewness : float, optional
        Skewness of the rate over time [-]: positive where the high rate is rare. Default: 0, or
        the least that there is.

    Returns
    -------
    MAP

    Raises
    ------
    ValueError
        If a number is out of range, or the skewness below :func:`least_skewness`, at which nothing
        arrives in the low phase.

    Examples
    --------
    >>> process = mmpp2_of_counts(rate=100.0, limit=5.0, relaxation=2.0)
    >>> round(process.rate, 9), round(process.dispersion_limit, 9)
    (100.0, 5.0)
    """
    least = least_skewness(rate, limit, relaxation)
    chosen = max(least, 0.0) if skewness is None else skewness
    if not least - 1e-12 * (1.0 + abs(least)) <= chosen < math.inf:
        raise ValueError(
            f"skewness must be at least {least:.6g} for rate {rate:g}, limit {limit:g} and "
            f"relaxation {relaxation:g}, got {skewness!r}"
        )
    deviation = math.sqrt(0.5 * rate * relaxation * (limit - 1.0))
    root = math.hypot(chosen, 2.0)
    # what the high rate is above the mean, over the deviation; the low one is the inverse below
    above = 0.5 * (chosen + root) if chosen >= 0.0 else 2.0 / (root - chosen)
    low = max(rate - deviation / above, 0.0)
    busy = 1.0 / (1.0 + above * above)  # share of time at the high rate
    return MAP.mmpp([rate + deviation * above, low], [relaxation * (1.0 - busy), relaxation * busy])


def least_skewness(rate: float, limit: float, relaxation: float) -> float:
    """Skewness of the rate [-] at which nothing arrives in the low phase.

    Parameters
    ----------
    rate, limit, relaxation : float
        As in :func:`mmpp2_of_counts`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> least_skewness(2.0, 5.0, 1.0)  # the rate is 0 or 4, half of the time each
    0.0
    """
    for name, value, bound in (
        ("rate", rate, 0.0), ("limit", limit, 1.0), ("relaxation", relaxation, 0.0),
    ):  # fmt: skip
        if not (value > bound and math.isfinite(value)):
            raise ValueError(f"{name} must be finite and above {bound:g}, got {value!r}")
    deviation = math.sqrt(0.5 * rate * relaxation * (limit - 1.0)) / rate
    return deviation - 1.0 / deviation


def relaxation_rate(window: float, dispersion: float, limit: float) -> float:
    """Rate of forgetting the phase [1/s] with which the dispersion passes through a point.

    Parameters
    ----------
    window : float
        Length of the window [s].
    dispersion, limit : float
        Index of dispersion for counts in it, and in long windows [-].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Unless 1 < dispersion < limit.

    Examples
    --------
    >>> round(relaxation_rate(1.0, 1.0 + 4.0 * (1.0 - (1.0 - 2.718281828459045**-2) / 2.0), 5.0), 9)
    2.0
    """
    if not (window > 0.0 and math.isfinite(window)):
        raise ValueError(f"window must be positive and finite, got {window!r}")
    if not 1.0 < dispersion < limit < math.inf:
        raise ValueError(
            f"dispersion must lie between 1 and limit, got {dispersion!r} with limit {limit!r}"
        )
    from scipy.optimize import brentq

    share = (dispersion - 1.0) / (limit - 1.0)

    def miss(log: float) -> float:
        return float(settled(np.array(math.exp(log)))) - share

    # share x: x/2 at small windows, 1 - 1/x at large ones
    low, high = math.log(share), math.log(2.0 / share + 4.0 / (1.0 - share))
    return math.exp(float(brentq(miss, low, high, xtol=1e-14, rtol=1e-14))) / window


def settled(x: Array) -> Array:
    r"""How much of its limit the dispersion has reached, :math:`1 - (1 - e^{-x})/x`.

    Parameters
    ----------
    x : ndarray
        Window times relaxation [-].

    Returns
    -------
    ndarray

    Examples
    --------
    >>> [round(float(y), 6) for y in settled(np.array([1e-9, 2.0, 1e9]))]
    [0.0, 0.567668, 1.0]
    """
    x = np.asarray(x, dtype=np.float64)
    small = x * (0.5 - x * (1.0 / 6.0 - x / 24.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x < 1e-4, small, 1.0 + np.expm1(-x) / x)


def skewness_of(rate: float, limit: float, relaxation: float, window: float, third: float) -> float:
    """Skewness of the rate [-] that gives the counts in a window their third central moment.

    Parameters
    ----------
    rate, limit, relaxation : float
        As in :func:`mmpp2_of_counts`.
    window : float
        Length of the window [s].
    third : float
        Third central moment of the count [-].

    Returns
    -------
    float
        Any number; :func:`mmpp2_of_counts` takes those from :func:`least_skewness` on.

    Examples
    --------
    >>> round(skewness_of(100.0, 5.0, 2.0, 1.0, third_moment(100.0, 5.0, 2.0, 0.7, 1.0)), 9)
    0.7
    """
    plain = third_moment(rate, limit, relaxation, 0.0, window)
    unit = third_moment(rate, limit, relaxation, 1.0, window) - plain
    return (third - plain) / unit


def third_moment(
    rate: float, limit: float, relaxation: float, skewness: float, window: float
) -> float:
    r"""Third central moment of the count in a window.

    Parameters
    ----------
    rate, limit, relaxation, skewness : float
        As in :func:`mmpp2_of_counts`.
    window : float
        Length of the window [s].

    Returns
    -------
    float

    Examples
    --------
    >>> round(third_moment(3.0, 1.0 + 1e-12, 1.0, 0.0, 2.0), 6)  # a Poisson count of mean 6
    6.0
    """
    x, mean = relaxation * window, rate * window
    variance = 0.5 * rate * relaxation * (limit - 1.0)
    excess = (limit - 1.0) * float(settled(np.array(x)))
    return float(
        mean
        + 3.0 * excess * mean
        + 6.0 * skewness * variance**1.5 * window**3 * _triple(x)
    )  # fmt: skip


def _triple(x: float) -> float:
    r"""The integral of (1 - v) v exp(-xv) over v from 0 to 1."""
    if x < 0.3:
        return math.fsum(
            (-x) ** n / math.factorial(n) * (1.0 / (n + 2) - 1.0 / (n + 3)) for n in range(16)
        )
    return (x - 2.0 + (x + 2.0) * math.exp(-x)) / x**3


def fit_dispersion(windows: Array, dispersions: Array) -> tuple[float, float]:
    """Limit and relaxation whose dispersion follows a measured one, in logarithms.

    Parameters
    ----------
    windows : ndarray
        Lengths of windows [s], at least two.
    dispersions : ndarray
        Indices of dispersion measured in them [-], all above 1.

    Returns
    -------
    limit, relaxation : float
        For :func:`mmpp2_of_counts`; least squares of the logarithms of I - 1.

    Examples
    --------
    >>> t = np.array([0.01, 0.1, 1.0])
    >>> limit, relaxation = fit_dispersion(t, 1.0 + 8.0 * settled(5.0 * t))
    >>> round(limit, 6), round(relaxation, 6)
    (9.0, 5.0)
    """
    from scipy.optimize import least_squares

    logs, excess = np.log(windows), np.log(dispersions - 1.0)

    def miss(point: Array) -> Array:
        return np.asarray(point[0] + np.log(settled(np.exp(point[1] + logs))) - excess)

    # time constants from well below the shortest window to well above the longest
    span = logs[-1] - logs[0]
    bounds = ([-60.0, -logs[-1] - span - 3.0], [60.0, -logs[0] + span + 3.0])
    solve: Callable[..., Any] = least_squares
    tries = [
        solve(miss, [float(excess.max()) + 0.5, -start], bounds=bounds)
        for start in np.linspace(logs[0], logs[-1], 5)
    ]
    best = min(tries, key=lambda one: one.cost)
    return 1.0 + math.exp(best.x[0]), math.exp(best.x[1])


__all__ = [
    "fit_dispersion",
    "least_skewness",
    "mmpp2_of_counts",
    "relaxation_rate",
    "settled",
    "skewness_of",
    "third_moment",
]
