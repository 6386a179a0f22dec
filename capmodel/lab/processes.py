"""What /proc tells of other processes: their sockets, their time, their sleeps."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# asm-generic/unistd.h
_SYS_PIDFD_GETFD = 438
_TICK = 1.0 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Usage:
    """CPU time [s] by mode, time waiting for a core [s], and voluntary switches of a program."""

    user: float
    system: float
    waited: float
    switches: int


def family(pid: int) -> list[int]:
    """A process and its descendants.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    list of int
        Itself first; empty if it is no more.
    """
    found = []
    with contextlib.suppress(OSError):
        tasks = os.listdir(f"/proc/{pid}/task")
        found.append(pid)
        for task in tasks:
            text = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
            for child in text.split():
                found += family(int(child))
    return found


def usage(pid: int) -> Usage:
    """What a program and its descendants have used, over all of their threads.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    Usage
    """
    user = system = waited = switches = 0
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            fields = (task / "stat").read_text(encoding="ascii", errors="replace")
            words = fields.rpartition(")")[2].split()
            user, system = user + int(words[11]), system + int(words[12])
            waited += int((task / "schedstat").read_text(encoding="ascii").split()[1])
            status = (task / "status").read_text(encoding="ascii", errors="replace")
            match = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
            switches += int(match[1]) if match else 0
    return Usage(user * _TICK, system * _TICK, waited * 1e-9, switches)


def _tasks(pid: int) -> Iterator[Path]:
    for member in family(pid):
        with contextlib.suppress(OSError):
            yield from Path(f"/proc/{member}/task").iterdir()


def bound_sockets(pid: int, interface: int) -> list[tuple[int, int]]:
    """Packet sockets of a program that receive from an interface.

    Parameters
    ----------
    pid : int
        The program; its descendants count.
    interface : int
        Index of the interface.

    Returns
    -------
    list of tuple
        Process and descriptor.
    """
    # packet(7), /proc/net/packet: the interface (0: all), whether it receives, the inode
    lines = Path("/proc/net/packet").read_text(encoding="ascii").splitlines()[1:]
    inodes = {
        f"socket:[{words[8]}]"
        for words in map(str.split, lines)
        if int(words[4]) in (0, interface) and words[5] == "1"
    }
    found, counted = [], set()
    for member in family(pid):
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{member}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{member}/fd/{descriptor}")
                    if target in inodes and target not in counted:
                        counted.add(target)
                        found.append((member, int(descriptor)))
    return found


def copied_socket(pid: int, descriptor: int) -> int | None:
    """A descriptor of our own for another process's socket.

    Parameters
    ----------
    pid, descriptor : int
        Whose, and which.

    Returns
    -------
    int or None
        None where the kernel does not allow it, as for programs with privileges of their own.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    copy = int(_libc.syscall(_SYS_PIDFD_GETFD, handle, descriptor, 0))
    os.close(handle)
    return copy if copy >= 0 else None
