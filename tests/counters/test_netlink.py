"""Netlink answers built by hand from the kernel's headers, and damaged ones."""

from __future__ import annotations

import errno
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.counters.links import parse_link
from capmodel.counters.netlink import attributes, messages
from capmodel.counters.packet_sockets import Ring, parse_packet_socket, parse_ring


def attribute(kind: int, content: bytes) -> bytes:
    head = struct.pack("=HH", 4 + len(content), kind)
    return head + content + bytes(-len(content) % 4)


def message(kind: int, payload: bytes, flags: int = 2) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload


def words(*values: int) -> bytes:
    return struct.pack(f"={len(values)}I", *values)


def test_messages_until_done() -> None:
    data = message(20, b"abcd") + message(20, b"efgh")
    assert messages(data) == ((b"abcd", b"efgh"), False)
    assert messages(data + message(3, bytes(4)) + b"rest") == ((b"abcd", b"efgh"), True)


def test_refusals_of_the_kernel() -> None:
    with pytest.raises(OSError, match="Operation not permitted") as caught:
        messages(message(2, struct.pack("=i", -errno.EPERM)))
    assert caught.value.errno == errno.EPERM
    with pytest.raises(OSError, match="changed while it was read"):
        messages(message(20, b"abcd", flags=0x12))


@given(st.binary(max_size=60))
def test_any_datagram_is_read_or_refused(data: bytes) -> None:
    for read in (messages, attributes, parse_link, parse_packet_socket):
        with suppress(ValueError, OSError):  # and nothing else
            read(data)  # type: ignore[operator]


def test_attributes_are_aligned_and_their_flags_left_out() -> None:
    data = attribute(3, b"eth0\0") + attribute(18 | 0x8000, b"abcd")
    assert attributes(data) == {3: b"eth0\0", 18: b"abcd"}
    with pytest.raises(ValueError, match="netlink, byte 12: an attribute is cut off"):
        attributes(data[:-1])


def link(stats: bytes, hardware: int = 1, kind: bytes = b"veth\0") -> bytes:
    head = struct.pack("=BBHiII", 0, 0, hardware, 7, 0, 0)
    kind = attribute(18, attribute(1, kind)) if kind else b""
    return (
        head + attribute(3, b"far\0") + attribute(1, b"\2\0\0\0\0\1") + attribute(23, stats) + kind
    )


def test_counters_of_a_link() -> None:
    # struct rtnl_link_stats64: each word holds its own place
    found = parse_link(link(struct.pack("=25Q", *range(100, 125))))
    assert (found.name, found.kind, found.index) == ("far", "veth", 7)
    assert found.address == b"\2\0\0\0\0\1"
    assert (found.packets, found.bytes, found.errors) == (100, 102, 104)  # rx_, every other tx_
    assert (found.dropped, found.over, found.fifo, found.missed) == (106, 111, 114, 115)
    with pytest.raises(ValueError, match="interface 7: has no name or no 64-bit counters"):
        parse_link(link(bytes(64)))


def test_a_loopback_is_no_card() -> None:
    counters = struct.pack("=25Q", *range(25))
    assert parse_link(link(counters, 772, b"")).kind == "loopback"  # if_arp.h
    assert parse_link(link(counters, 1, b"")).kind == ""


HEAD = struct.pack("=BBHIII", 17, 3, 3, 4711, 0, 0)
MEMORY = attribute(6, words(4992, 4608, 0, 212992, 0, 0, 0, 0, 94))


def test_a_socket_without_a_ring_shows_its_drops() -> None:
    sock = parse_packet_socket(HEAD + attribute(0, words(2, 0, 0, 0, 0, 1)) + MEMORY)
    assert (sock.inode, sock.interface, sock.protocol, sock.version) == (4711, 2, 3, 1)
    assert (sock.queued, sock.limit, sock.drops, sock.ring) == (4992, 4608, 94, None)
    assert sock.fanout is None
    assert sock.title == "socket without a ring"


def test_a_socket_with_a_ring_does_not() -> None:
    data = HEAD + attribute(0, words(2, 2, 0, 0, 0, 1)) + MEMORY
    data += attribute(2, words(1 << 18, 8, 2048, 1024, 60, 0, 0))
    data += attribute(3, words(4096, 4, 2048, 8, 0, 0, 0))
    data += attribute(4, words(0x0003_002A))
    sock = parse_packet_socket(data)
    assert sock.ring == Ring(1 << 18, 8, 2048, 1024, 0.06, sent=16384)
    assert sock.ring.memory == 2 << 20
    assert (sock.drops, sock.version, sock.fanout) == (None, 3, 42)
    assert sock.title == "TPACKET_V3 ring"


@pytest.mark.parametrize("lost", [attribute(0, words(2, 0, 0, 0, 0, 1)), MEMORY])
def test_a_socket_cut_short(lost: bytes) -> None:
    whole = HEAD + attribute(0, words(2, 0, 0, 0, 0, 1)) + MEMORY
    with pytest.raises(ValueError, match="socket 4711: an attribute is missing or cut off"):
        parse_packet_socket(whole.replace(lost, b""))
    with pytest.raises(ValueError, match="a message is cut off"):
        parse_packet_socket(whole[:10])


def frames(statuses: list[int], block: int, size: int) -> bytes:
    """Blocks of frames that each begin with a status word; no frame crosses a block."""
    each = block // size
    memory = bytearray()
    for first in range(0, len(statuses), each):
        part = b"".join(
            words(status) + bytes(size - 4) for status in statuses[first : first + each]
        )
        memory += part + bytes(block - len(part))
    return bytes(memory)


# Documentation/networking/packet_mmap.rst: USER is 1, LOSING is 4
@pytest.mark.parametrize(
    ("statuses", "used", "losing"),
    [
        ([0, 0, 0, 0], 0, False),
        ([1, 0x500041, 0, 1], 3, False),
        ([1, 5, 1, 1], 4, True),
        ([1, 4, 0, 0], 1, False),  # a mark on a frame that is the kernel's says nothing
    ],
)
def test_frames_of_a_ring(statuses: list[int], used: int, losing: bool) -> None:
    # frames of 1536 bytes leave a gap at the end of each block of 4096
    ring = Ring(4096, 2, 1536, 4, 0.0)
    found = parse_ring(frames(statuses, 4096, 1536), 2, ring, 9)
    assert (found.inode, found.used, found.total, found.losing) == (9, used, 4, losing)
    assert found.full is (used == 4)


def test_blocks_of_a_ring() -> None:
    # struct tpacket_block_desc: version, offset_to_priv, then block_status
    blocks = [words(1, 48, status, 33) + bytes(4096 - 16) for status in (1, 5, 0)]
    found = parse_ring(b"".join(blocks), 3, Ring(4096, 3, 2048, 6, 0.01))
    assert (found.used, found.total, found.losing) == (2, 3, True)


@pytest.mark.parametrize(
    ("ring", "message"),
    [
        (Ring(4096, 3, 2048, 6, 0.0), "3 blocks of 4096 bytes does not fit 8192 bytes"),
        (Ring(0, 2, 2048, 4, 0.0), "does not fit"),
        (Ring(4096, 2, 0, 0, 0.0), "a frame of 0 bytes does not fit a block"),
        (Ring(4096, 2, 8192, 4, 0.0), "a frame of 8192 bytes does not fit a block"),
    ],
)
def test_a_geometry_that_does_not_fit(ring: Ring, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_ring(bytes(8192), 2, ring)
