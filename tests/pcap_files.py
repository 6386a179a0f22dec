"""Capture files written byte by byte from the formats' definitions, without any library."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

START = 1_700_000_000_000_000_000  # [ns] since 1970

# a packet: time since START [ns], original length [B], bytes kept of it
Packet = tuple[int, int, int]


def pcap(
    packets: Sequence[Packet], *, nano: bool = True, order: str = "<", link: int = 1,
    snaplen: int = 65535,
) -> bytes:  # fmt: skip
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for time, length, kept in packets:
        seconds, fraction = divmod(START + time, 10**9)
        unit = fraction if nano else fraction // 1000
        out += [struct.pack(order + "IIII", seconds, unit, kept, length), bytes(kept)]
    return b"".join(out)


def pcapng(
    packets: Sequence[Packet], *, order: str = "<", resolution: int | None = 9, link: int = 1,
    tail: bool = True, simple: bool = False,
) -> bytes:  # fmt: skip
    """`resolution`: decimal digits of the unit of time, or with 128 added binary ones."""
    option = b""
    if resolution is not None:
        option = struct.pack(order + "HHB3x", 9, 1, resolution) + struct.pack(order + "HH", 0, 0)
    ticks = 10**6 if resolution is None else (
        2 ** (resolution & 127) if resolution & 128 else 10**resolution
    )  # fmt: skip
    out = [
        _block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(order, 1, struct.pack(order + "HHI", link, 0, 65535) + option),
    ]
    for time, length, kept in packets:
        if simple:
            out.append(_block(order, 3, struct.pack(order + "I", length) + bytes(length)))
            continue
        stamp = (START + time) * ticks // 10**9
        head = struct.pack(order + "5I", 0, stamp >> 32, stamp & 0xFFFFFFFF, kept, length)
        out.append(_block(order, 6, head + bytes(kept)))
    if tail:  # statistics of the interface
        out.append(_block(order, 5, struct.pack(order + "III", 0, 0, 0)))
    return b"".join(out)


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def write(folder: Path, content: bytes, name: str = "traffic.pcap") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
