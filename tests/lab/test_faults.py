"""Consumers and senders that die or stop end the run with an error, its counters, nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from capmodel.lab import LabError, LabPoint, Namespace, run_point

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the lab needs two cores")

PATIENCE = 60.0


def children(pid):
    """Names and process numbers of a process's children."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{child}/comm").read_text().strip(): int(child) for child in listed}


def busy(pid):
    """Whether a process has been at work for a twentieth of a second."""
    return pid is not None and int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) > 5e7


def broken_off(namespace, victim, what):
    """The error of a long run whose `victim` gets a signal once both sides are at work."""
    caught = []

    def run():
        try:
            run_point(LabPoint(2e4, duration=30), namespace)
        except LabError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    end = time.monotonic() + PATIENCE
    while not busy((found := children(namespace.pid)).get("lab-sender")):
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.05)
    os.kill(namespace.pid if victim is None else found[victim], what)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return caught[0]


@pytest.mark.parametrize(
    ("victim", "what", "words"),
    [
        ("lab-receiver", signal.SIGKILL, "the receiver ended with status -9"),
        ("lab-receiver", signal.SIGSTOP, "the receiver was stopped"),
        ("lab-sender", signal.SIGKILL, "the sender ended with status -9"),
    ],
)
def test_the_run_ends_with_its_counters_and_the_next_one_works(namespace, victim, what, words):
    error = broken_off(namespace, victim, what)
    assert words in str(error)
    assert set(error.counters) == {"offered", "ring drops", "sent", "delivered"}
    assert error.counters["offered"] > 0
    assert children(namespace.pid) == {}
    assert run_point(LabPoint(1e5, packets=300, ring=512), namespace).captured == 1.0


@pytest.mark.slow
@pytest.mark.usefixtures("namespace")
def test_the_process_inside_may_die_too():
    with Namespace() as own:
        run_point(LabPoint(1e5, packets=10), own)
        assert "the lab's process ended with status -9" in str(
            broken_off(own, None, signal.SIGKILL)
        )
        with pytest.raises(LabError, match="closed"):
            run_point(LabPoint(1e5), own)


def in_namespace(name):
    """Processes of this name that are not in the tests' own network namespace."""
    own = os.stat("/proc/self/ns/net").st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() == name:
                found += [int(entry.name)] * (os.stat(entry / "ns" / "net").st_ino != own)
        except OSError:
            continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has tcpdump change its user here")
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_has_changed_its_user_ends_with_the_lab(what):
    """The kernel no longer ends it with its parent: a guard does."""
    before = set(in_namespace("tcpdump"))
    command = ["lab", "run", "--rate", "20kpps", "--duration", "30s", "--app",
               "tcpdump -i {iface} -w /dev/null"]  # fmt: skip
    lab = subprocess.Popen(
        [sys.executable, "-m", "capmodel.cli", *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + PATIENCE
        while not set(in_namespace("tcpdump")) - before:
            assert lab.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        lab.send_signal(what)
        lab.wait(PATIENCE)
        end = time.monotonic() + PATIENCE
        while set(in_namespace("tcpdump")) - before:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        lab.kill()
        lab.wait()
