"""Speed of the closed-form tier: the core law on arrays, one prediction, a grid, the import."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

import numpy as np

import capmodel
from benchmarks.tables import Table, times
from benchmarks.timing import Sampler, in_words, interleaved, sample
from capmodel.formulary import carried_rate_saturated

POINTS, RATES = 1_000_000, 1000


def starts(code: str) -> Sampler:
    """Time of a fresh interpreter that runs this code [s]."""

    def run() -> float:
        call = partial(subprocess.run, [sys.executable, "-c", code], check=True)
        return sample(call, clock=time.perf_counter)

    return run


def tables() -> list[Table]:
    """The core section."""
    random = np.random.default_rng(1)
    kernel, consumer, wakeup, off = random.uniform(0.1, 2.0, (4, POINTS))
    rates = np.linspace(1e5, 1.4e6, RATES)
    taken = interleaved(
        {
            "law": lambda: sample(lambda: carried_rate_saturated(kernel, consumer, wakeup, off)),
            "adding": lambda: sample(lambda: kernel + consumer + wakeup + off),
            "one": lambda: sample(lambda: capmodel.predict(rate=1.27e6)),
            "grid": lambda: sample(lambda: capmodel.sweep(rate=rates)),
            "bare": starts("import numpy"),
            "whole": starts("import numpy, capmodel"),
        },
        5,
    )
    best = {name: timing.best for name, timing in taken.items()}
    rows = [
        [f"core law, {POINTS:,} points", in_words(best["law"]),
         f"{times(best['law'] / best['adding'])} x adding the inputs"],
        ["predict, closed form", in_words(best["one"]), ""],
        [f"sweep of {RATES:,} rates", in_words(best["grid"]),
         f"{times(RATES * best['one'] / best['grid'])} x faster than single calls"],
        ["import of capmodel beyond numpy", in_words(max(best["whole"] - best["bare"], 1e-9)), ""],
    ]  # fmt: skip
    return [Table("Closed form and import", ("what", "best of five", "that is"), rows)]
