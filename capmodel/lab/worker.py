"""The process inside the namespace: does what the process outside asks, line by line.

Requests and answers are JSON, one object a line. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from capmodel.lab.links import Links
from capmodel.lab.outcome import LabError
from capmodel.lab.point import LabPoint


def _run(links: Links, found: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, Any]:
    from capmodel.lab.supervisor import run

    return run(LabPoint.from_dict(order["point"]), links, found["environment"])


_ACTIONS: Mapping[str, Callable[[Links, Mapping[str, Any], Mapping[str, Any]], Any]] = {"run": _run}


def serve(found: Mapping[str, Any], answers: int) -> None:
    """Answer requests until there are no more.

    Parameters
    ----------
    found : mapping
        What entering the namespace found, see :mod:`capmodel.lab._enter`.
    answers : int
        Descriptor to write answers to.
    """

    def answer(value: Mapping[str, Any]) -> None:
        os.write(answers, (json.dumps(value) + "\n").encode())

    try:
        links = Links(found["host"])
    except LabError as error:
        answer({"error": error.args[0], "counters": error.counters})
        return
    answer({"done": {"privileged": found["privileged"]}})
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer({"done": _ACTIONS[order["action"]](links, found, order)})
        except LabError as error:
            answer({"error": error.args[0], "counters": error.counters})
        except (ValueError, OSError, ImportError) as error:
            answer({"error": str(error), "counters": {}})


def main(found: Mapping[str, Any]) -> None:
    """Serve on standard input and output.

    Parameters
    ----------
    found : mapping
        What entering the namespace found.
    """
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    serve(found, answers)
