"""Real programs as consumers: started in the namespace, counted from outside."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

from capmodel.lab.board import Board, Counters
from capmodel.lab.cores import Placement
from capmodel.lab.crew import Child, Crew
from capmodel.lab.guard import Guard
from capmodel.lab.links import Links
from capmodel.lab.namespace import RECEIVER
from capmodel.lab.outcome import LabError
from capmodel.lab.point import LabPoint
from capmodel.lab.processes import Usage, bound_sockets, copied_socket, family, usage
from capmodel.lab.sockets import statistics_of

# a program is ready when it has hardly run for so long
_QUIET = 0.15
# and has read everything after so long: libpcap's programs let a block wait for a second
_IDLE = 1.3
_HARDLY = 0.02
_LOOK = 0.02
_DRAIN, _END = 20.0, 5.0

# what capture programs print when they are interrupted: packets read, packets dropped
_REPORTS = (
    (r"(\d+) packets? captured", r"(\d+) packets? dropped by kernel"),  # tcpdump
    (r"Packets captured: (\d+)", r"Packets received/dropped on interface .*: \d+/(\d+)"),  # dumpcap
)


class Programs:
    """One or several copies of a program that captures on the lab's interface."""

    def __init__(
        self, point: LabPoint, links: Links, board: Board, crew: Crew,
        environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        assert point.app is not None
        self._point, self._links, self._crew = point, links, crew
        self._environment = environment
        self._command = [word.replace("{iface}", RECEIVER) for word in shlex.split(point.app)]
        self._outputs: list[int] = []
        self._children: list[Child] = []
        self._sockets: list[list[int]] = []
        self._before: list[Usage] = []
        self._quiet_since, self._quiet_spent = time.monotonic(), 0.0
        self._guard: Guard | None = None
        self.report = ""
        self.log: Counters | None = None
        self.not_ready = "the program does not listen on the lab's interface"

    def start(self, placement: Placement) -> None:
        """As in :class:`~capmodel.lab.audience.Audience`."""
        path = self._environment.get("PATH", os.defpath)
        if shutil.which(self._command[0], path=path) is None:
            raise LabError(f"app: there is no program {self._command[0]!r}; install it")
        guard = Guard(self._crew)
        for number in range(self._point.consumers):
            output = os.memfd_create("report")
            self._outputs.append(output)
            child = self._crew.start(
                "program", 2 + number, placement.consumers, placement.favoured,
                partial(self._become, output), settles=False,
            )  # fmt: skip
            guard.watch(child.pid)
            child.words = partial(_words, output)
            self._children.append(child)
        self._guard = guard  # it takes the end of its pipe for the lab's

    def _become(self, output: int) -> NoReturn:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)  # packets, perhaps; reports go to standard error
        os.dup2(output, 2)
        os.execvpe(self._command[0], self._command, dict(self._environment))

    def ready(self) -> bool:
        """As in :class:`~capmodel.lab.audience.Audience`."""
        listening = all(bound_sockets(child.pid, self._links.receiver) for child in self._children)
        if not (self._quiet() and listening):
            return False
        self._sockets = [
            [
                copied
                for pid, descriptor in bound_sockets(child.pid, self._links.receiver)
                if (copied := copied_socket(pid, descriptor)) is not None
            ]
            for child in self._children
        ]
        self._before = self._usage()
        return True

    def _quiet(self, seconds: float = _QUIET) -> bool:
        """Whether the programs have hardly run for so long [s]: some look up now and then."""
        now = time.monotonic()
        spent = sum(found.user + found.system for found in self._usage())
        if spent - self._quiet_spent > _HARDLY:
            self._quiet_spent, self._quiet_since = spent, now
        return now - self._quiet_since > seconds

    def _usage(self) -> list[Usage]:
        return [usage(child.pid) for child in self._children]

    def finish(self, expected: int) -> list[dict[str, Any]]:
        """As in :class:`~capmodel.lab.audience.Audience`."""
        self._quiet_since, self._quiet_spent = time.monotonic(), 0.0
        self._crew.wait(lambda: self._quiet(_IDLE), _DRAIN, "the program still runs", _LOOK)
        spent = self._usage()
        seen = [[statistics_of(copy) for copy in copies] for copies in self._sockets]
        self._interrupt()
        reports = [_text(output) for output in self._outputs]
        self.report = "\n".join(report.strip() for report in reports)
        return [
            _counts(expected, *parts)
            for parts in zip(seen, reports, self._before, spent, strict=True)
        ]

    def _interrupt(self) -> None:
        """End the programs as a user at the keyboard would."""
        for child in self._children:
            child.status_matters = False
            for pid in family(child.pid):
                os.kill(pid, signal.SIGINT)
        self._crew.wait(
            lambda: all(child.ended() for child in self._children),
            _END, "the program does not end when it is interrupted", _LOOK,
        )  # fmt: skip

    def delivered(self) -> int:
        """Unknown before the end: programs count for themselves."""
        return 0


def _counts(
    expected: int, seen: list[tuple[int, int]], report: str, before: Usage, after: Usage
) -> dict[str, Any]:
    """The counts of one program: by its sockets if they could be asked, or by its report."""
    found = {
        "polls": None,
        "wakes": after.switches - before.switches,
        "yields": None,
        "received_bytes": None,
        "work_time": None,
        "user": after.user - before.user,
        "system": after.system - before.system,
        "waited": after.waited - before.waited,
    }
    packets, dropped = (sum(part) for part in zip(*seen, strict=True)) if seen else (0, 0)
    if packets == expected:
        return found | {"delivered": expected - dropped, "buffer_drops": dropped}
    for captured, dropped_text in _REPORTS:
        read, lost = re.search(captured, report), re.search(dropped_text, report)
        if read and lost and int(read[1]) + int(lost[1]) == expected:
            return found | {"delivered": int(read[1]), "buffer_drops": int(lost[1])}
    raise LabError(
        f"the program's sockets saw {packets:,} of {expected:,} packets and its report does not "
        f"account for the others; it must not filter, and printed last: {_last_words(report)}"
    )


def _last_words(text: str) -> str:
    return " ".join(text.split())[-200:] or "nothing"


def _words(output: int) -> str:
    return f"the program has ended, saying: {_last_words(_text(output))}"


def _text(output: int) -> str:
    size = os.lseek(output, 0, os.SEEK_END)
    return os.pread(output, min(size, 2**20), max(0, size - 2**20)).decode(errors="replace")
