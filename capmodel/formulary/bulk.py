"""Blocks that change hands whole, Poisson packets: TPACKET_V3 as an exact chain."""

from __future__ import annotations

import numpy as np

from capmodel.errors import unknown_choice
from capmodel.formulary._checks import not_negative, positive, whole
from capmodel.formulary._poisson import poisson_counts
from capmodel.formulary._typing import Array, ArrayLike

_MOST_STATES = 4000
_NEVER = 1e-290
_STARTS = ("opening", "first_packet")


def bulk_ring_loss(
    offered_rate: ArrayLike,
    block: ArrayLike,
    blocks: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
    wakeup_latency: ArrayLike,
) -> tuple[Array, Array]:
    r"""Share lost by a ring of M blocks of b packets, Poisson rate: M/D^(b,b)/1/(Mb) with setup.

    The reader takes closed blocks one by one, :math:`G_0 = p + b c_a` each, and frees each as a
    whole; finding none it sleeps, and the block that wakes it takes :math:`G_1 = G_0 + L`. The
    packets left when a block is freed form a chain: from n present when a reading starts,
    :math:`\min(n + A(G), Mb) - b`. With :math:`\pi` its law at the starts,

    .. math::
        P = \frac{B}{B + b},\qquad B = \sum_n \pi_n\, E[A(G_n) - (Mb - n)]^+

    Parameters
    ----------
    offered_rate : array_like
        Poisson rate into the ring [1/s].
    block : array_like
        Packets per block b [-], whole.
    blocks : array_like
        Number of blocks M [-], whole; (M - 2) b below 4000.
    consumer_cost, read_cost, wakeup_latency : array_like
        Reader's time per packet, per block, and extra time when asleep [s], constant.

    Returns
    -------
    tuple of ndarray
        Share of offered packets lost [-] and share of blocks that wake the reader [-].

    Notes
    -----
    Exact for blocks that are closed full; the chain is eliminated without subtraction, so that
    losses of 1e-200 keep about 12 digits. For a retire timer see
    :func:`retire_timer_block_rate`. At M = 2 it is
    :func:`~capmodel.formulary.double_buffer_loss`.

    Source: Linux packet_mmap documentation (block states); N. T. J. Bailey, J. R. Stat. Soc. B 16
    (1954), bulk service; W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33 (1985).

    Examples
    --------
    >>> lost, asleep = bulk_ring_loss(0.9, 8, 4, 1.0, 0.5, 4.0)
    >>> round(float(0.9 * (1 - lost)), 10), round(float(0.9 * (1 - lost) / 8 * asleep), 8)
    (0.8885328054, 0.00884947)
    """
    columns = np.broadcast_arrays(
        positive("offered_rate", offered_rate),
        whole("block", block),
        whole("blocks", blocks),
        not_negative("consumer_cost", consumer_cost),
        not_negative("read_cost", read_cost),
        not_negative("wakeup_latency", wakeup_latency),
    )
    states = (columns[2] - 2.0) * columns[1]
    if np.any(states > _MOST_STATES):
        raise ValueError(
            f"blocks times block must leave (blocks - 2) block at {_MOST_STATES} or less for the "
            f"exact chain, not {int(states.max())}"
        )
    shape = columns[0].shape
    lost, asleep = np.empty(shape), np.empty(shape)
    for index in np.ndindex(shape):
        rate, size, count, cost, read, latency = (float(column[index]) for column in columns)
        awake = rate * (read + size * cost)
        lost[index], asleep[index] = _chain(awake, awake + rate * latency, int(size), int(count))
    return lost, asleep


def bulk_ring_carried_rate(
    offered_rate: ArrayLike,
    block: ArrayLike,
    blocks: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
    wakeup_latency: ArrayLike,
) -> tuple[Array, Array]:
    r"""Carried rate :math:`X = \lambda(1 - P)` and wakeups of a ring of blocks, Poisson rate.

    Parameters
    ----------
    offered_rate, block, blocks, consumer_cost, read_cost, wakeup_latency : array_like
        As in :func:`bulk_ring_loss`.

    Returns
    -------
    tuple of ndarray
        Carried rate [1/s] and reader wakeups [1/s].

    Notes
    -----
    As :func:`bulk_ring_loss`.

    Source: as :func:`bulk_ring_loss`.

    Examples
    --------
    >>> x, _ = bulk_ring_carried_rate(1.05, 16, 16, 1.0, 0.1, 10.0)
    >>> round(float(x), 10)
    0.9937888199
    """
    lost, asleep = bulk_ring_loss(
        offered_rate, block, blocks, consumer_cost, read_cost, wakeup_latency
    )
    carried = np.asarray(offered_rate, dtype=np.float64) * (1.0 - lost)
    return carried, carried * asleep / np.asarray(block, dtype=np.float64)


def retire_timer_block_rate(
    offered_rate: ArrayLike, block: ArrayLike, timeout: ArrayLike, start: str = "opening"
) -> Array:
    r"""Blocks closed per second when full or retired by a timer, Poisson packets.

    With A the Poisson number of packets in :math:`\tau`: a timer that runs from the opening of a
    block, and again if the block was empty (Linux), or one that runs from its first packet,

    .. math::
        \lambda\,\frac{1 - e^{-\lambda\tau}}{E\min(A, b)},\qquad
        \frac{\lambda}{1 + E\min(A, b - 1)}

    Parameters
    ----------
    offered_rate : array_like
        Poisson rate into the ring [1/s].
    block : array_like
        Packets that fill a block b [-], whole.
    timeout : array_like
        Retire timeout :math:`\tau` [s], positive; infinite means none.
    start : str
        What starts the timer: ``"opening"`` or ``"first_packet"``.

    Returns
    -------
    ndarray
        Blocks per second [1/s].

    Notes
    -----
    Exact where no packet is lost; relative accuracy about 1e-13.

    Source: renewal theory at the closing of blocks; Linux net/packet/af_packet.c
    (prb_retire_rx_blk_timer_expired).

    Examples
    --------
    >>> float(retire_timer_block_rate(1000.0, 10, np.inf))
    100.0
    >>> bool(np.isclose(retire_timer_block_rate(1.0, 10**6, 1e-3), -np.expm1(-1e-3) / 1e-3))
    True
    """
    from scipy.special import gammainc, gammaincc

    if start not in _STARTS:
        raise unknown_choice("start", start, _STARTS)
    rate, size = positive("offered_rate", offered_rate), whole("block", block)
    period = not_negative("timeout", timeout, infinite=True)
    if np.any(period == 0.0):
        raise ValueError("timeout must be positive, not 0")
    mean = rate * np.where(np.isinf(period), 1.0, period)
    most = size if start == "opening" else size - 1.0
    # E min(A, b) = m P(A <= b - 2) + b P(A >= b), both parts positive
    few = np.where(most > 1.0, mean * gammaincc(np.maximum(most - 1.0, 1.0), mean), 0.0)
    capped = few + np.where(most > 0.0, most * gammainc(np.maximum(most, 1.0), mean), 0.0)
    timed = rate * -np.expm1(-mean) / capped if start == "opening" else rate / (1.0 + capped)
    return np.where(np.isinf(period), rate / size, timed)


def _chain(awake: float, asleep: float, block: int, blocks: int) -> tuple[float, float]:
    """(loss, share of readings that start asleep) from the mean arrivals in both readings."""
    room = blocks * block
    equal, above, excess = poisson_counts(awake, room + 1)
    equal1, above1, excess1 = poisson_counts(asleep, room + 1)
    # state 0: fewer than a block left, reader asleep until one is; state i: block + i - 1 left
    size = 1 if blocks == 1 else (blocks - 2) * block + 2
    moves = np.zeros((size, size))
    if size > 1:
        moves[0, 1:] = equal1[block : block + size - 1]
        moves[0, -1] = above1[room - block - 1]
        up_to = np.cumsum(equal)
        for i in range(1, size):
            first = max(1, i - block)
            moves[i, first:] = equal[first - i + block :][: size - first]
            moves[i, -1] = above[room - block - i]  # arrivals of at least room - left
            if i <= block:
                moves[i, 0] = up_to[block - i]
    weight = _eliminate(moves, block)
    lost = weight[0] * excess1[room - block]
    if size > 1:
        lost += weight[1:] @ excess[room - block + 1 - np.arange(1, size)]
    total = float(weight.sum())
    lost = float(lost) / total
    return lost / (lost + block), float(weight[0]) / total


def _eliminate(moves: Array, block: int) -> Array:
    """Stationary weights by GTH; a state goes down by at most `block`, so that much is touched."""
    size = moves.shape[0]
    weight = np.zeros(size)
    first = 0
    with np.errstate(under="ignore"):
        for k in range(size - 1, 0, -1):
            low = max(0, k - block)
            down = moves[k, low:k].sum()
            if down < _NEVER:  # it does not come down: all probability is here and above
                first = k
                break
            moves[:k, k] /= down
            moves[:k, low:k] += np.outer(moves[:k, k], moves[k, low:k])
        weight[first] = 1.0
        for k in range(first + 1, size):
            weight[k] = weight[first:k] @ moves[first:k, k]
            if weight[k] > 1.0:
                weight /= weight[k]
    return weight
