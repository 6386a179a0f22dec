"""Runs a point: consumers first, then the sender, then the sum of what they counted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from capmodel.lab import board as places
from capmodel.lab import sender
from capmodel.lab.audience import Audience, Consumers
from capmodel.lab.board import Board
from capmodel.lab.cores import core_times, difference, place
from capmodel.lab.crew import Crew
from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import MOST_SECONDS, LabPoint
from capmodel.lab.programs import Programs
from capmodel.lab.records import Records, read_records, recordable

_START = 20.0
_LOOK = 0.01
# for the longest point, on a machine that is shared
_CAP = MOST_SECONDS + 5.0


def run(point: LabPoint, links: Links, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a point on the lab's interfaces.

    Parameters
    ----------
    point : LabPoint
        What to run.
    links : Links
        Where.
    environment : mapping
        What programs are to find in theirs.

    Returns
    -------
    dict
        The counters of a :class:`~capmodel.lab.outcome.LabRun`, as plain values.

    Raises
    ------
    LabError
        If it cannot be done here, or a process died, hung or was stopped; with the counters so far.
    """
    placement = place(point)
    links.set_largest_frame(point.largest_size)
    links.steer(placement.softirq)
    sender.warm(point)
    board = Board(point.consumers)
    crew = Crew(board)
    kind = Consumers if point.app is None else Programs
    audience = kind(point, links, board, crew, environment)
    records = Records(point) if recordable(point) else None
    audience.log = None if records is None else records.waits
    before = links.counts()
    try:
        audience.start(placement)
        crew.wait(audience.ready, _START, audience.not_ready, _LOOK)
        times = core_times(placement.watched)
        sending = crew.start(
            "sender", 1, placement.sender, True,
            partial(sender.send, point, links, board, _CAP, *([records.sends] if records else [])),
        )  # fmt: skip
        crew.wait(sending.ended, _CAP + _START, "the sender does not come to an end")
        lost = _lost(board, links.counts().dropped - before.dropped)
        sent = int(board.sender[places.SENT] + board.sender[places.REFUSED])
        counts = audience.finish(sent - lost)
        spent = difference(core_times(placement.watched), times)
    except LabError as error:
        raise LabError(error.args[0], _so_far(board, audience)) from None
    finally:
        crew.dismiss()
    return {
        "offered": int(board.sender[places.OFFERED]),
        "ring_drops": int(board.sender[places.RING_DROPS]),
        "backlog_drops": lost,
        "consumers": counts,
        "send_calls": int(board.sender[places.SEND_CALLS]),
        "send_time": board.sender[places.SEND_TIME] * 1e-9,
        "elapsed": board.sender[places.ELAPSED] * 1e-9,
        "late": board.sender[places.LATE] * 1e-9,
        "stalls": int(board.sender[places.STALLS]),
        "stall_time": board.sender[places.STALL_TIME] * 1e-9,
        "waited": board.sender[places.SENDER_WAITED] * 1e-9,
        "cpu": {str(core): dict(kinds) for core, kinds in spent.items()},
        "cores": {"sender": placement.sender, "consumers": placement.consumers},
        "report": audience.report,
        "waits": None
        if records is None
        else read_records(records, board, lost + sum(count["buffer_drops"] for count in counts)),
    }


def _lost(board: Board, dropped: int) -> int:
    """Packets lost on the way: kernels differ in whether the sending call says so too."""
    return max(int(board.sender[places.REFUSED]), dropped)


def _so_far(board: Board, audience: Audience) -> dict[str, int]:
    """The counters of a run that is broken off; none if it had not begun."""
    if not board.sender[places.OFFERED]:
        return {}
    return {
        "offered": int(board.sender[places.OFFERED]),
        "ring drops": int(board.sender[places.RING_DROPS]),
        "sent": int(board.sender[places.SENT]),
        "delivered": audience.delivered(),
    }
