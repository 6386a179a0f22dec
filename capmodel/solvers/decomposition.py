r"""Tier 1: ring and buffer solved one after the other until they agree on when the consumer sleeps.

The ring sees a consumer that falls asleep at one rate while the kernel is idle and at another
while it is busy; the buffer sees a kernel that falls idle after a packet with one probability and
after a signal with another. Each stage is a small chain solved in :math:`O(\log n)`, so that rings
and buffers may have any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capmodel.numerics.gth import Array
from capmodel.numerics.phase_type import PhaseType
from capmodel.path import CapturePath
from capmodel.results import Solution
from capmodel.solvers import exact
from capmodel.solvers._feeds import KernelService, kernel_service
from capmodel.solvers._fixed_points import fixed_points
from capmodel.solvers._ring_stage import RingStage
from capmodel.solvers._sleeping import Feed, Flows, Sleeper, solve_sleeper

__all__ = ["NAME", "accepts", "solve"]

NAME = "decomposition"
ERLANG_ORDER = 4  # phases of a service that is less variable than that
ACCURACY = (
    "decomposition: carried rate within 0.1 % on average and 2.5 % at worst of the exact chain "
    "with the same service distributions (ring and buffer of 32 packets or more)"
)
STARTS = (1.0, 1e-2, 1e-8)  # rates of falling asleep to begin with, times the kernel cost
NEVER = 1e-100  # a consumer that never sleeps
SAME = 1e-6  # carried rates closer than this are the same solution


def accepts(path: CapturePath) -> str | None:
    """Why this solver cannot take the path; None if it can."""
    return exact.objection(path, least_scv=0.0) or _not_two_stages(path)


def _not_two_stages(path: CapturePath) -> str | None:
    if path.cores.pinning != "split" or path.kernel.cost == 0.0:
        return "two stages on two cores are needed"
    if path.arrivals.process != "poisson":
        return "arrivals must be Poisson"
    if path.wakeup.contention > 0.0 and path.wakeup.policy == "spin":
        return "not modelled: a spinning consumer that slows the kernel"
    if max(path.buffer.capacity, path.kernel.ring) > exact.MOST_LEVELS:
        return f"ring and capacity must be at most {exact.MOST_LEVELS}"
    return None


@dataclass(frozen=True)
class _Stages:
    """Both stages of one path, and the step from one guess (or a stack of them) to the next."""

    ring: RingStage
    kernel: KernelService
    consumer: Sleeper
    capacity: int
    rate: float
    full_pace: float

    def step(self, logs: Array) -> tuple[Array, tuple[dict[str, Array], Flows]]:
        """Next logarithms of (rate asleep when idle, when busy, mean pace); ring and buffer."""
        idle, busy, pace = np.exp(logs).T
        ring = self.ring.solve(idle, busy, pace)
        flows = solve_sleeper(self._feed(ring), self.consumer, self.capacity)
        asleep = np.stack([flows.falling[..., 0], flows.falling[..., 1:].sum(-1)], axis=-1)
        awake = flows.awake_counts[..., :2]
        paced = (flows.full[..., 1:] * self.kernel.paced).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = np.where(awake > 0.0, asleep / awake, 0.0)
            # what never happens may have any rate: that of the other state
            rates = np.where(awake > 0.0, rates, rates[..., ::-1])
            share = np.where(awake[..., 1] > 0.0, paced / awake[..., 1], 0.0)
        pace = 1.0 - share + share * self.full_pace
        following = np.concatenate([np.maximum(rates, NEVER), pace[..., None]], axis=-1)
        return np.log(following), (ring, flows)

    def _feed(self, ring: dict[str, Array]) -> Feed:
        """The kernel as the buffer meets it: idle, or in a phase of its service."""
        kernel, p = self.kernel, self.kernel.time.order
        time, full = kernel.time, kernel.at_pace(self.full_pace)
        empties, after_signal = ring["empties"], ring["empties_after_signal"]
        moves, full_moves = np.zeros((p + 1, p + 1)), np.zeros((p + 1, p + 1))
        moves[0, 1:] = full_moves[0, 1:] = self.rate * kernel.first
        moves[1:, 1:], full_moves[1:, 1:] = time.rates, full.rates
        going_on = np.zeros((len(empties), p + 1))
        going_on[:, 0] = empties
        going_on[:, 1:] = (1.0 - empties)[:, None] * time.start

        def delivers(exits: Array) -> Array:
            rates = np.zeros((len(empties), p + 1, p + 1))
            rates[:, 1:, :] = exits[:, None] * going_on[:, None, :]
            return rates

        resumes = np.zeros((len(empties), 1, p + 1))
        resumes[:, 0, 0] = after_signal
        resumes[:, 0, 1:] = (1.0 - after_signal)[:, None] * time.start
        counts = np.zeros((p + 1, 2))
        counts[0, 0], counts[1:, 1] = 1.0, 1.0
        normal = delivers(time.exits)
        return Feed(
            moves=moves, delivers=normal, empty_moves=moves, empty_delivers=normal,
            full_moves=full_moves, full_delivers=delivers(full.exits), serves=np.ones(p + 1),
            signal_entry=np.append(0.0, time.exits)[:, None], signal_moves=np.zeros((1, 1)),
            signal_exit=resumes, counts=counts, signal_counts=np.zeros((1, 2)),
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
    0.877
    """
    reason = accepts(path)
    if reason is not None:
        raise ValueError(f"decomposition: {reason}")
    kernel, wakeup = path.kernel, path.wakeup
    service = kernel_service(
        float(kernel.cost), float(kernel.scv), float(kernel.driver.interrupt_cost), ERLANG_ORDER
    )
    work = PhaseType.fit(float(path.consumer.cost), float(path.consumer.scv), ERLANG_ORDER)
    consumer = Sleeper(
        work, float(wakeup.poll_cost), float(wakeup.cost), float(wakeup.latency),
        spins=wakeup.policy == "spin",
    )  # fmt: skip
    signal = 0.0 if consumer.spins else consumer.signal
    stages = _Stages(
        RingStage(float(path.arrivals.rate), int(kernel.ring), service, signal),
        service, consumer, int(path.buffer.capacity), float(path.arrivals.rate),
        float(kernel.cost / kernel.drop_cost),
    )  # fmt: skip
    starts = np.log([[start / kernel.cost] * 2 + [1.0] for start in STARTS])
    least = np.log(1e-9 / float(kernel.cost))
    points, failed = fixed_points(stages.step, starts, least)
    if not points:
        raise ArithmeticError(f"decomposition: none of {len(STARTS)} starts converged")
    found = _distinct([_found(path, i, ring, flows) for (ring, flows), i in points])
    return exact.dressed(
        path, found[0], solver=NAME, is_exact=False, accuracy=ACCURACY,
        notes=_notes([one["carried"] for one in found], failed),
    )  # fmt: skip


def _distinct(found: list[dict[str, float]]) -> list[dict[str, float]]:
    """The first of every group of equal solutions."""
    chosen: list[dict[str, float]] = []
    for one in found:
        if all(abs(one["carried"] - other["carried"]) > SAME * one["carried"] for other in chosen):
            chosen.append(one)
    return chosen


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
    """Rates and shares of time of the whole: the ring's acceptance, the buffer's proportions."""
    offered = float(path.arrivals.rate)
    full, lost = float(ring["full"][i]), float(flows.drops[i] / flows.delivered[i])
    kept = float(flows.carried[i] / flows.delivered[i])
    accepted = offered * float(ring["not_full"][i])
    carried = accepted * kept
    per_packet = {
        name: float(getattr(flows, name)[i] / flows.carried[i])
        for name in ("wakeups", "polls")
    }  # fmt: skip
    wakeups, polls = carried * per_packet["wakeups"], carried * per_packet["polls"]
    wakeup, kernel = path.wakeup, path.kernel
    signalling = wakeups * float(wakeup.cost)
    running, polling = carried * float(path.consumer.cost), polls * float(wakeup.poll_cost)
    interrupts = float(ring["interrupts"][i])
    interrupting = interrupts * float(kernel.driver.interrupt_cost)
    drops = accepted * lost
    busy = carried * float(kernel.cost) + drops * float(kernel.drop_cost)
    used = busy + signalling + interrupting
    squeeze = min(1.0, 1.0 / used)  # two stages need not agree to the last digit
    waking = wakeups * float(wakeup.latency)
    away = max(1.0 - running - polling - waking - signalling, 0.0)
    return {
        "carried": carried, "delivered": accepted, "ring_drops": offered * full,
        "buffer_drops": drops, "wakeups": wakeups, "polls": polls, "interrupts": interrupts,
        "running": running, "polling": min(polling, 1.0 - running), "waking": waking,
        "waiting": away, "signalling": signalling * squeeze, "busy": busy * squeeze,
        "interrupting": interrupting * squeeze, "idle": max(1.0 - used, 0.0),
        "in_ring": float(ring["in_ring"][i]), "in_buffer": float(flows.in_buffer[i]),
    }  # fmt: skip

