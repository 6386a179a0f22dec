"""Prices are predictions, before and after, of the very arguments that were observed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capmodel.counters.observation import Observation
from capmodel.counters.packet_sockets import Ring
from capmodel.counters.records import CardRing
from capmodel.diagnosis import Diagnosis, judge
from capmodel.doctor.findings import Price, Remedy
from capmodel.doctor.limits import limits
from capmodel.doctor.situation import Situation, situation
from capmodel.machine import load_machine
from tests.doctor.worlds import PLAIN, RING, SOCKET, looks, times, world

AMD = load_machine("braun_amd")
LIMITS = limits(AMD)


def case(seen: Observation) -> Situation:
    found = situation(seen, seen.captures[0], LIMITS, AMD)
    assert isinstance(found, Situation)
    return found


def judged(seen: Observation) -> Diagnosis:
    return judge(seen, LIMITS, AMD)


def remedies(seen: Observation, rule: str) -> dict[str, Remedy]:
    (finding,) = judged(seen).found(rule)
    return {remedy.id: remedy for remedy in finding.remedies}


def test_the_models_picture_is_what_was_seen() -> None:
    found = case(world(800_000, octets=1250, task={"user": 0.4, "run": 0.5}))
    arguments = dict(found.arguments)
    assert arguments.pop("machine") is AMD
    work = arguments.pop("work")
    assert arguments == {
        "rate": pytest.approx(800_000), "size": 1254, "backend": "tpacket_v2", "pinning": "split",
        "buffer": "4096 slots", "ring": 256, "consumers": 1, "jumbo": True,
    }  # fmt: skip
    # 0.4 s in user mode for 800,000 packets, less what reading one from the ring costs there
    reading = found.predicted({"work": 0.0}).path.consumer.cost
    assert work == pytest.approx(max(0.0, 0.5e-6 - float(reading)))


@pytest.mark.parametrize(
    ("changes", "argument", "value"),
    [
        ({"socket": PLAIN}, "backend", "pf_packet_copy"),
        ({"socket": replace(SOCKET, version=3)}, "backend", "tpacket_v3"),
        ({"socket": replace(SOCKET, version=3)}, "buffer", f"{RING.memory} B"),
        ({"processed": {1: 100_000}}, "pinning", "same"),
        (
            {"task": {"allowed": frozenset({0, 1})}, "seen_on": {0: 3, 1: 4}},
            "pinning", "auto",
        ),
        ({"card_ring": None}, "ring", None),
    ],
)  # fmt: skip
def test_backend_buffer_and_places(changes: dict[str, Any], argument: str, value: Any) -> None:
    assert case(world(**changes)).arguments.get(argument) == value


def test_sockets_of_one_fanout_group_share_the_packets() -> None:
    seen = world()
    three = (
        replace(SOCKET, fanout=1),
        replace(SOCKET, inode=8, fanout=1),
        replace(SOCKET, inode=9),
    )
    several = replace(seen, after=replace(seen.after, sockets=three))
    assert case(several).arguments["consumers"] == 2


def test_a_consumer_that_is_away_is_one_that_sleeps() -> None:
    tiny = replace(SOCKET, ring=Ring(4096, 32, 2048, 64, 0.0))
    seen = world(socket=tiny, looks=looks(64, 64, 9), task={"sleeps": 50})
    found = case(seen)
    assert found.away == pytest.approx(0.9 / 50)  # a tenth of the second it was at work
    assert found.arguments["backend"] == "pf_packet_sleep"
    # in a cycle it finds 64 packets, and those that come while it reads: 64 / (1 - load) in all
    cost = float(found.prediction.path.consumer.cost)
    read = 64 / (1.0 - 1e5 * cost)
    assert found.prediction.captured == pytest.approx(
        read / (1e5 * (0.018 + read * cost)), rel=0.02
    )
    prices = remedies(seen, "buffer_too_small")
    price = prices["larger_buffer"].price
    assert price.now == pytest.approx(found.prediction.captured)
    assert price.after == pytest.approx(1.0, abs=1e-3)
    assert "stays away" in prices["blocks"].price.note


def test_waits_for_the_core_lengthen_the_work() -> None:
    busy = {"run": 0.2, "user": 0.2, "waited": 0.6}
    found = case(world(10_000, socket=replace(PLAIN, drops=2_000), task=busy))
    # it had its core for a quarter of the time that it wanted it
    reading = float(found.predicted({"work": 0.0}).path.consumer.cost)
    assert found.own_work + reading == pytest.approx(0.2 / 8_000)
    assert found.arguments["work"] + reading == pytest.approx(4 * 0.2 / 8_000)
    assert case(world(10_000, task={**busy, "waited": None})).own_work == pytest.approx(
        case(world(10_000, task={**busy, "waited": 0.0})).arguments["work"]
    )


def test_a_consumer_that_never_sleeps_may_be_spinning() -> None:
    found = case(world(task={"sleeps": 0, "run": 1.0, "user": 1.0}))
    assert found.arguments["work"] == 0.0
    assert "never sleeps" in found.notes[-1]


STORM = world(800_000, interrupts=790_000)
SAME = world(700_000, processed={1: 700_000}, task={"user": 0.4, "run": 0.4, "sleeps": 9},
             cpu=(times(0), times(1, softirq=60, user=40)))  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "rule", "name", "now", "after"),
    [
        (STORM, "interrupt_storm", "moderation", {"driver": "interrupt"}, {"driver": "moderated"}),
        (STORM, "interrupt_storm", "polling", {"driver": "interrupt"}, {"driver": "napi"}),
        (SAME, "same_core_overload", "other_core", {}, {"pinning": "split"}),
        (world(800_000, link={"missed": 900}), "card_drops", "larger_ring", {}, {"ring": 4096}),
        (
            world(800_000, task={"sleeps": 90_000}), "sleeps_too_often", "blocks", {},
            {"backend": "tpacket_v3", "buffer": f"{RING.memory} B"},
        ),
        (
            world(800_000, task={"sleeps": 90_000}), "sleeps_too_often", "pin_together", {},
            {"pinning": "same"},
        ),
        (
            world(800_000, cpu=(times(0, steal=20), times(1))), "stolen_time", "own_cpu",
            {"rate": 800_000 / 0.8}, {},
        ),
    ],
)  # fmt: skip
def test_prices(
    seen: Observation, rule: str, name: str, now: dict[str, Any], after: dict[str, Any]
) -> None:
    found = case(seen)
    expected = [found.predicted(changes).captured for changes in (now, after)]
    price = remedies(seen, rule)[name].price
    assert [price.now, price.after] == pytest.approx(expected)


def test_a_storm_costs_what_the_model_says_and_moderation_cures_it() -> None:
    price = remedies(STORM, "interrupt_storm")["moderation"].price
    assert price.now is not None
    assert price.after is not None
    assert price.after > price.now + 0.1  # braun2010, section 2.1


def test_late_wakes_are_priced_on_a_machine_that_wakes_later() -> None:
    from capmodel.counters.cpus import IdleState

    seen = world(1_200_000, idle=(IdleState(0, "C6", 900e-6, 5, 0.0, False),), interrupts=0)
    price = remedies(seen, "deep_idle")["shallow_idle"].price
    assert price.after == pytest.approx(case(seen).prediction.captured)
    assert price.now is not None


def test_what_does_not_apply_is_not_offered() -> None:
    seen = world(link={"missed": 9}, card_ring=CardRing(4096, 4096))
    assert set(remedies(seen, "card_drops")) == {"blocks", "af_xdp"}  # split, and the most there is
    blocks = world(link={"missed": 9}, socket=replace(SOCKET, version=3))
    assert "blocks" not in remedies(blocks, "card_drops")


def test_what_cannot_be_priced_says_why() -> None:
    price = remedies(world(link={"missed": 9}), "card_drops")["af_xdp"].price
    assert "machine 'braun_amd' has no cost 'xdp_receive'" in price.note
    backlog = world(link={"dropped": 70}, softnet_dropped=50)
    price = remedies(backlog, "backlog_drops")["larger_backlog"].price
    assert str(price) == "not priced: the model has no queue between interrupt and softirq"
    unseen = world(link={"missed": 9})
    nobody = replace(unseen, after=replace(unseen.after, sockets=()))
    assert "no socket that captures here" in remedies(nobody, "card_drops")["blocks"].price.note
    # a machine that lacks a cost is an answer too
    bare = load_machine("netmap_900mhz")
    diagnosis = judge(unseen, limits(bare), bare)
    (finding,) = diagnosis.found("card_drops")
    assert all("has no cost" in str(remedy.price) for remedy in finding.remedies)
    assert diagnosis.shares[0].model is None
    assert "has no cost" in str(diagnosis)


def test_commands_name_the_interface_and_the_process() -> None:
    actions = {remedy.action for remedy in remedies(STORM, "interrupt_storm").values()}
    assert any("ethtool -C eth0" in action for action in actions)
    # the packets are received on CPU 1: the other of the two is free
    assert remedies(SAME, "same_core_overload")["other_core"].action.endswith("taskset -cp 0 12")
    apart = world(800_000, task={"sleeps": 90_000})  # received on CPU 0, read on CPU 1
    together = remedies(apart, "sleeps_too_often")["pin_together"].action
    assert together.endswith("taskset -cp 0 12")
    moved = world(task={"allowed": frozenset({0, 1}), "run": 0.6}, seen_on={0: 9, 1: 11})
    commands = remedies(moved, "left_to_scheduler")
    assert commands["pin_apart"].action.endswith("taskset -cp 1 12")
    assert commands["pin_together"].action.endswith("taskset -cp 0 12")


def test_a_cpu_that_is_not_known_is_not_made_up() -> None:
    one = world(700_000, processed={1: 700_000}, cpu=(times(1, softirq=60, user=40),))
    alone = replace(one, before=replace(one.before, cpu_times=one.before.cpu_times[1:]))
    assert remedies(alone, "same_core_overload")["other_core"].action.endswith("-cp CPU 12")


def test_a_finding_that_nothing_would_change_is_not_called_a_risk() -> None:
    found = judged(SAME)
    (core,) = found.found("same_core_overload")
    assert {str(each.price) for each in core.remedies} == {"captured 100 % now, 100 % after"}
    assert core.severity == "seen"
    text = " ".join(str(found).split())
    assert "100 % now, 100 % after" not in text
    assert "nothing to gain by the model: captured 100 %, with and without a remedy" in text
    # where one does gain, a risk it stays
    stolen = judged(world(1_350_000, cpu=(times(0, steal=20), times(1)), interrupts=0))
    (time,) = stolen.found("stolen_time")
    (price,) = (each.price for each in time.remedies)
    assert price.now is not None
    assert price.after is not None
    assert price.now < price.after
    assert time.severity == "risk"


def test_prices_in_words() -> None:
    assert str(Price(0.5, 0.75)) == "captured 50 % now, 75 % after"
    assert str(Price(0.5, 0.75, "at most")) == "captured 50 % now, 75 % after (at most)"
    assert str(Price(None, None, "no")) == "not priced: no"


def test_no_process_no_prediction() -> None:
    seen = world(1000, socket=replace(PLAIN, drops=40))
    hidden = replace(seen, after=replace(seen.after, owners={}, tasks={}))
    diagnosis = judged(hidden)
    assert diagnosis.shares[0].seen == pytest.approx(0.96)
    assert diagnosis.shares[0].model is None
    (finding,) = diagnosis.found("buffer_drops")
    assert all(remedy.price.now is None for remedy in finding.remedies)


def test_no_packets_no_prediction() -> None:
    share = judged(world(0, processed={})).shares[0]
    assert (share.seen, share.model, share.note) == (None, None, "no packets arrived")
