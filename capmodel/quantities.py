"""Numbers with units as people write them, to SI floats and back.

Numbers, and texts without a unit, are SI (packets per second, bytes), except where that would be a
guess: tools count buffers in bytes, KiB and packets, so a buffer needs its unit; and one thinks of
times in nanoseconds to minutes, so a time in text needs its unit (as a number it is in seconds).
Letter case counts, as it does in the SI: ``m`` is milli and ``M`` is mega, ``b`` is bit and ``B``
is byte.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from capmodel.errors import closest

Quantity = float | int | str
BufferUnit = Literal["bytes", "slots"]

ETHERNET_OVERHEAD = 20.0
"""Bytes that a frame occupies on the wire besides itself: preamble and delimiter 8, gap 12."""
SMALLEST_FRAME = 64.0
LARGEST_FRAME = 9216.0
LARGEST_JUMBO = 65535.0

_PACKET_RATES = {
    "pps": 1.0,
    "kpps": 1e3,
    "Mpps": 1e6,
    "Gpps": 1e9,
    "1/s": 1.0,
    "/s": 1.0,
    "packets/s": 1.0,
}
_BIT_RATES = {
    f"{prefix}{unit}": factor
    for unit in ("bit/s", "bps")
    for prefix, factor in {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.items()
}
_BYTES = {
    "B": 1.0,
    "byte": 1.0,
    "bytes": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
}
_SLOTS = {"slots": 1.0, "slot": 1.0, "packets": 1.0, "packet": 1.0}
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "\N{MICRO SIGN}s": 1e-6,
    "\N{GREEK SMALL LETTER MU}s": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
}
_SHARES = {"%": 0.01}
_MOST_NINES = 7
_SMALL = 1e-3  # per cent, below which ends have powers of ten
_BUFFER_UNITS: dict[str, BufferUnit] = {
    **dict.fromkeys(_BYTES, "bytes"),
    **dict.fromkeys(_SLOTS, "slots"),
}

_NUMBER_AND_UNIT = re.compile(
    r"\s*(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>(?:1?/|%|[^\W\d_]).*?)?\s*"
)


@dataclass(frozen=True)
class BufferSize:
    """How much a buffer holds, in the unit in which it is counted.

    Parameters
    ----------
    amount : float
        Memory [bytes] or places [slots], greater than 0; whole where slots are counted.
    unit : {"bytes", "slots"}
        What `amount` counts.

    Raises
    ------
    TypeError, ValueError
        If the amount is not such a number or the unit is another.

    Examples
    --------
    >>> BufferSize(4096, "slots")
    BufferSize(amount=4096.0, unit='slots')
    >>> print(BufferSize(2 * 2**20, "bytes"))
    2 MiB
    """

    amount: float
    unit: BufferUnit

    def __post_init__(self) -> None:
        if self.unit not in ("bytes", "slots"):
            raise ValueError(f"unit of a buffer must be 'bytes' or 'slots', not {self.unit!r}")
        allowed = "a number greater than 0, whole where slots are counted"
        amount, _ = _split(self.amount, "amount", allowed)
        if amount <= 0 or (self.unit == "slots" and not amount.is_integer()):
            raise _refusal("amount", self.amount, allowed)
        object.__setattr__(self, "amount", amount)

    def __str__(self) -> str:
        return format_size(self.amount) if self.unit == "bytes" else f"{self.amount:.0f} slots"


def parse_rate(value: Quantity, *, size: Quantity | None = None, name: str = "rate") -> float:
    """Packet rate, given as packets or as bits per second.

    Parameters
    ----------
    value : float, int or str
        Rate [1/s]; or a string with one of the units ``pps``, ``kpps``, ``Mpps``, ``Gpps``,
        ``1/s``, ``/s``, ``packets/s``, or of the bit rates ``bit/s`` and ``bps`` with the prefixes
        k, M, G, T.
    size : float, int or str, optional
        Mean frame size [B], 64 to 65535, checksum included; needed for bit rates only.
    name : str
        What to call the argument in an error.

    Returns
    -------
    float
        Packets per second [1/s].

    Raises
    ------
    TypeError, ValueError
        If the value is not a finite rate greater than 0, or a bit rate comes without a size.

    Notes
    -----
    A bit rate is a share of the link: a frame occupies its size and 20 bytes more (preamble and
    start delimiter 8, interframe gap 12), so 1 Gbit/s of 64-byte frames is 1.488 Mpps.

    Examples
    --------
    >>> parse_rate("1.27Mpps")
    1270000.0
    >>> round(parse_rate("1Gbit/s", size=64))
    1488095
    """
    allowed = (
        "a finite number of packets per second greater than 0, such as 1.27e6, '1.27Mpps' or, "
        "with a frame size, '1Gbit/s'"
    )
    number, unit = _split(value, name, allowed)
    if unit in _BIT_RATES:
        if size is None:
            raise ValueError(
                f"{name} is the bit rate {value!r}, which needs a frame size; "
                "give size, or write packets per second such as '1.27Mpps'"
            )
        frame = _scaled(size, "size", _BYTES, f"a frame size of 64 to {LARGEST_JUMBO:.0f} bytes")
        if not SMALLEST_FRAME <= frame <= LARGEST_JUMBO:
            raise _refusal("size", size, f"a frame size of 64 to {LARGEST_JUMBO:.0f} bytes")
        rate = number * _BIT_RATES[unit] / (8.0 * (frame + ETHERNET_OVERHEAD))
    else:
        rate = number * _factor(unit, value, name, _PACKET_RATES, _BIT_RATES)
    if not 0.0 < rate < math.inf:
        raise _refusal(name, value, allowed)
    return rate


def parse_size(value: Quantity, *, jumbo: bool = False, name: str = "size") -> float:
    """Frame size on the wire.

    Parameters
    ----------
    value : float, int or str
        Size [B], checksum included; or a string such as ``"64B"`` or ``"1500 bytes"``.
    jumbo : bool
        Allow sizes above 9216 bytes, up to 65535 (frames merged by offloads).
    name : str
        What to call the argument in an error.

    Returns
    -------
    float
        Size [B], a whole number.

    Raises
    ------
    TypeError, ValueError
        If the value is not a whole number of bytes from 64 to the largest allowed.

    Examples
    --------
    >>> parse_size("64B"), parse_size("1500 bytes"), parse_size(9216)
    (64.0, 1500.0, 9216.0)
    """
    largest = LARGEST_JUMBO if jumbo else LARGEST_FRAME
    allowed = f"a whole number of bytes from 64 to {largest:.0f}, such as 64 or '64B'"
    if not jumbo:
        allowed += f" (to {LARGEST_JUMBO:.0f} where jumbo is set)"
    size = _scaled(value, name, _BYTES, allowed)
    if not (SMALLEST_FRAME <= size <= largest and size.is_integer()):
        raise _refusal(name, value, allowed)
    return size


def parse_duration(value: Quantity, *, name: str, positive: bool = True) -> float:
    """Length of time.

    Parameters
    ----------
    value : float, int or str
        Duration [s]; or a string, which must have one of the units ``ns``, ``us``, ``ms``, ``s``,
        ``min``, ``h``; only ``"0"`` needs none.
    name : str
        What to call the argument in an error.
    positive : bool
        Refuse zero; if false, zero is allowed.

    Returns
    -------
    float
        Duration [s].

    Raises
    ------
    TypeError, ValueError
        If the value is not a finite duration, is a string without a unit, is negative, or is zero
        where that is refused.

    Examples
    --------
    >>> parse_duration("10ms", name="timeout"), parse_duration("1 min", name="duration")
    (0.01, 60.0)
    >>> parse_duration(0, name="wakeup_cost", positive=False)
    0.0
    """
    bound = "greater than 0" if positive else "of at least 0"
    # what is suggested is taken where it is typed: a text needs its unit
    allowed = (
        f"a finite time {bound} with its unit, such as '10ms'"
        if isinstance(value, str)
        else f"a finite number of seconds {bound}, such as 0.01 or '10ms'"
    )
    duration = _scaled(value, name, _SECONDS, allowed)
    if duration > 0 and isinstance(value, str) and _split(value, name, allowed)[1] is None:
        raise ValueError(
            f"{name} must have a unit, got {value!r}; write {value.strip()}ns, "
            f"{value.strip()}us, {value.strip()}ms or {value.strip()}s (units: "
            f"{', '.join(unit for unit in _SECONDS if unit.isascii())})"
        )
    if duration < 0 or (positive and duration == 0):
        raise _refusal(name, value, allowed)
    return duration


def parse_buffer(value: str | BufferSize, *, name: str = "buffer") -> BufferSize:
    """Size of a buffer, always with its unit.

    Parameters
    ----------
    value : str or BufferSize
        Memory such as ``"2MiB"``, ``"20MB"``, ``"512 KiB"``, or places such as ``"4096 slots"``,
        ``"4096 packets"``.
    name : str
        What to call the argument in an error.

    Returns
    -------
    BufferSize
        Amount [bytes or slots] with its unit.

    Raises
    ------
    TypeError, ValueError
        If the unit is missing: a bare number is refused, since some tools count bytes, some KiB
        and some packets; or if the amount is not greater than 0.

    Examples
    --------
    >>> parse_buffer("512 KiB")
    BufferSize(amount=524288.0, unit='bytes')
    >>> parse_buffer("4096 packets")
    BufferSize(amount=4096.0, unit='slots')
    """
    if isinstance(value, BufferSize):
        return value
    allowed = "a size greater than 0 with its unit, such as '2MiB' or '4096 slots'"
    number, unit = _split(value, name, allowed)
    if unit is None:
        raise ValueError(
            f"{name} must have a unit, got {value!r}; "
            f"write '{number:.15g} B' for bytes or '{number:.15g} slots' for packets"
        )
    amount = number * _factor(unit, value, name, _BYTES | _SLOTS)
    kind = _BUFFER_UNITS[unit]
    if not 0.0 < amount < math.inf or (kind == "slots" and not amount.is_integer()):
        raise _refusal(name, value, allowed + "; slots are whole")
    return BufferSize(amount, kind)


def parse_slots(value: Quantity, *, name: str) -> int:
    """Count of places: descriptors of a ring, packets of a batch.

    Parameters
    ----------
    value : float, int or str
        Places [slots]; or a string such as ``"256"`` or ``"256 slots"``.
    name : str
        What to call the argument in an error.

    Returns
    -------
    int
        Places [slots], at least 1.

    Raises
    ------
    TypeError, ValueError
        If the value is not a whole number of at least 1.

    Examples
    --------
    >>> parse_slots("256 slots", name="ring")
    256
    """
    allowed = "a whole number of at least 1, such as 256 or '256 slots'"
    slots = _scaled(value, name, _SLOTS, allowed)
    if slots < 1 or not slots.is_integer():
        raise _refusal(name, value, allowed)
    return int(slots)


def parse_count(value: Quantity, *, name: str) -> int:
    """How many of something that has no unit, such as processes.

    Parameters
    ----------
    value : float, int or str
        Number [-]; or a string such as ``"2"``.
    name : str
        What to call the argument in an error.

    Returns
    -------
    int
        Number [-], at least 1.

    Raises
    ------
    TypeError, ValueError
        If the value is not a whole number of at least 1, or has a unit.

    Examples
    --------
    >>> parse_count("2", name="consumers")
    2
    """
    allowed = "a whole number of at least 1 without a unit, such as 2"
    count, unit = _split(value, name, allowed)
    if unit is not None or count < 1 or not count.is_integer():
        raise _refusal(name, value, allowed)
    return int(count)


def parse_share(value: Quantity, *, name: str) -> float:
    """Share of a whole.

    Parameters
    ----------
    value : float, int or str
        Share [-] from 0 to 1; or a string such as ``"0.05"`` or ``"5%"``.
    name : str
        What to call the argument in an error.

    Returns
    -------
    float
        Share [-].

    Raises
    ------
    TypeError, ValueError
        If the value is not a number from 0 to 1.

    Examples
    --------
    >>> parse_share("5%", name="loss"), parse_share(1, name="loss")
    (0.05, 1.0)
    """
    allowed = "a number from 0 to 1, such as 0.05 or '5%'"
    share = _scaled(value, name, _SHARES, allowed)
    if not 0.0 <= share <= 1.0:
        raise _refusal(name, value, allowed)
    return share


def format_rate(rate: float, digits: int = 3) -> str:
    """Packet rate for people to read.

    Parameters
    ----------
    rate : float
        Packets per second [1/s].
    digits : int
        Significant digits.

    Returns
    -------
    str
        A number and a unit that `parse_rate` reads.

    Examples
    --------
    >>> format_rate(1.27e6)
    '1.27 Mpps'
    """
    return _formatted(rate, {"pps": 1.0, "kpps": 1e3, "Mpps": 1e6, "Gpps": 1e9}, digits)


def format_duration(duration: float, digits: int = 3) -> str:
    """Length of time for people to read.

    Parameters
    ----------
    duration : float
        Duration [s].
    digits : int
        Significant digits.

    Returns
    -------
    str
        A number and a unit that `parse_duration` reads.

    Examples
    --------
    >>> format_duration(787e-9)
    '787 ns'
    >>> format_duration(0.01)
    '10 ms'
    """
    return _formatted(duration, {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}, digits)


def format_size(size: float, digits: int = 3) -> str:
    """Number of bytes for people to read.

    Parameters
    ----------
    size : float
        Size [B].
    digits : int
        Significant digits; at least five below 64 KiB, so that every frame size is exact.

    Returns
    -------
    str
        A number and a unit that `parse_size` or `parse_buffer` reads.

    Examples
    --------
    >>> format_size(1514)
    '1514 B'
    >>> format_size(2 * 2**20)
    '2 MiB'
    """
    if abs(size) <= LARGEST_JUMBO:
        return f"{_number(size, max(digits, 5))} B"
    return _formatted(size, {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}, digits)


def format_share(share: float, digits: int = 3) -> str:
    """Share of a whole for people to read, in per cent.

    Parameters
    ----------
    share : float
        Share [-].
    digits : int
        Significant digits; more are shown, up to seven, where a share below one would read as
        100 %. What is nearer to one than that does read so.

    Returns
    -------
    str
        A number and a per cent sign that `parse_share` reads.

    Examples
    --------
    >>> format_share(0.05)
    '5 %'
    >>> format_share(0.99997)
    '99.997 %'
    >>> format_share(1.0 - 1e-12)
    '100 %'
    """
    return f"{_number(100.0 * share, _nines(share, digits))} %"


def format_interval(low: float, high: float, share: float, digits: int = 3) -> str:
    """Interval of a share for people to read, with the decimals of the share that it is about.

    Parameters
    ----------
    low, high : float
        Ends [-].
    share : float
        The share [-]: its text has `digits` significant digits, or more where it is nearly one.
    digits : int
        As for `format_share`.

    Returns
    -------
    str
        Both ends in per cent; what holds the share holds it as printed too.

    Examples
    --------
    >>> format_interval(0.00361, 0.00374, 0.00368)
    '0.361 to 0.374 %'
    >>> format_interval(0.999998, 1.0, 0.999999)
    '99.9998 to 100 %'
    """
    digits = _nines(share, digits)
    shown = float(_number(100.0 * share, digits))
    if 0.0 < shown < _SMALL:
        ends = (format_share(end, digits) for end in (low, high))
        return " to ".join(ends)
    decimals = max(1, digits - 1 - math.floor(math.log10(shown))) if shown > 0.0 else 1
    texts = [f"{100.0 * end:.{decimals}f}" for end in (low, high)]
    return " to ".join("100" if decimals > 1 and float(x) == 100.0 else x for x in texts) + " %"


def _nines(share: float, digits: int) -> int:
    """Digits with which a share below one does not read as 100 %, seven at most."""
    while share < 1.0 and digits < _MOST_NINES and float(_number(100.0 * share, digits)) >= 100.0:
        digits += 1
    return digits


def _refusal(name: str, value: object, allowed: str) -> ValueError:
    return ValueError(f"{name} must be {allowed}, not {value!r}")


def _split(value: object, name: str, allowed: str) -> tuple[float, str | None]:
    """Finite number and unit (None where there is none)."""
    if isinstance(value, str):
        match = _NUMBER_AND_UNIT.fullmatch(value)
        if match is None:
            raise _refusal(name, value, allowed)
        number, unit = float(match["number"]), match["unit"]
    elif isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {allowed}, not {value!r} of type {type(value).__name__}")
    else:
        number, unit = _to_float(value), None
    if not math.isfinite(number):
        raise _refusal(name, value, allowed)
    return number, unit


def _to_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _factor(
    unit: str | None,
    value: object,
    name: str,
    units: Mapping[str, float],
    *others: Mapping[str, float],
) -> float:
    """SI factor of a unit; `others` are units that the caller reads itself, named in the error."""
    if unit is None:
        return 1.0
    if unit in units:
        return units[unit]
    known = [spelling for table in (units, *others) for spelling in table]
    near = closest(unit, known, heads=True)
    hint = f", did you mean {near!r}" if near is not None else ""
    raise ValueError(
        f"{name} has the unknown unit {unit!r} in {value!r}{hint} (units: {', '.join(known)})"
    )


def _scaled(value: object, name: str, units: Mapping[str, float], allowed: str) -> float:
    number, unit = _split(value, name, allowed)
    scaled = number * _factor(unit, value, name, units)
    if not math.isfinite(scaled):
        raise _refusal(name, value, allowed)
    return scaled


def _number(value: float, digits: int) -> str:
    """Shortest text of a number at the given digits; no exponent below ten million."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e7 else text


def _formatted(value: float, units: Mapping[str, float], digits: int) -> str:
    """Number in the largest unit of which it is at least one, once rounded."""
    names = list(units)
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {next((name for name in names if units[name] == 1.0), names[0])}"
    rounded = abs(float(f"{value:.{digits}g}"))
    reached = [name for name in names if rounded >= units[name] * (1.0 - 1e-12)]
    name = reached[-1] if reached else names[0]
    return f"{_number(value / units[name], digits)} {name}"
