"""Ends programs whose lab is no more.

The kernel ends the lab's own processes with the one that started them. It forgets to for a program
that changes its user, as tcpdump does: it would stay, and its namespace with it. A guard holds one
end of a pipe of which the lab holds the other: when that is closed, by whatever end, the guard ends
the programs that it was told of, and itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
from functools import partial

from capmodel.lab._enter import outlive_parent
from capmodel.lab.crew import Crew
from capmodel.lab.processes import family

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_ROOM = 4096


class Guard:
    """A process that outlives the lab for as long as it takes to end programs.

    Parameters
    ----------
    crew : Crew
        Starts it, and dismisses it with the others.
    """

    def __init__(self, crew: Crew) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        crew.start("guard", 0, None, False, partial(_watch, reading, writing), settles=False)
        os.close(reading)
        self._line = os.fdopen(writing, "wb", buffering=0)

    def watch(self, pid: int) -> None:
        """End this process with the lab, and all that it has started.

        Parameters
        ----------
        pid : int
            Of a program in the lab's namespace.
        """
        self._line.write(f"{pid}\n".encode())


def _watch(reading: int, writing: int) -> None:
    outlive_parent()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.close(writing)
    told = b""
    while found := os.read(reading, _ROOM):
        told += found
    here = os.stat("/proc/self/ns/net").st_ino
    for word in told.split():
        for pid in family(int(word)):
            # a number may be another process's by now; none of those is in this namespace
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == here:
                    os.kill(pid, signal.SIGKILL)
