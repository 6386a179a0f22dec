"""An instrument without a kernel: the event simulation of costs that are known, and noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capmodel.lab.model import path_of
from capmodel.lab.outcome import ConsumerCounts, LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import load_priors
from capmodel.simulation.run import simulate

TRUTH = {
    "driver_receive": 1.05e-6,
    "network_stack": 0.95e-6,
    "wakeup": 5.0e-6,
    "wakeup_latency": 9.0e-6,
    "poll_call": 0.8e-6,
    "mmap_read": 0.14e-6,
    "near_consumer": 0.15e-6,
    "early_signal": 0.25e-6,
}


class FakeLab:
    """Runs points by simulation; `spread` is the relative noise of the kernel's cost per run."""

    def __init__(self, truth: Mapping[str, float] = TRUTH, *, spread: float = 0.01, seed: int = 1):
        self.random = np.random.default_rng(seed)
        self.machine = load_priors().machine(2)
        self.truth = dict(truth)
        self.spread = spread
        self.calls: list[LabPoint] = []
        self.waited = 0.0

    def __call__(self, point: LabPoint) -> LabRun:
        self.calls.append(point)
        factor = 1.0 + self.spread * self.random.standard_normal()
        values = {**self.machine.values(), **self.truth}
        for name in ("driver_receive", "network_stack"):
            values[name] *= factor
        path = path_of(point, self.machine, values)
        packets = int(path.arrivals.rate * path.arrivals.duration) + 1
        result = simulate(
            path, packets=2 * packets, replications=2, seed=int(self.random.integers(2**31))
        )
        counts = result.counts
        elapsed = 2.0 * float(path.arrivals.duration)
        offered, ring = counts["offered"], counts["ring drops"]
        dropped = counts["buffer drops"]
        consumer = ConsumerCounts(
            delivered=offered - ring - dropped, buffer_drops=dropped, polls=counts["polls"],
            wakes=counts["wakes"], yields=0, received_bytes=0,
            work_time=0.0, user=0.0, system=0.0, waited=0.0,
        )  # fmt: skip
        return LabRun(
            point=point, offered=offered, ring_drops=ring, backlog_drops=0, consumers=(consumer,),
            send_calls=offered - ring, send_time=0.0, elapsed=elapsed, late=0.0,
            waited=self.waited * elapsed, cpu={0: {"steal": 0.0}, 1: {"steal": 0.0}},
            cores={"sender": 0, "consumers": 1},
        )  # fmt: skip


def fake_run(
    point: LabPoint, *, captured: float, waited: float = 0.0, consumer_waited: float = 0.0
) -> LabRun:
    """A run with this captured share; waits are shares of its length."""
    elapsed = 0.01
    offered = 10_000
    delivered = round(captured * offered)
    consumer = ConsumerCounts(
        delivered=delivered, buffer_drops=0, polls=10, wakes=5, yields=0, received_bytes=0,
        work_time=0.0, user=0.0, system=0.0, waited=consumer_waited * elapsed,
    )  # fmt: skip
    return LabRun(
        point=point, offered=offered, ring_drops=offered - delivered, backlog_drops=0,
        consumers=(consumer,), send_calls=delivered, send_time=0.0, elapsed=elapsed, late=0.0,
        waited=waited * elapsed, cpu={0: {"steal": 0.0}, 1: {"steal": 0.0}},
        cores={"sender": 0, "consumers": 1},
    )  # fmt: skip
