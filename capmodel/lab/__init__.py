"""Live captures through this machine's own kernel, in a network namespace of their own.

A sender that keeps the arrival clock plays the card, real sockets receive, and every packet is
accounted for. Needs Linux and the extra ``lab``; importing it does not.
"""

from capmodel.lab.namespace import Namespace
from capmodel.lab.outcome import ConsumerCounts, LabError, LabRun
from capmodel.lab.point import LabPoint, Trace
from capmodel.lab.receivers import RECEIVERS
from capmodel.lab.run import run_point

__all__ = [
    "RECEIVERS",
    "ConsumerCounts",
    "LabError",
    "LabPoint",
    "LabRun",
    "Namespace",
    "Trace",
    "run_point",
]
