"""Options of the command line: the arguments of `predict`, and lists and ranges of them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from capmodel.api import DEFAULT_MACHINE
from capmodel.application import DEFAULT_APPLICATION
from capmodel.quantities import (
    parse_buffer,
    parse_count,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
    parse_slots,
)
from capmodel.solvers import SOLVERS
from capmodel.support import DEFAULT_BACKENDS

_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Option:
    """One argument of `predict` as an option."""

    name: str
    metavar: str
    help: str
    default: str | None = None


_KNOB = "(where 'capmodel backends NAME' has that knob)"
GROUPS: Mapping[str, tuple[Option, ...]] = {
    "traffic": (
        Option("rate", "RATE", "packets per second: 1.27e6, 1.27Mpps; or a wire rate: 1Gbit/s"),
        Option("size", "BYTES", "frame size with its checksum, 64 to 9216; imix; or several with "
               "their shares: 64=0.6+1518=0.4", "64"),
        Option("arrivals", "PROCESS", "cbr (a constant rate), poisson (random), "
               "bursts(on=10ms,off=90ms) of random lengths with these means, or of just these "
               "lengths with random=no in the brackets, or "
               "mmpp(high=1Mpps,low=50kpps,on=3ms,off=20ms): two random rates in turn", "cbr"),
        Option("duration", "TIME", "length of the run, as every time with its unit: 100s, 5min",
               "100s"),
    ),
    "what captures": (
        Option("backend", "NAME", "see 'capmodel backends' (default: "
               f"{DEFAULT_BACKENDS[0]}, or on a machine without its costs the first that it has "
               f"of {', '.join(DEFAULT_BACKENDS[1:])}; the heading says which it was)"),
        Option("machine", "NAME", "whose costs: see 'capmodel machines', or a FILE.toml as "
               "'capmodel lab calibrate' writes it", DEFAULT_MACHINE),
        Option("application", "NAME", f"whose work per packet: {DEFAULT_APPLICATION}, packzip:0 to "
               f"packzip:9 (zlib levels), sink (none) (default: {DEFAULT_APPLICATION})"),
        Option("work", "TIME", "the time it works on a packet, instead of an application: 700ns, "
               "or with a part per byte 200ns+5ns"),
    ),
    "set-up": (
        Option("pinning", "PLACE", "kernel and consumer on the same core, split on two, or auto: "
               "left to the scheduler (default: split where there are two cores)"),
        Option("ring", "SLOTS", "receive descriptors of the card (default: the card's)"),
        Option("buffer", "SIZE", "between kernel and consumer, with unit: 2MiB, '4096 slots' "
               "(default: the backend's)"),
        Option("consumers", "N", "capture processes that each receive every packet, all on one "
               "core; for workers that share the packets (fanout, RSS) predict one at 1/N of the "
               "rate: README, Several workers", "1"),
        Option("threshold", "PACKETS", f"signal the consumer after so many packets {_KNOB}"),
        Option("timeout", "TIME", f"signal it after so long at the latest: 10ms {_KNOB}"),
        Option("sleep", "TIME", f"sleep so long between looks at the buffer: 1ms {_KNOB}"),
        Option("nic", "NAME", "one of the machine's cards, see 'capmodel machines NAME' "
               "(default: the machine's own)"),
        Option("driver", "MODE", "how the card is served: napi, interrupt, moderated, polling or "
               "thread (default: the backend's)"),
    ),
    "solution": (
        Option("solver", "NAME", f"{', '.join(SOLVERS)} (default: the first of them that accepts "
               "the path without doubts)"),
    ),
}  # fmt: skip


def add_path_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Give a parser every argument of `predict`.

    Parameters
    ----------
    parser : ArgumentParser
        Who gets them.
    several : bool
        Whether the options are to take lists and ranges.
    """
    more = "[,...]" if several else ""
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            default = f" (default: {option.default})" if option.default else ""
            group.add_argument(
                f"--{option.name}",
                metavar=option.metavar + more,
                default=option.default,
                required=option.name == "rate",
                help=(option.help + default).replace("%", "%%"),
            )
    # frames above 9216 bytes are rare: a flag, not an axis
    parser.add_argument("--jumbo", action="store_true", help="allow frames above 9216 bytes")


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `predict` from parsed options.

    Parameters
    ----------
    options : Namespace
        Of a parser with :func:`add_path_options`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If a mixture of frame sizes cannot be read.
    """
    given = {
        name: getattr(options, name) for name in _names() if getattr(options, name) is not None
    }
    return {
        "jumbo": options.jumbo,
        **{name: _SINGLE.get(name, str)(text) for name, text in given.items()},
    }


def series_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `sweep` from parsed options: lists and ranges become lists.

    Parameters
    ----------
    options : Namespace
        Of a parser with ``add_path_options(parser, several=True)``.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If a range or a mixture cannot be read; the message names the option.
    """
    given = {
        name: getattr(options, name) for name in _names() if getattr(options, name) is not None
    }
    return {"jumbo": options.jumbo, **{name: series(name, text) for name, text in given.items()}}


def series(name: str, text: str) -> Any:
    """One value, or a list of them, as written on the command line.

    Parameters
    ----------
    name : str
        The argument of `predict`.
    text : str
        A value; several with commas between; or a range ``from:to:count``, evenly spaced, or
        ``log:from:to:count``, in equal ratios.

    Returns
    -------
    object
        A value or a list of values, as `sweep` takes them.

    Raises
    ------
    ValueError
        If a range is damaged; the message names the option.

    Examples
    --------
    >>> series("rate", "0.2Mpps:1Mpps:3")
    [200000.0, 600000.0, 1000000.0]
    >>> series("ring", "log:64:1024:3"), series("backend", "bpf,pf_ring")
    ([64, 256, 1024], ['bpf', 'pf_ring'])
    >>> series("arrivals", "bursts(on=10ms,off=90ms)")
    'bursts(on=10ms,off=90ms)'
    """
    parts = [part.strip() for part in re.split(r",(?![^()]*\))", text)]
    values: list[Any] = []
    ranged = False
    for part in parts:
        if name in _RANGES and ":" in part:
            ranged = True
            values += _range(name, part)
        else:
            values.append(_SINGLE.get(name, str)(part))
    # a range is a column even where it has one value only
    return values if ranged or len(parts) > 1 else values[0]


def single(name: str, text: Any) -> Any:
    """One value as written on the command line.

    Parameters
    ----------
    name : str
        The argument of `predict`.
    text : object
        What was written; other than text is returned as it is.

    Returns
    -------
    object
        A value as `predict` takes it: mixtures of sizes and parts of work are taken apart.

    Raises
    ------
    ValueError
        If a mixture cannot be read.

    Examples
    --------
    >>> single("size", "64=0.6+1518=0.4"), single("work", "200ns+5ns")
    ({'64': 0.6, '1518': 0.4}, ('200ns', '5ns'))
    """
    return _SINGLE.get(name, str)(text) if isinstance(text, str) else text


def _names() -> list[str]:
    return [option.name for options in GROUPS.values() for option in options]


def _size(text: str) -> Any:
    if "=" not in text:
        return text
    pairs = [part.partition("=") for part in text.split("+")]
    return {size.strip(): parse_share(share, name="share of a size") for size, _, share in pairs}


def _work(text: str) -> Any:
    parts = re.split(r"(?<![0-9.][eE])\+", text)
    return tuple(parts) if len(parts) > 1 else text


_SINGLE: dict[str, Callable[[str], Any]] = {"size": _size, "work": _work}


def _plain(value: float) -> float:
    """A step of a range without its last digits, which are those of the arithmetic."""
    return float(f"{value:.12g}")


def _in_bits(text: str, bit: float) -> float:
    return parse_rate(text, size=64) / bit


# argument -> how to read one end of a range, and how to write what is between
_Scale = tuple[Callable[[str], float], Callable[[float], Any]]
_RANGES: dict[str, _Scale] = {
    "rate": (parse_rate, _plain),
    "size": (parse_size, round),
    "ring": (partial(parse_slots, name="ring"), round),
    "consumers": (partial(parse_count, name="consumers"), round),
    "threshold": (partial(parse_slots, name="threshold"), round),
    "buffer": (lambda text: parse_buffer(text).amount, lambda value: f"{round(value)} B"),
    **{
        name: (partial(parse_duration, name=name, positive=name != "work"), _plain)
        for name in ("work", "duration", "timeout", "sleep")
    },
}


def _scale(name: str, ends: tuple[str, str]) -> _Scale:
    """Bits stay bits, because their packets depend on the frame size; slots stay slots."""
    if name == "rate" and all(end.endswith(("bit/s", "bps")) for end in ends):
        bit = parse_rate("1bit/s", size=64)
        return partial(_in_bits, bit=bit), lambda value: f"{value:.12g}bit/s"
    if name == "buffer" and all(parse_buffer(end).unit == "slots" for end in ends):
        return _RANGES[name][0], lambda value: f"{round(value)} slots"
    if name == "buffer" and any(parse_buffer(end).unit == "slots" for end in ends):
        raise ValueError(f"a range of buffer must count bytes or slots at both ends, got {ends}")
    return _RANGES[name]


def _range(name: str, text: str) -> list[Any]:
    logarithmic = text.startswith("log:")
    pieces = text.removeprefix("log:").split(":")
    if len(pieces) != 3:
        raise ValueError(
            f"{name} must be a value, a list, or a range from:to:count or log:from:to:count, "
            f"got {text!r}"
        )
    count = parse_count(pieces[2], name=f"count of the range of {name}")
    if count > _MOST_VALUES:
        raise ValueError(f"a range of {name} may have {_MOST_VALUES:,} values, got {count:,}")
    read, write = _scale(name, (pieces[0], pieces[1]))
    first, last = read(pieces[0]), read(pieces[1])
    if logarithmic and min(first, last) <= 0.0:
        raise ValueError(f"a logarithmic range of {name} must not begin or end at 0, got {text!r}")
    between = np.geomspace if logarithmic else np.linspace
    # counts are rounded, so several may fall together
    return list(dict.fromkeys(write(float(value)) for value in between(first, last, count)))


def burst_of(text: str) -> tuple[str, str]:
    """Rate and length of a burst.

    Parameters
    ----------
    text : str
        Both, with a colon between them.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If there is no such pair.

    Examples
    --------
    >>> burst_of("2Mpps:10ms")
    ('2Mpps', '10ms')
    """
    rate, colon, length = text.partition(":")
    if not (rate.strip() and colon and length.strip()):
        raise ValueError(f"burst must be a rate and a length such as 2Mpps:10ms, not {text!r}")
    return rate.strip(), length.strip()


_NEGATIVE = re.compile(r"-(?:[0-9.]|inf|nan)", re.IGNORECASE)


def with_negative_values(argv: Sequence[str]) -> list[str]:
    """The same arguments, with ``--rate -5kpps`` as ``--rate=-5kpps``.

    As a word of its own such a value is taken for an option, and the error says nothing of the
    value. No option begins with a digit.

    Parameters
    ----------
    argv : sequence of str
        As given.

    Returns
    -------
    list of str

    Examples
    --------
    >>> with_negative_values(["predict", "--rate", "-5kpps", "--json"])
    ['predict', '--rate=-5kpps', '--json']
    """
    joined: list[str] = []
    for text in argv:
        before = joined[-1] if joined else ""
        if re.fullmatch(r"--[^=]+", before) and _NEGATIVE.match(text):
            joined[-1] = f"{before}={text}"
        else:
            joined.append(text)
    return joined
