"""A ring whose sides put header writes off, step by step: how many atomic writes a message costs.

Written from the description of the protocol, with nothing of the package. Every slot has a header
that says whether its message is ready to be read. A side that has finished with a slot puts the
write of its header off; the next ones it writes at once, and the last of `most` does the write that
was put off by an atomic exchange. A look at a header first does what is still put off. The writer
looks only when it knows of no free slot, and takes back one slot per look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class _Side:
    most: int
    headers: list[bool]
    waiting: tuple[int, bool] | None = None
    left: int = 0
    exchanges: int = 0

    def look(self, slot: int) -> bool:
        self.flush()
        return self.headers[slot]

    def flush(self) -> None:
        if self.waiting is not None:
            slot, ready = self.waiting
            self.headers[slot] = ready
            self.exchanges += 1
            self.waiting = None

    def finish(self, slot: int, ready: bool) -> None:
        if self.waiting is None:
            self.waiting, self.left = (slot, ready), self.most - 1
            return
        self.headers[slot] = ready
        self.left -= 1
        if self.left == 0:
            self.flush()


@dataclass
class DeferredRing:
    """A ring of `slots`, each side putting writes off over up to `most` messages."""

    slots: int
    most: int
    written: int = 0
    freed: int = 0
    read: int = 0
    order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        headers = [False] * self.slots
        self._messages = [-1] * self.slots
        self.writer, self.reader = _Side(self.most, headers), _Side(self.most, headers)

    def write(self) -> bool:
        """One message, unless the ring is full: then the writer waits, and nothing happens."""
        if self.written - self.freed == self.slots - 1:
            if self.writer.look(self.freed % self.slots):
                return False
            self.freed += 1
        slot = self.written % self.slots
        self._messages[slot] = self.written
        self.writer.finish(slot, True)
        self.written += 1
        return True

    def take(self) -> bool:
        """Read one message, unless none is ready: then the reader waits."""
        slot = self.read % self.slots
        if not self.reader.look(slot):
            return False
        self.order.append(self._messages[slot])
        self.reader.finish(slot, False)
        self.read += 1
        return True

    def run(self, turns: Iterable[bool]) -> None:
        """Let the writer (True) or the reader (False) try, turn by turn."""
        for writes in turns:
            if writes:
                self.write()
            else:
                self.take()
