"""Producer and consumer joined by a ring that blocks instead of dropping."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def channel_item_time(
    producer_cost: ArrayLike,
    consumer_cost: ArrayLike,
    producer_notify: ArrayLike,
    consumer_notify: ArrayLike,
    consumer_startup: ArrayLike,
    producer_startup: ArrayLike,
    batch: ArrayLike = 1.0,
) -> Array:
    r"""Mean time per item of a blocking producer/consumer channel.

    The faster side sleeps and the slower one pays to wake it:

    .. math::
        W_P' = W_P + N_P/b,\qquad
        T = \max(W_P', W_C) + \begin{cases}
        \min(\kappa_C, \cdot)\,(W_P' - W_C)^+\ \text{shared in } N_P/b\\
        N_C\,(W_C - W_P')^+/S_P \end{cases}

    A producer that notifies once per batch of :math:`b` pays :math:`N_P/b`; once it becomes the
    faster side it sleeps on the full ring and the consumer pays :math:`N_C` for every
    :math:`S_P/(W_C - W_P')` items. Making the faster side faster then lowers throughput.

    Parameters
    ----------
    producer_cost, consumer_cost : array_like
        Time per item :math:`W_P, W_C` [s].
    producer_notify, consumer_notify : array_like
        Cost of one notification to its issuer :math:`N_P, N_C` [s].
    consumer_startup, producer_startup : array_like
        Delay until the notified side runs :math:`S_C, S_P` [s]; `producer_startup` positive.
    batch : array_like
        Items per producer notification :math:`b` [-], at least 1.

    Returns
    -------
    ndarray
        Time per item [s]; its inverse is the throughput.

    Notes
    -----
    Continuous version of the deterministic law (the integer part of items per notification is
    dropped), for rings longer than the critical length. With ``batch`` above the natural
    amortisation :math:`S_C/(W_P - W_C)` the batch decides, below it the startup does.

    Source: L. Rizzo et al., ANCS 2016; closed forms of V. Maffione's prodcons-plot (plot.js).

    Examples
    --------
    >>> round(float(channel_item_time(93e-9, 98.5e-9, 235e-9, 700e-9, 0.0, 100e-9, 1) * 1e9), 1)
    328.0
    """
    produce, consume, notify, answer, consumer_start, producer_start, items = asarrays(
        producer_cost, consumer_cost, producer_notify, consumer_notify,
        consumer_startup, producer_startup, batch,
    )  # fmt: skip
    ahead = np.maximum(produce - consume, 0.0)
    with np.errstate(divide="ignore"):
        natural = np.where(ahead > 0.0, 1.0 + consumer_start / np.where(ahead > 0, ahead, 1), 1.0)
    per_notify = np.maximum(items, natural)
    loaded = produce + notify / per_notify
    behind = np.maximum(consume - loaded, 0.0)
    # the consumer notifies once per natural batch, never more than once per item
    paid = answer * np.minimum(behind / producer_start, 1.0)
    return np.maximum(loaded, consume) + paid
