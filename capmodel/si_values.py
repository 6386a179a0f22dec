"""Arguments of `predict` as plain values for a file: quantities in the SI, all else by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from capmodel.application import own_work
from capmodel.quantities import (
    parse_buffer,
    parse_count,
    parse_duration,
    parse_size,
    parse_slots,
)
from capmodel.sweep_result import label
from capmodel.workload import Workload


def _rate(value: Any, size: Any) -> float:
    return float(Workload.from_user(value, size, jumbo=True).rate)


def _size(value: Any) -> Any:
    try:
        return int(parse_size(value, jumbo=True))
    except (TypeError, ValueError):
        name = label(value)  # a mixture has a name only
        return name.casefold() if isinstance(value, str) else name


def _work(value: Any) -> Any:
    own = own_work(value)
    packet, byte = float(own.packet), float(own.byte)
    return f"{packet:.12g}+{byte:.12g}" if byte else packet


def _buffer(value: Any) -> str:
    # bytes and slots are both usual: the unit stays
    size = parse_buffer(value)
    return f"{size.amount:.0f} {'B' if size.unit == 'bytes' else 'slots'}"


_SI: Mapping[str, Callable[[Any], Any]] = {
    "size": _size,
    "work": _work,
    "buffer": _buffer,
    "consumers": partial(parse_count, name="consumers"),
    **{name: partial(parse_slots, name=name) for name in ("ring", "threshold")},
    **{name: partial(parse_duration, name=name) for name in ("duration", "timeout", "sleep")},
}


def si_values(arguments: Mapping[str, Any], size: Any = 64) -> dict[str, Any]:
    """Arguments as numbers in the SI where they are quantities, as names where they are not.

    Parameters
    ----------
    arguments : mapping
        Of `predict`, as a user gave them; each valid.
    size : object
        Frame size that a wire rate among them counts by; None if it has no single one, whereupon
        such a rate stays as it was written.

    Returns
    -------
    dict
        Rates [1/s], times [s], sizes [B] and counts [-] as numbers. A work with a part per byte is
        the text of both numbers [s, s/B]; a buffer keeps its unit, ``B`` or ``slots``.

    Examples
    --------
    >>> si_values({"rate": "1Gbit/s", "size": "64B", "work": "200ns", "buffer": "2MiB"})
    {'rate': 1488095.238095238, 'size': 64, 'work': 2e-07, 'buffer': '2097152 B'}
    >>> si_values({"rate": "1Mpps", "backend": "bpf", "work": ("200ns", "5ns")}, size=None)
    {'rate': 1000000.0, 'backend': 'bpf', 'work': '2e-07+5e-09'}
    """
    return {name: _si_value(name, value, size) for name, value in arguments.items()}


def _si_value(name: str, value: Any, size: Any) -> Any:
    if value is None:
        return None
    if name != "rate":
        return _SI.get(name, label)(value)
    if size is None and isinstance(value, str) and value.rstrip().endswith(("bit/s", "bps")):
        return value
    return _rate(value, 64 if size is None else size)
