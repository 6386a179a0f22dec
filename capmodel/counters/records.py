"""What one look at the kernel's counters holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from capmodel.counters.cpus import IdleState
from capmodel.counters.links import Link
from capmodel.counters.packet_sockets import PacketSocket
from capmodel.counters.proc import CpuTable, CpuTimes, Softnet
from capmodel.counters.tasks import Task


def nothing() -> Mapping[Any, Any]:
    """An empty mapping that cannot be filled.

    Returns
    -------
    mapping
    """
    return MappingProxyType({})


@dataclass(frozen=True)
class Owner:
    """A process that holds a socket: its number, its name, its descriptor for it."""

    pid: int
    name: str
    descriptor: int


@dataclass(frozen=True)
class CardRing:
    """Receive descriptors of the card: in use, and the most that it has [slots]."""

    slots: int
    most: int


@dataclass(frozen=True)
class Snapshot:
    """What Linux showed at one moment; None or empty for what `not_seen` gives a reason for.

    Attributes
    ----------
    time : float
        Clock that only moves forward [s].
    interface : str
        The interface.
    link : Link or None
        Its counters.
    interrupts, softirqs : CpuTable or None
        Counts by CPU.
    softnet : tuple of Softnet
        Receive softirq by CPU, of the whole machine.
    cpu_times : tuple of CpuTimes
        Time by CPU and kind.
    sockets : tuple of PacketSocket
        Packet sockets of this network namespace.
    owners : mapping of int to Owner
        Who holds them, by inode.
    tasks : mapping of int to tuple of Task
        Threads by process.
    irqs : tuple of str
        The card's interrupts, as labels of `interrupts`.
    affinity : mapping of str to frozenset of int
        CPUs that each of them may go to.
    rps : frozenset of int
        CPUs that receive packet steering uses; empty if it is off.
    card_ring : CardRing or None
        Receive descriptors.
    card_counters : mapping of str to int
        The driver's own counters whose names speak of loss.
    idle_states : tuple of IdleState
        C-states by CPU.
    cache : int or None
        Largest cache [B].
    backlog_limit : int or None
        Most packets in a CPU's backlog [packets].
    not_seen : mapping of str to str
        Why a field is empty.
    """

    time: float
    interface: str
    link: Link | None = None
    interrupts: CpuTable | None = None
    softirqs: CpuTable | None = None
    softnet: tuple[Softnet, ...] = ()
    cpu_times: tuple[CpuTimes, ...] = ()
    sockets: tuple[PacketSocket, ...] = ()
    owners: Mapping[int, Owner] = field(default_factory=nothing)
    tasks: Mapping[int, tuple[Task, ...]] = field(default_factory=nothing)
    irqs: tuple[str, ...] = ()
    affinity: Mapping[str, frozenset[int]] = field(default_factory=nothing)
    rps: frozenset[int] = frozenset()
    card_ring: CardRing | None = None
    card_counters: Mapping[str, int] = field(default_factory=nothing)
    idle_states: tuple[IdleState, ...] = ()
    cache: int | None = None
    backlog_limit: int | None = None
    not_seen: Mapping[str, str] = field(default_factory=nothing)


@dataclass(frozen=True)
class Place:
    """Where to look: an interface, and the roots of /proc and /sys (others in tests)."""

    interface: str
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    @property
    def device(self) -> Path:
        """The interface's folder in /sys."""
        return self.sys / "class" / "net" / self.interface
