"""What the kernel delivers to the buffer, as a Markovian arrival process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capmodel.numerics.gth import Array, stationary
from capmodel.numerics.phase_type import PhaseType
from capmodel.path import Arrivals
from capmodel.solvers._sleeping import Feed

# Quantities averaged over time, in the order of the columns of `Feed.counts`.
COUNTS = ("in_ring", "ring_drops", "busy", "interrupting", "idle", "interrupts")


@dataclass(frozen=True)
class Source:
    """A Markov chain that moves with an arrival (`arrive`, [1/s]) and without (`moves`, [1/s])."""

    arrive: Array
    moves: Array

    @property
    def states(self) -> int:
        """How many states the chain has [-]."""
        return len(self.arrive)

    @property
    def rates(self) -> Array:
        """Arrivals per second in each state [1/s]."""
        return np.asarray(self.arrive.sum(axis=-1))

    @property
    def mean(self) -> float:
        """Long-run arrivals [1/s]."""
        return float(stationary(self.moves + self.arrive) @ self.rates)


@dataclass(frozen=True)
class KernelService:
    """Kernel time per packet in phases; `first` is where a packet starts that finds it idle.

    `paced` is 1 for phases that a full buffer or a spinning consumer speeds up or slows down.
    """

    time: PhaseType
    first: Array
    paced: Array

    @property
    def interrupts(self) -> bool:
        """Whether an interrupt comes before the first packet of a busy period."""
        return self.time.order > 1 and bool(np.any(self.paced == 0.0))

    def at_pace(self, pace: float) -> PhaseType:
        """The phases passed through at another pace."""
        factor = np.where(self.paced > 0.0, pace, 1.0)
        return PhaseType(
            self.time.start, self.time.rates * factor[:, None], self.time.exits * factor
        )


def kron(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Kronecker product as float64."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not first.ndim == second.ndim == 2:
        return np.asarray(np.kron(first, second), dtype=np.float64)
    (m, n), (p, q) = first.shape, second.shape  # numpy's own takes any number of dimensions
    product: Array = first[:, None, :, None] * second[None, :, None, :]
    return product.reshape(m * p, n * q)


def source(arrivals: Arrivals) -> Source:
    """Arrivals as a Markov chain: one state if Poisson, two for random bursts, or their own."""
    if arrivals.phases is not None:
        phases = arrivals.phases.at_rate(float(arrivals.rate))
        return Source(phases.arriving, phases.silent)
    if arrivals.process == "on_off":
        peak, on, off = float(arrivals.peak_rate), float(arrivals.on), float(arrivals.off)
        return Source(np.diag([peak, 0.0]), np.array([[0.0, 1.0 / on], [1.0 / off, 0.0]]))
    return Source(np.array([[float(arrivals.rate)]]), np.zeros((1, 1)))


def states(arrivals: Arrivals) -> int:
    """How many states `source` gives these arrivals."""
    if arrivals.phases is not None:
        return arrivals.phases.order
    return 2 if arrivals.process == "on_off" else 1


def kernel_service(mean: float, scv: float, interrupt: float, max_order: int) -> KernelService:
    """Kernel service of given mean [s] and scv, an exponential interrupt [s] before the first."""
    time = PhaseType.fit(mean, scv, max_order)
    if not interrupt > 0.0:
        return KernelService(time, time.start, np.ones(time.order))
    # phase 0 is the interrupt; packets that follow another skip it
    order = time.order + 1
    rates = np.zeros((order, order))
    rates[0, 1:] = time.start / interrupt
    rates[1:, 1:] = time.rates
    start, exits = np.append(0.0, time.start), np.append(0.0, time.exits)
    first, paced = np.zeros(order), np.ones(order)
    first[0], paced[0] = 1.0, 0.0
    return KernelService(PhaseType(start, rates, exits), first, paced)


def tandem_feed(
    arrivals: Source,
    ring: int,
    kernel: KernelService,
    *,
    full_pace: float = 1.0,
    empty_pace: float = 1.0,
    preemptive: bool = False,
) -> Feed:
    """Ring and kernel: how many packets are in the ring, and the phase of the one in service.

    States: idle, then ring content by kernel phase; each by state of the arrivals. `preemptive`
    lets the consumer work only while the kernel is idle.
    """
    p, a = kernel.time.order, arrivals.states
    r, unit = 1 + ring * p, np.eye(a)
    arrive = np.zeros((r, r))
    arrive[0, 1 : 1 + p] = kernel.first
    here = np.arange(1, r - p)
    arrive[here, here + p] = 1.0
    full = np.arange(max(r - p, 1), r)  # who finds the ring full is lost, the source moves on
    arrive[full, full] = 1.0

    def at_pace(pace: float) -> tuple[Array, Array]:
        time = kernel.at_pace(pace)
        moves, delivers = np.zeros((r, r)), np.zeros((r, r))
        moves[1:, 1:] = kron(np.eye(ring), time.rates)
        delivers[1 : 1 + p, 0] = time.exits
        delivers[1 + p :, 1 : r - p] = kron(np.eye(ring - 1), np.outer(time.exits, time.start))
        whole = kron(arrive, arrivals.arrive) + kron(moves, unit)
        return whole + kron(np.eye(r), arrivals.moves), kron(delivers, unit)

    content = np.append(0.0, np.repeat(np.arange(1.0, ring + 1), p))
    idle = np.append(1.0, np.zeros(ring * p))
    paced = np.append(0.0, np.tile(kernel.paced, ring))
    counts = _counts(
        arrivals, content, ring, paced, 1.0 - paced - idle, idle, idle * kernel.interrupts
    )

    # during a signal only the ring content is known; the next packet has not begun
    waiting = np.arange(ring + 1.0)
    entry, exit_to = np.zeros((r, ring + 1)), np.zeros((ring + 1, r))
    entry[np.arange(1, r), content[1:].astype(int) - 1] = np.tile(
        kernel.at_pace(empty_pace).exits, ring
    )
    exit_to[0, 0] = 1.0
    exit_to[1:, 1:] = kron(np.eye(ring), kernel.time.start)
    none = np.zeros(ring + 1)
    more = np.eye(ring + 1, k=1)
    more[ring, ring] = 1.0
    moves, delivers = at_pace(1.0)
    empty_moves, empty_delivers = at_pace(empty_pace)
    full_moves, full_delivers = at_pace(full_pace)
    return Feed(
        moves=moves, delivers=delivers,
        empty_moves=empty_moves, empty_delivers=empty_delivers,
        full_moves=full_moves, full_delivers=full_delivers,
        serves=np.repeat(idle if preemptive else np.ones(r), a),
        signal_entry=kron(entry, unit),
        signal_moves=kron(more, arrivals.arrive)
        + kron(np.eye(ring + 1), arrivals.moves),
        signal_exit=kron(exit_to, unit),
        counts=counts,
        signal_counts=_counts(arrivals, waiting, ring, none, none, none, none),
    )  # fmt: skip


def _counts(
    arrivals: Source, content: Array, ring: int, busy: Array, interrupting: Array, idle: Array,
    starts: Array,
) -> Array:  # fmt: skip
    """Columns of `COUNTS` for states (content, arrivals)."""
    a = arrivals.states
    full = kron(content == ring, arrivals.rates)
    begun = kron(starts, arrivals.rates)
    plain = [
        np.repeat(np.asarray(x, dtype=np.float64), a) for x in (content, busy, interrupting, idle)
    ]
    return np.stack([plain[0], full, plain[1], plain[2], plain[3], begun], axis=-1)


def direct_feed(arrivals: Source) -> Feed:
    """No kernel stage: the arrivals themselves come to the buffer."""
    a, delivers = arrivals.states, arrivals.arrive
    counts = np.zeros((a, len(COUNTS)))
    counts[:, COUNTS.index("idle")] = 1.0
    return Feed(
        moves=arrivals.moves, delivers=delivers, empty_moves=arrivals.moves,
        empty_delivers=delivers, full_moves=arrivals.moves, full_delivers=delivers,
        serves=np.ones(a), signal_entry=delivers, signal_moves=arrivals.moves,
        signal_exit=np.eye(a), counts=counts, signal_counts=counts,
    )  # fmt: skip
