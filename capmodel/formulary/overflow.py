"""How long until a finite queue loses its first packet."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import (
    elementwise,
    load_of,
    not_negative,
    positive,
    probability,
    whole,
)
from capmodel.formulary._crossing import poisson_service
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.numerics.gth import ginverse
from capmodel.numerics.laplace import Complex, cdf_of, moments_of, quantile_of
from capmodel.numerics.phase_type import PhaseType

_MOST = 1_000_000
_MOST_GENERAL = 100_000
_FAR = 0.5  # K times the logarithm of the load from which the closed sum keeps its digits


def mean_overflow_time_mm1k(
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    level: ArrayLike = 0,
) -> Array:
    r"""Mean time until M/M/1/K, with i packets now, loses its first packet.

    .. math::
        E_i T = \frac{c}{\rho} \sum_{n=i}^{K} \sum_{j=0}^{n} \rho^{-j}

    Parameters
    ----------
    offered_load : array_like
        Offered load :math:`\rho` [-], positive, to 1e9.
    capacity : array_like
        Most packets present, the one in service included, :math:`K` [-], whole, 1 to 1e6.
    service_time : array_like
        Mean service time c [s].
    level : array_like
        Packets present now, i [-], whole, 0 to K.

    Returns
    -------
    ndarray
        Mean time [s]; infinite where it exceeds 1e308.

    Notes
    -----
    Exact; a sum of positive terms, relative accuracy about 1e-13.

    Source: S. Karlin, H. M. Taylor, A First Course in Stochastic Processes (1975), section 4.7
    (first passage upwards of a birth and death process).

    Examples
    --------
    >>> float(mean_overflow_time_mm1k(1.0, 9, 2.0))  # 2 (1 + 2 + ... + 10)
    110.0
    >>> float(mean_overflow_time_mm1k(0.5, 1, 1.0, 1))  # an arrival before the departure, or not
    6.0
    """
    load, size, now = _queue(offered_load, capacity, level)
    return positive("service_time", service_time) * elementwise(_mean, load, size, now)


def overflow_time_cdf_mm1k(
    time: ArrayLike,
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    level: ArrayLike = 0,
) -> Array:
    r"""Probability that M/M/1/K, with i packets now, loses its first packet within t.

    With :math:`x_{1,2}` the roots of :math:`\lambda x^2 - (\lambda + \mu + s) x + \mu = 0`, the
    time has the Laplace transform

    .. math::
        E_i e^{-sT} = \frac{D_i(s)}{D_{K+1}(s)},\quad
        D_n = \frac{(1 - x_2)\,x_1^{n+1} + (x_1 - 1)\,x_2^{n+1}}{x_1 - x_2}

    which is inverted numerically.

    Parameters
    ----------
    time : array_like
        t [s], not negative.
    offered_load, capacity, service_time, level : array_like
        As in :func:`mean_overflow_time_mm1k` [-], [-], [s], [-].

    Returns
    -------
    ndarray
        Probability [-].

    Notes
    -----
    Accuracy 1e-9, relative to P(T <= 3t): rare overflows of a stable queue keep their digits. Time
    to answer does not depend on K.

    Source: W. Feller, An Introduction to Probability Theory and Its Applications I, chapter 14
    (gambler's ruin, generating function of the duration), with a reflecting end; inversion after
    J. Abate, W. Whitt, ORSA Journal on Computing 7(1), 1995.

    Examples
    --------
    >>> p = overflow_time_cdf_mm1k(3.0, 2.0, 1, level=1)  # two states: 1 - a sum of exponentials
    >>> round(float(p), 6)
    0.966807
    """
    t = not_negative("time", time) / positive("service_time", service_time)
    load, size, now = _queue(offered_load, capacity, level)

    def chance(at: float, rho: float, k: float, i: float) -> float:
        transform = _Passage(rho, k, i)
        return cdf_of(transform, at, transform.moments[1])

    return elementwise(chance, t, load, size, now)


def overflow_time_quantile_mm1k(
    probability_below: ArrayLike,
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    level: ArrayLike = 0,
) -> Array:
    r"""Time within which M/M/1/K, with i packets now, loses its first packet with probability p.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    offered_load, capacity, service_time, level : array_like
        As in :func:`mean_overflow_time_mm1k` [-], [-], [s], [-].

    Returns
    -------
    ndarray
        Time [s].

    Notes
    -----
    Root of :func:`overflow_time_cdf_mm1k`, with its accuracy.

    Source: as :func:`overflow_time_cdf_mm1k`.

    Examples
    --------
    >>> t = overflow_time_quantile_mm1k(0.5, 0.9, 20)
    >>> round(float(overflow_time_cdf_mm1k(t, 0.9, 20)), 9)
    0.5
    """
    p = probability("probability_below", probability_below)
    load, size, now = _queue(offered_load, capacity, level)

    def at(below: float, rho: float, k: float, i: float) -> float:
        transform = _Passage(rho, k, i)
        return quantile_of(transform, below, *transform.moments)

    return positive("service_time", service_time) * elementwise(at, p, load, size, now)


def mean_overflow_time_mg1k(
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "deterministic",
    level: ArrayLike = 0,
) -> Array:
    r"""Mean time until M/G/1/K, with i packets at the start of a service, loses its first packet.

    With :math:`a_k` the probability of k arrivals in a service and :math:`A` their number,

    .. math::
        \tau_0 = \frac1\lambda + \tau_1,\qquad
        \tau_i = \frac1\lambda \sum_{k=0}^{K-i} P(A > k) + \sum_{k=0}^{K-i} a_k\,\tau_{i-1+k}

    Parameters
    ----------
    offered_load, capacity, service_time
        As in :func:`mean_overflow_time_mm1k` [-], [-], [s]; the load to 600, the capacity to 1e5.
    service : str or tuple
        Law of the service: "deterministic", "exponential", ("erlang", r) or
        ("hyperexponential", scv).
    level : array_like
        Packets present as a service begins, i [-]; 0 for an empty queue.

    Returns
    -------
    ndarray
        Mean time [s]; infinite where it exceeds 1e308.

    Notes
    -----
    Exact. States are eliminated from below, each time into probabilities that are positive sums
    divided by their total: relative accuracy about 1e-12. Work of order K times the arrivals that
    a service may see.

    Source: first-step analysis of the embedded chain of service starts; elimination after W. K.
    Grassmann, M. I. Taksar, D. P. Heyman, Operations Research 33, 1985.

    Examples
    --------
    >>> exponential = mean_overflow_time_mg1k(0.8, 10, 1.0, "exponential")
    >>> bool(np.isclose(exponential, mean_overflow_time_mm1k(0.8, 10), rtol=1e-12))
    True
    """
    load, size, now = _queue(offered_load, capacity, level, _MOST_GENERAL)
    if np.any(load > 600.0):
        raise ValueError(f"offered_load must be at most 600, got {float(np.max(load)):g}")
    law = phases_of("service", service)

    def mean(rho: float, k: float, i: float) -> float:
        return _mean_general(law, rho, int(k), int(i))

    return positive("service_time", service_time) * elementwise(mean, load, size, now)


def _queue(
    offered_load: ArrayLike, capacity: ArrayLike, level: ArrayLike, most: int = _MOST
) -> tuple[Array, Array, Array]:
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity, most=most)
    positive("offered_load", load)
    now = whole("level", level, 0, most)
    if np.any(now > size):
        raise ValueError(
            f"level must be at most the capacity, got {float(np.max(now)):g} with a capacity of "
            f"{float(np.min(size)):g}"
        )
    return load, size, now


def _mean(load: float, capacity: float, level: float) -> float:
    """In units of the service time."""
    x = -math.log(load)
    steps = capacity + 1.0 - level
    with np.errstate(over="ignore", under="ignore"):
        if abs(x) * (capacity + 1.0) < _FAR:
            n = np.arange(level, capacity + 1.0)
            each = np.expm1((n + 1.0) * x) / math.expm1(x) if x else n + 1.0
            return float(each.sum()) / load
        # the double sum in closed form: (r^(i+1) (r^N - 1)/(r - 1) - N)/(r - 1), r = 1/load
        grown = np.exp((level + 1.0) * x) * np.expm1(steps * x) / math.expm1(x)
        return float((grown - steps) / math.expm1(x)) / load


class _Passage:
    """Transform of the time from i packets to a loss, service time 1."""

    def __init__(self, load: float, capacity: float, level: float) -> None:
        self.load, self.capacity, self.level = load, capacity, level
        mean = _mean(load, capacity, level)
        if not math.isfinite(mean):
            raise ValueError(
                f"capacity must be smaller at a load of {load:g}: its overflows are further apart "
                f"than 1e308 service times, got {capacity:g}"
            )
        self.moments = moments_of(self, mean)

    def __call__(self, s: Complex) -> Complex:
        """D_i / D_{K+1}; the powers of the larger root are taken out."""
        half = 0.5 * (self.load + 1.0 + s)
        root = np.sqrt(half * half - self.load)
        large = (half + root) / self.load
        small = 1.0 / (self.load * large)
        # (large - 1)(1 - small) = s / load: neither difference may cancel
        gap, rest = self._gaps(s, root, large, small)
        log_ratio = np.log(small) - np.log(large)

        def scaled(n: float) -> Complex:
            return np.asarray(rest * large + gap * small * np.exp(n * log_ratio))

        with np.errstate(under="ignore"):
            power = np.exp((self.level - self.capacity - 1.0) * np.log(large))
            return np.asarray(scaled(self.level) / scaled(self.capacity + 1.0) * power)

    def _gaps(
        self, s: Complex, root: Complex, large: Complex, small: Complex
    ) -> tuple[Complex, Complex]:
        """The differences large - 1 and 1 - small."""
        if self.load < 1.0:
            gap = (0.5 * (1.0 - self.load + s) + root) / self.load
            return gap, s / (self.load * gap)
        rest = 1.0 - small if self.load > 4.0 else (0.5 * (self.load - 1.0 - s) + root) / self.load
        return np.asarray(s / (self.load * rest)), np.asarray(rest)


def _service_counts(law: PhaseType | None, load: float, reach: int) -> tuple[Array, Array]:
    """P(A = k) and P(A > k) of arrivals in a service of mean 1, k = 0 .. reach."""
    if law is None:
        service = poisson_service(load)
        above = np.zeros(reach + 1)
        kept = service.above[: reach + 1]
        above[: len(kept)] = kept
        equal = np.zeros(reach + 1)
        from capmodel.formulary._poisson import poisson_pmf

        return poisson_pmf(np.arange(reach + 1.0), load), above
    inverse = ginverse(law.rates, law.exits + load)
    equal, phases = np.zeros(reach + 1), law.start
    for k in range(reach + 1):
        spent = phases @ inverse
        equal[k] = spent @ law.exits
        phases = load * spent
    last = float(phases.sum())  # still in service after reach + 1 arrivals
    above = np.append(np.cumsum(equal[:0:-1])[::-1], 0.0) + last
    return equal, above


def _mean_general(law: PhaseType | None, load: float, capacity: int, level: int) -> float:
    """Mean time to the first loss; states eliminated from below, then put back from above."""
    equal, above = _service_counts(law, load, _reach(law, load, capacity))
    spent = np.cumsum(above) / load  # mean time until a service or its (n+1)-th arrival ends
    window = len(equal)
    # from below i the chain enters i + j with chance enter[j], or a loss comes first
    enter, since, lost = np.array([1.0]), 1.0 / load, 0.0  # below 1 is the empty queue
    rows, times = [], []
    for i in range(1, capacity + 1):
        room = capacity - i  # arrivals that fit
        reach = min(window - 1, room)
        onward = np.zeros(max(reach, enter.size, 1))  # by how much higher than i
        onward[:reach] = equal[1 : reach + 1]
        onward[: enter.size] += equal[0] * enter
        too_many = above[room] if room < window else 0.0
        lost = too_many + equal[0] * lost
        # what comes back to i comes again: only what goes higher, or is lost, counts
        leaves = float(onward[1:].sum()) + lost
        with np.errstate(over="ignore"):
            since = (spent[min(room, window - 1)] + equal[0] * since) / leaves
        enter, lost = np.trim_zeros(onward[1:], "b") / leaves, lost / leaves
        if not math.isfinite(since):
            return math.inf
        rows.append(enter)
        times.append(since)
    value = np.zeros(capacity + 1)
    for i in range(capacity, 0, -1):
        row = rows[i - 1]
        value[i] = times[i - 1] + float(row @ value[i + 1 : i + 1 + row.size])
    return float(value[level]) if level else float(value[1]) + 1.0 / load


def _reach(law: PhaseType | None, load: float, capacity: int) -> int:
    from capmodel.formulary._poisson import poisson_reach

    if law is None:
        return min(poisson_reach(load), capacity)
    decay = load / (load + float(1.0 / ginverse(law.rates, law.exits).sum(-1).max()))
    return min(math.ceil(-690.0 / math.log(decay)) + law.order, capacity)
