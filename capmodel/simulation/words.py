"""What a simulation found, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capmodel.quantities import format_duration, format_rate, format_share

_ANY = float("inf")


def _per_second(rate: float) -> str:
    return format_rate(rate).replace("pps", "/s")


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 100.0 else f"{number:.3g}"


# quantity -> (words, how it is written, the most it can be)
_ROWS: Mapping[str, tuple[str, Callable[[float], str], float]] = {
    "offered_rate": ("offered", format_rate, _ANY),
    "captured": ("captured", format_share, 1.0),
    "carried_rate": ("carried", format_rate, _ANY),
    "ring_drops": ("dropped at the ring", format_rate, _ANY),
    "buffer_drops": ("dropped at the buffer", format_rate, _ANY),
    "wakeup_rate": ("wakeups", _per_second, _ANY),
    "poll_rate": ("wait calls", _per_second, _ANY),
    "sojourn_time": ("sojourn time", format_duration, _ANY),
    "buffer_occupancy": ("packets in the buffer", _count, _ANY),
}


def summary(mean: Mapping[str, float], half_width: Mapping[str, float]) -> list[tuple[str, str]]:
    """The main quantities as pairs of label and text, with their 95 % confidence intervals.

    Parameters
    ----------
    mean, half_width : mapping
        By quantity.

    Returns
    -------
    list of tuple

    Examples
    --------
    >>> summary({"captured": 0.95, "sojourn_time": 2e-5}, {"captured": 0.06, "sojourn_time": 0.0})
    [('captured', '95 %  (95 %: 89 % to 100 %)'), ('sojourn time', '20 us')]
    """
    return [
        (words, _interval(mean[name], half_width[name], write, most))
        for name, (words, write, most) in _ROWS.items()
        if name in mean
    ]


def _interval(mean: float, half_width: float, write: Callable[[float], str], most: float) -> str:
    low, high = write(max(mean - half_width, 0.0)), write(min(mean + half_width, most))
    # replications that differ in the last digits of a sum do not differ
    return write(mean) if low == high else f"{write(mean)}  (95 %: {low} to {high})"
