"""Recorded packets: when they came and how large they were, from pcap and pcapng files.

Decoding is Scapy's (``pip install "capmodel[pcap]"``). What is checked here is that a file is
whole: a reader for people stops quietly where a file is cut off, statistics must not.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from capmodel.errors import damaged_file
from capmodel.quantities import format_duration

Floats = npt.NDArray[np.float64]

MISSING = 'reading a pcap file needs Scapy, which is not installed: pip install "capmodel[pcap]"'
FCS = 4  # bytes of an Ethernet frame's checksum, which cards strip before a capture sees it
SMALLEST = 64  # a shorter frame was captured before the card padded it
LARGEST = 1 << 20  # longer than any frame that offloads merge: the length field is damaged
MOST_DISORDER = 1_000_000_000  # [ns]; beyond it the clock was set, not packets reordered

# bytes by which a packet of a link type is longer on an Ethernet wire, checksum included; numbers
# as registered with libpcap (source: libpcap_linktypes)
LINKS: Mapping[int, tuple[str, int]] = {
    0: ("BSD loopback", 14 - 4 + FCS),
    1: ("Ethernet", FCS),
    12: ("raw IP", 14 + FCS),
    101: ("raw IP", 14 + FCS),
    108: ("OpenBSD loopback", 14 - 4 + FCS),
    113: ("Linux cooked", 14 - 16 + FCS),
    228: ("raw IPv4", 14 + FCS),
    229: ("raw IPv6", 14 + FCS),
    276: ("Linux cooked v2", 14 - 20 + FCS),
}
_LATEST = 7_258_118_400_000_000_000  # [ns] since 1970
_GZIP, _PCAPNG = b"\x1f\x8b", b"\n\r\r\n"
_PCAP = tuple(
    magic.to_bytes(4, order)  # of microseconds and of nanoseconds
    for magic in (0xA1B2C3D4, 0xA1B23C4D)
    for order in ("little", "big")
)
# of the link type field of a pcap header: whether the checksum's length is known, and that length
_HAS_FCS, _FCS_SHIFT = 1 << 26, 28


@dataclass(frozen=True, eq=False)
class Trace:
    """Packets in the order of their time.

    Attributes
    ----------
    name : str
        The file.
    times : ndarray
        Arrival of every packet, counted from the first [s], exact to the nanosecond.
    sizes : ndarray
        Frame sizes on the wire [B]: the original length even where the capture kept less, checksum
        included (4 bytes are added where the file does not have it), 64 at least.
    start : int
        Time of the first packet since 1970 [ns].
    link : str
        Kind of link.
    notes : tuple of str
        What was done to the packets on the way.

    Examples
    --------
    >>> trace = Trace("made up", np.array([0.0, 1e-3]), np.array([64.0, 1518.0]))
    >>> len(trace), trace.duration
    (2, 0.001)
    """

    name: str
    times: Floats
    sizes: Floats
    start: int = 0
    link: str = "Ethernet"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        times, sizes = np.array(self.times, dtype=np.float64), np.array(self.sizes, dtype=float)
        if times.ndim != 1 or times.shape != sizes.shape or times.size == 0:
            raise ValueError(
                "times and sizes must have one entry for each of at least one packet, "
                f"got shapes {times.shape} and {sizes.shape}"
            )
        if not (np.all(np.diff(times) >= 0.0) and times[0] == 0.0 and np.isfinite(times[-1])):
            raise ValueError("times must begin at 0 and never fall")
        if not np.all((sizes > 0.0) & np.isfinite(sizes)):
            raise ValueError("sizes must be positive and finite")
        for name, values in (("times", times), ("sizes", sizes)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def duration(self) -> float:
        """Time from the first packet to the last [s]."""
        return float(self.times[-1])


def read_trace(
    path: str | PathLike[str], *, fcs: bool | None = None, partial: bool = False
) -> Trace:
    """Read when packets came and how large they were.

    Parameters
    ----------
    path : str or path-like
        A pcap (micro- or nanoseconds) or pcapng file, also gzip-compressed.
    fcs : bool, optional
        Whether the lengths in the file include the frame checksum; default: as the file says, and
        without a word not, since cards strip it. The sizes of the trace always include it.
    partial : bool
        Take the packets before the damage of a damaged file instead of refusing it.

    Returns
    -------
    Trace
        Packets that are out of order by up to a second are sorted; the trace's notes say so.

    Raises
    ------
    ValueError
        If the file is no capture, damaged (the message names the packet and the place), empty, of
        an unknown kind of link, or so out of order that its clock must have been set.
    OSError
        If it cannot be read.
    ImportError
        If Scapy is not installed.
    """
    name = str(path)
    stamps, lengths, link, notes = _packets(Path(path), partial)
    if len(stamps) == 0:
        raise damaged_file(name, "start", "there are no packets in it")
    kind, own = link & 0xFFFF, 0  # what the lengths have of the checksum
    if kind not in LINKS:
        known = ", ".join(f"{number} ({title})" for number, (title, _) in LINKS.items())
        raise damaged_file(name, "link type", f"is {kind}; known are {known}")
    title, extra = LINKS[kind]
    if fcs or (fcs is None and link & _HAS_FCS and link >> _FCS_SHIFT):
        own = FCS
    sizes = np.maximum(np.frombuffer(lengths, dtype=np.int64) + extra - own, SMALLEST)
    times = np.frombuffer(stamps, dtype=np.int64)
    late = np.maximum.accumulate(times) - times
    if late.max() > MOST_DISORDER:
        first = int(np.argmax(late > MOST_DISORDER))
        raise damaged_file(
            name, f"packet {first + 1}",
            f"comes {format_duration(late[first] * 1e-9)} before one that stands ahead of it: "
            "the clock was set",
        )  # fmt: skip
    if late.max() > 0:
        order = np.argsort(times, kind="stable")
        notes.append(
            f"{np.count_nonzero(late):,} packets were out of order, by "
            f"{format_duration(float(late.max()) * 1e-9)} at most; they were sorted"
        )
        times, sizes = times[order], sizes[order]
    if title != "Ethernet":
        notes.append(f"sizes are those of Ethernet frames around packets of {title}")
    return Trace(
        name, (times - times[0]) * 1e-9, sizes.astype(np.float64), int(times[0]), title,
        tuple(notes),
    )  # fmt: skip


def is_capture(path: str | PathLike[str]) -> bool:
    """Whether a file begins as a pcap or pcapng file does, or as a compressed one.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    bool

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        start = file.read(4)
    return start[:2] == _GZIP or start in (_PCAPNG, *_PCAP)


def interarrival_times(path: str | PathLike[str]) -> Floats:
    """Times between the packets of a file [s].

    Parameters
    ----------
    path : str or path-like
        As for :func:`read_trace`.

    Returns
    -------
    ndarray
        One fewer than there are packets.

    Raises
    ------
    ValueError, OSError, ImportError
        As :func:`read_trace`.
    """
    return np.diff(read_trace(path).times)


class _Watched:
    """A stream that counts what is read and notes where it ends too early."""

    def __init__(self, raw: IO[bytes] | gzip.GzipFile) -> None:
        self._raw = raw
        self.offset = 0
        self.short = False
        self.trouble = ""

    def read(self, size: int) -> bytes:
        """Bytes, fewer at the end; compressed streams that break end there."""
        if size > LARGEST:
            self.trouble = f"says that it is {size:,} bytes long"
            return b""
        try:
            data = self._raw.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.trouble = f"is where the compressed stream breaks ({error})"
            data = b""
        self.offset += len(data)
        self.short = self.short or len(data) < size
        return data


def _packets(path: Path, partial: bool) -> tuple[array[int], array[int], int, list[str]]:
    """Time stamps [ns], lengths [B] in file order, the link type's field, and notes."""
    stamps, lengths = array("q"), array("q")
    notes: list[str] = []
    link = -1
    with _opened(path) as (reader, stream, stamp_of):
        while True:
            start = stream.offset
            try:
                about = _next(reader, stream, start)
                if about is None:
                    return stamps, lengths, max(link, 0), notes
                kind = getattr(about, "linktype", reader.linktype)
                if link not in (kind, -1):
                    raise _DamageError(f"is of link type {kind}, those before it of {link}")
                stamp = stamp_of(about)
                if stamp > _LATEST:
                    raise _DamageError("has a time stamp after the year 2200")
            except _DamageError as damage:
                place = f"packet {len(stamps) + 1:,} (byte {start:,})"
                if not partial:
                    raise damaged_file(path, place, str(damage)) from None
                notes.append(f"the file is damaged: {place} {damage}; what comes before was read")
                return stamps, lengths, max(link, 0), notes
            stamps.append(stamp)
            lengths.append(about.wirelen)
            link = kind


class _DamageError(Exception):
    """What is wrong with a packet, in words that follow its name."""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, _Watched, Callable[[Any], int]]]:
    """Scapy's reader of the file, quiet; the stream that it reads; how it tells the time."""
    try:
        from scapy.error import Scapy_Exception
        from scapy.utils import RawPcapNgReader, RawPcapReader
    except ImportError:
        raise ImportError(MISSING) from None

    class Blocks(RawPcapNgReader):
        """Remembers where a block began: only there may a file end."""

        def _read_block(self, *args: Any, **kwargs: Any) -> Any:
            self.block_start = stream.offset
            self.linktype = -1
            return super()._read_block(*args, **kwargs)

        def _read_block_shb(self) -> None:
            self.interfaces = []  # a section names its own; Scapy would go on with the last one's
            super()._read_block_shb()

        def _check_interface_id(self, number: int) -> bool:
            if number >= len(self.interfaces):
                raise _DamageError(f"names interface {number} of {len(self.interfaces)}")
            return True

    log = logging.getLogger("scapy.runtime")
    was, log.disabled = log.disabled, True  # what it would print is found out here
    file = path.open("rb")
    packed = file.peek(2)[:2] == _GZIP
    stream = _Watched(gzip.GzipFile(fileobj=file) if packed else file)
    try:
        magic = stream.read(4)
        make: Any = Blocks if magic == _PCAPNG else RawPcapReader
        reader = make.__new__(make)
        try:
            reader.__init__(str(path), stream, magic)
        except (Scapy_Exception, EOFError):
            # not what Scapy says: it quotes bytes of the file, which may be anything
            nothing = "the file is empty" if not magic else ""
            what = stream.trouble or nothing or "not a whole header of a pcap or pcapng file"
            raise damaged_file(path, "start", what) from None
        blocks = make is Blocks
        yield (
            reader,
            stream,
            _stamp_of_block if blocks else _stamp_of_record(1 if reader.nano else 1000),
        )
    finally:
        log.disabled = was
        file.close()


def _next(reader: Any, stream: _Watched, start: int) -> Any:
    """What the file says about its next packet; None at a whole end."""
    try:
        about = reader.__next__()[1]
    except StopIteration:
        whole = stream.offset == getattr(reader, "block_start", start)
        if stream.trouble or not whole:
            raise _DamageError(stream.trouble or "is cut off or garbled") from None
        return None
    except (ValueError, KeyError, IndexError, OverflowError, MemoryError) as error:
        raise _DamageError(f"cannot be decoded ({error})") from None
    if stream.short or stream.trouble:
        raise _DamageError(stream.trouble or "is cut off")
    if not 0 < about.wirelen <= LARGEST:
        raise _DamageError(f"says that it is {about.wirelen:,} bytes long")
    return about


def _stamp_of_record(unit: int) -> Callable[[Any], int]:
    """Reads the time stamp [ns] of a pcap record, whose fraction counts so many ns."""

    def stamp(about: Any) -> int:
        fraction = about.usec * unit
        if fraction >= 1_000_000_000:
            raise _DamageError(f"has {about.usec:,} as the fraction of its second")
        return int(about.sec * 1_000_000_000 + fraction)

    return stamp


def _stamp_of_block(about: Any) -> int:
    """The time stamp [ns] of a pcapng block."""
    if about.tshigh is None:
        raise _DamageError("has no time stamp (a simple packet block)")
    return int(((about.tshigh << 32) + about.tslow) * 1_000_000_000 // about.tsresol)


__all__ = ["Trace", "interarrival_times", "is_capture", "read_trace"]
