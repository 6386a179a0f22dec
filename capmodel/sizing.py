"""How large a buffer, or a ring, for a loss that one can live with: the inverse of `predict`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from capmodel.api import predict
from capmodel.assemble import assemble, buffer_memory
from capmodel.errors import unknown_choice
from capmodel.prediction import Prediction
from capmodel.quantities import BufferSize, format_share, format_size, parse_share
from capmodel.results import INTERVAL_LEVEL, STAGES
from capmodel.solvers import solve

__all__ = ["RequiredBuffer", "required_buffer"]

MOST_SLOTS = 2**32
_FINE = 16  # steps within an octave, around the least loss where no power of two is enough
_NONE = 1e-12  # share that is not worth a number
_NOISY = ("simulation",)  # solvers that two neighbouring sizes cannot be told apart by


@dataclass(frozen=True)
class RequiredBuffer:
    """The smallest size that is enough, or the reason why none is.

    Attributes
    ----------
    target : float
        Share of offered packets that may be lost [-].
    stage : str
        What was sized: ``buffer`` or ``ring``.
    slots : int or None
        Smallest size found that loses no more [slots]; None where none does.
    prediction : Prediction
        The set-up with that size; where none is enough, with the one that loses least.
    tried : int
        Sizes that were predicted.
    reason : str
        Why no size is enough: one sentence that names the bottleneck; else empty.
    """

    target: float
    stage: str
    slots: int | None
    prediction: Prediction
    tried: int
    reason: str

    @property
    def enough(self) -> bool:
        """Whether there is such a size."""
        return self.slots is not None

    @property
    def loss(self) -> float:
        """Share of offered packets lost with `prediction`'s size, at all stages [-]."""
        return self.prediction.loss

    @property
    def capacity(self) -> float:
        """Packets that `prediction`'s buffer (or ring) holds [-]; whole blocks, if any."""
        path = self.prediction.path
        return float(path.buffer.capacity if self.stage == "buffer" else path.kernel.ring)

    @cached_property
    def memory(self) -> float | None:
        """Memory of that buffer, per process [bytes]; None for a ring, the card's own."""
        p = self.prediction
        if self.stage != "buffer":
            return None
        return float(buffer_memory(p.workload, p.application, p.backend, p.choices))

    @property
    def change(self) -> str:
        """The argument as typed, such as ``buffer '5713 slots'``; empty where none is enough."""
        if self.slots is None:
            return ""
        return f"buffer '{self.slots} slots'" if self.stage == "buffer" else f"ring {self.slots}"

    def rows(self) -> list[tuple[str, str]]:
        """The answer as pairs of label and text."""
        p, (low, high) = self.prediction, self.prediction.interval("loss")
        lost = format_share(self.loss)
        if p.machine.samples:
            lost += f"  ({100 * INTERVAL_LEVEL:g} %: {format_share(low)} to {format_share(high)})"
        rows = [("may be lost", format_share(self.target))]
        if self.slots is None:
            return [*rows, (f"{self.stage} needed", "none is enough"), ("least lost", lost),
                    ("limited by", p.bottleneck)]  # fmt: skip
        rows += [(f"{self.stage} needed", f"{self.slots:,} slots"), ("lost with it", lost)]
        if self.memory is not None:
            size = f"{format_size(self.memory)} ({self.memory:,.0f} bytes)"
            each = " for each process" if np.max(p.choices.consumers) > 1 else ""
            rows.insert(2, ("memory", size + each))
        return [*rows, ("type", f"--{self.change}"), ("solver", p.solver.replace("_", " "))]

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values, ready for JSON."""
        low, high = self.prediction.interval("loss")
        return {
            "target": self.target, "stage": self.stage, "enough": self.enough,
            "slots": self.slots, "capacity": self.capacity if self.enough else None,
            "memory": self.memory if self.enough else None, "loss": self.loss,
            "loss_interval": {"level": INTERVAL_LEVEL, "low": low, "high": high},
            "drops": self.prediction.drops, "bottleneck": self.prediction.bottleneck,
            "reason": self.reason, "solver": self.prediction.solver,
            "accuracy": self.prediction.accuracy, "tried": self.tried,
        }  # fmt: skip

    def __str__(self) -> str:
        p = self.prediction
        width = max(len(label) for label, _ in self.rows())
        lines = [f"  {label:<{width}}  {text}" for label, text in self.rows()]
        head = f"{p.backend.title}\non {p.machine.title}, {p.application.title}"
        return "\n".join([head, *lines])


def required_buffer(
    rate: float | str, loss: float | str, *, stage: str = "buffer", **arguments: Any
) -> RequiredBuffer:
    """The smallest buffer (or ring) with which a set-up loses no more than a given share.

    Parameters
    ----------
    rate : float or str
        Offered packets per second [1/s], as for :func:`capmodel.predict`.
    loss : float or str
        Share of offered packets that may be lost, at all stages together [-]; between 0 and 1,
        both excluded.
    stage : {"buffer", "ring"}
        What is to be sized.
    **arguments
        All others of :func:`capmodel.predict` but the one that is asked for. Without `duration`
        the run is endless: what a run of some length holds at its end does not count.

    Returns
    -------
    RequiredBuffer
        Slots, memory [bytes], the prediction with them; or a `reason` that names the bottleneck,
        where no size is enough.

    Raises
    ------
    ValueError, TypeError
        As :func:`capmodel.predict`; if the loss is out of range or the size itself is given; if
        only simulation could tell.

    Notes
    -----
    Every size is solved by the solver that :func:`capmodel.predict` would use for it, and its error
    is that of the answer (``prediction.accuracy``). Powers of two are tried from 1 slot to 2**32
    until one is enough, then the octave below it is halved. Loss need not fall with the buffer
    (large ones outgrow the caches): where no power of two is enough, the octaves beside the one
    that loses least are searched in steps of 1/16. The size found is enough and one slot less is
    not; a smaller one, between two powers of two that are not, may have been missed.

    For bursts of exponential length that only the consumer cannot follow this is the inverse of
    :func:`capmodel.formulary.loss_on_off_fluid`, :func:`capmodel.formulary.buffer_for_loss_on_off`.

    Examples
    --------
    >>> found = required_buffer("200kpps", 1e-6, arrivals="bursts(on=1ms,off=4ms)", work="1us")
    >>> found.enough, found.loss <= 1e-6, found.memory == 128 * found.slots
    (True, True, True)
    >>> required_buffer("1.27Mpps", 1e-6).prediction.bottleneck  # whatever the buffer
    'kernel'
    """
    target = parse_share(loss, name="loss")
    if not 0.0 < target < 1.0:
        raise ValueError(f"loss must lie between 0 and 1, both excluded, got {loss!r}")
    if stage not in STAGES:
        raise unknown_choice("stage", stage, STAGES)
    if arguments.get(stage) is not None:
        raise ValueError(f"{stage} is what is asked for, and cannot be given: {arguments[stage]!r}")
    sizes = _Sizes(_base(rate, stage, arguments), stage, arguments.get("solver"))
    slots = _smallest(sizes, target)
    if slots is None:
        best = sizes.at(sizes.best())
        reason = f"No {stage} is enough: {_reason(best)}."
        return RequiredBuffer(target, stage, None, best, sizes.tried, reason)
    return RequiredBuffer(target, stage, slots, sizes.at(slots), sizes.tried, "")


def _base(rate: float | str, stage: str, arguments: dict[str, Any]) -> Prediction:
    """The set-up with its usual size; an endless run, unless a length is given."""
    given = {name: value for name, value in arguments.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the prediction holds them all
        # a size of its own tells whether the backend has one at all
        usual = predict(rate, **{**given, stage: 64 if stage == "ring" else "64 slots"})
    if "duration" in given:
        return usual
    endless = replace(usual.workload, duration=np.inf)
    return replace(usual, workload=endless, inputs={**usual.inputs, "duration": None})


class _Sizes:
    """Predictions by size, each made once."""

    def __init__(self, base: Prediction, stage: str, solver: str | None) -> None:
        self._base, self._stage, self._solver = base, stage, solver
        self._known: dict[int, Prediction] = {}

    @property
    def tried(self) -> int:
        return len(self._known)

    def at(self, slots: int) -> Prediction:
        """The set-up with so many slots."""
        if slots not in self._known:
            size: Any = float(slots) if self._stage == "ring" else BufferSize(float(slots), "slots")
            p = self._base
            choices = replace(p.choices, **{self._stage: size})
            path = assemble(p.workload, p.application, p.backend, p.machine, choices)
            solution = solve(path, self._solver)
            if solution.solver in _NOISY:
                raise ValueError(
                    "the size cannot be found by simulation, and no other solver takes this path"
                    if self._solver is None
                    else f"solver must not be {self._solver!r}: its noise hides the size looked for"
                )
            shown = f"{slots} slots" if self._stage == "buffer" else slots
            own = tuple(text for text in p.warnings if text not in p.solution.notes)
            self._known[slots] = replace(
                p, inputs={**p.inputs, self._stage: shown}, choices=choices, path=path,
                solution=solution, warnings=(*own, *solution.notes),
            )  # fmt: skip
        return self._known[slots]

    def loses(self, slots: int) -> float:
        return self.at(slots).loss

    def best(self) -> int:
        """Of the sizes tried, the smallest of those that lose least."""
        return min(self._known, key=lambda slots: (self._known[slots].loss, slots))


def _smallest(sizes: _Sizes, target: float) -> int | None:
    below, slots = 0, 1
    while sizes.loses(slots) > target:
        below, slots = slots, 2 * slots
        if slots > MOST_SLOTS:
            break
    else:
        return _halved(sizes, target, below, slots)
    least = sizes.best()
    for step in range(-_FINE, _FINE + 1):
        slots = max(round(least * 2.0 ** (step / _FINE)), 1)
        if sizes.loses(slots) <= target:
            return _halved(sizes, target, below=max(least // 2, 1), enough=slots)
    return None


def _halved(sizes: _Sizes, target: float, below: int, enough: int) -> int:
    """The smallest size between one that is not enough and one that is."""
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if sizes.loses(middle) <= target else (middle, enough)
    return enough


_REASONS = {
    "kernel": "the kernel's core is the bottleneck",
    "consumer": "the consumer is the bottleneck, and a larger buffer only postpones the loss",
    "shared core": "the one core of kernel and consumer is the bottleneck",
    "card": "the card is the bottleneck, its bus or how seldom the driver looks at it",
    "buffer": "the consumer's time away is the bottleneck",
    "unsaturated": "no core is saturated, and losses are rare, but not as rare",
}


def _reason(best: Prediction) -> str:
    shares = (best.drops[name] / best.offered_rate for name in ("ring", "buffer"))
    ring, buffer = (format_share(share if share >= _NONE else 0.0) for share in shares)
    lost = f"{ring} are lost at the card's receive ring and {buffer} at the buffer"
    return f"{_REASONS[best.bottleneck]} (at best {lost})"
