"""Set-ups that differ in one thing and capture more: what to type, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from capmodel.application import DEFAULT_APPLICATION, load_application, own_work
from capmodel.assemble import assemble
from capmodel.backend import load_backend
from capmodel.quantities import format_duration
from capmodel.solvers import solve

if TYPE_CHECKING:
    from capmodel.assemble import Choices
    from capmodel.prediction import Prediction

NOTICEABLE = 5e-3  # of captured share: less is no remedy [-]
_KNOBS = ("ring", "buffer", "threshold", "timeout", "sleep")
_WAITING = ("threshold", "timeout", "sleep")


@dataclass(frozen=True)
class Remedy:
    """One change of the arguments of :func:`capmodel.predict`, and what it captures.

    Attributes
    ----------
    arguments : mapping
        Arguments with their new values; None for one that must be left out.
    words : str
        What the change is.
    prediction : Prediction
        The set-up with the change.
    """

    arguments: Mapping[str, Any]
    words: str
    prediction: Prediction

    @property
    def captured(self) -> float:
        """Share of offered packets that it captures [-]."""
        return self.prediction.captured

    def interval(self) -> tuple[float, float]:
        """90 % interval of that share under the machine's uncertainty [-]."""
        return self.prediction.interval()

    @property
    def change(self) -> str:
        """The arguments as typed, such as ``backend pf_ring, no buffer``."""
        return ", ".join(
            f"no {name}" if value is None else f"{name} {value}"
            for name, value in self.arguments.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        low, high = self.interval()
        return {
            "arguments": dict(self.arguments), "words": self.words, "captured": self.captured,
            "captured_interval": {"low": low, "high": high},
        }  # fmt: skip


def remedies(prediction: Prediction) -> tuple[Remedy, ...]:
    """Changes that capture noticeably more, each alone, the best first.

    Parameters
    ----------
    prediction : Prediction
        The set-up as it is.

    Returns
    -------
    tuple of Remedy
        Those that raise the captured share by more than half a point.

    Examples
    --------
    >>> from capmodel import predict
    >>> best = remedies(predict(1.27e6, backend="pf_packet"))[0]
    >>> best.change, round(best.captured, 3)
    ('backend tnapi_pf_ring', 1.0)
    """
    found = [each for each in variants(prediction)
             if each.captured > prediction.captured + NOTICEABLE]  # fmt: skip
    return tuple(sorted(found, key=lambda each: -each.captured))


def variants(prediction: Prediction) -> Iterator[Remedy]:
    """Every change that is looked at and that the machine has numbers for.

    Parameters
    ----------
    prediction : Prediction
        The set-up as it is.

    Yields
    ------
    Remedy
        Whether it captures more or not.
    """
    for arguments, words in (*_places(prediction), *_more_work(prediction), *_others(prediction)):
        try:
            yield Remedy(*_applied(prediction, arguments), words, _changed(prediction, arguments))
        except ValueError:
            continue  # this machine has no numbers for that variant


_Change = tuple[dict[str, Any], str]
_PLACES = {"same": "kernel and consumer on one core", "split": "kernel and consumer on two cores"}
_BACKENDS = {
    "pf_ring": "PF_RING",
    "tnapi_pf_ring": "PF_RING on TNAPI drivers",
    "tpacket_v3": "blocks of TPACKET_V3",
    "af_xdp": "AF_XDP with poll()",
    "af_xdp_busy": "AF_XDP, looking all the time",
}
_LATER = "pf_packet_modified"


def _places(p: Prediction) -> Iterator[_Change]:
    if p.machine.cores > 1:
        for place, words in _PLACES.items():
            if place != p.path.cores.pinning:
                yield {"pinning": place}, words


def _more_work(p: Prediction) -> Iterator[_Change]:
    """As much work as makes the consumer no quicker than the kernel, so that it never sleeps."""
    if p.path.wakeup.policy != "poll" or p.path.buffer.kind != "slots" or p.bottleneck != "kernel":
        return
    kernel, consumer = float(p.path.kernel.cost), float(p.path.consumer.cost)
    if kernel > consumer:
        reading = _read_cost(p)
        own = _rounded_up(kernel - reading)
        extra = own - (consumer - reading)
        text = format_duration(own).replace(" ", "")
        yield {"work": text}, f"{format_duration(extra)} more work per packet"


def _others(p: Prediction) -> Iterator[_Change]:
    if p.path.wakeup.policy == "poll" and p.path.buffer.kind == "slots":
        waiting = load_backend(_LATER).waiting
        after = format_duration(float(waiting.timeout or 0.0))
        yield {"backend": _LATER}, f"signals after {waiting.threshold:g} packets or {after}"
    yield from (({"backend": name}, words) for name, words in _BACKENDS.items())


def _rounded_up(value: float) -> float:
    """To three digits, as it is printed; never less."""
    step = 10.0 ** (floor(log10(value)) - 2)
    return float(f"{ceil(value / step - 1e-9) * step:.3g}")


def _read_cost(p: Prediction) -> float:
    """What the backend itself charges the consumer per packet [s]."""
    nothing = own_work(0.0, p.application.snaplen)
    return float(assemble(p.workload, nothing, p.backend, p.machine, p.choices).consumer.cost)


def _applied(p: Prediction, arguments: dict[str, Any]) -> tuple[dict[str, Any]]:
    """The change with the arguments that have to go for it."""
    if "backend" not in arguments:
        return (arguments,)
    given, kept = p.choices, _choices(p, arguments)
    gone = [name for name in _KNOBS if getattr(given, name) is not None]
    return ({**arguments, **{name: None for name in gone if getattr(kept, name) is None}},)


def _choices(p: Prediction, arguments: Mapping[str, Any]) -> Choices:
    changes: dict[str, Any] = {}
    if "pinning" in arguments:
        changes["pinning"] = arguments["pinning"]
    if "backend" in arguments:
        knobs = load_backend(arguments["backend"]).knobs
        # another mechanism waits by settings of its own
        changes = {name: None for name in _KNOBS if name not in knobs or name in _WAITING}
    return replace(p.choices, **changes)


def _changed(p: Prediction, arguments: Mapping[str, Any]) -> Prediction:
    """The prediction with the change."""
    if arguments.get("backend") == p.backend.name:
        raise ValueError("that is what there is")
    backend = load_backend(arguments["backend"]) if "backend" in arguments else p.backend
    application = p.application
    if "work" in arguments:
        application = own_work(arguments["work"], load_application(DEFAULT_APPLICATION).snaplen)
    choices = _choices(p, arguments)
    path = assemble(p.workload, application, backend, p.machine, choices)
    return replace(
        p, inputs={**p.inputs, **arguments}, application=application, backend=backend,
        choices=choices, path=path, solution=solve(path), warnings=(),
    )  # fmt: skip
