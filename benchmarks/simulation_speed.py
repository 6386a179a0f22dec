"""Packets per second of one core's time that are simulated, best of five.

Run as ``python -m benchmarks.simulation_speed``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from capmodel.path import Arrivals, Buffer, CapturePath, Cores, Wakeup
from capmodel.simulation.costs import costs, plain, source
from capmodel.simulation.events import events
from capmodel.simulation.tally import COUNTS, TIMES
from capmodel.simulation.tandem import recursion

PACKETS = 2_000_000


def paths() -> dict[str, CapturePath]:
    split = CapturePath.split(
        rate=2.0, ring=256, capacity=1024, kernel_cost=1.0, consumer_cost=0.4, wakeup_cost=2.0,
        wakeup_latency=6.0, poll_cost=0.1, service="deterministic",
    )  # fmt: skip
    block = Wakeup("block", cost=2.0, latency=6.0, poll_cost=0.1)
    return {
        "split poll, constant services, saturated": split,
        "split poll, constant services, not saturated": split.with_rate(0.5),
        "split poll, constant rate": replace(split, arrivals=Arrivals(2.0)),
        "split poll, random services": CapturePath.split(
            rate=0.5, ring=256, capacity=1024, kernel_cost=1.0, consumer_cost=0.4, wakeup_cost=2.0,
            wakeup_latency=6.0, poll_cost=0.1,
        ),
        "split, blocks": replace(
            split.with_rate(0.5), buffer=Buffer(1024, "blocks", 64, 16), wakeup=block
        ),
        "same core": replace(split.with_rate(0.5), cores=Cores("same")),
    }  # fmt: skip


def run_of(path: CapturePath) -> Callable[[int], None]:
    c, offered = costs(path), source(path.arrivals)

    def run(packets: int) -> None:
        times, counts = np.zeros(len(TIMES)), np.zeros(len(COUNTS), dtype=np.int64)
        tail = (
            offered,
            np.random.default_rng(1),
            np.empty(0),
            0,
            packets,
            np.inf,
            0,
            times,
            counts,
        )
        if plain(c):
            recursion(c, *tail)
        else:
            events((c, c), (np.inf, np.inf), 0, *tail)

    return run


def main() -> None:
    for name, path in paths().items():
        run = run_of(path)
        run(1000)  # compiles
        best = np.inf
        for _ in range(5):
            begun = time.process_time()
            run(PACKETS)
            best = min(best, time.process_time() - begun)
        print(f"{name:48s} {PACKETS / best / 1e6:7.1f} million packets per second")


if __name__ == "__main__":
    main()
