r"""Markovian arrival processes of two phases, and more, from a few statistics.

Of a process of two phases the correlation of the times between arrivals falls off geometrically,

.. math::
    \rho_k = \gamma^k\, \frac{c^2 - 1}{2 c^2}

so that mean, scv :math:`c^2` and lag-1 correlation :math:`\rho_1` leave one thing free: the third
moment. With :math:`x_1 \ge x_2` the mean times of the two exponentials of which the time between
arrivals is made, in units of its mean, the region that can be reached is

* by a modulated Poisson process: :math:`c^2 > 1`, any third moment above
  :math:`\frac{3}{2}(1 + c^2)^2`, and :math:`0 \le \gamma < 1`, by exactly one process each;
* by any process of two phases, where :math:`c^2 > 1`: the same third moments and
  :math:`-\min\{\frac{1 - x_2}{x_1 - 1},\ x_1 + x_2 - 1\} \le \gamma < 1`;
* where :math:`\frac12 \le c^2 < 1`: third moments from
  :math:`9 c^2 - 3 + 3\sqrt 2 (1 - c^2)^{3/2}` to :math:`6 c^2`, and
  :math:`1 - x_1 - x_2 \le \gamma \le (\sqrt{x_1 x_2} - \sqrt{(1 - x_1)(1 - x_2)})^2`;
* where :math:`c^2 = 1`: no correlation.

Source: L. Bodrog, A. Heindl, G. Horvath, M. Telek, European Journal of Operational Research 190(2),
2008 (``bodrog2008``: the two canonical forms, and that they hold every process of two phases); the
bounds above follow from them, the modulated Poisson process from trace and determinant of
:math:`(-D_0)^{-1}`.
"""

from __future__ import annotations

import math

import numpy as np

from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.gth import Array
from capmodel.numerics.phase_type import MAX_ORDER, PhaseType

_EDGE = 1e-12  # rounding that is granted at the edge of a region


def fit_mmpp2(
    scv: float, correlation: float, *, mean: float = 1.0, third_moment: float | None = None
) -> MAP:
    r"""The modulated Poisson process of two phases with given statistics of intervals.

    Parameters
    ----------
    scv : float
        Squared coefficient of variation of the times between arrivals [-], 1 or more.
    correlation : float
        Their lag-1 autocorrelation [-], from 0 to below (scv - 1)/(2 scv).
    mean : float
        Their mean [s].
    third_moment : float, optional
        Their third moment over the cube of the mean [-], above 1.5 (1 + scv)^2; default: that of
        two exponentials that contribute equally to the mean.

    Returns
    -------
    MAP
        With exactly these statistics; its autocorrelation at lag k is
        ``correlation * decay**(k - 1)``, where decay = 2 scv correlation/(scv - 1).

    Raises
    ------
    ValueError
        If there is no such process; the message says what is allowed.

    Examples
    --------
    >>> process = fit_mmpp2(scv=4.0, correlation=0.3)
    >>> round(process.scv, 12), round(float(process.autocorrelation(1)), 12)
    (4.0, 0.3)
    """
    _check(mean, scv, correlation)
    if scv == 1.0:
        return _poisson(mean, correlation, "an MMPP of two phases")
    _refuse(scv > 1.0, "scv", "1 or more for an MMPP of two phases", scv)
    slow, fast = _exponentials(scv, third_moment)
    _refuse(
        0.0 <= correlation < _steepest(scv),
        "correlation",
        f"from 0 to below (scv - 1)/(2 scv) = {_steepest(scv):.6g} for an MMPP of two phases with "
        f"scv {scv:g}",
        correlation,
    )
    fade = 1.0 - correlation / _steepest(scv)  # 1 - decay
    # lambda_1 + lambda_2 and lambda_1 lambda_2 follow from trace and determinant of (-D0)^-1
    product = slow * fast
    total = (slow + fast - fade) / product
    gap = math.hypot(slow - fast - fade, 2.0 * math.sqrt(fade * fast * (slow - 1.0))) / product
    high = 0.5 * (total + gap)
    low = (1.0 - fade) / product / high
    turnover = fade / product
    # the share of the high phase, from the mean rate 1
    busy = (slow - 1.0) * (1.0 - fast) / (product * (high - 1.0) * gap)
    return MAP.mmpp([high, low], [turnover * (1.0 - busy), turnover * busy]).at_rate(1.0 / mean)


def fit_map2(
    scv: float, correlation: float, *, mean: float = 1.0, third_moment: float | None = None
) -> MAP:
    r"""A process of two phases with given statistics of intervals, in canonical form.

    Parameters
    ----------
    scv : float
        Squared coefficient of variation of the times between arrivals [-], 0.5 or more.
    correlation : float
        Their lag-1 autocorrelation [-]; the bounds are those of :func:`correlation_bounds`.
    mean : float
        Their mean [s].
    third_moment : float, optional
        Their third moment over the cube of the mean [-]; default: one that allows the correlation.

    Returns
    -------
    MAP
        With exactly these statistics.

    Raises
    ------
    ValueError
        If there is no such process; the message says what is allowed.

    Examples
    --------
    >>> regular = fit_map2(scv=0.6, correlation=0.03)
    >>> round(regular.scv, 12), round(float(regular.autocorrelation(1)), 12)
    (0.6, 0.03)
    """
    _check(mean, scv, correlation)
    _refuse(scv >= 0.5, "scv", "0.5 or more for a process of two phases", scv)
    if scv == 1.0:
        return _poisson(mean, correlation, "a process of two phases")
    decay = correlation * 2.0 * scv / (scv - 1.0)
    slow, fast = _marginal(scv, decay, third_moment)
    low, high = correlation_bounds(scv, third_moment)
    first, last = _decays(slow, fast)
    if not (first - _EDGE <= decay <= last + _EDGE and decay < 1.0):
        given = "" if third_moment is None else f" and third moment {third_moment:g}"
        raise ValueError(
            f"correlation must be {_interval(scv, low, high, third_moment)} for a process of two "
            f"phases with scv {scv:g}{given}, got {correlation:g}"
        )
    decay = min(max(decay, first), last)
    return _canonical(slow, fast, decay).at_rate(1.0 / mean)


def correlation_bounds(scv: float, third_moment: float | None = None) -> tuple[float, float]:
    """Least and greatest lag-1 correlation of a process of two phases.

    Parameters
    ----------
    scv : float
        Squared coefficient of variation of the times between arrivals [-], 0.5 or more.
    third_moment : float, optional
        Their third moment over the cube of the mean [-]; default: any that there is.

    Returns
    -------
    tuple of float
        Both can be reached, but for the greatest where scv exceeds 1, and for the least where scv
        is 3 or more and the third moment is free.

    Raises
    ------
    ValueError
        If there is no process with that scv and third moment.

    Examples
    --------
    >>> correlation_bounds(4.0)
    (-0.25, 0.375)
    >>> [round(bound, 6) for bound in correlation_bounds(0.5)]
    [0.0, 0.0]
    """
    _refuse(scv >= 0.5 and math.isfinite(scv), "scv", "0.5 or more and finite", scv)
    if scv == 1.0:
        return 0.0, 0.0
    size = (scv - 1.0) / (2.0 * scv)
    if third_moment is None and scv >= 3.0:
        return -1.0 / scv, size
    if third_moment is None and scv > 1.0:
        return -size, size
    first, last = _decays(*_marginal(scv, -1.0, third_moment))
    low, high = sorted((first * size, last * size))
    return low, high


def fit_map(scv: float, correlation: float, decay: float, *, mean: float = 1.0) -> MAP:
    r"""A process whose correlation starts and decays as given, independently of each other.

    Two regimes alternate; in each the times between arrivals are of phase type with one common
    variability. The regimes' means carry the correlation, so that it can be as weak and as lasting
    as one likes: :math:`\rho_k = \rho_1 \gamma^{k-1}`.

    Parameters
    ----------
    scv : float
        Squared coefficient of variation of the times between arrivals [-], 1/8 or more.
    correlation : float
        Their lag-1 autocorrelation [-], not negative.
    decay : float
        Ratio of the autocorrelation at successive lags [-], below 1.
    mean : float
        Their mean [s].

    Returns
    -------
    MAP
        Two phases (and then a modulated choice of exponentials) up to sixteen.

    Raises
    ------
    ValueError
        If there is no such process; the message says what is allowed.

    Notes
    -----
    With between-regime variance b and within-regime scv v in units of the mean:
    :math:`b = \rho_1 c^2/\gamma`, :math:`v = (c^2 - b)/(1 + b)`, which must be at least 1/8, the
    least that :class:`PhaseType` matches: :math:`\rho_1 \le \gamma (8 c^2 - 1)/(9 c^2)`.

    Examples
    --------
    >>> lasting = fit_map(scv=2.0, correlation=0.05, decay=0.99)
    >>> [round(float(x), 6) for x in lasting.autocorrelation([1, 2])]
    [0.05, 0.0495]
    """
    _check(mean, scv, correlation)
    least = 1.0 / MAX_ORDER
    _refuse(scv >= least, "scv", f"1/{MAX_ORDER} or more", scv)
    _refuse(0.0 < decay < 1.0, "decay", "between 0 and 1, both excluded", decay)
    most = decay * (scv - least) / ((1.0 + least) * scv)
    _refuse(
        0.0 <= correlation <= most * (1.0 + _EDGE),
        "correlation",
        f"from 0 to {most:.6g} for scv {scv:g} and decay {decay:g}",
        correlation,
    )
    between = correlation * scv / decay
    within = max((scv - between) / (1.0 + between), least)
    if between == 0.0:
        return _renewal(PhaseType.fit(mean, scv))
    spread = math.sqrt(between / (1.0 + between))
    # shares of arrivals in the slow and in the fast regime, which take half of the time each
    shares = np.array([0.5 / ((1.0 + between) * (1.0 + spread)), 0.5 * (1.0 + spread)])
    regimes = [PhaseType.fit(0.5 * mean / float(share), within) for share in shares]
    m = regimes[0].order
    silent, arriving = np.zeros((2 * m, 2 * m)), np.zeros((2 * m, 2 * m))
    follow = (1.0 - decay) * np.tile(shares, (2, 1)) + decay * np.eye(2)
    for i, here in enumerate(regimes):
        rows = slice(i * m, i * m + m)
        silent[rows, rows] = here.rates
        for j, there in enumerate(regimes):
            columns = slice(j * m, j * m + m)
            arriving[rows, columns] = follow[i, j] * np.outer(here.exits, there.start)
    return _used(silent, arriving)


def _check(mean: float, scv: float, correlation: float) -> None:
    _refuse(mean > 0.0 and math.isfinite(mean), "mean", "positive and finite", mean)
    _refuse(scv > 0.0 and math.isfinite(scv), "scv", "positive and finite", scv)
    _refuse(-1.0 <= correlation < 1.0, "correlation", "from -1 to below 1", correlation)


def _refuse(good: bool, name: str, allowed: str, got: float) -> None:
    if not good:
        raise ValueError(f"{name} must be {allowed}, got {got:g}")


def _steepest(scv: float) -> float:
    return 0.5 * (scv - 1.0) / scv


def _interval(scv: float, low: float, high: float, third_moment: float | None) -> str:
    start = "above" if third_moment is None and scv >= 3.0 else "from"
    return f"{start} {low:.6g} {'to below' if scv > 1.0 else 'to'} {high:.6g}"


def _poisson(mean: float, correlation: float, what: str) -> MAP:
    _refuse(correlation == 0.0, "correlation", f"0 for {what} with scv 1", correlation)
    return MAP.mmpp([1.0 / mean], [[0.0]])


def _renewal(law: PhaseType) -> MAP:
    return _used(law.rates, np.outer(law.exits, law.start))


def _used(silent: Array, arriving: Array) -> MAP:
    """Without phases that nothing leads to."""
    entered = (silent.sum(axis=0) + arriving.sum(axis=0)) > 0.0
    keep = np.ix_(entered, entered)
    return MAP(silent[keep], arriving[keep])


def _exponentials(scv: float, third_moment: float | None) -> tuple[float, float]:
    """Mean times of two exponentials whose mixture has mean 1 and scv above 1, slow first."""
    if third_moment is None:
        spread = math.sqrt((scv - 1.0) / (scv + 1.0))
        return 0.5 * (scv + 1.0) * (1.0 + spread), 1.0 / (1.0 + spread)
    least = 1.5 * (1.0 + scv) ** 2
    _refuse(
        least < third_moment < math.inf,
        "third_moment",
        f"above 1.5 (1 + scv)^2 = {least:.6g} for scv {scv:g}",
        third_moment,
    )
    half = 0.5 * (scv - 1.0)  # (x1 - 1)(1 - x2)
    rise = (third_moment - least) / 6.0
    product = rise / half  # x1 x2: r3 - r2^2 over r2 - 1
    total = product + 0.5 * (1.0 + scv)
    # (x1 - 1) - (1 - x2) = total - 2, and the product of the two is known
    away = 0.5 * (abs(total - 2.0) + math.hypot(total - 2.0, 2.0 * math.sqrt(half)))
    far = away if total >= 2.0 else half / away
    slow = 1.0 + far
    return slow, product / slow


def _sums(scv: float, third_moment: float | None) -> tuple[float, float]:
    """Mean times of two exponentials that make up a time with mean 1 and scv below 1."""
    missing = 0.5 * (1.0 - scv)  # (1 - x1)(1 - x2)
    widest = 2.0 - 2.0 * math.sqrt(missing)
    total = widest
    if third_moment is not None:
        least = 9.0 * scv - 3.0 + 3.0 * math.sqrt(2.0) * (1.0 - scv) ** 1.5
        _refuse(
            least * (1.0 - _EDGE) <= third_moment <= 6.0 * scv * (1.0 + _EDGE),
            "third_moment",
            f"from {least:.6g} to 6 scv = {6.0 * scv:.6g} for scv {scv:g}",
            third_moment,
        )
        total = min(max((0.5 * (1.0 + scv) - third_moment / 6.0) / missing, 1.0), widest)
    product = total - 0.5 * (1.0 + scv)
    gap = math.sqrt(max(total * total - 4.0 * product, 0.0))
    slow = 0.5 * (total + gap)
    return slow, product / slow


def _marginal(scv: float, decay: float, third_moment: float | None) -> tuple[float, float]:
    """Mean times of the two exponentials; where free, such that the decay can be reached."""
    if scv < 1.0:
        return _sums(scv, third_moment)
    slow, fast = _exponentials(scv, third_moment)
    if third_moment is not None or decay >= _decays(slow, fast)[0]:
        return slow, fast
    half = 0.5 * (scv - 1.0)
    # the slow one may be so slow that the other vanishes, or so fast that the decay is at its edge
    far = math.sqrt(half)
    if half >= 1.0:
        far = math.sqrt(half * max(math.sqrt(half / abs(decay)), half * (1.0 + 1e-9)))
    return 1.0 + far, 1.0 - half / far


def _decays(slow: float, fast: float) -> tuple[float, float]:
    """Least and greatest decay of the correlation of a process with such exponentials."""
    if slow > 1.0:
        return -min((1.0 - fast) / (slow - 1.0), slow + fast - 1.0), 1.0
    root = math.sqrt(slow * fast) - math.sqrt((1.0 - slow) * (1.0 - fast))
    return -max(slow + fast - 1.0, 0.0), max(root, 0.0) ** 2


def _canonical(slow: float, fast: float, decay: float) -> MAP:
    """The form of two phases in sequence, with mean 1."""
    pace, next_pace = 1.0 / slow, 1.0 / fast
    if decay < 0.0:
        again = min(((1.0 - decay) - fast) / slow, 1.0)
        skip = min(-decay / again, 1.0)
        arriving = [[0.0, skip * pace], [again * next_pace, (1.0 - again) * next_pace]]
    else:
        total = slow + fast - (1.0 - decay)
        gap = math.sqrt(max(total * total - 4.0 * decay * slow * fast, 0.0))
        larger = 0.5 * (total + gap)
        again = min(larger / slow, 1.0)
        skip = min(decay * slow / larger, 1.0) if larger > 0.0 else 0.0
        arriving = [[skip * pace, 0.0], [(1.0 - again) * next_pace, again * next_pace]]
    silent = [[0.0, (1.0 - skip) * pace], [0.0, 0.0]]
    return MAP(silent, arriving)


__all__ = ["correlation_bounds", "fit_map", "fit_map2", "fit_mmpp2"]
