"""How often waking a consumer takes an interrupt, if its core looks for work before it halts."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def wake_interrupt_probability(gap: ArrayLike, leave: ArrayLike, settle: ArrayLike) -> Array:
    r"""Probability that a sleep of uniform length ends while its core does not look for work.

    A consumer that goes to sleep leaves its core in :math:`l`; the idle core looks for work for
    :math:`\tau`, where a signal is a write to memory, and halts. From a core that is still being
    left, or has halted, an interrupt has to fetch it. If the sleep ends at a uniform moment of a
    gap g,

    .. math::
        p = \frac{\min(l, g) + \max(g - l - \tau, 0)}{g}

    Parameters
    ----------
    gap : array_like
        Longest sleep g [s], not negative.
    leave : array_like
        Time l until the core is idle [s], not negative.
    settle : array_like
        Time :math:`\tau` for which the idle core looks for work [s], not negative; 0 is never.

    Returns
    -------
    ndarray
        Probability of an interrupt [-]; 1 where `settle` is 0.

    Notes
    -----
    Exact for the law of sleep stated. The moment is uniform for regular deliveries and a consumer
    of constant cost, whose lag drifts by a constant step per packet (see
    :func:`capmodel.formulary.poll_miss_probability`).

    Source: derived here. That a core in its idle loop is woken without an interrupt is Linux's
    ``TIF_POLLING_NRFLAG`` (``kernel/sched/core.c``, tracepoint ``sched_wake_idle_without_ipi``);
    that waking costs more after long sleeps is seen in ``data/published/wakeup_latency``.

    Examples
    --------
    >>> [float(x) for x in wake_interrupt_probability([0.1, 2.0, 8.0], 0.5, 3.5)]
    [1.0, 0.25, 0.5625]
    """
    length, first, time = np.broadcast_arrays(*asarrays(gap, leave, settle))
    leaving = np.minimum(first, length)
    halted = np.maximum(length - first - time, 0.0)
    whole = np.where(length > 0.0, length, 1.0)
    # a gap of no length ends as it begins: with the consumer leaving, or not at all
    share = np.where(length > 0.0, (leaving + halted) / whole, first > 0.0)
    return np.where(time > 0.0, share, 1.0)
