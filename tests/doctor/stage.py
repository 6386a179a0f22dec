"""A capture with a planted fault, in a network namespace of its own; prints what the doctor says.

Run as a script with the name of a scenario. Everything is bounded in packets and in time, and the
namespace goes with the process.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ETHER_TYPE = 0x88B5  # for experiments, IEEE Std 802
FRAME = bytes(12) + struct.pack("!H", ETHER_TYPE) + bytes(46)
SECONDS, PACKETS = 20.0, 2_000_000  # no child does more
NO_NAMESPACE = 77
NEWUSER, NEWNET = 0x10000000, 0x40000000


def enter_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    flags = NEWNET if user == 0 else NEWNET | NEWUSER
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(flags) != 0:
        print(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        sys.exit(NO_NAMESPACE)
    if flags & NEWUSER:
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        except OSError as error:
            print(f"no user namespace: {error}")
            sys.exit(NO_NAMESPACE)


def make_veth() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        ip.link("add", ifname="near", kind="veth", peer={"ifname": "far"})
        for name in ("near", "far"):
            ip.link("set", index=socket.if_nametoindex(name), state="up")


@dataclass
class Reader:
    """Reads packets from a socket without a ring, or from a TPACKET_V2 ring."""

    rcvbuf: int | None = None
    frames: int = 0
    pause: float = 0.0
    work: int = 0
    echo: bool = False

    def run(self, ready: int, echo: int) -> None:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        if self.rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.rcvbuf)
        take = self._ring(sock) if self.frames else self._plain(sock)
        sock.bind(("far", 3))
        os.write(ready, b"1")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and os.getppid() != 1:
            if self.pause:
                time.sleep(self.pause)
            else:
                select.select([sock], [], [], 0.5)
            while take():
                for _ in range(self.work):
                    pass
                if self.echo:
                    os.write(echo, b"1")
                    break

    def _plain(self, sock: socket.socket) -> Callable[[], bool]:
        sock.setblocking(False)

        def take() -> bool:
            try:
                return bool(sock.recv(128))
            except BlockingIOError:
                return False

        return take

    def _ring(self, sock: socket.socket) -> Callable[[], bool]:
        sock.setsockopt(263, 10, 1)  # PACKET_VERSION: TPACKET_V2
        blocks = self.frames // 2
        sock.setsockopt(263, 5, struct.pack("IIII", 4096, blocks, 2048, self.frames))
        memory = memoryview(mmap.mmap(sock.fileno(), 4096 * blocks)).cast("I")
        place = 0

        def take() -> bool:
            nonlocal place
            if not memory[place * 512] & 1:
                return False
            memory[place * 512] = 0
            place = (place + 1) % self.frames
            return True

        return take


def asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@dataclass
class Sender:
    """Sends bursts with pauses; bounded. With `echo`: one at a time, to a reader that sleeps."""

    burst: int
    pause: float = 0.0
    echo: bool = False

    def run(self, echo: int, reader: int) -> None:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("near", 0))
        end, sent = time.monotonic() + SECONDS, 0
        while time.monotonic() < end and sent < PACKETS and os.getppid() != 1:
            while self.echo and not asleep(reader) and time.monotonic() < end:
                time.sleep(0.0002)
            for _ in range(self.burst):
                try:
                    sock.send(FRAME)
                except OSError:
                    continue  # the far side's queue is full
            sent += self.burst
            if self.echo:
                select.select([echo], [], [], 1.0)
                os.read(echo, 1)
            if self.pause:
                time.sleep(self.pause)


@dataclass
class Scenario:
    reader: Reader
    sender: Sender
    cores: tuple[int, int]  # of sender and reader, counted from the first that is allowed
    options: dict[str, Any] = field(default_factory=dict)
    user: int | None = None


SCENARIOS = {
    "tiny_socket": Scenario(Reader(rcvbuf=1, pause=0.02), Sender(200, 0.01), (0, 1)),
    "tiny_ring": Scenario(Reader(frames=8, pause=0.02), Sender(200, 0.01), (0, 1)),
    "tiny_ring_statistics": Scenario(
        Reader(frames=8, pause=0.02), Sender(200, 0.01), (0, 1), {"take_statistics": True}
    ),
    "ordinary_user": Scenario(
        Reader(rcvbuf=1, pause=0.02), Sender(200, 0.01), (0, 1), user=65534
    ),
    "same_core": Scenario(Reader(work=100), Sender(10_000), (0, 0)),
    # one packet at a time: the softirq runs for each; the threshold on time is out of the way
    "storm": Scenario(
        Reader(frames=4096), Sender(50, 0.005), (0, 1), {"thresholds": {"overhead_share": 1e-9}}
    ),
    "sleeper": Scenario(
        Reader(frames=4096, echo=True), Sender(1, echo=True), (0, 1),
        {"thresholds": {"overhead_share": 1e-9}},
    ),
    "healthy": Scenario(Reader(frames=4096), Sender(100, 0.05), (0, 1)),
}  # fmt: skip


def child(core: int, run: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.sched_setaffinity(0, {core})
        run()
    except BaseException as error:
        print(f"child failed: {error!r}", file=sys.stderr)
    finally:
        os._exit(0)


def main(name: str) -> None:
    scenario = SCENARIOS[name]
    cores = sorted(os.sched_getaffinity(0))
    if len(set(scenario.cores)) > len(cores):
        print("two cores are needed")
        sys.exit(NO_NAMESPACE)
    enter_namespace()  # before numpy starts threads: a process with threads gets no user namespace
    from capmodel.diagnosis import diagnose

    make_veth()
    started, ready = os.pipe()
    echo, echoes = os.pipe()
    children = [child(cores[scenario.cores[1]], lambda: scenario.reader.run(ready, echoes))]
    try:
        os.read(started, 1)
        children.append(
            child(cores[scenario.cores[0]], lambda: scenario.sender.run(echo, children[0]))
        )
        time.sleep(0.2)
        options: dict[str, Any] = {"pid": children[0], **scenario.options}
        if scenario.user is not None:
            diagnose("far", interval="100ms")  # that user may not be able to load modules
            os.seteuid(scenario.user)
            options["pid"] = None
        found = diagnose("far", interval="500ms", **options)
    finally:
        os.seteuid(os.getuid())
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    seen = found.observation
    extra = {
        "text": str(found), "everything": sum(seen.processed.values()), "received": seen.received,
        "sender_core": cores[scenario.cores[0]], "reader_core": cores[scenario.cores[1]],
    }  # fmt: skip
    print(json.dumps({**found.to_dict(), **extra}, default=sorted))


if __name__ == "__main__":
    main(sys.argv[1])
