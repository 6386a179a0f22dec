"""The rules: what to look for, what it means, what helps. A table, and no chain of ifs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capmodel.counters.observation import Capture, Observation
from capmodel.doctor import judgements
from capmodel.doctor.judgements import Evidence
from capmodel.doctor.limits import Limits


@dataclass(frozen=True)
class Rule:
    """One thing to look for.

    Attributes
    ----------
    id : str
        Its name.
    per_capture : bool
        Whether it is asked of every capturing socket, or once of the interface.
    judge : callable
        (observation, capture or None, limits) -> evidence, or None if all is well.
    explanation : str
        What it means; names of the evidence in braces.
    remedies : tuple of str
        What helps, by name (``remedies.REMEDIES``).
    severity : str
        ``loss``, ``advice``, or ``risk`` for what is a loss only if packets are being lost.
    source : str
        Where the cause is described.
    cost : str
        The cost of the machine without which it cannot judge, as ``Limits`` has it.
    """

    id: str
    per_capture: bool
    judge: Callable[[Observation, Capture | None, Limits], Evidence]
    explanation: str
    remedies: tuple[str, ...]
    severity: str = "risk"
    source: str = "braun2010"
    cost: str = ""


RULES: tuple[Rule, ...] = (
    Rule(
        "card_drops", False, judgements.card_drops,
        "The card dropped {lost} of {offered} packets because no receive descriptor was free: the "
        "kernel's core comes too late. The driver also counted {overflow_events} overflow events.",
        ("larger_ring", "blocks", "other_core", "af_xdp"), "loss", "linux_statistics",
    ),
    Rule(
        "backlog_drops", False, judgements.backlog_drops,
        "{lost} of {offered} packets were dropped at the full backlog of a CPU ({backlog} "
        "packets), between the interface and the softirq.",
        ("larger_backlog", "blocks", "af_xdp"), "loss", "linux_net_procfs",
    ),
    Rule(
        "kernel_full", False, judgements.kernel_full,
        "CPU {cpu} spends {receive_share} of its time in interrupts and the receive softirq: the "
        "kernel side is the bottleneck, and a larger buffer behind it cannot help.",
        ("blocks", "af_xdp"), "loss", "braun2010",
    ),
    Rule(
        "buffer_drops", True, judgements.buffer_drops,
        "Its buffer ({buffer} packets, {buffer_memory}) overflows; packets lost there: {lost} "
        "({sign}).",
        ("larger_buffer", "less_work"), "loss", "packet_mmap",
    ),
    Rule(
        "buffer_too_small", True, judgements.buffer_too_small,
        "Its buffer holds {holds_time} of the traffic ({buffer} packets): a pause of {wanted_time} "
        "overflows it; {spare}.",
        ("larger_buffer", "blocks"), "loss", "braun2010, section 4.2",
    ),
    Rule(
        "consumer_too_slow", True, judgements.consumer_slow,
        "It uses {consumer_share} of a core and cannot keep up: a larger buffer only postpones the "
        "loss, now by {holds_time}.",
        ("less_work", "blocks", "larger_buffer"), "loss", "braun2010, section 4.2",
    ),
    Rule(
        "same_core_overload", True, judgements.same_core,
        "The kernel receives {receive_share} of the packets on CPU {cpu}, where this consumer runs "
        "too, and that CPU is idle for {idle_share} of its time. Where that does not suffice the "
        "kernel goes first, and takes packets from the card only to drop them at the full buffer.",
        ("other_core", "less_work"), "risk", "braun2010, section 4.1",
    ),
    Rule(
        "crowded_core", True, judgements.crowded_core,
        "It had packets to read and waited for other programs on its core for {waiting_share} of "
        "the time; itself it had {consumer_share}.",
        ("own_core",), "loss", "braun2010, section 4.1",
    ),
    Rule(
        "left_to_scheduler", True, judgements.left_to_scheduler,
        "The consumer may run on {allowed} CPUs and was seen on {seen_on}: the scheduler does not "
        "know what it needs.",
        ("pin_apart", "pin_together"), "advice", "braun2010, section 4.1 and 5.2",
    ),
    Rule(
        "interrupt_storm", False, judgements.storm,
        "{interrupts_per_packet} interrupts per packet {kind}, {interrupt_rate}: at the cost of an "
        "interrupt each they take {interrupt_share} of a core before any packet is served.",
        ("moderation", "polling", "gathering"), "risk", "braun2010, section 2.1 and 5.2",
        "interrupt",
    ),
    Rule(
        "sleeps_too_often", True, judgements.sleeps,
        "It goes to sleep {wake_rate}, {wakes_per_packet} times per packet; waking it costs the "
        "core that receives {wake_share} of its time.",
        ("blocks", "pin_together", "more_work"), "risk", "braun2010, section 4.3", "wakeup",
    ),
    Rule(
        "buffer_beyond_use", True, judgements.buffer_beyond_use,
        "Its buffer of {buffer_memory} outgrows the cache of {cache_memory}, so every packet "
        "misses it, and it holds {holds_time} of the traffic, more than any pause needs.",
        ("smaller_buffer",), "advice", "braun2010, section 4.2",
    ),
    Rule(
        "deep_idle", False, judgements.deep_idle,
        "CPU {cpu} entered idle state {state} {entered} times; it takes {exit_time} to wake from "
        "it, in which {arriving} packets arrive.",
        ("shallow_idle",), "risk", "linux_cpuidle",
    ),
    Rule(
        "stolen_time", False, judgements.stolen,
        "The hypervisor took {steal_share} of the time of CPU {cpu}: everything on it costs that "
        "much more, and it pauses without notice.",
        ("own_cpu",), "risk", "linux_proc",
    ),
)  # fmt: skip
