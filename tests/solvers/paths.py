"""Random two-core paths in units of the kernel's cost, small enough for the exact solver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from capmodel.path import CapturePath


def random_paths(number: int, seed: int, **usual: Any) -> Iterator[CapturePath]:
    """From light load to deep overload, waits from nothing to many packets long."""
    rng = np.random.default_rng(seed)

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def perhaps(low: float, high: float) -> float:
        return between(low, high) if rng.random() < 0.85 else 0.0

    for _ in range(number):
        yield CapturePath.split(
            rate=between(0.3, 3.0), ring=round(between(32, 128)),
            capacity=round(between(32, 1024)), kernel_cost=1.0, consumer_cost=between(0.1, 1.5),
            wakeup_cost=perhaps(0.1, 8.0), wakeup_latency=perhaps(0.1, 30.0),
            poll_cost=perhaps(0.05, 5.0), **usual,
        )  # fmt: skip
