"""Readers of the files of /proc that a packet leaves its traces in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from capmodel.errors import damaged_file

_WORD = 1 << 32  # softnet_stat prints 32-bit counters, which wrap


@dataclass(frozen=True)
class CpuTable:
    """Counts by row and CPU, as in /proc/interrupts and /proc/softirqs.

    Attributes
    ----------
    cpus : tuple of int
        The columns.
    rows : mapping of str to tuple of int
        Counts [-] by label, in the order of `cpus`.
    actions : mapping of str to str
        Chip, number and handlers by label; empty for softirqs.
    """

    cpus: tuple[int, ...]
    rows: Mapping[str, tuple[int, ...]]
    actions: Mapping[str, str]

    def count(self, label: str, cpu: int) -> int:
        """Count of a row on a CPU; 0 for a CPU or row that is not there [-]."""
        if label not in self.rows or cpu not in self.cpus:
            return 0
        return self.rows[label][self.cpus.index(cpu)]


def parse_cpu_table(text: str, source: str = "/proc/interrupts") -> CpuTable:
    r"""Counts by CPU from /proc/interrupts or /proc/softirqs.

    Parameters
    ----------
    text : str
        The file: a line ``CPU0 CPU1 ...``, then lines ``label: counts [description]``.
    source : str
        Its name, for errors.

    Returns
    -------
    CpuTable
        Rows that are not kept by CPU (``ERR``, ``MIS``) are left out.

    Raises
    ------
    ValueError
        If a line has another form; the message names it.

    Notes
    -----
    Source: linux_proc, section 1.2 ("interrupts", "softirqs").

    Examples
    --------
    >>> table = parse_cpu_table("  CPU0 CPU1\n 24: 7 9 PCI-MSI 1-edge eth0-rx-0\n ERR: 0\n")
    >>> table.rows["24"], table.actions["24"]
    ((7, 9), 'PCI-MSI 1-edge eth0-rx-0')
    """
    lines = text.splitlines()
    heads = lines[0].split() if lines else []
    if not heads or not all(re.fullmatch(r"CPU\d+", head) for head in heads):
        raise damaged_file(source, "line 1", "does not name the CPUs")
    rows: dict[str, tuple[int, ...]] = {}
    actions: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        label, colon, rest = line.partition(":")
        if not colon or not label.strip():
            raise damaged_file(source, f"line {number}", "has no label before a colon")
        parts = rest.split(None, len(heads))
        counts = [part for part in parts[: len(heads)] if part.isdecimal()]
        if len(counts) < len(heads):
            if not label.strip().isdecimal() and len(parts) <= 1:
                continue  # one count for all CPUs
            raise damaged_file(
                source, f"line {number}", f"has {len(counts)} counts for {len(heads)} CPUs"
            )
        rows[label.strip()] = tuple(map(int, counts))
        actions[label.strip()] = " ".join(parts[len(heads)].split()) if parts[len(heads) :] else ""
    return CpuTable(
        tuple(int(head[3:]) for head in heads), MappingProxyType(rows), MappingProxyType(actions)
    )


@dataclass(frozen=True)
class Softnet:
    """One CPU's counters of the receive softirq [packets, but time_squeeze and rps: events]."""

    cpu: int
    processed: int
    dropped: int
    time_squeeze: int
    received_rps: int
    backlog: int


def parse_softnet(text: str, source: str = "/proc/net/softnet_stat") -> tuple[Softnet, ...]:
    """Counters of the receive softirq by CPU.

    Parameters
    ----------
    text : str
        The file: a line of hexadecimal words for each CPU that is online.
    source : str
        Its name, for errors.

    Returns
    -------
    tuple of Softnet
        Kernels before 5.10 do not print the CPU: there it is the number of the line.

    Raises
    ------
    ValueError
        If a line has other words; the message names it.

    Notes
    -----
    Columns 1 to 3 are packets processed, packets dropped because the backlog queue was full, and
    times that the softirq ran out of its budget; 10 is the interrupts from RPS, 12 the length of
    the backlog, 13 the CPU. The counters are those of the whole machine, not of one interface.
    Source: linux_net_procfs, ``softnet_seq_show``.

    Examples
    --------
    >>> parse_softnet("0000000a 00000001 00000002 " + "00000000 " * 6 + "00000003 00000000")
    (Softnet(cpu=0, processed=10, dropped=1, time_squeeze=2, received_rps=3, backlog=0),)
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if len(words) < 9 or not all(re.fullmatch(r"[0-9a-fA-F]{8}", word) for word in words):
            raise damaged_file(
                source, f"line {number}", "is not nine or more words of eight hexadecimal digits"
            )
        values = [int(word, 16) for word in words] + [0] * 3
        cpu = values[12] if len(words) > 12 else number - 1
        backlog = values[11] if len(words) > 11 else 0
        rps = values[9] if len(words) > 9 else 0
        found.append(Softnet(cpu, values[0], values[1], values[2], rps, backlog))
    if not found:
        raise damaged_file(source, "file", "is empty")
    return tuple(found)


def wrapped(after: int, before: int) -> int:
    """Growth of a 32-bit counter that may have wrapped once.

    Parameters
    ----------
    after, before : int
        The later and the earlier reading.

    Returns
    -------
    int

    Examples
    --------
    >>> wrapped(2, 0xFFFFFFFF)
    3
    """
    return (after - before) % _WORD


@dataclass(frozen=True)
class PacketLine:
    """A packet socket as /proc/net/packet lists it: no ring, no drops."""

    inode: int
    kind: int
    protocol: int
    interface: int
    running: bool
    memory: int


def parse_net_packet(text: str, source: str = "/proc/net/packet") -> tuple[PacketLine, ...]:
    r"""Packet sockets of this network namespace.

    Parameters
    ----------
    text : str
        The file: a head, then ``sk RefCnt Type Proto Iface R Rmem User Inode``.
    source : str
        Its name, for errors.

    Returns
    -------
    tuple of PacketLine
        `memory` is what waits in the socket's queue [B]; packets in a mapped ring do not count.

    Raises
    ------
    ValueError
        If a line has other columns; the message names it.

    Notes
    -----
    Source: linux_af_packet, ``packet_seq_show``.

    Examples
    --------
    >>> head = "sk RefCnt Type Proto Iface R Rmem User Inode"
    >>> parse_net_packet(head + "\n0000000022efef56 3 3 0003 2 1 4992 0 127757\n")[0].interface
    2
    """
    lines = text.splitlines()
    if not lines or lines[0].split()[-1:] != ["Inode"]:
        raise damaged_file(source, "line 1", "does not end with the column Inode")
    found = []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        pattern = r"\d+ [0-9a-f]{4} \d+ [01] \d+ \d+ \d+"
        if len(words) != 9 or not re.fullmatch(pattern, " ".join(words[2:])):
            raise damaged_file(source, f"line {number}", "has not the nine columns of the head")
        found.append(
            PacketLine(
                int(words[8]),
                int(words[2]),
                int(words[3], 16),
                int(words[4]),
                words[5] == "1",
                int(words[6]),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class CpuTimes:
    """Time of one CPU by kind since boot [ticks]."""

    cpu: int
    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int

    @property
    def total(self) -> int:
        """All of them [ticks]."""
        return (
            self.user + self.nice + self.system + self.idle + self.iowait + self.irq
            + self.softirq + self.steal
        )  # fmt: skip


def parse_cpu_times(text: str, source: str = "/proc/stat") -> tuple[CpuTimes, ...]:
    r"""Time by CPU and kind.

    Parameters
    ----------
    text : str
        The file /proc/stat.
    source : str
        Its name, for errors.

    Returns
    -------
    tuple of CpuTimes
        Guest time is part of user time and is not listed again.

    Raises
    ------
    ValueError
        If a line of a CPU has fewer than eight counts, or there is none.

    Notes
    -----
    Source: linux_proc, section 1.7 (user, nice, system, idle, iowait, irq, softirq, steal).

    Examples
    --------
    >>> parse_cpu_times("cpu 9 0 0 0 0 0 0 0\ncpu0 5 0 1 90 0 0 3 1 0 0\nintr 1")[0].softirq
    3
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.match(r"cpu(\d+) ", line)
        if match is None:
            continue
        words = line.split()[1:9]
        if len(words) < 8 or not all(word.isdecimal() for word in words):
            raise damaged_file(source, f"line {number}", "has fewer than eight counts of time")
        found.append(CpuTimes(int(match[1]), *map(int, words)))
    if not found:
        raise damaged_file(source, "file", "has no line of a CPU")
    return tuple(found)
