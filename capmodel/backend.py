"""A capture backend: the stages a packet crosses, who waits how, which costs are charged where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from capmodel.catalogue import expect, locate, names, read_toml
from capmodel.errors import damaged_file
from capmodel.path import BUFFER_KINDS, DRIVER_MODES, ON_FULL, WAIT_POLICIES
from capmodel.quantities import BufferSize, parse_buffer
from capmodel.references import reference

FAMILIES = ("paper", "modern", "kernel", "channel")
KNOBS = ("threshold", "timeout", "sleep", "buffer", "ring", "consumers")


@dataclass(frozen=True)
class Source:
    """Where a mechanism is described: a key of references.bib and a place in that work."""

    source: str
    locator: str


@dataclass(frozen=True)
class Release:
    """What it costs the consumer to give slots back, paid once per `threshold` packets.

    `once` names the costs of one release; `shared_lines` cache lines must be brought to the
    consumer's core for it and are waited for, as an atomic write to a line that the other side
    reads has to.
    """

    once: tuple[str, ...] = ()
    shared_lines: float = 0.0
    threshold: float = 1.0


@dataclass(frozen=True)
class StageCosts:
    """Costs that a stage charges, by the names of a machine's primitives.

    `once` per packet; `per_consumer` per packet and capture process; `copy` names the cost per
    captured byte (and process); `shared_lines` cache lines cross between the cores per packet;
    `stretch` names a factor on the application's own work; `release` is what a consumer pays on top
    to give slots back (None: nothing).
    """

    once: tuple[str, ...] = ()
    per_consumer: tuple[str, ...] = ()
    copy: str | None = None
    shared_lines: float = 0.0
    stretch: str | None = None
    release: Release | None = None


@dataclass(frozen=True)
class BufferRule:
    """Kind of buffer, its default size, and how many bytes one captured packet takes in it."""

    kind: str
    default: BufferSize
    header: int = 0
    align: int = 1
    fixed_slot: bool = True
    blocks: int = 1
    block: BufferSize | None = None
    retire: float | None = None


@dataclass(frozen=True)
class Waiting:
    """How the consumer waits: policy, costs by name, and the policy's own defaults."""

    policy: str
    poll: str | None = None
    signal: str | None = "wakeup"
    contention: str | None = None
    threshold: float = 1.0
    timeout: float | None = None
    sleep: float | str | None = None
    spins: float = 0.0
    spin_call: str | None = None


@dataclass(frozen=True)
class Backend:
    """One mechanism, as its TOML file declares it."""

    name: str
    title: str
    family: str
    kernel: StageCosts
    consumer: StageCosts
    waiting: Waiting
    buffer: BufferRule
    driver: str
    on_full: str
    knobs: frozenset[str]
    sources: tuple[Source, ...]


_COSTS: dict[str, type | tuple[type, ...]] = {
    "once": list, "per_consumer": list, "copy": str, "shared_lines": (int, float), "stretch": str,
}  # fmt: skip
_TABLES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "kernel": _COSTS,
    "consumer": {**_COSTS, "release": dict},
    "waiting": {
        "policy": str, "poll": str, "signal": str, "contention": str, "threshold": (int, float),
        "timeout": (int, float), "sleep": (int, float, str), "spins": (int, float),
        "spin_call": str,
    },
    "buffer": {
        "kind": str, "default": str, "header": int, "align": int, "fixed_slot": bool,
        "blocks": int, "block": str, "retire": (int, float),
    },
}  # fmt: skip
_RELEASE: dict[str, type | tuple[type, ...]] = {
    "once": list, "shared_lines": (int, float), "threshold": (int, float),
}  # fmt: skip
_TOP: dict[str, type | tuple[type, ...]] = {
    "title": str, "family": str, "extends": str, "driver": str, "on_full": str, "knobs": list,
    "sources": list, "kernel": dict, "consumer": dict, "waiting": dict, "buffer": dict,
}  # fmt: skip


def backend_names() -> tuple[str, ...]:
    """Names of all backends.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "tpacket_v3" in backend_names()
    True
    """
    return names("backends")


@cache
def load_backend(name: str) -> Backend:
    """The backend of that name.

    Parameters
    ----------
    name : str
        A name from :func:`backend_names`.

    Returns
    -------
    Backend

    Raises
    ------
    ValueError
        If the name is unknown (the message lists those that exist) or its file is damaged.

    Examples
    --------
    >>> load_backend("pf_packet").waiting.policy
    'poll'
    """
    path = locate("backends", name)
    return _build(name, path, _merged(path))


def _merged(path: Path, heirs: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file's content over that of the backend it extends, table by table."""
    if path in heirs:
        raise damaged_file(path, "extends", "goes in a circle")
    own = read_toml(path)
    expect(own, _TOP, path, "backend")
    for table, allowed in _TABLES.items():
        expect(own.get(table, {}), allowed, path, table)
    expect(own.get("consumer", {}).get("release", {}), _RELEASE, path, "consumer.release")
    if "extends" not in own:
        return own
    base = _merged(locate("backends", own["extends"]), (*heirs, path))
    merged = {**base, **own}
    for table in _TABLES:
        inherited = base.get(table, {})
        # another policy waits with other costs: nothing of the old one is kept but the signal
        if table == "waiting" and own.get("waiting", {}).get("policy", "") != "":
            inherited = {k: v for k, v in inherited.items() if k in ("signal", "poll")}
        merged[table] = {**inherited, **own.get(table, {})}
    return merged


def _build(name: str, path: Path, raw: dict[str, Any]) -> Backend:
    for key in ("title", "family", "kernel", "consumer", "waiting", "buffer", "sources"):
        if key not in raw:
            raise damaged_file(path, key, "missing")
    choices = (
        ("family", raw["family"], FAMILIES),
        ("waiting.policy", raw["waiting"].get("policy"), WAIT_POLICIES),
        ("buffer.kind", raw["buffer"].get("kind"), BUFFER_KINDS),
        ("driver", raw.get("driver", "napi"), DRIVER_MODES),
        ("on_full", raw.get("on_full", "drop"), ON_FULL),
        *(("knobs", knob, KNOBS) for knob in raw.get("knobs", ())),
    )
    for where, got, options in choices:
        if got not in options:
            raise damaged_file(path, where, f"{got!r} is not one of {', '.join(options)}")
    release = raw["consumer"].get("release", {})
    stages = {"kernel": raw["kernel"], "consumer": raw["consumer"], "consumer.release": release}
    for stage, costs in stages.items():
        for key in ("once", "per_consumer"):
            if not all(isinstance(cost, str) for cost in costs.get(key, ())):
                raise damaged_file(path, f"{stage}.{key}", "must hold names of costs")
    if not 1.0 <= release.get("threshold", 1.0) < math.inf:
        raise damaged_file(
            path, "consumer.release.threshold", f"must be at least 1, got {release['threshold']}"
        )
    if raw["buffer"]["kind"] == "blocks" and "block" not in raw["buffer"]:
        raise damaged_file(path, "buffer.block", "missing")
    if not raw["sources"]:
        raise damaged_file(path, "sources", "must not be empty")
    try:
        sources = tuple(Source(**entry) for entry in raw["sources"])
        for source in sources:
            reference(source.source)
        return Backend(
            name=name,
            title=raw["title"],
            family=raw["family"],
            kernel=_costs(raw["kernel"]),
            consumer=_costs(raw["consumer"]),
            waiting=Waiting(**raw["waiting"]),
            buffer=_rule(raw["buffer"]),
            driver=raw.get("driver", "napi"),
            on_full=raw.get("on_full", "drop"),
            knobs=frozenset(raw.get("knobs", ())),
            sources=sources,
        )
    except (TypeError, ValueError, KeyError) as error:
        raise damaged_file(path, "content", str(error)) from None


def _costs(raw: dict[str, Any]) -> StageCosts:
    return StageCosts(
        once=tuple(raw.get("once", ())),
        per_consumer=tuple(raw.get("per_consumer", ())),
        copy=raw.get("copy"),
        shared_lines=float(raw.get("shared_lines", 0.0)),
        stretch=raw.get("stretch"),
        release=_release(raw["release"]) if "release" in raw else None,
    )


def _release(raw: dict[str, Any]) -> Release:
    return Release(
        once=tuple(raw.get("once", ())),
        shared_lines=float(raw.get("shared_lines", 0.0)),
        threshold=float(raw.get("threshold", 1.0)),
    )


def _rule(raw: dict[str, Any]) -> BufferRule:
    read: dict[str, Any] = {
        key: parse_buffer(value, name=f"buffer.{key}") if key in ("default", "block") else value
        for key, value in raw.items()
    }
    return BufferRule(**read)
