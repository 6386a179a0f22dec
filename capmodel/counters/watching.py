"""Watching a capture for a while."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from capmodel.counters.observation import Capture, Observation
from capmodel.counters.packet_sockets import RingLook, look, take_statistics
from capmodel.counters.reading import UNCHANGING
from capmodel.counters.records import Place, Snapshot
from capmodel.counters.snapshot import take_snapshot

LOOKS = 20
"""Looks at rings and threads in one interval."""
_LARGE_RING = 1 << 26  # mapping this many bytes again and again would itself be a load [B]


def require_process(pid: int, proc: Path = Path("/proc")) -> None:
    """Refuse the number of a process that is not there.

    Parameters
    ----------
    pid : int
        Its number.
    proc : Path
        The root of /proc.

    Raises
    ------
    ValueError
        If there is no such process, or it is not of this user's view.
    """
    if not (proc / str(pid)).exists():
        raise ValueError(f"pid must be a process that runs, and there is none with number {pid}")


def observe(
    place: Place, seconds: float, *, pid: int | None = None, statistics: bool = False
) -> Observation:
    """Watch for a while.

    Parameters
    ----------
    place : Place
        Where to look.
    seconds : float
        How long [s].
    pid : int, optional
        Look at this process's sockets alone.
    statistics : bool
        Take the sockets' own statistics, which resets them: the only exact count of what is lost
        at a mapped ring, and the program's own report will lack it.

    Returns
    -------
    Observation

    Raises
    ------
    ValueError
        If there is no such interface or process, or the process has no packet socket on it.
    """
    before = take_snapshot(place)
    started = Observation(before, before, pid=pid)
    captures = started.captures
    if pid is not None:
        require_process(pid, place.proc)
    if pid is not None and not captures:
        why = "; ".join(
            before.not_seen[name]
            for name in ("sockets", "owners", "tasks")
            if name in before.not_seen
        )
        raise ValueError(
            f"pid must be a process with a packet socket on {place.interface}, and none of {pid} "
            f"was seen{f': {why}' if why else ''}"
        )
    missing: dict[str, str] = {}
    if statistics:
        _statistics(captures, missing)  # so that the second reading counts this interval alone
    moments = [before.time + seconds * (number + 0.5) / LOOKS for number in range(LOOKS)]
    looks: list[RingLook] = []
    seen_on: dict[int, Counter[int]] = {}
    for moment in moments:
        time.sleep(max(0.0, moment - time.monotonic()))
        looks += _looks(captures, missing)
        _see_threads(place, before, seen_on)
    time.sleep(max(0.0, before.time + seconds - time.monotonic()))
    taken = _statistics(captures, missing) if statistics else {}
    after = take_snapshot(place, leave=UNCHANGING)
    kept = {name: getattr(before, name) for name in UNCHANGING}
    reasons = {**before.not_seen, **after.not_seen, **missing}
    seen = Observation(
        before,
        replace(after, **kept),
        tuple(looks),
        MappingProxyType({tid: MappingProxyType(dict(on)) for tid, on in seen_on.items()}),
        MappingProxyType(taken),
        pid=pid,
    )
    if captures and not seen.captures:
        reasons["captures"] = "the capturing process ended, or closed its socket, meanwhile"
    return replace(seen, not_seen=MappingProxyType(reasons))


def _looks(captures: tuple[Capture, ...], missing: dict[str, str]) -> list[RingLook]:
    found = []
    for each in captures:
        ring = each.socket.ring
        if ring is None:
            continue
        key = f"ring of socket {each.socket.inode}"
        if each.owner is None:
            missing[key] = "its process was not seen"
        elif ring.memory + ring.sent > _LARGE_RING:
            missing[key] = "it is too large to be looked into without disturbing it"
        else:
            try:
                found.append(look(each.owner.pid, each.owner.descriptor, each.socket))
            except (OSError, ValueError) as error:
                missing[key] = f"{error}; it takes the right to trace that process (root)"
    return found


def _statistics(
    captures: tuple[Capture, ...], missing: dict[str, str]
) -> dict[int, tuple[int, int]]:
    found = {}
    for each in captures:
        try:
            if each.owner is None:
                raise OSError("its process was not seen")
            found[each.socket.inode] = take_statistics(each.owner.pid, each.owner.descriptor)
        except OSError as error:
            missing[f"statistics of socket {each.socket.inode}"] = str(error)
    return found


def _see_threads(place: Place, before: Snapshot, seen_on: dict[int, Counter[int]]) -> None:
    for pid, tasks in before.tasks.items():
        for task in tasks:
            path = place.proc / str(pid) / "task" / str(task.tid) / "stat"
            try:
                words = os.fsdecode(path.read_bytes()).rpartition(")")[2].split()
                seen_on.setdefault(task.tid, Counter())[int(words[36])] += 1
            except (OSError, ValueError, IndexError):
                continue  # it has ended
