"""How far the solvers agree: print the relative differences of what they say, pair by pair.

    python tools/agreement.py [--paths 100] [--seed 1]

For every family of paths (fixed by the seed) and every two solvers that both accept at least one
of them, of carried rates, sojourn times and wakeups: how many, and the mean, 95th percentile and
maximum of ``|X1 - X2| / max(X1, X2)``. One that samples differs by its own noise too. Wakeups are
left out where either has fewer than one in a thousand packets. The closed form says of the paths
that it is further off on (`Solution.notes`); they are in here all the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from capmodel.path import Arrivals, Buffer, CapturePath, Driver
from capmodel.solvers import SOLVERS

Family = Callable[[np.random.Generator], CapturePath]


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _two_core(rng: np.random.Generator, **fixed: Any) -> CapturePath:
    """From an idle path to a flood; the kernel's time is the unit."""
    return CapturePath.split(
        rate=_log(rng, 0.2, 3.0),
        ring=int(rng.choice([16, 32, 64])),
        capacity=int(rng.choice([32, 128, 512])),
        kernel_cost=1.0,
        consumer_cost=_log(rng, 0.1, 2.0),
        wakeup_cost=float(rng.choice([0.0, _log(rng, 0.3, 5.0)])),
        wakeup_latency=float(rng.choice([0.0, _log(rng, 0.5, 10.0)])),
        poll_cost=float(rng.choice([0.0, _log(rng, 0.05, 1.0)])),
        **fixed,
    )


def _same_core(rng: np.random.Generator) -> CapturePath:
    """Up to nine tenths of the core for the kernel: beyond, next to nothing is carried."""
    return CapturePath.same_core(
        rate=_log(rng, 0.2, 3.0),
        ring=int(rng.choice([16, 32, 64])),
        capacity=int(rng.choice([32, 128, 512])),
        kernel_cost=0.3,
        consumer_cost=_log(rng, 0.1, 2.0),
    )


def _single(rng: np.random.Generator) -> CapturePath:
    return CapturePath.single(
        rate=_log(rng, 0.2, 3.0),
        capacity=int(_log(rng, 16.0, 4096.0)),
        consumer_cost=1.0,
        service=("exponential", "deterministic", 0.25)[rng.integers(3)],
    )


def _gathering(path: CapturePath, rng: np.random.Generator) -> CapturePath:
    """Interrupts further apart than packets, and a ring for what comes between them."""
    throttle = float(path.arrivals.rate) / _log(rng, 3.0, 100.0)
    driver = Driver(interrupt_cost=2.0 * float(path.kernel.cost), throttle=throttle)
    kernel = replace(path.kernel, ring=512, driver=driver)
    return replace(path, kernel=kernel, buffer=Buffer(4096))


def _blocks(rng: np.random.Generator) -> CapturePath:
    path = _two_core(rng, service="deterministic")
    block = int(rng.choice([32, 128, 512]))
    kind, blocks = ("double", 2) if rng.random() < 0.5 else ("blocks", int(rng.choice([4, 16])))
    policy = {"double": "rotation", "blocks": "block"}[kind]
    return replace(
        path,
        buffer=Buffer(block * blocks, kind, block, blocks),
        wakeup=replace(path.wakeup, policy=policy),
    )


def _bursts(path: CapturePath, rng: np.random.Generator) -> CapturePath:
    """Bursts of 100 to 1000 packets' time, a fifth of the time; the drawn rate is their peak."""
    on = _log(rng, 100.0, 1000.0)
    rate = 0.2 * float(path.arrivals.rate)
    arrivals = Arrivals(rate, "on_off", 0.0, on, 4.0 * on, random_bursts=False)
    return replace(path, arrivals=arrivals, buffer=Buffer(4096))


FAMILIES: Mapping[str, Family] = {
    "two cores, exponential": _two_core,
    "two cores, deterministic": lambda rng: _two_core(rng, service="deterministic"),
    "same core": _same_core,
    "single stage": _single,
    "limited interrupts, two cores": lambda rng: _gathering(_two_core(rng), rng),
    "limited interrupts, one core": lambda rng: _gathering(_same_core(rng), rng),
    "blocks, two cores, deterministic": _blocks,
    "bursts, two cores": lambda rng: _bursts(_two_core(rng), rng),
    "bursts, one core": lambda rng: _bursts(_same_core(rng), rng),
}
QUANTITIES = ("carried_rate", "sojourn_time", "wakeup_rate")
Found = dict[str, np.ndarray]  # by quantity


def said(path: CapturePath, name: str) -> list[float]:
    """What one solver says; NaN where it does not accept the path, and of rare wakeups."""
    solver = SOLVERS[name]
    if solver.accepts(path) is not None:
        return [float("nan")] * len(QUANTITIES)
    solution = solver.solve(path)
    values = {quantity: float(getattr(solution, quantity)) for quantity in QUANTITIES}
    if values["wakeup_rate"] < 1e-3 * values["carried_rate"]:
        values["wakeup_rate"] = float("nan")
    return list(values.values())


def agreement(family: Family, paths: int, seed: int) -> tuple[dict[str, Found], dict[str, float]]:
    """Quantities by solver over the paths of a family, and each solver's mean time [s]."""
    rng = np.random.default_rng(seed)
    drawn = [family(rng) for _ in range(paths)]
    found, times = {}, {}
    for name in SOLVERS:
        start = time.perf_counter()
        columns = np.array([said(path, name) for path in drawn]).T
        found[name] = dict(zip(QUANTITIES, columns, strict=True))
        taken = int(np.isfinite(found[name]["carried_rate"]).sum())
        times[name] = (time.perf_counter() - start) / taken if taken else float("nan")
    return found, times


def rows(found: Mapping[str, Found]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Every pair of solvers and every quantity: their relative differences."""
    for one, other in combinations(found, 2):
        for quantity in QUANTITIES:
            first, second = found[one][quantity], found[other][quantity]
            both = np.isfinite(first) & np.isfinite(second)
            larger = np.maximum(np.maximum(first[both], second[both]), 1e-300)
            yield f"{one} - {other}", quantity, np.abs(first[both] - second[both]) / larger


def main() -> None:
    parser = argparse.ArgumentParser(description="Agreement of the solvers.")
    parser.add_argument("--paths", type=int, default=100, help="paths per family")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for title, family in FAMILIES.items():
        found, times = agreement(family, arguments.paths, arguments.seed)
        timing = ", ".join(
            f"{name} {1e3 * seconds:.3g} ms" for name, seconds in times.items() if seconds > 0.0
        )
        print(f"{title} (time per path: {timing})")
        print(f"  {'pair':30} {'quantity':13} {'paths':>5} {'mean':>9} {'p95':>9} {'max':>9}")
        for pair, quantity, difference in rows(found):
            if difference.size:
                numbers = (difference.mean(), np.quantile(difference, 0.95), difference.max())
                print(
                    f"  {pair:30} {quantity:13} {difference.size:5d} "
                    + " ".join(f"{x:9.2g}" for x in numbers)
                )
        print()


if __name__ == "__main__":
    main()
