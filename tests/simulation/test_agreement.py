"""Closed form against simulation on random paths: where its stated accuracy holds.

Poisson arrivals, constant services, more than 3/R from every critical load. Errors are relative to
the carried rate.
"""

from __future__ import annotations

import numpy as np
import pytest

from capmodel.simulation import simulate
from capmodel.solvers import closed_form
from tests.simulation.paths import FAMILIES, paths_away_from_criticality

STATED = ("poll", "threshold", "timer", "spin", "sleep")


def errors(family: str, count: int, packets: int) -> np.ndarray:
    rng = np.random.default_rng([2010, FAMILIES.index(family)])
    found = []
    for path in paths_away_from_criticality(rng, family, count):
        simulated = simulate(path, packets=packets).mean["carried_rate"]
        solved = float(closed_form.solve(path).carried_rate)
        found.append(abs(solved - simulated) / simulated)
    return np.asarray(found)


def table(rows: dict[str, np.ndarray]) -> str:
    return "\n".join(
        f"{name:10s} mean {np.mean(e):.4f} p95 {np.quantile(e, 0.95):.4f} max {np.max(e):.4f}"
        for name, e in rows.items()
    )


def test_a_hundred_paths() -> None:
    rows = {family: errors(family, 20, 100_000) for family in STATED}
    together = np.concatenate(list(rows.values()))
    assert np.mean(together) <= 0.003, table(rows)
    assert np.quantile(together, 0.95) <= 0.01, table(rows)


@pytest.mark.slow
@pytest.mark.parametrize("family", STATED)
def test_many_paths(family: str) -> None:
    found = errors(family, 300, 1_000_000)
    assert np.mean(found) <= 0.003, table({family: found})
    assert np.quantile(found, 0.95) <= 0.01, table({family: found})
