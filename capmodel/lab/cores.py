"""Which core does what, and how the cores spent their time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capmodel.lab.outcome import LabError
from capmodel.lab.point import LabPoint

# proc(5), columns of a line of /proc/stat
_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
KINDS = ("user", "system", "softirq", "irq", "steal", "idle", "other")
_TICK = 1.0 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01

Times = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Placement:
    """Cores of a run: of the sender, of the consumers (None: any), of steered softirq (None: not).

    Parameters
    ----------
    sender, consumers, softirq : int or None
        Numbers of cores.
    """

    sender: int
    consumers: int | None
    softirq: int | None

    @property
    def favoured(self) -> bool:
        """Whether to keep other processes from the consumers' core.

        Not where the kernel's own softirq thread shares that core, or the scheduler is the subject.
        """
        return self.consumers is not None and self.softirq is None

    @property
    def watched(self) -> tuple[int, ...]:
        """Cores whose time is of interest."""
        if self.consumers is None:
            return tuple(sorted(os.sched_getaffinity(0)))
        return (self.sender, self.consumers)


def place(point: LabPoint) -> Placement:
    """Choose cores for a point, among those that this process may use.

    Parameters
    ----------
    point : LabPoint
        The point.

    Returns
    -------
    Placement

    Raises
    ------
    LabError
        If there are fewer than two.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise LabError(
            "the lab needs two cores, because its sender keeps one busy, and this process may use "
            f"{len(cores)}; give it more (taskset, cgroup cpuset)"
        )
    first, second = cores[:2]
    return Placement(
        sender=first,
        consumers=None if point.pinning == "auto" else second,
        softirq=second if point.pinning == "same" else None,
    )


def favour() -> None:
    """Take precedence over other processes, where that is allowed: a card is not preempted.

    Where sessions are scheduled as groups, precedence counts within one: hence one of its own.
    """
    with contextlib.suppress(OSError):
        os.setsid()
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        Path("/proc/self/autogroup").write_text("-20", encoding="ascii")


def core_times(cores: tuple[int, ...]) -> Times:
    """Time that cores have spent since the machine started, by kind.

    Parameters
    ----------
    cores : tuple of int
        Which cores.

    Returns
    -------
    mapping
        Core to kind to seconds [s], in hundredths.
    """
    found = {}
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *words = line.split()
        if not (name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores):
            continue
        raw = dict(zip(_COLUMNS, (int(word) * _TICK for word in words), strict=False))
        raw["other"] = raw.pop("nice", 0.0) + raw.pop("iowait", 0.0)
        found[int(name[3:])] = {kind: raw.get(kind, 0.0) for kind in KINDS}
    return found


def difference(after: Times, before: Times) -> Times:
    """Time that cores spent between two looks; the kernel may correct idle time backwards.

    Parameters
    ----------
    after, before : mapping
        Of :func:`core_times`.

    Returns
    -------
    mapping
    """
    return {
        core: {kind: max(0.0, after[core][kind] - before[core][kind]) for kind in KINDS}
        for core in after
    }
