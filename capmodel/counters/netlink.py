"""A netlink dump and its attributes: enough to ask the kernel about links and packet sockets."""

from __future__ import annotations

import os
import socket
import struct

from capmodel.errors import damaged_file

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: the answer is not of one moment
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_SECONDS = 5.0
_RECEIVE = 1 << 20


def dump(protocol: int, kind: int, request: bytes) -> tuple[bytes, ...]:
    """Payloads of the answers to a dump request.

    Parameters
    ----------
    protocol : int
        ``NETLINK_ROUTE`` (0) or ``NETLINK_SOCK_DIAG`` (4).
    kind : int
        Type of the message.
    request : bytes
        What follows its header.

    Returns
    -------
    tuple of bytes

    Raises
    ------
    OSError
        If the kernel refuses, or does not answer within seconds.
    ValueError
        If the answer is damaged.

    Notes
    -----
    Source: linux_netlink_intro, "Dump requests".

    Examples
    --------
    >>> import sys
    >>> sys.platform != "linux" or len(dump(0, 18, bytes(16))) > 0  # RTM_GETLINK
    True
    """
    found: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as channel:
        channel.settimeout(_SECONDS)
        channel.bind((0, 0))
        header = _HEADER.pack(_HEADER.size + len(request), kind, _REQUEST_DUMP, 1, 0)
        channel.send(header + request)
        while True:
            payloads, finished = messages(channel.recv(_RECEIVE))
            found += payloads
            if finished:
                return tuple(found)


def messages(data: bytes, source: str = "netlink") -> tuple[tuple[bytes, ...], bool]:
    r"""Payloads of the messages in one datagram, and whether the dump ends with it.

    Parameters
    ----------
    data : bytes
        The datagram.
    source : str
        Where it is from, for errors.

    Returns
    -------
    tuple
        Payloads, and True if the last message says that the dump is complete.

    Raises
    ------
    OSError
        If a message reports an error.
    ValueError
        If a message is cut off.

    Notes
    -----
    Source: linux_netlink_intro, "Netlink message format" and "Dump requests".

    Examples
    --------
    >>> messages(b"\x14\0\0\0" + b"\x03\0" + bytes(14))
    ((), True)
    """
    found: list[bytes] = []
    offset = 0
    while offset < len(data):
        length = _HEADER.unpack_from(data, offset)[0] if len(data) - offset >= 16 else 0
        if length < _HEADER.size or offset + length > len(data):
            raise damaged_file(source, f"byte {offset}", "a message is cut off")
        kind, flags = _HEADER.unpack_from(data, offset)[1:3]
        payload = data[offset + _HEADER.size : offset + length]
        if kind == _ERROR and len(payload) >= 4:
            number = -struct.unpack_from("=i", payload)[0]
            raise OSError(number, os.strerror(number))
        if flags & _INTERRUPTED:
            raise OSError(4, "the kernel's list changed while it was read")
        if kind == _DONE:
            return tuple(found), True
        found.append(payload)
        offset += (length + 3) & ~3
    return tuple(found), False


def attributes(data: bytes, source: str = "netlink") -> dict[int, bytes]:
    r"""Attributes by type.

    Parameters
    ----------
    data : bytes
        What follows the fixed part of a message, or the content of a nested attribute.
    source : str
        Where it is from, for errors.

    Returns
    -------
    dict of int to bytes

    Raises
    ------
    ValueError
        If one is cut off.

    Notes
    -----
    Source: linux_netlink_intro, "Attributes".

    Examples
    --------
    >>> attributes(b"\x08\0\x05\0abcd")
    {5: b'abcd'}
    """
    found: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset) if len(data) - offset >= 4 else (0, 0)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            raise damaged_file(source, f"byte {offset}", "an attribute is cut off")
        found[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found
