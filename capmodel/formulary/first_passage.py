"""First passage of Brownian motion: what the overflow and recovery of large buffers tend to."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import elementwise, not_negative, positive, probability
from capmodel.formulary._typing import Array, ArrayLike, asarrays
from capmodel.numerics.laplace import Complex, cdf_of, moments_of, quantile_of

_SERIES = 1e-2


def first_passage_cdf_brownian(
    time: ArrayLike, distance: ArrayLike, drift: ArrayLike, variance: ArrayLike
) -> Array:
    r"""Probability that Brownian motion with drift has covered a distance within t.

    .. math::
        P(T \le t) = \Phi\Big(\frac{\delta t - d}{\sigma\sqrt t}\Big)
        + e^{2\delta d/\sigma^2}\,\Phi\Big(-\frac{\delta t + d}{\sigma\sqrt t}\Big)

    Parameters
    ----------
    time : array_like
        t [s], not negative.
    distance : array_like
        d [packets], positive.
    drift : array_like
        :math:`\delta` [packets/s]; with a drift away from it the distance may never be covered.
    variance : array_like
        :math:`\sigma^2` [packets^2/s], positive.

    Returns
    -------
    ndarray
        Probability [-]; for a positive drift the inverse Gaussian distribution function.

    Notes
    -----
    Exact for Brownian motion: a sum of two positive terms, relative accuracy about 1e-13.

    Source: E. Schroedinger, Physikalische Zeitschrift 16, 1915; R. S. Chhikara, J. L. Folks, The
    Inverse Gaussian Distribution (1989), chapter 2.

    Examples
    --------
    >>> round(float(first_passage_cdf_brownian(1.0, 1.0, 1.0, 1.0)), 6)
    0.668102
    """
    from scipy.special import log_ndtr

    t, size = not_negative("time", time), positive("distance", distance)
    rate, spread = asarrays(drift)[0], positive("variance", variance)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        scale = np.sqrt(spread * t)
        direct = np.exp(log_ndtr((rate * t - size) / scale))
        mirrored = np.exp(2.0 * rate * size / spread + log_ndtr(-(rate * t + size) / scale))
    return np.where(t > 0.0, np.minimum(direct + mirrored, 1.0), 0.0)


def first_passage_quantile_brownian(
    probability_below: ArrayLike, distance: ArrayLike, drift: ArrayLike, variance: ArrayLike
) -> Array:
    r"""Time within which Brownian motion with drift covers a distance with probability p.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    distance, drift, variance : array_like
        As in :func:`first_passage_cdf_brownian` [packets], [packets/s], [packets^2/s].

    Returns
    -------
    ndarray
        Time [s]; infinite where the distance is covered with a lower probability than p.

    Notes
    -----
    Root of :func:`first_passage_cdf_brownian` to 1e-12.

    Source: as :func:`first_passage_cdf_brownian`.

    Examples
    --------
    >>> first_passage_quantile_brownian([0.1, 0.9], 1.0, -1.0, 2.0).round(6).tolist()
    [0.267953, inf]
    """
    p = probability("probability_below", probability_below)
    size, spread = positive("distance", distance), positive("variance", variance)
    return elementwise(_quantile, p, size, asarrays(drift)[0], spread)


def mean_overflow_time_diffusion(
    barrier: ArrayLike, drift: ArrayLike, variance: ArrayLike, level: ArrayLike = 0.0
) -> Array:
    r"""Mean time until Brownian motion, reflected at 0, reaches a barrier.

    .. math::
        E T = \frac{2}{\sigma^2} \int_x^B \frac{1 - e^{-g y}}{g}\,dy,\qquad
        g = \frac{2\delta}{\sigma^2}

    Parameters
    ----------
    barrier : array_like
        B [packets], positive.
    drift : array_like
        :math:`\delta` [packets/s], of either sign.
    variance : array_like
        :math:`\sigma^2` [packets^2/s], positive.
    level : array_like
        Where it starts, x [packets], 0 to B.

    Returns
    -------
    ndarray
        Mean time [s]; infinite where it exceeds 1e308.

    Notes
    -----
    Exact for reflected Brownian motion, relative accuracy about 1e-13 away from x = B.

    Source: S. Karlin, H. M. Taylor, A Second Course in Stochastic Processes (1981), section 15.3
    (scale function and speed measure).

    Examples
    --------
    >>> float(mean_overflow_time_diffusion(10.0, 0.0, 2.0))  # B^2 / variance
    50.0
    """
    size, rate, spread, now = _reflected(barrier, drift, variance, level)
    g = 2.0 * rate / spread
    with np.errstate(over="ignore"):
        twice = size * size * _excess(g * size) - now * now * _excess(g * now)
    return np.asarray(2.0 / spread * twice)


def overflow_time_cdf_diffusion(
    time: ArrayLike, barrier: ArrayLike, drift: ArrayLike, variance: ArrayLike,
    level: ArrayLike = 0.0,
) -> Array:  # fmt: skip
    r"""Probability that Brownian motion, reflected at 0, has reached a barrier within t.

    Its time has the Laplace transform, with
    :math:`r_\pm = (-\delta \pm \sqrt{\delta^2 + 2\sigma^2 s})/\sigma^2`,

    .. math::
        E_x e^{-sT} = \frac{r_+ e^{r_- x} - r_- e^{r_+ x}}{r_+ e^{r_- B} - r_- e^{r_+ B}}

    Parameters
    ----------
    time : array_like
        t [s], not negative.
    barrier, drift, variance, level : array_like
        As in :func:`mean_overflow_time_diffusion` [packets], [packets/s], [packets^2/s],
        [packets].

    Returns
    -------
    ndarray
        Probability [-].

    Notes
    -----
    Exact for reflected Brownian motion, inverted with an accuracy of 1e-9. As an approximation of
    M/M/1/K with i packets, take B = K + 3/2, x = i + 1/2, :math:`\delta = \lambda - \mu` and
    :math:`\sigma^2 = \lambda + \mu`: quantiles from 1 % to 99 % are then
    within 0.7 % for K from 30 and loads from 0.95 to 1.1, within 2 % up to load 3; in a stable
    queue the error grows as :math:`K (1-\rho)^3/11` (measured against
    :func:`~capmodel.formulary.overflow_time_cdf_mm1k`).

    Source: as :func:`mean_overflow_time_diffusion`; the transform solves the backward equation
    with a reflecting and an absorbing end.

    Examples
    --------
    >>> round(float(overflow_time_cdf_diffusion(50.0, 10.0, 0.0, 2.0)), 6)
    0.629223
    """
    t = not_negative("time", time)
    size, rate, spread, now = _reflected(barrier, drift, variance, level)

    def chance(at: float, b: float, d: float, v: float, x: float) -> float:
        transform = _Reflected(b, d, v, x)
        return cdf_of(transform, at, transform.moments[1])

    return elementwise(chance, t, size, rate, spread, now)


def overflow_time_quantile_diffusion(
    probability_below: ArrayLike, barrier: ArrayLike, drift: ArrayLike, variance: ArrayLike,
    level: ArrayLike = 0.0,
) -> Array:  # fmt: skip
    r"""Time within which Brownian motion, reflected at 0, reaches a barrier with probability p.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    barrier, drift, variance, level : array_like
        As in :func:`mean_overflow_time_diffusion` [packets], [packets/s], [packets^2/s],
        [packets].

    Returns
    -------
    ndarray
        Time [s].

    Notes
    -----
    Root of :func:`overflow_time_cdf_diffusion`, with its accuracy.

    Source: as :func:`overflow_time_cdf_diffusion`.

    Examples
    --------
    >>> t = overflow_time_quantile_diffusion(0.9, 10.0, 0.5, 2.0)
    >>> round(float(overflow_time_cdf_diffusion(t, 10.0, 0.5, 2.0)), 9)
    0.9
    """
    p = probability("probability_below", probability_below)
    size, rate, spread, now = _reflected(barrier, drift, variance, level)

    def at(below: float, b: float, d: float, v: float, x: float) -> float:
        transform = _Reflected(b, d, v, x)
        return quantile_of(transform, below, *transform.moments)

    return elementwise(at, p, size, rate, spread, now)


def _reflected(
    barrier: ArrayLike, drift: ArrayLike, variance: ArrayLike, level: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    size, spread = positive("barrier", barrier), positive("variance", variance)
    now = not_negative("level", level)
    if np.any(now >= size):
        raise ValueError(
            f"level must be below the barrier, got {float(np.max(now)):g} with a barrier at "
            f"{float(np.min(size)):g}"
        )
    return size, asarrays(drift)[0], spread, now


def _excess(u: Array) -> Array:
    """Value of (e^-u - 1 + u) / u^2, by its series where the three cancel."""
    small = np.abs(u) < _SERIES
    v = np.where(small, u, 0.0)
    series = 1 / 2 - v * (1 / 6 - v * (1 / 24 - v * (1 / 120 - v * (1 / 720 - v / 5040))))
    w = np.where(small, 1.0, u)
    return np.where(small, series, (np.expm1(-w) + w) / w / w)


class _Reflected:
    """Transform of the time that reflected Brownian motion takes from x to B."""

    def __init__(self, barrier: float, drift: float, variance: float, level: float) -> None:
        self.barrier, self.drift, self.variance, self.level = barrier, drift, variance, level
        mean = float(mean_overflow_time_diffusion(barrier, drift, variance, level))
        if not math.isfinite(mean):
            raise ValueError(
                f"barrier must be nearer with a drift of {drift:g}: it is reached after more than "
                f"1e308 s, got {barrier:g}"
            )
        self.moments = moments_of(self, mean)

    def __call__(self, s: Complex) -> Complex:
        """The ratio above, with the growing exponential taken out."""
        d, v = abs(self.drift), self.variance
        root = d + np.sqrt(d * d + 2.0 * v * s)
        steep, flat = root / v, 2.0 * s / root
        up, down = (flat, -steep) if self.drift > 0.0 else (steep, -flat)

        def scaled(x: float) -> Complex:
            return np.asarray(up * np.exp((down - up) * x) - down)

        with np.errstate(under="ignore"):
            ratio = scaled(self.level) / scaled(self.barrier)
            return np.asarray(ratio * np.exp(up * (self.level - self.barrier)))


def _quantile(p: float, distance: float, drift: float, variance: float) -> float:
    from scipy.optimize import brentq

    if drift <= 0.0 and p >= math.exp(2.0 * drift * distance / variance):
        return math.inf

    def off(log_time: float) -> float:
        value = first_passage_cdf_brownian(math.exp(log_time), distance, drift, variance)
        return float(value) - p

    middle = 2.0 * math.log(distance) - math.log(variance)
    low, high = middle - 1.0, middle + 1.0
    while off(low) > 0.0:
        low -= 2.0
    while off(high) < 0.0:
        high += 2.0
    return math.exp(float(brentq(off, low, high, xtol=1e-14, rtol=1e-14)))
