"""A network namespace that belongs to one process and ends with it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Any

SENDER, RECEIVER = "lab0", "lab1"


class Namespace:
    """A network namespace with a pair of virtual interfaces, as a context manager.

    It is held by a process of its own and has no name, so it ends with that process, which ends
    with this one, whatever ends this one. Nothing of the host's network is touched. Without root it
    is made inside a user namespace.

    Attributes
    ----------
    pid : int
        The process inside.
    sender, receiver : str
        Names of the two interfaces: what is sent on the first arrives at the second.
    privileged : bool
        Whether the machine's own root made it: packet steering can be set.

    Raises
    ------
    LabError
        Where this machine does not allow it; the message says what to do.

    Examples
    --------
    >>> with Namespace() as namespace:  # doctest: +SKIP
    ...     namespace.run(["ip", "-brief", "link"]).stdout
    """

    sender = SENDER
    receiver = RECEIVER

    def __init__(self) -> None:
        self.pid = 0
        self.privileged = False

    def __enter__(self) -> Namespace:
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a command inside; it is killed when the thread that started it ends."""
        raise NotImplementedError

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it."""
        raise NotImplementedError

    def request(self, action: str, **arguments: Any) -> Any:
        """Have the process inside do something; its answer is plain values."""
        raise NotImplementedError
