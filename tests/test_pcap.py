"""Capture files: what is in them is read; what is broken is said, in one sentence."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capmodel.pcap import Trace, interarrival_times, read_trace
from tests.pcap_files import START, Packet, pcap, pcapng, write

pytest.importorskip("scapy")

PACKETS: list[Packet] = [(0, 60, 60), (1_234_567, 1514, 54), (1_234_568, 60, 60), (10**9, 590, 7)]
FORMATS: dict[str, Callable[[list[Packet]], bytes]] = {
    "nanoseconds": pcap,
    "big-endian": lambda packets: pcap(packets, order=">"),
    "pcapng": pcapng,
    "pcapng, big-endian": lambda packets: pcapng(packets, order=">", tail=False),
    "pcapng, binary time": lambda packets: pcapng(packets, resolution=128 + 31),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_times_and_original_lengths(tmp_path: Path, name: str, packed: bool) -> None:
    content = FORMATS[name](PACKETS)
    trace = read_trace(write(tmp_path, gzip.compress(content) if packed else content))
    # half a nanosecond where the unit of time is a power of two
    np.testing.assert_allclose(trace.times * 1e9, [t for t, _, _ in PACKETS], atol=1.01)
    # the original length where the capture kept less, and four bytes of checksum
    assert trace.sizes.tolist() == [64.0, 1518.0, 64.0, 594.0]
    assert abs(trace.start - START) <= 1
    assert len(trace) == 4
    assert trace.link == "Ethernet"
    assert trace.notes == ()


@pytest.mark.parametrize(
    "make", [lambda p: pcap(p, nano=False), lambda p: pcapng(p, resolution=None)]
)
def test_microseconds(tmp_path: Path, make: Callable[[list[Packet]], bytes]) -> None:
    trace = read_trace(write(tmp_path, make(PACKETS)))
    assert np.round(trace.times * 1e6).tolist() == [0, 1234, 1234, 10**6]


packets = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(1, 9000), st.integers(0, 200)), min_size=1,
    max_size=20,
).map(lambda rows: [(t, n, min(n, kept)) for t, n, kept in sorted(rows)])  # fmt: skip


@given(packets, st.sampled_from(sorted(FORMATS)), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_round_trip(tmp_path: Path, rows: list[Packet], name: str, packed: bool) -> None:
    content = FORMATS[name](rows)
    trace = read_trace(write(tmp_path, gzip.compress(content) if packed else content))
    expected = np.array([t - rows[0][0] for t, _, _ in rows])
    np.testing.assert_allclose(trace.times * 1e9, expected, atol=1.01)
    assert trace.sizes.tolist() == [max(n + 4, 64) for _, n, _ in rows]


@pytest.mark.parametrize(
    ("link", "fcs", "size"),
    [
        (1, None, 1004), (1, False, 1004), (1, True, 1000),
        (1 | 1 << 26 | 2 << 28, None, 1000),  # the file says that the checksum is there
        (1 | 1 << 26 | 2 << 28, False, 1004),
        (1 | 1 << 26, None, 1004),  # and that it is not
        (101, None, 1018), (113, None, 1002), (276, None, 998), (0, None, 1014),
    ],
)  # fmt: skip
def test_the_checksum_and_the_link(tmp_path: Path, link: int, fcs: bool | None, size: int) -> None:
    trace = read_trace(write(tmp_path, pcap([(0, 1000, 9)], link=link)), fcs=fcs)
    assert trace.sizes.tolist() == [size]
    assert any("Ethernet frames around" in note for note in trace.notes) == (link & 0xFFFF != 1)


def ends(content: bytes, make: Callable[[list[Packet]], bytes]) -> set[int]:
    """Where a file may end: after each packet of the first n."""
    found = {len(make(PACKETS[:n])) for n in range(1, len(PACKETS) + 1)}
    return found | {len(content)}


@pytest.mark.parametrize("name", ["nanoseconds", "pcapng"])
def test_cut_off_anywhere(tmp_path: Path, name: str) -> None:
    make = FORMATS[name] if name != "pcapng" else lambda packets: pcapng(packets, tail=False)
    content = make(PACKETS)
    whole = ends(content, make)
    for cut in range(len(content) + 1):
        path = write(tmp_path, content[:cut])
        if cut in whole:
            assert len(read_trace(path)) >= 1
            continue
        with pytest.raises(
            ValueError, match=r"traffic\.pcap, (start|packet \d+ \(byte \d+\)):?"
        ) as e:
            read_trace(path)
        assert "\n" not in str(e.value)
        assert "nan" not in str(e.value).removeprefix(str(path)).lower()
    # the damage is found where it is, and what comes before can be had
    cut = max(whole - {len(content)})
    path = write(tmp_path, content[: cut + 5])
    with pytest.raises(ValueError, match=rf"packet 4 \(byte {cut}\) ?:"):
        read_trace(path)
    trace = read_trace(path, partial=True)
    assert len(trace) == 3
    assert "the file is damaged: packet 4" in trace.notes[0]


def test_a_broken_compressed_stream(tmp_path: Path) -> None:
    content = gzip.compress(pcap([(i * 1000, 100, 90) for i in range(2000)]), mtime=0)
    for cut in [*range(0, 40), len(content) // 2, len(content) - 9, len(content) - 1]:
        path = write(tmp_path, content[:cut])
        with pytest.raises(ValueError, match=r"traffic\.pcap, (start|packet)"):
            read_trace(path)
    garbled = bytearray(content)
    garbled[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match=r"traffic\.pcap, "):
        read_trace(write(tmp_path, bytes(garbled)))


def read_or_not(path: Path) -> tuple[Trace | None, str]:
    try:
        return read_trace(path), ""
    except ValueError as error:
        return None, str(error)


@given(st.sampled_from(sorted(FORMATS)), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_garbled_bytes_are_refused_or_read(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(FORMATS[name](PACKETS))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = write(tmp_path, bytes(content))
    trace, error = read_or_not(path)
    assert error.startswith(str(path) if trace is None else "")
    if trace is None:
        return
    assert np.all(np.isfinite(trace.times) & (trace.times >= 0.0))
    assert np.all(trace.sizes >= 64.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "start: the file is empty"),
        (b"hello, this is text and no capture", "start: not a whole header"),
        (pcap([]), "start: there are no packets in it"),
        (pcap([(0, 0, 0)]), r"packet 1 \(byte 24\): says that it is 0 bytes long"),
        (pcap([(0, 2**31, 9)]), "packet 1 .*says that it is 2,147,483,648 bytes long"),
        (pcap(PACKETS, link=105), "link type: is 105; known are 0 .BSD loopback., 1 .Ethernet"),
        (pcapng([(0, 100, 100)], simple=True), "packet 1 .*has no time stamp"),
        (pcap([(2 * 10**9, 100, 9), (0, 100, 9)]), "packet 2: comes 2 s before .*clock was set"),
    ],
)
def test_refusals(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=rf"traffic\.pcap, {message}"):
        read_trace(write(tmp_path, content))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_trace(tmp_path / "none.pcap")


def test_packets_of_two_links(tmp_path: Path) -> None:
    one, other = pcapng([(0, 100, 9)], tail=False), pcapng([(5, 100, 9)], link=101)
    with pytest.raises(ValueError, match=r"packet 2 .* is of link type 101, those before it of 1"):
        read_trace(write(tmp_path, one + other))


def test_an_unknown_interface(tmp_path: Path) -> None:
    content = bytearray(pcapng([(0, 100, 8)], tail=False))
    place = len(pcapng([], tail=False)) + 8
    content[place] = 3
    with pytest.raises(ValueError, match=r"packet 1 .*names interface 3 of 1"):
        read_trace(write(tmp_path, bytes(content)))


def test_packets_out_of_order_are_sorted(tmp_path: Path) -> None:
    rows = [(0, 100, 9), (500, 200, 9), (200, 300, 9), (900, 400, 9)]
    trace = read_trace(write(tmp_path, pcap(rows)))
    assert np.round(trace.times * 1e9).tolist() == [0, 200, 500, 900]
    assert trace.sizes.tolist() == [104, 304, 204, 404]
    assert trace.notes == ("1 packets were out of order, by 300 ns at most; they were sorted",)


def test_times_between_packets(tmp_path: Path) -> None:
    gaps = interarrival_times(write(tmp_path, pcap(PACKETS)))
    np.testing.assert_allclose(gaps * 1e9, [1_234_567, 1, 10**9 - 1_234_568], rtol=1e-9)


def test_the_reader_is_quiet_and_leaves_no_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("scapy.runtime")
    before = log.disabled
    for cut in range(40, 90):
        try:
            read_trace(write(tmp_path, pcapng(PACKETS)[:cut]))
        except ValueError:
            continue
    assert log.disabled == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("times", "sizes", "message"),
    [
        ([], [], "one entry for each of at least one packet"),
        ([0.0], [64.0, 64.0], "one entry for each of at least one packet"),
        ([0.0, 2.0, 1.0], [64.0] * 3, "begin at 0 and never fall"),
        ([1.0, 2.0], [64.0] * 2, "begin at 0 and never fall"),
        ([0.0, np.nan], [64.0] * 2, "begin at 0 and never fall"),
        ([0.0, 1.0], [64.0, 0.0], "sizes must be positive"),
    ],
)
def test_traces_of_ones_own(times: Any, sizes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trace("mine", np.array(times), np.array(sizes))
    trace = Trace("mine", np.array([0.0, 1.0]), np.array([64.0, 65.0]))
    with pytest.raises(ValueError, match="read-only"):
        trace.times[0] = 1.0


def test_without_the_library_one_sentence_names_the_extra(tmp_path: Path) -> None:
    path = write(tmp_path, pcap(PACKETS))
    code = (
        "import sys; sys.modules['scapy'] = None; sys.modules['scapy.error'] = None\n"
        f"from capmodel.cli import main; sys.exit(main(['traffic', {str(path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith('pip install "capmodel[pcap]"')
    assert done.stderr.count("\n") == 1
