"""`diagnose` and `capmodel doctor`: arguments, refusals, and what is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from capmodel import diagnosis
from capmodel.cli import main
from capmodel.counters import links, packet_sockets
from capmodel.counters.observation import Observation
from capmodel.diagnosis import capturing_interface, diagnose
from tests.doctor.worlds import LINK, SOCKET, looks, world

STORM = world(800_000, interrupts=790_000, looks=looks(4096, 4096, 2, losing=True))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `observe` was asked; it answers with a storm, on any system."""
    asked: list[Any] = []

    def answer(place: Any, seconds: float, **options: Any) -> Observation:
        asked.append((place.interface, seconds, options))
        return replace(STORM, not_seen={"cpu_times": "no permission"})

    monkeypatch.setattr(diagnosis, "observe", answer)
    monkeypatch.setattr(sys, "platform", "linux")
    return asked


def test_the_interval_and_the_process_are_passed_on(watched: list[Any]) -> None:
    found = diagnose("eth0", interval="250ms", pid=12, take_statistics=True)
    assert watched == [("eth0", 0.25, {"pid": 12, "statistics": True})]
    assert found.found("interrupt_storm")
    assert not found.own_machine
    assert "rank the remedies and promise no share" in found.caveat
    assert diagnose("eth0", machine="braun_xeon").caveat.startswith("Prices are predictions with")
    assert diagnose("eth0", machine="braun_xeon").own_machine


def test_thresholds_can_be_raised(watched: list[Any]) -> None:
    found = diagnose("eth0", thresholds={"overhead_share": 1e9})
    assert not found.found("interrupt_storm")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "0s"}, "interval must be"),
        ({"interval": "2h"}, "interval must be at most an hour, got '2h'"),
        ({"pid": 0}, "pid must be the number of a process, got 0"),
        ({"machine": "braun_am"}, "machine must be one of .*did you mean 'braun_amd'"),
        ({"thresholds": {"x": 1.0}}, "threshold must be one of"),
    ],
)
def test_refusals(watched: list[Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        diagnose("eth0", **arguments)
    assert watched == []


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ValueError, match=r"^diagnose reads the counters of Linux.*is darwin$"):
        diagnose("eth0")


Answer = Callable[[], tuple[Any, ...]]


@pytest.mark.parametrize(
    ("sockets", "message"),
    [
        ((), "no packet socket is bound to one"),
        ((replace(SOCKET, protocol=0),), "no packet socket is bound to one"),
        ((SOCKET, replace(SOCKET, interface=3)), "several are captured on: choose from eth0, eth1"),
    ],
)
def test_no_interface_or_several(
    monkeypatch: pytest.MonkeyPatch, sockets: tuple[Any, ...], message: str
) -> None:
    both = (LINK, replace(LINK, name="eth1", index=3))
    monkeypatch.setattr(links, "links", lambda: both)
    monkeypatch.setattr(packet_sockets, "packet_sockets", lambda: sockets)
    monkeypatch.setattr(diagnosis, "interfaces_of", lambda: ("eth0", "eth1"))
    with pytest.raises(ValueError, match=f"INTERFACE must be given, because {message}"):
        capturing_interface()
    monkeypatch.setattr(packet_sockets, "packet_sockets", lambda: (SOCKET,))
    assert capturing_interface() == "eth0"

    def refuse() -> tuple[Any, ...]:
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(packet_sockets, "packet_sockets", refuse)
    with pytest.raises(ValueError, match=r"the kernel does not list .* there are eth0, eth1"):
        capturing_interface()


def test_the_command_prints_text(watched: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "eth0", "--interval", "1s", "--pid", "12", "--take-statistics"]) == 0
    text = capsys.readouterr().out
    assert watched == [("eth0", 1.0, {"pid": 12, "statistics": True})]
    assert "eth0, 1.0 s: 800,000 packets offered (800 kpps, 64 B)" in text
    assert "[loss] interrupt_storm, eth0: 0.988 interrupts per packet" in text
    assert "full in 2 of 2 looks" in text
    assert "captured" in text
    assert "after" in text
    assert "not seen:\n  cpu_times: no permission" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_command_prints_json(watched: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "eth0", "--machine", "braun_xeon", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["offered"] == 800_000
    assert found["machine"] == "braun_xeon"
    assert [stage["name"] for stage in found["stages"]] == ["card's ring", "backlog", "buffer"]
    (storm,) = (each for each in found["findings"] if each["id"] == "interrupt_storm")
    assert storm["evidence"]["interrupts_per_packet"] == pytest.approx(0.9875)
    assert all(0.0 <= each["price"]["now"] <= 1.0 for each in storm["remedies"])
    assert found["not_seen"] == {"cpu_times": "no permission"}


def test_a_stage_that_an_interface_lacks_has_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {"card_ring": "this interface has none", "card_counters": "none", "cpu_times": "x"}
    seen = replace(world(link={"kind": "loopback"}, card_ring=None), not_seen=hidden)
    monkeypatch.setattr(diagnosis, "observe", lambda *_, **__: seen)
    monkeypatch.setattr(sys, "platform", "linux")
    found = diagnose("lo")
    row = next(line for line in str(found).splitlines() if line.startswith("card's ring"))
    assert row.split()[2:4] == ["-", "-"]
    assert row.endswith("none: a loopback is no card")
    assert set(found.not_seen) == {"cpu_times"}
    backlog = next(line for line in str(found).splitlines() if line.startswith("backlog"))
    assert "queue between interface and softirq" in backlog


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_is_not_there_is_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    for interface in ((), ("lo",)):
        assert main(["doctor", *interface, "--pid", "99999999"]) == 2  # beyond the largest number
        assert "there is none with number 99999999" in capsys.readouterr().err


def test_the_command_refuses_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "eth0", "--pid", "-4"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("capmodel: error: ")
    assert error.count("\n") == 1
