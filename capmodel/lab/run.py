"""One point of the lab, run on this machine's kernel."""

from __future__ import annotations

from capmodel.lab.namespace import Namespace
from capmodel.lab.outcome import ConsumerCounts, LabError, LabRun
from capmodel.lab.point import LabPoint
from capmodel.lab.records import WaitRecord

__all__ = ["ConsumerCounts", "LabError", "LabPoint", "LabRun", "run_point"]


def run_point(point: LabPoint, namespace: Namespace | None = None) -> LabRun:
    """Send and capture packets through this machine's kernel, and count them.

    Parameters
    ----------
    point : LabPoint
        What to send, what receives it, and where both run.
    namespace : Namespace, optional
        Where to do it; one is kept open over many points to save half a second on each. Default:
        one for this run alone.

    Returns
    -------
    LabRun
        Its packets add up exactly.

    Raises
    ------
    LabError
        If this machine cannot do it (the message says what to do), or the run went wrong: a
        receiver that died, hung or was stopped, packets that do not add up. The error carries the
        counters so far.

    Notes
    -----
    A run takes its duration, the time to drain the buffer, and some tens of milliseconds.
    """
    if namespace is None:
        with Namespace() as own:
            return run_point(point, own)
    found = namespace.request("run", point=point.to_dict())
    found["consumers"] = tuple(ConsumerCounts(**counts) for counts in found["consumers"])
    found["cpu"] = {int(core): kinds for core, kinds in found["cpu"].items()}
    if found.get("waits") is not None:
        found["waits"] = WaitRecord.from_dict(found["waits"])
    return LabRun(point=point, **found)
