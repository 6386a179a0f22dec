"""What the kernel counts for a network interface."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from capmodel.counters.netlink import attributes, dump
from capmodel.errors import damaged_file, unknown_choice

_GETLINK = 18  # RTM_GETLINK
_IFNAME, _ADDRESS, _LINKINFO, _STATS64, _INFO_KIND = 3, 1, 18, 23, 1
# places of the receive counters in struct rtnl_link_stats64, in 64-bit words
_WORDS = {
    "packets": 0, "bytes": 2, "errors": 4, "dropped": 6, "over": 11, "fifo": 14, "missed": 15,
}  # fmt: skip
_INFO_SIZE = 16  # struct ifinfomsg
_LOOPBACK = 772  # ARPHRD_LOOPBACK of if_arp.h: its link has no kind of its own


@dataclass(frozen=True)
class Link:
    """Receive counters of one interface.

    Attributes
    ----------
    name, kind : str
        Its name, and ``veth``, ``loopback`` and the like; the kind of a card is empty.
    index : int
        Its number in this namespace.
    address : bytes
        Its hardware address.
    packets, bytes : int
        Good packets that the host received; their bytes without checksum [packets, B].
    missed : int
        Packets that the card dropped because no receive descriptor was free [packets].
    dropped : int
        Packets received but not processed, the full backlog among the reasons [packets].
    fifo, over : int
        Overflow events, which need not correspond to packets one to one [-].
    errors : int
        Bad packets [packets].
    """

    name: str
    kind: str
    index: int
    address: bytes
    packets: int
    bytes: int
    missed: int
    dropped: int
    fifo: int
    over: int
    errors: int


def parse_link(payload: bytes, source: str = "RTM_GETLINK") -> Link:
    """One interface from a netlink message.

    Parameters
    ----------
    payload : bytes
        The message without its header.
    source : str
        Where it is from, for errors.

    Returns
    -------
    Link

    Raises
    ------
    ValueError
        If it is cut off or has no counters.

    Notes
    -----
    Source: linux_statistics, struct rtnl_link_stats64 (if_link.h).
    """
    if len(payload) < _INFO_SIZE:
        raise damaged_file(source, "byte 0", "a message is cut off")
    hardware, index = struct.unpack_from("=Hi", payload, 2)
    fields = attributes(payload[_INFO_SIZE:], source)
    stats = fields.get(_STATS64, b"")
    if len(stats) < 8 * (max(_WORDS.values()) + 1) or _IFNAME not in fields:
        raise damaged_file(source, f"interface {index}", "has no name or no 64-bit counters")
    kind = b"loopback" if hardware == _LOOPBACK else b""
    if _LINKINFO in fields:
        kind = attributes(fields[_LINKINFO], source).get(_INFO_KIND, kind)
    counts = {key: struct.unpack_from("=Q", stats, 8 * word)[0] for key, word in _WORDS.items()}
    return Link(_text(fields[_IFNAME]), _text(kind), index, fields.get(_ADDRESS, b""), **counts)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def links() -> tuple[Link, ...]:
    """The interfaces of this network namespace.

    Returns
    -------
    tuple of Link

    Raises
    ------
    OSError
        If the kernel does not answer.

    Examples
    --------
    >>> import sys
    >>> sys.platform != "linux" or "lo" in {link.name for link in links()}
    True
    """
    return tuple(parse_link(payload) for payload in dump(0, _GETLINK, bytes(_INFO_SIZE)))


def find_link(name: str) -> Link:
    """An interface by name.

    Parameters
    ----------
    name : str
        The interface.

    Returns
    -------
    Link

    Raises
    ------
    ValueError
        If this namespace has no such interface; the message lists those it has.
    OSError
        If the kernel does not answer.
    """
    found = {link.name: link for link in links()}
    if name not in found:
        raise unknown_choice("interface", name, found)
    return found[name]


def parse_net_dev(text: str, source: str = "/proc/net/dev") -> dict[str, tuple[int, int, int]]:
    r"""Bytes, packets and drops received by interface, where netlink is not to be had.

    Parameters
    ----------
    text : str
        The file: two lines of heads, then ``name: eight receive and eight transmit counters``.
    source : str
        Its name, for errors.

    Returns
    -------
    dict of str to tuple of int
        The drops are those of the card and of the kernel in one number.

    Raises
    ------
    ValueError
        If a line has another form; the message names it.

    Notes
    -----
    Source: linux_net_procfs, ``dev_seq_printf_stats``.

    Examples
    --------
    >>> parse_net_dev("h|h\nh|h\n eth0: 640 10 0 2 0 0 0 0 0 0 0 0 0 0 0 0\n")
    {'eth0': (640, 10, 2)}
    """
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if number <= 2 and "|" in line:
            continue
        match = re.match(r"\s*(\S+):\s*((?:\d+\s*){16})$", line)
        if match is None:
            raise damaged_file(source, f"line {number}", "is not a name and sixteen counters")
        words = [int(word) for word in match[2].split()]
        found[match[1]] = (words[0], words[1], words[3])
    return found
