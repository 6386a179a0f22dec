"""The numbers to reach, each with what was measured and whether that is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import capmodel
from benchmarks import accuracy, simulation
from benchmarks.peers.comparison import CASES, Comparison, Outcome
from benchmarks.peers.report import error_in_words
from benchmarks.tables import Table, times
from benchmarks.tiers import COSTS, FAMILY, LOADS
from benchmarks.timing import Timing, in_words, timing
from capmodel.path import CapturePath
from capmodel.solvers import exact

MET, MISSED, UNKNOWN = "yes", "**no**", "not measured"


@dataclass(frozen=True)
class Row:
    """A number to reach; `met` is None where it could not be measured."""

    what: str
    target: str
    measured: str
    met: bool | None

    def cells(self) -> list[str]:
        word = {True: MET, False: MISSED, None: UNKNOWN}[self.met]
        return [self.what, self.target, self.measured, word]


def at_most(what: str, seconds: float, found: Timing) -> Row:
    """A time not to exceed; the best of the repeats counts, its spread is told."""
    measured = f"{in_words(found.best)} (up to {times(found.spread)} times that)"
    return Row(what, in_words(seconds), measured, found.best <= seconds)


def within(what: str, errors: accuracy.Errors, limits: Mapping[str, float]) -> Row:
    """Errors whose statistics stay below limits."""
    statistics: Mapping[str, Callable[[accuracy.Errors], Any]] = {
        "mean": np.mean, "p95": lambda values: np.quantile(values, 0.95), "max": np.max
    }  # fmt: skip
    met = all(float(statistics[name](errors)) <= limit for name, limit in limits.items())
    target = ", ".join(f"{name} {limit:.2g}" for name, limit in limits.items())
    return Row(what, target, accuracy.in_words(errors), met)


def _predicting(ring: int, buffer: int) -> Callable[[], object]:
    def call() -> object:
        return capmodel.predict(
            rate=1.27e6, arrivals="poisson", ring=ring, buffer=f"{buffer} slots",
            solver="decomposition",
        )  # fmt: skip

    return call


def _solving(ring: int, capacity: int) -> Callable[[], object]:
    path = CapturePath.split(ring=ring, capacity=capacity, **COSTS)
    return lambda: exact.solve(path)


def _family() -> Row:
    """Every law at every load: the slowest counts."""
    found = {
        f"{name} at load {load:g}": timing(lambda law=law, load=load: law(load, 100_000), repeats=3)
        for name, law in FAMILY.items()
        for load in LOADS
    }
    slowest = max(found, key=lambda name: found[name].best)
    row = at_most("M/G/1/K family at K = 100,000", 5e-3, found[slowest])
    return Row(row.what, row.target, f"{row.measured}: {slowest}", row.met)


def _outcomes(comparison: Comparison, peer: str, choose: Callable[[Any], bool]) -> list[Outcome]:
    return [comparison.outcome(case, peer) for case in CASES if peer in case.peers and choose(case)]


def ratio_row(what: str, target: float, outcomes: list[Outcome]) -> Row:
    """The least of the ratios, each the median over its repeats."""
    failures = [found.failure for found in outcomes if found.failure]
    if failures:
        return Row(what, times(target), failures[0], None)
    found = [outcome.ratio for outcome in outcomes if outcome.ratio is not None]
    least = min(found, key=lambda by: by.median)
    measured = f"{times(least.median)} ({times(least.low)} to {times(least.high)})"
    return Row(what, f"{times(target)} times", measured, least.median >= target)


def tiny_row(outcomes: list[Outcome]) -> Row:
    """Losses near 1e-30: the package is right; what the peer says stands beside it."""
    what = "M/D/1/K with losses near 1e-30, error"
    if any(found.ours is None for found in outcomes):
        return Row(what, "1e-10", str(outcomes[0].failure), None)
    ours = max(found.ours.error for found in outcomes if found.ours)
    theirs = ", ".join(
        error_in_words(found.theirs) if found.theirs else str(found.failure) for found in outcomes
    )
    return Row(what, "1e-10", f"{ours:.1e} (LINE: {theirs})", ours <= 1e-10)


def _rows(comparison: Comparison, speeds: Mapping[str, Timing]) -> Iterator[Row]:
    yield at_most(
        "predict, closed form", 0.2e-3, timing(lambda: capmodel.predict(rate=1.27e6))
    )  # fmt: skip
    for ring, buffer, limit in ((256, 1024, 5e-3), (4096, 100_000, 8e-3)):
        what = f"predict, decomposition, ring {ring:,} and buffer {buffer:,}"
        yield at_most(what, limit, timing(_predicting(ring, buffer)))
    large = _outcomes(
        comparison, "LINE", lambda c: c.job == "md1k" and c.params["capacity"] == 1024
    )
    yield ratio_row("M/D/1/K at K = 1024 against LINE, times faster", 500.0, large)
    near = {"M/D/1/55 at load 0.5: loss", "M/D/1/1024 at load 0.967: loss"}
    yield tiny_row(_outcomes(comparison, "LINE", lambda c: c.name in near))
    yield _family()
    yield at_most("exact tandem, ring 64 and buffer 100,000", 0.3, timing(_solving(64, 100_000)))
    yield at_most("exact tandem, ring 128 and buffer 100,000", 1.5, timing(_solving(128, 100_000)))
    for engine, words in (("recursion", "two cores, byte ring"), ("events", "all other paths")):
        slowest = min(
            1.0 / speeds[name].best
            for name, path in simulation.paths().items()
            if simulation.engine(path) == engine
        )
        yield Row(
            f"simulation, packets/s of one core, slowest kind: {words}", "10 million",
            f"{1e-6 * slowest:.1f} million", slowest >= 10e6,
        )  # fmt: skip
    simulated = _outcomes(comparison, "Ciw", lambda c: True)
    yield ratio_row("simulation against Ciw, times faster", 150.0, simulated)
    yield within(
        f"decomposition against exact, {accuracy.PATHS} random paths, carried rate",
        accuracy.decomposition_against_exact(), {"mean": 1e-3, "p95": 5e-3, "max": 2.5e-2},
    )  # fmt: skip
    yield within(
        "closed form against simulation, constant services, carried rate",
        accuracy.closed_form_against_simulation(), {"mean": 3e-3, "p95": 1e-2},
    )  # fmt: skip
    yield within(
        "exact against rational arithmetic, losses included",
        accuracy.exact_against_fractions(), {"max": 1e-12},
    )  # fmt: skip
    yield within(
        f"exact against sparse LU, all above {accuracy.LEAST:g} of the offered rate",
        accuracy.exact_against_sparse_lu(), {"max": 1e-12},
    )  # fmt: skip


def tables(comparison: Comparison, speeds: Mapping[str, Timing]) -> list[Table]:
    """The targets section."""
    rows = [row.cells() for row in _rows(comparison, speeds)]
    return [Table("Numbers to reach", ("what", "at least", "measured", "met"), rows)]
