"""Time of one solution, best of five, on one core.

`OPENBLAS_NUM_THREADS=1 python -m benchmarks.solver_speed`
"""

from __future__ import annotations

import time
from collections.abc import Callable

from capmodel.path import CapturePath
from capmodel.solvers import decomposition, exact

REPEATS = 5
COSTS = {
    "rate": 0.9, "kernel_cost": 1.0, "consumer_cost": 0.6, "wakeup_cost": 2.0,
    "wakeup_latency": 4.0, "poll_cost": 0.5,
}  # fmt: skip
CASES: list[tuple[str, Callable[[CapturePath], object], dict[str, object]]] = [
    ("exact", exact.solve, {"ring": 64, "capacity": 100_000}),
    ("exact", exact.solve, {"ring": 128, "capacity": 100_000}),
    ("exact", exact.solve, {"ring": 4096, "capacity": 64}),
    ("decomposition", decomposition.solve, {"ring": 256, "capacity": 1024}),
    ("decomposition", decomposition.solve, {"ring": 4096, "capacity": 100_000}),
    ("decomposition", decomposition.solve,
     {"ring": 256, "capacity": 1024, "service": "deterministic"}),
    ("decomposition", decomposition.solve,
     {"ring": 4096, "capacity": 100_000, "service": "deterministic"}),
]  # fmt: skip


def best(solve: Callable[[CapturePath], object], path: CapturePath) -> float:
    """Shortest of a few runs [s], after one that warms up."""
    solve(path)
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        solve(path)
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print the table."""
    print(f"{'solver':<15}{'ring':>6}{'capacity':>10}  {'service':<15}{'ms':>9}")
    for name, solve, sizes in CASES:
        path = CapturePath.split(**(COSTS | sizes))
        service = sizes.get("service", "exponential")
        row = f"{name:<15}{sizes['ring']:>6}{sizes['capacity']:>10}  {service:<15}"
        print(f"{row}{1e3 * best(solve, path):>9.2f}")


if __name__ == "__main__":
    main()
