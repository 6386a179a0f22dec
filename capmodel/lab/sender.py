"""The sender: plays the network card, keeps the arrival clock and a virtual receive ring."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from capmodel.lab.board import (
    ABORT,
    ELAPSED,
    FAILURE,
    LATE,
    OFFERED,
    REFUSED,
    RING_DROPS,
    SEND_CALLS,
    SEND_TIME,
    SENDER_WAITED,
    SENT,
    Board,
)
from capmodel.lab.consumer import waited
from capmodel.lab.links import Links
from capmodel.lab.machine_code import (
    EAGAIN,
    EINTR,
    ENOBUFS,
    c_send,
    c_sendmmsg,
    clock,
    last_error,
    load64,
)
from capmodel.lab.outcome import LabError
from capmodel.lab.point import MOST_PACKETS, LabPoint, Trace
from capmodel.lab.receivers import CHECKSUM
from capmodel.lab.trace import read_trace
from capmodel.simulation.arrivals import begin, refill
from capmodel.simulation.compiled import compiled
from capmodel.simulation.costs import Source
from capmodel.simulation.costs import source as simulated
from capmodel.workload import Workload

# linux/if_packet.h
SOL_PACKET = 263
PACKET_QDISC_BYPASS = 20
# arrivals drawn at a time: few, so that drawing them does not hold up the sender
_DRAWN = 64
_SIZES = 4096


@compiled
def play(
    descriptor: int, batch: int, ring: int, most: int, until: float, cap: int,
    rng: np.random.Generator, source: Source, trace: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int64], frame: int, messages: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.int64], control: npt.NDArray[np.int64], out: npt.NDArray[np.int64],
) -> None:  # fmt: skip
    """Send what arrives; see :func:`send`, which documents and prepares the arguments."""
    scratch = np.zeros(2, dtype=np.int64)
    place = scratch.ctypes.data
    abort = control.ctypes.data + 8 * ABORT
    queue = np.zeros(ring, dtype=np.int64)
    head, waiting = 0, 0
    times = np.empty(_DRAWN, dtype=np.float64)
    state = np.zeros(4, dtype=np.float64)
    begin(rng, source, state)
    drawn = times.size
    offered, ended = 0, False
    start = clock(place)
    last = now = start
    while not ended or waiting > 0:
        if now - last > out[LATE]:
            out[LATE] = now - last
        last = now
        seconds = (now - start) * 1e-9
        while not ended:
            if drawn == times.size:
                refill(rng, source, state, trace, times)
                drawn = 0
            due = times[drawn]
            if offered == most or due > until or due == np.inf:
                ended = True
            elif due > seconds:
                break
            else:
                drawn += 1
                if waiting < ring:
                    queue[(head + waiting) % ring] = lengths[offered % lengths.size]
                    waiting += 1
                else:
                    out[RING_DROPS] += 1
                offered += 1
        out[OFFERED] = offered
        if load64(abort) != 0 or now - start > cap:
            out[FAILURE] = -1
            break
        if waiting == 0:
            now = clock(place)
            continue
        if batch == 1:
            done = 1 if c_send(descriptor, frame, queue[head], 0) >= 0 else -1
        else:
            count = min(batch, waiting)
            for i in range(count):
                vectors[2 * i + 1] = queue[(head + i) % ring]
            done = c_sendmmsg(descriptor, messages.ctypes.data, count, 0)
        out[SEND_CALLS] += 1
        if done < 0:
            problem = last_error()
            if problem == ENOBUFS:
                out[REFUSED] += 1
                done = 1
            elif problem in (EAGAIN, EINTR):
                done = 0
            else:
                out[FAILURE] = problem
                break
        else:
            out[SENT] += done
        head = (head + done) % ring
        waiting -= done
        before = now
        now = clock(place)
        out[SEND_TIME] += now - before
    out[ELAPSED] = now - start


def send(point: LabPoint, links: Links, board: Board, most_seconds: float) -> None:
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

    Raises
    ------
    LabError
        If the kernel refuses a packet for another reason than lack of room.
    """
    with open_socket(links, links.sender) as sock:
        most = MOST_PACKETS if point.packets is None else point.packets
        before = waited()
        _play(point, sock.fileno(), most, board, most_seconds)
        board.sender[SENDER_WAITED] = waited() - before
    failure = int(board.sender[FAILURE])
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
    _play(point, -1, 0, Board(0), 1.0)


def _play(point: LabPoint, descriptor: int, most: int, board: Board, most_seconds: float) -> None:
    rng = np.random.default_rng(point.seed)
    source, trace, sizes = arrivals(point)
    lengths = _lengths(point, sizes, rng)
    frame = _frame(int(lengths.max()))
    messages, vectors = _messages(point.batch, frame.ctypes.data)
    play(
        descriptor, point.batch, point.ring, most,
        np.inf if point.duration is None else point.duration, int(most_seconds * 1e9),
        rng, source, trace, lengths, frame.ctypes.data, messages, vectors,
        board.control, board.sender,
    )  # fmt: skip


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


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("sent", ctypes.c_uint32),
    )  # fmt: skip


def _messages(batch: int, frame: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Headers for a batch of sends, and their vectors: address and length in turn."""
    vectors = np.zeros(2 * batch, dtype=np.int64)
    vectors[::2] = frame
    messages = np.zeros(batch * ctypes.sizeof(_Message) // 8, dtype=np.int64)
    for number in range(batch):
        message = _Message.from_buffer(messages, number * ctypes.sizeof(_Message))
        message.iov = vectors.ctypes.data + 16 * number
        message.iovlen = 1
    return messages, vectors
