"""A size that a solver found, held against a simulation: what it lost, and whether that agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capmodel.path import CapturePath
from capmodel.quantities import format_share
from capmodel.solvers import simulation

__all__ = ["SizeCheck", "check_size"]

_SEEN = 1e-5  # losses below this share are not seen in a million packets
_WIDE = 0.25  # half-width, in parts of the target, from which the share is not known well
_MANY = 100.0  # lost packets that may be expected, from which their number has a useful spread


@dataclass(frozen=True)
class SizeCheck:
    """What a simulation of the size found lost.

    Attributes
    ----------
    target : float
        Share of offered packets that may be lost [-].
    packets : int
        Packets simulated; 0 if none were.
    loss : float
        Share of them lost [-].
    half_width : float
        Half-width of its 95 % confidence interval [-].
    reason : str
        Why nothing was simulated; else empty.
    """

    target: float
    packets: int = 0
    loss: float = 0.0
    half_width: float = 0.0
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the simulation does not contradict the target; true if there was none.

        The share itself counts where it is known well, and where so few may be lost that a
        confidence interval says little; the end of the interval where bursts make it wide.
        """
        many = self.target * self.packets >= _MANY
        wide = self.half_width > _WIDE * self.target
        return self.loss - (self.half_width if many and wide else 0.0) <= self.target

    @property
    def words(self) -> str:
        """What was checked, and what that cannot see."""
        if self.reason:
            return f"not checked: {self.reason}"
        lost = "none"
        if self.loss > 0.0:
            lost = f"{format_share(self.loss)} (+/- {format_share(self.half_width, 2)})"
        text = f"simulation of {self.packets:,} packets lost {lost}"
        if self.half_width > self.target:
            text += "; its noise is larger than what may be lost and it tells little"
        unseen = f" (it cannot see losses below {format_share(_SEEN)})"
        return text + (unseen if self.target < _SEEN else "")

    def to_dict(self) -> dict[str, Any]:
        """The check as plain values, ready for JSON."""
        return {
            "packets": self.packets, "loss": self.loss if self.packets else None,
            "half_width": self.half_width if self.packets else None, "words": self.words,
        }  # fmt: skip


def check_size(path: CapturePath, target: float) -> SizeCheck:
    """Simulate a path, if it can be simulated here, for the share that it loses.

    Parameters
    ----------
    path : CapturePath
        The set-up with the size found.
    target : float
        Share of offered packets that may be lost [-].

    Returns
    -------
    SizeCheck
    """
    reason = simulation.accepts(path)
    if reason is not None:
        return SizeCheck(target, reason=reason)
    loss, half_width, packets = simulation.simulated_loss(path)
    return SizeCheck(target, packets, loss, half_width)
