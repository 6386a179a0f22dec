"""Tier 0: closed forms for every path, array first, microseconds per evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from capmodel.formulary._elementwise import floats, maximum, minimum, some, where
from capmodel.formulary._typing import Array
from capmodel.formulary.channel import channel_item_time
from capmodel.formulary.scheduling import environment_mean, environment_variance
from capmodel.path import CapturePath
from capmodel.results import Solution
from capmodel.solvers._gradual import averaged, gradual
from capmodel.solvers._limits import limits
from capmodel.solvers._long_phases import solve_phases
from capmodel.solvers._outcome import ACCURACY, NAME, Outcome, finish, regime_index, with_idle
from capmodel.solvers._plain_quantiles import plain_quantiles
from capmodel.solvers._same import solve_same
from capmodel.solvers._split import solve_split

__all__ = ["ACCURACY", "NAME", "accepts", "doubts", "solve"]

FEW_PLACES = 32  # from here on 0.06 % on average against simulation, constant rates


def accepts(path: CapturePath) -> str | None:
    """Why this solver cannot take the path.

    Parameters
    ----------
    path : CapturePath
        What is to be solved.

    Returns
    -------
    str or None
        The reason; None if it can.
    """
    arrivals_scv = 1.0 if path.arrivals.phases is not None else path.arrivals.scv
    if some(floats(arrivals_scv) > 1.0) or some(floats(path.kernel.scv) > 1.0):
        return "closed forms hold for squared coefficients of variation from 0 to 1"
    return None


def doubts(path: CapturePath) -> str | None:
    """Why another solver should be preferred where one accepts the path."""
    if path.arrivals.phases is not None:
        return "bursts: ring and buffer are taken to smooth them, not to fill and drain with them"
    if gradual(path):
        return "signals that depend on the time asleep are averaged"
    if path.cores.pinning == "auto" or np.ndim(path.arrivals.rate) > 0:
        return None
    if path.arrivals.process == "poisson":
        return "random arrivals: small losses and loads near the critical one are approximated"
    if path.arrivals.process == "cbr" and some(floats(path.consumer.scv) > 0.0):
        places = minimum(path.kernel.ring, path.buffer.capacity)
        if some(floats(path.kernel.cost) == 0.0) or some(places < FEW_PLACES):
            return "random services and few places: small losses are approximated"
    return next((limit.says for limit in limits(path) if limit.doubted), None)


def _static(outcome: Callable[[CapturePath], Outcome]) -> Callable[[CapturePath], Solution]:
    def solve_one(path: CapturePath) -> Solution:
        offered = floats(path.arrivals.rate)
        return finish(path, outcome(averaged(path)), offered, plain_quantiles(path))

    return solve_one


# which share of the one core stands for which activity of the two
_KERNEL = {
    "packets": "kernel packets",
    "drops": "kernel drops",
    "interrupts": "interrupts",
    "wakeups": "wakeups",
}
_CONSUMER = {"packets": "consumer packets", "waiting": "waiting"}


def _auto(path: CapturePath) -> Solution:
    """The scheduler as a random environment: mean of the two placements, spread between runs."""
    same, split = (solve(alternative) for alternative in path.alternatives)
    cores = path.cores

    def mean(a: Array, b: Array) -> Array:
        return environment_mean(a, b, cores.leave_same, cores.leave_split)

    def mixed(name: str) -> Array:
        return mean(getattr(same, name), getattr(split, name))

    drops = {stage: mean(same.drops[stage], split.drops[stage]) for stage in same.drops}
    offered = floats(same.offered_rate)
    carried = offered - sum(drops.values())
    shared, kernel, consumer = (
        same.core_time["shared"], split.core_time["kernel"], split.core_time["consumer"],
    )  # fmt: skip
    times: Mapping[str, Mapping[str, Array]] = {
        "kernel": with_idle({own: mean(shared[key], kernel[own]) for own, key in _KERNEL.items()}),
        "consumer": with_idle(
            {own: mean(shared[key], consumer[own]) for own, key in _CONSUMER.items()}
        ),
    }
    variance = environment_variance(
        same.captured, split.captured, cores.leave_same, cores.leave_split, path.arrivals.duration
    )
    return replace(
        split,
        path=path,
        carried_rate=carried,
        drops=drops,
        wakeup_rate=mixed("wakeup_rate"),
        poll_rate=mixed("poll_rate"),
        interrupt_rate=mixed("interrupt_rate"),
        core_time=times,
        ring_occupancy=mixed("ring_occupancy"),
        buffer_occupancy=mixed("buffer_occupancy"),
        sojourn_time=_mean_sojourn(same, split, mean),
        regime=where(same.captured < split.captured, same.regime, split.regime),
        captured_std=np.sqrt(variance),
        distributions=None,
        notes=("automatic scheduling: the mean of the two placements, weighted by time in each",),
    )


def _mean_sojourn(same: Solution, split: Solution, mean: Callable[[Array, Array], Array]) -> Array:
    """Of the packets carried in either placement; a placement that carries none has no say."""
    carried = [floats(place.carried_rate) for place in (same, split)]
    spent = [
        where(rate > 0.0, rate * where(rate > 0.0, floats(place.sojourn_time), 0.0), 0.0)
        for rate, place in zip(carried, (same, split), strict=True)
    ]
    total = mean(carried[0], carried[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return where(total > 0.0, mean(spent[0], spent[1]) / total, np.inf)


SOLVE_BY_PINNING: dict[str, Callable[[CapturePath], Solution]] = {
    "split": _static(solve_split),
    "same": _static(solve_same),
    "auto": _auto,
}


CHANNEL_TURNS: dict[str, Callable[[CapturePath], float]] = {
    "read": lambda path: 1.0,
    "poll": lambda path: 1.0 / path.buffer.capacity,
    "spin": lambda path: 1.0 / path.buffer.capacity,
}


def _channel(path: CapturePath) -> Solution:
    """A blocking channel: nothing is dropped, the faster side waits and the slower pays."""
    wakeup, kernel, consumer = path.wakeup, path.kernel, path.consumer
    spinning = wakeup.policy == "spin"
    startup = np.inf if spinning else path.producer_startup
    item = channel_item_time(
        kernel.cost, consumer.cost, 0.0 if spinning else wakeup.cost, path.consumer_notify,
        wakeup.latency, startup, wakeup.threshold,
    )  # fmt: skip
    if path.cores.pinning == "same":
        # one core changes sides when a side must wait: for every item if each is waited for,
        # else when the ring is full or empty
        turns = CHANNEL_TURNS[wakeup.policy](path)
        item = kernel.cost + consumer.cost + wakeup.cost / wakeup.threshold
        item = item + turns * wakeup.switch_cost
    offered = floats(path.arrivals.rate)
    carried = minimum(offered, 1.0 / item)
    # what the channel does not take waits at the sender: no drop, but not carried either
    refused = maximum(offered - carried, 0.0)
    notified = carried / floats(wakeup.threshold) * (0.0 if spinning else 1.0)
    zero = np.zeros_like(carried)
    slower = where(np.asarray(kernel.cost) >= consumer.cost, "kernel", "consumer")
    outcome = Outcome(
        ring_drops=refused,
        buffer_drops=zero,
        overload_drops=zero,
        wakeup_rate=notified,
        poll_rate=notified,
        interrupt_rate=zero,
        core_time={
            "kernel": with_idle({"packets": minimum(carried * kernel.cost, 1.0)}),
            "consumer": with_idle({"packets": minimum(carried * consumer.cost, 1.0)}),
        },
        ring_occupancy=zero,
        buffer_occupancy=zero,
        delay=zero,
        regime=where(slower == "kernel", regime_index("kernel"), regime_index("consumer")),
    )
    return finish(replace(path, arrivals=replace(path.arrivals, duration=np.inf)), outcome, offered)


SOLVE_BY_ON_FULL: dict[str, Callable[[CapturePath], Solution]] = {
    "drop": lambda path: SOLVE_BY_PINNING[path.cores.pinning](path),
    "block": _channel,
}


def solve(path: CapturePath) -> Solution:
    """Closed-form solution of a path.

    Parameters
    ----------
    path : CapturePath
        What is to be solved; fields may be arrays that broadcast.

    Returns
    -------
    Solution
    """
    if path.arrivals.phases is not None:
        return solve_phases(path, solve)
    solution = SOLVE_BY_ON_FULL[path.on_full](path)
    met = limits(path)
    if not met:
        return solution
    notes = (*solution.notes, *(limit.says for limit in met))
    return replace(solution, accuracy=f"{ACCURACY}; further off here, as noted", notes=notes)
