"""Starts a run's processes, watches them, ends them, and adds up what they counted."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from capmodel.lab import board as places
from capmodel.lab._enter import end_with_parent
from capmodel.lab.board import Board
from capmodel.lab.cores import Placement, Times, core_times, difference, favour, place
from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import MOST_SECONDS, LabPoint

_START = 20.0
# a drained buffer is worth its work, with room for a machine that is shared
_DRAIN_FACTOR, _DRAIN_LEAST = 4.0, 3.0
_NUDGE = 0.01


@dataclass
class _Child:
    """A process of the run: who it is, where its row is on the board."""

    name: str
    row: int
    pid: int
    handle: int
    status: int | None = None

    def ended(self) -> bool:
        """Whether it is no more; collects it."""
        if self.status is None and select.select([self.handle], [], [], 0.0)[0]:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status is not None

    def stopped(self) -> bool:
        """Whether something has halted it."""
        if self.status is not None:
            return False
        flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None


@dataclass
class Crew:
    """The processes of a run; none of them outlives it."""

    board: Board
    children: list[_Child] = field(default_factory=list)

    def start(
        self, name: str, row: int, core: int | None, favoured: bool, body: Callable[[], None]
    ) -> _Child:
        """Fork a process that does one thing and ends."""
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._live(supervisor, row, core, favoured, body)
        child = _Child(name, row, pid, os.pidfd_open(pid))
        self.children.append(child)
        return child

    def _live(
        self,
        supervisor: int,
        row: int,
        core: int | None,
        favoured: bool,
        body: Callable[[], None],
    ) -> NoReturn:
        status = 1
        try:
            end_with_parent(supervisor)
            os.close(0)
            if core is not None:
                os.sched_setaffinity(0, {core})
            if favoured:
                favour()
            body()
            status = 0
        except BaseException as error:
            self.board.say(row, str(error) or type(error).__name__)
        finally:
            os._exit(status)

    def wait(self, done: Callable[[], bool], end: float, step: float | None = None) -> None:
        """Wait until something is done, while everyone lives.

        Raises
        ------
        LabError
            If a process ends badly, is halted, or the time is over.
        """
        with _ChildSignals() as signals:
            while True:
                finished = done()
                self._check()
                if finished:
                    return
                left = end - time.monotonic()
                if left <= 0.0:
                    raise LabError(f"the run hangs: {self._busy()} did not finish in time")
                handles = [child.handle for child in self.children if child.status is None]
                signals.sleep(handles, left if step is None else min(left, step))

    def _check(self) -> None:
        for child in self.children:
            if child.ended() and child.status != 0:
                words = self.board.words(child.row)
                raise LabError(words or f"the {child.name} ended with status {child.status}")
            if child.stopped():
                raise LabError(f"the {child.name} was stopped by a signal")

    def _busy(self) -> str:
        return " and ".join(f"the {child.name}" for child in self.children if not child.ended())

    def nudge(self) -> None:
        """Wake the consumers, so that they see the flags."""
        for child in self.children:
            if not child.ended():
                os.kill(child.pid, signal.SIGUSR1)

    def dismiss(self) -> None:
        """End all that are left."""
        for child in self.children:
            if not child.ended():
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
            os.close(child.handle)
        self.children.clear()


class _ChildSignals:
    """Sleep that ends as soon as a child ends or stops, or the process outside goes away."""

    def __enter__(self) -> _ChildSignals:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._handler = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        signal.signal(signal.SIGCHLD, self._handler)
        os.close(self._read)
        os.close(self._write)

    def sleep(self, handles: list[int], seconds: float) -> None:
        """Wait for any of the handles, or a signal."""
        poller = select.poll()
        for descriptor in (*handles, self._read):
            poller.register(descriptor, select.POLLIN)
        poller.poll(1e3 * seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)


def run(point: LabPoint, links: Links) -> dict[str, Any]:
    """Run a point on the lab's interfaces.

    Parameters
    ----------
    point : LabPoint
        What to run.
    links : Links
        Where.

    Returns
    -------
    dict
        The counters of a :class:`~capmodel.lab.outcome.LabRun`, as plain values.

    Raises
    ------
    LabError
        If it cannot be done here, or a process died, hung or was stopped; with the counters so far.
    """
    from capmodel.lab import consumer, sender

    placement = place(point)
    links.set_largest_frame(point.largest_size)
    links.steer(placement.softirq)
    _warm(point, links)
    board = Board(point.consumers)
    crew = Crew(board)
    before = links.counts()
    try:
        for number in range(point.consumers):
            crew.start(
                "receiver", 2 + number, placement.consumers, placement.favoured,
                partial(consumer.consume, point, links.receiver, board, number),
            )  # fmt: skip
        ready = [board.consumer(number) for number in range(point.consumers)]
        crew.wait(
            lambda: all(row[places.READY] for row in ready), time.monotonic() + _START, _NUDGE
        )
        times = core_times(placement.watched)
        sending = crew.start(
            "sender", 1, placement.sender, True,
            partial(sender.send, point, links, board, MOST_SECONDS),
        )  # fmt: skip
        crew.wait(sending.ended, time.monotonic() + MOST_SECONDS + _START)
        lost = _lost(board, links.counts().dropped - before.dropped)
        _drain(point, crew, board, lost)
        spent = difference(core_times(placement.watched), times)
    except LabError as error:
        raise LabError(error.args[0], _so_far(board, point)) from None
    finally:
        crew.dismiss()
    return _added_up(point, board, placement, lost, spent)


_warmed: set[tuple[str, bool]] = set()


def _warm(point: LabPoint, links: Links) -> None:
    """Have the loops compiled before processes are forked, once for each kind."""
    from capmodel.lab import consumer, sender

    if (point.backend, point.zlib_level is None) in _warmed:
        return
    sender.warm(point)
    consumer.warm(point, links.receiver)
    _warmed.add((point.backend, point.zlib_level is None))
    gc.collect()
    gc.freeze()  # collecting in the processes to come would copy what they share


def _lost(board: Board, dropped: int) -> int:
    """Packets lost on the way: kernels differ in whether the sending call says so too."""
    return max(int(board.sender[places.REFUSED]), dropped)


def _drain(point: LabPoint, crew: Crew, board: Board, lost: int) -> None:
    """Tell the consumers that nothing more will come, and wait until they have read the rest."""
    board.control[places.EXPECTED] = board.sender[places.SENT] + board.sender[places.REFUSED] - lost
    board.control[places.STOP] = 1

    def all_ended() -> bool:
        crew.nudge()
        return all(child.ended() for child in crew.children)

    queued = min(int(board.control[places.EXPECTED]), point.slots)
    work = (point.work[0] + point.work[1] * point.largest_size) * queued * point.consumers
    crew.wait(all_ended, time.monotonic() + _DRAIN_LEAST + _DRAIN_FACTOR * work, _NUDGE)


def _so_far(board: Board, point: LabPoint) -> dict[str, int]:
    """The counters of a run that is broken off."""
    consumers = [board.consumer(number) for number in range(point.consumers)]
    return {
        "offered": int(board.sender[places.OFFERED]),
        "ring drops": int(board.sender[places.RING_DROPS]),
        "sent": int(board.sender[places.SENT]),
        "delivered": sum(int(row[places.DELIVERED]) for row in consumers),
    }


def _added_up(
    point: LabPoint, board: Board, placement: Placement, lost: int, spent: Times
) -> dict[str, Any]:
    """The fields of a :class:`~capmodel.lab.outcome.LabRun` but the point."""
    sender = board.sender
    return {
        "offered": int(sender[places.OFFERED]),
        "ring_drops": int(sender[places.RING_DROPS]),
        "backlog_drops": lost,
        "consumers": [_consumer(board.consumer(number)) for number in range(point.consumers)],
        "send_calls": int(sender[places.SEND_CALLS]),
        "send_time": sender[places.SEND_TIME] * 1e-9,
        "elapsed": sender[places.ELAPSED] * 1e-9,
        "late": sender[places.LATE] * 1e-9,
        "waited": sender[places.SENDER_WAITED] * 1e-9,
        "cpu": {str(core): dict(kinds) for core, kinds in spent.items()},
        "cores": {"sender": placement.sender, "consumers": placement.consumers},
    }


def _consumer(row: places.Counters) -> dict[str, Any]:
    return {
        "delivered": int(row[places.DELIVERED]),
        "buffer_drops": int(row[places.BUFFER_DROPS]),
        "polls": int(row[places.POLLS]),
        "wakes": int(row[places.WAKES]),
        "yields": int(row[places.YIELDS]),
        "work_time": row[places.WORK_TIME] * 1e-9,
        "user": row[places.USER] * 1e-9,
        "system": row[places.SYSTEM] * 1e-9,
        "waited": row[places.WAITED] * 1e-9,
    }
