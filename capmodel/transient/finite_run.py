"""What a run of a given length loses and holds, from empty buffers to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capmodel.formulary import finite_run_loss_diffusion
from capmodel.numerics.uniformisation import TooMuchWorkError, run
from capmodel.path import CapturePath
from capmodel.quantities import format_duration, format_share, parse_duration
from capmodel.tables import labelled
from capmodel.transient import _chain as chain
from capmodel.transient._queue import StageQueue, checked, stage_queue, steady


@dataclass(frozen=True, repr=False)
class FiniteRun:
    """Expected loss and content of a run that starts with everything empty.

    Attributes
    ----------
    path : CapturePath
        What runs.
    duration : float
        How long [s].
    offered : float
        Packets offered on average [-] (a count).
    drops : mapping
        Packets lost by then, by stage [-] (counts); what is held at the end is not lost.
    occupancy : mapping
        Packets in ``ring`` and ``buffer`` on average over the run [-].
    held : mapping
        Packets in ``ring`` and ``buffer`` at its end [-].
    method : str
        How they were found.
    exact : bool
        Whether that is exact for this path.
    error : str
        The stated error, in words.
    """

    path: CapturePath
    duration: float
    offered: float
    drops: Mapping[str, float]
    occupancy: Mapping[str, float]
    held: Mapping[str, float]
    method: str
    exact: bool
    error: str

    @property
    def loss(self) -> float:
        """Share of the offered packets lost by the end [-]."""
        return sum(self.drops.values()) / self.offered

    def summary(self) -> list[tuple[str, str]]:
        """What was offered and lost, and how that was found, as pairs of label and text."""
        return [
            ("offered", f"{self.offered:,.6g} packets"),
            ("lost", format_share(self.loss)),
            *((f"lost at the {stage}", _packets(count)) for stage, count in self.drops.items()),
            *((f"in the {stage} at its end", _packets(n)) for stage, n in self.held.items()),
            ("method", self.method),
            ("error", self.error),
        ]

    def __str__(self) -> str:
        return labelled(f"a run of {format_duration(self.duration)}", self.summary())

    def __repr__(self) -> str:
        return f"<FiniteRun: {format_duration(self.duration)}; {format_share(self.loss)} lost>"


def _packets(count: float) -> str:
    return f"{count:,.0f} packets" if count >= 100.0 else f"{count:.3g} packets"


def finite_run(path: CapturePath, duration: float | str) -> FiniteRun:
    """Expected loss and content of a run that starts empty.

    Parameters
    ----------
    path : CapturePath
        One path, no grid; pinning "same" or "split". Its own duration is not used.
    duration : float or str
        Length of the run [s], positive.

    Returns
    -------
    FiniteRun

    Raises
    ------
    ValueError
        If the path is none that drops, or the duration is not positive and finite.

    Notes
    -----
    A small Markovian path (60,000 states) is followed exactly, by uniformisation, until it is
    steady. Of larger ones every stage is taken by itself: overloaded stages fill and then lose as
    reflected Brownian motion does (:func:`capmodel.formulary.finite_run_loss_diffusion`), others
    lose at their steady rate from the beginning.

    Examples
    --------
    >>> path = CapturePath.single(rate=1.1, capacity=1000, consumer_cost=1.0)
    >>> round(finite_run(path, 12000.0).drops["ring"], 2)
    225.64
    """
    checked(path)
    length = parse_duration(duration, name="duration")
    if chain.objection(path) is None:
        try:
            return _followed(path, length)
        except TooMuchWorkError:
            pass
    return _by_stage(path, length)


def _followed(path: CapturePath, length: float) -> FiniteRun:
    found = chain.path_chain(path)
    names = ["drops", "ring_drops", "in_buffer", "in_ring"]
    weights = found.weights[:, [chain.COLUMNS[name] for name in names]]
    result = run(found.rates, found.start, weights, length, settle=found.settle)
    sums = dict(zip(names, result.sums.tolist(), strict=True))
    end = dict(zip(names, (result.end @ weights).tolist(), strict=True))
    drops = {"ring": sums["ring_drops"], "buffer": sums["drops"]}
    occupancy = {"ring": sums["in_ring"] / length, "buffer": sums["in_buffer"] / length}
    held = {"ring": end["in_ring"], "buffer": end["in_buffer"]}
    if path.buffer.kind == "ring":
        drops, occupancy, held = (
            {"ring": one["buffer"], "buffer": 0.0} for one in (drops, occupancy, held)
        )
    exact = chain.is_exact(path)
    return FiniteRun(
        path, length, float(path.arrivals.rate) * length, drops, occupancy, held,
        "Markov chain, uniformised", exact,
        "exact for phase-type services and exponential waits, to about 1e-10" if exact else
        "exact for services of Erlang-8 in place of more regular ones, to about 1e-10",
    )  # fmt: skip


def _by_stage(path: CapturePath, length: float) -> FiniteRun:
    solution = steady(path)
    drops, occupancy, held = {}, {}, {}
    for stage in ("ring", "buffer"):
        queue = stage_queue(path, stage, solution)
        drops[stage] = _lost(queue, length)
        occupancy[stage], held[stage] = _content(queue, length)
    return FiniteRun(
        path, length, float(path.arrivals.rate) * length, drops, occupancy, held,
        "stage by stage, Brownian motion where overloaded", False,
        "overloaded stages within 0.1 % of the packets offered plus the error of the solver "
        f"{solution.solver!r}; others at their steady rate, which is an upper bound",
    )  # fmt: skip


def _lost(queue: StageQueue, length: float) -> float:
    """Packets lost: the surplus, less what filled the stage."""
    rate = queue.drop_rate
    if not rate > 0.0:
        return 0.0
    if queue.drift <= 0.0 or queue.load < 1.05:  # the correction is for a clear overload
        full = queue.capacity if queue.drift > 0.0 else 0.0
        return max(rate * length - full, 0.0)
    # the long-run loss of the solver, with the diffusion's share of the time that filling takes
    served = max(queue.inflow - rate, 1e-12 * queue.inflow)
    if queue.variance == 0.0:
        return max(rate * length - queue.capacity, 0.0)
    lost: Any = finite_run_loss_diffusion(
        queue.inflow, served, queue.capacity, length, queue.inflow_scv, queue.service_scv
    )
    return float(lost)


def _content(queue: StageQueue, length: float) -> tuple[float, float]:
    """Mean content over the run and content at its end."""
    if not (queue.drift > 0.0 and queue.drop_rate > 0.0):
        return queue.content, queue.content
    filled = queue.capacity / queue.drift
    if filled >= length:
        return 0.5 * queue.drift * length, queue.drift * length
    return queue.capacity * (1.0 - 0.5 * filled / length), queue.capacity
