"""Each rule speaks of the fault that it is for, from recorded counters, and of no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capmodel.backend import backend_names
from capmodel.counters.cpus import IdleState
from capmodel.counters.observation import Observation
from capmodel.counters.packet_sockets import PacketSocket, Ring
from capmodel.diagnosis import Diagnosis, judge
from capmodel.doctor.findings import SEVERITIES, worded
from capmodel.doctor.judgements import BACKENDS, capacity
from capmodel.doctor.limits import limits, thresholds
from capmodel.doctor.remedies import REMEDIES
from capmodel.doctor.rules import RULES
from capmodel.machine import load_machine
from capmodel.references import reference
from tests.doctor.worlds import PLAIN, SOCKET, looks, times, world

AMD = load_machine("braun_amd")
LIMITS = limits(AMD)
TINY = replace(SOCKET, ring=Ring(4096, 32, 2048, 64, 0.0))
HUGE = replace(SOCKET, ring=Ring(1 << 20, 64, 2048, 32768, 0.0))
FULL = times(0, softirq=97), times(1, user=10)
C6 = IdleState(0, "C6", 700e-6, 50, 0.0, False)


def judged(seen: Observation) -> Diagnosis:
    return judge(seen, LIMITS, AMD)


def found(seen: Observation) -> dict[str, Any]:
    return {finding.id: finding for finding in judged(seen).findings}


def test_a_healthy_capture_is_left_alone() -> None:
    diagnosis = judged(world())
    assert diagnosis.findings == ()
    assert diagnosis.lossy_stages == ()
    assert "Nothing found" in str(diagnosis)


def test_an_idle_link_is_not_called_healthy() -> None:
    diagnosis = judged(world(0, interrupts=0, softirqs=0))
    assert diagnosis.findings == ()
    text = str(diagnosis)
    assert "No packet came" in text
    assert "Nothing found" not in text
    assert " B)" not in text  # no frame, no size


FAULTS: dict[str, tuple[Observation, set[str]]] = {
    "card_drops": (world(link={"missed": 900}), {"card_drops"}),
    "overflow events alone": (world(link={"fifo": 3}), {"card_drops"}),
    "backlog_drops": (world(link={"dropped": 70}, softnet_dropped=50), {"backlog_drops"}),
    "kernel_full": (world(link={"missed": 9}, cpu=FULL), {"card_drops", "kernel_full"}),
    "a full core that loses nothing": (world(cpu=FULL), set()),
    "buffer_drops counted by the kernel": (
        world(1000, socket=replace(PLAIN, drops=40)), {"buffer_drops"},
    ),
    "buffer_drops seen in the ring": (world(1000, looks=looks(4096, 4096, 3)), {"buffer_drops"}),
    "a ring that is nearly full": (world(1000, looks=looks(4095, 4096, 3)), set()),
    "buffer_too_small": (
        world(socket=TINY, looks=looks(64, 64, 3)), {"buffer_drops", "buffer_too_small"},
    ),
    "consumer_too_slow": (
        world(socket=TINY, looks=looks(64, 64, 9), task={"run": 0.97, "user": 0.97}),
        {"buffer_drops", "consumer_too_slow"},
    ),
    "same_core_overload that loses": (
        world(1000, processed={1: 1000}, socket=replace(PLAIN, drops=9)),
        {"buffer_drops", "same_core_overload"},
    ),
    "same_core_overload without time": (
        world(processed={1: 100_000}, cpu=(times(0), times(1, softirq=60, user=38))),
        {"same_core_overload"},
    ),
    "one core with time to spare": (world(processed={1: 100_000}), set()),
    # what other interfaces did cannot be told from ours: nothing is said
    "others' packets on the consumer's core": (
        world(1000, processed={0: 40_000, 1: 60_000}, cpu=(times(0), times(1, user=99))), set(),
    ),
    "crowded_core": (
        world(1000, socket=replace(PLAIN, drops=9), task={"waited": 0.4}),
        {"buffer_drops", "crowded_core"},
    ),
    "left_to_scheduler": (
        world(task={"allowed": frozenset({0, 1}), "run": 0.6}, seen_on={0: 9, 1: 11}),
        {"left_to_scheduler"},
    ),
    "left to the scheduler and idle": (
        world(task={"allowed": frozenset({0, 1})}, seen_on={0: 9, 1: 11}), set(),
    ),
    "interrupt_storm of the card": (world(interrupts=99_000), {"interrupt_storm"}),
    "an interrupt per packet at a low rate": (world(1_000, interrupts=1_000), set()),
    "many interrupts, and fewer than packets": (world(10**6, interrupts=99_000), set()),
    "interrupt_storm of softirqs": (
        world(softirqs=100_000, irqs=(), link={"kind": "veth"}), {"interrupt_storm"},
    ),
    "softirqs of others": (
        world(1000, processed={0: 100_000}, softirqs=100_000, irqs=()), set(),
    ),
    "sleeps_too_often": (world(task={"sleeps": 90_000}), {"sleeps_too_often"}),
    "a sleep per packet at a low rate": (world(1000, task={"sleeps": 1000}), set()),
    "buffer_beyond_use": (world(1000, socket=HUGE), {"buffer_beyond_use"}),
    "a huge buffer at a rate that needs it": (world(10**6, socket=HUGE, interrupts=0), set()),
    "deep_idle": (world(idle=(C6,)), {"deep_idle"}),
    "deep idle at a low rate": (world(1000, idle=(C6,)), set()),
    "stolen_time": (world(cpu=(times(0, steal=5), times(1))), {"stolen_time"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_planted_is_found_and_nothing_else(name: str) -> None:
    seen, expected = FAULTS[name]
    assert set(found(seen)) == expected


def test_every_rule_is_planted() -> None:
    planted = set().union(*(expected for _, expected in FAULTS.values()))
    assert planted == {rule.id for rule in RULES}


def test_a_state_that_was_not_entered_is_not_blamed() -> None:
    seen = world(idle=(C6,))
    assert "deep_idle" not in found(replace(seen, before=seen.after))


def test_the_numbers_of_a_storm() -> None:
    finding = found(world(interrupts=99_000))["interrupt_storm"]
    assert finding.evidence["interrupts_per_packet"] == pytest.approx(0.99)
    assert finding.evidence["interrupt_rate"] == pytest.approx(99_000)
    share = 99_000 * AMD.value("interrupt")
    assert finding.evidence["interrupt_share"] == pytest.approx(share)
    assert finding.severity == "seen"  # the kernel has time for both
    assert all(each.price.now == each.price.after == 1.0 for each in finding.remedies)
    assert "0.99 interrupts per packet of the card, 99 k/s" in finding.explanation
    assert {remedy.id for remedy in finding.remedies} == {"moderation", "polling"}


def test_a_risk_becomes_a_loss_where_packets_are_lost() -> None:
    seen = world(interrupts=99_000, link={"missed": 5})
    assert found(seen)["interrupt_storm"].severity == "loss"
    order = [SEVERITIES.index(finding.severity) for finding in judged(seen).findings]
    assert order == sorted(order)


def test_the_numbers_of_a_sleeper() -> None:
    evidence = found(world(task={"sleeps": 90_000}))["sleeps_too_often"].evidence
    assert evidence["wakes_per_packet"] == pytest.approx(0.9)
    assert evidence["wake_share"] == pytest.approx(90_000 * AMD.value("wakeup"))


def test_losses_by_stage_and_offered_packets() -> None:
    # a card counts packets as received that a backlog drops; a software interface does not
    card = judged(world(link={"missed": 10, "dropped": 9}, softnet_dropped=4))
    assert [stage.lost for stage in card.stages] == [10, 4, None]
    assert card.observation.offered == 100_010
    assert card.lossy_stages == ("card's ring", "backlog")
    soft = world(link={"kind": "veth", "dropped": 9}, softnet_dropped=4)
    assert soft.offered == 100_004
    # drops that no backlog counted are of another kind: protocols that nobody takes
    assert world(link={"dropped": 9}).backlog_drops == 0


def test_the_share_of_a_core_is_what_must_be_ours() -> None:
    # 1000 of ours among 1500: even if all 300 elsewhere were ours, 700 were handled here
    seen = world(1000, processed={0: 300, 1: 1200})
    assert seen.receive_share(1) == pytest.approx(0.7)
    assert seen.receive_share(0) == 0.0
    assert world(1000, processed={0: 1000}).receive_share(0) == 1.0
    assert world(0, processed={}).receive_share(0) == 0.0


def test_counters_of_32_bits_that_wrap() -> None:
    seen = world(100)
    near = replace(seen.before.softnet[0], processed=2**32 - 40)
    before = replace(seen.before, softnet=(near, seen.before.softnet[1]))
    after = replace(seen.after, softnet=(replace(near, processed=60), seen.after.softnet[1]))
    assert replace(seen, before=before, after=after).processed[0] == 100


def test_statistics_taken_are_the_exact_count() -> None:
    seen = world(1000, statistics={7: (990, 120)})
    (capture,) = seen.captures
    assert (capture.packets, capture.drops) == (990, 120)
    assert found(seen)["buffer_drops"].evidence["lost"] == 120


def test_only_sockets_that_take_this_interfaces_packets_count() -> None:
    sender = replace(SOCKET, inode=8, protocol=0)
    elsewhere = replace(SOCKET, inode=9, interface=5)
    everywhere = replace(SOCKET, inode=10, interface=0)
    seen = world()
    both = replace(seen, after=replace(seen.after, sockets=(sender, elsewhere, everywhere)))
    assert [capture.socket.inode for capture in both.captures] == [10]
    assert both.captures[0].title == "a process unseen, TPACKET_V2 ring"
    assert replace(seen, pid=12).captures == seen.captures
    assert replace(seen, pid=13).captures == ()


def test_the_busiest_thread_is_the_one_that_captures() -> None:
    seen = world()
    (task,) = seen.after.tasks[12]
    (start,) = seen.before.tasks[12]
    logger = replace(task, tid=13, run=0.5, sleeps=3)
    started = replace(start, tid=13)
    two = replace(
        seen,
        before=replace(seen.before, tasks={12: (start, started)}),
        after=replace(seen.after, tasks={12: (task, logger, replace(task, tid=14))}),
    )
    activity = two.captures[0].activity
    assert activity is not None
    assert (activity.task.tid, activity.sleeps) == (13, 3)


@pytest.mark.parametrize(
    ("socket", "packets"),
    [
        (TINY, 64),
        # 64-byte frames: 576 bytes of sk_buff and shared info each, sock.c
        (PLAIN, 212992 // 640),
        # tpacket_v3.toml: a header of 68 bytes, aligned to 8
        (replace(SOCKET, version=3), 4096 * 2048 // 136),
    ],
)
def test_packets_that_a_buffer_holds(socket: PacketSocket, packets: int) -> None:
    seen = world(socket=socket)
    assert capacity(seen, seen.captures[0], LIMITS) == packets


def test_a_link_that_was_not_seen() -> None:
    seen = world()
    blind = replace(seen, after=replace(seen.after, link=None, softnet=(), cpu_times=()))
    diagnosis = judged(blind)
    assert [stage.lost for stage in diagnosis.stages[:2]] == [None, None]
    assert diagnosis.findings == ()


def test_the_table_of_rules_is_sound() -> None:
    names = [rule.id for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert set(rule.remedies) <= set(REMEDIES)
        assert rule.severity in SEVERITIES
        assert reference(rule.source.partition(",")[0]).text()
    assert set().union(*(rule.remedies for rule in RULES)) == set(REMEDIES)
    assert set(BACKENDS.values()) <= set(backend_names())


def test_thresholds_say_where_they_come_from_and_can_be_changed() -> None:
    for constant in thresholds().values():
        assert constant.source == "capmodel" or reference(constant.source)
    assert limits(AMD, {"buffer_time": 1.0})["buffer_time"] == 1.0
    with pytest.raises(ValueError, match=r"threshold must be one of .*did you mean 'buffer_time'"):
        limits(AMD, {"buffer_tyme": 1.0})
    with pytest.raises(ValueError, match="'buffer_time' must be at least 0, got nan"):
        limits(AMD, {"buffer_time": float("nan")})


def test_a_machine_without_a_cost_is_not_judged_by_it() -> None:
    spare = load_machine("netmap_900mhz")
    assert "interrupt" not in spare
    seen = world(interrupts=99_000)
    diagnosis = judge(seen, limits(spare), spare)
    assert not diagnosis.found("interrupt_storm")
    assert "netmap_900mhz' has no cost 'interrupt'" in diagnosis.not_seen["interrupt_storm"]
    assert "interrupt_storm" not in judged(seen).not_seen


def test_a_small_buffer_is_not_blamed_for_a_core_that_is_full() -> None:
    seen = world(processed={1: 100_000}, socket=TINY, looks=looks(64, 64, 3),
                 cpu=(times(0), times(1, softirq=60, user=40)))  # fmt: skip
    assert set(found(seen)) == {"buffer_drops", "same_core_overload"}
    crowded = world(socket=TINY, looks=looks(64, 64, 3), task={"waited": 0.4})
    spare = found(crowded)["buffer_too_small"].evidence["spare"]
    assert spare == "other programs kept the consumer from its core (it used 10 % of a core)"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("lost", None, "not seen"), ("lost", 1234, "1,234"), ("kind", "of the card", "of the card"),
        ("idle_share", 0.031, "3.1 %"), ("holds_time", 2e-3, "2 ms"),
        ("wakes_per_packet", 0.5, "0.5"), ("cache_memory", 32 << 20, "32 MiB"),
        ("interrupt_rate", 2e4, "20 k/s"),
    ],
)  # fmt: skip
def test_evidence_in_words(name: str, value: Any, text: str) -> None:
    assert worded(name, value) == text


def test_unknown_rules() -> None:
    with pytest.raises(ValueError, match=r"rule must be one of .*did you mean 'same_core"):
        judged(world()).found("same_core_overlord")
