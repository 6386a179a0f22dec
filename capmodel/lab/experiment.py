"""Experiments: a design run in interleaved rounds, noisy runs repeated, killed ones continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from capmodel.errors import unknown_choice
from capmodel.lab.journal import Journal, Repeat
from capmodel.lab.namespace import Namespace
from capmodel.lab.outcome import LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.run import run_point

_MOST_ROUNDS = 1000

Measure = Callable[[LabPoint], LabRun]

# from the interquartile range of a normal law to its standard deviation: 2 Phi^-1(3/4)
_IQR_PER_SIGMA = 1.3489795003921634
# standard error of a median of normal values over that of their mean, sqrt(pi/2)
_MEDIAN_PER_MEAN = 1.2533141373155001

QUANTITIES: dict[str, Callable[[LabRun], float | None]] = {
    "captured": lambda run: run.captured,
    "wakeup_rate": lambda run: run.wakeup_rate,
    "poll_rate": lambda run: None if run.polls is None else run.polls / run.elapsed,
    "ring_loss": lambda run: run.ring_drops / run.offered,
    "buffer_loss": lambda run: run.buffer_drops / (run.offered * len(run.consumers)),
    "kernel_time": lambda run: run.kernel_time,
    "consumer_time": lambda run: run.consumer_time,
}
"""What an experiment reads off a run: shares [-], rates [1/s], times per packet [s]."""


@dataclass(frozen=True)
class Limits:
    """What a run may lose to others before it counts as noisy, as shares of its length [-].

    Parameters
    ----------
    stolen : float
        Time that the hypervisor took, of the time of the cores used.
    waited : float
        Time that the sender was ready but another process ran; on split cores the consumer too.
    foreign : float
        User time of other processes on a core that kernel and consumer share, where the consumer
        has to wait in any case. The system counts it in hundredths of a second.

    Raises
    ------
    ValueError
        If a limit is not between 0 and 1.

    Examples
    --------
    >>> Limits(stolen=0.05).waited
    0.01
    """

    stolen: float = 0.02
    waited: float = 0.01
    foreign: float = 0.1

    def __post_init__(self) -> None:
        for name in ("stolen", "waited", "foreign"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be a share from 0 to 1, got {value!r}")

    def calm(self, run: LabRun) -> bool:
        """Whether a run stayed within the limits."""
        cores = max(len(run.cpu), 1)
        waits = [run.waited]
        others = 0.0
        if run.point.pinning == "split":
            # on a shared core the consumer waits for the softirq: that is the subject, not noise
            waits += [consumer.waited for consumer in run.consumers]
        else:
            kinds = run.cpu.get(run.cores.get("consumers") or 0, {})
            others = kinds.get("user", 0.0) - sum(consumer.user for consumer in run.consumers)
        return (
            run.stolen <= self.stolen * cores * run.elapsed
            and max(waits) <= self.waited * run.elapsed
            and others <= self.foreign * run.elapsed
        )


@dataclass(frozen=True)
class PointResult:
    """All runs of one point.

    Parameters
    ----------
    point : LabPoint
        The setting.
    runs : tuple of LabRun
        Those that count: the calm ones if there are two or more, else all.
    noisy : int
        Runs that were not calm.
    """

    point: LabPoint
    runs: tuple[LabRun, ...]
    noisy: int

    @property
    def disturbed(self) -> bool:
        """Whether no run was calm."""
        return self.noisy >= len(self.runs)

    def values(self, quantity: str = "captured") -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """A quantity of every run that counts.

        Parameters
        ----------
        quantity : str
            One of `QUANTITIES`.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If there is no such quantity, or these runs do not tell it.
        """
        if quantity not in QUANTITIES:
            raise unknown_choice("quantity", quantity, QUANTITIES)
        found = [QUANTITIES[quantity](run) for run in self.runs]
        if None in found:
            raise ValueError(f"{quantity} is not known of a program that is not the lab's")
        return np.array(found, dtype=np.float64)

    def median(self, quantity: str = "captured") -> float:
        """Median over the runs."""
        return float(np.median(self.values(quantity)))

    def spread(self, quantity: str = "captured") -> float:
        """Standard deviation from run to run, from the interquartile range (a normal law's)."""
        values = self.values(quantity)
        low, high = np.quantile(values, [0.25, 0.75])
        robust = (high - low) / _IQR_PER_SIGMA
        # quartiles of two to four values lie inside them: the range says more
        return float(
            robust if len(values) > 4 else np.std(values, ddof=1) if len(values) > 1 else 0
        )

    def error(self, quantity: str = "captured") -> float:
        """Standard error of the median."""
        return _MEDIAN_PER_MEAN * self.spread(quantity) / float(np.sqrt(len(self.runs)))


@dataclass(frozen=True)
class Experiment:
    """Results of a design, point by point.

    Parameters
    ----------
    results : tuple of PointResult
        In the order of the design.
    rounds : int
        Repetitions that were asked for.
    """

    results: tuple[PointResult, ...]
    rounds: int

    def all_runs(self) -> list[LabRun]:
        """Runs that count, of all points."""
        return [run for result in self.results for run in result.runs]

    @property
    def runs(self) -> int:
        """Runs made, noisy ones included."""
        return sum(len(result.runs) for result in self.results)

    @property
    def noisy(self) -> int:
        """Runs that were not calm."""
        return sum(result.noisy for result in self.results)

    @property
    def noise_floor(self) -> float:
        """Mean absolute distance of single runs from their point's median captured share [-].

        A prediction that were perfect would be this far off a single run.
        """
        distances = [
            np.abs(result.values() - result.median())
            for result in self.results
            if len(result.runs) > 1
        ]
        return float(np.mean(np.concatenate(distances))) if distances else 0.0


@contextmanager
def instrument() -> Iterator[Measure]:
    """The live instrument: one namespace for all points, closed at the end.

    Yields
    ------
    callable
        Runs a point.
    """
    with Namespace() as namespace:
        yield lambda point: run_point(point, namespace)


def run_experiment(
    design: Sequence[LabPoint],
    *,
    rounds: int = 5,
    retries: float = 0.5,
    limits: Limits | None = None,
    journal: str | Path | None = None,
    seed: int = 0,
    measure: Measure | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Experiment:
    """Run a design: every point once per round, in an order drawn anew for each round.

    Parameters
    ----------
    design : sequence of LabPoint
        The points.
    rounds : int
        Repetitions of the whole design.
    retries : float
        Extra runs allowed in place of noisy ones, as a share of all runs of the plan [-].
    limits : Limits, optional
        What counts as noisy.
    journal : str or Path, optional
        File that every finished run is written to at once. The same experiment started again with
        the same file continues where it was stopped: at most the run in progress is lost.
    seed : int
        Of the order of the points.
    measure : callable, optional
        Runs a point; default: the live instrument.
    progress : callable, optional
        Called after every run with the number of runs that are done and of those planned.

    Returns
    -------
    Experiment

    Raises
    ------
    ValueError
        If an argument is out of range, or the journal is damaged or of another experiment.
    LabError
        If this machine cannot run a point.

    Notes
    -----
    The points of a round follow each other, and rounds are long, so that a slow change of the
    machine (its clock, its neighbours) meets all points alike instead of some of them.
    """
    if not design:
        raise ValueError("design must hold at least one point, got none")
    check_rounds(rounds)
    if not 0.0 <= retries <= 10.0:
        raise ValueError(f"retries must be a share from 0 to 10, got {retries!r}")
    allowed = Limits() if limits is None else limits
    plan = {"rounds": rounds, "retries": retries, "seed": seed, "limits": asdict(allowed)}
    book = Journal(None if journal is None else Path(journal), design, plan)
    if measure is None:
        if _complete(book, rounds, retries):
            return _experiment(book, rounds)
        with instrument() as live:
            _run(book, rounds, retries, allowed, seed, live, progress)
    else:
        _run(book, rounds, retries, allowed, seed, measure, progress)
    return _experiment(book, rounds)


def check_rounds(rounds: object) -> None:
    """Refuse a number of repetitions that is not one.

    Parameters
    ----------
    rounds : object
        As given.

    Raises
    ------
    ValueError
        If it is not a whole number from 1 to 1000.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= _MOST_ROUNDS:
        raise ValueError(f"rounds must be a whole number from 1 to {_MOST_ROUNDS}, got {rounds!r}")


def _order(count: int, number: int, seed: int) -> list[int]:
    random = np.random.default_rng(np.random.SeedSequence([seed, number]))
    return [int(index) for index in random.permutation(count)]


def _missing(book: Journal, rounds: int) -> set[tuple[int, int]]:
    wanted = {(point, number) for number in range(rounds) for point in range(len(book.design))}
    return wanted - {(repeat.point, repeat.round) for repeat in book.repeats}


def _noisy(book: Journal) -> list[tuple[int, int]]:
    """Runs of the plan that no calm one stands for yet."""
    calm = {(repeat.point, repeat.round) for repeat in book.repeats if repeat.calm}
    seen = dict.fromkeys((repeat.point, repeat.round) for repeat in book.repeats)
    return [key for key in seen if key not in calm]


def _budget(book: Journal, rounds: int, retries: float) -> int:
    planned = rounds * len(book.design)
    first = len({(repeat.point, repeat.round) for repeat in book.repeats})
    return int(retries * planned) - (len(book.repeats) - first)


def _complete(book: Journal, rounds: int, retries: float) -> bool:
    if _missing(book, rounds):
        return False
    return not _noisy(book) or _budget(book, rounds, retries) <= 0


def _run(
    book: Journal,
    rounds: int,
    retries: float,
    limits: Limits,
    seed: int,
    measure: Measure,
    progress: Callable[[int, int], None] | None,
) -> None:
    count = len(book.design)

    def once(point: int, number: int) -> None:
        run = measure(book.design[point])
        book.add(Repeat(point, number, limits.calm(run), run))
        if progress is not None:
            progress(min(len(book.repeats), rounds * count), rounds * count)

    missing = _missing(book, rounds)
    for number in range(rounds):
        for point in _order(count, number, seed):
            if (point, number) in missing:
                once(point, number)
    # at the end, not at once: what disturbed a run is likely to last a while
    while _budget(book, rounds, retries) > 0 and (again := _noisy(book)):
        for point, number in again[: _budget(book, rounds, retries)]:
            once(point, number)


def _experiment(book: Journal, rounds: int) -> Experiment:
    results = []
    for index, point in enumerate(book.design):
        own = [repeat for repeat in book.repeats if repeat.point == index]
        calm = [repeat.run for repeat in own if repeat.calm]
        chosen = calm if len(calm) > 1 or len(calm) == len(own) else [r.run for r in own]
        results.append(PointResult(point, tuple(chosen), len(own) - len(calm)))
    return Experiment(tuple(results), rounds)
