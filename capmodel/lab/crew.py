"""The processes of a run: started, watched, and ended with it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from capmodel.lab._enter import end_with_parent, set_name
from capmodel.lab.board import Board
from capmodel.lab.cores import favour
from capmodel.lab.outcome import LabError


@dataclass
class Child:
    """A process of the run: who it is, where its row is on the board.

    `settles` says whether it may end by itself before the run is over, and `status_matters` whether
    how it ends is of interest.
    """

    name: str
    row: int
    pid: int
    handle: int
    settles: bool = True
    status: int | None = None
    status_matters: bool = True
    words: Callable[[], str] = lambda: ""

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
        try:
            return os.waitid(os.P_PID, self.pid, flags) is not None
        except ChildProcessError:
            return False  # it has ended since: there is no child left that could be stopped


@dataclass
class Crew:
    """The processes of a run; none of them outlives it."""

    board: Board
    children: list[Child] = field(default_factory=list)

    def start(
        self, name: str, row: int, core: int | None, favoured: bool, body: Callable[[], None],
        settles: bool = True,
    ) -> Child:  # fmt: skip
        """Fork a process that does one thing and ends."""
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._live(supervisor, name, row, core, favoured, body)
        child = Child(name, row, pid, os.pidfd_open(pid), settles)
        self.children.append(child)
        return child

    def _live(
        self,
        supervisor: int,
        name: str,
        row: int,
        core: int | None,
        favoured: bool,
        body: Callable[[], None],
    ) -> NoReturn:
        status = 1
        try:
            end_with_parent(supervisor)
            set_name(f"lab-{name}")
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

    def wait(
        self, done: Callable[[], bool], seconds: float, trouble: str, step: float | None = None
    ) -> None:
        """Wait until something is done, while everyone lives.

        Parameters
        ----------
        done : callable
            Whether it is.
        seconds : float
            How long to wait [s].
        trouble : str
            What to say when that time is over.
        step : float, optional
            Look again after so long [s]; default: when a process ends or stops.

        Raises
        ------
        LabError
            If a process ends badly, is halted, or the time is over.
        """
        end = time.monotonic() + seconds
        with _ChildSignals() as signals:
            while True:
                finished = done()
                self._check()
                if finished:
                    return
                left = end - time.monotonic()
                if left <= 0.0:
                    raise LabError(f"{trouble}; given up after {seconds:.0f} s")
                handles = [child.handle for child in self.children if child.status is None]
                signals.sleep(handles, left if step is None else min(left, step))

    def _check(self) -> None:
        for child in self.children:
            if child.ended() and child.status_matters and (child.status or not child.settles):
                words = self.board.words(child.row) or child.words()
                raise LabError(words or f"the {child.name} ended with status {child.status}")
            if child.stopped():
                raise LabError(f"the {child.name} was stopped by a signal")

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
