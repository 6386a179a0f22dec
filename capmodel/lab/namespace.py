"""A network namespace that belongs to one process and ends with it."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from capmodel.lab.outcome import LabError

SENDER, RECEIVER = "lab0", "lab1"

# the longest point, its drain, and compiling the loops at the first
_PATIENCE = 330.0
_ENTER = Path(__file__).with_name("_enter.py")
_LIBRARIES = ("numba", "pyroute2")


class Namespace:
    """A network namespace with a pair of virtual interfaces, as a context manager.

    It is held by a process of its own and has no name, so it ends with that process, and the kernel
    ends that process with the thread that opened it, however that ends. Nothing of the host's
    network is touched. Without root it is made inside a user namespace.

    Attributes
    ----------
    pid : int
        The process inside.
    sender, receiver : str
        Names of the two interfaces: what is sent on the first arrives at the second.
    privileged : bool
        Whether it was made without a user namespace: packet steering can be set.

    Raises
    ------
    LabError
        Where this machine does not allow it; the message says what to do.
    ImportError
        If the extra ``lab`` is not installed.

    Examples
    --------
    Not every machine allows it, so this is not run as a test:

    >>> with Namespace() as namespace:  # doctest: +SKIP
    ...     print(namespace.run(["ip", "-brief", "link"]).stdout)
    """

    sender = SENDER
    receiver = RECEIVER

    def __init__(self) -> None:
        self.pid = 0
        self.privileged = False
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._received = b""

    def __enter__(self) -> Self:
        check_installed()
        self._errors = tempfile.TemporaryFile()
        order = {
            "action": "make",
            "parent": os.getpid(),
            "serve": "capmodel.lab.worker",
            "path": [path or os.getcwd() for path in sys.path],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_ENTER), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # an interrupt from the keyboard is for this process to handle
        )
        self.pid = self._process.pid
        try:
            answer = self._answer()
        except BaseException:
            self.close()
            raise
        self.privileged = bool(answer["privileged"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process inside, and with it the namespace; harmless if it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = None

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a command inside.

        Parameters
        ----------
        command : sequence of str
            Program and arguments.
        **options
            Of :class:`subprocess.Popen`, in text mode.

        Returns
        -------
        Popen
            Killed when the thread that started it ends.
        """
        if self._process is None:
            raise LabError("the namespace is closed")
        order = {
            "action": "join",
            "parent": os.getpid(),
            "pid": self.pid,
            "privileged": self.privileged,
            "command": list(command),
        }
        return subprocess.Popen(
            [sys.executable, "-P", str(_ENTER), json.dumps(order)], text=True, **options
        )

    def run(
        self, command: Sequence[str], timeout: float = 60.0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it.

        Parameters
        ----------
        command : sequence of str
            Program and arguments.
        timeout : float
            Most time for it [s].
        **options
            Of :class:`subprocess.Popen`; default: output is captured.

        Returns
        -------
        CompletedProcess
            With output and errors as text.

        Raises
        ------
        TimeoutExpired
            If it takes longer; it is then killed.
        """
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        with self.popen(command, **pipes) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(list(command), process.returncode, out, err)

    def request(self, action: str, **arguments: Any) -> Any:
        """Have the process inside do something.

        Parameters
        ----------
        action : str
            What; see :mod:`capmodel.lab.worker`.
        **arguments
            Plain values for it.

        Returns
        -------
        object
            Plain values.

        Raises
        ------
        LabError
            If it went wrong, with the counters so far; or if the process inside has ended.
        """
        if self._process is None or self._process.stdin is None:
            raise LabError("the namespace is closed")
        line = json.dumps({"action": action, **arguments}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        try:
            return self._answer()
        except LabError:
            raise
        except BaseException:  # interrupted: the answer would be taken for that of the next request
            self.close()
            raise

    def _answer(self) -> Any:
        """The next line of the process inside."""
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        end = time.monotonic() + _PATIENCE
        while b"\n" not in self._received:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.close()
                raise LabError(f"the lab's process did not answer within {_PATIENCE:g} s")
            part = os.read(descriptor, 65536)
            if not part:
                raise self._ended()
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        answer = json.loads(line)
        if "refused" in answer:
            raise LabError(_refusal(answer))
        if "error" in answer:
            raise LabError(answer["error"], answer["counters"])
        return answer["done"]

    def _ended(self) -> LabError:
        """The process inside is no more: say so, with its last words."""
        assert self._process is not None
        assert self._errors is not None
        status = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        last = f": {words[-1]}" if words else ""
        return LabError(f"the lab's process ended with status {status}{last}")


def check_installed() -> None:
    """Refuse to go on where the lab cannot work at all.

    Raises
    ------
    LabError
        On a system other than Linux.
    ImportError
        If a library of the extra ``lab`` is missing.
    """
    if sys.platform != "linux":
        raise LabError(f"the live lab needs Linux, and this is {sys.platform}")
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"the live lab needs {' and '.join(missing)}, which is not installed: "
            'pip install "capmodel[lab]"'
        )


def _refusal(answer: dict[str, Any]) -> str:
    """Why there is no namespace, and what to do."""
    if answer["errno"] in (errno.EPERM, errno.EACCES, errno.ENOSPC):
        return (
            "this machine does not let an ordinary user make a network namespace "
            f"({answer['refused']}); run as root, or allow user namespaces (sysctl "
            "user.max_user_namespaces, kernel.unprivileged_userns_clone, "
            "kernel.apparmor_restrict_unprivileged_userns)"
        )
    return (
        f"this kernel cannot make a network namespace ({answer['refused']}); the lab needs "
        "CONFIG_NET_NS, and CONFIG_USER_NS for ordinary users"
    )
