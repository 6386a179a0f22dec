"""A consumer that sleeps at an empty buffer, fed by any Markovian stream of deliveries, exactly.

The buffer level is the level of a finite quasi-birth-death chain. While the consumer works the
level goes both ways (the core); while it enters the wait call or is being woken the level only
rises (excursions); below level 1 lie the empty buffer and the signal, during which nothing is
delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, QBDSolution, Weights
from capmodel.numerics.doubling import Known, has_few_phases, solve_few_phases
from capmodel.numerics.gth import Array
from capmodel.numerics.phase_type import PhaseType
from capmodel.solvers._phase_products import phases_alone, starting, with_phases


@dataclass(frozen=True)
class Feed:
    """What delivers to the buffer: a Markovian arrival process of r states, and s while signalling.

    Attributes
    ----------
    moves, delivers : ndarray, shape (..., r, r)
        Rates [1/s] without and with a delivery, while the buffer is neither empty nor full.
    empty_moves, empty_delivers : ndarray, shape (..., r, r)
        The same while the buffer is empty.
    full_moves, full_delivers : ndarray, shape (..., r, r)
        The same while it is full, where what is delivered is lost.
    serves : ndarray, shape (r,)
        1 where the consumer may work, 0 where it must not.
    signal_entry : ndarray, shape (..., r, s)
        Deliveries that end in a signal [1/s], in place of `empty_delivers`.
    signal_moves : ndarray, shape (..., s, s)
        Rates [1/s] while the signal lasts.
    signal_exit : ndarray, shape (..., s, r)
        State in which deliveries go on after it, by probability.
    counts : ndarray, shape (..., r, q)
        Quantities to be averaged over time, by state.
    signal_counts : ndarray, shape (..., s, q)
        The same while a signal lasts.
    """

    moves: Array
    delivers: Array
    empty_moves: Array
    empty_delivers: Array
    full_moves: Array
    full_delivers: Array
    serves: Array
    signal_entry: Array
    signal_moves: Array
    signal_exit: Array
    counts: Array
    signal_counts: Array

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading dimensions, if this is a stack of feeds."""
        matrices = (self.delivers, self.full_delivers, self.signal_entry, self.signal_exit)
        return np.broadcast_shapes(self.moves.shape[:-2], *(a.shape[:-2] for a in matrices))


@dataclass(frozen=True)
class Sleeper:
    """The consumer: its service, and the mean times [s] of poll, signal and wakeup latency.

    All three may be 0. The signal is exponential, poll and latency pass through `stages` equal
    exponential stages. A consumer that spins never sleeps and is never signalled.
    """

    service: PhaseType
    poll: float = 0.0
    signal: float = 0.0
    latency: float = 0.0
    spins: bool = False
    stages: int = 1

    @property
    def delays(self) -> list[float]:
        """Times away during which the buffer only fills."""
        return [time for time in (self.poll, self.latency) if time > 0.0 and not self.spins]


@dataclass(frozen=True)
class Flows:
    """Long-run rates [1/s] and shares of time [-] of the whole; vectors go by state of the feed.

    `awake_counts`, `asleep_counts` and `signal_counts` are the feed's own quantities, averaged
    over time while the consumer is awake (or on its way), asleep, being signalled.
    """

    carried: Array
    delivered: Array
    drops: Array
    wakeups: Array
    polls: Array
    running: Array
    polling: Array
    waking: Array
    waiting: Array
    signalling: Array
    in_buffer: Array
    awake_counts: Array
    asleep_counts: Array
    signal_counts: Array
    falling: Array  # rate of falling asleep, by state of the feed
    full: Array  # probability of awake and full, by state of the feed


SUMS = ("carried", "delivered", "drops", "in_buffer", "running", "polling", "waking")


def solve_sleeper(feed: Feed, consumer: Sleeper, capacity: int) -> Flows:
    """Solve the chain of one feed (or of a stack of feeds) and one sleeping consumer."""
    return SleeperChain(feed, consumer, capacity).solve(feed)


class SleeperChain:
    """A consumer for feeds like `feed`: that may differ in where a delivery leads, only there.

    What does not depend on that is worked out once: `moves`, and how much is delivered in which
    state, must be the same in all feeds.
    """

    def __init__(self, feed: Feed, consumer: Sleeper, capacity: int) -> None:
        r, service, m = feed.moves.shape[-1], consumer.service, consumer.service.order
        self.consumer, self.capacity = consumer, capacity
        self.alone = phases_alone(feed.serves, service.rates)
        self.local = with_phases(feed.moves, m) + self.alone
        self.down = phases_alone(feed.serves, np.outer(service.exits, service.start))
        self.stages, self.join = _ways_on(r, consumer), _back(r, consumer)
        self.stay = None if self.stages is None else _spread(feed.moves, consumer) + self.stages
        self.bottom = _Bottom(feed, consumer)
        self.weights = _weights(feed, consumer, capacity, self.bottom)
        self._known: Known | None = None  # what all feeds have in common, if of few phases

    def solve(self, feed: Feed) -> Flows:
        """Solve the chain of one feed or of a stack of feeds."""
        return self.solved(feed).flows

    def solved(self, feed: Feed) -> SolvedChain:
        """The same, flows worked out only when they are asked for."""
        levels, boundary = self.rates(feed)
        if self._known is None and has_few_phases(levels):
            self._known = self._common(feed, levels, boundary)
        solution = solve_few_phases(levels, boundary, self.weights, self._known)
        return SolvedChain(self, feed, boundary, solution)

    def stationary(self, feed: Feed) -> QBDSolution:
        """The probabilities themselves."""
        return self.solved(feed).solution

    def _common(self, feed: Feed, levels: Levels, boundary: Boundary) -> Known:
        """From the first of a stack for all."""
        if feed.batch:
            rise, depart = levels.rise, boundary.depart
            levels = replace(levels, up=levels.up[0], rise=None if rise is None else rise[0])
            boundary = replace(
                boundary, up=boundary.up[0], depart=None if depart is None else depart[0]
            )
        with np.errstate(all="ignore"):  # as where it is used
            return Known.of(levels, boundary, self.weights)

    def rates(self, feed: Feed) -> tuple[Levels, Boundary]:
        """The chain of one feed or of a stack of feeds."""
        m, d = self.consumer.service.order, self.consumer.stages
        full, rise, top_stay = feed.full_moves + feed.full_delivers, None, None
        if self.stages is not None:
            rise = _spread(feed.delivers, self.consumer)
            top_stay = with_phases(full, d)[..., None, :, :] + self.stages
        levels = Levels(
            count=self.capacity,
            up=with_phases(feed.delivers, m),
            local=self.local,
            down=self.down,
            top=with_phases(full, m) + self.alone,
            rise=rise,
            stay=self.stay,
            join=self.join,
            top_stay=top_stay,
        )  # fmt: skip
        return levels, self.bottom.rates(feed)


def _stages(states: int, time: float, stages: int) -> Array:
    """From one stage of a time away to the next, the feed stays."""
    return phases_alone(np.ones(states), np.eye(stages, k=1) * (stages / time))


def _ways_on(states: int, consumer: Sleeper) -> Array | None:
    """While the consumer is away its stages move on, the feed stays."""
    if not consumer.delays:
        return None
    return np.stack([_stages(states, time, consumer.stages) for time in consumer.delays])


def _spread(matrix: Array, consumer: Sleeper) -> Array:
    """The feed moves while the consumer is away, its stages stay."""
    spread = with_phases(matrix, consumer.stages)[..., None, :, :]
    groups = len(consumer.delays)
    return spread if groups == 1 else np.concatenate([spread] * groups, axis=-3)


def _back(states: int, consumer: Sleeper) -> Array | None:
    """From the last stage of a time away to work."""
    d, start = consumer.stages, consumer.service.start
    if not consumer.delays:
        return None
    last = np.zeros((d, len(start)))
    last[-1] = start * d
    return np.stack([phases_alone(np.ones(states), last / time) for time in consumer.delays])


class _Bottom:
    """States below level 1, in this order: polling, asleep (or spinning), signalling."""

    def __init__(self, feed: Feed, consumer: Sleeper) -> None:
        r, s = feed.signal_entry.shape[-2:]
        m = consumer.service.order
        self.consumer = consumer
        self.polls = polls = consumer.poll > 0.0 and not consumer.spins
        self.signals = signals = consumer.signal > 0.0 and not consumer.spins
        self.delayed = consumer.latency > 0.0 and not consumer.spins
        d = consumer.stages
        at = np.cumsum([0, r * d if polls else 0, r, s if signals else 0])
        self.polling, self.waiting, self.signalling = (
            slice(at[i], at[i + 1]) for i in range(3)
        )  # fmt: skip
        self.size = b = int(at[3])
        self.local = local = np.zeros((*feed.batch, b, b))
        self.down = np.zeros((r * m, b))
        if polls:
            steps = _stages(r, consumer.poll, d)
            local[..., self.polling, self.polling] = with_phases(feed.empty_moves, d) + steps
            last = np.arange(r) * d + d - 1
            local[..., last, self.waiting.start + np.arange(r)] = d / consumer.poll
        local[..., self.waiting, self.waiting] = feed.empty_moves
        if signals:
            local[..., self.waiting, self.signalling] = feed.signal_entry
            local[..., self.signalling, self.signalling] = feed.signal_moves
        emptied = self.polling if polls else self.waiting
        first = np.arange(r * m) // m * (d if polls else 1)
        self.down[np.arange(r * m), emptied.start + first] = (
            feed.serves[:, None] * consumer.service.exits
        ).reshape(-1)

    def rates(self, feed: Feed) -> Boundary:
        """All of their rates; those upwards depend on where a delivery leads."""
        r, d, start = feed.moves.shape[-1], self.consumer.stages, self.consumer.service.start
        groups = int(self.polls) + int(self.delayed)
        up = np.zeros((*feed.batch, self.size, r * len(start)))
        depart = np.zeros((*feed.batch, groups, self.size, r * d))
        if self.polls:
            depart[..., 0, self.polling, :] = with_phases(feed.empty_delivers, d)
        rows, to = self.waiting, feed.empty_delivers
        if self.signals:
            rows, to = self.signalling, feed.signal_exit / self.consumer.signal
        if self.delayed:
            depart[..., -1, rows, ::d] = to
        else:
            up[..., rows, :] = starting(to, start)
        return Boundary(self.local, up, self.down, depart if groups else None)


def _weights(feed: Feed, consumer: Sleeper, capacity: int, bottom: _Bottom) -> Weights:
    r, q = feed.counts.shape[-2:]
    m, d, n = consumer.service.order, consumer.stages, len(SUMS)
    batch = feed.batch
    names = [
        name for name, there in (("polling", bottom.polls), ("waking", bottom.delayed)) if there
    ]
    index = {name: i for i, name in enumerate(SUMS)}
    delivered, lost = feed.delivers.sum(-1), feed.full_delivers.sum(-1)

    def plain(phases: int, rate: Array, dropped: Array | None = None) -> Array:
        """By state of the feed and phase of the consumer."""
        weight = np.zeros((*batch, r, phases, n + q))
        weight[..., index["delivered"]] = rate[..., None]
        weight[..., n:] = feed.counts[..., None, :]
        if dropped is not None:
            weight[..., index["drops"]] = dropped[..., None]
            weight[..., index["in_buffer"]] = capacity
        return weight.reshape(*batch, r * phases, n + q)

    def working(weight: Array) -> Array:
        weight[..., index["carried"]] = (feed.serves[:, None] * consumer.service.exits).reshape(-1)
        weight[..., index["running"]] = 1.0
        return weight

    def away(weight: Array) -> Array | None:
        if not names:
            return None
        weight = np.stack([weight] * len(names), axis=-3)
        for group, name in enumerate(names):
            weight[..., group, :, index[name]] = 1.0
        return weight

    def slope(states: tuple[int, ...]) -> Array:
        weight = np.zeros((*batch, *states, n + q))
        weight[..., index["in_buffer"]] = 1.0
        return weight

    below = np.zeros((*batch, bottom.size, n + q))
    if bottom.polls:
        below[..., bottom.polling, :] = plain(d, feed.empty_delivers.sum(-1))
        below[..., bottom.polling, index["polling"]] = 1.0
    below[..., bottom.waiting, index["delivered"]] = feed.empty_delivers.sum(-1)
    below[..., bottom.signalling, index["in_buffer"]] = 1.0
    return Weights(
        boundary=below, core=working(plain(m, delivered)), core_slope=slope((r * m,)),
        core_top=working(plain(m, lost, lost)), excursion=away(plain(d, delivered)),
        excursion_slope=slope((len(names), r * d)) if names else None,
        excursion_top=away(plain(d, lost, lost)),
    )  # fmt: skip


class SolvedChain(NamedTuple):
    """The solution for a feed or a stack of feeds, and what follows from it."""

    chain: SleeperChain
    feed: Feed
    boundary: Boundary
    solution: QBDSolution

    @property
    def awake_counts(self) -> Array:
        """As `Flows` has them."""
        return self.solution.sums[..., len(SUMS) :]

    @property
    def falling(self) -> Array:
        """As `Flows` has it."""
        bottom, consumer = self.chain.bottom, self.chain.consumer
        if not bottom.polls:
            return self._emptied[..., bottom.waiting]
        polling = self.solution.boundary[..., bottom.polling]
        falling: Array = polling[..., consumer.stages - 1 :: consumer.stages]
        return falling * (consumer.stages / consumer.poll)

    @property
    def full(self) -> Array:
        """As `Flows` has it."""
        consumer, solution = self.chain.consumer, self.solution
        r, m = self.feed.moves.shape[-1], consumer.service.order
        full: Array = solution.last.reshape(*solution.last.shape[:-1], r, m).sum(-1)
        if self.boundary.depart is not None:
            away = solution.last_excursions.sum(-2)
            full = full + away.reshape(*away.shape[:-1], r, consumer.stages).sum(-1)
        return full

    @property
    def _emptied(self) -> Array:
        """Rates of emptying the buffer, by state below level 1."""
        emptied: Array = (self.solution.first[..., None, :] @ self.boundary.down)[..., 0, :]
        return emptied

    @property
    def flows(self) -> Flows:
        """All of it."""
        feed, solution, bottom = self.feed, self.solution, self.chain.bottom
        waiting = solution.boundary[..., bottom.waiting]
        signal = solution.boundary[..., bottom.signalling]

        def average(share: Array, counts: Array) -> Array:
            return (share[..., None, :] @ counts)[..., 0, :]

        wakeups = (waiting * feed.empty_delivers.sum(-1)).sum(-1)
        spins, counts = self.chain.consumer.spins, self.awake_counts
        polls = self._emptied.sum(-1)
        return Flows(
            **{name: solution.sums[..., i] for i, name in enumerate(SUMS)},
            wakeups=0.0 * wakeups if spins else wakeups,
            polls=0.0 * polls if spins else polls,
            waiting=waiting.sum(-1),
            signalling=signal.sum(-1),
            awake_counts=counts,
            asleep_counts=average(waiting, feed.counts),
            signal_counts=average(signal, feed.signal_counts)
            if signal.shape[-1] > 0 else 0.0 * counts,
            falling=self.falling,
            full=self.full,
        )  # fmt: skip
