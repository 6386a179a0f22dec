"""How far the solvers agree: print the relative difference of carried rates, pair by pair.

    python tools/agreement.py [--paths 100] [--seed 1]

For every family of paths (fixed by the seed) and every two solvers that both accept at least one
of them: how many, and the mean, 95th percentile and maximum of ``|X1 - X2| / max(X1, X2)``. One
that samples differs by its own noise too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from capmodel.path import CapturePath
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


FAMILIES: Mapping[str, Family] = {
    "two cores, exponential": _two_core,
    "two cores, deterministic": lambda rng: _two_core(rng, service="deterministic"),
    "same core": _same_core,
    "single stage": _single,
}


def carried(path: CapturePath, name: str) -> float:
    """Carried rate of one solver; NaN where it does not accept the path."""
    solver = SOLVERS[name]
    if solver.accepts(path) is not None:
        return float("nan")
    return float(solver.solve(path).carried_rate)


def agreement(family: Family, paths: int, seed: int) -> tuple[dict[str, np.ndarray], Any]:
    """Carried rates by solver over the paths of a family, and each solver's mean time [s]."""
    rng = np.random.default_rng(seed)
    drawn = [family(rng) for _ in range(paths)]
    rates, times = {}, {}
    for name in SOLVERS:
        start = time.perf_counter()
        rates[name] = np.array([carried(path, name) for path in drawn])
        taken = int(np.isfinite(rates[name]).sum())
        times[name] = (time.perf_counter() - start) / taken if taken else float("nan")
    return rates, times


def rows(rates: Mapping[str, np.ndarray]) -> Iterator[tuple[str, int, np.ndarray]]:
    """Every pair of solvers: its name, on how many paths, their relative differences."""
    for one, other in combinations(rates, 2):
        both = np.isfinite(rates[one]) & np.isfinite(rates[other])
        first, second = rates[one][both], rates[other][both]
        larger = np.maximum(np.maximum(first, second), 1e-300)
        yield f"{one} - {other}", int(both.sum()), np.abs(first - second) / larger


def main() -> None:
    parser = argparse.ArgumentParser(description="Agreement of the solvers.")
    parser.add_argument("--paths", type=int, default=100, help="paths per family")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for title, family in FAMILIES.items():
        rates, times = agreement(family, arguments.paths, arguments.seed)
        timing = ", ".join(
            f"{name} {1e3 * seconds:.3g} ms" for name, seconds in times.items() if seconds > 0.0
        )
        print(f"{title} (time per path: {timing})")
        print(f"  {'pair':34} {'paths':>5} {'mean':>9} {'p95':>9} {'max':>9}")
        for pair, count, difference in rows(rates):
            if count:
                numbers = (difference.mean(), np.quantile(difference, 0.95), difference.max())
                print(f"  {pair:34} {count:5d} " + " ".join(f"{x:9.2g}" for x in numbers))
        print()


if __name__ == "__main__":
    main()
