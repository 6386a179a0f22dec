"""Where the closed forms are known to be wrong, by how much, and what they say about it.

Each entry of `LIMITS` is a condition on the path and a sentence with the error that simulations
showed; `tests/solvers/test_limits.py` holds each to its sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capmodel.formulary._elementwise import floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.path import CapturePath
from capmodel.solvers._blocks import BLOCK_KINDS
from capmodel.solvers._gathering import gathered

Flags = npt.NDArray[np.bool_]
_SLEEPS = ("poll", "read")


@dataclass(frozen=True)
class Limit:
    """When a closed form is off, and the sentence that says so.

    `doubted` says that whoever has a better solver should use it.
    """

    holds: Callable[[CapturePath], bool]
    says: str
    doubted: bool = True


def _constant_services(path: CapturePath) -> bool:
    return not (some(floats(path.kernel.scv) > 0.0) or some(floats(path.consumer.scv) > 0.0))


def _yielding(path: CapturePath) -> bool:
    wakeup = path.wakeup
    looks = wakeup.policy == "yield" and path.cores.pinning == "split"
    return looks and _constant_services(path) and some(floats(wakeup.spin) > 0.0)


def _poll_as_spin(path: CapturePath) -> bool:
    """Regular packets always end the wait call before the consumer sleeps; interrupts delay one."""
    kernel, wakeup, arrivals = path.kernel, path.wakeup, path.arrivals
    if wakeup.policy not in _SLEEPS or arrivals.process != "cbr" or not _constant_services(path):
        return False
    every = 1.0 / floats(arrivals.rate)
    short = floats(wakeup.poll_cost) >= maximum(every - path.consumer.cost, 0.0)
    open_ring = every > floats(kernel.cost)
    interrupts = floats(kernel.driver.interrupt_cost) > 0.0
    return some(short & open_ring & interrupts & (floats(wakeup.poll_cost) > 0.0))


def _overloaded_core(path: CapturePath) -> Flags:
    work = path.consumer.cost * path.consumer.processes
    overload: Flags = floats(path.arrivals.rate) * (path.kernel.cost + work) > 1.0
    return overload


def _shared_overload(path: CapturePath) -> bool:
    wakeup = path.wakeup
    if path.cores.pinning != "same" or wakeup.policy not in _SLEEPS:
        return False
    costs = floats(wakeup.cost) + wakeup.switch_cost + wakeup.poll_cost
    return some((floats(path.cores.kernel_share) < 1.0) & _overloaded_core(path) & (costs > 0.0))


def _many_interrupts(path: CapturePath) -> bool:
    """They take a tenth of a core that kernel and consumer need all of."""
    driver = path.kernel.driver
    if path.cores.pinning != "same" or driver.mode not in ("napi", "thread"):
        return False
    throttled = floats(driver.throttle) < floats(path.arrivals.rate)
    share = where(throttled, floats(driver.interrupt_cost) * minimum(driver.throttle, 1e300), 0.0)
    work = path.consumer.cost * path.consumer.processes
    needed = floats(path.arrivals.rate) * (path.kernel.cost + work) + share
    return some((share > 0.1) & (needed > 1.0))


def _short_run(path: CapturePath) -> bool:
    """The ring's content matters beside what is carried."""
    if path.cores.pinning != "same":
        return False
    arrivals = path.arrivals
    offered = floats(arrivals.rate) * arrivals.duration
    return some(_overloaded_core(path) & (floats(path.kernel.ring) > 1e-3 * offered))


def _lockstep(path: CapturePath) -> bool:
    several = some(floats(path.consumer.processes) > 1.0)
    sleeps = path.wakeup.policy in _SLEEPS and path.cores.pinning == "split"
    return several and sleeps and _constant_services(path)


def _tiny_buffer(path: CapturePath) -> bool:
    if path.buffer.kind != "slots":
        return False
    backlog = floats(path.wakeup.latency) / maximum(path.kernel.cost, 1e-12)
    return some(floats(path.buffer.capacity) < 4.0 * backlog)


def _random_batches(path: CapturePath) -> bool:
    random = path.arrivals.process == "poisson" and some(floats(path.arrivals.scv) > 0.0)
    return random and some(gathered(path) > 1.0)


def _several_woken_in_batches(path: CapturePath) -> bool:
    several = some(floats(path.consumer.processes) > 1.0) and path.cores.pinning == "split"
    return several and path.wakeup.policy in _SLEEPS and some(gathered(path) > 1.0)


def _bursts_of_blocks(path: CapturePath) -> bool:
    """What a burst brings beyond what is read while it lasts does not fit easily."""
    bursts = path.arrivals.process == "on_off" and path.buffer.kind in BLOCK_KINDS
    work = path.consumer.cost * path.consumer.processes
    return bursts and some(floats(path.arrivals.peak_rate) * work > 1.0)


def batch_over_half_buffer(path: CapturePath) -> Array:
    """What the kernel takes for one interrupt before the reader's turn, over half of the buffer."""
    together = gathered(path)
    load = minimum(floats(path.arrivals.peak_rate) * path.kernel.cost, 1.0 - 1e-9)
    batch = together * where(load < 0.5, 1.0, 1.0 / (1.0 - load))
    return where(together > 1.0, 2.0 * batch / path.buffer.capacity, 0.0)


def _batch_fills_buffer(path: CapturePath) -> bool:
    return path.cores.pinning == "same" and some(batch_over_half_buffer(path) > 1.0)


def too_small(path: CapturePath) -> bool:
    """Whether ring or buffer is too small for what comes at once, so that nothing sizes it.

    The ring has to hold what gathers from one interrupt to the next; the buffer, the backlog of a
    wakeup and twice such a batch.
    """
    gathers = some(gathered(path) > floats(path.kernel.ring))
    return gathers or _tiny_buffer(path) or some(batch_over_half_buffer(path) > 1.0)


LIMITS: tuple[Limit, ...] = (
    Limit(
        _yielding,
        "constant services fall into step with the looks of a yielding consumer: the carried rate "
        "may be 50 % too high or 30 % too low (wakeups of up to four packets' time)",
    ),
    Limit(
        _poll_as_spin,
        "wait calls as long as the gap between regular packets count as a spin, but every "
        "interrupt delays a packet and may cause a wakeup: there may be as many wakeups as "
        "interrupts, without effect on the carried rate",
    ),
    Limit(
        _shared_overload,
        "wakeups are not counted on an overloaded core where the kernel does not go first: the "
        "carried rate is too high, at most by the ratio of a wakeup's time to a packet's",
    ),
    Limit(
        _short_run,
        "what ring and buffer hold while an overloaded core fills them is counted roughly: what a "
        "run carries is off by the ring's content at most",
    ),
    Limit(
        _lockstep,
        "several processes with constant services fall into lockstep, which the mean field does "
        "not know: the carried rate may be 2.5 times too high or half of what it is (wakeups of up "
        "to four packets' time)",
    ),
    Limit(
        _tiny_buffer,
        "the buffer is of the size of the backlog that one wakeup leaves: random delays cost more "
        "than the closed form says, and the carried rate may be 30 % too high or too low",
        doubted=False,
    ),
    Limit(
        _batch_fills_buffer,
        "on one core the kernel takes all that an interrupt gathered before the reader may run: "
        "the carried rate is too high, at most by as many times as such a batch is larger than "
        "half of the buffer",
        doubted=False,
    ),
    Limit(
        _random_batches,
        "random packets gather in the ring for the next interrupt and from there have less far to "
        "overflow it: losses at the ring below 1 % may be too small by powers of ten, and a ring "
        "that holds less than two such batches may lose up to 5 points more than is said",
        doubted=False,
    ),
    Limit(
        _many_interrupts,
        "interrupts take a tenth of the core or more, and their own time makes them fewer than is "
        "said: the carried rate may be 40 % too low or 20 % too high, and near livelock several "
        "times",
        doubted=False,
    ),
    Limit(
        _several_woken_in_batches,
        "several processes that are woken within a batch of one interrupt: wakeups may be nine "
        "times too few, the carried rate is not concerned",
        doubted=False,
    ),
    Limit(
        _bursts_of_blocks,
        "a block is given back only as a whole: of bursts that are faster than the reader up to 12 "
        "points less may be captured than is said",
        doubted=False,
    ),
)


def limits(path: CapturePath) -> tuple[Limit, ...]:
    """Those that a path meets, its alternatives included."""
    paths = (path, *path.alternatives)
    return tuple(limit for limit in LIMITS if any(map(limit.holds, paths)))
