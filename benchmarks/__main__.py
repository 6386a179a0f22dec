"""All benchmarks: ``python -m benchmarks [SECTION ...] [--write]``.

Sections: targets, peers, tiers, core, simulation; all of them if none is named. ``--write`` puts
what is printed into README.md beside this file too.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one core for everybody

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import cache

from benchmarks import core, report, simulation, targets, tiers
from benchmarks.peers import report as side_by_side
from benchmarks.peers.comparison import HOW, Comparison
from benchmarks.tables import Table
from benchmarks.timing import Timing

Section = Callable[[Comparison], list[Table]]


@cache
def speeds() -> Mapping[str, Timing]:
    """Measured once, told twice."""
    return simulation.speeds()


SECTIONS: Mapping[str, Section] = {
    "targets": lambda comparison: targets.tables(comparison, speeds()),
    "peers": side_by_side.tables,
    "tiers": lambda comparison: tiers.tables(),
    "core": lambda comparison: core.tables(),
    "simulation": lambda comparison: simulation.tables(speeds()),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"section {unknown[0]!r} is not one of {', '.join(SECTIONS)}")
    conditions = report.conditions()
    print(conditions, flush=True)
    outputs = {}
    with Comparison() as comparison:
        if not comparison.installed:
            print(f"\n{HOW}")
        for name in chosen.sections or SECTIONS:
            text = "\n\n".join(table.markdown() for table in SECTIONS[name](comparison))
            outputs[name] = f"{text}\n\n{conditions}"
            print(f"\n{text}", flush=True)
    if chosen.write:
        report.write(outputs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
