"""Where the kernels add up: positions in the array of times and in the array of counts."""

from __future__ import annotations

# seconds (or packet-seconds), in an array of floats
TIMES = (
    "elapsed",
    "ring time",  # time in the ring of all packets that left it
    "buffer time",  # time in the buffer of all packets, all consumers
    "stay",  # from arrival to the end of processing, of captured packets
    "kernel packets",
    "kernel drops",
    "kernel wakeups",
    "kernel interrupts",
    "consumer packets",
    "consumer waiting",
    "consumer switches",
)
(
    ELAPSED, RING_TIME, BUFFER_TIME, STAY, KERNEL_PACKETS, KERNEL_DROPS, KERNEL_WAKEUPS,
    KERNEL_INTERRUPTS, CONSUMER_PACKETS, CONSUMER_WAITING, CONSUMER_SWITCHES,
) = range(len(TIMES))  # fmt: skip

# packets and events, in an array of integers; buffer drops and captures add up over consumers
COUNTS = (
    "offered",
    "ring drops",
    "buffer drops",
    "captured",
    "wakes",
    "polls",
    "interrupts",
    "in ring before",
    "in ring after",
    "in buffers before",
    "in buffers after",
)
(
    OFFERED, RING_DROPS, BUFFER_DROPS, CAPTURED, WAKES, POLLS, INTERRUPTS, RING_BEFORE,
    RING_AFTER, BUFFERS_BEFORE, BUFFERS_AFTER,
) = range(len(COUNTS))  # fmt: skip
