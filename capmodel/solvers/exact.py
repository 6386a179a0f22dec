"""Tier 2: the whole path as one Markov chain, solved without subtraction.

Arrivals are Poisson (or Poisson within random bursts, or any Markovian process), services are
phase-type of the given mean and variability, waits are exponential. Nothing else is approximated:
ring, kernel, buffer and consumer stay coupled, and a loss of 1e-200 has as many correct digits as
one of 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from capmodel.numerics.gth import Array
from capmodel.numerics.phase_type import MAX_ORDER, PhaseType
from capmodel.path import PARTS, CapturePath
from capmodel.results import Distributions, Solution
from capmodel.solvers._chains import feed_of, kernel_of, paces, sleeper, sleeps
from capmodel.solvers._crosswise import solve_crosswise
from capmodel.solvers._exact_quantiles import ExactQuantiles
from capmodel.solvers._feeds import COUNTS, states
from capmodel.solvers._gradual import gradual
from capmodel.solvers._outcome import regime_index
from capmodel.solvers._regular import regular_single, too_large
from capmodel.solvers._sleeping import Flows, solve_sleeper

__all__ = ["NAME", "accepts", "doubts", "solve"]

NAME = "exact"
MOST_PHASES = 400  # time grows with the cube: about 2 s
QUICK_PHASES = 140  # about 0.2 s
MOST_LEVELS = 1_000_000
IDLE = ("wakeups", "polls", "polling", "waking", "signalling")  # what never occurs in a spin
LEAST_LOSS = 1e-6  # below it a path counts as unsaturated, as in the closed forms


def accepts(path: CapturePath) -> str | None:
    """Why this solver cannot take the path; None if it can."""
    objections = _not_scalar(path) or not_random(path)
    return objections or objection(path, least_scv=1.0 / MAX_ORDER) or _too_large(path)


def doubts(path: CapturePath) -> str | None:
    """Why another solver should be preferred where one accepts the path."""
    phases = min(_phases(path).values())
    if phases > QUICK_PHASES:
        return f"exact for those who ask for it: {phases:.0f} phases take a second or so"
    return None


def objection(path: CapturePath, least_scv: float) -> str | None:
    """What is not in the model, whatever arrivals and size are; None if nothing."""
    return (
        _not_scalar(path)
        or _not_phases(path, least_scv)
        or _not_modelled(path)
        or _not_this_placement(path)
    )


def _not_scalar(path: CapturePath) -> str | None:
    for part in PARTS:
        for name, value in vars(getattr(path, part)).items():
            if not isinstance(value, (float, int, str)) and np.ndim(value) > 0:
                return f"one path at a time: {part}.{name} is an array"
    return None


def not_random(path: CapturePath) -> str | None:
    """Why the arrivals are none that the chain has; None if they are."""
    arrivals = path.arrivals
    known = arrivals.phases is not None or is_regular(path)
    if not known and (arrivals.process == "cbr" or arrivals.scv != 1.0):
        return (
            "arrivals must be Poisson (scv 1), within random bursts or without, or a MAP; "
            "constant intervals at a single stage that never sleeps only"
        )
    if arrivals.process == "on_off" and not (arrivals.random_bursts and arrivals.off > 0.0):
        return "bursts must be of random length, with gaps between them"
    return None


def _not_phases(path: CapturePath, least_scv: float) -> str | None:
    services = {"consumer": path.consumer.scv}
    if path.kernel.cost > 0.0:
        services["kernel"] = path.kernel.scv
    for name, scv in services.items():
        if not least_scv <= scv < np.inf:
            return f"the scv of the {name}'s service must be {least_scv} or more, and finite"
    return None


def is_regular(path: CapturePath) -> bool:
    """Whether this is a single stage that never sleeps, offered packets at constant intervals."""
    alone = path.kernel.cost == 0.0 and not sleeps(path)
    return alone and path.arrivals.process == "cbr" and path.arrivals.scv == 0.0


def _not_modelled(path: CapturePath) -> str | None:
    wakeup, kernel, driver = path.wakeup, path.kernel, path.kernel.driver
    sleeps = wakeup.policy in ("poll", "read")
    refused = {
        "a channel that blocks when full": path.on_full != "drop",
        "automatic scheduling": path.cores.pinning == "auto",
        "several consumers": path.consumer.processes != 1,
        f"a buffer of kind {path.buffer.kind!r}": path.buffer.kind not in ("slots", "ring"),
        f"the policy {wakeup.policy!r}": not sleeps and wakeup.policy != "spin",
        "a signal threshold above 1": sleeps and wakeup.threshold != 1.0,
        "moderated or timed interrupts": driver.mode not in ("napi", "thread")
        and not (driver.mode == "polling" and np.isinf(driver.tick)),
        "more packets than the card's bus carries": path.arrivals.peak_rate > driver.bus_rate,
        "a consumer without cost": not path.consumer.cost > 0.0,
        "a full buffer that drops at no cost": kernel.cost > 0.0 and not kernel.drop_cost > 0.0,
        "costs that depend on time asleep or on nearness, or stalls": gradual(path),
        "infinite costs": not all(map(math.isfinite, (
            kernel.cost, kernel.drop_cost, path.consumer.cost, wakeup.cost, wakeup.latency,
            wakeup.poll_cost, wakeup.contention, driver.interrupt_cost,
        ))),
        "sizes that are not whole packets": not (
            float(path.buffer.capacity).is_integer() and float(path.kernel.ring).is_integer()
        ),
    }  # fmt: skip
    return next((f"not modelled: {name}" for name, holds in refused.items() if holds), None)


def _not_this_placement(path: CapturePath) -> str | None:
    wakeup, kernel = path.wakeup, path.kernel
    direct = path.buffer.kind == "ring"
    if path.cores.pinning == "same":
        costs = (wakeup.cost, wakeup.latency, wakeup.poll_cost, wakeup.switch_cost)
        if any(cost > 0.0 for cost in costs) or wakeup.contention > 0.0:
            return "not modelled: wakeup costs on a shared core"
        if path.cores.kernel_share < 1.0 or kernel.cost == 0.0 or direct:
            return "not modelled: a shared core without kernel priority or kernel stage"
        return None
    if direct and kernel.cost > 0.0:
        return "not modelled: a consumer that reads a ring which the kernel fills at a cost"
    if kernel.cost == 0.0 and sleeps(path) and wakeup.cost > 0.0:
        return "not modelled: signals of a kernel that takes no time per packet"
    return None


def _too_large(path: CapturePath) -> str | None:
    capacity = float(path.buffer.capacity)
    if capacity > MOST_LEVELS:
        return f"capacity must be at most {MOST_LEVELS}, got {capacity:.0f}"
    if is_regular(path):
        load = float(path.arrivals.rate * path.consumer.cost)
        return too_large(load, capacity, PhaseType.fit(1.0, path.consumer.scv).order)
    if min(_phases(path).values()) > MOST_PHASES:
        return (
            f"ring or capacity must be smaller: the chain has {min(_phases(path).values()):.0f} "
            f"phases, at most {MOST_PHASES} are solved in reasonable time"
        )
    return None


def _phases(path: CapturePath) -> dict[str, float]:
    """Phases per level if the buffer is the level, and if the ring is."""
    sources = states(path.arrivals)
    work = PhaseType.fit(1.0, path.consumer.scv).order
    if path.kernel.cost == 0.0:
        return {"buffer": float(sources * work)}
    kernel = PhaseType.fit(1.0, path.kernel.scv).order + (path.kernel.driver.interrupt_cost > 0.0)
    found = {"buffer": float(sources * (1 + path.kernel.ring * kernel) * work)}
    if sources == 1 and path.cores.pinning == "split" and path.kernel.ring <= MOST_LEVELS:
        waits = sum(cost > 0.0 for cost in (path.wakeup.poll_cost, path.wakeup.latency))
        kinds = work + (waits if sleeps(path) else 0)
        found["ring"] = float(path.buffer.capacity * kinds * kernel)
    return found


def solve(path: CapturePath) -> Solution:
    """Stationary solution of the path's Markov chain.

    Parameters
    ----------
    path : CapturePath
        One path, scalars only, for which `accepts` has no objection.

    Returns
    -------
    Solution
        With ``exact`` set; losses are sums of positive terms.

    Raises
    ------
    ValueError
        If the path is not accepted, with the reason.

    Examples
    --------
    >>> path = CapturePath.split(rate=0.9, ring=20, capacity=16, kernel_cost=1.0,
    ...     consumer_cost=0.6, wakeup_cost=2.0, wakeup_latency=4.0, poll_cost=0.5)
    >>> solution = solve(path)
    >>> round(float(solution.carried_rate), 12), round(float(solution.wakeup_rate), 12)
    (0.819941262479, 0.065233489709)
    """
    reason = accepts(path)
    if reason is not None:
        raise ValueError(f"exact: {reason}")
    if path.kernel.cost == 0.0:
        found = _single(path)
    else:
        found = _split(path) if path.cores.pinning == "split" else _same(path)
    found["away"] = found["waking"] + found["signalling"] + found["waiting"]
    known = None if is_regular(path) else ExactQuantiles(path, by_ring(path))
    return dressed(path, found, distributions=known)


def by_ring(path: CapturePath) -> bool:
    """Whether the ring's content is the level of the smaller chain."""
    phases = _phases(path)
    return path.kernel.cost > 0.0 and min(phases, key=lambda name: phases[name]) == "ring"


def _split(path: CapturePath) -> dict[str, float]:
    if by_ring(path):
        full, empty = paces(path)
        return solve_crosswise(
            float(path.arrivals.rate), int(path.kernel.ring), kernel_of(path), sleeper(path),
            int(path.buffer.capacity), full_pace=full, empty_pace=empty,
        )  # fmt: skip
    return _random(path)


def _same(path: CapturePath) -> dict[str, float]:
    flows = solve_sleeper(feed_of(path), sleeper(path), int(path.buffer.capacity))
    # a begun packet makes progress only while the kernel is idle; so does the core, if both idle
    return _named(flows) | {
        "running": float(flows.carried) * float(path.consumer.cost),
        "nobody": float(flows.asleep_counts[COUNTS.index("idle")]),
    }


def _regular(path: CapturePath) -> dict[str, float]:
    """Rates and shares of a single stage at constant intervals."""
    offered, service = float(path.arrivals.rate), sleeper(path).service
    queue = regular_single(offered, service, int(path.buffer.capacity))
    named = dict.fromkeys((*COUNTS, *IDLE), 0.0)
    return named | {
        "carried": offered * (1.0 - queue.loss), "delivered": offered,
        "buffer_drops": offered * queue.loss, "in_buffer": queue.present,
        "running": queue.busy, "waiting": max(1.0 - queue.busy, 0.0), "idle": 1.0,
    }  # fmt: skip


def _single(path: CapturePath) -> dict[str, float]:
    named = _regular(path) if is_regular(path) else _random(path)
    if path.buffer.kind == "ring":
        named |= {"ring_drops": named["buffer_drops"], "buffer_drops": 0.0,
                  "in_ring": named["in_buffer"], "in_buffer": 0.0}  # fmt: skip
    return named


def _random(path: CapturePath) -> dict[str, float]:
    return _named(solve_sleeper(feed_of(path), sleeper(path), int(path.buffer.capacity)))


def _named(flows: Flows) -> dict[str, float]:
    counts = flows.awake_counts + flows.asleep_counts + flows.signal_counts
    named = {
        "carried": flows.carried, "delivered": flows.delivered, "buffer_drops": flows.drops,
        "wakeups": flows.wakeups, "polls": flows.polls, "running": flows.running,
        "polling": flows.polling, "waking": flows.waking, "waiting": flows.waiting,
        "signalling": flows.signalling, "in_buffer": flows.in_buffer,
    }  # fmt: skip
    return {k: float(v) for k, v in named.items()} | dict(zip(COUNTS, counts.tolist(), strict=True))


def dressed(
    path: CapturePath,
    found: dict[str, float],
    *,
    solver: str = NAME,
    is_exact: bool = True,
    accuracy: str | None = None,
    notes: tuple[str, ...] = (),
    distributions: Distributions | None = None,
) -> Solution:
    """A Solution from named rates, contents and shares of time."""
    drops = {"ring": found["ring_drops"], "buffer": found["buffer_drops"]}
    carried, offered = found["carried"], float(path.arrivals.rate)
    taken = found["delivered"] if path.kernel.cost > 0.0 else carried
    with np.errstate(divide="ignore", invalid="ignore"):
        sojourn = np.divide(found["in_ring"], taken) + np.divide(found["in_buffer"], carried)
    return Solution(
        path=path,
        solver=solver,
        exact=is_exact,
        accuracy=_accuracy(path) if accuracy is None else accuracy,
        offered_rate=np.float64(offered),
        carried_rate=np.float64(carried),
        drops={stage: np.float64(rate) for stage, rate in drops.items()},
        wakeup_rate=np.float64(found["wakeups"]),
        poll_rate=np.float64(found["polls"]),
        interrupt_rate=np.float64(found["interrupts"]),
        core_time=CORE_TIME[path.cores.pinning](path, found),
        ring_occupancy=np.float64(found["in_ring"]),
        buffer_occupancy=np.float64(found["in_buffer"]),
        sojourn_time=np.float64(sojourn),
        regime=np.int64(regime_index(_regime(path, found))),
        notes=(*notes, *_notes(path, found)),
        distributions=distributions,
    )


def _kernel_time(path: CapturePath, found: dict[str, float]) -> dict[str, Array]:
    busy = found["busy"]
    dropping = min(found["buffer_drops"] * float(path.kernel.drop_cost), busy)
    if path.kernel.cost == 0.0:
        dropping = 0.0
    times = {
        "packets": busy - dropping, "drops": dropping, "wakeups": found["signalling"],
        "interrupts": found["interrupting"], "idle": found["idle"],
    }  # fmt: skip
    return {name: np.asarray(share, dtype=np.float64) for name, share in times.items()}


def _two_cores(path: CapturePath, found: dict[str, float]) -> dict[str, dict[str, Array]]:
    # who spins at an empty buffer is never idle
    waiting, idle = (found["polling"], found["away"]) if sleeps(path) else (found["waiting"], 0.0)
    consumer = {"packets": found["running"], "waiting": waiting, "idle": idle}
    return {
        "kernel": _kernel_time(path, found),
        "consumer": {name: np.asarray(share) for name, share in consumer.items()},
    }


def _one_core(path: CapturePath, found: dict[str, float]) -> dict[str, dict[str, Array]]:
    kernel = _kernel_time(path, found)
    working = np.asarray(found["running"])
    nothing, idle = np.zeros(()), np.asarray(found["nobody"])
    spins = not sleeps(path)
    return {
        "shared": {
            "kernel packets": kernel["packets"], "kernel drops": kernel["drops"],
            "interrupts": kernel["interrupts"], "consumer packets": working,
            "wakeups": nothing, "waiting": idle if spins else nothing,
            "idle": nothing if spins else idle,
        }
    }  # fmt: skip


CoreTime = Callable[[CapturePath, dict[str, float]], dict[str, dict[str, Array]]]
CORE_TIME: dict[str, CoreTime] = {"split": _two_cores, "same": _one_core}


def _regime(path: CapturePath, found: dict[str, float]) -> str:
    offered = float(path.arrivals.rate)
    lost = found["ring_drops"] + found["buffer_drops"]
    if not lost > LEAST_LOSS * offered:
        return "unsaturated"
    if path.cores.pinning == "same":
        demand = offered * float(path.kernel.cost + path.consumer.cost)
        return "shared core" if demand >= 1.0 else "buffer"
    slow = found["delivered"] * float(path.consumer.cost) >= 1.0
    if path.kernel.cost > 0.0 and found["ring_drops"] >= found["buffer_drops"] and not (
        path.kernel.cost <= path.consumer.cost and slow
    ):  # fmt: skip
        return "kernel"
    return "consumer" if slow else "buffer"


def _accuracy(path: CapturePath) -> str:
    stages: list[Any] = [path.consumer, path.kernel] if path.kernel.cost > 0.0 else [path.consumer]
    scvs = {float(stage.scv) for stage in stages}
    service = (
        "exponential services"
        if scvs == {1.0}
        else "the phase-type service of that mean and variability"
    )
    return f"exact for {service} and exponential waits, to about 1e-12 (losses included)"


def _notes(path: CapturePath, found: dict[str, float]) -> tuple[str, ...]:
    lost = found["ring_drops"] + found["buffer_drops"]
    if not lost > LEAST_LOSS * float(path.arrivals.rate):
        return ()
    duration = float(path.arrivals.duration)
    room = float(path.kernel.ring + path.buffer.capacity)
    if room > 1e-3 * duration * float(path.arrivals.rate):
        return ("long-run rates: in a run this short the empty buffers take much of the surplus",)
    return ()
