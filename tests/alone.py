"""One live test at a time: cores and the softirq's counters are those of the whole machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process is in this block; a process that dies leaves it."""
    path = Path(tempfile.gettempdir(), f"capmodel-live-tests-{os.getuid()}.lock")
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
