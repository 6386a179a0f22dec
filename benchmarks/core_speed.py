"""Speed of the closed-form tier: the core law on arrays, one prediction, a grid, the import.

Times are the best of several on whatever machine runs this; compare the ratios.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import capmodel
from capmodel.formulary import carried_rate_saturated


def best(call: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of several runs [s]."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def starts(code: str) -> float:
    """Time of a fresh interpreter that runs this code [s]."""
    return best(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def main() -> None:
    """Print one line per measurement."""
    random = np.random.default_rng(1)
    kernel, consumer, wakeup, off = random.uniform(0.1, 2.0, (4, 1_000_000))
    copying = best(lambda: kernel + consumer + wakeup + off)
    law = best(lambda: carried_rate_saturated(kernel, consumer, wakeup, off))
    print(
        f"core law, 1e6 evaluations       {law:8.3f} s   {law / copying:6.1f} x adding the inputs"
    )

    def once() -> object:
        return capmodel.predict(rate=1.27e6, size=64, backend="pf_packet")

    one = best(lambda: [once() for _ in range(200)]) / 200
    print(f"predict, closed form            {1e3 * one:8.3f} ms")
    rates = np.linspace(1e5, 1.4e6, 1000)
    grid = best(lambda: capmodel.sweep(rate=rates))
    gain = 1000 * one / grid
    print(f"sweep of 1000 rates             {1e3 * grid:8.3f} ms  {gain:6.1f} x single calls")
    bare, whole = starts("import numpy"), starts("import numpy, capmodel")
    print(f"import capmodel beyond numpy    {1e3 * (whole - bare):8.0f} ms")


if __name__ == "__main__":
    main()
