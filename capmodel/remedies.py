"""Set-ups that differ in one thing and capture more: what to type, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, log2, log10
from typing import TYPE_CHECKING, Any

from capmodel.application import DEFAULT_APPLICATION, load_application, own_work
from capmodel.assemble import assemble
from capmodel.backend import load_backend
from capmodel.quantities import format_duration
from capmodel.solvers import SOLVERS, solve

if TYPE_CHECKING:
    from capmodel.assemble import Choices
    from capmodel.path import CapturePath
    from capmodel.prediction import Prediction
    from capmodel.results import Solution

NOTICEABLE = 5e-3  # of captured share: less is no remedy [-]
_SAME = 1e-4  # of a share lost: more than a simulation's noise, less than one cares for [-]
_MOST_RING = 4096  # descriptors that cards have at best [slots]
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
    before : float
        Share of offered packets that the set-up as it is captures by the same solver [-].
    """

    arguments: Mapping[str, Any]
    words: str
    prediction: Prediction
    before: float

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
            "captured_interval": {"low": low, "high": high}, "solver": self.prediction.solver,
            "captured_before": self.before,
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

    Notes
    -----
    If a solver was named, they are priced by it where it accepts them; else by the one that
    :func:`capmodel.predict` would choose. Each is compared with what the same solver says of the
    set-up as it is.

    Examples
    --------
    >>> from capmodel import predict
    >>> best = remedies(predict(1.27e6, backend="pf_packet"))[0]
    >>> best.change, round(best.captured, 3)
    ('backend tnapi_pf_ring', 1.0)
    """
    found = [each for each in variants(prediction)
             if each.captured > each.before + NOTICEABLE]  # fmt: skip
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
    before = {prediction.solver: prediction.captured}
    for changes in (_places, _more_work, _own_driver, _larger_ring, _others):
        for arguments, words in changes(prediction):
            try:
                changed = _changed(prediction, arguments)
            except ValueError:
                continue  # this machine has no numbers for that variant
            if changed.solver not in before:
                before[changed.solver] = _captured(prediction, changed.solver)
            given = _applied(prediction, arguments)
            yield Remedy(given, words, changed, before[changed.solver])


def _captured(p: Prediction, solver: str) -> float:
    """What another solver says of the set-up as it is, if it accepts that."""
    accepted = SOLVERS[solver].accepts(p.path) is None
    return float(solve(p.path, solver).captured) if accepted else p.captured


def _solved(p: Prediction, path: CapturePath) -> Solution:
    """By the solver that was named, where it accepts the path; else by the usual one."""
    named = p.inputs.get("solver")
    return solve(path, named if named and SOLVERS[named].accepts(path) is None else None)


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


def _own_driver(p: Prediction) -> Iterator[_Change]:
    if p.choices.driver not in (None, p.backend.driver):
        yield {"driver": p.backend.driver}, "the driver mode that the backend comes with"


def _larger_ring(p: Prediction) -> Iterator[_Change]:
    """The smallest power of two with which no more is lost than with the best of them, nearly."""
    if "ring" not in p.backend.knobs or not p.drops["ring"] > p.drops["buffer"]:
        return
    size = 2.0 ** (floor(log2(float(p.path.kernel.ring))) + 1)
    found: dict[int, float] = {}
    while size <= _MOST_RING:
        found[int(size)] = _changed(p, {"ring": int(size)}).loss
        size *= 2.0
    if found:
        least = min(found.values())
        ring = next(ring for ring in found if found[ring] <= least + _SAME)
        yield {"ring": ring}, "more packets fit between two looks at the card"


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


def _applied(p: Prediction, arguments: dict[str, Any]) -> dict[str, Any]:
    """The change with the arguments that have to go for it."""
    if "backend" not in arguments:
        return arguments
    given, kept = p.choices, _choices(p, arguments)
    gone = [name for name in _KNOBS if getattr(given, name) is not None]
    return {**arguments, **{name: None for name in gone if getattr(kept, name) is None}}


def _choices(p: Prediction, arguments: Mapping[str, Any]) -> Choices:
    changes = {name: arguments[name] for name in ("pinning", "driver") if name in arguments}
    if "ring" in arguments:
        changes["ring"] = float(arguments["ring"])
    if "backend" in arguments:
        knobs = load_backend(arguments["backend"]).knobs
        # another mechanism waits by settings of its own
        changes |= {name: None for name in _KNOBS if name not in knobs or name in _WAITING}
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
        choices=choices, path=path, solution=_solved(p, path), warnings=(),
    )  # fmt: skip
