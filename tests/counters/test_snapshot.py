"""Snapshots of file trees written by hand, and of the kernel that runs the tests."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from capmodel.counters import reading, watching
from capmodel.counters.links import Link
from capmodel.counters.packet_sockets import PacketSocket
from capmodel.counters.reading import READERS
from capmodel.counters.records import Place, Snapshot
from capmodel.counters.snapshot import interfaces_of, take_snapshot
from capmodel.counters.watching import observe

LINK = Link("eth0", "", 2, b"\2\0\0\0\0\1", 10, 600, 0, 0, 0, 0, 0)
SOCKET = PacketSocket(4711, 2, 3, 1, None, 212992, 0, 5, None)
NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the counters are those of Linux")

FILES = {
    "proc/interrupts": "CPU0 CPU1\n 37: 9 9 PCI virtio2-config\n 38: 5 7 PCI virtio2-input.0\n"
    " 39: 1 1 PCI virtio2-output.0\n 50: 3 3 PCI eth0\n 51: 8 8 PCI eth01\n",
    "proc/softirqs": "CPU0 CPU1\n NET_RX: 100 200\n",
    "proc/net/softnet_stat": "00000064" + " 00000000" * 12 + "\n",
    "proc/stat": "cpu0 1 2 3 4 5 6 7 8\n",
    "proc/irq/38/smp_affinity_list": "0-1\n",
    "proc/irq/50/smp_affinity_list": "1\n",
    "proc/sys/net/core/netdev_max_backlog": "1000\n",
    "proc/12/comm": "dumpcap\n",
    "proc/12/task/12/status": "Cpus_allowed_list:\t1\nvoluntary_ctxt_switches:\t4\n"
    "nonvoluntary_ctxt_switches:\t1\n",
    "proc/12/task/12/stat": "12 (dumpcap) S " + "0 " * 49,
    "sys/class/net/eth0/ifindex": "2\n",
    "sys/class/net/eth0/address": "02:00:00:00:00:01\n",
    "sys/class/net/eth0/queues/rx-0/rps_cpus": "0\n",
    "sys/class/net/eth0/queues/rx-1/rps_cpus": "2\n",
    "sys/devices/pci0/msi_irqs/37": "msi\n",
    "sys/devices/pci0/msi_irqs/38": "msi\n",
    "sys/devices/pci0/msi_irqs/39": "msi\n",
    "sys/devices/pci0/virtio2/vendor": "x\n",
    "sys/devices/system/cpu/cpu0/cpuidle/state1/name": "C1\n",
    "sys/devices/system/cpu/cpu0/cpuidle/state1/latency": "2\n",
    "sys/devices/system/cpu/cpu0/cpuidle/state1/usage": "3\n",
    "sys/devices/system/cpu/cpu0/cpuidle/state1/time": "40\n",
    "sys/devices/system/cpu/cpu0/cpuidle/state1/disable": "0\n",
    "sys/devices/system/cpu/cpu0/cache/index0/size": "32K\n",
    "sys/devices/system/cpu/cpu0/cache/index3/size": "8192K\n",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine with a virtio card whose interrupts sit one folder up."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "sys/class/net/eth0/device").symlink_to(tmp_path / "sys/devices/pci0/virtio2")
    (tmp_path / "proc/12/fd").mkdir()
    (tmp_path / "proc/12/fd/3").symlink_to("socket:[4711]")
    monkeypatch.setattr(reading, "find_link", lambda name: LINK)
    monkeypatch.setattr(reading, "packet_sockets", lambda: (SOCKET,))
    return Place("eth0", tmp_path / "proc", tmp_path / "sys")


def taken(place: Place) -> Snapshot:
    return take_snapshot(place, leave=("card_ring", "card_counters"))


def test_everything_that_is_there_is_read(place: Place) -> None:
    seen = taken(place)
    assert not seen.not_seen
    assert seen.link == LINK
    assert seen.softnet[0].processed == 100
    assert seen.irqs == ("38", "50")  # neither configuration nor sending, nor those of eth01
    assert seen.affinity == {"38": {0, 1}, "50": {1}}
    assert seen.rps == {1}
    assert (seen.cache, seen.backlog_limit) == (8 << 20, 1000)
    assert seen.idle_states[0].name == "C1"
    assert (seen.owners[4711].pid, seen.owners[4711].descriptor) == (12, 3)
    assert seen.tasks[12][0].sleeps == 4


@pytest.mark.parametrize(
    ("name", "text", "field", "reason"),
    [
        ("proc/interrupts", "garbage\n", "interrupts", "line 1: does not name the CPUs"),
        ("proc/net/softnet_stat", "", "softnet", "file: is empty"),
        ("proc/stat", "cpu0 1\n", "cpu_times", "line 1: has fewer than eight counts"),
        ("proc/12/task/12/stat", "x", "tasks", "has not the fields of a process"),
        ("proc/irq/50/smp_affinity_list", "?", "affinity", "'?' is neither a CPU nor a range"),
        ("sys/class/net/eth0/ifindex", "3\n", "rps", "belongs to another network namespace"),
        ("sys/class/net/eth0/address", "02:00:00:00:00:02\n", "rps", "another network namespace"),
        ("proc/sys/net/core/netdev_max_backlog", "-\n", "backlog_limit", "holds '-', not a count"),
        ("sys/devices/system/cpu/cpu0/cache/index3/size", "8M?", "cache", "'8M?' is not a number"),
    ],
)
def test_what_is_damaged_is_not_seen_for_a_reason(
    place: Place, name: str, text: str, field: str, reason: str
) -> None:
    (place.proc.parent / name).write_text(text)
    seen = taken(place)
    assert reason in seen.not_seen[field]
    assert "\n" not in seen.not_seen[field]
    assert not getattr(seen, field)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("proc/interrupts", "interrupts"), ("proc/softirqs", "softirqs"),
        ("sys/class/net/eth0/ifindex", "rps"), ("proc/12/task/12/status", None),
    ],
)  # fmt: skip
def test_what_is_missing(place: Place, name: str, field: str | None) -> None:
    (place.proc.parent / name).unlink()
    seen = taken(place)
    if field is None:  # the thread has ended meanwhile
        assert seen.tasks[12] == ()
    else:
        assert field in seen.not_seen


def test_other_users_processes_stay_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "readlink", closed)
    assert "1 packet sockets belong to processes of other users" in taken(place).not_seen["owners"]


def test_a_kernel_without_packet_diag(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(reading, "packet_sockets", refuse)
    path = place.proc / "net/packet"
    path.write_text("sk Inode\nffff 3 3 0003 2 1 0 0 4711\n")
    assert "lists 1 sockets, but not their rings and drops" in taken(place).not_seen["sockets"]
    path.write_text("sk Inode\n")
    assert "sockets" not in taken(place).not_seen


def test_without_pyroute2_the_rest_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroute2.ethtool", None)
    seen = take_snapshot(place)
    assert set(seen.not_seen) == {"card_ring", "card_counters"}
    assert all("capmodel[lab]" in reason for reason in seen.not_seen.values())


def test_every_field_has_a_reader() -> None:
    fields = set(Snapshot.__dataclass_fields__) - {"time", "interface", "not_seen"}
    assert fields == set(READERS)


def test_interfaces_by_traffic(place: Place) -> None:
    packets = {"lo": 99, "eth0": 1, "eth1": 5}
    lines = ["h|h", "h|h", *(f"{name}: 0 {count} " + "0 " * 14 for name, count in packets.items())]
    (place.proc / "net/dev").write_text("\n".join(lines))
    assert interfaces_of(place.proc) == ("eth1", "eth0", "lo")


def test_watching(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = observe(place, 0.05, pid=12)
    assert seen.seconds >= 0.05
    assert seen.seen_on == {12: {0: watching.LOOKS}}
    with pytest.raises(
        ValueError, match=r"pid must be a process that runs, .* none with number 13"
    ):
        observe(place, 0.05, pid=13)
    (place.proc / "13").mkdir()
    with pytest.raises(ValueError, match="pid must be a process with a packet socket on eth0"):
        observe(place, 0.05, pid=13)
    # the process ends while it is watched
    answers = iter([(SOCKET,), ()])
    monkeypatch.setattr(reading, "packet_sockets", lambda: next(answers))
    assert "ended" in observe(place, 0.05).not_seen["captures"]


@NEEDS_LINUX
def test_this_kernel_shows_the_loopback() -> None:
    seen = take_snapshot(Place("lo"))
    assert seen.link is not None
    assert seen.link.index == socket.if_nametoindex("lo")
    assert seen.softnet
    assert seen.cpu_times
    with pytest.raises(ValueError, match=r"interface must be one of .*'lo'.*not 'nope'"):
        take_snapshot(Place("nope"))


@NEEDS_LINUX
def test_counters_of_this_kernel_agree_with_sysfs() -> None:
    folder = Path("/sys/class/net/lo/statistics")
    if not folder.is_dir():
        pytest.skip("/sys is not mounted here")
    before = int((folder / "rx_packets").read_text())
    link = take_snapshot(Place("lo")).link
    after = int((folder / "rx_packets").read_text())
    assert link is not None
    assert before <= link.packets <= after
    assert re.fullmatch(r"lo", link.name)
