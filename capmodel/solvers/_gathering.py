r"""Packets that gather in the ring where the rate of interrupts is limited, and are one batch.

The card interrupts at most once in T; what comes meanwhile waits. A batch that has gathered for I
keeps a kernel of load :math:`\rho` for :math:`B = I \rho/(1 - \rho)`, and the next gathers for
T - B if that is positive. Below half of the load this settles at :math:`I = (1 - \rho) T`, a batch
each T. Beyond it does not: a batch of a whole T keeps the kernel for longer than T, the packet that
follows it is not kept waiting, is alone, and the next batch gathers for a whole T again. There is
one such pair each :math:`T/(1 - \rho)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capmodel.formulary._elementwise import clip, floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath, Number
from capmodel.solvers._drivers import DriverLoad, driver_load
from capmodel.solvers._shares import Flags, reciprocal


def gathered(path: CapturePath) -> Array:
    """Packets per interrupt that a path's card waits for [-]; below 1 it need not wait."""
    load = driver_load(path.kernel, path.arrivals)
    return np.asarray(minimum(path.arrivals.peak_rate, load.cap) / load.looks)


def looks_per_second(load: DriverLoad, rate: Array, scv: Number) -> Array:
    r"""How often an idle kernel turns to the ring [1/s], its own work left out.

    The first packet of a batch is let through if T has passed since the last interrupt. Of regular
    packets that is every one of them, or one each T. Of Poisson ones the next comes within T with
    probability :math:`1 - e^{-\lambda T}`, and waits for its end; else it comes, on average,
    :math:`1/\lambda` after it: one batch per :math:`T + e^{-\lambda T}/\lambda`. A clock looks at
    what there is, and of rare packets each finds its own look.
    """
    regular = minimum(rate, load.looks)
    if load.clocked:
        return regular
    mix = clip(floats(scv), 0.0, 1.0)
    if not some(mix > 0.0):
        return regular
    period = 1.0 / floats(load.looks)
    random = reciprocal(period + np.exp(-rate * period) * reciprocal(rate))
    return np.asarray(where(mix > 0.0, mix * random + (1.0 - mix) * regular, regular))


@dataclass(frozen=True)
class Batches:
    """Packets at `rate` [1/s] before a kernel that they load to `ring_load` [-]."""

    load: DriverLoad
    rate: Array
    scv: Array
    ring_load: Array
    looks: Array  # [1/s]
    size: Array  # packets in a batch [-]; 0 where none gather

    @classmethod
    def of(cls, load: DriverLoad, rate: Array, scv: Array, ring_load: Array) -> Batches:
        """What gathers of packets that come with a squared coefficient of variation `scv`."""
        looks = looks_per_second(load, rate, scv)
        gather = (rate > looks * (1.0 + 1e-9)) & (ring_load < 1.0)
        if not some(gather):
            return cls(load, rate, scv, ring_load, looks, 0.0 * rate)
        often = looks * where(ring_load < 0.5, 1.0, maximum(1.0 - ring_load, 0.0))
        size = where(gather, rate * reciprocal(often), 0.0)
        return cls(load, rate, scv, ring_load, looks, size)

    @property
    def each_second(self) -> Array:
        """Batches, or packets where none gather [1/s]."""
        gather = self.size > 0.0
        return where(gather, self.rate * reciprocal(self.size), self.rate)

    def cycles(self, alone: Array, burst: Array, sleepers: Number) -> Array:
        """Sleeps per second, of `alone` where packets come one by one [1/s].

        One ends with every batch; the kernel delivers it at its own pace, at which there is one
        more in every `burst` packets, half of one counted for the last that is not whole.
        """
        if not some(self.size > 0.0):
            return alone
        grouped = self.each_second * maximum(1.0, self.size * reciprocal(burst) + 0.5)
        known = (self.size > 0.0) & (burst > 0.0)
        return where(known, minimum(grouped * sleepers, alone), alone)

    def looking(self, window: Number, delivery: Array, work: Array) -> tuple[Flags, Array]:
        """Where a consumer that looks for `window` [s] sleeps between batches, not within.

        And how long it looks for the rest of one, its packets coming slower than it takes them [s].
        """
        alternate = self.ring_load >= 0.5
        gap = where(alternate, 1.0, 1.0 - self.ring_load) * reciprocal(self.looks)
        known = (self.size > 0.0) & (gap > window)
        return known, self.size * maximum(delivery - work, 0.0)

    def gathering(self, idle: Array) -> Array:
        r"""Packets that wait in the ring for the next interrupt, on average [-].

        They gather while the kernel is idle and leave while it is not: a triangle over the interval
        of interrupts, as high as what comes in its idle part; beyond half of the load as high as T.
        Of Poisson packets :math:`\lambda T` come within T of an interrupt and wait for half of it,
        once per batch; regular ones that are rarer than interrupts do not wait. All wait for a
        clock.
        """
        period = 1.0 / floats(self.load.looks)
        if self.load.clocked:
            return 0.5 * self.rate * period * where(idle >= 0.5, idle, 1.0)
        often = self.rate > self.load.looks
        mix = clip(self.scv, 0.0, 1.0)
        if not some(often | (mix > 0.0)):
            return 0.0 * self.rate
        waiting = where(often, 0.5 * self.rate * period, 0.0)
        if some(mix > 0.0):
            random = 0.5 * self.rate * period**2 * looks_per_second(self.load, self.rate, 1.0)
            waiting = where(mix > 0.0, mix * random + (1.0 - mix) * waiting, waiting)
        return waiting * where(idle >= 0.5, idle, 1.0)

    def backlog(self, delivery: Array, work: Array) -> Array:
        r"""Packets that pile up because batches come faster than they are worked on [-].

        N packets, one each :math:`c_k`, are worked on at :math:`c_a > c_k`: a triangle of height
        :math:`N(1 - c_k/c_a)` for :math:`N c_a`, :math:`\frac{1}{2} N (1 - c_k/c_a) \lambda c_a`
        on average.
        """
        ahead = maximum(1.0 - delivery * reciprocal(work), 0.0)
        return 0.5 * self.size * ahead * minimum(self.rate * work, 1.0)
