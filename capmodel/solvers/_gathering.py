"""Packets that gather in the ring where the rate of interrupts is limited, and are one batch."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._elementwise import inverse, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath, Number
from capmodel.solvers._drivers import driver_load


def gathered(path: CapturePath) -> Array:
    """Packets per interrupt that a path's card waits for [-]; below 1 it need not wait."""
    load = driver_load(path.kernel, path.arrivals)
    return np.asarray(minimum(path.arrivals.peak_rate, load.cap) / load.looks)


def batched_cycles(
    cycles: Array, rate: Array, looks: Number, burst: Array | None, ring_load: Array
) -> Array:
    """Sleeps per second where packets wait in the ring for an interrupt and are taken as a batch.

    One sleep ends with every batch; the kernel delivers it at its own pace, at which there is one
    more sleep in every `burst` packets, half of one counted for the last that is not whole.
    """
    if burst is None or not some(rate > looks):
        return cycles
    batch = rate / looks
    grouped = looks * maximum(1.0, batch * inverse(burst, 1e-300) + 0.5)
    known = (batch > 1.0) & (ring_load < 1.0) & (burst > 0.0)
    return where(known, minimum(grouped, cycles), cycles)


def gathering(rate: Array, looks: Number, idle: Array) -> Array:
    r"""Packets that wait in the ring for the next interrupt, on average [-].

    They gather while the kernel is idle and leave while it is not: a triangle over the interval T
    of interrupts, as high as what comes in its idle part I. A batch gathered for I keeps the kernel
    for :math:`B = I \rho/(1 - \rho)`, and the next gathers for T - B if that is positive. Below
    half of the load this settles at :math:`I = (1 - \rho) T`; beyond it does not: batches of a
    whole T alternate with single packets, and the triangle is as high as T.
    """
    if not some(rate > looks):
        return 0.0 * rate
    gathers_for = where(idle >= 0.5, idle, 1.0)
    return where(rate > looks, 0.5 * rate / looks * gathers_for, 0.0)
