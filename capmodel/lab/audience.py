"""Who receives in a run: the lab's own consumers here; programs in :mod:`capmodel.lab.programs`."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from capmodel.lab import board as places
from capmodel.lab import consumer
from capmodel.lab.board import Board
from capmodel.lab.cores import Placement
from capmodel.lab.crew import Crew
from capmodel.lab.links import Links
from capmodel.lab.point import LabPoint

# reading a full buffer takes its work, and more on a machine that is shared
_DRAIN_FACTOR, _DRAIN_LEAST, _DRAIN_MOST = 4.0, 3.0, 180.0
_LOOK = 0.01


class Audience(Protocol):
    """Those that receive."""

    report: str
    not_ready: str
    log: places.Counters | None

    def start(self, placement: Placement) -> None:
        """Begin to get ready."""

    def ready(self) -> bool:
        """Whether all would receive a packet sent now."""

    def finish(self, expected: int) -> list[dict[str, Any]]:
        """Let them read what is left of so many packets, end them, and return their counts."""

    def delivered(self) -> int:
        """Packets that they have counted so far."""


class Consumers:
    """The lab's own receivers."""

    _warmed: frozenset[str] = frozenset()

    def __init__(
        self, point: LabPoint, links: Links, board: Board, crew: Crew,
        environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._point, self._links, self._board, self._crew = point, links, board, crew
        self.log: places.Counters | None = None
        self._rows = [board.consumer(number) for number in range(point.consumers)]
        self.report = ""
        self.not_ready = "the receiver did not get ready"

    def start(self, placement: Placement) -> None:
        """As in :class:`Audience`."""
        self._warm()
        for number in range(self._point.consumers):
            self._crew.start(
                "receiver", 2 + number, placement.consumers, placement.favoured,
                partial(
                    consumer.consume, self._point, self._links, self._board, number, self.log
                ),
            )  # fmt: skip

    def _warm(self) -> None:
        """Have the loops compiled before processes are forked, once for each receiver."""
        if self._point.backend in Consumers._warmed:
            return
        consumer.warm(self._point, self._links)
        Consumers._warmed |= {self._point.backend}
        gc.collect()
        gc.freeze()  # collecting in the processes to come would copy what they share

    def ready(self) -> bool:
        """As in :class:`Audience`."""
        return all(row[places.READY] for row in self._rows)

    def finish(self, expected: int) -> list[dict[str, Any]]:
        """As in :class:`Audience`."""
        self._board.control[places.EXPECTED] = expected
        self._board.control[places.STOP] = 1

        def all_ended() -> bool:
            self._crew.nudge()
            return all(child.ended() for child in self._crew.children)

        queued = min(expected, self._point.slots)
        work = self._point.longest_work * queued * self._point.consumers
        patience = min(_DRAIN_LEAST + _DRAIN_FACTOR * work, _DRAIN_MOST)
        self._crew.wait(all_ended, patience, "the receiver does not come to an end", _LOOK)
        return [_counts(row) for row in self._rows]

    def delivered(self) -> int:
        """As in :class:`Audience`."""
        return sum(int(row[places.DELIVERED]) for row in self._rows)


def _counts(row: places.Counters) -> dict[str, Any]:
    return {
        "delivered": int(row[places.DELIVERED]),
        "buffer_drops": int(row[places.BUFFER_DROPS]),
        "polls": int(row[places.POLLS]),
        "wakes": int(row[places.WAKES]),
        "yields": int(row[places.YIELDS]),
        "received_bytes": int(row[places.BYTES]),
        "work_time": row[places.WORK_TIME] * 1e-9,
        "user": row[places.USER] * 1e-9,
        "system": row[places.SYSTEM] * 1e-9,
        "waited": row[places.WAITED] * 1e-9,
    }
