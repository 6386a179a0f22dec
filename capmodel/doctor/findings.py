"""A finding and what its remedies are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capmodel.quantities import format_duration, format_rate, format_share, format_size

SEVERITIES = ("loss", "risk", "advice", "seen")
"""Packets are being lost by it; none yet; none, but there is something to gain; nothing is to be
gained by the model, so it is only said that it was seen."""


@dataclass(frozen=True)
class Price:
    """What a remedy is worth by the model.

    Attributes
    ----------
    now, after : float or None
        Captured share as things are, and with the remedy [-]; None if the model has no answer.
    note : str
        Why it has none, or what was assumed.
    """

    now: float | None
    after: float | None
    note: str = ""

    @property
    def changes_nothing(self) -> bool:
        """Whether the model has an answer, and it reads the same with the remedy."""
        if self.now is None or self.after is None:
            return False
        return format_share(self.now) == format_share(self.after)

    def __str__(self) -> str:
        if self.now is None or self.after is None:
            return f"not priced: {self.note}"
        text = f"captured {format_share(self.now)} now, {format_share(self.after)} after"
        return f"{text} ({self.note})" if self.note else text


@dataclass(frozen=True)
class Remedy:
    """Something to do: its name, the words or the command, its price."""

    id: str
    action: str
    price: Price


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or could be better.

    Attributes
    ----------
    id : str
        The rule that found it.
    severity : {"loss", "risk", "advice", "seen"}
        How bad.
    subject : str
        The interface or the capturing process.
    evidence : mapping of str to number or str
        The numbers that it rests on [SI, shares between 0 and 1].
    explanation : str
        What they mean.
    source : str
        Where the cause is described.
    remedies : tuple of Remedy
        What helps, with prices.
    """

    id: str
    severity: str
    subject: str
    evidence: Mapping[str, Any]
    explanation: str
    source: str
    remedies: tuple[Remedy, ...] = ()


def worded(name: str, value: Any) -> str:
    """A number of the evidence for people to read, by the end of its name.

    Parameters
    ----------
    name : str
        ``..._rate`` counts per second, ``..._share`` is a share, ``..._time`` seconds,
        ``..._memory`` bytes.
    value : object
        The number, or a text, or None.

    Returns
    -------
    str

    Examples
    --------
    >>> worded("wake_rate", 42e3), worded("lost_share", 0.25), worded("lost", 12345)
    ('42 k/s', '25 %', '12,345')
    """
    if value is None:
        return "not seen"
    if isinstance(value, str):
        return value
    ending = name.rpartition("_")[2]
    if ending in _WORDS:
        return _WORDS[ending](float(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


_WORDS = {
    "rate": lambda rate: format_rate(rate).replace("pps", "/s"),
    "share": format_share,
    "time": format_duration,
    "memory": format_size,
}
