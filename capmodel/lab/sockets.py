"""Receiving sockets, opened as a point asks for: rings, blocks, copies."""

from __future__ import annotations

import ctypes
import math
import mmap
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from capmodel.lab._consumer_loops import (
    Waiting,
    Work,
    consume_blocks,
    consume_copies,
    consume_slots,
)
from capmodel.lab.board import Counters
from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import LabPoint
from capmodel.lab.receivers import CHECKSUM
from capmodel.lab.xdp import Redirected

# linux/if_ether.h, linux/if_packet.h, asm-generic/socket.h
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
SO_RCVBUFFORCE = 33

_PAGE = mmap.PAGESIZE
# the kernel keeps the addresses of a ring's blocks in one piece of memory
_MOST_BLOCKS = 2**16
_LARGEST_BLOCK = 2**22
_MOST_MEMORY = 2**30

# places in struct tpacket_hdr (words are longs: its status is as wide) and tpacket2_hdr
_LONG = ctypes.sizeof(ctypes.c_long)
_V1 = (0 if sys.byteorder == "little" else _LONG - 4, _LONG + 4, _LONG + 8)
_V2 = (0, 8, 12)


class Opened(Protocol):
    """A socket that receives."""

    def consume(self, waiting: Waiting, work: Work, control: Counters, out: Counters) -> None:
        """Read until there is nothing left and the control says stop."""

    def statistics(self) -> tuple[int, int]:
        """Packets seen and packets dropped since it was last asked."""

    @property
    def descriptor(self) -> int:
        """For poll()."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Socket:
    """A raw packet socket, not yet bound: nothing arrives before its ring is there."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except OSError as error:
            raise LabError(
                f"this kernel has no packet sockets ({error.strerror}); the lab needs CONFIG_PACKET"
            ) from None
        self._memory: mmap.mmap | None = None

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def statistics(self) -> tuple[int, int]:
        return _statistics(self._socket)

    def _bind(self, interface: int) -> None:
        self._socket.bind((socket.if_indextoname(interface), ETH_P_ALL))
        self.statistics()

    def _map(self, request: bytes, version: int, size: int) -> int:
        """Give the socket a ring, and return the ring's address."""
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, version)
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self._memory = mmap.mmap(self.descriptor, size)
        except OSError as error:
            raise LabError(
                f"the kernel refuses a ring of {size:,} B ({error.strerror}); choose a smaller "
                "buffer or another backend"
            ) from None
        return int(np.frombuffer(self._memory, dtype=np.uint8).ctypes.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._memory = None  # unmapped with the last view of it


class Slots(_Socket):
    """A ring of slots: TPACKET_V1 or V2."""

    def __init__(self, point: LabPoint, links: Links) -> None:
        super().__init__()
        receiver = point.receiver
        assert receiver.version is not None
        self._count = receiver.slots(point.buffer, point.largest_size)
        block, blocks, self._slot = geometry(self._count, receiver.slot(point.largest_size))
        request = struct.pack("IIII", block, blocks, self._slot, self._count)
        self._base = self._map(request, receiver.version, block * blocks)
        self._places = _V2 if receiver.version else _V1
        self._at = 0
        self._bind(links.receiver)

    def consume(self, waiting: Waiting, work: Work, control: Counters, out: Counters) -> None:
        """As in :class:`Opened`."""
        self._at = consume_slots(
            self._base, self._count, self._slot, *self._places, self._at,
            waiting, work, control, out,
        )  # fmt: skip


class Blocks(_Socket):
    """A ring of blocks: TPACKET_V3."""

    def __init__(self, point: LabPoint, links: Links) -> None:
        super().__init__()
        receiver = point.receiver
        assert receiver.version is not None
        self._block = point.block_size
        self._count = int(point.buffer.amount) // self._block
        frame = 2 ** math.ceil(math.log2(receiver.slot(point.largest_size)))
        if frame > self._block:
            raise LabError(
                f"block_size must hold the largest frame, got {self._block} B for frames of "
                f"{point.largest_size:.0f} B"
            )
        request = struct.pack(
            "IIIIIII", self._block, self._count, frame, self._count * (self._block // frame),
            round(point.timeout * 1e3), 0, 0,
        )  # fmt: skip
        self._base = self._map(request, receiver.version, self._block * self._count)
        self._at = 0
        self._bind(links.receiver)

    def consume(self, waiting: Waiting, work: Work, control: Counters, out: Counters) -> None:
        """As in :class:`Opened`."""
        self._at = consume_blocks(
            self._base, self._count, self._block, self._at, waiting, work, control, out
        )


class Copies(_Socket):
    """No ring: every packet is copied by a call of its own."""

    def __init__(self, point: LabPoint, links: Links) -> None:
        super().__init__()
        if point.buffer is not None:
            self._set_buffer(int(point.buffer.amount))
        self._room = np.zeros(int(point.largest_size) - CHECKSUM, dtype=np.uint8)
        self._bind(links.receiver)

    def _set_buffer(self, size: int) -> None:
        half = size // 2  # the kernel doubles what it is given, to make room for its own structures
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, half)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, half)
        got = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if abs(got - size) > 1:
            raise LabError(
                f"buffer must be what the kernel allows, which made {got} B of {size} B; choose "
                "another size, or raise sysctl net.core.rmem_max"
            )

    def consume(self, waiting: Waiting, work: Work, control: Counters, out: Counters) -> None:
        """As in :class:`Opened`."""
        consume_copies(
            self.descriptor, self._room.ctypes.data, self._room.size, waiting, work, control, out
        )


def _statistics(sock: socket.socket) -> tuple[int, int]:
    """Packets seen, those dropped included, and packets dropped, since it was last asked."""
    seen, dropped = struct.unpack_from("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
    return seen, dropped


def statistics_of(descriptor: int) -> tuple[int, int]:
    """Packets seen and packets dropped by a packet socket since it was last asked.

    Parameters
    ----------
    descriptor : int
        The socket; closed here.

    Returns
    -------
    tuple of int
        Seen, those dropped included; dropped.
    """
    with socket.socket(fileno=descriptor) as sock:
        return _statistics(sock)


OPENERS: Mapping[str, Callable[[LabPoint, Links], Opened]] = {
    "tpacket_v1": Slots,
    "tpacket_v2": Slots,
    "tpacket_v3": Blocks,
    "pf_packet_copy": Copies,
    "af_xdp": Redirected,
}


def geometry(count: int, slot: int) -> tuple[int, int, int]:
    """How a ring of exactly so many slots is cut into blocks, without gaps.

    Parameters
    ----------
    count : int
        Slots.
    slot : int
        Bytes that a slot needs at least [B].

    Returns
    -------
    block : int
        Size of a block [B], a page or a power of two of them.
    blocks : int
        How many there are.
    slot : int
        Size of a slot [B]: a whole number of them fills a block.

    Raises
    ------
    LabError
        If it would take more than 1 GiB.

    Examples
    --------
    >>> geometry(4096, 128)
    (4096, 128, 128)
    >>> geometry(100, 128)  # four to a page, because 100 is no multiple of 8
    (4096, 25, 1024)
    """
    power = 2 ** math.ceil(math.log2(slot))
    block = max(_PAGE, power)
    while True:
        each = math.gcd(count, block // power)
        blocks = count // each
        if blocks <= _MOST_BLOCKS or block >= _LARGEST_BLOCK:
            break
        block *= 2
    if blocks * block > _MOST_MEMORY:
        raise LabError(
            f"buffer must take at most 1 GiB, and {count:,} slots that do not fill pages evenly "
            "take more; choose a number with many factors of two"
        )
    return block, blocks, block // each


def timespec(seconds: float) -> Any:
    """A struct timespec; keep it as long as its address is in use.

    Parameters
    ----------
    seconds : float
        Duration [s].

    Returns
    -------
    ndarray
    """
    return np.array([int(seconds), round(seconds % 1.0 * 1e9)], dtype=np.int64)


def pollfd(descriptor: int) -> Any:
    """A struct pollfd that waits for packets and errors.

    Parameters
    ----------
    descriptor : int
        What to wait for.

    Returns
    -------
    ndarray
    """
    content = struct.pack("ihh", descriptor, 0x0001 | 0x0008, 0)  # POLLIN | POLLERR
    return np.frombuffer(content, dtype=np.uint8).copy()
