"""One setting of the live lab: what is sent, what receives it, and where both run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import Any

from capmodel.errors import unknown_choice
from capmodel.lab.receivers import RECEIVERS, Receiver
from capmodel.numerics.arrival_process import MAP
from capmodel.quantities import (
    BufferSize,
    parse_buffer,
    parse_duration,
    parse_slots,
)
from capmodel.traffic import mmpp_text
from capmodel.workload import Bursts, Workload

MOST_SECONDS = 60.0
MOST_PACKETS = 50_000_000
# packets that a socket without a ring queues at most, by the memory that the kernel lets it have
MOST_KERNEL_QUEUE = 2**17
PINNINGS = ("split", "same", "auto")

_DEFAULT_DURATION = 0.5
_INTERFACE = "{iface}"


@dataclass(frozen=True)
class Trace:
    """Arrivals at recorded times.

    Parameters
    ----------
    path : str or Path
        A file that :func:`capmodel.lab.trace.read_trace` reads: pcap, pcapng, or text with a time
        [s] in every line, and after a comma a frame size [B] if the sizes are to be replayed too.

    Raises
    ------
    TypeError
        If the path is not one.

    Examples
    --------
    >>> Trace("monday.csv").path
    PosixPath('monday.csv')
    """

    path: Any

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, Path)):
            raise TypeError(f"arrivals (trace) must name a file, got {self.path!r}")
        object.__setattr__(self, "path", Path(self.path))

    def __str__(self) -> str:
        return f"trace({self.path})"


@dataclass(frozen=True)
class LabPoint:
    """One setting of the lab, in the words of :func:`capmodel.predict`.

    Parameters
    ----------
    rate : float or str, optional
        Offered packets per second [1/s], over bursts and gaps; or ``"300kpps"``, ``"1Gbit/s"``.
        With a trace: the rate to which its times are stretched; default: as recorded.
    size : float, str or mapping
        Frame size [B], checksum included (the frames handed to the kernel are 4 bytes shorter);
        ``"imix"``; or sizes mapped to shares.
    backend : str
        What receives: a name in :data:`capmodel.lab.receivers.RECEIVERS`.
    wait : {"poll", "busy", "sleep", "yield", "read"}, optional
        What a consumer does when there is no packet: poll(); look again at once; sleep for `sleep`;
        call sched_yield() `yields` times and then poll(); or block in the reading call. Default:
        the receiver's first.
    work : float, str or pair
        The consumer's own time: seconds per packet [s], or a pair (per packet [s], per byte [s/B]).
    zlib_level : int, optional
        Feed every packet to zlib at this level, 0 to 9, instead of `work`.
    pinning : {"split", "same", "auto"}
        Softirq on the sender's core and the consumers on the other; softirq moved to the consumers'
        core (needs root: receive packet steering); softirq on the sender's core and the consumers
        left to the scheduler.
    ring : int or str
        Places of the sender's virtual receive ring [slots].
    buffer : str, optional
        Memory between kernel and consumer, ``"4096 slots"`` or ``"2MiB"``; default: the receiver's.
    block_size, timeout : optional
        Size of a block [B] and retire timeout [s] of a receiver with blocks.
    sleep : float or str, optional
        Length of a sleep [s], for ``wait="sleep"``.
    yields : int, optional
        Calls of sched_yield() before poll(), for ``wait="yield"``.
    consumers : int
        Processes that each receive every packet.
    arrivals : str, Bursts, MAP or Trace
        ``"cbr"``, ``"poisson"``, ``"bursts(on=10ms,off=90ms)"``, a modulated Poisson process of two
        phases (or ``"mmpp(high=1Mpps,low=50kpps,on=3ms,off=20ms)"``), or ``"trace(FILE)"``.
    duration : float or str, optional
        Length of the run [s], at most 60; default: half a second, or the whole trace.
    packets : int, optional
        Length of the run in packets instead, at most 50 million.
    batch : int
        Most packets handed to the kernel in one call.
    app : str, optional
        A command line that captures on ``{iface}``, in place of the lab's own receiver.
    jumbo : bool
        Allow frames above 9216 bytes.
    seed : int
        Of the random arrivals and sizes.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, what it got and what is allowed.

    Examples
    --------
    >>> point = LabPoint("300kpps", work="1us")
    >>> point.rate, point.work, point.wait, point.buffer
    (300000.0, (1e-06, 0.0), 'poll', BufferSize(amount=4096.0, unit='slots'))
    >>> LabPoint.from_dict(point.to_dict()) == point
    True
    """

    rate: Any = None
    size: Any = 64
    backend: str = "tpacket_v2"
    _: KW_ONLY
    wait: str = ""
    work: Any = 0.0
    zlib_level: int | None = None
    pinning: str = "split"
    ring: Any = 256
    buffer: Any = None
    block_size: Any = None
    timeout: Any = None
    sleep: Any = None
    yields: Any = None
    consumers: Any = 1
    arrivals: Any = "cbr"
    duration: Any = None
    packets: Any = None
    batch: Any = 1
    app: str | None = None
    jumbo: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.backend not in RECEIVERS:
            raise unknown_choice("backend", self.backend, RECEIVERS)
        if self.pinning not in PINNINGS:
            raise unknown_choice("pinning", self.pinning, PINNINGS)
        receiver = RECEIVERS[self.backend]
        traffic = _traffic(self)
        normal = {
            "rate": traffic.rate if self.rate is not None else None,
            "size": traffic.sizes[0][0] if len(traffic.sizes) == 1 else dict(traffic.sizes),
            "arrivals": _arrivals(self) or traffic.arrivals,
            "work": _work(self.work),
            "ring": parse_slots(self.ring, name="ring"),
            "consumers": _bounded(self.consumers, "consumers", 16),
            "batch": _bounded(self.batch, "batch", 1024),
            **_length(self, traffic.rate),
            **_waiting(self, receiver),
            **_memory(self, receiver),
        }
        for name, value in normal.items():
            object.__setattr__(self, name, value)
        if isinstance(self.arrivals, MAP):
            mmpp_text(self.arrivals)  # a point must be one that can be written down
        _check_work(self)
        _check_app(self)
        _whole(self.seed, "seed", 0, 2**63 - 1)

    @property
    def receiver(self) -> Receiver:
        """What its backend can do."""
        return RECEIVERS[self.backend]

    @property
    def sizes(self) -> tuple[tuple[float, float], ...]:
        """Frame sizes [B] with their shares of packets [-]."""
        return tuple(self.size.items()) if isinstance(self.size, Mapping) else ((self.size, 1.0),)

    @property
    def largest_size(self) -> float:
        """Largest frame [B], checksum included."""
        return max(size for size, _ in self.sizes)

    @property
    def longest_work(self) -> float:
        """Work for the largest frame [s]."""
        return float(self.work[0] + self.work[1] * self.largest_size)

    @property
    def slots(self) -> int:
        """Packets that a consumer's buffer holds [slots]; an upper bound where it counts bytes."""
        if self.buffer is None or self.receiver.align == 1:
            return MOST_KERNEL_QUEUE
        return self.receiver.slots(self.buffer, min(size for size, _ in self.sizes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; :meth:`from_dict` reads them."""
        values = {name: getattr(self, name) for name in (field.name for field in fields(self))}
        values["size"] = [list(pair) for pair in self.sizes]
        values["work"] = list(self.work)
        values["buffer"] = None if self.buffer is None else [self.buffer.amount, self.buffer.unit]
        if isinstance(self.arrivals, Bursts):
            values["arrivals"] = bursts_text(self.arrivals)
        elif isinstance(self.arrivals, Trace):
            values["arrivals"] = str(self.arrivals)
        elif isinstance(self.arrivals, MAP):
            values["arrivals"] = mmpp_text(self.arrivals)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabPoint:
        """A point from what :meth:`to_dict` returned.

        Raises
        ------
        ValueError, TypeError
            As for the class.
        """
        given = dict(values)
        given["size"] = dict(given["size"])
        if given["buffer"] is not None:
            given["buffer"] = BufferSize(*given["buffer"])
        return cls(**given)

    def with_values(self, **changes: Any) -> LabPoint:
        """The same point with other values of some arguments.

        Raises
        ------
        ValueError, TypeError
            As for the class.
        """
        return replace(self, **changes)


def bursts_text(bursts: Bursts) -> str:
    """Bursts as :func:`capmodel.predict` reads them.

    Parameters
    ----------
    bursts : Bursts
        Lengths of bursts and gaps.

    Returns
    -------
    str

    Examples
    --------
    >>> bursts_text(Bursts("10ms", "90ms", random=False))
    'bursts(on=0.01s,off=0.09s,random=no)'
    """
    end = "" if bursts.random else ",random=no"
    return f"bursts(on={bursts.on!r}s,off={bursts.off!r}s{end})"


def _arrivals(point: LabPoint) -> Trace | None:
    text = point.arrivals
    if isinstance(text, Trace):
        return text
    if isinstance(text, str) and text.startswith("trace(") and text.endswith(")"):
        return Trace(text[len("trace(") : -1])
    return None


def _traffic(point: LabPoint) -> Workload:
    trace = _arrivals(point)
    if point.rate is None and trace is None:
        raise ValueError("rate must be given, unless arrivals is a trace")
    return Workload.from_user(
        1.0 if point.rate is None else point.rate,
        point.size,
        "cbr" if trace else point.arrivals,
        jumbo=point.jumbo,
    )


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
    return value


def _bounded(value: Any, name: str, most: int) -> int:
    number = parse_slots(value, name=name)
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")
    return number


def _work(work: Any) -> tuple[float, float]:
    packet, byte = work if isinstance(work, (tuple, list)) and len(work) == 2 else (work, 0.0)
    if isinstance(work, (tuple, list)) and len(work) != 2:
        raise ValueError(
            f"work must be seconds per packet or a pair (per packet, per byte), got {work!r}"
        )
    return (
        parse_duration(packet, name="work", positive=False),
        parse_duration(byte, name="work per byte", positive=False),
    )


def _length(point: LabPoint, rate: float) -> dict[str, Any]:
    """Duration and packets: one of the two bounds the run, and both caps hold."""
    if point.duration is not None and point.packets is not None:
        raise ValueError(
            f"duration and packets exclude each other, got duration={point.duration!r} "
            f"and packets={point.packets!r}"
        )
    packets = None if point.packets is None else parse_slots(point.packets, name="packets")
    if packets is not None and packets > MOST_PACKETS:
        raise ValueError(f"packets must be at most {MOST_PACKETS:,}, got {point.packets!r}")
    trace = _arrivals(point) is not None
    duration = point.duration
    if duration is None and packets is None and not trace:
        duration = _DEFAULT_DURATION
    if duration is not None:
        duration = parse_duration(duration, name="duration")
    known = None if point.rate is None else rate
    seconds = duration if packets is None or known is None else packets / known
    if seconds is not None and seconds > MOST_SECONDS:
        raise ValueError(
            f"a point may last at most {MOST_SECONDS:g} s, got {seconds:g} s; shorten "
            f"{'duration' if packets is None else 'packets'}"
        )
    if known is not None and seconds is not None and known * seconds > MOST_PACKETS:
        raise ValueError(
            f"a point may offer at most {MOST_PACKETS:,} packets, got {known * seconds:,.0f}; "
            "lower rate or duration"
        )
    return {"duration": duration, "packets": packets}


def _waiting(point: LabPoint, receiver: Receiver) -> dict[str, Any]:
    if point.app is not None and point.wait:
        raise ValueError(f"wait does not apply to app, which waits as it likes, got {point.wait!r}")
    wait = "" if point.app is not None else point.wait or receiver.waits[0]
    if wait and wait not in receiver.waits:
        raise unknown_choice(f"wait of backend {point.backend!r}", wait, receiver.waits)
    found: dict[str, Any] = {"wait": wait}
    for name, owner, read in (
        ("sleep", "sleep", lambda value: parse_duration(value, name="sleep")),
        ("yields", "yield", lambda value: parse_slots(value, name="yields")),
    ):
        value = getattr(point, name)
        if wait == owner and value is None:
            raise ValueError(f"{name} must be given where wait is {owner!r}")
        if wait != owner and value is not None:
            raise ValueError(f"{name} applies to wait={owner!r} only, got wait={wait!r}")
        found[name] = None if value is None else read(value)
    if found["sleep"] is not None and found["sleep"] > 1.0:
        raise ValueError(f"sleep must be at most 1 s, got {point.sleep!r}")
    return found


def _memory(point: LabPoint, receiver: Receiver) -> dict[str, Any]:
    if point.app is not None:
        for name in ("buffer", "block_size", "timeout"):
            if getattr(point, name) is not None:
                raise ValueError(f"{name} does not apply to app, which sets its own")
        return {}
    given: Any = receiver.buffer if point.buffer is None else point.buffer
    buffer = None if given is None else parse_buffer(given)
    if buffer is not None and buffer.unit not in receiver.units:
        raise ValueError(
            f"buffer of backend {point.backend!r} must be given in "
            f"{' or '.join(receiver.units)}, got {str(buffer)!r}"
        )
    if buffer is not None and receiver.memory(buffer, point_size(point)) > 2**30:
        raise ValueError(f"buffer must take at most 1 GiB, got {str(buffer)!r}")
    found: dict[str, Any] = {"buffer": buffer, "block_size": None, "timeout": None}
    for name in ("block_size", "timeout"):
        value = getattr(point, name)
        if not receiver.blocks and value is not None:
            raise ValueError(f"{name} does not apply to backend {point.backend!r}")
    if receiver.blocks:
        block: Any = receiver.block_size if point.block_size is None else point.block_size
        size = parse_buffer(f"{block} B" if isinstance(block, (int, float)) else block,
                            name="block_size").amount  # fmt: skip
        pages = size / 4096
        if not (math.log2(pages).is_integer() and 0 <= math.log2(pages) <= 10):
            raise ValueError(
                f"block_size must be 4 KiB times a power of two, up to 4 MiB, got {block!r}"
            )
        timeout: Any = receiver.timeout if point.timeout is None else point.timeout
        seconds = parse_duration(timeout, name="timeout")
        if not 1e-3 <= seconds <= 10.0:
            raise ValueError(
                f"timeout must lie between 1 ms, the kernel's unit, and 10 s, got {timeout!r}"
            )
        if buffer is not None and buffer.amount < size:
            raise ValueError(f"buffer must hold at least one block of {size:.0f} B, got {buffer}")
        found |= {"block_size": int(size), "timeout": seconds}
    return found


def point_size(point: LabPoint) -> float:
    """Largest frame [B] of a point whose sizes may still be as the caller wrote them.

    Parameters
    ----------
    point : LabPoint
        The point.

    Returns
    -------
    float
        Size [B], checksum included.
    """
    return float(max(size for size, _ in _traffic(point).sizes))


def _check_work(point: LabPoint) -> None:
    if point.zlib_level is not None:
        _whole(point.zlib_level, "zlib_level", 0, 9)
        if point.work != (0.0, 0.0):
            raise ValueError("work and zlib_level exclude each other")
    if point.longest_work > 0.1:
        raise ValueError(f"work must be at most 0.1 s per packet, got {point.work!r}")
    timed = point.rate is not None and point.duration is not None
    offered = point.packets or (point.rate * point.duration if timed else MOST_PACKETS)
    left = point.longest_work * min(point.slots, offered) * point.consumers
    if left > MOST_SECONDS:
        raise ValueError(
            f"a full buffer may take at most {MOST_SECONDS:g} s of work to read, got {left:g} s; "
            "give less work or a smaller buffer"
        )


def _check_app(point: LabPoint) -> None:
    if point.app is None:
        return
    if not isinstance(point.app, str):
        raise TypeError(f"app must be a command line, got {point.app!r}")
    try:
        words = shlex.split(point.app)
    except ValueError as error:
        raise ValueError(f"app cannot be read as a command line: {error}") from None
    if not any(_INTERFACE in word for word in words):
        raise ValueError(
            f"app must say where the lab's interface goes, as in 'tcpdump -i {_INTERFACE}', "
            f"got {point.app!r}"
        )
    if point.work != (0.0, 0.0) or point.zlib_level is not None:
        raise ValueError("work and zlib_level do not apply to app, which does its own work")
