"""Recorded arrivals: what is read, stretched, refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from capmodel.lab.trace import read_trace
from tests.pcap_files import pcap, pcapng, write


def written(tmp_path, text):
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_rate_stretches_the_times_and_nothing_else(tmp_path):
    path = written(tmp_path, "# time\n5\n5.5\n7\n")
    times, sizes = read_trace(path)
    assert sizes is None
    np.testing.assert_allclose(times, [0.0, 0.5, 2.0])
    stretched, _ = read_trace(path, rate=10.0)
    # three packets are two gaps long, so at 10 per second 0.2 s
    np.testing.assert_allclose(stretched, [0.0, 0.05, 0.2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\n", "two lines"), ("1\n0\n", "must rise"), ("1\n1\n", "must rise"),
        ("0,64,3\n1,64,3\n", "a time and a size"), ("0\nx\n", "trace"), ("0\nnan\n", "two lines"),
        ("0,64\n1,20\n", "whole bytes"), ("0,64\n1,64.5\n", "whole bytes"), ("0\n100\n", "lasts"),
        ("0,64\n1\n", "trace"),
    ],
)  # fmt: skip
def test_damaged_traces_are_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        read_trace(written(tmp_path, text))
    assert "trace.csv" in str(caught.value)


def test_there_may_be_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no trace"):
        read_trace(tmp_path / "none.csv")


@pytest.mark.parametrize("pack", [pcap, pcapng, lambda rows: gzip.compress(pcap(rows))])
def test_captures_are_replayed_with_their_sizes(tmp_path, pack):
    pytest.importorskip("scapy")
    rows = [(0, 60, 60), (500_000, 1514, 9), (2_000_000, 590, 0)]
    path = write(tmp_path, pack(rows))
    times, sizes = read_trace(path)
    np.testing.assert_allclose(times, [0.0, 5e-4, 2e-3], rtol=1e-12)
    assert sizes.tolist() == [64.0, 1518.0, 594.0]
    with pytest.raises(ValueError, match=r"cut\.pcap, packet 3"):
        read_trace(write(tmp_path, pcap([(0, 60, 9), (5, 60, 9), (9, 60, 9)])[:-3], "cut.pcap"))
