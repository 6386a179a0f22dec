r"""Tier 1: ring and buffer solved one after the other until they agree on when the consumer sleeps.

The ring sees a consumer that falls asleep at one rate while the kernel is idle and at another
while it is busy; the buffer sees a kernel that falls idle after a packet with one probability and
after a signal with another. Each stage is a small chain solved in :math:`O(\log n)`, so that rings
and buffers may have any size.
"""

from __future__ import annotations

import numpy as np

from capmodel.numerics.gth import Array
from capmodel.numerics.phase_type import PhaseType
from capmodel.path import CapturePath
from capmodel.results import Solution
from capmodel.solvers import exact
from capmodel.solvers._chains import kernel_of, sleeper
from capmodel.solvers._feeds import kron, source, states
from capmodel.solvers._fixed_points import fixed_points
from capmodel.solvers._gathering import gathered
from capmodel.solvers._modulated_ring import ModulatedRing
from capmodel.solvers._ring_stage import RingStage, erlang_arrivals
from capmodel.solvers._sleeping import Feed, Flows, SleeperChain, SolvedChain
from capmodel.solvers._stage_quantiles import StageQuantiles

__all__ = ["NAME", "accepts", "doubts", "solve"]

NAME = "decomposition"
ERLANG_ORDER = 4  # phases of a service that is less variable than that
ACCURACY = (
    "decomposition: carried rate within 0.01 % on average and 0.7 % at worst of the exact chain "
    "with the same services (500 random paths, ring and buffer of 32 packets or more); services "
    "that vary less than Erlang-4 count as that, poll and latency vary as the consumer's work"
)
REGULAR = (
    "; constant intervals count as Erlang-8: without waits within 0.6 % on average and 3 % at "
    "worst of a simulation, for rings and buffers of 4 to 64 packets"
)
MAP_ACCURACY = (
    "; of MAP arrivals carried rate within 0.04 % on average and 2 % at worst (120 random paths)"
)
OF_ARRIVALS = {"cbr": REGULAR, "map": MAP_ACCURACY}
ARRIVAL_PHASES = {"poisson": 1, "cbr": 8}  # of an interval between arrivals
STARTS = (1.0, 1e-2, 1e-8)  # rates of falling asleep to begin with, times the kernel cost
LEAST = 1e-9  # share of its time that the kernel may spend on signals unnoticed
_NEVER = 1e-200
SAME = 1e-4  # carried rates closer than this are the same solution


def accepts(path: CapturePath) -> str | None:
    """Why this solver cannot take the path; None if it can."""
    return exact.objection(path, least_scv=0.0) or _not_two_stages(path)


def doubts(path: CapturePath) -> str | None:
    """Why another solver should be preferred where one accepts the path."""
    bursty = path.arrivals.phases is not None  # which drowns a resonance
    if path.kernel.scv < 1.0 / ERLANG_ORDER and not bursty:
        return "a kernel as regular as a clock resonates with its consumer, as in the closed forms"
    if not bursty and float(gathered(path)) > 1.0:
        return "packets that gather in the ring for an interrupt are taken one by one"
    return None


def _not_two_stages(path: CapturePath) -> str | None:
    if path.cores.pinning != "split" or path.kernel.cost == 0.0:
        return "two stages on two cores are needed"
    arrivals = path.arrivals
    known = arrivals.phases is not None
    if not known and {"poisson": 1.0, "cbr": 0.0}.get(arrivals.process) != arrivals.scv:
        return "arrivals must be Poisson or come at constant intervals, or be a MAP"
    if path.wakeup.contention > 0.0 and path.wakeup.policy == "spin":
        return "not modelled: a spinning consumer that slows the kernel"
    if max(path.buffer.capacity, path.kernel.ring) > exact.MOST_LEVELS:
        return f"ring and capacity must be at most {exact.MOST_LEVELS}"
    if known and _phases(path) > exact.MOST_PHASES:
        return f"the MAP must be smaller: {_phases(path)} phases in all, not {exact.MOST_PHASES}"
    return None


def _phases(path: CapturePath) -> int:
    """Phases in a level of the larger stage, for arrivals that follow a chain."""
    kernel = kernel_of(path, ERLANG_ORDER).time.order
    consumer = PhaseType.fit(1.0, float(path.consumer.scv), ERLANG_ORDER).order
    return states(path.arrivals) * max(2 * kernel + 1, (1 + kernel) * consumer)


def wait_stages(path: CapturePath) -> int:
    """Stages of poll and latency, which vary as the consumer's work, exponential at most."""
    return PhaseType.fit(1.0, min(float(path.consumer.scv), 1.0), ERLANG_ORDER).order


class _Stages:
    """Both stages of one path, and the step from one guess (or a stack of them) to the next."""

    def __init__(self, path: CapturePath) -> None:
        kernel = path.kernel
        self.kernel = kernel_of(path, ERLANG_ORDER)
        self.consumer = consumer = sleeper(path, ERLANG_ORDER, wait_stages(path))
        self.signal = 0.0 if consumer.spins else consumer.signal
        self.kernel_cost = float(kernel.cost)
        self.full_pace = float(kernel.cost / kernel.drop_cost)
        self.paced = self.kernel.paced
        rate, p = float(path.arrivals.rate), self.kernel.time.order
        self.k = k = ARRIVAL_PHASES[path.arrivals.process]
        self.states = n = k + p  # of the kernel: idle by phase of the arrivals, busy by its own
        self.ring: RingStage | ModulatedRing = RingStage(
            rate, int(kernel.ring), self.kernel, self.signal, k
        )
        full = self.kernel.at_pace(self.full_pace)
        self.moves, self.full_moves = np.zeros((n, n)), np.zeros((n, n))
        passing, arriving = erlang_arrivals(rate, k)
        for moves, rates in ((self.moves, self.kernel.time.rates), (self.full_moves, full.rates)):
            moves[:k, :k] = passing
            moves[:k, k:] = arriving.sum(-1)[:, None] * self.kernel.first
            moves[k:, k:] = rates
        self.exits = np.array([self.kernel.time.exits, full.exits])
        self.signal_entry = np.concatenate([np.zeros(k), self.exits[0]])[:, None]
        self.signal_moves = np.zeros((1, 1))
        self.serves, self.counts, self.signal_counts = np.ones(n), np.eye(n), np.zeros((1, n))
        some = np.full((1, k), 0.5 / k)
        anyone = self.feed({"empties": some, "empties_after_signal": some})
        self.buffer = SleeperChain(anyone, consumer, int(path.buffer.capacity))

    def step(self, logs: Array) -> tuple[Array, tuple[dict[str, Array], SolvedChain]]:
        """Next logarithms of the unknowns; ring and buffer.

        The unknowns are, per state of the kernel, the rate of falling asleep times the kernel
        cost; and the mean pace of a kernel that a full buffer speeds up or slows down.
        """
        guess = np.exp(logs)
        asleep = guess[:, :-1] / self.kernel_cost
        ring = self.ring.solve(asleep[:, : self.k], asleep[:, self.k :], guess[:, -1])
        ring |= {"asleep": asleep, "pace": guess[:, -1]}
        solved = self.buffer.solved(self.feed(ring))
        awake, falling = solved.awake_counts, solved.falling
        following = np.ones_like(logs)
        with np.errstate(divide="ignore", invalid="ignore"):
            # a state that never occurs may have any rate: the mean one
            whole = np.add.reduce(awake, -1, keepdims=True)
            mean = np.add.reduce(falling, -1, keepdims=True) / whole
            rates = np.where(awake > _NEVER * whole, falling / awake, mean)
        np.maximum(rates * self.kernel_cost, _NEVER, out=following[:, :-1])
        if self.full_pace != 1.0:
            following[:, -1] = self._pace(awake, solved.full)
        return np.log(following), (ring, solved)

    def _pace(self, awake: Array, full: Array) -> Array:
        """Mean pace of the kernel while the consumer is awake."""
        working = (awake[..., self.k :] * self.paced).sum(-1)
        held = (full[..., self.k :] * self.paced).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share: Array = np.where(working > 0.0, held / working, 0.0)
        return 1.0 - share + share * self.full_pace

    def feed(self, ring: dict[str, Array]) -> Feed:
        """The kernel as the buffer meets it: idle, or in a phase of its service.

        A stack of one is no stack: that is faster.
        """
        n, k, start = self.states, self.k, self.kernel.time.start
        empties, after_signal = ring["empties"], ring["empties_after_signal"]
        if len(empties) == 1:
            empties, after_signal = empties[0], after_signal[0]

        def follows(idle: Array) -> Array:
            """Probabilities of the kernel's next state, idle with these ones."""
            to = np.empty((*idle.shape[:-1], 1, n))
            to[..., 0, :k] = idle
            to[..., 0, k:] = (1.0 - (idle if k == 1 else idle.sum(-1, keepdims=True))) * start
            return to

        # as usual, and while it is full
        to, exits = follows(empties), self.exits[..., None]
        normal, full = np.zeros((2, *to.shape[:-2], n, n))
        normal[..., k:, :], full[..., k:, :] = exits[0] * to, exits[1] * to
        return Feed(
            moves=self.moves, delivers=normal, empty_moves=self.moves, empty_delivers=normal,
            full_moves=self.full_moves, full_delivers=full, serves=self.serves,
            signal_entry=self.signal_entry, signal_moves=self.signal_moves,
            signal_exit=follows(after_signal),
            counts=self.counts, signal_counts=self.signal_counts,
        )  # fmt: skip


class _ModulatedStages(_Stages):
    """The same under arrivals that follow a chain, whose state goes with every state of the kernel.

    The kernel's states are idle and the phases of its service, each by state of the arrivals.
    """

    def __init__(self, path: CapturePath) -> None:
        kernel, arrivals = path.kernel, source(path.arrivals)
        self.kernel = kernel_of(path, ERLANG_ORDER)
        consumer = sleeper(path, ERLANG_ORDER, wait_stages(path))
        self.signal = 0.0 if consumer.spins else consumer.signal
        self.kernel_cost = float(kernel.cost)
        self.full_pace = float(kernel.cost / kernel.drop_cost)
        p, a, time = self.kernel.time.order, arrivals.states, self.kernel.time
        self.k, self.states, self.paced = a, (1 + p) * a, np.repeat(self.kernel.paced, a)
        self.ring = ModulatedRing(arrivals, int(kernel.ring), self.kernel, self.signal)
        full, unit = self.kernel.at_pace(self.full_pace), np.eye(a)
        follows = np.diag(np.append(0.0, np.ones(p)))  # arrivals do not move a kernel at work
        follows[0, 1:] = self.kernel.first
        own = kron(follows, arrivals.arrive) + kron(np.eye(1 + p), arrivals.moves)
        self.moves, self.full_moves = own.copy(), own.copy()
        self.moves[a:, a:] += kron(time.rates, unit)
        self.full_moves[a:, a:] += kron(full.rates, unit)
        self.exits = np.array([time.exits, full.exits])
        self.signal_entry = kron(np.append(0.0, time.exits)[:, None], unit)
        self.signal_moves = arrivals.moves + arrivals.arrive
        n = self.states
        self.serves, self.counts, self.signal_counts = np.ones(n), np.eye(n), np.zeros((a, n))
        some = np.full((1, a), 0.5)
        anyone = self.feed({"empties": some, "empties_after_signal": some})
        self.buffer = SleeperChain(anyone, consumer, int(path.buffer.capacity))

    def feed(self, ring: dict[str, Array]) -> Feed:
        n, a, start = self.states, self.k, self.kernel.time.start
        stack, here = len(ring["empties"]), np.arange(a)

        def follows(idle: Array) -> Array:
            """From a state of the arrivals to the kernel's next state, idle with probability."""
            to = np.zeros((stack, a, 1 + len(start), a))
            to[:, here, 0, here] = idle
            to[:, here, 1:, here] = ((1.0 - idle)[..., None] * start).swapaxes(0, 1)
            return to.reshape(stack, a, n)

        delivers = np.zeros((2, stack, n, n))  # as usual, and while it is full
        going_on = self.exits[:, None, :, None, None] * follows(ring["empties"])[:, None]
        delivers[:, :, a:] = going_on.reshape(2, stack, n - a, n)
        normal, full = delivers
        return Feed(
            moves=self.moves, delivers=normal, empty_moves=self.moves, empty_delivers=normal,
            full_moves=self.full_moves, full_delivers=full, serves=self.serves,
            signal_entry=self.signal_entry, signal_moves=self.signal_moves,
            signal_exit=follows(ring["empties_after_signal"]),
            counts=self.counts, signal_counts=self.signal_counts,
        )  # fmt: skip


def _quantiles(path: CapturePath, stages: _Stages, ring: dict[str, Array]) -> StageQuantiles | None:
    """Laws of the stages; none where they follow the chain of the arrivals."""
    if not isinstance(stages.ring, RingStage):
        return None
    return StageQuantiles(
        stages.ring, stages.feed(ring), stages.consumer, int(path.buffer.capacity),
        ring["asleep"], ring["pace"],
    )  # fmt: skip


def solve(path: CapturePath) -> Solution:
    """Solve the path by two stages in turn.

    Parameters
    ----------
    path : CapturePath
        One path, scalars only, for which `accepts` has no objection.

    Returns
    -------
    Solution
        Every solution of the fixed point that the starts lead to is counted in the notes; the
        first is that of a consumer that begins asleep.

    Raises
    ------
    ValueError
        If the path is not accepted.
    ArithmeticError
        If no start converges.

    Examples
    --------
    >>> path = CapturePath.split(rate=0.9, ring=256, capacity=1024, kernel_cost=1.0,
    ...     consumer_cost=0.6, wakeup_cost=2.0, wakeup_latency=4.0, poll_cost=0.5)
    >>> round(float(solve(path).carried_rate), 3)
    0.878
    """
    reason = accepts(path)
    if reason is not None:
        raise ValueError(f"decomposition: {reason}")
    stages = _Stages(path) if path.arrivals.phases is None else _ModulatedStages(path)
    starts = np.log([[start] * stages.states + [1.0] for start in STARTS])
    least = float(np.log(LEAST * stages.kernel_cost / max(stages.kernel_cost, stages.signal)))
    points, failed = fixed_points(stages.step, starts, least)
    if not points:
        raise ArithmeticError(f"decomposition: none of {len(STARTS)} starts converged")
    found = _distinct([_found(path, i, ring, solved.flows) for (ring, solved), i in points])
    (ring, _), i = points[0]
    return exact.dressed(
        path, found[0], solver=NAME, is_exact=False,
        accuracy=ACCURACY + OF_ARRIVALS.get(path.arrivals.process, ""),
        notes=_notes([one["carried"] for one in found], failed) + _gathers(path),
        distributions=_quantiles(path, stages, {n: value[i : i + 1] for n, value in ring.items()}),
    )  # fmt: skip


def _distinct(found: list[dict[str, float]]) -> list[dict[str, float]]:
    """The first of every group of equal solutions."""
    chosen: list[dict[str, float]] = []
    for one in found:
        if all(abs(one["carried"] - other["carried"]) > SAME * one["carried"] for other in chosen):
            chosen.append(one)
    return chosen


def _gathers(path: CapturePath) -> tuple[str, ...]:
    if float(gathered(path)) <= 1.0:
        return ()
    return (
        "packets that gather in the ring for the next interrupt are taken one by one as they "
        "come: wakeups are too many, sojourn times too short and small losses at the ring too "
        "small, each by several times; the simulation counts them",
    )


def _notes(carried: list[float], failed: int) -> tuple[str, ...]:
    notes = []
    if len(carried) > 1:
        listed = ", ".join(f"{rate:.6g}" for rate in carried)
        notes.append(
            f"{len(carried)} fixed points: carried {listed} per second; the first is given"
        )
    if failed:
        notes.append(f"{failed} of {len(STARTS)} starts did not converge")
    return tuple(notes)


def _found(path: CapturePath, i: int, ring: dict[str, Array], flows: Flows) -> dict[str, float]:
    """Rates and shares of time of the whole: the ring's acceptance, the buffer's proportions.

    The stages agree on their flows up to the error of the method; where that would have a core
    work more than all the time, the ring's figure gives way.
    """
    offered, wakeup, kernel = float(path.arrivals.rate), path.wakeup, path.kernel

    def of(flow: Array) -> Array:
        return flow[i] if flow.ndim else flow  # which of one alone is no stack

    delivered, through = of(flows.delivered), of(flows.carried)
    accepted = offered * float(ring["not_full"][i])
    carried = accepted * float(through / delivered)
    dropped = accepted * float(of(flows.drops) / delivered)
    most = 1.0 / float(path.consumer.cost)
    if carried > most:
        carried, dropped = most, accepted - most
    wakeups = carried * float(of(flows.wakeups) / through)
    polls = carried * float(of(flows.polls) / through)
    running = min(carried * float(path.consumer.cost), 1.0)
    polling = min(polls * float(wakeup.poll_cost), 1.0 - running)
    interrupts = float(ring["interrupts"][i])
    kernel_time = {
        "busy": carried * float(kernel.cost) + dropped * float(kernel.drop_cost),
        "signalling": wakeups * float(wakeup.cost),
        "interrupting": interrupts * float(kernel.driver.interrupt_cost),
    }
    used = sum(kernel_time.values())
    return {name: share / max(used, 1.0) for name, share in kernel_time.items()} | {
        "idle": max(1.0 - used, 0.0), "carried": carried, "delivered": accepted,
        "ring_drops": offered * float(ring["full"][i]), "buffer_drops": dropped,
        "wakeups": wakeups, "polls": polls, "interrupts": interrupts, "running": running,
        "polling": polling, "waiting": 1.0 - running - polling, "away": 1.0 - running - polling,
        "in_ring": float(ring["in_ring"][i]), "in_buffer": float(of(flows.in_buffer)),
    }  # fmt: skip
