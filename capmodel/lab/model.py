"""What the model says of a point of the lab: its capture path, and that path solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from capmodel.application import Application, own_work
from capmodel.assemble import Choices, assemble
from capmodel.backend import load_backend
from capmodel.errors import unknown_choice
from capmodel.lab.point import LabPoint, Trace
from capmodel.machine import Machine
from capmodel.path import CapturePath
from capmodel.simulation.run import simulate
from capmodel.solvers import select, simulation, solve
from capmodel.workload import Workload

# the ways of waiting that the backends of the same names have
_WAITS: Mapping[str, tuple[str, ...]] = {
    "tpacket_v2": ("poll",),
    "tpacket_v3": ("poll",),
    "pf_packet_copy": ("read",),
    "af_xdp": ("poll",),
}
_WHOLE_FRAME = 9216
MODELLED = ("captured", "wakeup_rate", "poll_rate")
"""Quantities of a run that the model predicts."""


def path_of(
    point: LabPoint,
    machine: Machine,
    values: Mapping[str, Any] | None = None,
    application: Application | None = None,
) -> CapturePath:
    """The capture path that stands for a point.

    Parameters
    ----------
    point : LabPoint
        The point.
    machine : Machine
        Costs of the machine it runs on.
    values : mapping, optional
        Costs in SI instead of the machine's own.
    application : Application, optional
        What a program costs, for a point with `app`.

    Returns
    -------
    CapturePath
        With the run's own length: a short run ends with a buffer that is still drained.

    Raises
    ------
    ValueError
        If the model has no such setting; the message names the argument.
    """
    if point.backend not in _WAITS:
        raise unknown_choice("backend (of a prediction for the lab)", point.backend, _WAITS)
    if isinstance(point.arrivals, Trace):
        raise ValueError("arrivals must be a law to be predicted from costs, got a trace")
    if point.zlib_level is not None:
        raise ValueError("zlib_level has no cost on this machine; give its time as work")
    if point.app is not None and application is None:
        raise ValueError(f"app {point.app!r} needs an application that states its cost")
    if point.app is None and point.wait not in _WAITS[point.backend]:
        raise unknown_choice(
            f"wait (of a prediction, backend {point.backend!r})", point.wait, _WAITS[point.backend]
        )
    backend = load_backend(point.backend)
    chosen = own_work(point.work, snaplen=_WHOLE_FRAME) if application is None else application
    workload = Workload.from_user(
        point.rate, dict(point.sizes) if len(point.sizes) > 1 else point.size, point.arrivals,
        duration_of(point), jumbo=point.jumbo,
    )  # fmt: skip
    choices = Choices(
        pinning=point.pinning,
        ring=float(point.ring),
        buffer=point.buffer,
        consumers=float(point.consumers),
        timeout=point.timeout if point.receiver.blocks else None,
    )
    return assemble(workload, chosen, backend, machine, choices, values)


def duration_of(point: LabPoint) -> float:
    """Length of a point's run.

    Parameters
    ----------
    point : LabPoint
        The point; not a trace.

    Returns
    -------
    float
        Duration [s].
    """
    if point.duration is not None:
        return float(point.duration)
    return float(point.packets) / float(point.rate)


def shown(path: CapturePath, *, replications: int = 2, seed: int = 0) -> dict[str, float]:
    """What a run of a path shows, by the solver that `predict` would choose.

    Parameters
    ----------
    path : CapturePath
        With the length of the run.
    replications : int
        Runs to average over where they are simulated, at least 2.
    seed : int
        The same seed gives the same numbers: differences between costs are not noise.

    Returns
    -------
    dict
        The quantities of `MODELLED`.
    """
    if select(path).name != simulation.NAME:
        solution = solve(path)
        return {name: float(getattr(solution, name)) for name in MODELLED}
    packets = int(np.ceil(float(path.arrivals.rate) * float(path.arrivals.duration))) + 1
    mean = simulate(path, packets=packets * replications, replications=replications, seed=seed).mean
    return {name: mean[name] for name in MODELLED}
