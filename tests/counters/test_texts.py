"""Readers of /proc and /sys texts against samples written by hand from the documented formats."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.counters.cpus import (
    parse_cpu_list,
    parse_cpu_mask,
    parse_idle_state,
    parse_memory,
)
from capmodel.counters.links import parse_net_dev
from capmodel.counters.proc import (
    parse_cpu_table,
    parse_cpu_times,
    parse_net_packet,
    parse_softnet,
    wrapped,
)
from capmodel.counters.tasks import parse_task

# the layout of Documentation/filesystems/proc.rst, section 1.2, with a device of three vectors
INTERRUPTS = """\
            CPU0       CPU2
   0:         22          0  IR-IO-APIC    2-edge      timer
  44:    1000000         17  PCI-MSI 524288-edge      eth0-rx-0
  45:          3    2000000  PCI-MSI 524289-edge      eth0-tx-0
 NMI:          1          2   Non-maskable interrupts
 ERR:          0
 MIS:          0
"""


def test_interrupts_by_cpu_and_row() -> None:
    table = parse_cpu_table(INTERRUPTS)
    assert table.cpus == (0, 2)  # CPU 1 is offline
    assert table.rows["44"] == (1_000_000, 17)
    assert table.actions["45"] == "PCI-MSI 524289-edge eth0-tx-0"
    assert table.actions["NMI"] == "Non-maskable interrupts"
    assert "ERR" not in table.rows  # not kept by CPU
    assert (table.count("45", 2), table.count("45", 1), table.count("99", 0)) == (2_000_000, 0, 0)


def test_softirqs_have_counts_alone() -> None:
    table = parse_cpu_table("       CPU0 CPU1\n  HI: 0 1\n  NET_RX: 2324804 55\n")
    assert table.rows["NET_RX"] == (2_324_804, 55)
    assert table.actions["NET_RX"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t, line 1: does not name the CPUs"),
        ("CPU0 X\n", "t, line 1: does not name the CPUs"),
        ("CPU0\n 1: x\n", "t, line 2: has 0 counts for 1 CPUs"),
        ("CPU0 CPU1\n 24: 5\n", "t, line 2: has 1 counts for 2 CPUs"),
        ("CPU0 CPU1\n 24: 5 PCI-MSI eth0\n", "t, line 2: has 1 counts for 2 CPUs"),
        ("CPU0\n 24 5\n", "t, line 2: has no label before a colon"),
    ],
)
def test_damaged_tables_of_counts(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_cpu_table(text, "t")


# net/core/net-procfs.c, softnet_seq_show: 0x64 processed, 7 dropped, 2 squeezed; RPS 5, backlog 9
NEW = "00000064 00000007 00000002" + " 00000000" * 6 + " 00000005 00000000 00000009 00000003"


def test_softnet_of_new_and_old_kernels() -> None:
    (line,) = parse_softnet(f"{NEW} 00000004 00000005\n")
    assert (line.cpu, line.processed, line.dropped, line.time_squeeze) == (3, 100, 7, 2)
    assert (line.received_rps, line.backlog) == (5, 9)
    # before RPS there were nine words, before 5.10 no CPU: lines count
    old = "0000000a 00000000 00000000" + " 00000000" * 6
    assert [each.cpu for each in parse_softnet(f"{old}\n{old}\n")] == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t, file: is empty"),
        ("00000001 00000002\n", "t, line 1: is not nine or more words of eight hexadecimal digits"),
        (NEW + "\n" + NEW.replace("7", "g") + "\n", "t, line 2: is not nine or more words"),
    ],
)
def test_damaged_softnet(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        parse_softnet(text, "t")


@given(st.integers(0, 2**40), st.integers(0, 2**31))
def test_a_counter_of_32_bits_may_wrap_once(before: int, growth: int) -> None:
    assert wrapped((before + growth) % 2**32, before % 2**32) == growth


PACKETS = """\
sk               RefCnt Type Proto Iface R Rmem   User   Inode
000000008f6417eb 2      3    0000  3     0 0      0      127756
0000000022efef56 3      3    0003  2     1 4992   1000   127757
"""


def test_packet_sockets_listed() -> None:
    sender, receiver = parse_net_packet(PACKETS)
    assert (sender.inode, sender.protocol, sender.running) == (127756, 0, False)
    assert (receiver.interface, receiver.protocol, receiver.memory) == (2, 3, 4992)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: does not end with the column Inode"),
        (PACKETS.replace("   1000", ""), "line 3: has not the nine columns"),
        (PACKETS.replace("4992", "-1"), "line 3: has not the nine columns"),
    ],
)
def test_damaged_list_of_packet_sockets(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_net_packet(text)


def test_cpu_times() -> None:
    text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 10 0 0 0 0 0 0 0\nintr 4 0\n"
    first, second = parse_cpu_times(text)
    assert (first.cpu, first.softirq, first.steal) == (0, 7, 8)
    assert first.total == 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8  # guest time is inside user time
    assert second.total == 10


@pytest.mark.parametrize(
    "text", ["", "cpu 1 2 3 4 5 6 7 8\n", "cpu0 1 2 3\n", "cpu0 1 2 3 4 5 6 7 x\n"]
)
def test_damaged_cpu_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"^/proc/stat, "):
        parse_cpu_times(text)


STATUS = (
    "Name:\tdumpcap\nState:\tS (sleeping)\nCpus_allowed_list:\t0,2-3\n"
    "voluntary_ctxt_switches:\t41\nnonvoluntary_ctxt_switches:\t7\n"
)
# fields 1 to 52 of proc(5); utime (14) = 250, stime (15) = 150, processor (39) = 3
STAT = "812 (a) S b) S " + " ".join(
    {14: "250", 15: "150", 39: "3"}.get(number, "0") for number in range(4, 53)
)


def test_a_thread() -> None:
    task = parse_task(STATUS, STAT + "\n", "1500000000 250000000 99\n", 100.0)
    assert (task.tid, task.name, task.processor) == (812, "a) S b", 3)
    assert task.allowed == {0, 2, 3}
    assert (task.sleeps, task.preempted) == (41, 7)
    assert (task.user, task.system) == (2.5, 1.5)
    assert (task.cpu_time, task.waited) == (1.5, 0.25)  # of the finer clock
    coarse = parse_task(STATUS, STAT, None, 100.0)
    assert (coarse.cpu_time, coarse.waited) == (4.0, None)


@pytest.mark.parametrize(
    ("status", "stat", "schedstat", "message"),
    [
        (STATUS.replace("41", "x"), STAT, None, "P/status, voluntary_ctxt_switches: is 'x'"),
        (STATUS.replace("nonv", "v"), STAT, None, "P/status, nonvoluntary_ctxt_switches: is 'miss"),
        (STATUS.replace("Cpus", "Mems"), STAT, None, "P/status, Cpus_allowed_list: missing"),
        (STATUS.replace("2-3", "3-2"), STAT, None, "P/status, CPU list: '3-2'"),
        (STATUS, "812 (a) S 1 2 3", None, "P/stat, line 1: has not the fields"),
        (STATUS, STAT.replace("250", "2.5"), None, "P/stat, line 1: has not the fields"),
        (STATUS, STAT, "15", "P/schedstat, line 1: does not begin with two times"),
    ],
)
def test_damaged_threads(status: str, stat: str, schedstat: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        parse_task(status, stat, schedstat, 100.0, "P")


@given(st.frozensets(st.integers(0, 300)))
def test_lists_and_masks_of_cpus_name_the_same_cpus(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(",".join(map(str, sorted(cpus))) + "\n") == cpus
    number = f"{sum(1 << cpu for cpu in cpus):x}"
    words = [number[max(0, end - 8) : end] for end in range(len(number), 0, -8)]
    assert parse_cpu_mask(",".join(reversed(words)) + "\n") == cpus


@pytest.mark.parametrize("text", ["a", "1-", "3-1", "1 2", "99999", "-1"])
def test_damaged_lists_of_cpus(text: str) -> None:
    with pytest.raises(ValueError, match=r"^there, CPU list: "):
        parse_cpu_list(text, "there")


@pytest.mark.parametrize("text", ["", "0x1", "123456789", "1,,2"])
def test_damaged_masks(text: str) -> None:
    with pytest.raises(ValueError, match=r"^there, CPU mask: "):
        parse_cpu_mask(text, "there")


def test_idle_states_are_in_microseconds() -> None:
    fields = {"name": "C6\n", "latency": "133\n", "usage": "12\n", "time": "2500000\n",
              "disable": "0\n"}  # fmt: skip
    state = parse_idle_state(3, fields)
    assert (state.cpu, state.name, state.entered, state.disabled) == (3, "C6", 12, False)
    assert state.latency == pytest.approx(133e-6)
    assert state.time == pytest.approx(2.5)
    with pytest.raises(ValueError, match="cpuidle, usage: '' is not a count"):
        parse_idle_state(3, {**fields, "usage": ""})


def test_cache_sizes() -> None:
    assert parse_memory("32768K\n") == 32 * 2**20
    assert parse_memory("2M") == 2**21
    with pytest.raises(ValueError, match="size: '3 K' is not a number of bytes"):
        parse_memory("3 K")


NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:       0       0    0    0    0     0          0         0        0       0    0    0 0 0 0 0
  eth0:    6090     101    0    4    0     0          0         0       90       1    0    0 0 0 0 0
"""


def test_counters_of_interfaces() -> None:
    assert parse_net_dev(NET_DEV) == {"lo": (0, 0, 0), "eth0": (6090, 101, 4)}
    with pytest.raises(ValueError, match="/proc/net/dev, line 4: is not a name and sixteen"):
        parse_net_dev(NET_DEV.replace("6090", "x"))
