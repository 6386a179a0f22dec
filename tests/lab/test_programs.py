"""Real programs capture; their counts are the kernel's or their own, and add up."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

pytest.importorskip("numba")

from capmodel.lab import LabError, LabPoint, run_point
from capmodel.lab.processes import Usage
from capmodel.lab.programs import _counts

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the lab needs two cores")

# a program of our own, so that there is always one: reads packets, counts them, says so at the end
READER = """
import signal, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 3))
count, going = 0, True
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, stop)
try:
    while True:
        s.recv(65536)
        count += 1
except KeyboardInterrupt:
    print(f"{count} packets captured", file=sys.stderr)
"""
FEW = {"packets": 200, "ring": 512}
NOTHING = Usage(0.0, 0.0, 0.0, 0)


@pytest.fixture
def tcpdump(namespace):
    if shutil.which("tcpdump") is None:
        pytest.skip("there is no tcpdump on this machine")
    if os.geteuid() == 0 and not namespace.privileged:
        pytest.skip("tcpdump as root tries to become somebody else, which a user namespace forbids")
    # frames may be merged by offloads, so libpcap gives each 64 KiB: 64 MiB for all that come
    return "tcpdump -B 65536 -i {iface} -w /dev/null"


@pytest.fixture
def reader(tmp_path):
    path = tmp_path / "reader.py"
    path.write_text(READER)
    return f"{sys.executable} {path} {{iface}}"


def test_a_program_of_ones_own(namespace, reader):
    run = run_point(LabPoint(1e4, app=reader, **FEW), namespace)
    assert run.captured == 1.0
    assert run.report == "200 packets captured"
    assert run.polls is None


@pytest.mark.parametrize("more", ["", pytest.param(" --immediate-mode", marks=pytest.mark.slow)])
def test_tcpdump(namespace, tcpdump, more):
    run = run_point(LabPoint(1e4, app=tcpdump + more, **FEW), namespace)
    assert run.captured == 1.0
    assert "200 packets captured" in run.report


@pytest.mark.slow
def test_two_programs_get_every_packet_each(namespace, reader):
    run = run_point(LabPoint(1e4, app=reader, consumers=2, **FEW), namespace)
    assert [consumer.delivered for consumer in run.consumers] == [200, 200]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program {iface}", "there is no program 'no-such-program'; install it"),
        ("sh -c 'echo broken {iface} >&2; exit 3'", "ended, saying: broken lab1"),
        ("true {iface}", "has ended"),
    ],
)
def test_programs_that_do_not_work(namespace, command, words):
    with pytest.raises(LabError, match=words):
        run_point(LabPoint(1e4, app=command), namespace)


@pytest.mark.slow
def test_a_program_that_filters_is_refused(namespace, tcpdump):
    with pytest.raises(LabError, match="saw 0 of 200 packets") as caught:
        run_point(LabPoint(1e4, app=f"{tcpdump} tcp", **FEW), namespace)
    assert "must not filter" in str(caught.value)


@pytest.mark.slow
def test_a_program_that_never_listens(namespace):
    with pytest.raises(LabError, match="does not listen"):
        run_point(LabPoint(1e4, app="sh -c 'sleep 1000; echo {iface}'"), namespace)


def test_the_kernels_count_comes_first_and_then_the_programs_report():
    def counted(seen, report):
        found = _counts(100, seen, report, NOTHING, NOTHING)
        return found["delivered"], found["buffer_drops"]

    tcpdump_says = (
        "90 packets captured\n100 packets received by filter\n10 packets dropped by kernel"
    )
    dumpcap_says = (
        "Packets captured: 80\nPackets received/dropped on interface 'lab1': 80/20 "
        "(pcap:20/dumpcap:0/flushed:0/ps_ifdrop:0) (80.0%)"
    )
    assert counted([(100, 7)], tcpdump_says) == (93, 7)
    assert counted([(60, 1), (40, 2)], "") == (97, 3)  # one program, two sockets that share
    assert counted([], tcpdump_says) == (90, 10)
    assert counted([(3, 0)], dumpcap_says) == (80, 20)
    with pytest.raises(LabError, match="saw 99 of 100"):
        counted([(99, 0)], "whatever")
