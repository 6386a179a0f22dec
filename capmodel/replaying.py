"""Recorded packets sent once more through a modelled capture set-up, one by one."""

from __future__ import annotations

from dataclasses import replace as changed
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from capmodel.api import DEFAULT_MACHINE, _application, _choices
from capmodel.assemble import assemble
from capmodel.backend import load_backend
from capmodel.machine import load_machine
from capmodel.path import Arrivals, CapturePath
from capmodel.pcap import Trace, read_trace
from capmodel.quantities import format_rate
from capmodel.support import default_backend
from capmodel.workload import Workload

if TYPE_CHECKING:
    from capmodel.simulation import SimulationResult

_BUS_WINDOW = 1e-3  # [s]; a card's own memory lasts shorter
_SETTINGS = (
    "pinning", "ring", "buffer", "consumers", "threshold", "timeout", "sleep", "nic", "driver",
)  # fmt: skip


def replay(
    trace: Trace | str | PathLike[str],
    backend: str | None = None,
    machine: Any = DEFAULT_MACHINE,
    *,
    application: Any = None,
    work: Any = None,
    pace: float = 1.0,
    seed: int = 0,
    replications: int = 4,
    **settings: Any,
) -> SimulationResult:
    """What a set-up loses of exactly these packets.

    Parameters
    ----------
    trace : Trace, str or path-like
        The packets, or a file of them.
    backend, machine, application, work
        As for :func:`capmodel.predict`.
    pace : float
        How many times as fast the packets come [-].
    seed : int
        Seed of what is random in the set-up: services that vary, an automatic scheduler.
    replications : int
        Repetitions, at least 2.
    **settings
        ``pinning``, ``ring``, ``buffer``, ``consumers``, ``threshold``, ``timeout``, ``sleep``,
        ``nic``, ``driver``, as for :func:`capmodel.predict`.

    Returns
    -------
    SimulationResult
        Every packet comes at its own time. On paths with one consumer, slots and a core of its own
        it also costs what its own size costs; on others sizes enter by their mean, which the
        result's notes say.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or the set-up is one that is not simulated.
    ImportError
        If numba is missing, or Scapy for a file.
    """
    from capmodel.simulation.run import simulate, takes_costs

    if not (pace > 0.0 and np.isfinite(pace)):
        raise ValueError(f"pace must be positive and finite, got {pace!r}")
    unknown = set(settings) - set(_SETTINGS)
    if unknown:
        raise TypeError(f"replay has no arguments {', '.join(sorted(unknown))}")
    packets = trace if isinstance(trace, Trace) else read_trace(trace)
    times = packets.times / pace
    sizes, which, counts = np.unique(packets.sizes, return_inverse=True, return_counts=True)
    rate = len(times) / max(float(times[-1]), 1e-9)
    rig = load_machine(machine)
    mechanism = load_backend(default_backend(rig) if backend is None else backend)
    given = {name: settings.get(name) for name in _SETTINGS}
    given["consumers"] = 1 if given["consumers"] is None else given["consumers"]
    choices, chosen = _choices(**given, backend=mechanism), _application(application, work)

    def path_of(shares: tuple[tuple[Any, float], ...]) -> CapturePath:
        workload = Workload(rate, shares, "cbr", 1.0)
        path = assemble(workload, chosen, mechanism, rig, choices)
        return changed(path, arrivals=Arrivals(rate))

    mean = path_of(tuple(zip(sizes.tolist(), (counts / len(times)).tolist(), strict=True)))
    costs, notes = None, packets.notes
    if takes_costs(mean):
        each = path_of(((sizes, 1.0),))
        of_kernel, of_consumer = (
            np.broadcast_to(np.asarray(stage.cost, dtype=np.float64), sizes.shape)[which]
            for stage in (each.kernel, each.consumer)
        )
        costs = of_kernel, of_consumer
    elif len(sizes) > 1:
        notes = (*notes, "on this path frame sizes enter by their mean")
    greatest = _rate_over(times, _BUS_WINDOW)
    if greatest > float(np.min(mean.kernel.driver.bus_rate)):
        notes = (
            *notes,
            f"packets come at up to {format_rate(greatest)} over a millisecond, more than the bus "
            "of the card carries, which is not simulated: losses there come on top",
        )
    result = simulate(
        mean, packets=max(len(times), 2 * replications), replications=replications, seed=seed,
        trace=times, trace_costs=costs,
    )  # fmt: skip
    return changed(result, notes=(*result.notes, *notes))


def _rate_over(times: Any, window: float) -> float:
    """Greatest rate [1/s] in any window of that length [s]."""
    ends = np.searchsorted(times, times + window, side="left")
    return float((ends - np.arange(len(times))).max()) / window


__all__ = ["replay"]
