"""What was observed, as arguments of `predict`: the model's picture of the capture as it is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from capmodel.api import predict
from capmodel.counters.observation import Capture, Observation
from capmodel.doctor.judgements import (
    backend_name,
    capacity,
    consumer_cpu,
    consumer_share,
    kept_waiting,
    memory,
)
from capmodel.doctor.limits import Limits
from capmodel.machine import Machine
from capmodel.prediction import Prediction
from capmodel.quantities import format_duration

_SLEEPING = "pf_packet_sleep"  # the mechanism of a consumer that is away for a fixed time


@dataclass(frozen=True)
class Situation:
    """A capture as the model sees it.

    Attributes
    ----------
    seen : Observation
        What was observed.
    capture : Capture
        Whose capture.
    limits : Limits
        Thresholds.
    machine : Machine
        Whose costs.
    arguments : mapping
        Arguments of `predict` for things as they are.
    notes : tuple of str
        What had to be assumed.
    away : float or None
        How long the consumer is away at a time, if its absence is what loses packets [s].
    own_work : float
        The application's work per packet if it had its core for itself [s]; in `arguments` it is
        longer by what other programs keep it waiting.
    """

    seen: Observation
    capture: Capture
    limits: Limits
    machine: Machine
    arguments: Mapping[str, Any]
    notes: tuple[str, ...]
    away: float | None = None
    own_work: float = 0.0

    def predicted(self, changes: Mapping[str, Any] | None = None) -> Prediction:
        """The prediction with some arguments changed; None takes an argument away."""
        merged = {**self.arguments, **(changes or {})}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a card's wire speed: another card's
            return predict(**{key: value for key, value in merged.items() if value is not None})

    @cached_property
    def prediction(self) -> Prediction:
        """Things as they are."""
        return self.predicted()

    @property
    def slots(self) -> int:
        """Packets that the buffer holds [packets]."""
        return int(capacity(self.seen, self.capture, self.limits))


def situation(
    seen: Observation, capture: Capture, limits: Limits, machine: Machine
) -> Situation | str:
    """The model's picture of a capture, or why there is none.

    Parameters
    ----------
    seen : Observation
        What was observed.
    capture : Capture
        Whose capture.
    limits : Limits
        Thresholds.
    machine : Machine
        Whose costs.

    Returns
    -------
    Situation or str
    """
    if not seen.offered:
        return "no packets arrived"
    if capture.activity is None:
        return "its process was not seen, and with it neither its work nor its core"
    slots = capacity(seen, capture, limits)
    away = _away(seen, capture, limits, slots)
    notes = ["a constant rate"]
    arguments: dict[str, Any] = {
        "rate": seen.rate,
        "size": round(seen.frame_size),
        "machine": machine,
        "backend": backend_name(capture),
        "pinning": _pinning(seen, capture, limits),
        "buffer": f"{slots:.0f} slots",
        "consumers": _consumers(seen),
        "jumbo": True,  # segments that the kernel joined (GRO) may exceed every frame
    }
    if capture.socket.ring and capture.socket.version == 3:
        arguments["buffer"] = f"{memory(capture)} B"
    if seen.after.card_ring:
        arguments["ring"] = seen.after.card_ring.slots
    if away is not None:
        arguments |= {"backend": _SLEEPING, "sleep": away, "buffer": f"{slots:.0f} slots"}
        notes.append(f"a consumer that is away for {format_duration(away)} at a time")
    plain = Situation(seen, capture, limits, machine, arguments, (), away)
    own, work, note = _work(plain)
    arguments["work"] = work
    return replace(plain, arguments=MappingProxyType(arguments), notes=(*notes, note), own_work=own)


def _pinning(seen: Observation, capture: Capture, limits: Limits) -> str:
    cpu = consumer_cpu(capture)
    if cpu is None:
        return "auto"
    return "same" if seen.receive_share(cpu) >= limits["core_share"] else "split"


def _consumers(seen: Observation) -> int:
    """Sockets that each get every packet; those of a fanout group share them."""
    groups = {each.socket.fanout for each in seen.captures if each.socket.fanout is not None}
    alone = sum(each.socket.fanout is None for each in seen.captures)
    return max(1, alone + len(groups))


def _away(seen: Observation, capture: Capture, limits: Limits, slots: float) -> float | None:
    """A consumer that loses, has time to spare and seldom looks: how long it is away [s]."""
    share = consumer_share(seen, capture)
    if not capture.loses or capture.activity is None or share is None:
        return None
    pauses = capture.activity.sleeps
    if share >= limits["core_busy"] or pauses < 1 or seen.received / pauses < slots / 2.0:
        return None
    return seen.seconds * (1.0 - share) / pauses


def _work(found: Situation) -> tuple[float, float, str]:
    """The application's work per packet [s], the same with its waits for the core, and a note.

    Work is the time that the thread used per packet, less what the model charges for reading one.
    In a mapped ring that is its time in user mode, and in system calls otherwise too.
    """
    capture, seen = found.capture, found.seen
    activity = capture.activity
    assert activity is not None  # situation() has looked
    if not capture.loses and activity.sleeps == 0:
        note = "no work of the application's own: it never sleeps, so its time is not all work"
        return 0.0, 0.0, note
    delivered = max(1, seen.received - (capture.drops or 0))
    used = (activity.user if capture.socket.ring else activity.cpu_time) / delivered
    try:
        reading = float(found.predicted({"work": 0.0}).path.consumer.cost)
    except ValueError:
        reading = 0.0  # the prediction itself will say what is missing
    waiting = kept_waiting(seen, capture, found.limits) or 0.0
    share = activity.cpu_time / seen.seconds
    stretch = (share + waiting) / share if share > 0.0 and found.away is None else 1.0
    own, stretched = (max(0.0, used * factor - reading) for factor in (1.0, stretch))
    note = f"{format_duration(own)} of the application's own work per packet"
    if stretched > own * (1.0 + 1e-3):
        note += f" ({format_duration(stretched)} with its waits for the core)"
    return own, stretched, note
