"""What a run writes down of every sending call and every wait call, and what is kept of it.

The sender notes when each call began and ended, the consumer how many packets it had taken when it
entered a wait call, and when it entered and left. Packets keep their order: the one that ends the
wait is the one after those taken, and its sending call paid for the signal.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capmodel.lab.board import POLLS, REFUSED, SENT, Board
from capmodel.lab.point import LabPoint, Trace

Words = npt.NDArray[np.int64]

_KEPT = 400  # wait calls kept of a run, evenly spaced
_SLACK, _MARGIN = 4096, 1.2  # calls for which there is room beyond the packets expected
_MOST = 1_000_000
_SLOTTED = ("tpacket_v1", "tpacket_v2")  # receivers whose waits end with one packet
# beyond this a call was interrupted by something else, and says nothing of its own cost [ns]
_STALL = 50_000
PHASES = ("awake", "first", "waking")
"""What the consumer does during a sending call that signals nobody: runs, or has been signalled
(by the call before, or one before that) and does not run yet."""


class Records:
    """Shared memory for one run.

    Parameters
    ----------
    point : LabPoint
        What will be sent; of a long run the first calls are noted.
    """

    def __init__(self, point: LabPoint) -> None:
        expected = _MARGIN * float(point.rate) * float(point.duration)
        self.room = int(min(expected + _SLACK, _MOST))
        self._memory = mmap.mmap(-1, 8 * 5 * self.room)
        words: Words = np.frombuffer(self._memory, dtype=np.int64)
        self.sends, self.waits = words[: 2 * self.room], words[2 * self.room :]


def recordable(point: LabPoint) -> bool:
    """Whether sending calls and wait calls of a point's run can be told apart and matched.

    Parameters
    ----------
    point : LabPoint
        The point.

    Returns
    -------
    bool
        One consumer with slots that polls, on a core of its own, packets sent one by one for a time
        that is known.
    """
    return (
        point.app is None
        and point.wait == "poll"
        and point.pinning == "split"
        and point.consumers == 1
        and point.batch == 1
        and point.duration is not None
        and not isinstance(point.arrivals, Trace)
        and point.backend in _SLOTTED
    )


@dataclass(frozen=True)
class WaitRecord:
    """What is kept of a run's records.

    Attributes
    ----------
    sends : mapping
        For each of `PHASES` the sending calls and their mean length [s].
    waits : tuple of tuple of float
        Of some wait calls: from entering it until the sending call that ended it began (negative if
        that had begun before), the length of that call, and from its beginning until the consumer
        was back from waiting [s].
    """

    sends: Mapping[str, tuple[int, float]]
    waits: tuple[tuple[float, float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, times in whole nanoseconds."""
        return {
            "sends": {name: [count, round(1e12 * mean) / 1e3] for name, (count, mean)
                      in self.sends.items()},
            "waits": [[round(1e9 * value) for value in wait] for wait in self.waits],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WaitRecord:
        """The record that :meth:`to_dict` made plain values of."""
        return cls(
            {name: (int(count), 1e-9 * mean) for name, (count, mean) in values["sends"].items()},
            tuple((1e-9 * a, 1e-9 * b, 1e-9 * c) for a, b, c in values["waits"]),
        )


def read_records(records: Records, board: Board, lost: int) -> dict[str, Any] | None:
    """What is kept of a run, as plain values.

    Parameters
    ----------
    records : Records
        Written by sender and consumer.
    board : Board
        Their counters.
    lost : int
        Packets sent that the consumer did not get: with any, calls cannot be matched.

    Returns
    -------
    dict or None
        None if nothing can be said.
    """
    sent, polls = (
        min(int(count), records.room) for count in (board.sender[SENT], board.consumer(0)[POLLS])
    )
    if lost or board.sender[REFUSED] or sent == 0:
        return None
    calls = records.sends[: 2 * sent].reshape(sent, 2)
    waits = records.waits[: 3 * polls].reshape(polls, 3)
    waits = waits[waits[:, 0] < sent]  # after the last packet it waits for the end of the run
    return summary(calls, waits).to_dict()


def summary(calls: Words, waits: Words) -> WaitRecord:
    """Match wait calls to the sending calls that ended them.

    Parameters
    ----------
    calls : ndarray
        When each sending call began and ended [ns], in order.
    waits : ndarray
        Packets taken before each wait call, when it was entered and when left [ns], in order.

    Returns
    -------
    WaitRecord
    """
    begun, length = calls[:, 0], calls[:, 1] - calls[:, 0]
    ended_by = waits[:, 0]
    sends = {}
    phases = _phases(begun, waits)
    quick = length < _STALL
    for index, name in enumerate(PHASES):
        found = length[(phases == index) & quick]
        sends[name] = (len(found), 1e-9 * float(found.mean()) if len(found) else 0.0)
    kept = np.unique(np.linspace(0, len(waits) - 1, min(_KEPT, len(waits))).astype(np.int64))
    kept = kept[length[ended_by[kept]] < _STALL]
    since = begun[ended_by] - waits[:, 1]
    until = waits[:, 2] - begun[ended_by]
    triples = np.column_stack([since, length[ended_by], until])[kept] * 1e-9
    return WaitRecord(sends, tuple((float(a), float(b), float(c)) for a, b, c in triples))


def _phases(begun: Words, waits: Words) -> Words:
    """Index in `PHASES` of every sending call; -1 for those that ended a wait, or came before."""
    phase = np.full(len(begun), -1)
    if len(waits) == 0:
        phase[:] = 0
        return phase
    place = np.arange(len(begun))
    last = np.searchsorted(waits[:, 0], place, side="right") - 1
    known = last >= 0
    after = place - waits[np.maximum(last, 0), 0]
    asleep = begun < waits[np.maximum(last, 0), 2]
    phase[known & ~asleep] = 0
    phase[known & asleep & (after == 1)] = 1
    phase[known & asleep & (after > 1)] = 2
    phase[known & (after == 0)] = -1
    return phase
