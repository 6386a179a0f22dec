"""Observations written by hand: two readings of every counter, a second apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from capmodel.counters.cpus import IdleState
from capmodel.counters.links import Link
from capmodel.counters.observation import Observation
from capmodel.counters.packet_sockets import PacketSocket, Ring, RingLook
from capmodel.counters.proc import CpuTimes, Softnet, parse_cpu_table
from capmodel.counters.records import CardRing, Owner, Snapshot
from capmodel.counters.tasks import Task

RING = Ring(4096, 2048, 2048, 4096, 0.0)  # 4096 frames, 8 MiB
SOCKET = PacketSocket(7, 2, 3, 2, RING, 212992, 0, None, None)
PLAIN = PacketSocket(7, 2, 3, 1, None, 212992, 0, 0, None)
TASK = Task(12, "reader", frozenset({1}), 1, 0, 0, 0.0, 0.0, 0.0, 0.0)
LINK = Link("eth0", "", 2, b"\2\0\0\0\0\1", 0, 0, 0, 0, 0, 0, 0)
INTERRUPTS = "CPU0 CPU1\n 44: {} 0 PCI-MSI 1-edge eth0-rx-0\n"


def times(cpu: int, **kinds: int) -> CpuTimes:
    """Of a hundred ticks in the second; what is not named is idle."""
    named = dict.fromkeys(
        ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"), 0
    )
    return CpuTimes(cpu, **{**named, "idle": 100 - sum(kinds.values()), **kinds})


def world(
    packets: int = 100_000,
    *,
    octets: int = 60,
    processed: Mapping[int, int] | None = None,
    softnet_dropped: int = 0,
    link: Mapping[str, Any] | None = None,
    interrupts: int = 5_000,
    softirqs: int | None = None,
    socket: PacketSocket = SOCKET,
    task: Mapping[str, Any] | None = None,
    seen_on: Mapping[int, int] | None = None,
    looks: tuple[RingLook, ...] = (),
    statistics: Mapping[int, tuple[int, int]] | None = None,
    cpu: tuple[CpuTimes, ...] | None = None,
    idle: tuple[IdleState, ...] = (),
    **after: Any,
) -> Observation:
    """A healthy capture, but for what is named."""
    counts = {0: packets} if processed is None else processed
    runs = packets // 20 if softirqs is None else softirqs
    before = Snapshot(
        10.0, "eth0", LINK,
        interrupts=parse_cpu_table(INTERRUPTS.format(1_000)),
        softirqs=parse_cpu_table("CPU0 CPU1\n NET_RX: 500 0\n"),
        softnet=(Softnet(0, 0, 0, 0, 0, 0), Softnet(1, 0, 0, 0, 0, 0)),
        cpu_times=(CpuTimes(0, *[0] * 8), CpuTimes(1, *[0] * 8)),
        sockets=(PLAIN if socket.ring is None else SOCKET,),
        owners={7: Owner(12, "reader", 3)},
        tasks={12: (TASK,)},
        irqs=("44",),
        card_ring=CardRing(256, 4096),
        idle_states=tuple(replace(state, entered=0) for state in idle),
        cache=32 << 20,
        backlog_limit=1000,
    )  # fmt: skip
    later = replace(
        before,
        time=11.0,
        link=replace(LINK, **{"packets": packets, "bytes": octets * packets, **(link or {})}),
        interrupts=parse_cpu_table(INTERRUPTS.format(1_000 + interrupts)),
        softirqs=parse_cpu_table(f"CPU0 CPU1\n NET_RX: {500 + runs} 0\n"),
        softnet=tuple(
            Softnet(number, counts.get(number, 0), softnet_dropped if number == 0 else 0, 0, 0, 0)
            for number in (0, 1)
        ),
        cpu_times=cpu or (times(0, softirq=20), times(1, user=10)),
        sockets=(socket,),
        idle_states=idle,
        tasks={12: (replace(TASK, **{"sleeps": 1_000, "run": 0.1, "user": 0.1, **(task or {})}),)},
        **after,
    )
    return Observation(before, later, looks, {12: seen_on or {1: 20}}, statistics or {}, {})


def looks(used: int, total: int, count: int, losing: bool = False) -> tuple[RingLook, ...]:
    return (RingLook(7, used, total, losing),) * count
