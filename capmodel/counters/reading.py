"""Who reads which field of a snapshot; each either returns it or says why it cannot."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

from capmodel.counters.cpus import (
    parse_cpu_list,
    parse_cpu_mask,
    parse_idle_state,
    parse_memory,
)
from capmodel.counters.links import Link, find_link
from capmodel.counters.packet_sockets import PacketSocket, packet_sockets
from capmodel.counters.proc import (
    CpuTable,
    parse_cpu_table,
    parse_cpu_times,
    parse_net_packet,
    parse_softnet,
)
from capmodel.counters.records import CardRing, Owner, Place
from capmodel.counters.tasks import parse_task


class NotShownError(OSError):
    """The kernel, or this installation, has nothing to show here; the text says why."""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _softnet(place: Place, seen: Mapping[str, Any]) -> Any:
    path = place.proc / "net" / "softnet_stat"
    return parse_softnet(_text(path), str(path))


def _table(name: str) -> Callable[[Place, Mapping[str, Any]], Any]:
    return lambda place, seen: parse_cpu_table(_text(place.proc / name), str(place.proc / name))


def _link(place: Place, seen: Mapping[str, Any]) -> Any:
    return find_link(place.interface)


def _sockets(place: Place, seen: Mapping[str, Any]) -> Any:
    try:
        return packet_sockets()
    except OSError as error:
        path = place.proc / "net" / "packet"
        listed = [
            PacketSocket(
                each.inode, each.interface, each.protocol, 1, None, 0, each.memory, None, None
            )
            for each in parse_net_packet(_text(path), str(path))
        ]
        if listed:
            count = f"{path} lists {len(listed)} sockets, but not their rings and drops"
            raise NotShownError(f"packet diag: {error}; {count}") from None
        return ()


def _owners(place: Place, seen: Mapping[str, Any]) -> Any:
    """Who holds the packet sockets; other users' descriptors are closed to us."""
    wanted = {sock.inode for sock in seen.get("sockets") or ()}
    found: dict[int, Owner] = {}
    closed = 0
    for folder in place.proc.iterdir():
        if not folder.name.isdecimal() or not wanted:
            continue
        try:
            for entry in (folder / "fd").iterdir():
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
                if match and int(match[1]) in wanted and int(match[1]) not in found:
                    name = _text(folder / "comm").strip()
                    found[int(match[1])] = Owner(int(folder.name), name, int(entry.name))
        except PermissionError:
            closed += 1
        except OSError:
            continue  # it has ended meanwhile
    missing = len(wanted - set(found))
    if missing and closed:
        raise NotShownError(
            f"{missing} packet sockets belong to processes of other users ({closed} are closed to "
            "this one); run as root to see them"
        )
    return MappingProxyType(found)


def _tasks(place: Place, seen: Mapping[str, Any]) -> Any:
    ticks = float(os.sysconf("SC_CLK_TCK"))
    pids = {owner.pid for owner in (seen.get("owners") or {}).values()}
    found = {}
    for pid in sorted(pids):
        threads = []
        for folder in sorted((place.proc / str(pid) / "task").iterdir(), key=lambda p: int(p.name)):
            try:
                finer = folder / "schedstat"
                schedstat = _text(finer) if finer.exists() else None
                status, stat = _text(folder / "status"), _text(folder / "stat")
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread that has ended meanwhile
            threads.append(parse_task(status, stat, schedstat, ticks, str(folder)))
        found[pid] = tuple(threads)
    return MappingProxyType(found)


def _own_device(place: Place, seen: Mapping[str, Any]) -> Path:
    """The interface's folder, if /sys shows this network namespace and not another."""
    link: Link | None = seen.get("link")
    try:
        index, address = _text(place.device / "ifindex"), _text(place.device / "address")
    except FileNotFoundError:
        raise NotShownError(
            f"{place.sys} does not show {place.interface}; it belongs to another network namespace"
        ) from None
    if link is not None and (int(index), address.strip()) != (link.index, link.address.hex(":")):
        raise NotShownError(f"{place.device} belongs to another network namespace")
    return place.device


_RECEIVING = re.compile(r"rx|input", re.I)
_OTHERWISE = re.compile(r"(?<![a-z])tx|output|config|control|misc|async|link", re.I)


def _irqs(place: Place, seen: Mapping[str, Any]) -> Any:
    """Interrupts of the card: its device's, and those whose handler bears its name.

    Those that by their names only send or configure are left out.
    """
    table: CpuTable | None = seen.get("interrupts")
    if table is None:
        return ()
    name = re.compile(rf"(?<![\w.]){re.escape(place.interface)}(?![\w.])")
    named = {label for label, action in table.actions.items() if name.search(action)}
    try:
        device = (_own_device(place, seen) / "device").resolve(strict=True)
    except OSError:
        return _receiving(named, table)
    # a virtio device has its interrupts one folder up, with its PCI function
    for folder in (device, device.parent):
        if (folder / "msi_irqs").is_dir():
            named |= {item.name for item in (folder / "msi_irqs").iterdir()} & set(table.rows)
            break
        if (folder / "irq").is_file():
            named |= {_text(folder / "irq").strip()} & (set(table.rows) - {"0"})
            break
    return _receiving(named, table)


def _receiving(irqs: set[str], table: CpuTable) -> tuple[str, ...]:
    actions = ((irq, table.actions.get(irq, "")) for irq in sorted(irqs))
    return tuple(
        irq for irq, text in actions if _RECEIVING.search(text) or not _OTHERWISE.search(text)
    )


def _affinity(place: Place, seen: Mapping[str, Any]) -> Any:
    found = {}
    for irq in seen.get("irqs") or ():
        path = place.proc / "irq" / irq / "smp_affinity_list"
        found[irq] = parse_cpu_list(_text(path), str(path))
    return MappingProxyType(found)


def _rps(place: Place, seen: Mapping[str, Any]) -> Any:
    found: frozenset[int] = frozenset()
    for path in sorted((_own_device(place, seen) / "queues").glob("rx-*/rps_cpus")):
        found |= parse_cpu_mask(_text(path), str(path))
    return found


def _ethtool() -> Any:
    try:
        from pyroute2.ethtool import Ethtool
    except ImportError:
        raise NotShownError("it needs pyroute2: pip install 'capmodel[lab]'") from None
    return closing(Ethtool())


_NO_ETHTOOL = "this interface has none (the driver answers no ethtool request)"


def _card_ring(place: Place, seen: Mapping[str, Any]) -> Any:
    with _ethtool() as tool:
        try:
            rings = tool.get_rings(place.interface)
        except Exception as error:  # pyroute2 has no common base of its errors
            raise NotShownError(_reason(error, _NO_ETHTOOL)) from None
    if not rings.rx or not rings.rx_max:
        raise NotShownError(_NO_ETHTOOL)
    return CardRing(int(rings.rx), int(rings.rx_max))


_LOSS_WORDS = re.compile(r"drop|miss|no_?buf|no_?desc|out_of|overrun|fifo|discard|ring_full", re.I)


def _card_counters(place: Place, seen: Mapping[str, Any]) -> Any:
    with _ethtool() as tool:
        asked = tool._with_ioctl  # the driver's own statistics have no netlink form
        try:
            asked.change_ifname(place.interface)
            pairs = asked.get_statistics()
        except Exception as error:
            raise NotShownError(_reason(error, _NO_ETHTOOL)) from None
    return MappingProxyType(
        {name: int(value) for name, value in pairs if _LOSS_WORDS.search(name) and "tx" not in name}
    )


def _reason(error: Exception, otherwise: str) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else otherwise


def _cpu_folders(place: Place) -> list[tuple[int, Path]]:
    folders = (place.sys / "devices" / "system" / "cpu").glob("cpu[0-9]*")
    return sorted((int(folder.name[3:]), folder) for folder in folders)


def _idle_states(place: Place, seen: Mapping[str, Any]) -> Any:
    found = []
    for cpu, folder in _cpu_folders(place):
        for state in sorted((folder / "cpuidle").glob("state*")):
            fields = {
                item: _text(state / item)
                for item in ("name", "latency", "usage", "time", "disable")
                if (state / item).exists()
            }
            found.append(parse_idle_state(cpu, fields, str(state)))
    if not found:
        raise NotShownError("the kernel shows no idle states here (cpuidle)")
    return tuple(found)


def _cache(place: Place, seen: Mapping[str, Any]) -> Any:
    paths = place.sys.joinpath("devices", "system", "cpu").glob("cpu[0-9]*/cache/index*/size")
    sizes = [parse_memory(_text(path), str(path)) for path in paths]
    if not sizes:
        raise NotShownError("the kernel shows no caches here")
    return max(sizes)


def _backlog_limit(place: Place, seen: Mapping[str, Any]) -> Any:
    path = place.proc / "sys" / "net" / "core" / "netdev_max_backlog"
    text = _text(path).strip()
    if not text.isdecimal():
        raise ValueError(f"{path} holds {text!r}, not a count")
    return int(text)


# field of Snapshot -> who reads it; later ones see what earlier ones found
READERS: Mapping[str, Callable[[Place, Mapping[str, Any]], Any]] = MappingProxyType(
    {
        "card_ring": _card_ring,  # first: it may load a library, and the clock starts after it
        "link": _link,
        "sockets": _sockets,  # close to the link: their counters are compared
        "interrupts": _table("interrupts"),
        "softirqs": _table("softirqs"),
        "softnet": _softnet,
        "cpu_times": lambda place, seen: parse_cpu_times(
            _text(place.proc / "stat"), str(place.proc / "stat")
        ),
        "owners": _owners,
        "tasks": _tasks,
        "irqs": _irqs,
        "affinity": _affinity,
        "rps": _rps,
        "card_counters": _card_counters,
        "idle_states": _idle_states,
        "cache": _cache,
        "backlog_limit": _backlog_limit,
    }
)
UNCHANGING = ("card_ring", "rps", "affinity", "cache", "backlog_limit")
"""What need not be read a second time."""
