"""What can receive in the lab: one entry for every way in which Linux hands packets over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capmodel.quantities import BufferSize

_RING_WAITS = ("poll", "busy", "sleep", "yield")
# bytes of a frame that never reach the kernel's buffer
CHECKSUM = 4


@dataclass(frozen=True)
class Receiver:
    """What a receiver can do, and its defaults.

    Parameters
    ----------
    title : str
        In words.
    waits : tuple of str
        Ways to wait; the first is the default.
    buffer : str or None
        Default size of the buffer; None leaves it to the kernel.
    units : tuple of str
        In what the buffer may be given.
    header, align : int
        Bytes of a slot besides the frame [B], and what its size is rounded up to [B].
    version : int or None
        Number of the TPACKET version that the kernel knows it by.
    block_size, timeout : optional
        Defaults of a receiver with blocks [B], [s].
    """

    title: str
    waits: tuple[str, ...]
    buffer: str | None
    units: tuple[str, ...]
    header: int = 0
    align: int = 1
    version: int | None = None
    block_size: int | None = None
    timeout: float | None = None

    @property
    def blocks(self) -> bool:
        """Whether packets are handed over in blocks."""
        return self.block_size is not None

    def slot(self, size: float) -> int:
        """Bytes [B] that a frame of this size [B] takes."""
        whole = self.header + int(size) - CHECKSUM
        return -(-whole // self.align) * self.align

    def memory(self, buffer: BufferSize, size: float) -> float:
        """Bytes [B] of a buffer for frames of this size [B]."""
        return buffer.amount if buffer.unit == "bytes" else buffer.amount * self.slot(size)

    def slots(self, buffer: BufferSize, size: float) -> int:
        """Frames of this size [B] that a buffer holds [slots], at least 1."""
        if buffer.unit == "slots":
            return int(buffer.amount)
        return max(1, int(buffer.amount) // self.slot(size))


RECEIVERS: Mapping[str, Receiver] = {
    # a slot: header and address of the version, then the frame at its aligned place; the kernel's
    # packet_mmap.txt gives the sum, if_packet.h the parts
    "tpacket_v2": Receiver(
        "AF_PACKET, TPACKET_V2 ring", _RING_WAITS, "4096 slots", ("slots", "bytes"), 66, 16, 1
    ),
    "tpacket_v1": Receiver(
        "AF_PACKET, TPACKET_V1 ring", _RING_WAITS, "4096 slots", ("slots", "bytes"), 66, 16, 0
    ),
    "tpacket_v3": Receiver(
        "AF_PACKET, TPACKET_V3 blocks", _RING_WAITS, "2MiB", ("bytes",), 82, 8, 2,
        block_size=2**18, timeout=0.01,
    ),
    "pf_packet_copy": Receiver(
        "AF_PACKET, one copying recv() per packet", ("read", *_RING_WAITS), None, ("bytes",)
    ),
    "af_xdp": Receiver(
        "AF_XDP socket, copy mode", _RING_WAITS, "2048 slots", ("slots",), 0, 2048
    ),
}  # fmt: skip
