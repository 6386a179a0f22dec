"""Recorded packets through a modelled set-up: by hand, against a path's own arrivals, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capmodel import predict, replay
from capmodel.path import Arrivals, CapturePath
from capmodel.pcap import Trace
from capmodel.simulation import simulate
from tests.pcap_files import pcap, write

pytest.importorskip("numba")


def test_costs_of_every_packet_by_hand() -> None:
    """One at a time into a place for one: 0, 4 and 7 are served; 1 meets the 4 s of the first."""
    path = CapturePath.single(
        rate=1.0, capacity=1, consumer_cost=2.0, service="deterministic", arrivals="cbr"
    )
    times, work = np.array([0.0, 1.0, 4.0, 6.5, 7.0]), np.array([4.0, 1.0, 3.0, 1.0, 2.0])
    result = simulate(
        path, packets=10, replications=2, trace=times, trace_costs=(np.zeros(5), work)
    )
    assert result.counts["captured"] == 2 * 3
    assert result.counts["ring drops"] == 2 * 2
    # with the mean cost of 2 s each it is 0, 4 and 6.5
    plain = simulate(path, packets=10, replications=2, trace=times)
    assert plain.counts["captured"] == 2 * 3
    # 0 until 4, 4 until 7, 7 until 9: they stay 4 + 3 + 2 seconds; else 2 each
    assert result.mean["sojourn_time"] == pytest.approx(3.0)
    assert plain.mean["sojourn_time"] == pytest.approx(2.0)


def test_batches_know_their_packets() -> None:
    """A consumer woken by the second packet serves both for as long as each takes."""
    path = CapturePath.split(
        rate=1.0, ring=8, capacity=8, kernel_cost=0.5, consumer_cost=2.0, threshold=2,
        service="deterministic", arrivals="cbr",
    )  # fmt: skip
    times, kernel = np.array([0.0, 10.0]), np.array([1.0, 0.25])
    result = simulate(
        path, packets=4, replications=2, trace=times, trace_costs=(kernel, np.array([3.0, 5.0]))
    )
    # ready at 10.25, when both have left the kernel: done at 13.25 and 18.25
    assert result.mean["sojourn_time"] == pytest.approx((13.25 + 8.25) / 2)


def test_equal_costs_change_nothing() -> None:
    path = CapturePath.split(
        rate=0.9, ring=16, capacity=16, kernel_cost=1.0, consumer_cost=0.6, wakeup_cost=1.0,
        wakeup_latency=2.0, poll_cost=0.3,
    )  # fmt: skip
    times = np.cumsum(np.random.default_rng(2).exponential(1.0, 20_000))
    same = (np.full(20_000, 1.0), np.full(20_000, 0.6))
    one = simulate(path, packets=20_000, trace=times, seed=4)
    other = simulate(path, packets=20_000, trace=times, trace_costs=same, seed=4)
    assert one == other


def test_a_replay_of_a_clock_is_the_prediction() -> None:
    rate = 1.27e6
    trace = Trace("clock", np.arange(200_000) / rate, np.full(200_000, 64.0))
    for backend, work in (("pf_packet", "100ns"), ("pf_packet", "600ns"), ("bpf", "300ns")):
        replayed = replay(trace, backend, work=work)
        simulated = predict(
            rate, 64, backend, work=work, duration=trace.duration, solver="simulation"
        )
        # the run of the prediction ends half a packet later
        assert replayed.mean["captured"] == pytest.approx(simulated.captured, abs=0.01)
        assert replayed.notes == ()


def test_sizes_count_where_copies_are_made() -> None:
    """Large packets in a row are worse than the same ones spread out."""
    count = 40_000
    sizes = np.repeat([64.0, 1518.0], count // 2)
    spread = np.tile([64.0, 1518.0], count // 2)
    times = np.arange(count) / 1.8e4
    one, other = (
        replay(Trace("t", times, s), application="packzip:9", buffer="256 slots")
        for s in (sizes, spread)
    )
    assert one.mean["captured"] < other.mean["captured"] - 0.02


def test_where_sizes_enter_by_their_mean(tmp_path: Path) -> None:
    rows = [(i * 3000, 60 + 400 * (i % 2), 0) for i in range(2000)]
    path = write(tmp_path, pcap(rows))
    result = replay(path, pinning="same", work="2us", buffer="64 slots")
    assert "frame sizes enter by their mean" in result.notes[-1]
    assert result.counts["offered"] == 4 * 2000
    faster = replay(path, pinning="same", pace=2.0, work="2us", buffer="64 slots")
    assert faster.mean["captured"] < result.mean["captured"]


def test_refusals() -> None:
    trace = Trace("t", np.arange(200) * 1e-6, np.full(200, 64.0))
    with pytest.raises(ValueError, match="pace must be positive and finite"):
        replay(trace, pace=0.0)
    with pytest.raises(TypeError, match="replay has no arguments rings"):
        replay(trace, rings=3)
    path = CapturePath.single(rate=1.0, capacity=4, consumer_cost=1.0)
    costs = (np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="trace_costs needs the trace"):
        simulate(path, trace_costs=costs)
    with pytest.raises(ValueError, match="finite time of 0 or more in the kernel"):
        simulate(path, trace=[0.0, 1.0], trace_costs=costs)
    shared = CapturePath.same_core(rate=1.0, ring=4, capacity=4, kernel_cost=0.1, consumer_cost=0.1)
    with pytest.raises(ValueError, match="trace_costs needs a path with one consumer"):
        simulate(shared, trace=[0.0, 1.0, 2.0], trace_costs=costs)
    assert Arrivals(1.0).phases is None
