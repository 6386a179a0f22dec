r"""Arrivals that follow a chain: each of its phases solved by itself, the mean of all taken.

What ring and buffer hold (the ring alone, where the kernel is the slower side) they work off in a
time T, so that of the arrivals' ups and downs only
those of the mean rate over T count: each phase's distance from the mean rate is taken smaller by
the root of :math:`\lambda (I(T) - 1) / (T\, \mathrm{Var}\,\lambda_i)`, with I the index of
dispersion for counts. Long phases keep their rates, short ones vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from capmodel.formulary._typing import Array
from capmodel.numerics.arrival_process import MAP
from capmodel.path import Arrivals, CapturePath
from capmodel.results import LEAST_DROPS, REGIMES, Solution

ACCURACY = (
    "closed form of every phase of the arrivals, smoothed over the time that ring and buffer hold: "
    "captured share within 0.02 on average and 0.2 at worst of the decomposition (150 random paths)"
)
_LEAST = 1e-9  # of the mean rate: what stands for silence, which has no rate


BUSY = (
    "the closed form solves every phase of the arrivals as if it lasted, each moved towards the "
    "mean rate by what ring and buffer hold: sojourn times may be up to a hundred times too short, "
    "and the captured share is rough where busy phases overload what idle ones work off"
)


def solve_phases(path: CapturePath, solve: Callable[[CapturePath], Solution]) -> Solution:
    """The mean over the phases of the arrivals, weighted by time, each as Poisson arrivals.

    Parameters
    ----------
    path : CapturePath
        Whose arrivals are a MAP; fields may be arrays that broadcast.
    solve : callable
        Solves a path with Poisson arrivals.

    Returns
    -------
    Solution
    """
    phases = path.arrivals.phases
    assert phases is not None
    felt = _smoothing(path, phases.at_rate(1.0))
    each = [
        solve(_at(path, path.arrivals.rate * np.maximum(1.0 + felt * distance, _LEAST)))
        for distance in (phases.phase_rates / phases.rate - 1.0).tolist()
    ]
    shares = phases.shares

    def mean(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: mean([value[key] for value in values]) for key in values[0]}
        return sum(share * np.asarray(value) for share, value in zip(shares, values, strict=True))

    def mixed(name: str) -> Any:
        return mean([getattr(one, name) for one in each])

    offered = np.asarray(path.arrivals.rate, dtype=np.float64)
    drops = mean([dict(one.drops) for one in each])
    carried = np.maximum(offered - sum(drops.values()), 0.0)
    held = mean([_time_in_system(one) for one in each])
    with np.errstate(divide="ignore", invalid="ignore"):
        sojourn = np.where(carried > 0.0, held / carried, np.inf)
    return replace(
        each[0],
        path=path,
        accuracy=ACCURACY,
        offered_rate=offered,
        carried_rate=carried,
        drops=drops,
        wakeup_rate=mixed("wakeup_rate"),
        poll_rate=mixed("poll_rate"),
        interrupt_rate=mixed("interrupt_rate"),
        core_time=mean([{k: dict(v) for k, v in one.core_time.items()} for one in each]),
        ring_occupancy=mixed("ring_occupancy"),
        buffer_occupancy=mixed("buffer_occupancy"),
        sojourn_time=sojourn,
        regime=np.where(
            sum(drops.values()) < LEAST_DROPS, REGIMES.index("unsaturated"), _regime(shares, each)
        ),
        captured_std=mixed("captured_std"),
        notes=(BUSY, *dict.fromkeys(note for one in each for note in one.notes)),
    )


def _time_in_system(one: Solution) -> Array:
    """Packets that are being carried through [-]; none where none are."""
    carried, stay = np.broadcast_arrays(one.carried_rate, one.sojourn_time)
    return np.asarray(np.multiply(carried, stay, out=np.zeros(carried.shape), where=carried > 0.0))


def _smoothing(path: CapturePath, shape: MAP) -> Array:
    """How much of the distance of a phase's rate from the mean is felt [-]; `shape` has rate 1."""
    kernel, work = path.kernel, path.consumer.cost * path.consumer.processes
    in_ring = kernel.ring * np.maximum(kernel.cost, _LEAST * work)
    # behind a kernel that is the slower one the buffer is no help; on one core it never is
    per_packet = path.wakeup.cost / path.buffer.block  # a block of packets has one signal
    behind = (kernel.cost + per_packet > work) & (path.cores.pinning != "same")
    held = in_ring + np.where(behind, 0.0, path.buffer.capacity * work)
    packets = np.asarray(held * path.arrivals.rate, dtype=np.float64)
    variance = float(shape.shares @ (shape.phase_rates - 1.0) ** 2)
    lasting = np.isfinite(packets) & (packets > 0.0)
    if not variance > 0.0:
        return np.ones_like(packets)
    some = np.where(lasting, packets, 1.0)
    felt = np.maximum(shape.dispersion(some) - 1.0, 0.0) / some
    # nothing held smooths nothing; without end it smooths all
    shares = np.where(lasting, felt / variance, np.where(packets > 0.0, 0.0, 1.0))
    return np.asarray(np.sqrt(np.minimum(shares, 1.0)))


def _at(path: CapturePath, rate: Any) -> CapturePath:
    """The path under Poisson arrivals that never end: a phase of a run is not a run."""
    return replace(
        path,
        arrivals=Arrivals(rate, "poisson", 1.0),
        alternatives=tuple(_at(other, rate) for other in path.alternatives),
    )


def _regime(shares: Array, each: list[Solution]) -> Array:
    """What limits in the phase that loses most; in the busiest if none does."""
    lost = [
        share * sum(np.asarray(rate) for rate in one.drops.values())
        for share, one in zip(shares, each, strict=True)
    ]
    shape = np.broadcast_shapes(*(np.shape(x) for x in lost), *(np.shape(o.regime) for o in each))
    worst = np.stack([np.broadcast_to(x, shape) for x in lost]).argmax(axis=0)
    regimes = np.stack([np.broadcast_to(one.regime, shape) for one in each])
    return np.asarray(np.take_along_axis(regimes, worst[None], axis=0)[0])
