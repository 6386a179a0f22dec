"""One consumer of a run: a process that opens a socket, reads it to the end, and counts."""

from __future__ import annotations

import ctypes
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.lab._consumer_loops import WAITS, Waiting, Work, turn_time
from capmodel.lab.board import (
    BUFFER_DROPS,
    BYTES,
    DELIVERED,
    EXPECTED,
    INTERRUPTED,
    READY,
    STOP,
    SYSTEM,
    USER,
    WAITED,
    WAKES,
    WORK_TIME,
    Board,
    Counters,
)
from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import LabPoint
from capmodel.lab.sockets import OPENERS, Opened, pollfd, timespec

# how long to look for packets that are on their way, beyond the retire timeout of blocks
_GRACE = 1.0
_LOOK_AGAIN = 0.002

# zlib.h: method, window bits for gzip, memory level, strategy
_DEFLATED, _GZIP, _MEMORY, _STRATEGY = 8, 31, 8, 0
_STREAM_SIZE = 112
_ZLIB = "libz.so.1"

# turns that are timed at once, and how often: some milliseconds in all
_TURNS, _ROUNDS = 10_000, 200


def waited() -> int:
    """Time [ns] that this thread was ready to run and something else had the core.

    Returns
    -------
    int
        0 where the kernel does not count it.
    """
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0


class Task:
    """What a consumer does with packets and between them; holds the memory that loops point to."""

    def __init__(self, point: LabPoint) -> None:
        self._point = point
        self._scratch = np.zeros(2, dtype=np.int64)
        self._sleep = timespec(point.sleep or 0.0)
        self._stream, self._room = np.zeros(_STREAM_SIZE, np.uint8), np.zeros(2**16, np.uint8)
        self._poll: Any = None
        self._deflate = 0
        self.turn_time = self._measured()
        if point.zlib_level is not None:
            self._deflate = self._open_stream(point.zlib_level)

    def _open_stream(self, level: int) -> int:
        """Begin a gzip stream; returns the address of deflate()."""
        try:
            zlib = ctypes.CDLL(_ZLIB)
        except OSError:
            raise LabError(f"zlib_level needs the shared library {_ZLIB}; install zlib") from None
        zlib.zlibVersion.restype = ctypes.c_char_p
        status = zlib.deflateInit2_(
            ctypes.c_void_p(self._stream.ctypes.data), level, _DEFLATED, _GZIP, _MEMORY, _STRATEGY,
            ctypes.c_char_p(zlib.zlibVersion()), _STREAM_SIZE,
        )  # fmt: skip
        if status != 0:
            raise LabError(f"zlib refuses level {level} (status {status})")
        return ctypes.cast(zlib.deflate, ctypes.c_void_p).value or 0

    def _measured(self) -> float:
        """Time of a turn of the loop that stands for work [s], on this core and now."""
        out = np.zeros(64, dtype=np.int64)
        return turn_time(_TURNS, _ROUNDS, self._scratch.ctypes.data, out) * 1e-9

    def time_of_turns(self, packets: int, captured: int) -> float:
        """Time [s] that the work of packets with so many bytes took, as the core runs now."""
        each = 0.5 * (self.turn_time + self._measured())
        return (self.work.packet * packets + self.work.byte * captured) * each

    @property
    def work(self) -> Work:
        """Work per packet, for compiled loops."""
        point = self._point
        return Work(
            point.work[0] / self.turn_time, point.work[1] / self.turn_time,
            self._deflate, self._stream.ctypes.data, self._room.ctypes.data, self._room.size,
            self._scratch.ctypes.data,
        )  # fmt: skip

    def waiting(self, opened: Opened, log: Counters | None = None) -> Waiting:
        """How to wait for packets of a socket, for compiled loops; `log` takes every poll()."""
        self._poll = pollfd(opened.descriptor)
        return Waiting(
            WAITS[self._point.wait], self._poll.ctypes.data, self._sleep.ctypes.data,
            self._point.yields or 0,
            0 if log is None else log.ctypes.data, 0 if log is None else log.size // 3,
            self._scratch.ctypes.data,
        )  # fmt: skip


def warm(point: LabPoint, links: Links) -> None:
    """Compile, or load, the loop that a point needs, so that processes forked later have it.

    Parameters
    ----------
    point : LabPoint
        The point.
    links : Links
        The lab's interfaces.

    Raises
    ------
    LabError
        If the kernel refuses the socket.
    """
    board = Board(1)
    board.control[STOP] = 1
    task = Task(point)
    with OPENERS[point.backend](point, links) as opened:
        opened.consume(task.waiting(opened), task.work, board.control, board.consumer(0))


def consume(
    point: LabPoint, links: Links, board: Board, number: int, log: Counters | None = None
) -> None:
    """Receive until the run is over and everything expected has come or was dropped.

    Parameters
    ----------
    point : LabPoint
        How.
    links : Links
        The lab's interfaces.
    board : Board
        For flags and counters.
    number : int
        Which consumer this is.
    log : ndarray, optional
        Takes packets read, time entered and time left [ns] of every poll(), as far as it has room.

    Raises
    ------
    LabError
        If the kernel refuses the socket.
    """
    signal.signal(signal.SIGUSR1, lambda *_: None)  # ends a wait; the flag says why
    control, out = board.control, board.consumer(number)
    task = Task(point)
    with OPENERS[point.backend](point, links) as opened:
        waiting = task.waiting(opened, log)
        before, waited_before = resource.getrusage(resource.RUSAGE_THREAD), waited()
        out[READY] = 1
        opened.consume(waiting, task.work, control, out)
        after = resource.getrusage(resource.RUSAGE_THREAD)
        out[WAKES] = max(0, after.ru_nvcsw - before.ru_nvcsw - int(out[INTERRUPTED]))
        out[USER] = round((after.ru_utime - before.ru_utime) * 1e9)
        out[SYSTEM] = round((after.ru_stime - before.ru_stime) * 1e9)
        out[WAITED] = waited() - waited_before
        if point.zlib_level is None:
            out[WORK_TIME] = round(task.time_of_turns(int(out[DELIVERED]), int(out[BYTES])) * 1e9)
        _finish(opened, waiting, task.work, control, out, _GRACE + 2.0 * (point.timeout or 0.0))


def _finish(
    opened: Opened, waiting: Waiting, work: Work, control: Counters, out: Counters, grace: float
) -> None:
    """Take what is still on its way, and ask the kernel what it dropped."""
    end = time.monotonic() + grace
    while True:
        _, dropped = opened.statistics()
        out[BUFFER_DROPS] += dropped
        if out[DELIVERED] + out[BUFFER_DROPS] >= control[EXPECTED] or time.monotonic() > end:
            return
        time.sleep(_LOOK_AGAIN)
        opened.consume(waiting, work, control, out)
