"""One library behind lines of JSON: ``python -m benchmarks.peers.worker NAME``.

It greets with ``{"version": ..., "import_seconds": ..., "memory": bytes}``. Every line that it then
reads is ``{"job": ..., "params": {...}}`` and is answered by ``{"seconds": per unit of work,
"answers": [...]}``. What fails is answered by ``{"error": message}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, TextIO

from benchmarks.peers.libraries import LIBRARIES, PACKAGES, Jobs
from benchmarks.process import peak_memory
from benchmarks.timing import sample


def words(error: BaseException) -> str:
    """An exception in one line."""
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first}"


def answered(jobs: Jobs, request: Mapping[str, Any]) -> dict[str, Any]:
    """One sample of one job."""
    if request["job"] not in jobs:
        return {"error": f"has no {request['job']}"}
    job = jobs[request["job"]](**request["params"])
    last: list[Any] = [None]

    def call() -> None:
        last[0] = job.call()

    return {"seconds": sample(call) / job.work, "answers": job.read(last[0])}


def greeting(name: str) -> tuple[dict[str, Any], Jobs]:
    """What the import took, and the jobs."""
    begin = time.process_time()
    jobs = LIBRARIES[name]()
    taken = time.process_time() - begin
    found = {"version": version(PACKAGES[name]), "import_seconds": taken, "memory": peak_memory()}
    return found, jobs


def converse(jobs: Jobs, requests: Iterable[str], out: TextIO) -> None:
    """Answer line by line; whatever a library raises is an answer."""
    for line in requests:
        try:
            reply = answered(jobs, json.loads(line))
        except Exception as error:
            reply = {"error": words(error)}
        print(json.dumps(reply), file=out, flush=True)


def main(name: str) -> None:
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())  # libraries greet, log and draw progress
    warnings.simplefilter("ignore")
    try:
        hello, jobs = greeting(name)
    except Exception as error:
        print(json.dumps({"error": words(error)}), file=out, flush=True)
        return
    print(json.dumps(hello), file=out, flush=True)
    converse(jobs, sys.stdin, out)


if __name__ == "__main__":
    main(sys.argv[1])
