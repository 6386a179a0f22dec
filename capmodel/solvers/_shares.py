"""Small laws that one core and two have in common: shares of time, and of variability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capmodel.formulary._elementwise import floats, inverse, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath, Number

# a time whose inverse is not a number counts as none
_NOTHING = 1e-300

Flags = npt.NDArray[np.bool_]


def departure_scv(load: Array, arrival_scv: Array, service_scv: Array) -> Array:
    """Variability of the kernel's output, between its arrivals' and its own (Marshall 1968)."""
    square = minimum(load, 1.0) ** 2
    return (1.0 - square) * arrival_scv + square * service_scv


def reciprocal(value: Array) -> Array:
    """1/value, with 0 for 0 (a stage that costs nothing has no rate to divide by)."""
    result: Array = inverse(value, _NOTHING)
    return result


def affordable(time: Array, price: Number) -> Array:
    """How often per second something fits into a share of a core; without end if it is free."""
    return where(floats(price) > _NOTHING, time * reciprocal(price), np.inf)


def bursts_per_second(path: CapturePath) -> Array:
    """Sleeps of a consumer that bursts overload: one each, once drained [1/s of burst time]."""
    arrivals = path.arrivals
    return np.asarray(1.0 / arrivals.on if arrivals.process == "on_off" else 0.0)


def duty_of(path: CapturePath) -> Array:
    arrivals = path.arrivals
    if arrivals.process != "on_off":
        return np.asarray(1.0)
    return floats(arrivals.on / (arrivals.on + arrivals.off))


def random_waits(load: Array, arrival_scv: Array, service_scv: Array) -> Array:
    r"""Services that a packet waits for on average, because arrivals and services are random [-].

    :math:`\frac{\rho}{1 - \rho} \frac{c_a^2 + c_s^2}{2} g`, exact for Poisson arrivals with
    :math:`g = 1`; below, :math:`g = e^{-2 (1 - \rho)(1 - c_a^2)^2 / 3 \rho (c_a^2 + c_s^2)}`
    (W. Kraemer, M. Langenbach-Belz, 8th Int. Teletraffic Congress, 1976): regular arrivals at low
    load hardly meet. 0 where neither is random.
    """
    spread = arrival_scv + service_scv
    if not some(spread > 0.0):
        return 0.0 * load
    below = minimum(load, 1.0 - 1e-9)
    idle = 1.0 - below
    regular = maximum(1.0 - arrival_scv, 0.0) ** 2
    meets = 2.0 * idle * regular * reciprocal(3.0 * below * spread)
    return where(spread > 0.0, 0.5 * below * spread / idle * np.exp(-meets), 0.0)
