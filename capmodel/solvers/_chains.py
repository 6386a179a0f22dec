"""The parts of a path as a Markov chain takes them: consumer, kernel, what feeds the buffer."""

from __future__ import annotations

from dataclasses import replace

from capmodel.numerics.phase_type import MAX_ORDER, PhaseType
from capmodel.path import CapturePath
from capmodel.solvers._feeds import (
    KernelService,
    Source,
    direct_feed,
    kernel_service,
    source,
    tandem_feed,
)
from capmodel.solvers._sleeping import Feed, Sleeper


def sleeps(path: CapturePath) -> bool:
    """Whether the consumer goes to sleep at an empty buffer."""
    return path.wakeup.policy != "spin"


def sleeper(path: CapturePath, max_order: int = MAX_ORDER, stages: int = 1) -> Sleeper:
    """The consumer of a path; poll and latency in so many exponential stages."""
    wakeup, consumer = path.wakeup, path.consumer

    def wait(time: float) -> float:
        # what is nothing beside a packet's time is nothing: its inverse might overflow
        return float(time) if time > 1e-100 * consumer.cost else 0.0

    return Sleeper(
        PhaseType.fit(float(consumer.cost), float(consumer.scv), max_order),
        wait(wakeup.poll_cost), wait(wakeup.cost), wait(wakeup.latency),
        spins=not sleeps(path), stages=stages,
    )  # fmt: skip


def kernel_of(path: CapturePath, max_order: int = MAX_ORDER) -> KernelService:
    """The kernel of a path."""
    kernel = path.kernel
    interrupt = float(kernel.driver.interrupt_cost)
    return kernel_service(
        float(kernel.cost), float(kernel.scv),
        interrupt if interrupt > 1e-100 * kernel.cost else 0.0, max_order,
    )  # fmt: skip


def paces(path: CapturePath) -> tuple[float, float]:
    """How fast the kernel is while the buffer is full, and while it is empty, to its usual pace."""
    full = float(path.kernel.cost / path.kernel.drop_cost)
    alone = sleeps(path) or path.cores.pinning == "same"
    return full, 1.0 if alone else 1.0 / (1.0 + float(path.wakeup.contention))


def feed_of(path: CapturePath, *, silent: bool = False) -> Feed:
    """What comes to the buffer; `silent` if nothing more arrives at the ring."""
    arrivals = source(path.arrivals)
    if silent:
        arrivals = replace(arrivals, arrive=0.0 * arrivals.arrive)
    return feed_from(path, arrivals)


def feed_from(path: CapturePath, arrivals: Source) -> Feed:
    """The same for given arrivals."""
    if path.kernel.cost == 0.0:
        return direct_feed(arrivals)
    full, empty = paces(path)
    return tandem_feed(
        arrivals, int(path.kernel.ring), kernel_of(path), full_pace=full, empty_pace=empty,
        preemptive=path.cores.pinning == "same",
    )  # fmt: skip
