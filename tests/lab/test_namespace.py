"""The namespace is its own, tells why it cannot be had, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capmodel.lab import LabError, LabPoint, Namespace, run_point
from capmodel.lab import namespace as module
from capmodel.lab.links import Links

HERE = str(Path(__file__).parents[2])
PATIENCE = 60.0  # for things that take milliseconds

# linux/prctl.h, linux/capability.h
PR_CAPBSET_DROP, CAP_SETFCAP = 24, 31


def interfaces():
    return sorted(os.listdir("/sys/class/net"))


def processes_of(namespace_link):
    """Processes in a network namespace."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.readlink(folder / "ns" / "net") == namespace_link:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def script(code, keep=()):
    """Run Python without the capabilities that root has, but for some."""
    libc = ctypes.CDLL(None)

    def drop():
        for capability in range(64):
            if capability not in keep:
                libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    return subprocess.run(
        [sys.executable, "-c", code], preexec_fn=drop, cwd=HERE, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_nothing_of_the_hosts_network_is_inside_or_touched(namespace):
    before = interfaces()
    listed = namespace.run(["cat", "/proc/net/dev"]).stdout
    names = {line.split(":")[0].strip() for line in listed.splitlines()[2:]}
    assert names == {"lo", Namespace.sender, Namespace.receiver}
    assert not {Namespace.sender, Namespace.receiver} & set(before)
    run_point(LabPoint(1e5, packets=10), namespace)
    assert interfaces() == before
    assert os.readlink(f"/proc/{namespace.pid}/ns/net") != os.readlink("/proc/self/ns/net")


def test_commands_inside_see_the_same_files_and_return_their_status(namespace, tmp_path):
    done = namespace.run(["sh", "-c", "pwd; echo wrong >&2; exit 3"], cwd=tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (3, str(tmp_path), "wrong\n")
    missing = namespace.run(["no-such-program-here"])
    assert missing.returncode == 127
    assert "no-such-program-here" in missing.stderr
    with pytest.raises(subprocess.TimeoutExpired):
        namespace.run(["sleep", "100"], timeout=0.5)


@pytest.mark.usefixtures("namespace")
def test_it_ends_with_its_block():
    with Namespace() as own:
        link = os.readlink(f"/proc/{own.pid}/ns/net")
        sleeper = own.popen(["sleep", "1000"])
        assert own.pid in processes_of(link)
    sleeper.kill()
    sleeper.wait()
    assert processes_of(link) == []
    with pytest.raises(LabError, match="closed"):
        own.request("run")
    with pytest.raises(LabError, match="closed"):
        own.popen(["true"])
    own.close()


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("busy", [pytest.param(False, marks=pytest.mark.slow), True])
def test_it_ends_with_its_process_even_if_that_is_killed(busy):
    work = "run_point(LabPoint(1e5, duration=50), n)" if busy else "input()"
    code = (
        "import os\nfrom capmodel.lab import *\nwith Namespace() as n:\n"
        "    run_point(LabPoint(1e5, packets=10), n)\n"
        f"    print(os.readlink(f'/proc/{{n.pid}}/ns/net'), flush=True)\n    {work}\n"
    )
    before = interfaces()
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        link = process.stdout.readline().strip()
        # the worker, and while it is busy a sender and a receiver
        wait_until(lambda: len(processes_of(link)) >= (3 if busy else 1))
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: processes_of(link) == [])
    assert interfaces() == before


@pytest.mark.usefixtures("namespace")
def test_an_ordinary_user_has_one_too():
    code = (
        "from capmodel.lab import *\ntry:\n    n = Namespace().__enter__()\n"
        "except LabError as error:\n    print('refused', error)\nelse:\n"
        "    run = run_point(LabPoint(1e5, packets=300, ring=512), n)\n"
        "    print(n.privileged, run.captured)\n"
        "    try:\n        run_point(LabPoint(1e5, packets=10, pinning='same'), n)\n"
        "    except LabError as error:\n        print(error)\n"
        "    n.close()\n"
    )
    done = script(code, keep=(CAP_SETFCAP,))
    assert done.stderr == ""
    if done.stdout.startswith("refused"):
        pytest.skip(done.stdout)
    assert done.stdout.startswith("False 1.0\n")
    assert 'pinning "same" needs packet steering' in done.stdout


@pytest.mark.usefixtures("as_root")
def test_without_any_right_the_refusal_names_the_way_out():
    done = script("from capmodel.lab import *\nwith Namespace() as n: pass")
    assert "run as root, or allow user namespaces" in done.stderr.splitlines()[-1]


def test_refusals_by_the_kernel_are_sentences():
    for number in (errno.EPERM, errno.ENOSPC):
        text = module._refusal({"errno": number, "refused": os.strerror(number)})
        assert "max_user_namespaces" in text
    text = module._refusal({"errno": errno.EINVAL, "refused": "no"})
    assert "CONFIG_NET_NS" in text


def test_other_systems_and_missing_libraries_are_refused(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"capmodel\[lab\]"):
        Namespace().__enter__()
    monkeypatch.setattr(module.sys, "platform", "darwin")
    with pytest.raises(LabError, match="needs Linux"):
        Namespace().__enter__()


def test_the_hosts_network_is_refused():
    with pytest.raises(LabError, match="host's own"):
        Links(os.readlink("/proc/self/ns/net"))


def test_no_interface_but_its_own_is_sent_on():
    links = Links.__new__(Links)
    links.sender, links.receiver = 7, 8
    links.require_own(7)
    for other in (1, 8, 0):
        with pytest.raises(LabError, match="on no other"):
            links.require_own(other)
