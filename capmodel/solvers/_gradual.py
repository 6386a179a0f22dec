r"""Signals that depend on how long the consumer has slept, and a kernel slowed by its nearness.

The event simulation follows both from packet to packet. A closed form knows means only, so the path
is replaced by one with constant costs that are right on average:

* a consumer that keeps up is always near, one that does not is a full buffer behind: the kernel
  takes :math:`c_k + n` per packet if :math:`c_a < \max(c_k + n, 1/\lambda)` and :math:`c_k` else;
* the time asleep ends with the next delivery, whose phase the wait call leaves uniform over the
  :math:`g = \max(c_k, 1/\lambda) - c_a - P` that are left of the interval: it takes an interrupt
  with the probability p of :func:`~capmodel.formulary.wake_interrupt_probability`,

and the signal costs :math:`w_e + (w - w_e) p`, the latency is :math:`L_i + (L - L_i) p`. A law that
was measured is averaged over the same moment instead, the wait call included, and what the kernel
pays for the packets of the latency comes on top of the signal. What early signals cost a kernel
whose consumer never gets to sleep is left out. Within 5 % of the simulation where services vary a
little; where they do not, signals may come at one and the same moment of every sleep, and the
average is up to 20 % off. What a ring loses while the kernel's core stands still is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capmodel.formulary._elementwise import floats, some
from capmodel.formulary._typing import Array
from capmodel.formulary.wake_interrupt import wake_interrupt_probability
from capmodel.path import CapturePath, Wakeup
from capmodel.wakeup_law import WakeupLaw


def gradual(path: CapturePath) -> bool:
    """Whether any cost of a path depends on sleep or distance.

    Parameters
    ----------
    path : CapturePath
        The path, its alternatives included.

    Returns
    -------
    bool
    """
    wakeup = path.wakeup
    values = (
        path.kernel.near_cost,
        wakeup.early_cost,
        wakeup.settle,
        wakeup.waking,
        path.kernel.stall_rate,
    )
    return (
        wakeup.law is not None
        or any(some(floats(value) > 0.0) for value in values)
        or any(map(gradual, path.alternatives))
    )


def averaged(path: CapturePath) -> CapturePath:
    """The path with constant costs that stand for those of a gradual one.

    Parameters
    ----------
    path : CapturePath
        One placement.

    Returns
    -------
    CapturePath
        The same object where nothing is gradual.
    """
    if not gradual(path):
        return path
    kernel, wakeup = path.kernel, path.wakeup
    work = np.asarray(path.consumer.cost * path.consumer.processes, dtype=np.float64)
    every = 1.0 / np.asarray(path.arrivals.peak_rate, dtype=np.float64)
    beside = np.where(work < np.maximum(kernel.cost + kernel.near_cost, every),
                      kernel.near_cost, 0.0)  # fmt: skip
    cost = kernel.cost + beside
    plain = replace(
        kernel, cost=cost, drop_cost=kernel.drop_cost + 0.0 * beside, near_cost=0.0, stall_rate=0.0
    )
    if wakeup.law is not None:
        return replace(
            path,
            kernel=plain,
            wakeup=_plain(wakeup, wakeup.law, np.maximum(cost, every), work),
        )
    interrupts = _interrupts(np.maximum(cost, every), work, kernel.scv, wakeup)
    # a consumer that is never asleep is not woken: any positive probability does
    interrupts = np.maximum(interrupts, 1e-9)
    early = np.minimum(wakeup.early_cost, wakeup.cost)
    idle_latency = np.minimum(wakeup.idle_latency, wakeup.latency)
    return replace(
        path,
        kernel=plain,
        wakeup=replace(
            wakeup,
            cost=early + (wakeup.cost - early) * interrupts,
            latency=idle_latency + (wakeup.latency - idle_latency) * interrupts,
            early_cost=0.0,
            leave=0.0,
            settle=0.0,
            idle_latency=0.0,
        ),
    )


def _plain(wakeup: Wakeup, law: WakeupLaw, interval: Array, work: Array) -> Wakeup:
    """Means of a measured law, with what a kernel pays whose consumer is about to run."""
    cost, latency = law.mean(np.maximum(interval - work, 0.0))
    latency = latency * wakeup.latency
    return replace(
        wakeup,
        cost=cost * wakeup.cost + wakeup.waking * latency / interval,
        latency=latency,
        waking=0.0,
        law=None,
    )


def _interrupts(interval: Array, work: Array, scv: object, wakeup: Wakeup) -> Array:
    """Probability that a signal takes an interrupt, over intervals that spread as the kernel's."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    spread = np.sqrt(np.asarray(scv, dtype=np.float64))[..., None]
    intervals = np.asarray(interval)[..., None] * np.maximum(1.0 + spread * nodes, 0.0)
    asleep = np.asarray(work + wakeup.poll_cost)[..., None]
    gap = np.maximum(intervals - asleep, 0.0)
    leave, settle = (np.asarray(x)[..., None] for x in (wakeup.leave, wakeup.settle))
    # a uniform moment falls into a gap as often as it is long; where none has a length, all count
    found = weights * (gap + 1e-12 * intervals)
    share = (found * wake_interrupt_probability(gap, leave, settle)).sum(-1) / found.sum(-1)
    return np.asarray(share)
