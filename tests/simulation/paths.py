"""Random paths in units of the kernel's cost, for solver against simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capmodel.path import Arrivals, Buffer, CapturePath, Consumer, Cores, Kernel, Wakeup
from capmodel.solvers import closed_form

FAMILIES = (
    "poll", "threshold", "timer", "spin", "sleep", "yield", "double", "blocks", "retire", "same",
    "same drop", "shared",
)  # fmt: skip


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_path(rng: np.random.Generator, family: str) -> CapturePath:
    """Poisson arrivals and constant services; sizes and costs over their useful ranges."""
    ring = int(2 ** rng.integers(6, 11))
    capacity = int(2 ** rng.integers(8, 14))
    rate, consumer = log_uniform(rng, 0.2, 4.0), rng.uniform(0.05, 1.5)
    wakeup = Wakeup(
        "poll",
        cost=log_uniform(rng, 0.1, 6.0),
        latency=log_uniform(rng, 0.5, 50.0),
        poll_cost=rng.uniform(0.0, 0.5),
    )
    path = CapturePath(
        Arrivals(rate, "poisson", 1.0), Kernel(ring, 1.0), Buffer(capacity), Consumer(consumer),
        wakeup,
    )  # fmt: skip
    if family == "threshold":
        path = replace(path, wakeup=replace(wakeup, threshold=int(2 ** rng.integers(1, 8))))
    elif family == "timer":
        timer = replace(wakeup, threshold=128, timeout=log_uniform(rng, 10.0, 500.0))
        path = replace(path, wakeup=timer)
    elif family == "spin":
        path = replace(path, wakeup=Wakeup("spin", contention=log_uniform(rng, 0.05, 1.0)))
    elif family == "sleep":
        path = replace(
            path, wakeup=Wakeup("sleep", sleep=log_uniform(rng, 5.0, 500.0), poll_cost=0.3)
        )
    elif family == "yield":
        yielding = replace(wakeup, policy="yield", spin=rng.uniform(0.1, 2.0), contention=0.2)
        path = replace(path, wakeup=yielding)
    elif family in ("double", "blocks", "retire"):
        block = int(2 ** rng.integers(3, 10))
        blocks = 2 if family == "double" else int(rng.integers(3, 33))
        retire = log_uniform(rng, 20.0, 2000.0) if family == "retire" else np.inf
        kind = "double" if family == "double" else "blocks"
        policy = "rotation" if family == "double" else "block"
        path = replace(
            path,
            buffer=Buffer(block * blocks, kind, block, blocks, retire),
            wakeup=replace(wakeup, policy=policy),
        )
    elif family.startswith("same"):
        drop = rng.uniform(0.3, 1.0) if family == "same drop" else 1.0
        path = replace(
            path,
            kernel=Kernel(ring, 1.0, drop),
            arrivals=replace(path.arrivals, rate=log_uniform(rng, 0.1, 1.5)),
            wakeup=replace(wakeup, latency=0.0, cost=0.2, switch_cost=0.1),
            cores=Cores("same"),
        )
    elif family == "shared":
        path = replace(
            path,
            consumer=Consumer(consumer / 2.0, 0.0, int(rng.integers(2, 5))),
            wakeup=replace(wakeup, switch_cost=0.1),
        )
    return path


def margin(path: CapturePath) -> float:
    """Distance from the nearest critical load, in units of 1/ring or 1/capacity."""
    rate = float(path.arrivals.rate)
    ring, capacity = float(path.kernel.ring), float(path.buffer.capacity)
    kernel, work = float(path.kernel.cost), float(path.consumer.cost * path.consumer.processes)
    if path.cores.pinning == "same":
        return min(abs(rate * (kernel + work) - 1.0) * capacity, abs(rate * kernel - 1.0) * ring)
    most = float(closed_form.solve(path.with_rate(50.0)).carried_rate)
    near = abs(rate / most - 1.0) * min(ring, capacity)
    consumer = min(abs(rate * work - 1.0), abs(kernel / max(work, 1e-9) - 1.0)) * capacity
    return min(near, consumer)


def paths_away_from_criticality(
    rng: np.random.Generator, family: str, count: int
) -> list[CapturePath]:
    """Random paths more than 3/R from every critical load."""
    found: list[CapturePath] = []
    while len(found) < count:
        path = random_path(rng, family)
        if margin(path) > 3.0:
            found.append(path)
    return found
