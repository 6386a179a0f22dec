r"""What a packet pays, and how long it waits, that finds the consumer in its wait call.

A packet that comes :math:`\tau` after the call was entered meets a consumer that has not gone to
sleep yet, a core that is being left, one that looks for work, or one that has halted: each state
has costs of its own, and where one gives way to the next they mix. Instead of a state each, the
table holds what was measured: for every interval of :math:`\tau` a few equally probable pairs of
signal cost and latency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.catalogue import expect
from capmodel.constant import toml_value
from capmodel.errors import damaged_file
from capmodel.formulary._typing import Array

_KEYS: dict[str, type | tuple[type, ...]] = {
    "since": list, "unit": str, "cost": list, "latency": list, "slept": list, "origin": str,
    "source": str, "locator": str,
}  # fmt: skip
_MICRO = 1e-6

Row = tuple[float, ...]


@dataclass(frozen=True)
class WakeupLaw:
    """Signal cost and latency by the time since the wait call was entered.

    Parameters
    ----------
    since : tuple of float
        Where the intervals begin [s]; the first at 0, ascending, the last without an end.
    cost : tuple of tuple of float
        For every interval equally probable costs of the signal, in multiples of its mean where the
        consumer slept, which is the path's `cost` [-].
    latency : tuple of tuple of float
        And the time from the end of the signal until the consumer runs that goes with each, in
        multiples of the path's `latency` [-].
    slept : tuple of tuple of float
        Whether the consumer had gone to sleep: 1, or 0 where the call returned at once.

    Raises
    ------
    ValueError
        If the intervals do not ascend from 0, or a row is empty, uneven or negative.

    Examples
    --------
    >>> law = WakeupLaw((0.0, 1.0), ((0.1,), (2.0,)), ((0.0,), (5.0,)), ((0.0,), (1.0,)))
    >>> law.mean(2.0)
    (1.05, 2.5)
    """

    since: Row
    cost: tuple[Row, ...]
    latency: tuple[Row, ...]
    slept: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.since or self.since[0] != 0.0 or list(self.since) != sorted(set(self.since)):
            raise ValueError(f"since must ascend from 0, got {list(self.since)!r}")
        width = len(self.cost[0]) if self.cost else 0
        for name in ("cost", "latency", "slept"):
            rows = getattr(self, name)
            if len(rows) != len(self.since):
                raise ValueError(
                    f"{name} must have a row for each of the {len(self.since)} intervals, "
                    f"got {len(rows)}"
                )
            for row in rows:
                good = all(math.isfinite(value) and value >= 0.0 for value in row)
                if not row or len(row) != width or not good:
                    raise ValueError(
                        f"a row of {name} must hold {max(width, 1)} finite numbers that are not "
                        f"negative, got {list(row)!r}"
                    )
        if any(value not in (0.0, 1.0) for row in self.slept for value in row):
            raise ValueError("slept must be 0 or 1 everywhere")

    def mean(self, gap: Any) -> tuple[Any, Any]:
        """Mean multiples of cost and latency where every moment up to `gap` is as probable.

        Parameters
        ----------
        gap : array_like
            Longest time since the call was entered [s]; 0 gives the first interval's means.

        Returns
        -------
        tuple
            Mean multiple of the cost and of the latency [-], floats for a scalar `gap`.
        """
        end = np.maximum(np.asarray(gap, dtype=np.float64), 1e-30)[..., None]
        begin = np.asarray(self.since)
        ends = np.append(begin[1:], np.inf)
        inside: Array = np.maximum(np.minimum(ends, end) - begin, 0.0) / end
        found = [(inside * np.mean(rows, axis=1)).sum(-1) for rows in (self.cost, self.latency)]
        return (float(found[0]), float(found[1])) if np.ndim(gap) == 0 else (found[0], found[1])

    def to_toml(self, source: str, locator: str) -> str:
        """The table of a machine file.

        Parameters
        ----------
        source, locator : str
            Where the numbers come from.

        Returns
        -------
        str
        """
        begin = ", ".join(f"{value / _MICRO:.6g}" for value in self.since)
        lines = [
            "# cost and latency in multiples of the costs wakeup and wakeup_latency",
            "[wakeup_law]", f"since = [{begin}]", 'unit = "us"',
        ]  # fmt: skip
        for name in ("cost", "latency", "slept"):
            rows = ",\n".join(
                "    [" + ", ".join(f"{value:.4g}" for value in row) + "]"
                for row in getattr(self, name)
            )
            lines.append(f"{name} = [\n{rows},\n]")
        said = {"origin": "measured", "source": source, "locator": locator}
        lines += [f"{key} = {toml_value(text)}" for key, text in said.items()]
        return "\n".join(lines)


def read_law(raw: Mapping[str, Any], path: Path) -> WakeupLaw:
    """The law of a machine file.

    Parameters
    ----------
    raw : mapping
        The table ``wakeup_law``.
    path : Path
        The file, for messages.

    Returns
    -------
    WakeupLaw

    Raises
    ------
    ValueError
        If the table is damaged; the message names file and key.
    """
    expect(raw, _KEYS, path, "wakeup_law")
    for key in _KEYS:
        if key not in raw:
            raise damaged_file(path, f"wakeup_law.{key}", "missing")
    if raw["unit"] != "us":
        raise damaged_file(path, "wakeup_law.unit", f"must be 'us', got {raw['unit']!r}")
    try:
        return WakeupLaw(
            tuple(float(f"{float(value) * _MICRO:.12g}") for value in raw["since"]),
            *(_rows(raw[name]) for name in ("cost", "latency", "slept")),
        )
    except (ValueError, TypeError) as error:
        raise damaged_file(path, "wakeup_law", str(error)) from None


def _rows(raw: Sequence[Sequence[Any]]) -> tuple[Row, ...]:
    return tuple(tuple(float(value) for value in row) for row in raw)
