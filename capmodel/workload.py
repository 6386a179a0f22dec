"""What is offered: rate, frame sizes, arrival process, length of the run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from capmodel.columns import checked_column, is_column
from capmodel.errors import closest, unknown_choice
from capmodel.formulary._elementwise import floats, minimum
from capmodel.numerics.arrival_process import MAP
from capmodel.path import Arrivals
from capmodel.quantities import parse_duration, parse_rate, parse_size

# Simple Internet mix: 7 frames of 64 bytes, 4 of 594, 1 of 1518 (Ethernet sizes with checksum).
IMIX: Mapping[float, float] = {64.0: 7 / 12, 594.0: 4 / 12, 1518.0: 1 / 12}

# Preamble and start delimiter (8 bytes) and inter-frame gap (12) of every frame on the wire.
WIRE_OVERHEAD = 20.0

# One packet in a fortnight to a thousand 400 Gbit/s links: beyond lie slips of a unit.
RATES = (1e-6, 1e12)

_CALL = re.compile(r"(?P<name>bursts|mmpp)\((?P<body>[^()]*)\)")


@dataclass(frozen=True)
class Bursts:
    """On-off arrivals: bursts at a constant peak rate, silence between them.

    Parameters
    ----------
    on, off : float or str
        Mean length of bursts and gaps [s], or strings such as ``"10ms"``.
    random : bool
        Exponential lengths (True) or fixed ones.

    Raises
    ------
    ValueError, TypeError
        If a length is not a positive duration.

    Examples
    --------
    >>> Bursts("10ms", "90ms").on
    0.01
    """

    on: Any
    off: Any
    random: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", parse_duration(self.on, name="arrivals (burst length)"))
        object.__setattr__(self, "off", parse_duration(self.off, name="arrivals (gap length)"))


@dataclass(frozen=True)
class Workload:
    """Offered traffic.

    Parameters
    ----------
    rate : float or ndarray
        Mean offered rate [1/s].
    sizes : mapping of float to float
        Frame sizes [B], checksum included, to their shares of packets.
    arrivals : str, Bursts or MAP
        ``"cbr"``, ``"poisson"``, :class:`Bursts`, or a Markovian arrival process, of which time is
        stretched until it has the `rate`.
    duration : float
        Length of the run [s].

    Examples
    --------
    >>> Workload.from_user("1.27Mpps", "64B").mean_size
    64.0
    >>> round(Workload.from_user("1Gbit/s", 64).rate)
    1488095
    """

    rate: Any
    sizes: tuple[tuple[Any, float], ...]
    arrivals: str | Bursts | MAP
    duration: Any

    @classmethod
    def from_user(
        cls,
        rate: Any,
        size: Any = 64,
        arrivals: str | Bursts | MAP = "cbr",
        duration: Any = "100s",
        *,
        jumbo: bool = False,
    ) -> Workload:
        """A workload from numbers and strings with units; see :func:`capmodel.predict`.

        Raises
        ------
        ValueError, TypeError
            One sentence that names the argument.
        """
        sizes = _sizes(size, jumbo)
        mean = sum(value * share for value, share in sizes)
        return cls(
            rate=_rate(rate, mean),
            sizes=sizes,
            arrivals=_arrivals(arrivals),
            duration=_positive(duration, "duration"),
        )

    @classmethod
    def from_pcap(cls, path: str | PathLike[str], **options: Any) -> Workload:
        """The traffic of a recording: rate, sizes, length, and arrivals fitted to its bursts.

        Parameters
        ----------
        path : str or path-like
            A pcap or pcapng file; see :func:`capmodel.read_trace`, also for the `options`.

        Returns
        -------
        Workload

        Raises
        ------
        ValueError, OSError, ImportError
            If the file is damaged or has fewer than 100 packets, cannot be read, or Scapy is
            missing.
        """
        from capmodel.traffic import read_summary

        return cls.from_user(**read_summary(path, **options).as_arguments())

    @property
    def mean_size(self) -> Any:
        """Mean frame size [B]."""
        return sum(value * share for value, share in self.sizes)

    def mean_captured(self, snaplen: float) -> Any:
        """Mean bytes captured of a frame when at most `snaplen` are."""
        return sum(minimum(value, snaplen) * share for value, share in self.sizes)

    @property
    def bit_rate(self) -> Any:
        """Rate on the wire [bit/s], preamble and gap included."""
        return self.rate * (self.mean_size + WIRE_OVERHEAD) * 8.0

    def to_arrivals(self) -> Arrivals:
        """The arrival part of a path."""
        if isinstance(self.arrivals, Bursts):
            return Arrivals(
                self.rate,
                "on_off",
                on=self.arrivals.on,
                off=self.arrivals.off,
                random_bursts=self.arrivals.random,
                duration=self.duration,
            )
        if isinstance(self.arrivals, MAP):
            return Arrivals(self.rate, "map", duration=self.duration, phases=self.arrivals)
        name, scv = _PROCESSES[self.arrivals]
        return Arrivals(self.rate, name, scv, duration=self.duration)


_PROCESSES: dict[str, tuple[Any, float]] = {"cbr": ("cbr", 0.0), "poisson": ("poisson", 1.0)}


def _rate(rate: Any, mean_size: Any) -> Any:
    if is_column(rate):
        return checked_column(rate, "rate")
    size = float(mean_size) if np.ndim(mean_size) == 0 else None
    value = parse_rate(rate, size=size, name="rate")
    if not RATES[0] <= value <= RATES[1]:
        raise ValueError(
            f"rate must lie between {RATES[0]:g} and {RATES[1]:g} per second, got {rate!r}"
        )
    return value


def _positive(value: Any, name: str) -> Any:
    if is_column(value):
        return checked_column(value, name)
    return parse_duration(value, name=name)


def _sizes(size: Any, jumbo: bool) -> tuple[tuple[Any, float], ...]:
    if is_column(size):
        for item in size.flat:
            parse_size(float(item), jumbo=jumbo)
        return ((floats(size), 1.0),)
    if isinstance(size, str) and size.strip().casefold() == "imix":
        return tuple(IMIX.items())
    if isinstance(size, str) and closest(size.strip(), ("imix",)):
        raise ValueError(f"size must be in bytes, or imix, not {size!r} (did you mean 'imix'?)")
    if isinstance(size, Mapping):
        return _mixture(size, jumbo)
    return ((parse_size(size, jumbo=jumbo), 1.0),)


def _mixture(size: Mapping[Any, Any], jumbo: bool) -> tuple[tuple[float, float], ...]:
    if not size:
        raise ValueError("size must hold at least one frame size, got an empty mapping")
    pairs = []
    for value, share in size.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"size must map frame sizes to shares in [0, 1], got share {share!r}")
        pairs.append((parse_size(value, jumbo=jumbo), float(share)))
    total = math.fsum(share for _, share in pairs)
    if abs(total - 1.0) > 1e-6:
        raise ValueError(f"size must map frame sizes to shares that sum to 1, got {total:g}")
    return tuple((value, share / total) for value, share in pairs)


def _arrivals(arrivals: str | Bursts | MAP) -> str | Bursts | MAP:
    if isinstance(arrivals, (Bursts, MAP)):
        return arrivals
    if not isinstance(arrivals, str):
        raise TypeError(f"arrivals must be a name, Bursts or a MAP, got {arrivals!r}")
    match = _CALL.fullmatch(arrivals.replace(" ", ""))
    if match:
        return _CALLS[match["name"]](arrivals, match["body"])
    if arrivals not in _PROCESSES:
        raise unknown_choice("arrivals", arrivals, (*_PROCESSES, _BURSTS_FORM, _MMPP_FORM))
    return arrivals


_BURSTS_FORM = "bursts(on=10ms,off=90ms)"
_MMPP_FORM = "mmpp(high=1Mpps,low=50kpps,on=3ms,off=20ms)"


def _fields(body: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in body.split(",") if part)


def _parse_bursts(text: str, body: str) -> Bursts:
    fields = _fields(body)
    unknown = set(fields) - {"on", "off", "random"}
    known = {"on", "off"} <= set(fields) and fields.get("random", "yes") in ("yes", "no")
    if unknown or not known:
        raise ValueError(f"arrivals must read {_BURSTS_FORM} or with random=no, got {text!r}")
    return Bursts(fields["on"], fields["off"], fields.get("random", "yes") == "yes")


def _parse_mmpp(text: str, body: str) -> MAP:
    fields = _fields(body)
    if set(fields) != {"high", "low", "on", "off"}:
        raise ValueError(f"arrivals must read {_MMPP_FORM}, got {text!r}")
    nothing = fields["low"] in ("0", "0pps")
    high = parse_rate(fields["high"], name="arrivals (high rate)")
    low = 0.0 if nothing else parse_rate(fields["low"], name="arrivals (low rate)")
    on = parse_duration(fields["on"], name="arrivals (time at the high rate)")
    off = parse_duration(fields["off"], name="arrivals (time at the low rate)")
    return MAP.mmpp([high, low], [1.0 / on, 1.0 / off])


_CALLS: Mapping[str, Callable[[str, str], Bursts | MAP]] = {
    "bursts": _parse_bursts,
    "mmpp": _parse_mmpp,
}
