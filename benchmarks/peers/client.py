"""The other end of a worker: a library in a process of its own, asked one line at a time."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers.install import ROOT

PATIENCE = 120.0  # longest wait for one answer [s]


class PeerError(Exception):
    """What a library answered instead of a value, in one line."""


class Peer:
    """A library that answers; closed at the end of a ``with``."""

    def __init__(self, name: str, python: Path | str = sys.executable) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.peers.worker", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.greeting = self._read()
        except PeerError:
            self.close()
            raise

    def sample(self, job: str, params: Mapping[str, Any]) -> tuple[float, list[float]]:
        """Seconds per unit of work, and the answers."""
        assert self._process.stdin is not None
        try:
            print(
                json.dumps({"job": job, "params": dict(params)}),
                file=self._process.stdin,
                flush=True,
            )
        except OSError as error:
            raise PeerError(f"is gone: {error}") from error
        reply = self._read()
        return float(reply["seconds"]), [float(x) for x in reply["answers"]]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self._process.kill()
                raise PeerError(f"gave no answer within {PATIENCE:.0f} s")
        return parsed(self._process.stdout.readline())

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def parsed(line: str) -> dict[str, Any]:
    """A worker's line.

    Raises
    ------
    PeerError
        If there is none, it is no JSON object, or it tells an error.
    """
    if not line:
        raise PeerError("ended without an answer")
    try:
        reply = json.loads(line)
    except ValueError as error:
        raise PeerError(f"answered {line.strip()[:60]!r}, which is no JSON") from error
    if not isinstance(reply, dict):
        raise PeerError(f"answered {line.strip()[:60]!r}, which is no object")
    if "error" in reply:
        raise PeerError(str(reply["error"]))
    return reply
