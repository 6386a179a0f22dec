"""One look at everything, with a reason for whatever could not be seen."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

from capmodel.counters.links import parse_net_dev
from capmodel.counters.reading import READERS
from capmodel.counters.records import Place, Snapshot


def take_snapshot(place: Place, *, leave: tuple[str, ...] = ()) -> Snapshot:
    """Read everything once.

    Parameters
    ----------
    place : Place
        Where to look.
    leave : tuple of str
        Fields to leave out.

    Returns
    -------
    Snapshot
        What could not be read is None or empty, with a reason in `not_seen`.

    Raises
    ------
    ValueError
        If there is no such interface.

    Examples
    --------
    >>> import sys
    >>> sys.platform != "linux" or take_snapshot(Place("lo")).link.name == "lo"
    True
    """
    seen: dict[str, Any] = {}
    missing: dict[str, str] = {}
    moment = time.monotonic()
    for name, read in READERS.items():
        if name in leave:
            continue
        if name == "link":
            moment = time.monotonic()  # the moment is that of the counters that give the rate
        try:
            seen[name] = read(place, seen)
        except OSError as error:
            missing[name] = f"{error}"
        except ValueError as error:
            if name == "link":
                raise
            missing[name] = str(error)
    return Snapshot(moment, place.interface, not_seen=MappingProxyType(missing), **seen)


def interfaces_of(proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Interfaces that a packet socket listens on, then the others.

    Parameters
    ----------
    proc : Path
        Root of /proc.

    Returns
    -------
    tuple of str
        The loopback comes last.

    Examples
    --------
    >>> import sys
    >>> sys.platform != "linux" or "lo" in interfaces_of()
    True
    """
    path = proc / "net" / "dev"
    counters = parse_net_dev(path.read_text(encoding="utf-8"), str(path))
    return tuple(sorted(counters, key=lambda name: (name == "lo", -counters[name][1])))
