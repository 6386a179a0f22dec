"""Faults planted in a network namespace of the test's own, and found through the live kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.alone import alone
from tests.doctor.stage import NO_NAMESPACE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the counters are those of Linux")
pytest.importorskip("pyroute2", reason="the test's own interfaces are made with pyroute2")

STAGE = Path(__file__).with_name("stage.py")
TRIES = 6
TROUBLES = {
    "card_drops", "backlog_drops", "kernel_full", "buffer_drops", "buffer_too_small",
    "consumer_too_slow", "same_core_overload", "left_to_scheduler", "interrupt_storm",
    "sleeps_too_often", "buffer_beyond_use",
}  # fmt: skip


def once(scenario: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(STAGE), scenario], capture_output=True, text=True, timeout=120,
        cwd=STAGE.parents[2], env={**os.environ, "PYTHONPATH": str(STAGE.parents[2])}, check=False,
    )  # fmt: skip
    if done.returncode == NO_NAMESPACE:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def quiet(found: dict[str, Any]) -> bool:
    """Whether the machine's packets were this test's for the most part."""
    return bool(found["received"] > 0 and found["everything"] < 1.5 * found["received"])


@cache
def staged(scenario: str, *, softirqs: bool = False) -> dict[str, Any]:
    """What the doctor says.

    Where softirq counters matter, which the kernel keeps for all interfaces together, a run in
    which other traffic outweighs the test's is repeated: nothing can be told from it.
    """
    for _ in range(TRIES):
        with alone():
            found = once(scenario)
        if quiet(found) or not softirqs:
            return found
    pytest.skip(f"other traffic on this machine outweighed the test's in {TRIES} runs")


def finding(found: dict[str, Any], rule: str) -> dict[str, Any]:
    matching = [each for each in found["findings"] if each["id"] == rule]
    assert len(matching) == 1, found["text"]
    return dict(matching[0])


def stage_loss(found: dict[str, Any], name: str) -> Any:
    return {each["name"]: each["lost"] for each in found["stages"]}[name]


def test_a_tiny_buffer_loses_at_the_buffer_and_is_called_too_small() -> None:
    found = staged("tiny_socket")
    lost = stage_loss(found, "buffer")
    assert lost > 0
    assert stage_loss(found, "card's ring") == 0
    drops = finding(found, "buffer_drops")
    assert (drops["evidence"]["lost"], drops["severity"]) == (lost, "loss")
    small = finding(found, "buffer_too_small")
    assert small["evidence"]["buffer"] == found["captures"][0]["socket"]["limit"] // 640
    (larger,) = (each for each in small["remedies"] if each["id"] == "larger_buffer")
    assert larger["price"]["after"] > larger["price"]["now"]


def test_the_model_agrees_with_what_a_consumer_that_is_away_loses() -> None:
    # a law, not a fit: the buffer once per pause, of what arrives in it
    (share,) = staged("tiny_socket")["shares"]
    assert share["seen"] < 0.5
    assert share["model"] < 0.5


def test_a_tiny_ring_is_seen_full_though_its_drops_are_hidden() -> None:
    found = staged("tiny_ring")
    assert stage_loss(found, "buffer") is None
    evidence = finding(found, "buffer_drops")["evidence"]
    assert evidence["full_looks"] > 0
    assert "the kernel marks packets with a loss" in evidence["sign"]
    assert finding(found, "buffer_too_small")["evidence"]["buffer"] == 8


def test_statistics_that_are_taken_count_exactly() -> None:
    found = staged("tiny_ring_statistics")
    (capture,) = found["captures"]
    assert 0 < capture["drops"] < capture["packets"]
    assert stage_loss(found, "buffer") == capture["drops"]
    assert finding(found, "buffer_drops")["evidence"]["lost"] == capture["drops"]


def test_kernel_and_reader_on_one_core() -> None:
    found = staged("same_core", softirqs=True)
    evidence = finding(found, "same_core_overload")["evidence"]
    assert evidence["cpu"] == found["reader_core"] == found["sender_core"]
    assert evidence["pinned"] == "yes"
    assert stage_loss(found, "buffer") == evidence["lost"] > 0
    actions = [each["action"] for each in finding(found, "same_core_overload")["remedies"]]
    assert any("taskset" in action for action in actions)


def test_a_softirq_per_packet() -> None:
    evidence = finding(staged("storm", softirqs=True), "interrupt_storm")["evidence"]
    assert evidence["interrupts_per_packet"] > 0.5
    assert evidence["kind"] == "of the receive softirq"


def test_a_consumer_that_sleeps_for_every_packet() -> None:
    found = staged("sleeper")
    evidence = finding(found, "sleeps_too_often")["evidence"]
    assert evidence["wakes_per_packet"] > 0.5
    assert "buffer_drops" not in {each["id"] for each in found["findings"]}


def test_a_healthy_capture_is_left_alone() -> None:
    found = staged("healthy")
    assert not TROUBLES & {each["id"] for each in found["findings"]}, found["text"]
    assert found["captures"][0]["full_looks"] == 0
    assert found["captures"][0]["looks"] > 0


def test_an_ordinary_user_is_told_what_was_not_seen() -> None:
    if os.geteuid() != 0:
        pytest.skip("it takes root to become another user")
    found = staged("ordinary_user")
    # the kernel shows sockets and drops to everybody, and processes to their owners
    assert "belong to processes of other users" in found["not_seen"]["owners"]
    assert stage_loss(found, "buffer") > 0
    assert found["captures"][0]["pid"] is None
    assert "run as root" in found["text"].replace("\n", " ").replace("    ", "")
    assert found["shares"][0]["model"] is None
    assert "was not seen" in finding(found, "buffer_too_small")["evidence"]["spare"]
    assert finding(found, "buffer_drops")["subject"].startswith("a process unseen")
