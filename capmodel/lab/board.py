"""Shared memory between the processes of a run: flags, counters, last words."""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt

Counters = npt.NDArray[np.int64]

# Rows of 64 words are pages' worth apart from each other's cache lines and their neighbours'.
_WORDS = 64
_TEXT = 1024

# words of the control row; each has a cache line to itself
STOP, EXPECTED = 0, 8

# words of the sender's row
(OFFERED, RING_DROPS, SENT, REFUSED, SEND_CALLS, SEND_TIME, ELAPSED, LATE, FAILURE,
 SENDER_WAITED, STALLS, STALL_TIME) = range(12)  # fmt: skip

# words of a consumer's row; READY first, the rest counters
(READY, DELIVERED, POLLS, INTERRUPTED, YIELDS, WORK_TIME, BYTES, BUFFER_DROPS, WAKES, USER, SYSTEM,
 WAITED, VALUE) = range(13)  # fmt: skip


class Board:
    """One row of counters for control, sender and every consumer, and a text for each.

    Parameters
    ----------
    consumers : int
        How many.
    """

    def __init__(self, consumers: int) -> None:
        rows = 2 + consumers
        self._memory = mmap.mmap(-1, rows * (8 * _WORDS + _TEXT))
        self._words = np.frombuffer(self._memory, dtype=np.int64, count=rows * _WORDS)
        self._rows: list[Counters] = list(self._words.reshape(rows, _WORDS))
        self._texts = 8 * rows * _WORDS

    @property
    def control(self) -> Counters:
        """Flags: STOP, EXPECTED."""
        return self._rows[0]

    @property
    def sender(self) -> Counters:
        """The sender's counters."""
        return self._rows[1]

    def consumer(self, number: int) -> Counters:
        """A consumer's counters."""
        return self._rows[2 + number]

    def say(self, row: int, text: str) -> None:
        """Leave last words; row 1 is the sender, row 2 the first consumer."""
        start = self._texts + row * _TEXT
        content = text.encode()[: _TEXT - 1]
        self._memory[start : start + len(content)] = content

    def words(self, row: int) -> str:
        """Last words; empty if there are none."""
        start = self._texts + row * _TEXT
        return self._memory[start : start + _TEXT].rstrip(b"\0").decode(errors="replace")
