"""Runs through this kernel: every packet is accounted for; laws that no timing can break."""

from __future__ import annotations

import json
import math
import os
import zlib

import pytest

from capmodel.lab import LabError, LabPoint, run_point

needs_two_cores = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the lab needs two cores"
)
pytestmark = needs_two_cores

# a run that fits into ring and buffer whole: nothing can be lost, however slow the machine is
FEW = 200
FITS = {"packets": FEW, "ring": 256}
CONSUMERS = [
    {"backend": "tpacket_v1"},
    {"backend": "tpacket_v2"},
    {"backend": "tpacket_v2", "wait": "busy"},
    {"backend": "tpacket_v2", "wait": "sleep", "sleep": "50us"},
    {"backend": "tpacket_v2", "wait": "yield", "yields": 5},
    {"backend": "tpacket_v2", "buffer": "500 slots"},
    {"backend": "tpacket_v2", "pinning": "auto"},
    {"backend": "tpacket_v2", "consumers": 2},
    {"backend": "tpacket_v3"},
    {"backend": "tpacket_v3", "wait": "busy", "block_size": "16KiB", "timeout": "1ms"},
    {"backend": "pf_packet_copy"},
    {"backend": "pf_packet_copy", "wait": "poll"},
    {"backend": "pf_packet_copy", "wait": "busy"},
]


def name_of(case):
    return " ".join(str(value) for value in case.values())


@pytest.mark.parametrize("case", CONSUMERS, ids=name_of)
def test_nothing_is_lost_where_all_has_room(namespace, case):
    point = LabPoint(2e5, **FITS, **case)
    run = run_point(point, namespace)
    assert run.offered == FEW
    assert run.captured == 1.0
    assert [consumer.received_bytes for consumer in run.consumers] == [60 * FEW] * point.consumers
    # a constant rate: the last packet comes so many gaps after the first, and is not sent earlier
    assert run.elapsed >= (FEW - 1) / 2e5
    assert run.send_calls >= FEW
    if point.wait == "busy":
        assert run.polls == 0
    if point.wait == "yield":
        assert run.consumers[0].yields > 0


@pytest.mark.parametrize(
    "case",
    [{"pinning": "same"}, {"backend": "af_xdp"}, {"backend": "pf_packet_copy", "buffer": "16MiB"}],
    ids=name_of,
)
def test_nothing_is_lost_by_what_needs_root(as_root, case):
    assert run_point(LabPoint(2e5, **FITS, **case), as_root).captured == 1.0


@pytest.mark.parametrize("size", [64, 65, 1518, 9216])
@pytest.mark.parametrize("backend", ["tpacket_v2", "tpacket_v3", "pf_packet_copy"])
def test_frames_arrive_whole(namespace, backend, size):
    run = run_point(LabPoint(1e5, size, backend, packets=10), namespace)
    assert run.consumers[0].received_bytes == (size - 4) * 10


def test_mixed_sizes_and_batches_lose_no_byte(namespace, tmp_path):
    trace = tmp_path / "trace.csv"
    sizes = [64 + 7 * (number % 150) for number in range(FEW)]
    trace.write_text("".join(f"{1e-5 * i},{size}\n" for i, size in enumerate(sizes)))
    point = LabPoint(arrivals=f"trace({trace})", ring=256, batch=7, size=1200)
    run = run_point(point, namespace)
    assert run.consumers[0].received_bytes == sum(size - 4 for size in sizes)
    assert run.elapsed >= 1e-5 * (FEW - 1)
    assert run.send_calls >= math.ceil(FEW / 7)


def test_a_frame_above_9216_bytes_passes_where_it_is_allowed(namespace):
    point = LabPoint(1e4, 60_000, jumbo=True, buffer="64 slots", packets=50)
    assert run_point(point, namespace).consumers[0].received_bytes == 59_996 * 50


def test_a_ring_overflows_when_packets_come_faster_than_any_kernel_sends(namespace):
    # 20 million in a second leave 50 ns for a system call
    run = run_point(LabPoint(2e7, packets=100_000, ring=64, wait="busy"), namespace)
    assert run.offered == 100_000
    assert run.ring_drops > 0
    assert run.delivered > 0


def test_a_batch_is_one_call(namespace):
    run = run_point(LabPoint(2e7, packets=50_000, batch=16), namespace)
    sent = run.offered - run.ring_drops
    assert sent / 16 <= run.send_calls < sent


def test_a_consumer_that_is_too_slow_loses_packets_at_its_buffer(namespace):
    work, slots = 1e-3, 64
    run = run_point(LabPoint(5e4, work=work, buffer=f"{slots} slots", duration=0.2), namespace)
    assert run.buffer_drops > 0
    assert run.delivered >= slots  # it was full once, and was read to the end
    # half of its work would be a mistake of the loop that stands for it
    assert run.delivered <= 2.0 * run.elapsed / work + slots + 1
    assert run.consumers[0].work_time == pytest.approx(work * run.delivered, rel=0.5)


def test_what_random_arrivals_offer_is_up_to_the_seed(namespace):
    def offered(seed, arrivals):
        point = LabPoint(5e4, arrivals=arrivals, duration=0.05, seed=seed)
        return run_point(point, namespace).offered

    for arrivals in ("poisson", "bursts(on=2ms,off=2ms)"):
        first = offered(1, arrivals)
        assert first == offered(1, arrivals)
        assert len({first, offered(2, arrivals), offered(3, arrivals)}) > 1
    # 2500 on average with a standard deviation of 50: seven of them
    assert abs(offered(1, "poisson") - 2500) < 350


def test_a_duration_bounds_a_constant_rate(namespace):
    assert run_point(LabPoint(1e5, duration=0.02), namespace).offered in (1999, 2000, 2001)


def test_compressing_packets_is_work(namespace):
    run = run_point(LabPoint(1e5, zlib_level=6, **FITS), namespace)
    assert run.captured == 1.0
    assert run.consumers[0].work_time > 0.0
    assert zlib.ZLIB_VERSION  # the same library


def test_a_run_is_plain_values(namespace):
    run = run_point(LabPoint(1e5, packets=10), namespace)
    values = json.loads(json.dumps(run.to_dict()))
    assert values["offered"] == values["delivered"] + values["ring_drops"] == 10
    assert LabPoint.from_dict(values["point"]) == run.point
    assert set(run.cpu) == {run.cores["sender"], run.cores["consumers"]}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"backend": "tpacket_v3", "size": 9000, "block_size": "4KiB"}, "block_size must hold"),
        ({"buffer": "1000003 slots"}, "factors of two"),
        ({"backend": "af_xdp", "buffer": "1000 slots"}, "power of two"),
        ({"backend": "af_xdp", "size": 4000}, "size must be at most"),
        ({"backend": "af_xdp", "consumers": 2}, "consumers must be 1"),
        ({"arrivals": "trace(none.csv)"}, "no trace none.csv"),
    ],
    ids=str,
)
def test_what_the_kernel_cannot_do_is_refused_in_a_sentence(namespace, case, words):
    with pytest.raises((LabError, ValueError), match=words) as caught:
        run_point(LabPoint(1e5, **case), namespace)
    assert "\n" not in str(caught.value)
    assert run_point(LabPoint(1e5, **FITS), namespace).captured == 1.0  # and it goes on
