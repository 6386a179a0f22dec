"""Time and memory of each tier against the sizes of ring and buffer."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.process import peak_memory
from benchmarks.tables import Table, size
from benchmarks.timing import in_words, timing
from capmodel.formulary import fixed_sleep, loss_md1k, loss_mg1k, n_policy
from capmodel.path import CapturePath
from capmodel.solvers import SOLVERS

COSTS = {
    "rate": 0.9, "kernel_cost": 1.0, "consumer_cost": 0.6, "wakeup_cost": 2.0,
    "wakeup_latency": 4.0, "poll_cost": 0.5,
}  # fmt: skip
# M/G/1/K and its consumers that sleep: from load and capacity, services of mean 1
FAMILY: Mapping[str, Callable[[float, int], Any]] = {
    "M/D/1/K": loss_md1k,
    "M/E4/1/K": lambda load, capacity: loss_mg1k(load, capacity, ("erlang", 4)),
    "M/H2/1/K": lambda load, capacity: loss_mg1k(load, capacity, ("hyperexponential", 4.0)),
    "threshold 32, timeout, latency": lambda load, capacity: n_policy(
        load, capacity, 1.0, 32, 50.0, 4.0, 0.5
    ),
    "fixed sleep": lambda load, capacity: fixed_sleep(load, capacity, 1.0, 50.0),
}
LOADS = (0.5, 0.99, 1.0, 1.01, 1.5)
EXPONENTIAL, CONSTANT = "exponential", "deterministic"


@dataclass(frozen=True)
class Size:
    """One point of the table; `tier` names a solver or a law of the family."""

    tier: str
    ring: int
    capacity: int
    service: str = EXPONENTIAL

    @property
    def call(self) -> Callable[[], object]:
        if self.tier in FAMILY:
            return lambda: FAMILY[self.tier](0.99, self.capacity)
        path = CapturePath.split(
            ring=self.ring, capacity=self.capacity, service=self.service, **COSTS
        )
        return lambda: SOLVERS[self.tier].solve(path)

    @property
    def small(self) -> Size:
        """The same tier at a size that takes no memory: it warms up."""
        return Size(self.tier, 4, 64, self.service)


SIZES = (
    *(Size("closed_form", *sizes) for sizes in ((256, 1024), (4096, 100_000))),
    *(Size(law, 0, capacity) for law in FAMILY for capacity in (1000, 100_000)),
    *(
        Size("decomposition", *sizes, service)
        for service in (EXPONENTIAL, CONSTANT)
        for sizes in ((64, 256), (256, 1024), (1024, 16_384), (4096, 100_000))
    ),
    *(
        Size("exact", *sizes)
        for sizes in ((16, 64), (32, 1024), (64, 100_000), (128, 100_000), (4096, 64))
    ),
    *(Size("simulation", *sizes, CONSTANT) for sizes in ((256, 1024), (4096, 100_000))),
)


def memory(wanted: Size) -> tuple[int, int]:
    """Most that arrays took, and how much the process grew [B], in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tiers", json.dumps(asdict(wanted))],
        capture_output=True,
        text=True,
        check=True,
    )
    arrays, grown = json.loads(done.stdout)
    return int(arrays), int(grown)


def weigh(wanted: Size) -> tuple[int, int]:
    """What `memory` reports, of this process: once plain for the process, once traced."""

    wanted.small.call()
    before, call = peak_memory(), wanted.call
    call()
    # the kernel counts pages per processor: what did not grow may read as a few pages less
    grown = max(peak_memory() - before, 0)
    tracemalloc.start()
    call()
    arrays = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return arrays, grown


def rows() -> Iterator[list[str]]:
    for wanted in SIZES:
        taken = timing(wanted.call)
        arrays, grown = memory(wanted)
        yield [
            wanted.tier.replace("_", " "),
            f"{wanted.ring:,}" if wanted.ring else "",
            f"{wanted.capacity:,}",
            "" if wanted.tier in FAMILY else wanted.service,
            in_words(taken.best),
            f"{taken.spread:.2f}",
            size(arrays),
            size(grown),
        ]


def tables() -> list[Table]:
    """The tiers section."""
    columns = (
        "tier", "ring", "buffer", "services", "time", "slowest/fastest", "arrays", "process grows",
    )  # fmt: skip
    notes = (
        "Best of five. Arrays: the most that Python objects and numpy arrays took at once. "
        "Process: how far its peak moved, from a small system of the same tier to this one. A "
        "simulation offers a million packets.",
    )
    return [Table("Time and memory against size", columns, list(rows()), notes)]


if __name__ == "__main__":
    print(json.dumps(weigh(Size(**json.loads(sys.argv[1])))))
