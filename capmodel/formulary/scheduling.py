"""Automatic scheduling as a two-state random environment: same core now, split then."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def environment_mean(
    same: ArrayLike, split: ArrayLike, leave_same: ArrayLike, leave_split: ArrayLike
) -> Array:
    r"""Long-run mean of a quantity that depends on where the scheduler put the consumer.

    :math:`p f_{AA} + (1-p) f_{AB}` with :math:`p = \beta/(\alpha+\beta)`, the share of time spent
    on the same core.

    Parameters
    ----------
    same, split : array_like
        The quantity on one core and on two [any unit].
    leave_same, leave_split : array_like
        Rates of leaving the two placements :math:`\alpha, \beta` [1/s], positive.

    Returns
    -------
    ndarray
        Mean, in the unit of the quantity.

    Notes
    -----
    Exact for placements that last long against the queue's own relaxation time.

    Source: alternating renewal process; Braun et al., IMC 2010, section 4.1 (the effect).

    Examples
    --------
    >>> round(float(environment_mean(0.75, 0.92, 1 / 20, 1 / 30)), 4)
    0.852
    """
    on_same, on_split, alpha, beta = asarrays(same, split, leave_same, leave_split)
    share = beta / (alpha + beta)
    return share * on_same + (1.0 - share) * on_split


def environment_variance(
    same: ArrayLike,
    split: ArrayLike,
    leave_same: ArrayLike,
    leave_split: ArrayLike,
    duration: ArrayLike,
) -> Array:
    r"""Variance of the time average over one run of a given length.

    .. math::
        (f_{AA}-f_{AB})^2\, p(1-p)\, \frac{2\tau}{T}
        \left(1 - \frac{\tau}{T}\left(1 - e^{-T/\tau}\right)\right),
        \quad \tau = \frac{1}{\alpha+\beta}

    Parameters
    ----------
    same, split, leave_same, leave_split : array_like
        As in :func:`environment_mean`.
    duration : array_like
        Run length :math:`T` [s].

    Returns
    -------
    ndarray
        Variance, in the squared unit of the quantity. A scheduler that sticks
        (:math:`\tau \gg T`) gives the Bernoulli value :math:`p(1-p)(f_{AA}-f_{AB})^2`.

    Notes
    -----
    Exact for exponential stays in either placement.

    Source: autocovariance of a two-state Markov process, integrated twice.

    Examples
    --------
    >>> round(float(environment_variance(0.75, 0.92, 1 / 20, 1 / 30, 100) ** 0.5), 5)
    0.03827
    """
    on_same, on_split, alpha, beta, length = asarrays(
        same, split, leave_same, leave_split, duration
    )
    total = alpha + beta
    x = total * length
    # 2 (x - 1 + e^-x)/x^2 loses digits for small x: its series there
    small = x < 1e-2
    safe = np.where(small, 1.0, x)
    direct = 2.0 / safe * (1.0 + np.expm1(-safe) / safe)
    near = np.where(small, x, 0.0)
    series = 1.0 - near / 3.0 * (1.0 - near / 4.0 * (1.0 - near / 5.0 * (1.0 - near / 6.0)))
    both = alpha * beta / (total * total)
    return (on_same - on_split) ** 2 * both * np.where(small, series, direct)
