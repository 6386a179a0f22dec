"""Packets per second of one core's time that are simulated, by kind of path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from benchmarks.tables import Table
from benchmarks.timing import Timing, interleaved, sample
from capmodel.path import Arrivals, Buffer, CapturePath, Cores, Wakeup
from capmodel.simulation import simulate
from capmodel.simulation.costs import costs, plain

PACKETS = 2_000_000


def paths() -> dict[str, CapturePath]:
    split = CapturePath.split(
        rate=2.0, ring=256, capacity=1024, kernel_cost=1.0, consumer_cost=0.4, wakeup_cost=2.0,
        wakeup_latency=6.0, poll_cost=0.1, service="deterministic",
    )  # fmt: skip
    block = Wakeup("block", cost=2.0, latency=6.0, poll_cost=0.1)
    return {
        "split, constant services, saturated": split,
        "split, constant services, not saturated": split.with_rate(0.5),
        "split, constant rate": replace(split, arrivals=Arrivals(2.0)),
        "split, random services": CapturePath.split(
            rate=0.5, ring=256, capacity=1024, kernel_cost=1.0, consumer_cost=0.4, wakeup_cost=2.0,
            wakeup_latency=6.0, poll_cost=0.1,
        ),
        "split, threshold 32": replace(
            split.with_rate(0.5), wakeup=replace(split.wakeup, threshold=32)
        ),
        "split, blocks": replace(
            split.with_rate(0.5), buffer=Buffer(1024, "blocks", 64, 16), wakeup=block
        ),
        "same core": replace(split.with_rate(0.5), cores=Cores("same")),
    }  # fmt: skip


def engine(path: CapturePath) -> str:
    """Which of the two engines simulates the path."""
    return "recursion" if plain(costs(path)) else "events"


def speeds(repeats: int = 5) -> Mapping[str, Timing]:
    """Seconds per packet of one core, by kind of path."""

    def sampler(path: CapturePath) -> float:
        return sample(lambda: simulate(path, packets=PACKETS)) / PACKETS

    chosen = {name: (lambda path=path: sampler(path)) for name, path in paths().items()}
    return interleaved(chosen, repeats)


def tables(found: Mapping[str, Timing]) -> list[Table]:
    """The simulation section."""
    rows = [
        [name, engine(path), f"{1e-6 / found[name].best:.1f}", f"{found[name].spread:.2f}"]
        for name, path in paths().items()
    ]
    columns = ("path", "engine", "million packets/s", "slowest/fastest")
    return [Table(f"Simulation, {PACKETS:,} packets, one core, best of five", columns, rows)]
