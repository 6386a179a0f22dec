"""Two snapshots and what happened between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from capmodel.counters.packet_sockets import PacketSocket, RingLook
from capmodel.counters.proc import CpuTimes, wrapped
from capmodel.counters.records import Owner, Snapshot, nothing
from capmodel.counters.tasks import Task


@dataclass(frozen=True)
class Activity:
    """What one thread did in the interval: sleeps and preemptions [-], times [s], CPUs seen on."""

    task: Task
    sleeps: int
    preempted: int
    cpu_time: float
    user: float
    waited: float | None
    seen_on: Mapping[int, int]


@dataclass(frozen=True)
class Capture:
    """A packet socket that takes packets of the interface, and the process behind it.

    Attributes
    ----------
    socket : PacketSocket
        The socket, as it was at the end.
    owner : Owner or None
        Its process; None where it was not to be seen.
    activity : Activity or None
        The process's busiest thread.
    drops : int or None
        Packets dropped at its full buffer [packets]; None where the kernel does not show them.
    packets : int or None
        Packets that reached the socket, the dropped ones included [packets].
    looks : tuple of RingLook
        Looks into its ring.
    """

    socket: PacketSocket
    owner: Owner | None
    activity: Activity | None
    drops: int | None
    packets: int | None
    looks: tuple[RingLook, ...]

    @property
    def title(self) -> str:
        """Who it is, in words."""
        who = f"{self.owner.name} (process {self.owner.pid})" if self.owner else "a process unseen"
        return f"{who}, {self.socket.title}"

    @property
    def full_looks(self) -> int:
        """Looks that found the ring full [-]."""
        return sum(each.full for each in self.looks)

    @property
    def loses(self) -> bool:
        """Whether packets were seen lost at this buffer."""
        return bool(self.drops) or self.full_looks > 0


@dataclass(frozen=True)
class Observation:
    """What happened between two snapshots.

    Attributes
    ----------
    before, after : Snapshot
        The two.
    looks : tuple of RingLook
        Looks into mapped rings in between.
    seen_on : mapping of int to mapping
        How often each thread was seen on each CPU.
    statistics : mapping of int to pair
        Packets and drops by inode, if the sockets' statistics were taken [packets].
    not_seen : mapping of str to str
        What could not be seen, and why.
    """

    before: Snapshot
    after: Snapshot
    looks: tuple[RingLook, ...] = ()
    seen_on: Mapping[int, Mapping[int, int]] = field(default_factory=nothing)
    statistics: Mapping[int, tuple[int, int]] = field(default_factory=nothing)
    not_seen: Mapping[str, str] = field(default_factory=nothing)
    pid: int | None = None

    @property
    def seconds(self) -> float:
        """Length of the interval [s]."""
        return self.after.time - self.before.time

    def _grown(self, counter: str) -> int:
        if self.before.link is None or self.after.link is None:
            return 0
        return max(0, int(getattr(self.after.link, counter) - getattr(self.before.link, counter)))

    @property
    def received(self) -> int:
        """Packets that the host received [packets]."""
        return self._grown("packets")

    @property
    def frame_size(self) -> float:
        """Mean frame size, checksum included, at least the 64 bytes of Ethernet [B]."""
        octets = self._grown("bytes") / self.received + 4.0 if self.received else 64.0
        return max(octets, 64.0)

    @property
    def ring_drops(self) -> int:
        """Packets that the card dropped for want of a descriptor [packets]."""
        return self._grown("missed")

    @property
    def overflow_events(self) -> int:
        """Overflows that the driver counts as events [-]."""
        return max(self._grown("fifo"), self._grown("over"))

    @property
    def softnet_drops(self) -> int:
        """Packets dropped at a full backlog, on the whole machine [packets]."""
        return sum(self._softnet("dropped").values())

    @property
    def backlog_drops(self) -> int:
        """Those of this interface: the lesser of its count and the backlogs' [packets]."""
        return min(self.softnet_drops, self._grown("dropped"))

    @property
    def offered(self) -> int:
        """Packets offered [packets].

        A card counts as received what is later dropped from a backlog; a software interface, whose
        packets enter by the backlog, does not.
        """
        software = self.after.link is not None and self.after.link.kind != ""
        return self.received + self.ring_drops + (self.backlog_drops if software else 0)

    @property
    def rate(self) -> float:
        """Packets offered per second [1/s]."""
        return self.offered / self.seconds if self.seconds > 0.0 else 0.0

    def _softnet(self, counter: str) -> dict[int, int]:
        earlier = {each.cpu: getattr(each, counter) for each in self.before.softnet}
        return {
            each.cpu: wrapped(getattr(each, counter), earlier.get(each.cpu, 0))
            for each in self.after.softnet
        }

    @property
    def processed(self) -> dict[int, int]:
        """Packets that each CPU's softirq handled, of all interfaces [packets]."""
        return self._softnet("processed")

    @property
    def squeezed(self) -> int:
        """Times that a softirq ran out of its budget [-]."""
        return sum(self._softnet("time_squeeze").values())

    @property
    def own_share(self) -> float:
        """Share of the machine's packets that are of this interface, at most [-]."""
        everything = sum(self.processed.values())
        return min(self.received, everything) / everything if everything else 0.0

    def receive_share(self, cpu: int) -> float:
        """Share of this interface's packets that a CPU's softirq handled, at least [-].

        The kernel counts by CPU for all interfaces together. What other CPUs handled may all have
        been of this one; what then remains must have been handled here.
        """
        processed = self.processed
        everything = sum(processed.values())
        own = min(self.received, everything)
        if not own:
            return 0.0
        return max(0, own - (everything - processed.get(cpu, 0))) / own

    @property
    def receive_cpus(self) -> tuple[int, ...]:
        """CPUs that surely handled packets of this interface, busiest first.

        Where other traffic hides that: those that steering (RPS), else the card's interrupts, may
        go to, if that is one.
        """
        shares = {cpu: self.receive_share(cpu) for cpu in self.processed}
        busy = sorted((cpu for cpu in shares if shares[cpu] > 0.0), key=lambda cpu: -shares[cpu])
        if busy:
            return tuple(busy)
        interrupts = frozenset[int]().union(*self.after.affinity.values())
        bound = self.after.rps or interrupts
        return tuple(bound) if len(bound) == 1 else ()

    @property
    def card_interrupts(self) -> int | None:
        """Interrupts of the card; None if it has none or they were not seen [-]."""
        before, after = self.before.interrupts, self.after.interrupts
        if before is None or after is None or not self.after.irqs:
            return None
        return sum(
            max(0, sum(after.rows[irq]) - sum(before.rows.get(irq, (0,))))
            for irq in self.after.irqs
            if irq in after.rows
        )

    @property
    def softirqs_per_packet(self) -> float | None:
        """Runs of the receive softirq per packet, over the whole machine [-]."""
        before, after = self.before.softirqs, self.after.softirqs
        packets = sum(self.processed.values())
        if before is None or after is None or "NET_RX" not in after.rows or not packets:
            return None
        return max(0, sum(after.rows["NET_RX"]) - sum(before.rows.get("NET_RX", (0,)))) / packets

    @property
    def interrupts_per_packet(self) -> float | None:
        """Receive interrupts per packet: the card's; without a card, runs of the softirq [-]."""
        interrupts = self.card_interrupts
        if interrupts is not None:
            return interrupts / self.received if self.received else None
        return self.softirqs_per_packet

    def cpu_share(self, cpu: int, *kinds: str) -> float | None:
        """Share of a CPU's time by kind, kinds added up; None if not seen [-]."""
        before = {each.cpu: each for each in self.before.cpu_times}.get(cpu)
        after = {each.cpu: each for each in self.after.cpu_times}.get(cpu)
        if before is None or after is None or after.total <= before.total:
            return None
        grown = sum(_time(after, kind) - _time(before, kind) for kind in kinds)
        return max(0.0, grown / (after.total - before.total))

    @property
    def captures(self) -> tuple[Capture, ...]:
        """The packet sockets that take this interface's packets, of `pid` alone if it is set."""
        index = self.after.link.index if self.after.link else None
        found = []
        for sock in self.after.sockets:
            owner = self.after.owners.get(sock.inode)
            wanted = self.pid is None or (owner is not None and owner.pid == self.pid)
            if sock.protocol and sock.interface in (0, index) and wanted:
                found.append(self._capture(sock, owner))
        return tuple(found)

    def _capture(self, sock: PacketSocket, owner: Owner | None) -> Capture:
        taken = self.statistics.get(sock.inode)
        earlier = {each.inode: each.drops for each in self.before.sockets}.get(sock.inode)
        drops = None
        if taken is not None:
            drops = taken[1]
        elif sock.drops is not None and earlier is not None:
            drops = wrapped(sock.drops, earlier)
        return Capture(
            sock,
            owner,
            self._busiest(owner.pid) if owner else None,
            drops,
            None if taken is None else taken[0],
            tuple(each for each in self.looks if each.inode == sock.inode),
        )

    def _busiest(self, pid: int) -> Activity | None:
        """The thread with the most CPU time, then the most sleeps: the one that captures."""
        earlier = {task.tid: task for task in self.before.tasks.get(pid, ())}
        found = [
            Activity(
                task,
                task.sleeps - earlier[task.tid].sleeps,
                task.preempted - earlier[task.tid].preempted,
                task.cpu_time - earlier[task.tid].cpu_time,
                task.user - earlier[task.tid].user,
                _difference(task.waited, earlier[task.tid].waited),
                self.seen_on.get(task.tid, MappingProxyType({})),
            )
            for task in self.after.tasks.get(pid, ())
            if task.tid in earlier
        ]
        return max(found, key=lambda each: (each.cpu_time, each.sleeps), default=None)


def _time(times: CpuTimes, kind: str) -> int:
    return int(getattr(times, kind))


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
