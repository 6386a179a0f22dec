"""What recorded traffic is like: rate, sizes, bursts at every time scale, a process fitted to it.

Variability depends on how long one looks: packets of a constant rate within bursts are regular over
microseconds and wild over milliseconds. The index of dispersion for counts (variance over mean of
the packets in a window) is therefore given over windows from a few packets to a twentieth of the
recording, and the modulated Poisson process follows it as far as two phases can.

Source: R. Gusella, IEEE Journal on Selected Areas in Communications 9(2), 1991 (``gusella1991``:
indexes of dispersion of measured traffic); H. Heffes, D. M. Lucantoni, IEEE Journal on Selected
Areas in Communications 4(6), 1986 (``heffes1986``: fit to counts).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_counts import (
    fit_dispersion,
    least_skewness,
    mmpp2_of_counts,
    skewness_of,
)
from capmodel.pcap import Floats, Trace, interarrival_times, read_trace
from capmodel.quantities import (
    LARGEST_FRAME,
    format_duration,
    format_rate,
    format_share,
    format_size,
)
from capmodel.tables import text_table

__all__ = [
    "LEAST_PACKETS",
    "PEAK_WINDOWS",
    "Peak",
    "Scale",
    "Trace",
    "TrafficSummary",
    "interarrival_times",
    "mmpp_text",
    "read_trace",
    "summarise",
]

LEAST_PACKETS = 100
LEAST_WINDOWS = 20  # fewer do not tell a variance
PEAK_WINDOWS = (1e-3, 1e-2, 1e-1, 1.0)
QUANTILES = (0.5, 0.9, 0.99, 0.999)
_SURE = 3.0  # standard errors by which a dispersion must exceed 1 to be a burst's
_REGULAR = 0.5  # an index of dispersion below it is nearer to a clock than to chance


@dataclass(frozen=True)
class Scale:
    """How variable the traffic is in windows of one length.

    Attributes
    ----------
    window : float
        Length of the windows [s].
    windows : int
        How many fit into the recording [-].
    dispersion : float
        Variance over mean of the packets in a window [-]; 1 for Poisson arrivals.
    fitted : float or None
        That of the fitted process.
    """

    window: float
    windows: int
    dispersion: float
    fitted: float | None = None


@dataclass(frozen=True)
class Peak:
    """Rates over windows of one length.

    Attributes
    ----------
    window : float
        Length of the windows [s].
    most : float
        Greatest rate in any window, wherever it begins [1/s].
    quantiles : tuple of pair
        Quantile [-] and rate [1/s] of successive windows.
    """

    window: float
    most: float
    quantiles: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TrafficSummary:
    """The statistics of a trace that decide what a capture set-up loses of it.

    Attributes
    ----------
    name : str
        The file.
    packets : int
        How many.
    duration : float
        From the first to the last [s].
    rate : float
        Packets per second [1/s]: packets less one, over the duration.
    sizes : tuple of pair
        Frame sizes [B], checksum included, and their shares of packets [-].
    scv : float
        Squared coefficient of variation of the times between packets [-].
    correlation : float
        Their lag-1 autocorrelation [-].
    scales : tuple of Scale
        Dispersion of counts from short windows to long ones.
    peaks : tuple of Peak
        Rates over the windows by which buffers are sized.
    arrivals : str or MAP
        What `predict` takes: ``"cbr"``, ``"poisson"``, or the fitted process.
    notes : tuple of str
        What the reader should know.
    """

    name: str
    packets: int
    duration: float
    rate: float
    sizes: tuple[tuple[float, float], ...]
    scv: float
    correlation: float
    scales: tuple[Scale, ...]
    peaks: tuple[Peak, ...]
    arrivals: str | MAP
    notes: tuple[str, ...] = ()

    @property
    def mean_size(self) -> float:
        """Mean frame size [B]."""
        return math.fsum(size * share for size, share in self.sizes)

    @property
    def mmpp(self) -> MAP | None:
        """The fitted process; None if the traffic comes in no bursts."""
        return self.arrivals if isinstance(self.arrivals, MAP) else None

    def as_arguments(self, **changes: Any) -> dict[str, Any]:
        """Arguments of :func:`capmodel.predict` that describe this traffic.

        Parameters
        ----------
        **changes
            Arguments that replace or join them: ``rate="2Mpps"`` plays the same pattern faster,
            bursts and all.

        Returns
        -------
        dict
            ``rate``, ``size``, ``arrivals`` and ``duration``; ``jumbo`` where frames need it.
        """
        given: dict[str, Any] = {
            "rate": self.rate, "size": dict(self.sizes), "arrivals": self.arrivals,
            "duration": self.duration,
        }  # fmt: skip
        if self.sizes[-1][0] > LARGEST_FRAME:
            given["jumbo"] = True
        return {**given, **changes}

    def to_dict(self) -> dict[str, Any]:
        """Every number as a plain Python value, ready for JSON.

        Returns
        -------
        dict
        """
        mmpp = self.mmpp
        return {
            "name": self.name, "packets": self.packets, "duration": self.duration,
            "rate": self.rate, "mean_size": self.mean_size,
            "sizes": [{"size": size, "share": share} for size, share in self.sizes],
            "scv": self.scv, "correlation": self.correlation,
            "scales": [vars(scale) for scale in self.scales],
            "peaks": [
                {"window": peak.window, "most": peak.most,
                 "quantiles": [{"quantile": q, "rate": rate} for q, rate in peak.quantiles]}
                for peak in self.peaks
            ],
            "arrivals": self.arrivals_text(),
            "mmpp": None if mmpp is None else {
                "silent_rates": [list(row) for row in mmpp.silent_rates],
                "arrival_rates": [list(row) for row in mmpp.arrival_rates],
            },
            "notes": list(self.notes),
        }  # fmt: skip

    def arrivals_text(self) -> str:
        """The arrivals as the argument of that name is written, on the command line too.

        Returns
        -------
        str
        """
        if isinstance(self.arrivals, str):
            return self.arrivals
        (high, low), (leave_high, leave_low) = _phases(self.arrivals)
        return (
            f"mmpp(high={high:.6g}pps,low={low:.6g}pps,"
            f"on={1e3 / leave_high:.6g}ms,off={1e3 / leave_low:.6g}ms)"
        )

    def __str__(self) -> str:
        return _text(self)


def summarise(trace: Trace) -> TrafficSummary:
    """The statistics of a trace.

    Parameters
    ----------
    trace : Trace
        Of :func:`read_trace`, or of one's own making; 100 packets or more.

    Returns
    -------
    TrafficSummary

    Raises
    ------
    ValueError
        If there are too few packets, or all have the same time stamp.

    Examples
    --------
    >>> steady = summarise(Trace("made up", np.arange(1000) * 1e-3, np.full(1000, 64.0)))
    >>> round(steady.rate), round(steady.scv, 9), steady.arrivals
    (1000, 0.0, 'cbr')
    """
    if len(trace) < LEAST_PACKETS:
        raise ValueError(
            f"{trace.name} must hold at least {LEAST_PACKETS} packets for statistics, "
            f"got {len(trace)}"
        )
    if not trace.duration > 0.0:
        raise ValueError(f"{trace.name} must last: all {len(trace):,} packets have one time stamp")
    gaps = np.diff(trace.times)
    rate = len(gaps) / trace.duration
    scales = tuple(_scales(trace))
    arrivals, notes = _fit(trace, rate, float(np.var(gaps)) * rate * rate, scales)
    if isinstance(arrivals, MAP):
        fitted = arrivals.dispersion([scale.window for scale in scales])
        scales = tuple(
            Scale(s.window, s.windows, s.dispersion, float(f))
            for s, f in zip(scales, fitted, strict=True)
        )
    sizes, counts = np.unique(trace.sizes, return_counts=True)
    return TrafficSummary(
        name=trace.name,
        packets=len(trace),
        duration=trace.duration,
        rate=rate,
        sizes=tuple(zip(sizes.tolist(), (counts / len(trace)).tolist(), strict=True)),
        scv=float(np.var(gaps)) * rate * rate,
        correlation=_correlation(gaps),
        scales=scales,
        peaks=tuple(_peak(trace, w) for w in PEAK_WINDOWS if w <= trace.duration),
        arrivals=arrivals,
        notes=(*trace.notes, *notes),
    )


def _correlation(gaps: Floats) -> float:
    """Lag-1 autocorrelation; 0 where nothing varies."""
    away = gaps - gaps.mean()
    total = float(away @ away)
    return float(away[:-1] @ away[1:]) / total if total > 0.0 else 0.0


def _counts(trace: Trace, window: float) -> tuple[Floats, int]:
    """Packets in the successive windows that hold any, and how many windows there are in all."""
    total = int(trace.duration / window * (1.0 + 1e-12))
    place = np.floor(trace.times / window)
    place = place[: np.searchsorted(place, total)]  # what follows the last whole window
    edges = np.flatnonzero(np.diff(place)) + 1
    return np.diff(np.concatenate([[0], edges, [len(place)]])).astype(np.float64), total


def _moments(trace: Trace, window: float) -> tuple[int, float, float, float]:
    """Windows; mean, variance and third central moment of the counts."""
    seen, total = _counts(trace, window)
    mean = float(seen.sum()) / total
    empty = total - len(seen)
    away = seen - mean
    second = float((away**2).sum()) + empty * mean * mean
    third = float((away**3).sum()) - empty * mean**3
    return total, mean, second / (total - 1), third / total


def _scales(trace: Trace) -> Iterator[Scale]:
    """Half decades from a packet or so to a twentieth of the recording."""
    shortest = max(trace.duration / len(trace), 1e-6)
    longest = trace.duration / LEAST_WINDOWS
    first, last = math.ceil(2.0 * math.log10(shortest)), math.floor(2.0 * math.log10(longest))
    windows = [10.0 ** (half / 2) for half in range(first, last + 1)] or [longest]
    for window in windows:
        total, mean, variance, _ = _moments(trace, window)
        yield Scale(window, total, variance / mean)


def _peak(trace: Trace, window: float) -> Peak:
    """Rates over windows of one length."""
    # the fullest window begins with a packet; half open, so that a clock's next tick is outside
    ends = np.searchsorted(trace.times, trace.times + window * (1.0 - 1e-9), side="left")
    most = float((ends - np.arange(len(trace))).max())
    seen, total = _counts(trace, window)
    ordered = np.sort(seen)
    ranks = [math.ceil(q * total) - 1 - (total - len(ordered)) for q in QUANTILES]
    values = [float(ordered[rank]) if rank >= 0 else 0.0 for rank in ranks]
    rates = tuple((q, value / window) for q, value in zip(QUANTILES, values, strict=True))
    return Peak(window, most / window, rates)


def _fit(
    trace: Trace, rate: float, scv: float, scales: tuple[Scale, ...]
) -> tuple[str | MAP, list[str]]:
    """The process that follows the dispersion over the scales, and what is to be said of it."""
    bursty = [s for s in scales if s.dispersion > 1.0 + _SURE * math.sqrt(2.0 / s.windows)]
    if not bursty:
        regular = max(scv, float(np.median([s.dispersion for s in scales]))) < _REGULAR
        return ("cbr" if regular else "poisson"), []
    notes = []
    if len(bursty) == 1:
        limit, relaxation = bursty[0].dispersion, 20.0 / bursty[0].window
        notes.append("only one time scale is bursty: how long bursts last is not determined")
    else:
        windows = np.array([s.window for s in bursty])
        limit, relaxation = fit_dispersion(windows, np.array([s.dispersion for s in bursty]))
    lasting = min(max(1.0 / relaxation, bursty[0].window), bursty[-1].window)
    near = min(bursty, key=lambda s: abs(math.log(s.window / lasting)))
    _, _, _, third = _moments(trace, near.window)
    skewness = skewness_of(rate, limit, relaxation, near.window, third)
    least = least_skewness(rate, limit, relaxation)
    if skewness < least:
        notes.append("bursts are so strong that nothing is left between them in the fitted process")
    process = mmpp2_of_counts(rate, limit, relaxation, max(skewness, least))
    off = max(
        bursty,
        key=lambda s: abs(math.log(float(process.dispersion(s.window)) / s.dispersion)),
    )
    ratio = float(process.dispersion(off.window)) / off.dispersion
    if not 1.0 / 1.5 < ratio < 1.5:
        notes.append(
            f"two phases do not follow all time scales: in windows of "
            f"{format_duration(off.window)} the fitted process varies {ratio:.2g} times as much"
        )
    return process, notes


def _phases(process: MAP) -> tuple[tuple[float, float], tuple[float, float]]:
    """Rates of the two phases, the high one first, and the rates of leaving them [1/s]."""
    rates, leaving = process.phase_rates.tolist(), process.silent.sum(axis=1).tolist()
    order = sorted(range(2), key=lambda i: -rates[i])
    return (rates[order[0]], rates[order[1]]), (leaving[order[0]], leaving[order[1]])


def mmpp_text(process: MAP) -> str:
    """A modulated Poisson process of two phases to the last digit, as ``arrivals`` is written.

    Parameters
    ----------
    process : MAP
        Two phases, which arrivals do not change.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is another process, for which there are no such words.

    Examples
    --------
    >>> mmpp_text(MAP.mmpp([1e6, 0.0], [250.0, 50.0]))
    'mmpp(high=1000000.0,low=0,on=0.004s,off=0.02s)'
    """
    arriving = process.arriving
    if process.order != 2 or arriving[0, 1] > 0.0 or arriving[1, 0] > 0.0:
        raise ValueError(
            f"arrivals must be a modulated Poisson process of two phases here, got {process!r}"
        )
    (high, low), (leave_high, leave_low) = _phases(process)
    return f"mmpp(high={high!r},low={low or 0!r},on={1 / leave_high!r}s,off={1 / leave_low!r}s)"


def _text(summary: TrafficSummary) -> str:
    """The summary for people."""
    rows = [
        ("packets", f"{summary.packets:,} in {format_duration(summary.duration)}"),
        ("rate", format_rate(summary.rate)),
        ("frame size", f"{format_size(summary.mean_size)} on average; {_sizes_text(summary)}"),
        ("times between packets", f"scv {summary.scv:.3g}, correlation {summary.correlation:.3g}"),
        ("arrivals", _arrivals_words(summary)),
    ]
    width = max(len(label) for label, _ in rows)
    lines = [summary.name, *(f"  {label:<{width}}  {text}" for label, text in rows), ""]
    head = ["window", "windows", "variance/mean", "of the fit"]
    table = [
        [format_duration(s.window), s.windows, float(f"{s.dispersion:.4g}"),
         None if s.fitted is None else float(f"{s.fitted:.4g}")]
        for s in summary.scales
    ]  # fmt: skip
    lines += [text_table(head, table), ""]
    if summary.peaks:
        head = ["rate over", "greatest", *(f"{100 * q:g} %" for q in QUANTILES)]
        peaks = [
            [format_duration(p.window), format_rate(p.most)]
            + [format_rate(rate) for _, rate in p.quantiles]
            for p in summary.peaks
        ]
        lines += [text_table(head, peaks), ""]
    lines += [f"note: {note}" for note in summary.notes]
    return "\n".join(lines).rstrip()


def _sizes_text(summary: TrafficSummary) -> str:
    common = sorted(summary.sizes, key=lambda pair: -pair[1])[:3]
    return ", ".join(f"{format_share(share)} of {format_size(size)}" for size, share in common)


def _arrivals_words(summary: TrafficSummary) -> str:
    if isinstance(summary.arrivals, str):
        return {"cbr": "regular, as a constant rate", "poisson": "random, as Poisson"}[
            summary.arrivals
        ]
    (high, low), (leave_high, leave_low) = _phases(summary.arrivals)
    return (
        f"bursts of {format_rate(high)} for {format_duration(1.0 / leave_high)}, between them "
        f"{format_rate(low)} for {format_duration(1.0 / leave_low)} (means)"
    )


def read_summary(path: str | PathLike[str], **options: Any) -> TrafficSummary:
    """The statistics of a file.

    Parameters
    ----------
    path : str or path-like
        As for :func:`read_trace`.
    **options
        Of :func:`read_trace`.

    Returns
    -------
    TrafficSummary

    Raises
    ------
    ValueError, OSError, ImportError
        As :func:`read_trace` and :func:`summarise`.
    """
    return summarise(read_trace(path, **options))
