"""What disturbed a run of the lab: who took time from it, how much, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from capmodel.lab.experiment import Limits
from capmodel.lab.outcome import LabRun
from capmodel.quantities import format_duration, format_share


@dataclass(frozen=True)
class Disturbance:
    """Time that others took from a run.

    Parameters
    ----------
    who : str
        Who took it.
    whom : str
        From whom.
    time : float
        How much [s].
    share : float
        The same as a share of the time that there was [-].
    limit : float
        The share from which a run counts as disturbed [-].
    remedy : str
        What to do.
    """

    who: str
    whom: str
    time: float
    share: float
    limit: float
    remedy: str

    @property
    def notable(self) -> bool:
        """Whether it is more than its limit."""
        return self.share > self.limit

    def __str__(self) -> str:
        limit = f"allowed: {format_share(self.limit, 2)}"
        amount = (
            f"{format_duration(self.time)} ({format_share(self.share, 2)} of the time; {limit})"
        )
        return f"{self.who} for {amount} {self.whom}. {self.remedy}"


def disturbances(run: LabRun, limits: Limits | None = None) -> tuple[Disturbance, ...]:
    """What took more time from a run than its limits allow.

    Parameters
    ----------
    run : LabRun
        The run.
    limits : Limits, optional
        Those of :class:`capmodel.lab.experiment.Limits`; default: the usual ones.

    Returns
    -------
    tuple of Disturbance
        At least one where not ``limits.calm(run)``; where it is, none but that the sender stood
        still for longer than its ring lasts.
    """
    bounds = Limits() if limits is None else limits
    found = (each for kind in _KINDS for each in kind(run, bounds))
    return tuple(each for each in found if each.notable)


def _stolen(run: LabRun, limits: Limits) -> Iterator[Disturbance]:
    cores = max(len(run.cpu), 1)
    yield Disturbance(
        "The hypervisor ran other machines", f"on the lab's {_cores(cores)}",
        run.stolen, run.stolen / (cores * run.elapsed), limits.stolen,
        "Repeat when the host is quieter, or on a machine with CPUs of its own.",
    )  # fmt: skip


def _sender(run: LabRun, limits: Limits) -> Iterator[Disturbance]:
    core = run.cores.get("sender")
    yield Disturbance(
        f"Other processes had {_core(core)}", "while the sender was ready to run",
        run.waited, run.waited / run.elapsed, limits.waited, _stop(core),
    )  # fmt: skip


def _pause(run: LabRun, limits: Limits) -> Iterator[Disturbance]:
    if run.ring_drops == 0:
        return
    lasts = run.point.ring / run.offered_rate
    yield Disturbance(
        "The sender stood still at once",
        f"and its ring of {run.point.ring:,} packets lasts {format_duration(lasts)}: drops there "
        "may be its own",
        run.late, run.late / run.elapsed, lasts / run.elapsed,
        "Repeat; if it comes again, other processes, interrupts or the hypervisor hold its core.",
    )  # fmt: skip


def _consumer(run: LabRun, limits: Limits) -> Iterator[Disturbance]:
    if run.point.pinning != "split":
        return  # on a shared core the consumer waits for the softirq: that is the subject
    core = run.cores.get("consumers")
    waited = max(consumer.waited for consumer in run.consumers)
    yield Disturbance(
        f"Other processes had {_core(core)}", "while the consumer was ready to run",
        waited, waited / run.elapsed, limits.waited, _stop(core),
    )  # fmt: skip


def _foreign(run: LabRun, limits: Limits) -> Iterator[Disturbance]:
    if run.point.pinning == "split":
        return
    core = run.cores.get("consumers") or 0
    user = run.cpu.get(core, {}).get("user", 0.0)
    others = user - sum(consumer.user for consumer in run.consumers)
    yield Disturbance(
        f"Other processes computed on {_core(core)}", "which kernel and consumer share",
        others, others / run.elapsed, limits.foreign, _stop(core),
    )  # fmt: skip


_KINDS: tuple[Callable[[LabRun, Limits], Iterator[Disturbance]], ...] = (
    _stolen, _sender, _pause, _consumer, _foreign,
)  # fmt: skip


def _cores(count: int) -> str:
    return "core" if count == 1 else f"{count} cores"


def _core(core: int | None) -> str:
    return "a core of the lab" if core is None else f"core {core}"


def _stop(core: int | None) -> str:
    where = "the lab's cores" if core is None else f"core {core}"
    return f"Stop them, or keep them off {where} (taskset, a cpuset, or isolcpus), and repeat."
