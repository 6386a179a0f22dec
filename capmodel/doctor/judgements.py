"""What must be true of an observation for a rule to speak; each returns its evidence or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from capmodel.backend import load_backend
from capmodel.counters.observation import Capture, Observation
from capmodel.doctor.limits import Limits
from capmodel.quantities import format_share

Evidence = Mapping[str, Any] | None

# a ring by its TPACKET version, and a socket without one (0), as the model's mechanisms
BACKENDS: Mapping[int, str] = {0: "pf_packet_copy", 1: "tpacket_v2", 2: "tpacket_v2",
                               3: "tpacket_v3"}  # fmt: skip


def backend_name(capture: Capture) -> str:
    """The mechanism of the model that a socket is."""
    return BACKENDS[capture.socket.version if capture.socket.ring else 0]


def capacity(seen: Observation, capture: Capture, limits: Limits) -> float:
    """Packets that a socket's buffer holds, at the frame size that was seen [packets]."""
    ring = capture.socket.ring
    if ring is None:
        return max(1.0, capture.socket.limit // (limits["skb_overhead"] + seen.frame_size))
    if capture.socket.version < 3:
        return float(ring.frames)
    rule = load_backend(backend_name(capture)).buffer
    slot = np.ceil((seen.frame_size + rule.header) / rule.align) * rule.align
    return float(np.floor(ring.memory / slot))


def memory(capture: Capture) -> int:
    """Memory of a socket's buffer [B]."""
    return capture.socket.ring.memory if capture.socket.ring else capture.socket.limit


def consumer_share(seen: Observation, capture: Capture) -> float | None:
    """Share of a core that the capturing thread used [-]."""
    if capture.activity is None or seen.seconds <= 0.0:
        return None
    return capture.activity.cpu_time / seen.seconds


def wanted_share(seen: Observation, capture: Capture) -> float:
    """Share of the time that the capturing thread had something to do, running or not [-]."""
    waited = (capture.activity.waited or 0.0) if capture.activity else 0.0
    return (consumer_share(seen, capture) or 0.0) + waited / seen.seconds


def kept_waiting(seen: Observation, capture: Capture, limits: Limits) -> float | None:
    """Share of the time that the capturing thread had work and other programs had its core [-].

    On the core that receives, the softirq's own time is not other programs'.
    """
    if capture.activity is None or capture.activity.waited is None or seen.seconds <= 0.0:
        return None
    waited = capture.activity.waited / seen.seconds
    cpu = consumer_cpu(capture)
    if cpu is not None and seen.receive_share(cpu) >= limits["core_share"]:
        waited -= seen.cpu_share(cpu, "irq", "softirq") or 0.0
    return max(0.0, waited)


def consumer_cpu(capture: Capture) -> int | None:
    """The one CPU that the capturing thread is bound to, or was always seen on."""
    if capture.activity is None:
        return None
    places = capture.activity.task.allowed
    if len(places) > 1:
        places = frozenset(capture.activity.seen_on)
    return next(iter(places)) if len(places) == 1 else None


def card_drops(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The card had no free descriptor."""
    if not seen.ring_drops and not seen.overflow_events:
        return None
    ring = seen.after.card_ring
    grown = {
        name: count - seen.before.card_counters.get(name, 0)
        for name, count in seen.after.card_counters.items()
    }
    return {
        "lost": seen.ring_drops,
        "offered": seen.offered,
        "overflow_events": seen.overflow_events,
        "ring": ring.slots if ring else None,
        "ring_most": ring.most if ring else None,
        **{f"driver:{name}": count for name, count in grown.items() if count},
    }


def backlog_drops(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """A CPU's queue between interrupt and softirq was full."""
    if not seen.backlog_drops:
        return None
    return {
        "lost": seen.backlog_drops,
        "offered": seen.offered,
        "backlog": seen.after.backlog_limit,
        "squeezed": seen.squeezed,
    }


def kernel_full(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The core that receives does nothing else, and loses."""
    if not (seen.ring_drops or seen.backlog_drops):
        return None
    for cpu in seen.receive_cpus:
        busy = seen.cpu_share(cpu, "irq", "softirq")
        if busy is not None and busy >= limits["core_full"]:
            return {"cpu": cpu, "receive_share": busy, "squeezed": seen.squeezed}
    return None


def buffer_drops(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The buffer between kernel and consumer was full."""
    if capture is None or not capture.loses:
        return None
    return {
        "lost": capture.drops,
        "offered": seen.offered,
        "buffer": int(capacity(seen, capture, limits)),
        "buffer_memory": memory(capture),
        "full_looks": capture.full_looks,
        "looks": len(capture.looks),
        "sign": _sign(capture),
    }


def _sign(capture: Capture) -> str:
    """What shows that a buffer overflows."""
    if not capture.looks:
        return "counted by the kernel"
    text = f"the ring was full in {capture.full_looks} of {len(capture.looks)} looks"
    if any(each.losing for each in capture.looks):
        text += ", and the kernel marks packets with a loss before them"
    return text


def buffer_too_small(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The buffer overflows within a moment, and the consumer has time to spare."""
    if capture is None or not capture.loses or seen.rate <= 0.0:
        return None
    holds = capacity(seen, capture, limits) / seen.rate
    share = consumer_share(seen, capture)
    if holds >= limits["buffer_time"] or wanted_share(seen, capture) >= limits["core_full"]:
        return None
    if same_core(seen, capture, limits) is not None:
        return None  # it is the core that is too small
    return {
        "buffer": int(capacity(seen, capture, limits)),
        "buffer_memory": memory(capture),
        "holds_time": holds,
        "wanted_time": limits["buffer_time"],
        "consumer_share": share,
        "spare": _spare(seen, capture, limits),
    }


def _spare(seen: Observation, capture: Capture, limits: Limits) -> str:
    """Whether a consumer could have read in time."""
    share = consumer_share(seen, capture)
    if share is None:
        return "whether the consumer has time to spare was not seen"
    used = f"it used {format_share(share)} of a core"
    if (kept_waiting(seen, capture, limits) or 0.0) >= limits["waiting_share"]:
        return f"other programs kept the consumer from its core ({used})"
    return f"the consumer has time to spare ({used})"


def consumer_slow(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The consumer uses its whole core and still loses."""
    if capture is None or not capture.loses:
        return None
    share = consumer_share(seen, capture)
    if share is None or share < limits["core_full"]:
        return None
    return {
        "consumer_share": share,
        "holds_time": capacity(seen, capture, limits) / seen.rate if seen.rate else None,
    }


def same_core(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """Kernel and consumer share a core that has no time left."""
    if capture is None or capture.activity is None or not seen.received:
        return None
    cpu = consumer_cpu(capture)
    if cpu is None or seen.receive_share(cpu) < limits["core_share"]:
        return None
    idle = seen.cpu_share(cpu, "idle", "iowait")
    if not capture.loses and (idle is None or idle >= limits["core_idle"]):
        return None
    return {
        "cpu": cpu,
        "receive_share": seen.receive_share(cpu),
        "idle_share": idle,
        "consumer_share": consumer_share(seen, capture),
        "waited_time": capture.activity.waited,
        "preempted": capture.activity.preempted,
        "lost": capture.drops,
        "pinned": "yes" if len(capture.activity.task.allowed) == 1 else "no",
    }


def crowded_core(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """Other programs have the consumer's core while it has packets to read."""
    if capture is None or not capture.loses:
        return None
    waiting = kept_waiting(seen, capture, limits)
    if waiting is None or waiting < limits["waiting_share"]:
        return None
    return {
        "waiting_share": waiting,
        "consumer_share": consumer_share(seen, capture),
        "preempted": capture.activity.preempted if capture.activity else None,
    }


def left_to_scheduler(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The consumer may run anywhere, was moved, and is busy or loses."""
    if capture is None or capture.activity is None or not seen.received:
        return None
    allowed, seen_on = capture.activity.task.allowed, capture.activity.seen_on
    share = consumer_share(seen, capture) or 0.0
    if len(allowed) < 2 or len(seen_on) < 2:
        return None
    if not capture.loses and share < limits["core_busy"]:
        return None
    return {"allowed": len(allowed), "seen_on": len(seen_on), "consumer_share": share}


def storm(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """About an interrupt per packet, so many that they take a share of a core."""
    each = seen.interrupts_per_packet
    if each is None or limits.interrupt is None or not seen.received:
        return None
    if seen.card_interrupts is None and seen.own_share < limits["core_share"]:
        return None  # the softirqs were mostly those of other interfaces
    rate = each * seen.received / seen.seconds
    share = rate * limits.interrupt
    if each < limits["interrupts_per_packet"] or share < limits["overhead_share"]:
        return None
    return {
        "interrupts_per_packet": each,
        "interrupt_rate": rate,
        "interrupt_share": share,
        "kind": "of the card" if seen.card_interrupts is not None else "of the receive softirq",
        "softirqs_per_packet": seen.softirqs_per_packet,
    }


def sleeps(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The consumer goes to sleep so often that waking it takes a share of the kernel's core."""
    if capture is None or capture.activity is None or limits.wakeup is None or not seen.received:
        return None
    rate = capture.activity.sleeps / seen.seconds
    share = rate * limits.wakeup
    if share < limits["overhead_share"]:
        return None
    return {
        "wake_rate": rate,
        "wakes_per_packet": capture.activity.sleeps / seen.received,
        "wake_share": share,
    }


def buffer_beyond_use(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The buffer outgrows the cache and holds more than any pause of the consumer."""
    cache = seen.after.cache
    if capture is None or cache is None or not seen.received:
        return None
    holds = capacity(seen, capture, limits) / seen.rate
    if memory(capture) <= cache or holds <= limits["buffer_longest"]:
        return None
    return {"buffer_memory": memory(capture), "cache_memory": cache, "holds_time": holds}


def deep_idle(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """A capturing core idled so deeply that many packets came while it woke."""
    places = set(seen.receive_cpus)
    if capture is not None and (cpu := consumer_cpu(capture)) is not None:
        places.add(cpu)
    earlier = {(each.cpu, each.name): each for each in seen.before.idle_states}
    found = []
    for state in seen.after.idle_states:
        before = earlier.get((state.cpu, state.name))
        entered = state.entered - before.entered if before else 0
        arriving = state.latency * seen.rate
        if state.cpu in places and entered > 0 and arriving >= limits["c_state_packets"]:
            found.append((state, entered, arriving))
    if not found:
        return None
    state, entered, arriving = max(found, key=lambda each: each[0].latency)
    return {
        "cpu": state.cpu,
        "state": state.name,
        "exit_time": state.latency,
        "entered": entered,
        "arriving": arriving,
    }


def stolen(seen: Observation, capture: Capture | None, limits: Limits) -> Evidence:
    """The hypervisor took time from a core that captures."""
    places = list(seen.receive_cpus)
    for each in seen.captures:
        cpu = consumer_cpu(each)
        if cpu is not None and cpu not in places:
            places.append(cpu)
    shares = {cpu: seen.cpu_share(cpu, "steal") or 0.0 for cpu in places}
    worst = max(shares, key=lambda cpu: shares[cpu], default=None)
    if worst is None or shares[worst] < limits["steal_share"]:
        return None
    return {"cpu": worst, "steal_share": shares[worst]}
