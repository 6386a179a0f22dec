"""The sender: plays the network card, keeps the arrival clock and a virtual receive ring."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from capmodel.lab._sender_loop import TOO_LONG, Outlet, Played, play
from capmodel.lab.board import FAILURE, SENDER_WAITED, Board
from capmodel.lab.consumer import waited
from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import MOST_PACKETS, LabPoint, Trace
from capmodel.lab.receivers import CHECKSUM
from capmodel.lab.trace import read_trace
from capmodel.simulation.costs import Source
from capmodel.simulation.costs import source as simulated
from capmodel.workload import Workload

# linux/if_packet.h
SOL_PACKET = 263
PACKET_QDISC_BYPASS = 20
Words = npt.NDArray[np.int64]
NO_LOG: Words = np.empty(0, dtype=np.int64)
# sizes drawn from a mixture, begun again at the end
_SIZES = 4096


def send(
    point: LabPoint, links: Links, board: Board, most_seconds: float, log: Words = NO_LOG
) -> None:
    """Play a point's traffic to its end on the lab's own interface.

    Parameters
    ----------
    point : LabPoint
        What to send.
    links : Links
        Where.
    board : Board
        For the counters.
    most_seconds : float
        The run is given up after so long [s].
    log : ndarray
        Takes when each call began and ended [ns], as far as it has room.

    Raises
    ------
    LabError
        If the kernel refuses a packet for another reason than lack of room.
    """
    with open_socket(links, links.sender) as sock:
        most = MOST_PACKETS if point.packets is None else point.packets
        before = waited()
        _play(point, sock.fileno(), most, board, most_seconds, log)
        board.sender[SENDER_WAITED] = waited() - before
    failure = int(board.sender[FAILURE])
    if failure == TOO_LONG:
        raise LabError(f"the sender was not done after {most_seconds:g} s; offer less")
    if failure > 0:
        raise LabError(f"the kernel refused to send a frame ({os.strerror(failure)})")


def warm(point: LabPoint) -> None:
    """Compile, or load, the sender's loop, so that processes forked later have it.

    Parameters
    ----------
    point : LabPoint
        The point.

    Raises
    ------
    ValueError
        If its trace cannot be read.
    """
    _play(point, -1, 0, Board(0), 1.0, NO_LOG)


def _play(
    point: LabPoint, descriptor: int, most: int, board: Board, most_seconds: float, log: Words
) -> None:
    rng = np.random.default_rng(point.seed)
    source, trace, sizes = arrivals(point)
    lengths = _lengths(point, sizes, rng)
    frame = _frame(int(lengths.max()))
    messages, vectors = _messages(point.batch, frame.ctypes.data)
    until = np.inf if point.duration is None else point.duration
    played = Played(source, trace, lengths, most, until, int(most_seconds * 1e9))
    outlet = Outlet(descriptor, point.batch, frame.ctypes.data, messages, vectors)
    queue = np.zeros(point.ring, dtype=np.int64)
    play(rng, played, outlet, queue, log, board.sender)


def open_socket(links: Links, index: int) -> socket.socket:
    """A raw socket that sends on an interface of the lab, past the queueing discipline.

    Parameters
    ----------
    links : Links
        The lab's interfaces.
    index : int
        The interface to send on.

    Returns
    -------
    socket

    Raises
    ------
    LabError
        If the interface is not the lab's.
    """
    links.require_own(index)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    sock.bind((socket.if_indextoname(index), 0))
    return sock


def arrivals(point: LabPoint) -> tuple[Source, npt.NDArray[np.float64], Any]:
    """The arrival process of a point, as the event simulation draws it.

    Parameters
    ----------
    point : LabPoint
        The point.

    Returns
    -------
    Source
        The process.
    ndarray
        Recorded times [s], empty where none are.
    ndarray or None
        Recorded frame sizes [B].

    Raises
    ------
    ValueError
        If a trace cannot be read, or is too long at this rate.
    """
    if isinstance(point.arrivals, Trace):
        times, sizes = read_trace(point.arrivals.path, point.rate, jumbo=point.jumbo)
        stand_in = Workload(1.0, point.sizes, "cbr", 1.0)
        return simulated(stand_in.to_arrivals(), traced=True), times, sizes
    workload = Workload(point.rate, point.sizes, point.arrivals, 1.0)
    return simulated(workload.to_arrivals()), np.empty(0, dtype=np.float64), None


def _lengths(point: LabPoint, recorded: Any, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Bytes handed to the kernel for each packet in turn, begun again at the end."""
    if recorded is not None:
        return np.asarray(recorded, dtype=np.int64) - CHECKSUM
    sizes, shares = (np.asarray(part) for part in zip(*point.sizes, strict=True))
    count = 1 if len(sizes) == 1 else _SIZES
    return rng.choice(sizes, size=count, p=shares).astype(np.int64) - CHECKSUM


def _frame(length: int) -> npt.NDArray[np.uint8]:
    """An Ethernet frame with a datagram, for a station that is not here: no stack answers it."""
    ethernet = bytes.fromhex("0200000000fe") + bytes.fromhex("0200000000ff") + b"\x08\x00"
    datagram = struct.pack("!HHHH", 9, 9, length - 34, 0)
    # version and length, type of service, total, id, flags, time to live, UDP, checksum, addresses
    # of the range kept for benchmarks (RFC 2544)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, min(length - 14, 65535), 0, 0, 64, 17, 0,
        socket.inet_aton("198.18.0.1"), socket.inet_aton("198.19.0.1"),
    )  # fmt: skip
    content = ethernet + _with_checksum(header) + datagram
    frame = np.zeros(length, dtype=np.uint8)
    frame[: len(content)] = np.frombuffer(content, dtype=np.uint8)
    return frame


def _with_checksum(header: bytes) -> bytes:
    total = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )  # fmt: skip


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint32))


def _messages(batch: int, frame: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Headers for a batch of sends, and their vectors: address and length in turn."""
    vectors = np.zeros(2 * batch, dtype=np.int64)
    vectors[::2] = frame
    messages = np.zeros(batch * ctypes.sizeof(_Message) // 8, dtype=np.int64)
    memory: Any = messages
    for number in range(batch):
        message = _Message.from_buffer(memory, number * ctypes.sizeof(_Message))
        message.header.iov = vectors.ctypes.data + 16 * number
        message.header.iovlen = 1
    return messages, vectors
