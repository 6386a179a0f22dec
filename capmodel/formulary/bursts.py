"""Bursts and finite runs: what a buffer can and cannot absorb."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def finite_run_drops(drop_rate: ArrayLike, capacity: ArrayLike, duration: ArrayLike) -> Array:
    r"""Drops per second of a run that starts empty and is drained at its end.

    A queue that loses :math:`d` per second for ever loses :math:`(d - K/T)^+` in a run of length
    T: its buffer is filled once, and what it holds at the end still counts as captured.

    Parameters
    ----------
    drop_rate : array_like
        Drops of the endless run [1/s].
    capacity : array_like
        Packets the buffer holds :math:`K` [-].
    duration : array_like
        Run length :math:`T` [s], positive; infinite means the endless run.

    Returns
    -------
    ndarray
        Drops [1/s], averaged over the run.

    Notes
    -----
    Exact in the fluid limit of an overloaded buffer; a stable buffer's random overflow is left
    to :func:`finite_run_loss_diffusion`.

    Source: conservation; the effect is Braun et al., IMC 2010, section 4.2, on Schneider 2007.

    Examples
    --------
    >>> float(finite_run_drops(1000.0, 500.0, 1.0))
    500.0
    """
    rate, size, length = asarrays(drop_rate, capacity, duration)
    return np.maximum(rate - size / length, 0.0)


def finite_run_loss_diffusion(
    offered_rate: ArrayLike,
    service_rate: ArrayLike,
    capacity: ArrayLike,
    duration: ArrayLike,
    arrival_scv: ArrayLike = 1.0,
    service_scv: ArrayLike = 1.0,
) -> Array:
    r"""Packets lost in a run that starts empty, overloaded, random arrivals and services.

    .. math::
        s[u\Phi(u)+\varphi(u)] + \frac{\Phi(u) - e^{gK'}\Phi(-(K'+\delta T)/s)}{g},\quad
        \delta=\lambda-\mu,\ \sigma^2=\lambda c_A^2+\mu c_S^2,\ K'=K+1-\frac{\sigma^2}{2\delta}

    with :math:`s=\sigma\sqrt T`, :math:`u=(\delta T-K')/s`, :math:`g=2\delta/\sigma^2`.

    Parameters
    ----------
    offered_rate, service_rate : array_like
        :math:`\lambda > \mu` [1/s].
    capacity : array_like
        Most packets present :math:`K` [-].
    duration : array_like
        Run length [s].
    arrival_scv, service_scv : array_like
        Squared coefficients of variation [-], not both 0.

    Returns
    -------
    ndarray
        Expected packets lost [-] (a count).

    Notes
    -----
    Against M/M/1/K by uniformisation, overloads of 10 % and more and K >= 200: within 0.1 % of
    the packets offered, and within 0.1 % of those lost once the run lasts twice the time
    :math:`K/\delta` in which the buffer fills. Shorter runs lose few, and those are less certain
    (3 % at :math:`K/\delta`, overload 10 %, K = 200).

    Source: first passage and reflection of Brownian motion with drift; K + 1 because the loss
    happens at a packet that finds K present.

    Examples
    --------
    >>> round(float(finite_run_loss_diffusion(1.1, 1.0, 1000, 12000.0)), 1)
    225.8
    """
    from scipy.special import log_ndtr, ndtr

    offered, served, size, length, arrival, service = asarrays(
        offered_rate, service_rate, capacity, duration, arrival_scv, service_scv
    )
    drift = offered - served
    variance = offered * arrival + served * service
    barrier = size + 1.0 - variance / (2.0 * drift)
    scale = np.sqrt(variance * length)
    u = (drift * length - barrier) / scale
    slope = 2.0 * drift / variance
    density = np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi)
    mirrored = np.exp(slope * barrier + log_ndtr(-(barrier + drift * length) / scale))
    lost = scale * (u * ndtr(u) + density) + (ndtr(u) - mirrored) / slope
    return np.asarray(np.maximum(lost, 0.0))


def loss_on_off_fluid(
    peak_rate: ArrayLike,
    service_rate: ArrayLike,
    leave_on: ArrayLike,
    leave_off: ArrayLike,
    capacity: ArrayLike,
) -> Array:
    r"""Loss of exponential on-off bursts in a finite buffer (fluid).

    .. math::
        z=\frac{\beta}{c}-\frac{\alpha}{h-c},\quad g=\frac{h-c}{\alpha},\quad
        P(\text{full}\mid\text{on}) = \frac{zg}{zg + 1 - e^{-zK}},\quad
        loss=\frac{h-c}{h}\,P(\text{full}\mid\text{on})

    Parameters
    ----------
    peak_rate : array_like
        Rate during a burst :math:`h` [1/s].
    service_rate : array_like
        Drain rate :math:`c` [1/s].
    leave_on, leave_off : array_like
        :math:`\alpha = 1/E[on]`, :math:`\beta = 1/E[off]` [1/s].
    capacity : array_like
        Buffer :math:`K` [packets].

    Returns
    -------
    ndarray
        Share of offered packets lost [-]; 0 where the peak is below the drain rate.

    Notes
    -----
    Exact for the fluid model, with the packet model approached as bursts grow long against
    single packets. Written so that the loss is a product of positive terms.

    Source: D. Anick, D. Mitra, M. Sondhi, BSTJ 61(8), 1982, one source, finite buffer.

    Examples
    --------
    >>> round(float(loss_on_off_fluid(2.0, 1.0, 0.02, 0.01, 100.0)), 10)
    0.1126998368
    """
    peak, drain, alpha, beta, size = asarrays(
        peak_rate, service_rate, leave_on, leave_off, capacity
    )
    excess = np.maximum(peak - drain, 0.0)
    climb = excess / alpha  # mean rise of the content in one burst
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = beta / drain - alpha / np.where(excess > 0.0, excess, 1.0)
        # P(full | on): z g and 1 - e^{-zK} have one sign, so nothing cancels, tiny losses included
        rest = -np.expm1(np.clip(-decay * size, -700.0, 700.0))
        full = np.where(
            decay == 0.0, climb / (climb + size), decay * climb / (decay * climb + rest)
        )
    return np.where(excess > 0.0, excess / peak * np.clip(full, 0.0, 1.0), 0.0)


def buffer_for_loss_on_off(
    peak_rate: ArrayLike,
    service_rate: ArrayLike,
    leave_on: ArrayLike,
    leave_off: ArrayLike,
    loss: ArrayLike,
) -> Array:
    r"""Buffer that holds the loss of exponential on-off bursts to a given share.

    The inverse of :func:`loss_on_off_fluid`: :math:`K = \ln(E)/z` with
    :math:`y=\epsilon h/(h-c)`, :math:`E = y p_{off}/(p_{off}-p_{on}r+y p_{on}r)`.

    Parameters
    ----------
    peak_rate, service_rate, leave_on, leave_off : array_like
        As in :func:`loss_on_off_fluid`; the mean rate below the drain rate.
    loss : array_like
        Share of offered packets that may be lost :math:`\epsilon` [-], positive.

    Returns
    -------
    ndarray
        Buffer [packets]; 0 where no buffer is needed; infinite where none is enough.

    Notes
    -----
    Exact inverse in the stable case.

    Source: as :func:`loss_on_off_fluid`.

    Examples
    --------
    >>> round(float(buffer_for_loss_on_off(2.0, 1.0, 0.02, 0.01, 1e-4)), 4)
    782.4246
    """
    peak, drain, alpha, beta, target = asarrays(peak_rate, service_rate, leave_on, leave_off, loss)
    on = beta / (alpha + beta)
    off = alpha / (alpha + beta)
    excess = np.maximum(peak - drain, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = target * peak / excess
        # ln(E)/z with both parts in proportion to p_off - p_on r, which vanishes at critical load
        gain = (alpha - beta * excess / drain) / (alpha + beta)
        times = (1.0 - share) / (share * off)
        turn = gain * times
        ratio = np.where(np.abs(turn) > 0.0, np.log1p(turn) / turn, 1.0)
        needed = excess / (alpha + beta) * times * ratio
    stable = on * peak < drain
    needed = np.where(stable, np.maximum(needed, 0.0), np.inf)
    return np.where((excess > 0.0) & (share < 1.0), needed, 0.0)


def loss_on_off_deterministic(
    peak_rate: ArrayLike,
    service_rate: ArrayLike,
    on_time: ArrayLike,
    off_time: ArrayLike,
    capacity: ArrayLike,
) -> Array:
    r"""Loss of bursts of fixed length and spacing in a finite buffer (fluid).

    A burst of length :math:`T_{on}` overflows by :math:`(h-c)T_{on}-K_0`, where :math:`K_0` is
    the room that the gap before it could drain: :math:`\min(K, c\,T_{off})`.

    Parameters
    ----------
    peak_rate, service_rate : array_like
        Rate during a burst and drain rate [1/s].
    on_time, off_time : array_like
        Length of bursts and gaps [s].
    capacity : array_like
        Buffer [packets].

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    Exact for the periodic fluid model in its steady state.

    Source: periodic fluid balance.

    Examples
    --------
    >>> [float(x) for x in loss_on_off_deterministic(2.0, 1.0, 100.0, 200.0, [50.0, 100.0])]
    [0.25, 0.0]
    """
    peak, drain, on, off, size = asarrays(peak_rate, service_rate, on_time, off_time, capacity)
    surplus = np.maximum(peak - drain, 0.0) * on
    room = np.minimum(size, drain * off)
    return np.maximum(surplus - room, 0.0) / (peak * on)
