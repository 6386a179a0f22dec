"""The packet sockets of this namespace: their rings, their drops, and what lies in their rings."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from dataclasses import dataclass

import numpy as np

from capmodel.counters.netlink import attributes, dump
from capmodel.errors import damaged_file

_SOCK_DIAG, _BY_FAMILY, _PACKET = 4, 20, 17
_SHOW = 0x01 | 0x04 | 0x08 | 0x10  # info, rings, fanout, memory
_INFO, _RX_RING, _TX_RING, _FANOUT, _MEMORY = 0, 2, 3, 4, 6
_HEAD = struct.Struct("=BBHIII")  # family, type, protocol, inode, cookie
_DROPS, _LIMIT, _QUEUED = 8, 1, 0  # words of SK_MEMINFO
_USER, _LOSING = 0x1, 0x4  # TP_STATUS_USER, TP_STATUS_LOSING
_BLOCK_STATUS = 8  # block_status of struct tpacket_block_desc
_SOL_PACKET, _STATISTICS = 263, 6
_PIDFD_GETFD = 438  # one number on all architectures


@dataclass(frozen=True)
class Ring:
    """A mapped receive ring: blocks [B], frames [B] and their numbers; `sent` its transmit part."""

    block_size: int
    blocks: int
    frame_size: int
    frames: int
    retire: float
    sent: int = 0

    @property
    def memory(self) -> int:
        """Memory of the receive part [B]."""
        return self.block_size * self.blocks


@dataclass(frozen=True)
class PacketSocket:
    """A packet socket.

    Attributes
    ----------
    inode : int
        What ``/proc/PID/fd`` calls it.
    interface : int
        The interface that it is bound to; 0 is all of them.
    protocol : int
        The protocol that it takes; 0 receives nothing, 3 is every one.
    version : int
        TPACKET version of its ring: 1, 2 or 3.
    ring : Ring or None
        Its mapped receive ring, or None if it reads by system calls.
    limit, queued : int
        Its receive buffer and what waits there [B]; a ring does not use them.
    drops : int or None
        Packets dropped at the full receive buffer [packets]. The kernel does not show those of a
        mapped ring here: None.
    fanout : int or None
        Its fanout group.
    """

    inode: int
    interface: int
    protocol: int
    version: int
    ring: Ring | None
    limit: int
    queued: int
    drops: int | None
    fanout: int | None

    @property
    def title(self) -> str:
        """Its kind in words."""
        return f"TPACKET_V{self.version} ring" if self.ring else "socket without a ring"


def parse_packet_socket(payload: bytes, source: str = "packet diag") -> PacketSocket:
    """One socket from a netlink message.

    Parameters
    ----------
    payload : bytes
        The message without its header: ``struct packet_diag_msg`` and attributes.
    source : str
        Where it is from, for errors.

    Returns
    -------
    PacketSocket

    Raises
    ------
    ValueError
        If it is cut off.

    Notes
    -----
    Source: linux_packet_diag (packet_diag.h); sock_diag(7) for the words of memory.
    """
    if len(payload) < _HEAD.size:
        raise damaged_file(source, "byte 0", "a message is cut off")
    _, _, protocol, inode, _, _ = _HEAD.unpack_from(payload)
    fields = attributes(payload[_HEAD.size :], source)
    info = _words(fields.get(_INFO, b""), 2, source, inode)
    ring = _ring(fields, source, inode)
    memory = _words(fields.get(_MEMORY, b""), 2, source, inode)
    drops = memory[_DROPS] if len(memory) > _DROPS and ring is None else None
    fanout = fields.get(_FANOUT)
    return PacketSocket(
        inode, info[0], protocol, info[1] + 1, ring, memory[_LIMIT], memory[_QUEUED], drops,
        None if fanout is None else _words(fanout, 1, source, inode)[0] & 0xFFFF,
    )  # fmt: skip


def _words(data: bytes, least: int, source: str, inode: int) -> tuple[int, ...]:
    if len(data) < 4 * least:
        raise damaged_file(source, f"socket {inode}", "an attribute is missing or cut off")
    return struct.unpack(f"={len(data) // 4}I", data[: len(data) // 4 * 4])


def _ring(fields: dict[int, bytes], source: str, inode: int) -> Ring | None:
    if _RX_RING not in fields:
        return None
    size, blocks, frame, frames, retire = _words(fields[_RX_RING], 5, source, inode)[:5]
    sent = 0
    if _TX_RING in fields:
        words = _words(fields[_TX_RING], 2, source, inode)
        sent = words[0] * words[1]
    return Ring(size, blocks, frame, frames, retire * 1e-3, sent)


def packet_sockets() -> tuple[PacketSocket, ...]:
    """The packet sockets of this network namespace, whoever owns them.

    Returns
    -------
    tuple of PacketSocket

    Raises
    ------
    OSError
        If the kernel does not answer (it may have been built without ``PACKET_DIAG``).
    """
    request = struct.pack("=BBHIIII", _PACKET, 0, 0, 0, _SHOW, 0, 0)
    return tuple(parse_packet_socket(each) for each in dump(_SOCK_DIAG, _BY_FAMILY, request))


@dataclass(frozen=True)
class RingLook:
    """One look into a mapped ring.

    Attributes
    ----------
    inode : int
        The socket.
    used, total : int
        Frames (blocks, for TPACKET_V3) that wait for the consumer, and all of them [-].
    losing : bool
        Whether one of them says that packets were dropped since the program last read its
        statistics.
    """

    inode: int
    used: int
    total: int
    losing: bool

    @property
    def full(self) -> bool:
        """Whether the next packet is dropped."""
        return self.used == self.total


def parse_ring(memory: bytes | mmap.mmap, version: int, ring: Ring, inode: int = 0) -> RingLook:
    """What waits in a ring, by the status words of its frames or blocks.

    Parameters
    ----------
    memory : bytes
        The ring.
    version : int
        TPACKET version.
    ring : Ring
        Its geometry.
    inode : int
        The socket.

    Returns
    -------
    RingLook

    Raises
    ------
    ValueError
        If memory and geometry do not fit.

    Notes
    -----
    Source: packet_mmap, "Capture process" (status words, TP_STATUS_LOSING) and the TPACKET_V3
    example (block descriptor).

    Examples
    --------
    >>> two = bytes([1, 0, 0, 0]) + bytes(2044) + bytes([5, 0, 0, 0]) + bytes(2044)
    >>> parse_ring(two, 2, Ring(4096, 1, 2048, 2, 0.0))
    RingLook(inode=0, used=2, total=2, losing=True)
    """
    if len(memory) < ring.memory or ring.block_size % 4 or not ring.block_size:
        raise ValueError(
            f"a ring of {ring.blocks} blocks of {ring.block_size} bytes does not fit "
            f"{len(memory)} bytes"
        )
    if version < 3 and (ring.frame_size % 4 or not 0 < ring.frame_size <= ring.block_size):
        raise ValueError(f"a frame of {ring.frame_size} bytes does not fit a block")
    words = np.frombuffer(memory, dtype=np.uint32, count=ring.memory // 4)
    blocks = words.reshape(ring.blocks, ring.block_size // 4)
    # copied, because a mapping cannot be closed while an array looks at it
    if version >= 3:
        status = blocks[:, _BLOCK_STATUS // 4].copy()
    else:
        each = ring.block_size // ring.frame_size
        status = blocks[:, : each * (ring.frame_size // 4) : ring.frame_size // 4].copy()
    used = (status & _USER) != 0
    return RingLook(
        inode, int(used.sum()), int(status.size), bool(((status & _LOSING) != 0)[used].any())
    )


def look(pid: int, descriptor: int, sock: PacketSocket) -> RingLook:
    """Look into another process's ring, without touching it.

    Parameters
    ----------
    pid, descriptor : int
        The process and its number for the socket.
    sock : PacketSocket
        What the kernel says of it.

    Returns
    -------
    RingLook

    Raises
    ------
    OSError
        Without the permission to trace that process.
    ValueError
        If the socket has no ring.

    Notes
    -----
    The descriptor is duplicated (pidfd_getfd(2)), the ring mapped for reading, and both are let go
    before this returns. Nothing is written and no counter is reset.
    """
    if sock.ring is None:
        raise ValueError(f"socket {sock.inode} has no mapped ring")
    with _duplicate(pid, descriptor) as same:
        size = sock.ring.memory + sock.ring.sent
        memory = mmap.mmap(same.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
        try:
            return parse_ring(memory, sock.version, sock.ring, sock.inode)
        finally:
            memory.close()


def take_statistics(pid: int, descriptor: int) -> tuple[int, int]:
    """Packets and drops of a socket since they were last read; reading resets them.

    Parameters
    ----------
    pid, descriptor : int
        The process and its number for the socket.

    Returns
    -------
    tuple of int
        Packets that reached the socket, dropped ones included, and drops [packets]. The process's
        own report will lack them.

    Raises
    ------
    OSError
        Without the permission to trace that process.

    Notes
    -----
    Source: packet_mmap, "Capture process"; packet(7), ``PACKET_STATISTICS``.
    """
    with _duplicate(pid, descriptor) as same:
        # V3 adds a third word; the kernel writes no more than it is given room for
        packets, drops = struct.unpack("=II", same.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        return packets, drops


def _duplicate(pid: int, descriptor: int) -> socket.socket:
    process = os.pidfd_open(pid)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        found = library.syscall(_PIDFD_GETFD, process, descriptor, 0)
        if found < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return socket.socket(fileno=found)
    finally:
        os.close(process)
