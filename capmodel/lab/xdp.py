"""AF_XDP: packets redirected to a ring that the program shares with the driver, in copy mode."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
import time
from types import TracebackType
from typing import Self

import numpy as np

from capmodel.lab._consumer_loops import Waiting, Work, XdpRings, consume_redirected
from capmodel.lab.board import Counters
from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import LabPoint
from capmodel.lab.receivers import CHECKSUM

# most time for an earlier socket to leave the queue [s]
_RELEASE = 5.0

# linux/if_xdp.h, linux/socket.h
AF_XDP, SOL_XDP = 44, 283
XDP_MMAP_OFFSETS, XDP_RX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = (
    1, 2, 4, 5, 6,
)  # fmt: skip
XDP_STATISTICS, XDP_COPY = 7, 2
RX_OFFSET, FILL_OFFSET = 0, 0x100000000
XDP_FLAGS_SKB_MODE = 2
# linux/bpf.h
BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_PROG_LOAD, BPF_LINK_CREATE = 0, 2, 5, 28
BPF_MAP_TYPE_XSKMAP, BPF_PROG_TYPE_XDP, BPF_XDP = 17, 6, 37
_BPF_CALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280}

_HEADROOM = 256  # XDP_PACKET_HEADROOM
_CHUNKS = (2048, 4096)

_libc = ctypes.CDLL(None, use_errno=True)


class Redirected:
    """An AF_XDP socket, and the program that sends an interface's packets to it."""

    def __init__(self, point: LabPoint, links: Links) -> None:
        self._count, self._chunk = _shape(point)
        self._link = self._program = self._map = -1
        try:
            self._socket = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        except OSError as error:
            raise LabError(
                f"this kernel has no AF_XDP sockets ({error.strerror}); backend 'af_xdp' needs "
                "CONFIG_XDP_SOCKETS; choose another"
            ) from None
        try:
            self._open(links.receiver)
        except OSError as error:
            self.close()
            if error.errno in (errno.EPERM, errno.EACCES):
                raise LabError(
                    "backend 'af_xdp' needs a BPF program, which the kernel lets only root load; "
                    "run as root or choose another backend"
                ) from None
            raise LabError(f"the kernel refuses AF_XDP ({error.strerror}: {error})") from None
        self._drops = 0

    def _open(self, interface: int) -> None:
        sock, count = self._socket, self._count
        self._memory = mmap.mmap(-1, count * self._chunk)
        base = _address(self._memory)
        request = struct.pack("QQIIII", base, count * self._chunk, self._chunk, 0, 0, 0)
        sock.setsockopt(SOL_XDP, XDP_UMEM_REG, request)
        for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING):
            sock.setsockopt(SOL_XDP, ring, count)
        offsets = struct.unpack("16Q", sock.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
        received, fill = offsets[0:4], offsets[8:12]  # producer, consumer, entries, flags
        self._received = mmap.mmap(
            sock.fileno(), received[2] + 16 * count, mmap.MAP_SHARED, offset=RX_OFFSET
        )
        self._fill = mmap.mmap(
            sock.fileno(), fill[2] + 8 * count, mmap.MAP_SHARED, offset=FILL_OFFSET
        )
        rx, free = _address(self._received), _address(self._fill)
        self._rings = XdpRings(
            base, count - 1, rx + received[0], rx + received[1], rx + received[2],
            free + fill[0], free + fill[2],
        )  # fmt: skip
        frames = (ctypes.c_uint64 * count).from_address(self._rings.fill_entries)
        frames[:] = [number * self._chunk for number in range(count)]
        ctypes.c_uint32.from_address(self._rings.fill_producer).value = count
        _bind(sock.fileno(), interface)
        self._map = _bpf(BPF_MAP_CREATE, struct.pack("IIII", BPF_MAP_TYPE_XSKMAP, 4, 4, 1))
        key, value = ctypes.c_uint32(0), ctypes.c_uint32(sock.fileno())
        _bpf(
            BPF_MAP_UPDATE_ELEM,
            struct.pack("IxxxxQQQ", self._map, ctypes.addressof(key), ctypes.addressof(value), 0),
        )
        self._program = _load(self._map)
        self._link = _bpf(
            BPF_LINK_CREATE,
            struct.pack("IIII", self._program, interface, BPF_XDP, XDP_FLAGS_SKB_MODE),
        )

    @property
    def descriptor(self) -> int:
        """For poll()."""
        return self._socket.fileno()

    def statistics(self) -> tuple[int, int]:
        """Packets seen (unknown: 0) and packets dropped since it was last asked."""
        counts = struct.unpack("6Q", self._socket.getsockopt(SOL_XDP, XDP_STATISTICS, 48))
        drops = counts[0] + counts[3]  # no frame to be had; ring full
        fresh, self._drops = drops - self._drops, drops
        return 0, fresh

    def consume(self, waiting: Waiting, work: Work, control: Counters, out: Counters) -> None:
        """As in :class:`capmodel.lab.sockets.Opened`."""
        consume_redirected(self._rings, waiting, work, control, out)

    def close(self) -> None:
        """Detach the program and close everything."""
        for descriptor in (self._link, self._program, self._map):
            if descriptor >= 0:
                os.close(descriptor)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _shape(point: LabPoint) -> tuple[int, int]:
    """Number of frames and their size [B]."""
    count = int(point.buffer.amount)
    if count & (count - 1):
        raise LabError(f"buffer of backend 'af_xdp' must be a power of two of slots, got {count}")
    if point.consumers > 1:
        raise LabError(f"consumers must be 1 for backend 'af_xdp', got {point.consumers}")
    length = int(point.largest_size) - CHECKSUM
    for chunk in _CHUNKS:
        if length + _HEADROOM <= chunk:
            return count, chunk
    largest = _CHUNKS[-1] - _HEADROOM + CHECKSUM
    raise LabError(
        f"size must be at most {largest} B for backend 'af_xdp', got {point.largest_size:.0f}"
    )


def _bpf(command: int, attributes: bytes) -> int:
    """The system call bpf(); a descriptor or 0."""
    number = _BPF_CALLS.get(platform.machine())
    if number is None:
        raise LabError(f"backend 'af_xdp' is not known to work on {platform.machine()}")
    room = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = int(_libc.syscall(number, command, room, len(room)))
    if result < 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    return result


def _load(map_descriptor: int) -> int:
    """Load the program that redirects every packet to the socket of its queue."""

    def instruction(code: int, registers: int, offset: int, value: int) -> bytes:
        return struct.pack("BBhi", code, registers, offset, value)

    program = b"".join((
        instruction(0x61, 0x12, 16, 0),              # r2 = queue number of the context in r1
        instruction(0x18, 0x11, 0, map_descriptor),  # r1 = the map, a double instruction
        instruction(0, 0, 0, 0),
        instruction(0xB7, 0x03, 0, 2),               # r3 = XDP_PASS, if there is no socket
        instruction(0x85, 0, 0, 51),                 # r0 = bpf_redirect_map(r1, r2, r3)
        instruction(0x95, 0, 0, 0),                  # return r0
    ))  # fmt: skip
    code, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "IIQQ", BPF_PROG_TYPE_XDP, len(program) // 8, ctypes.addressof(code),
        ctypes.addressof(licence),
    )  # fmt: skip
    return _bpf(BPF_PROG_LOAD, attributes)


def _bind(descriptor: int, interface: int) -> None:
    """Bind to the interface's first queue; Python's sockets do not know the address."""
    address = ctypes.create_string_buffer(struct.pack("HHIII", AF_XDP, XDP_COPY, interface, 0, 0))
    end = time.monotonic() + _RELEASE
    while _libc.bind(descriptor, address, 16) != 0:
        problem = ctypes.get_errno()
        # the kernel takes a closed socket off its queue some time after the closing
        if problem != errno.EBUSY or time.monotonic() > end:
            raise OSError(problem, os.strerror(problem))
        time.sleep(0.01)


def _address(memory: mmap.mmap) -> int:
    return int(np.frombuffer(memory, dtype=np.uint8).ctypes.data)
