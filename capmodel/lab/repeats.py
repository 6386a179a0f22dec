"""Points run several times in turn: medians and spread, not what one moment brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.lab.namespace import Namespace
from capmodel.lab.outcome import LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.run import run_point


@dataclass(frozen=True)
class Repeats:
    """The runs of one point.

    Parameters
    ----------
    point : LabPoint
        What was run.
    runs : tuple of LabRun
        In the order in which they were done.
    """

    point: LabPoint
    runs: tuple[LabRun, ...]

    def median(self, name: str) -> float:
        """Median over the runs of an attribute of :class:`~capmodel.lab.outcome.LabRun`."""
        return float(np.median([getattr(run, name) for run in self.runs]))

    def quartiles(self, name: str) -> tuple[float, float]:
        """Lower and upper quartile over the runs of an attribute."""
        low, high = np.quantile([getattr(run, name) for run in self.runs], [0.25, 0.75])
        return float(low), float(high)

    @property
    def disturbed(self) -> float:
        """Median over the runs of the largest share of time that one wanted a core in vain [-].

        Of the sender's time, or of that in which a consumer was ready to run. Other processes and
        the hypervisor had the core; where softirq work shares it, also the kernel's thread for
        that.
        """
        return float(np.median([_disturbed(run) for run in self.runs]))


def _disturbed(run: LabRun) -> float:
    sender = (run.waited + run.stolen / max(1, len(run.cpu))) / run.elapsed
    wanted = [(c.waited, c.waited + c.user + c.system) for c in run.consumers]
    return max(sender, *(vain / whole if whole else 0.0 for vain, whole in wanted))


def run_interleaved(
    points: Sequence[LabPoint],
    repeats: int,
    namespace: Namespace,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Repeats, ...]:
    """Run points several times, all of them in every round, each round in another order.

    Parameters
    ----------
    points : sequence of LabPoint
        What to run.
    repeats : int
        Rounds, at least 1.
    namespace : Namespace
        Where.
    seed : int
        Of the orders; the traffic of every round has a seed of its own too.
    progress : callable, optional
        Told how many runs are done, and of how many.

    Returns
    -------
    tuple of Repeats
        In the order of `points`.

    Raises
    ------
    ValueError
        If there is nothing to run.
    LabError
        As :func:`capmodel.lab.run_point`.
    """
    if repeats < 1 or not points:
        raise ValueError(f"repeats must be at least 1 and points not empty, got {repeats}")
    rng = np.random.default_rng(seed)
    found: list[list[LabRun]] = [[] for _ in points]
    done, total = 0, repeats * len(points)
    for number in range(repeats):
        for index in rng.permutation(len(points)):
            point = points[index].with_values(seed=points[index].seed + number)
            found[index].append(run_point(point, namespace))
            done += 1
            if progress is not None:
                progress(done, total)
    return tuple(Repeats(point, tuple(runs)) for point, runs in zip(points, found, strict=True))


def row(repeats: Repeats) -> dict[str, Any]:
    """The medians of a point's runs, as plain values.

    Parameters
    ----------
    repeats : Repeats
        Its runs.

    Returns
    -------
    dict
        With the quartiles of the captured share, and times and rates in SI units.
    """
    low, high = repeats.quartiles("captured")
    runs = repeats.runs
    polls = None if any(run.polls is None for run in runs) else repeats.median("polls")
    elapsed = repeats.median("elapsed")
    return {
        "rate": repeats.point.rate,
        "work": repeats.point.work[0],
        "pinning": repeats.point.pinning,
        "runs": len(runs),
        "captured": repeats.median("captured"),
        "captured_low": low,
        "captured_high": high,
        "wakeup_rate": repeats.median("wakeup_rate"),
        "poll_rate": None if polls is None else polls / elapsed,
        "ring_drops": repeats.median("ring_drops"),
        "backlog_drops": repeats.median("backlog_drops"),
        "buffer_drops": repeats.median("buffer_drops"),
        "kernel_time": repeats.median("kernel_time"),
        "disturbed": repeats.disturbed,
    }
