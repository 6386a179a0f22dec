"""How long packets stay in buffers that change hands as a whole, and how many wait there."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def block_sojourn_time(
    offered_rate: ArrayLike,
    block: ArrayLike,
    timeout: ArrayLike,
    consumer_cost: ArrayLike,
    delay: ArrayLike,
) -> Array:
    r"""Mean time from delivery to the end of a packet's own work, if the reader keeps up.

    A packet waits until its block is closed, for what it takes to wake the reader and to read, and
    for those before it. With :math:`n = \min(b, \max(\lambda\tau, 1))` packets in a block,

    .. math::
        W = g + d + \tfrac{1}{2}(n + 1) c_a, \qquad
        g = \begin{cases} (b - 1)/(2\lambda) & b \le \lambda\tau \\ \tau/2 & \text{else}\end{cases}

    Parameters
    ----------
    offered_rate : array_like
        Rate into the buffer [1/s], positive.
    block : array_like
        Packets that fill a block [-], at least 1.
    timeout : array_like
        Retire timeout [s]; infinite where a block is only handed over full.
    consumer_cost : array_like
        Reader's time per packet [s].
    delay : array_like
        From the closing of a block to the first of its packets [s]: signal, latency, read call.

    Returns
    -------
    ndarray
        Mean sojourn time in the buffer [s].

    Notes
    -----
    Exact for a constant rate, full blocks, and a reader that is done before the next block is
    closed, or that finds a free one behind it; with a timer the packets' phase against it is taken
    as uniform. Random arrivals change only the position of a packet in a block that the timer
    closes, by less than one :math:`c_a`. Waits of one block for another, which random arrivals
    bring near load 1, are left out.

    Source: the mean over the packets of one block.

    Examples
    --------
    >>> float(block_sojourn_time(1.0, 11, np.inf, 0.5, 2.0))
    10.0
    >>> float(block_sojourn_time(1.0, 11, 4.0, 0.5, 2.0))
    5.25
    """
    rate, size, period, cost, wait = asarrays(offered_rate, block, timeout, consumer_cost, delay)
    full = size <= rate * period
    with np.errstate(invalid="ignore"):
        gathered = np.where(full, 0.5 * (size - 1.0) / rate, 0.5 * period)
        packets = np.where(full, size, np.maximum(rate * period, 1.0))
    return np.asarray(gathered + wait + 0.5 * (packets + 1.0) * cost)


def block_backlog(
    offered_rate: ArrayLike,
    block: ArrayLike,
    blocks: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
) -> Array:
    r"""Mean packets in a ring of blocks whose reader never catches up.

    With :math:`F = b/\lambda` the time to fill a block and :math:`G = p + b c_a \ge F` to read one,
    one of M blocks is being read, one is filled and stands until the reader gives another back, and
    the rest are full:

    .. math::
        E N = (M - 1)\,b - \frac{b F}{2 G} + \frac{p\,b + \tfrac{1}{2} b (b + 1) c_a}{G}

    Parameters
    ----------
    offered_rate : array_like
        Rate into the buffer while it takes packets [1/s], positive.
    block : array_like
        Packets that fill a block [-], at least 1.
    blocks : array_like
        Number of blocks M [-], at least 2: with one, filling and reading alternate.
    consumer_cost, read_cost : array_like
        Reader's time per packet and per block [s].

    Returns
    -------
    ndarray
        Mean occupancy [packets].

    Notes
    -----
    Exact for a constant rate whose phase against the reader is uniform; random arrivals change it
    by less than half a packet. Meant for :math:`G \ge F`; a reader that is faster has no backlog.

    Source: the mean over one reading of a block.

    Examples
    --------
    >>> float(block_backlog(1.0, 10, 4, 2.0, 0.0))
    33.0
    """
    rate, size, count, cost, read = asarrays(offered_rate, block, blocks, consumer_cost, read_cost)
    reading = read + size * cost
    with np.errstate(divide="ignore", invalid="ignore"):
        filled = (count - 1.0) * size - 0.5 * size * size / (rate * reading)
        read_from = size * (read + 0.5 * (size + 1.0) * cost) / reading
    return np.asarray(filled + read_from)
