"""What one run of the lab counted, and the error of a run that went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from capmodel.lab.point import LabPoint
from capmodel.lab.records import WaitRecord


class LabError(OSError):
    """A run that cannot be done on this machine, or was not finished.

    Parameters
    ----------
    message : str
        One sentence.
    counters : mapping, optional
        What had been counted when the run ended.

    Examples
    --------
    >>> LabError("the receiver died", {"offered": 12}).counters
    {'offered': 12}
    """

    def __init__(self, message: str, counters: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.counters: dict[str, Any] = dict(counters or {})

    def __str__(self) -> str:
        counted = ", ".join(f"{name} {value:,}" for name, value in self.counters.items())
        return f"{self.args[0]}; counted so far: {counted}" if counted else str(self.args[0])


@dataclass(frozen=True)
class ConsumerCounts:
    """What one consumer of a run counted.

    Parameters
    ----------
    delivered : int
        Packets handed to the consumer [packets].
    buffer_drops : int
        Packets that its buffer had no room for [packets].
    polls : int or None
        Waiting calls: poll(), a blocking read, or sleep; None for a program that is not the lab's.
    wakes : int
        Times that it went to sleep and was woken (voluntary context switches).
    yields : int or None
        Calls of sched_yield().
    received_bytes : int or None
        Bytes of the packets delivered, without checksums [B].
    work_time : float or None
        Time in its own work per packet [s].
    user, system : float
        CPU time of the consumer [s] by mode: the kernel samples the shares, the sum is exact.
    waited : float
        Time [s] that it was ready to run while another process had the core, or, where softirq work
        shares it, the kernel's thread for that.
    """

    delivered: int
    buffer_drops: int
    polls: int | None
    wakes: int
    yields: int | None
    received_bytes: int | None
    work_time: float | None
    user: float
    system: float
    waited: float


@dataclass(frozen=True)
class LabRun:
    """The counters of one run.

    Parameters
    ----------
    point : LabPoint
        What was asked for.
    offered : int
        Packets that arrived at the sender's virtual receive ring [packets].
    ring_drops : int
        Packets that found the ring full [packets].
    backlog_drops : int
        Packets lost between the sending call and the receiving sockets: the softirq backlog
        [packets].
    consumers : tuple of ConsumerCounts
        One for every consumer.
    send_calls : int
        Calls that handed packets to the kernel.
    send_time : float
        Time inside those calls [s]; where the softirq runs on the sender's core (pinning other
        than "same") it is the kernel's time for these packets, wakeups included.
    elapsed : float
        First arrival until the last packet was handed to the kernel [s].
    late : float
        Longest time [s] between two looks of the sender at its arrival clock: above ring/rate, the
        sender itself was held up long enough to overflow the ring.
    waited : float
        Time [s] that the sender was ready to run while another process had the core.
    cpu : mapping
        Core number to kind (user, system, softirq, irq, steal, idle, other) to seconds [s] over the
        run, from /proc/stat, which counts hundredths of a second.
    cores : mapping
        "sender" and "consumers" to core numbers; consumers None where the scheduler chose.
    report : str
        What a program printed, where the consumer was one.
    waits : WaitRecord, optional
        What sending calls and wait calls took, where they can be matched.
    stalls : int
        Times that the sender stood still for more than 200 us.
    stall_time : float
        How long in all [s].

    Raises
    ------
    LabError
        If packets are missing or were invented: every consumer must have got, or lost at a stage
        that counted it, every packet offered.

    Examples
    --------
    >>> counts = ConsumerCounts(90, 4, 10, 8, 0, 5400, 0.0, 0.0, 0.0, 0.0)
    >>> run = LabRun(LabPoint(100), 100, 5, 1, (counts,), 95, 1e-4, 1.0, 0.0, 0.0, {}, {})
    >>> run.captured, run.wakeup_rate, run.buffer_drops
    (0.9, 8.0, 4)
    """

    point: LabPoint
    offered: int
    ring_drops: int
    backlog_drops: int
    consumers: tuple[ConsumerCounts, ...]
    send_calls: int
    send_time: float
    elapsed: float
    late: float
    waited: float
    cpu: Mapping[int, Mapping[str, float]] = field(repr=False)
    cores: Mapping[str, int | None]
    report: str = field(default="", repr=False)
    waits: WaitRecord | None = field(default=None, repr=False)
    stalls: int = 0
    stall_time: float = 0.0

    def __post_init__(self) -> None:
        for number, consumer in enumerate(self.consumers):
            found = (
                consumer.delivered + consumer.buffer_drops + self.ring_drops + self.backlog_drops
            )
            counts = (consumer.delivered, consumer.buffer_drops, self.ring_drops,
                      self.backlog_drops)  # fmt: skip
            if found != self.offered or min(counts) < 0:
                raise LabError(
                    f"packets of consumer {number} do not add up: {self.offered:,} were offered "
                    f"and {found:,} are accounted for",
                    {
                        "offered": self.offered,
                        "ring drops": self.ring_drops,
                        "backlog drops": self.backlog_drops,
                        "buffer drops": consumer.buffer_drops,
                        "delivered": consumer.delivered,
                    },
                )

    @property
    def delivered(self) -> int:
        """Packets handed to consumers, over all of them [packets]."""
        return sum(consumer.delivered for consumer in self.consumers)

    @property
    def buffer_drops(self) -> int:
        """Packets lost at the consumers' buffers, over all of them [packets]."""
        return sum(consumer.buffer_drops for consumer in self.consumers)

    @property
    def polls(self) -> int | None:
        """Waiting calls of all consumers; None where a program does not tell."""
        counts = [consumer.polls for consumer in self.consumers]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def wakes(self) -> int:
        """Times that a consumer slept and was woken, over all of them."""
        return sum(consumer.wakes for consumer in self.consumers)

    @property
    def captured(self) -> float:
        """Share of the offered packets that a consumer got, on average over consumers [-]."""
        return self.delivered / (self.offered * len(self.consumers))

    @property
    def carried_rate(self) -> float:
        """Packets delivered per second and consumer [1/s]."""
        return self.captured * self.offered / self.elapsed

    @property
    def offered_rate(self) -> float:
        """Packets offered per second [1/s]."""
        return self.offered / self.elapsed

    @property
    def wakeup_rate(self) -> float:
        """Sleeping consumers woken per second, over all of them [1/s]."""
        return self.wakes / self.elapsed

    @property
    def kernel_time(self) -> float:
        """Time inside the sending calls per packet handed to the kernel [s]."""
        return self.send_time / max(1, self.offered - self.ring_drops)

    @property
    def consumer_time(self) -> float:
        """CPU time of the consumers per packet delivered [s]."""
        total = sum(consumer.user + consumer.system for consumer in self.consumers)
        return total / max(1, self.delivered)

    @property
    def stolen(self) -> float:
        """Time that the hypervisor took from the lab's cores [s]."""
        return sum(kinds["steal"] for kinds in self.cpu.values())

    def to_dict(self) -> dict[str, Any]:
        """All counters and the derived rates as plain values."""
        values = asdict(replace(self, waits=None))
        del values["waits"]
        values["point"] = self.point.to_dict()
        values["consumers"] = [asdict(consumer) for consumer in self.consumers]
        derived = ("delivered", "buffer_drops", "polls", "wakes", "captured", "carried_rate",
                   "offered_rate", "wakeup_rate", "kernel_time", "consumer_time",
                   "stolen")  # fmt: skip
        return values | {name: getattr(self, name) for name in derived}
