"""How large a buffer, or a ring, for a loss that one can live with: the inverse of `predict`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from capmodel.api import predict
from capmodel.assemble import Choices, assemble, buffer_memory
from capmodel.errors import unknown_choice
from capmodel.path import CapturePath
from capmodel.prediction import Prediction
from capmodel.quantities import BufferSize, format_share, format_size, parse_share
from capmodel.results import INTERVAL_LEVEL, STAGES
from capmodel.size_check import SizeCheck, check_size
from capmodel.solvers import SOLVERS, select, solve
from capmodel.solvers._limits import too_small

__all__ = ["RequiredBuffer", "required_buffer"]

MOST_SLOTS = 2**32
_FINE = 16  # steps within an octave, around the least loss where no power of two is enough
_NONE = 1e-12  # share that is not worth a number
_DOUBLINGS = 16  # of a size that a simulation contradicts, before it is given up
_HALVINGS = 7  # within the last of them: to one in a hundred
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
    least : int
        What ring or buffer must hold in any case [slots]: what gathers from one interrupt to the
        next, the backlog of a wakeup. No smaller size is looked at.
    solved : int or None
        Smallest size from there on that is enough by the solver alone [slots].
    check : SizeCheck or None
        What a simulation of the answer lost; None where no size is enough by the solver.
    """

    target: float
    stage: str
    slots: int | None
    prediction: Prediction
    tried: int
    reason: str
    least: int = 1
    solved: int | None = None
    check: SizeCheck | None = None

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
        lost = _some(self.loss)
        if p.machine.samples and high >= _NONE:
            lost += f"  ({100 * INTERVAL_LEVEL:g} %: {_some(low)} to {_some(high)})"
        rows = [("may be lost", format_share(self.target))]
        if self.slots is None:
            return [*rows, (f"{self.stage} needed", "none is enough"), ("least lost", lost),
                    ("limited by", p.bottleneck)]  # fmt: skip
        rows += [(f"{self.stage} needed", f"{self.slots:,} slots"), ("lost with it", lost)]
        if self.memory is not None:
            size = f"{format_size(self.memory)} ({self.memory:,.0f} bytes)"
            each = " for each process" if np.max(p.choices.consumers) > 1 else ""
            rows.insert(2, ("memory", size + each))
        rows += [("type", f"--{self.change}"), ("solver", self._solver_text())]
        return [*rows, *([("checked", self.check.words)] if self.check else [])]

    def _solver_text(self) -> str:
        """Who found the size, and what it is larger for than that solver asks."""
        name = self.prediction.solver.replace("_", " ")
        if self.slots != self.solved:
            return f"{name}: {self.solved:,} slots; larger until the simulation agreed"
        if self.slots == self.least > 1:
            return f"{name}; the least that holds what comes at one interrupt and wakeup"
        return name

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
            "least": self.least, "solved": self.solved,
            "check": self.check.to_dict() if self.check else None,
        }  # fmt: skip

    def __str__(self) -> str:
        p = self.prediction
        width = max(len(label) for label, _ in self.rows())
        lines = [f"  {label:<{width}}  {text}" for label, text in self.rows()]
        head = f"{p.title}\non {p.machine.title}, {p.application.title}"
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
    is that of the answer (``prediction.accuracy``). The search begins at the least size that holds
    what comes at once (`least`: what gathers from one interrupt to the next, the backlog of a
    wakeup); below it no closed form is to be trusted. It is doubled up to 2**32 slots until it is
    enough, then the octave below is halved. Loss need not fall with the buffer (large ones outgrow
    the caches): where no doubling is enough, the octaves beside the one that loses least are
    searched in steps of 1/16. The size found is enough by that solver and one slot less is not, or
    is below `least`; a smaller one, between two doublings that are not, may have been missed.

    That size is then simulated for a million packets, where numba is there, and enlarged until the
    simulation agrees, to one in a hundred (`check` says what it lost). It cannot see losses below
    about 1e-5: a smaller target rests on the solver.

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
    least = sizes.least()
    slots = _smallest(sizes, target, least)
    if slots is None:
        best = sizes.at(sizes.best())
        reason = f"No {stage} is enough: {_reason(best)}."
        return RequiredBuffer(target, stage, None, best, sizes.tried, reason, least)
    found, check = _agreed(sizes, target, slots)
    if found is None:
        reason = (
            f"No {stage} is enough: the {sizes.at(slots).solver.replace('_', ' ')} asks for "
            f"{slots:,} slots, but a simulation loses {format_share(check.loss)} however many "
            "there are."
        )
        return RequiredBuffer(
            target, stage, None, sizes.at(slots), sizes.tried, reason, least, slots, check
        )
    return RequiredBuffer(
        target, stage, found, sizes.at(found), sizes.tried, "", least, slots, check
    )


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


def _quiet(path: CapturePath) -> str | None:
    """The solver that `predict` would ask; the first that takes the path if that one is noisy."""
    chosen = select(path).name
    if chosen not in _NOISY:
        return chosen
    able = (name for name, solver in SOLVERS.items() if solver.accepts(path) is None)
    return next((name for name in able if name not in _NOISY), None)


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
            p, (choices, path) = self._base, self._assembled(slots)
            solution = solve(path, self._solver or _quiet(path))
            if solution.solver in _NOISY:
                raise ValueError(
                    "the size cannot be found by simulation, and no other solver takes this path"
                    if self._solver is None
                    else f"solver must not be {self._solver!r}: its noise hides the size looked "
                    "for; leave it out, a simulation checks the size that is found in any case"
                )
            shown = f"{slots} slots" if self._stage == "buffer" else slots
            own = tuple(text for text in p.warnings if text not in p.solution.notes)
            self._known[slots] = replace(
                p, inputs={**p.inputs, self._stage: shown}, choices=choices, path=path,
                solution=solution, warnings=(*own, *solution.notes),
            )  # fmt: skip
        return self._known[slots]

    def path(self, slots: int) -> CapturePath:
        """The set-up's path with so many slots."""
        return self._assembled(slots)[1]

    def _assembled(self, slots: int) -> tuple[Choices, CapturePath]:
        size: Any = float(slots) if self._stage == "ring" else BufferSize(float(slots), "slots")
        p = self._base
        choices = replace(p.choices, **{self._stage: size})
        return choices, assemble(p.workload, p.application, p.backend, p.machine, choices)

    def least(self) -> int:
        """The smallest size that holds what comes at once; 1 if none does, or the other is short.

        What is wrong with the other stage is not cured by this one's size.
        """
        enough = 1
        while self._short(enough):
            enough *= 2
            if enough > MOST_SLOTS:
                return 1
        below = enough // 2
        while enough - below > 1:
            middle = (below + enough) // 2
            below, enough = (middle, enough) if self._short(middle) else (below, middle)
        return enough

    def _short(self, slots: int) -> bool:
        path = self.path(slots)
        return any(map(too_small, path.alternatives or (path,)))

    def loses(self, slots: int) -> float:
        return self.at(slots).loss

    def best(self) -> int:
        """Of the sizes tried, the smallest of those that lose least."""
        return min(self._known, key=lambda slots: (self._known[slots].loss, slots))


def _agreed(sizes: _Sizes, target: float, slots: int) -> tuple[int | None, SizeCheck]:
    """A size that simulation and solver find enough, from what the solver alone finds on."""
    below, check = slots, check_size(sizes.path(slots), target)
    if check.agrees:
        return slots, check
    for _ in range(_DOUBLINGS):
        below, slots = slots, 2 * slots
        check = check_size(sizes.path(slots), target)
        if check.agrees and sizes.loses(slots) <= target:
            break
    else:
        return None, check
    for _ in range(_HALVINGS):
        middle = (below + slots) // 2
        tried = check_size(sizes.path(middle), target)
        if tried.agrees and sizes.loses(middle) <= target:
            slots, check = middle, tried
        else:
            below = middle
    return slots, check


def _smallest(sizes: _Sizes, target: float, least: int = 1) -> int | None:
    below, slots = least - 1, least
    while sizes.loses(slots) > target:
        below, slots = slots, 2 * slots
        if slots > MOST_SLOTS:
            break
    else:
        return _halved(sizes, target, below, slots)
    best = sizes.best()
    for step in range(-_FINE, _FINE + 1):
        slots = max(round(best * 2.0 ** (step / _FINE)), least)
        if sizes.loses(slots) <= target:
            return _halved(sizes, target, below=max(best // 2, least - 1), enough=slots)
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


def _some(share: float) -> str:
    """A share for people to read; what no capture lives to see is none."""
    return format_share(share if share >= _NONE else 0.0)


def _reason(best: Prediction) -> str:
    ring, buffer = (_some(best.drops[name] / best.offered_rate) for name in ("ring", "buffer"))
    lost = f"{ring} are lost at the card's receive ring and {buffer} at the buffer"
    return f"{_REASONS[best.bottleneck]} (at best {lost})"
