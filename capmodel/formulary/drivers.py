"""How many interrupts a receive driver takes per packet."""

from __future__ import annotations

from capmodel.formulary._elementwise import clip, each_floats, maximum, minimum
from capmodel.formulary._typing import Array, ArrayLike


def interrupts_per_packet_napi(
    offered_rate: ArrayLike,
    kernel_cost: ArrayLike,
    interrupt_cost: ArrayLike,
    delay: ArrayLike = 0.0,
    scv: ArrayLike = 0.0,
) -> Array:
    r"""Receive interrupts per packet of a driver that polls until the ring is empty.

    One interrupt opens a busy period of the kernel; it ends when the ring is empty. Packets that
    come during the interrupt and its moderation delay wait, so a busy period holds

    .. math::
        n = \max\left(1, \frac{s/(2-s)\,/\lambda + c_i + H}{1/\lambda - c_k}\right)

    packets, where the first term is the mean time to the opening packet seen by the ring:
    :math:`1/\lambda` for Poisson arrivals (:math:`s=1`: then
    :math:`1/n = (1-\lambda c_k)/(1+\lambda(c_i+H))` exactly) and 0 for constant ones.

    Parameters
    ----------
    offered_rate : array_like
        Offered rate [1/s].
    kernel_cost : array_like
        Kernel time per packet [s].
    interrupt_cost : array_like
        Time from the interrupt to the first packet's service :math:`c_i` [s].
    delay : array_like
        Moderation delay of the card :math:`H` [s].
    scv : array_like
        Squared coefficient of variation of interarrival times, 0 (constant) to 1 (Poisson) [-].

    Returns
    -------
    ndarray
        Interrupts per packet in [0, 1] [-]; 0 where the kernel is saturated.

    Notes
    -----
    Exact for Poisson arrivals (M/G/1 with setup); for constant rate and constant costs it is the
    continuous version of the integer law (error below one packet per busy period).

    Source: M/G/1 with setup times (Takagi, Queueing Analysis 1, 1991); the constant-rate case is
    the nFC regime of Lettieri et al. 2018 one stage earlier.

    Examples
    --------
    >>> round(float(interrupts_per_packet_napi(0.5, 0.3, 0.0, 10.0, 1.0)), 4)
    0.1417
    """
    offered, kernel, cost, wait, variation = each_floats(
        offered_rate, kernel_cost, interrupt_cost, delay, scv
    )
    mix = clip(variation, 0.0, 1.0)
    opening = mix / (2.0 - mix)
    slack = maximum(1.0 - offered * kernel, 0.0)
    return minimum(slack / maximum(opening + offered * (cost + wait), slack + 1e-300), 1.0)
