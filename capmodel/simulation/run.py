"""Replications of a simulated path, and what they say with which confidence."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from capmodel.formulary.scheduling import environment_mean, environment_variance
from capmodel.path import CapturePath
from capmodel.simulation.costs import BLOCKS, POLLING, RING, Costs, Source, costs, plain, source
from capmodel.simulation.tally import COUNTS, TIMES
from capmodel.simulation.words import summary
from capmodel.tables import labelled

if TYPE_CHECKING:  # it is compiled, and numba is optional
    from capmodel.simulation.record import Record

Floats = npt.NDArray[np.float64]

MISSING = 'the simulation needs numba, which is not installed: pip install "capmodel[sim]"'
_MOST_RECORDED = 10_000_000  # packets of a buffer
_STAYS = 20  # a scheduler is simulated as it moves if a replication sees so many of its rounds


@dataclass(frozen=True, repr=False)
class SimulationResult:
    """Means over independent replications, with 95 % confidence half-widths.

    Attributes
    ----------
    path : CapturePath
        What was simulated.
    mean, half_width, std : mapping
        By quantity: mean over the replications, half-width of its 95 % confidence interval, and
        standard deviation from one replication to the next. Rates in 1/s, shares of core time as
        ``core.activity``.
    counts : mapping
        Packets and events added up over all replications. ``captured`` and ``buffer drops`` are
        added up over the `processes` consumers, each of which is offered every packet: processes
        x (offered + in ring before - ring drops - in ring after) + in buffers before = captured +
        buffer drops + in buffers after, exactly.
    replications, seed : int
        How often, and from which seed; the same seed gives the same result.
    whole_runs : bool
        Whether every replication is a run of the path's own duration, from its first packet until
        the last has left (else a stretch of the steady state).
    packets : int
        Packets offered in one replication, after the warm-up.
    moves_std : float
        Standard deviation of the captured share of one run that a scheduler causes whose moves
        were not simulated [-].
    notes : tuple of str
        What the reader has to know.
    """

    path: CapturePath
    mean: Mapping[str, float]
    half_width: Mapping[str, float]
    std: Mapping[str, float]
    counts: Mapping[str, int]
    replications: int
    seed: int
    whole_runs: bool
    packets: int
    moves_std: float = 0.0
    notes: tuple[str, ...] = ()

    def summary(self) -> list[tuple[str, str]]:
        """The main quantities with their confidence intervals, as pairs of label and text."""
        return summary(self.mean, self.half_width)

    @property
    def _title(self) -> str:
        what = "whole runs" if self.whole_runs else "the steady state"
        return (
            f"simulation of {what}: {self.replications} replications of {self.packets:,} packets, "
            f"seed {self.seed}"
        )

    def __str__(self) -> str:
        return labelled(self._title, [*self.summary(), *(("note", text) for text in self.notes)])

    def __repr__(self) -> str:
        captured = dict(self.summary())["captured"]
        return f"<SimulationResult: {self._title}; captured {captured}>"


@dataclass(frozen=True)
class _Plan:
    """What one replication does."""

    places: tuple[Costs, Costs]
    stays: tuple[float, float]
    source: Source
    trace: Floats
    rate: float
    warmup: int
    packets: int
    horizon: float
    filled: int
    factors: tuple[Floats, Floats] = (np.empty(0), np.empty(0))


def simulate(
    path: CapturePath,
    *,
    packets: int = 1_000_000,
    replications: int = 8,
    seed: int = 0,
    trace: Sequence[float] | Floats | None = None,
    trace_costs: tuple[Floats, Floats] | None = None,
    waits_scv: float = 0.0,
) -> SimulationResult:
    """Simulate a capture path packet by packet.

    Parameters
    ----------
    path : CapturePath
        One path, no grid.
    packets : int
        Packets to offer, all replications together. A run (a path with a finite duration) that
        has no more packets than this is simulated as a whole in every replication; of a longer one
        the steady state is, as of an endless one.
    replications : int
        Independent repetitions, at least 2.
    seed : int
        Seed of all random numbers.
    trace : sequence of float, optional
        Arrival times in rising order [s] instead of the path's own arrivals; its first packet may
        come at any time from 0.
    trace_costs : pair of arrays, optional
        Mean time that each packet of the trace takes in the kernel and in the consumer [s], instead
        of the path's; for one consumer with slots and a core of its own.
    waits_scv : float
        Squared coefficient of variation of wakeup cost, wakeup latency and poll cost [-]: 0 as the
        path says (constant), 1 as Markov chains have it.

    Returns
    -------
    SimulationResult

    Raises
    ------
    ValueError
        If an argument is out of range, or the path is one that is not simulated.
    ImportError
        If numba is not installed.

    Examples
    --------
    >>> path = CapturePath.single(rate=0.8, capacity=5, consumer_cost=1.0)
    >>> result = simulate(path, packets=400_000)  # M/M/1/5 loses 0.08882
    >>> abs(result.mean["loss"] - 0.08882) < 3 * result.half_width["loss"] < 0.01
    True
    """
    if replications < 2:
        raise ValueError(f"replications must be at least 2, got {replications!r}")
    if packets < 2 * replications:
        raise ValueError(f"packets must be at least 2 per replication, got {packets!r}")
    if waits_scv < 0.0:
        raise ValueError(f"waits_scv must not be negative, got {waits_scv!r}")
    if importlib.util.find_spec("numba") is None:
        raise ImportError(MISSING)
    reason = refusal(path)
    if reason is not None:
        raise ValueError(reason)
    each = packets // replications
    length = float(path.arrivals.duration)
    rate = float(path.arrivals.rate)
    whole = trace is not None or rate * length <= packets
    if path.alternatives and not whole and not _moves_enough(path, each):
        return _mixture(path, packets, replications, seed, waits_scv)
    plan = _plan(path, each, whole, trace, waits_scv)
    if trace_costs is not None:
        plan = replace(plan, factors=_factors(path, plan, trace, trace_costs))
    runs = [_replicate(plan, rng) for rng in _streams(seed, replications)]
    samples = [quantities(plan, *run) for run in runs]
    totals = np.sum([counts for _, counts in runs], axis=0)
    table: dict[str, Floats] = {
        name: np.array([sample[name] for sample in samples]) for name in samples[0]
    }
    seen = table.pop("carried_seen")
    if not whole:
        _calm(table, seen, rate)
    std = {name: _deviation(values) for name, values in table.items()}
    factor = _student(replications - 1) / math.sqrt(replications)
    return SimulationResult(
        path=path,
        mean={name: float(np.mean(values)) for name, values in table.items()},
        half_width={name: factor * value for name, value in std.items()},
        std=std,
        counts=dict(zip(COUNTS, totals.tolist(), strict=True)),
        replications=replications,
        seed=seed,
        whole_runs=whole,
        packets=int(totals[0]) // replications,
    )


def takes_costs(path: CapturePath) -> bool:
    """Whether `simulate` can give every packet of a trace its own costs on this path."""
    return not path.alternatives and plain(costs(path))


def _factors(
    path: CapturePath,
    plan: _Plan,
    trace: Sequence[float] | Floats | None,
    given: tuple[Floats, Floats],
) -> tuple[Floats, Floats]:
    if trace is None:
        raise ValueError("trace_costs needs the trace whose packets cost that much")
    if not takes_costs(path):
        raise ValueError(
            "trace_costs needs a path with one consumer, slots and a core of its own, "
            "under napi or an interrupt per packet"
        )
    found = []
    for stage, mean, values in zip(
        ("kernel", "consumer"), (path.kernel.cost, path.consumer.cost), given, strict=True
    ):
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(trace),) or not np.all(np.isfinite(array) & (array >= 0.0)):
            raise ValueError(
                f"trace_costs must hold a finite time of 0 or more in the {stage} for each of the "
                f"{len(trace)} packets, got shape {array.shape}"
            )
        scale = array / float(mean) if float(mean) > 0.0 else np.ones_like(array)
        found.append(np.ascontiguousarray(scale[: len(plan.trace)]))
    return found[0], found[1]


def _streams(seed: int, replications: int) -> list[np.random.Generator]:
    spawned = np.random.SeedSequence(seed).spawn(replications)
    return [np.random.Generator(np.random.PCG64(stream)) for stream in spawned]


def recorded(
    path: CapturePath, *, packets: int, replications: int, seed: int = 0, waits_scv: float = 0.0
) -> list[Record]:
    """Simulate with the event list, packets and moments on record; one record per replication.

    Of a scheduler that moves too seldom to be simulated as it moves there is no record.
    """
    from capmodel.simulation.record import new_record

    each = packets // replications
    whole = float(path.arrivals.rate) * float(path.arrivals.duration) <= packets
    if path.alternatives and not whole and not _moves_enough(path, each):
        raise ValueError(
            "quantiles: the scheduler moves too seldom to be simulated as it moves; "
            "ask for pinning 'same' and 'split' by themselves"
        )
    plan = _plan(path, each, whole, None, waits_scv)
    largest = max(min(place.capacity, plan.filled + plan.packets) for place in plan.places)
    if largest > _MOST_RECORDED:
        raise ValueError(
            f"quantiles: a buffer of {largest} packets is too large to be recorded, "
            f"at most {_MOST_RECORDED}"
        )
    records = []
    for rng in _streams(seed, replications):
        record = new_record(plan.places[1], plan.warmup + plan.packets + plan.filled)
        _replicate(plan, rng, record)
        records.append(record)
    return records


def refusal(path: CapturePath) -> str | None:
    """Why a path is not simulated; None if it is."""
    if path.on_full == "block":
        return "the simulation drops at a full buffer; it has no producer that waits"
    if np.any(np.asarray(path.arrivals.peak_rate) > path.kernel.driver.bus_rate):
        return "the simulation has no bus that loses packets before the ring"
    whole_blocks = path.buffer.kind in ("double", "blocks")
    if whole_blocks and path.wakeup.policy in ("spin", "sleep", "yield"):
        return (
            f"buffers that change hands as a whole are simulated with a reader that blocks, "
            f"not with policy {path.wakeup.policy!r}"
        )
    for name, value in (
        ("kernel cost", path.kernel.cost),
        ("consumer cost", path.consumer.cost),
        ("wakeup cost", path.wakeup.cost),
        ("wakeup latency", path.wakeup.latency),
        ("poll cost", path.wakeup.poll_cost),
    ):
        if not np.all(np.isfinite(np.asarray(value, dtype=np.float64))):
            return f"the simulation needs a finite {name}, got {value!r}"
    return next((why for why in map(refusal, path.alternatives) if why is not None), None)


def _calm(table: dict[str, Floats], seen: Floats, rate: float) -> None:
    """Take the carried rate from whichever estimate varies less between replications.

    Below saturation that is the captured share of what came, at saturation the packets carried per
    second, whatever came. The drops follow, so that packets stay conserved.
    """
    captured = table["captured"]
    if np.std(seen) >= rate * np.std(captured) or np.any(seen > rate) or np.any(captured >= 1.0):
        return
    scale = (1.0 - seen / rate) / (1.0 - captured)
    table["captured"], table["carried_rate"] = seen / rate, seen
    for name in ("loss", "ring_drops", "buffer_drops"):
        table[name] = table[name] * scale


def _deviation(values: Floats) -> float:
    """Standard deviation; infinite where a replication had nothing to average."""
    return float(np.std(values, ddof=1)) if np.all(np.isfinite(values)) else math.inf


def _student(degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975))


def _moves_enough(path: CapturePath, packets: int) -> bool:
    cores = path.cores
    round_trip = 1.0 / float(cores.leave_same) + 1.0 / float(cores.leave_split)
    return packets >= _STAYS * float(path.arrivals.rate) * round_trip


def _plan(
    path: CapturePath,
    each: int,
    whole: bool,
    trace: Sequence[float] | Floats | None,
    waits_scv: float,
) -> _Plan:
    times = np.empty(0) if trace is None else np.ascontiguousarray(trace, dtype=np.float64)
    rate, horizon = float(path.arrivals.rate), float(path.arrivals.duration)
    if trace is not None:
        good = times.ndim == 1 and times.size > 0 and np.all(np.isfinite(times))
        if not (good and np.all(np.diff(times) >= 0.0) and times[0] >= 0.0):
            raise ValueError("trace must be arrival times of at least one packet in rising order")
        horizon = float(np.nextafter(times[-1], np.inf)) if math.isinf(horizon) else horizon
        times = times[times <= horizon]
        rate = times.size / horizon
    alternatives = path.alternatives or (path, path)
    first, second = (costs(place, waits_scv) for place in alternatives)
    stays = (math.inf, math.inf)
    if path.alternatives:
        stays = (1.0 / float(path.cores.leave_same), 1.0 / float(path.cores.leave_split))
    offered = source(path.arrivals, trace is not None)
    if whole:
        most = times.size if trace is not None else int(4.0 * rate * horizon) + 1000
        return _Plan((first, second), stays, offered, times, rate, 0, most, horizon, 0)
    filled = _held(second, rate) if _overloaded(second, rate) else 0
    room = second.ring * 4 + 2 * min(second.capacity, each)
    warmup = min(each // 10 + min(room, 4 * each), 2 * each)
    return _Plan(
        (first, second), stays, offered, times, rate, warmup, each, math.inf, min(filled, 2**40)
    )


def _held(c: Costs, rate: float) -> int:
    """Packets in a full buffer; a retire timer closes blocks before they are."""
    if c.kind != BLOCKS or math.isinf(c.retire):
        return c.capacity
    fed = _fed(c, rate)
    return c.blocks * max(min(c.block, int(fed * c.retire)), 1)


def _fed(c: Costs, rate: float) -> float:
    """Most that the kernel can put into the buffer [1/s]."""
    fed = min(rate, 1.0 / c.kernel) if c.kernel > 0.0 else rate
    return min(fed, c.budget / c.tick) if c.driver == POLLING else fed


def _overloaded(c: Costs, rate: float) -> bool:
    """Whether the consumer falls behind in the long run, so that its buffer is full."""
    work = c.consumer * c.processes
    if c.kind == BLOCKS:
        work += c.poll * c.processes / c.block
    if c.same:
        return rate * (c.kernel + work) > 1.0
    fed = _fed(c, rate)
    return fed * work > 1.0


def _replicate(
    plan: _Plan, rng: np.random.Generator, record: Record | None = None
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """One replication; the event list keeps a record if one is given."""
    times, counts = np.zeros(len(TIMES)), np.zeros(len(COUNTS), dtype=np.int64)
    here = plan.places[1]
    if record is None and math.isinf(plan.stays[0]) and plain(here):
        from capmodel.simulation.tandem import recursion

        recursion(
            here, plan.source, rng, plan.trace, plan.warmup, plan.packets, plan.horizon,
            plan.filled, times, counts, *plan.factors,
        )  # fmt: skip
        return times, counts
    from capmodel.simulation.events import events
    from capmodel.simulation.record import no_record

    record = no_record() if record is None else record
    start = 1
    if math.isfinite(plan.stays[0]):
        start = int(rng.random() * sum(plan.stays) >= plan.stays[0])
    events(
        plan.places, plan.stays, start, plan.source, rng, plan.trace, plan.warmup, plan.packets,
        plan.horizon, plan.filled, times, counts, record,
    )  # fmt: skip
    return times, counts


def quantities(plan: _Plan, times: Floats, counts: npt.NDArray[np.int64]) -> dict[str, float]:
    """Rates, shares and occupancies of one replication."""
    t = dict(zip(TIMES, times.tolist(), strict=True))
    k = dict(zip(COUNTS, counts.tolist(), strict=True))
    n, rate, elapsed = plan.places[1].processes, plan.rate, max(t["elapsed"], 1e-300)
    gone = max(k["captured"] + k["buffer drops"] + n * k["ring drops"], 1)
    ring, buffer = n * k["ring drops"] / gone, k["buffer drops"] / gone
    direct = plan.places[1].kind == RING
    in_ring = (t["ring time"] + (t["buffer time"] / n if direct else 0.0)) / elapsed
    out = {
        "offered_rate": rate,
        "carried_rate": rate * k["captured"] / gone,
        "captured": k["captured"] / gone,
        "loss": ring + buffer,
        "ring_drops": rate * ring,
        "buffer_drops": rate * buffer,
        "wakeup_rate": k["wakes"] / elapsed,
        "poll_rate": k["polls"] / elapsed,
        "interrupt_rate": k["interrupts"] / elapsed,
        "ring_occupancy": in_ring,
        "buffer_occupancy": 0.0 if direct else t["buffer time"] / elapsed / n,
        "carried_seen": k["captured"] / n / elapsed,
        "sojourn_time": t["stay"] / k["captured"] if k["captured"] else math.inf,
    }
    shares = {
        f"{core}.{activity}": max(t[f"{core} {activity}"], 0.0) / elapsed
        for core, activity in (
            ("kernel", "packets"), ("kernel", "drops"), ("kernel", "wakeups"),
            ("kernel", "interrupts"), ("consumer", "packets"), ("consumer", "waiting"),
            ("consumer", "switches"),
        )
    }  # fmt: skip
    for cores in (("kernel", "consumer"),) if plan.places[1].same else (("kernel",), ("consumer",)):
        # work that begins within the time that is looked at may end after it: at most all of it
        names = [name for name in shares if name.split(".")[0] in cores]
        used = sum(shares[name] for name in names)
        for name in names:
            shares[name] /= max(used, 1.0)
    return out | shares


def _mixture(
    path: CapturePath, packets: int, replications: int, seed: int, waits_scv: float
) -> SimulationResult:
    """Two placements that last long: each by itself, weighted by the time spent in it."""
    same, split = (
        simulate(
            replace(place, arrivals=path.arrivals), packets=packets // 2,
            replications=replications, seed=seed + number, waits_scv=waits_scv,
        )
        for number, place in enumerate(path.alternatives)
    )  # fmt: skip
    leave_same, leave_split = float(path.cores.leave_same), float(path.cores.leave_split)
    share = float(environment_mean(1.0, 0.0, leave_same, leave_split))

    def width(a: float, b: float) -> float:
        return math.hypot(share * a, (1.0 - share) * b)

    moves_std = 0.0
    if math.isfinite(float(path.arrivals.duration)):
        means = same.mean["captured"], split.mean["captured"]
        variance = environment_variance(*means, leave_same, leave_split, path.arrivals.duration)
        moves_std = math.sqrt(float(variance))
    names = list(same.mean)
    return SimulationResult(
        path=path,
        mean={k: share * same.mean[k] + (1.0 - share) * split.mean[k] for k in names},
        half_width={k: width(same.half_width[k], split.half_width[k]) for k in names},
        std={k: width(same.std[k], split.std[k]) for k in names},
        counts={k: same.counts[k] + split.counts[k] for k in same.counts},
        replications=replications,
        seed=seed,
        whole_runs=False,
        packets=same.packets + split.packets,
        moves_std=moves_std,
        notes=(
            "the scheduler moves too seldom to be simulated as it moves: the two placements were "
            "simulated by themselves and weighted by the time spent in each",
        ),
    )
