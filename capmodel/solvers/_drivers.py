"""What a driver mode adds to the kernel's cost per packet, and how often it interrupts.

Each mode maps the kernel stage to a `DriverLoad`; `DRIVERS` is the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from capmodel.formulary._elementwise import floats, maximum, minimum, where
from capmodel.formulary._typing import Array
from capmodel.formulary.drivers import interrupts_per_packet_napi
from capmodel.path import Arrivals, Driver, Kernel, Number


@dataclass(frozen=True)
class DriverLoad:
    """How a driver mode loads the kernel.

    When saturated a packet costs ``(cost + extra) * stretch``; at most `cap` packets per second
    get past the card; a packet waits `delay` seconds on average before the kernel looks. At most
    `looks` times a second the kernel turns to a ring that it had emptied. An interrupt takes
    `apart` seconds beside those of the packets; what `extra` and `stretch` count is not in it.
    Looks that are `clocked` come whether there are packets or not.
    """

    stretch: Number
    extra: Number
    cap: Number
    delay: Number
    interrupts: Callable[[Array, Array, Array], Array]  # (offered, handled, cost) -> per second
    looks: Number = np.inf
    apart: Number = 0.0
    clocked: bool = False

    def keeps_full(self, offered: Array, kernel: Kernel) -> Array:
        """Where the ring stays full because too few packets are taken per look."""
        return np.asarray((offered > self.cap) & (floats(self.cap) < kernel.driver.bus_rate))


def _napi(kernel: Kernel, arrivals: Arrivals) -> DriverLoad:
    driver = kernel.driver

    def interrupts(offered: Array, handled: Array, cost: Array) -> Array:
        per_packet = interrupts_per_packet_napi(
            offered, cost, driver.interrupt_cost, 0.0, arrivals.scv
        )
        # beyond half of the load what gathered in one interval of interrupts keeps the kernel for
        # longer than another, and single packets and such batches alternate (see `gathering`)
        alternating = minimum(2.0 * maximum(1.0 - offered * cost, 0.0), 1.0)
        most = driver.throttle * where(offered > driver.throttle, alternating, 1.0)
        return minimum(per_packet * handled, most)

    cost = driver.interrupt_cost
    return DriverLoad(1.0, 0.0, np.inf, cost, interrupts, driver.throttle, cost)


def _interrupt(kernel: Kernel, arrivals: Arrivals) -> DriverLoad:
    cost = kernel.driver.interrupt_cost
    return DriverLoad(1.0, cost, np.inf, cost, lambda offered, handled, each: handled)


def _moderated(kernel: Kernel, arrivals: Arrivals) -> DriverLoad:
    driver = kernel.driver
    if np.all(np.isinf(driver.throttle)):  # no cap: one interrupt per packet
        return _interrupt(kernel, arrivals)
    return DriverLoad(
        _stretch(driver, driver.throttle),
        0.0,
        driver.throttle * _per_look(kernel, arrivals, np.inf),
        driver.interrupt_cost,
        lambda offered, handled, each: minimum(handled, driver.throttle),
        driver.throttle,
    )


def _polling(kernel: Kernel, arrivals: Arrivals) -> DriverLoad:
    driver = kernel.driver
    if np.all(np.isinf(driver.tick)):  # no timer: the kernel looks all the time
        return DriverLoad(1.0, 0.0, np.inf, 0.0, lambda offered, handled, each: 0.0 * handled)
    return DriverLoad(
        _stretch(driver, driver.tick),
        0.0,
        driver.tick * _per_look(kernel, arrivals, driver.budget),
        0.0,
        lambda offered, handled, each: driver.tick + 0.0 * handled,
        driver.tick,
        clocked=True,
    )


def _per_look(kernel: Kernel, arrivals: Arrivals, budget: Number) -> Number:
    """Most packets per look at the ring: it refills while the kernel empties it."""
    left = maximum(1.0 - arrivals.rate * floats(kernel.cost), 1e-9)
    return minimum(budget, kernel.ring / left)


def _stretch(driver: Driver, rate: Number) -> Number:
    """Kernel time left by `rate` interrupts per second, as a factor on the cost per packet."""
    return 1.0 / (1.0 - minimum(rate * driver.interrupt_cost, 1.0 - 1e-9))


DRIVERS: dict[str, Callable[[Kernel, Arrivals], DriverLoad]] = {
    "napi": _napi,
    "thread": _napi,
    "interrupt": _interrupt,
    "moderated": _moderated,
    "polling": _polling,
}


def driver_load(kernel: Kernel, arrivals: Arrivals) -> DriverLoad:
    """What the kernel's driver mode costs, and what driver and bus let through."""
    load = DRIVERS[kernel.driver.mode](kernel, arrivals)
    # the card's own memory absorbs what the bus cannot take at once, not what it cannot take at all
    return replace(load, cap=minimum(load.cap, kernel.driver.bus_rate))
