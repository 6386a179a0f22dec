"""The consumer's own work per packet and per byte: a named program, or the caller's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from capmodel.catalogue import expect, locate, names, read_toml
from capmodel.columns import checked_column, is_column
from capmodel.errors import damaged_file, unknown_choice
from capmodel.quantities import parse_duration
from capmodel.references import reference

DEFAULT_APPLICATION = "tcpdump"
_TOP: dict[str, type | tuple[type, ...]] = {
    "title": str, "costs": list, "snaplen": int, "source": str, "locator": str, "notes": str,
    "level": list, "sizes": list, "scale": str,
}  # fmt: skip
_LEVEL: dict[str, type | tuple[type, ...]] = {"nanoseconds": list}


@dataclass(frozen=True)
class Application:
    """A consumer's own work.

    `costs` are names of a machine's primitives charged per packet. `curve` is a measured time per
    packet [s] at some frame sizes [B], charged times the machine's factor `curve_scale` (a zlib
    level on a machine faster or slower than the measured one). `packet` and `byte` are the
    caller's own seconds. `snaplen` is how many bytes of a frame are captured.
    """

    name: str
    title: str
    costs: tuple[str, ...] = ()
    curve: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    curve_scale: str = ""
    packet: Any = 0.0
    byte: Any = 0.0
    snaplen: int = 65535
    source: str = "capmodel"
    locator: str = "the caller's own numbers"

    def seconds(self, values: Mapping[str, Any], captured_bytes: Any) -> Any:
        """Work per packet [s] on a machine with these primitive costs [s]."""
        total = np.asarray(self.packet, dtype=np.float64) + self.byte * captured_bytes
        for cost in self.costs:
            total = total + values[cost]
        if self.curve is not None:
            total = total + values[self.curve_scale] * _on_curve(self.curve, captured_bytes)
        return total

    @property
    def primitives(self) -> tuple[str, ...]:
        """Names of all primitives that it charges."""
        return (*self.costs, *((self.curve_scale,) if self.curve is not None else ()))


def _on_curve(curve: tuple[tuple[float, ...], tuple[float, ...]], size: Any) -> Any:
    """Time per packet between the measured sizes; beyond them in proportion to the size."""
    sizes, times = (np.asarray(part, dtype=np.float64) for part in curve)
    beyond = np.maximum(np.asarray(size) / sizes[-1], 1.0)
    if times.ndim > 1:  # several levels at once, one per row
        return np.stack([np.interp(size, sizes, row) * beyond for row in times])[:, None]
    return np.interp(size, sizes, times) * beyond


def application_names() -> tuple[str, ...]:
    """Names of the applications; one with levels is called ``name:level``.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "tcpdump" in application_names()
    True
    """
    return names("applications")


def load_application(application: str | Application) -> Application:
    """An application by name.

    Parameters
    ----------
    application : str or Application
        ``"tcpdump"``, ``"packzip:3"``, ... or an application (returned as it is).

    Returns
    -------
    Application

    Raises
    ------
    ValueError
        If name or level is unknown; the message lists those that exist.

    Examples
    --------
    >>> load_application("packzip:9").name
    'packzip:9'
    """
    if isinstance(application, Application):
        return application
    if not isinstance(application, str):
        raise TypeError(f"application must be a name or an Application, got {application!r}")
    return _named(application)


@cache
def _named(text: str) -> Application:
    name, _, level = text.partition(":")
    if name not in names("applications"):
        listed = unknown_choice("application", name, application_names())
        raise ValueError(f"{listed}; for any other program give its time per packet as work")
    path = locate("applications", name)
    raw = read_toml(path)
    expect(raw, _TOP, path, "application")
    for key in ("title", "costs", "snaplen", "source", "locator"):
        if key not in raw:
            raise damaged_file(path, key, "missing")
    if raw["source"] != "capmodel":
        try:
            reference(raw["source"])
        except KeyError as error:
            raise damaged_file(path, "source", str(error.args[0])) from None
    common = {
        "title": raw["title"], "costs": tuple(raw["costs"]), "snaplen": raw["snaplen"],
        "source": raw["source"], "locator": raw["locator"],
    }  # fmt: skip
    levels = raw.get("level", [])
    if not levels:
        if level:
            raise ValueError(f"application {name!r} has no levels, got {text!r}")
        return Application(name=name, **common)
    options = tuple(str(index) for index in range(len(levels)))
    if level not in options:
        raise unknown_choice(f"level of application {name!r}", level, options)
    entry = levels[int(level)]
    expect(entry, _LEVEL, path, f"level[{level}]")
    sizes, times = raw.get("sizes", []), entry.get("nanoseconds", [])
    if not sizes or len(times) != len(sizes):
        raise damaged_file(path, f"level[{level}]", "needs one time for every size")
    if sizes != sorted(set(sizes)):
        raise damaged_file(path, "sizes", f"must rise, got {sizes}")
    if "scale" not in raw:
        raise damaged_file(path, "scale", "missing")
    return Application(
        name=text,
        curve=(tuple(map(float, sizes)), tuple(float(time) * 1e-9 for time in times)),
        curve_scale=raw["scale"],
        **common,
    )


def own_work(work: Any, snaplen: int = 65535) -> Application:
    """The caller's own work: seconds per packet, or a pair (seconds per packet, per byte).

    Parameters
    ----------
    work : float, str, ndarray or pair
        For example ``7e-7``, ``"700ns"`` or ``("200ns", "5ns")``.
    snaplen : int
        Bytes captured of each frame.

    Returns
    -------
    Application

    Raises
    ------
    ValueError, TypeError
        If a value is not a duration, or the pair does not have two parts.

    Examples
    --------
    >>> own_work(("200ns", "5ns")).byte
    5e-09
    """
    if isinstance(work, (tuple, list)):
        if len(work) != 2:
            raise ValueError(
                "work must be seconds per packet or a pair (per packet, per byte), "
                f"got {len(work)} values"
            )
        packet, byte = work
    else:
        packet, byte = work, 0.0
    return Application(
        name="work",
        title="the caller's own work",
        packet=_seconds(packet, "work"),
        byte=_seconds(byte, "work per byte"),
        snaplen=snaplen,
    )


def _seconds(value: Any, name: str) -> Any:
    if is_column(value):
        return checked_column(value, name, open_end=False)
    return parse_duration(value, name=name, positive=False)
