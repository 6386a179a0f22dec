"""Buffers that change hands as a whole: BPF's STORE and HOLD, TPACKET_V3's blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def mean_max_erlang(mean: ArrayLike, shape: ArrayLike, floor: ArrayLike) -> Array:
    r"""Mean of the larger of a gamma variable and a constant.

    :math:`E\max(F, g) = g\,P(k, kg/m) + m\,Q(k+1, kg/m)` with the regularised incomplete gammas.

    Parameters
    ----------
    mean : array_like
        Mean of the variable :math:`m` [s], positive.
    shape : array_like
        Shape :math:`k` [-], the number of exponential phases; infinite means constant.
    floor : array_like
        The constant :math:`g` [s], not negative.

    Returns
    -------
    ndarray
        Mean of the maximum [s].

    Notes
    -----
    Exact; relative accuracy that of ``scipy.special.gammainc`` (about 1e-14).

    Source: integration by parts of the gamma distribution.

    Examples
    --------
    >>> float(mean_max_erlang(2.0, np.inf, 3.0))
    3.0
    >>> bool(np.isclose(mean_max_erlang(1.0, 1.0, 1.0), 1.0 + np.exp(-1.0)))
    True
    """
    average, phases, constant = asarrays(mean, shape, floor)
    fluid = np.maximum(average, constant)
    if not np.any(np.isfinite(phases)):
        return fluid
    from scipy.special import gammainc, gammaincc

    k = np.where(np.isfinite(phases), phases, 1.0)
    x = k * constant / average
    exact = constant * gammainc(k, x) + average * gammaincc(k + 1.0, x)
    return np.where(np.isfinite(phases), exact, fluid)


def mean_excess_erlang(mean: ArrayLike, shape: ArrayLike, floor: ArrayLike) -> Array:
    r"""Mean time by which a constant outlasts a gamma variable, :math:`E(g - F)^+`.

    With :math:`x = kg/m` and :math:`t = x^k e^{-x}/\Gamma(k+1)`,

    .. math::
        E(g-F)^+ = m\,t\,\frac{x}{k} \sum_{j\ge 0} \frac{x^j}{(k+1)_j}\frac{j+1}{k+1+j}

    Parameters
    ----------
    mean, shape, floor : array_like
        As in :func:`mean_max_erlang`.

    Returns
    -------
    ndarray
        Mean excess [s]; a sum of positive terms, so tiny values keep their relative accuracy.

    Notes
    -----
    Exact; relative accuracy about 1e-12 for shapes up to 1e6.

    Source: difference of the two incomplete-gamma series of :func:`mean_max_erlang`, term by term.

    Examples
    --------
    >>> bool(np.isclose(mean_excess_erlang(1.0, 1.0, 1.0), np.exp(-1.0)))
    True
    >>> float(mean_excess_erlang(2.0, np.inf, 3.0))
    1.0
    """
    average, phases, constant = asarrays(mean, shape, floor)
    fluid = np.maximum(constant - average, 0.0)
    if not np.any(np.isfinite(phases)):
        return fluid
    from scipy.special import gammaln

    k = np.where(np.isfinite(phases), phases, 1.0)
    x = k * constant / average
    # beyond the mean the fluid part is taken out first: its complement E(F - g)^+ is small there
    with np.errstate(invalid="ignore"):
        plain = np.asarray(mean_max_erlang(average, k, constant) - average)
    # the difference keeps its digits unless it is small against its parts
    small = np.broadcast_to((x <= k) & (plain < 1e-3 * average), plain.shape)
    exact = np.array(plain)
    if np.any(small):
        phases_small = np.broadcast_to(k, plain.shape)[small]
        series = _excess_series(phases_small, np.broadcast_to(x, plain.shape)[small], gammaln)
        exact[small] = np.broadcast_to(average, plain.shape)[small] * series
    return np.where(np.isfinite(phases), np.maximum(exact, 0.0), fluid)


def _excess_series(k: Array, x: Array, gammaln: Any) -> Array:
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        lead = np.where(
            x > 0.0, np.exp(k * np.log(np.where(x > 0, x, 1.0)) - x - gammaln(k + 1)), 0
        )
    term = np.ones(np.broadcast_shapes(k.shape, x.shape))
    total = np.zeros_like(term)
    step = 0
    while True:
        added = term * (step + 1.0) / (k + 1.0 + step)
        total = total + added
        if np.all(added <= 1e-16 * total) or step > 100_000:
            break
        step += 1
        term = term * x / (k + step)
    return lead * x / k * total


def double_buffer_carried_rate(
    offered_rate: ArrayLike,
    buffer: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
    wakeup_latency: ArrayLike,
    scv: ArrayLike = 1.0,
) -> tuple[Array, Array]:
    r"""Carried rate and wakeups of a double buffer (BPF: STORE fills while HOLD is read).

    With :math:`F` the time to fill one buffer of :math:`B`, :math:`G_0 = p + B c_a` the time to
    read one, :math:`G_1 = G_0 + L`, :math:`a = P(F > G_1)`, :math:`b = P(F > G_0)` and
    :math:`\pi = b/(1 - a + b)` the probability that the reader sleeps at a swap,

    .. math::
        X = \frac{B}{\pi E\max(F, G_1) + (1-\pi) E\max(F, G_0)},\qquad \nu = \pi X/B

    Parameters
    ----------
    offered_rate : array_like
        Rate into the buffer [1/s].
    buffer : array_like
        Packets per buffer :math:`B` [-].
    consumer_cost : array_like
        Reader's time per packet [s].
    read_cost : array_like
        Reader's time per buffer :math:`p` [s].
    wakeup_latency : array_like
        Extra time when the reader sleeps at the swap :math:`L` [s].
    scv : array_like
        Squared coefficient of variation of interarrival times [-]: 1 Poisson (exact), 0 constant.

    Returns
    -------
    tuple of ndarray
        Carried rate [1/s] and reader wakeups [1/s].

    Notes
    -----
    Exact for Poisson arrivals and deterministic reading (it equals the bulk queue
    M/D^(B,B)/1/2B) and for constant rates; other scv match two moments of the fill time. A
    buffer is freed only as a whole, so near load 1 it loses far more than a ring of 2B slots.

    Source: S. McCanne, V. Jacobson, USENIX Winter 1993 (the mechanism); embedded Markov chain
    on "reader asleep at the swap".

    Examples
    --------
    >>> x, nu = double_buffer_carried_rate(0.8, 16, 1.0, 1.0, 2.0)
    >>> round(float(x), 8), round(float(nu), 8)
    (0.7546457, 0.02878207)
    """
    lost, asleep = double_buffer_loss(
        offered_rate, buffer, consumer_cost, read_cost, wakeup_latency, scv
    )
    offered, size = asarrays(offered_rate, buffer)
    carried = offered * (1.0 - lost)
    return carried, carried * asleep / size


def double_buffer_loss(
    offered_rate: ArrayLike,
    buffer: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
    wakeup_latency: ArrayLike,
    scv: ArrayLike = 1.0,
) -> tuple[Array, Array]:
    r"""Share lost by a double buffer, and how often its reader sleeps at a swap.

    The loss is the time the kernel stands before two full buffers over the whole cycle,
    :math:`[\pi E(G_1-F)^+ + (1-\pi) E(G_0-F)^+] / E[\text{cycle}]`, a ratio of positive terms.

    Parameters
    ----------
    offered_rate, buffer, consumer_cost, read_cost, wakeup_latency, scv : array_like
        As in :func:`double_buffer_carried_rate`.

    Returns
    -------
    tuple of ndarray
        Share of offered packets lost [-] and probability that the reader sleeps at a swap [-].

    Notes
    -----
    As :func:`double_buffer_carried_rate`; tiny losses keep their relative accuracy.

    Source: as :func:`double_buffer_carried_rate`.

    Examples
    --------
    >>> lost, _ = double_buffer_loss(0.5, 400, 1.0, 0.0, 0.0)
    >>> bool(0 < lost < 1e-20)
    True
    """
    offered, size, cost, read, latency, variation = asarrays(
        offered_rate, buffer, consumer_cost, read_cost, wakeup_latency, scv
    )
    fill = size / offered
    with np.errstate(divide="ignore"):
        shape = np.where(variation > 0.0, size / np.where(variation > 0, variation, 1.0), np.inf)
    awake = read + size * cost
    asleep = awake + latency
    below_asleep = _cumulative(fill, shape, asleep)
    above_awake = _survival(fill, shape, awake)
    at_swap = above_awake / np.maximum(below_asleep + above_awake, 1e-300)
    excess = at_swap * mean_excess_erlang(fill, shape, asleep) + (
        1.0 - at_swap
    ) * mean_excess_erlang(fill, shape, awake)
    return excess / (fill + excess), at_swap


def _cumulative(mean: Array, shape: Array, value: Array) -> Array:
    fluid = np.where(mean <= value, 1.0, 0.0)
    if not np.any(np.isfinite(shape)):
        return fluid
    from scipy.special import gammainc

    k = np.where(np.isfinite(shape), shape, 1.0)
    return np.where(np.isfinite(shape), gammainc(k, k * value / mean), fluid)


def _survival(mean: Array, shape: Array, value: Array) -> Array:
    fluid = np.where(mean > value, 1.0, 0.0)
    if not np.any(np.isfinite(shape)):
        return fluid
    from scipy.special import gammaincc

    k = np.where(np.isfinite(shape), shape, 1.0)
    return np.where(np.isfinite(shape), gammaincc(k, k * value / mean), fluid)


def block_ring_carried_rate(
    offered_rate: ArrayLike,
    block: ArrayLike,
    blocks: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
    wakeup_latency: ArrayLike,
) -> Array:
    r"""Carried rate of a ring of M blocks that change hands whole (TPACKET_V3), constant rate.

    With :math:`F = b/\lambda` the fill time and :math:`G_0 = p + b c_a`,
    :math:`G_1 = G_0 + L` the reading times: one block alternates, :math:`X = b/(F + G_1)`; with
    more the kernel waits for a free one only while :math:`G_1 > (M-1)F`.

    Parameters
    ----------
    offered_rate : array_like
        Rate into the ring [1/s].
    block : array_like
        Packets per block when the kernel closes it [-].
    blocks : array_like
        Number of blocks M [-].
    consumer_cost, read_cost, wakeup_latency : array_like
        Reader's time per packet, per block, and extra time when asleep [s].

    Returns
    -------
    ndarray
        Carried rate [1/s].

    Notes
    -----
    Exact for constant rates at M = 1 and 2 and in the loss-free and reader-bound regimes; in the
    narrow band between (``G0 < (M-1) F < G1``) it takes the mean of the alternating cycles. Random
    arrivals smooth the band; the exact chain is M/G^(b,b)/1/(Mb).

    Source: Linux packet_mmap documentation (block states); fluid cycle of the double buffer.

    Examples
    --------
    >>> round(float(block_ring_carried_rate(1.0, 10, 1, 0.1, 0.0, 0.0)), 6)
    0.909091
    >>> float(block_ring_carried_rate(1.0, 10, 2, 0.1, 0.0, 0.0))
    1.0
    """
    lost = block_ring_loss(offered_rate, block, blocks, consumer_cost, read_cost, wakeup_latency)
    return np.asarray(offered_rate, dtype=np.float64) * (1.0 - lost)


def block_ring_loss(
    offered_rate: ArrayLike,
    block: ArrayLike,
    blocks: ArrayLike,
    consumer_cost: ArrayLike,
    read_cost: ArrayLike,
    wakeup_latency: ArrayLike,
) -> Array:
    r"""Share lost by a ring of blocks, constant rate: time without a free block over the cycle.

    Parameters
    ----------
    offered_rate, block, blocks, consumer_cost, read_cost, wakeup_latency : array_like
        As in :func:`block_ring_carried_rate`.

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    As :func:`block_ring_carried_rate`.

    Source: as :func:`block_ring_carried_rate`.

    Examples
    --------
    >>> round(float(block_ring_loss(1.0, 10, 1, 0.1, 0.0, 0.0)), 6)
    0.090909
    """
    offered, size, count, cost, read, latency = asarrays(
        offered_rate, block, blocks, consumer_cost, read_cost, wakeup_latency
    )
    fill = size / offered
    awake = read + size * cost
    asleep = awake + latency
    waiting = np.where(awake < fill, 0.5 * np.maximum(asleep - (count - 1.0) * fill, 0.0), 0.0)
    excess = np.where(count <= 1.0, asleep, np.maximum(waiting, awake - fill))
    return excess / (fill + excess)


def block_rate(offered_rate: ArrayLike, block: ArrayLike, timeout: ArrayLike) -> Array:
    r"""Blocks closed per second when a periodic timer retires a block that is not full.

    :math:`\max(\lambda/b, (1 - e^{-\lambda\tau})/\tau)`: full blocks at high rate, one per timer
    period that saw a packet at low rate.

    Parameters
    ----------
    offered_rate : array_like
        Rate into the ring [1/s].
    block : array_like
        Packets that fill a block [-].
    timeout : array_like
        Retire timeout [s], positive.

    Returns
    -------
    ndarray
        Blocks per second [1/s].

    Notes
    -----
    Exact for Poisson arrivals in the two limits (timer from block opening, as Linux does);
    between them the larger of the two rates, low by at most a factor of two at
    :math:`\lambda\tau = b`.

    Source: Linux net/packet/af_packet.c, retire_blk_timer (periodic); Poisson counting.

    Examples
    --------
    >>> float(block_rate(1000.0, 10, 1.0))
    100.0
    """
    offered, size, period = asarrays(offered_rate, block, timeout)
    return np.maximum(offered / size, -np.expm1(-offered * period) / period)
