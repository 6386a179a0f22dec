"""The journal of an experiment: a line per run, complete on the disk before the next one starts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from capmodel.atomic import replacing
from capmodel.errors import damaged_file
from capmodel.lab.outcome import ConsumerCounts, LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.records import WaitRecord

FORMAT = 1


@dataclass(frozen=True)
class Repeat:
    """One run of an experiment: which point of the design, which round, and whether it was calm.

    Parameters
    ----------
    point : int
        Number of the point in the design.
    round : int
        Number of the repetition.
    calm : bool
        Whether nothing else took more of the machine's time than the experiment allows.
    run : LabRun
        What was counted.
    """

    point: int
    round: int
    calm: bool
    run: LabRun


def run_values(run: LabRun) -> dict[str, Any]:
    """The counters of a run as plain values, without its point.

    Parameters
    ----------
    run : LabRun
        The run.

    Returns
    -------
    dict
        Ready for JSON; :func:`read_run` reads it.
    """
    values = {item.name: getattr(run, item.name) for item in fields(run) if item.name != "point"}
    values["consumers"] = [
        {item.name: getattr(consumer, item.name) for item in fields(consumer)}
        for consumer in run.consumers
    ]
    values["cpu"] = {str(core): dict(kinds) for core, kinds in run.cpu.items()}
    values["cores"] = dict(run.cores)
    values["waits"] = None if run.waits is None else run.waits.to_dict()
    return values


def read_run(point: LabPoint, values: Mapping[str, Any]) -> LabRun:
    """A run from what :func:`run_values` returned.

    Parameters
    ----------
    point : LabPoint
        Its point.
    values : mapping
        Its counters.

    Returns
    -------
    LabRun

    Raises
    ------
    LabError, TypeError, KeyError
        If the counters are not those of a run.
    """
    given = dict(values)
    given["consumers"] = tuple(ConsumerCounts(**counts) for counts in given["consumers"])
    given["cpu"] = {int(core): kinds for core, kinds in given["cpu"].items()}
    if given.get("waits") is not None:
        given["waits"] = WaitRecord.from_dict(given["waits"])
    return LabRun(point=point, **given)


class Journal:
    """Runs of one experiment in a file that only grows; without a path, in memory.

    Parameters
    ----------
    path : Path or None
        The file; it is begun, or continued if it holds the same experiment.
    design : sequence of LabPoint
        The points.
    plan : mapping
        What else decides which runs are made (rounds, seed, limits); plain values.

    Raises
    ------
    ValueError
        If the file is damaged, or holds another experiment.
    OSError
        If it cannot be written.
    """

    def __init__(
        self, path: Path | None, design: Sequence[LabPoint], plan: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.design = tuple(design)
        self.repeats: list[Repeat] = []
        head = {
            "journal": FORMAT,
            "plan": dict(plan),
            "design": [point.to_dict() for point in self.design],
        }
        # as the file will hold it: tuples are lists there, and keys are text
        head = json.loads(json.dumps(head))
        if path is None:
            return
        if path.is_file() and path.stat().st_size > 0:
            self._continue(path, head)
        else:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(head) + "\n", encoding="utf-8")

    def add(self, repeat: Repeat) -> None:
        """Write a run down; it is on the disk when this returns.

        Parameters
        ----------
        repeat : Repeat
            The run.
        """
        self.repeats.append(repeat)
        if self.path is None:
            return
        line = json.dumps(
            {"point": repeat.point, "round": repeat.round, "calm": repeat.calm,
             "run": run_values(repeat.run)}
        )  # fmt: skip
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _continue(self, path: Path, head: Mapping[str, Any]) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise damaged_file(path, "file", str(error)) from None
        lines = text.split("\n")
        # what follows the last end of line was being written when the experiment was killed
        complete, torn = lines[:-1], lines[-1]
        if not complete:
            raise damaged_file(path, "line 1", "is incomplete")
        found = self._parsed(path, 1, complete[0])
        if not isinstance(found, dict) or found.get("journal") != FORMAT:
            raise damaged_file(path, "line 1", "is not the head of a journal of the lab")
        for key in ("design", "plan"):
            if found.get(key) != head[key]:
                raise ValueError(
                    f"journal {path} holds another experiment (its {key} differs); "
                    "name another file, or remove this one"
                )
        for number, line in enumerate(complete[1:], start=2):
            self.repeats.append(self._repeat(path, number, self._parsed(path, number, line)))
        if torn:
            with replacing(path) as temporary:
                temporary.write_text("\n".join(complete) + "\n", encoding="utf-8")

    @staticmethod
    def _parsed(path: Path, number: int, line: str) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            raise damaged_file(path, f"line {number}", str(error)) from None

    def _repeat(self, path: Path, number: int, values: Any) -> Repeat:
        try:
            index = int(values["point"])
            run = read_run(self.design[index], values["run"])
            return Repeat(index, int(values["round"]), bool(values["calm"]), run)
        except (KeyError, TypeError, IndexError, ValueError, OSError) as error:
            what = f"is not a run of this experiment ({error})"
            raise damaged_file(path, f"line {number}", what) from None
