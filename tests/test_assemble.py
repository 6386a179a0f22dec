"""Costs added up by hand from the machine's constants, for every way in which they are charged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capmodel import CapturePath, Workload, load_backend, load_machine, solve
from capmodel.application import load_application, own_work
from capmodel.assemble import Choices, assemble
from capmodel.backend import Release
from capmodel.quantities import parse_buffer
from tests.oracles.deferred_ring import DeferredRing

AMD = load_machine("braun_amd")
KIB, MIB = 2**10, 2**20


def c(name: str) -> float:
    return AMD.value(name)


def path(
    backend: str = "pf_packet",
    *,
    machine: Any = AMD,
    application: Any = "tcpdump",
    rate: Any = 1e6,
    size: Any = 64,
    values: Any = None,
    **choices: Any,
) -> CapturePath:
    if "buffer" in choices:
        choices["buffer"] = parse_buffer(choices["buffer"])
    return assemble(
        Workload.from_user(rate, size), load_application(application), load_backend(backend),
        machine, Choices(**choices), values,
    )  # fmt: skip


# as the paper describes the standard path: card, driver, softirq, stack, then a tap per process
STACK = ("driver_receive", "skb_allocation", "dma_mapping", "softirq_dispatch", "network_stack")


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [64, 1500])
def test_pf_packet_on_two_cores(processes: int, size: int) -> None:
    found = path(consumers=processes, size=size)
    captured = min(size, 68)  # tcpdump's snaplen
    tap = c("packet_tap") + captured * c("kernel_copy_byte")
    common = sum(c(name) for name in STACK) + c("cache_line_transfer")
    assert found.kernel.cost == pytest.approx(common + processes * tap)
    assert found.kernel.drop_cost == pytest.approx(common)
    read = c("mmap_read") + 2 * c("cache_line_transfer")
    assert found.consumer.cost == pytest.approx(read + c("tcpdump"))
    assert found.consumer.processes == processes
    assert found.cores.pinning == "split"
    assert found.wakeup.policy == "poll"
    assert found.wakeup.cost == c("wakeup")
    assert found.wakeup.latency == c("wakeup_latency")
    assert found.wakeup.poll_cost == c("poll_call")
    assert found.wakeup.switch_cost == c("context_switch")
    assert (found.wakeup.threshold, found.wakeup.timeout) == (1.0, np.inf)
    assert found.kernel.scv == c("kernel_scv")
    assert found.kernel.ring == 256


@pytest.mark.parametrize("processes", [1, 3])
def test_pf_packet_on_one_core(processes: int) -> None:
    # no line crosses between cores, and waking is a local matter without a delay of its own
    found = path(pinning="same", consumers=processes)
    tap = c("packet_tap") + 64 * c("kernel_copy_byte")
    common = sum(c(name) for name in STACK)
    assert found.kernel.cost == pytest.approx(common + processes * tap)
    assert found.kernel.drop_cost == pytest.approx(common)
    assert found.consumer.cost == pytest.approx(c("mmap_read") + c("tcpdump"))
    assert found.wakeup.cost == c("local_wakeup")
    assert found.wakeup.latency == 0.0
    assert found.cores.pinning == "same"
    assert found.cores.kernel_share == c("kernel_share")


def test_left_to_the_scheduler_both_placements_are_there() -> None:
    found = path(pinning="auto", consumers=2)
    same, split = found.alternatives
    assert same == path(pinning="same", consumers=2)
    assert split == path(pinning="split", consumers=2)
    assert found.cores.leave_same == c("leave_same")
    assert found.cores.leave_split == c("leave_split")


def test_two_cores_are_the_default_where_there_are_two() -> None:
    assert path() == path(pinning="split")
    one = load_machine("deri2004")
    assert path(machine=one) == path(machine=one, pinning="same")


@pytest.mark.parametrize(
    ("buffer", "capacity"),
    [
        # a slot is 68 of data and 52 of headers, 16-aligned: 128 bytes
        (None, 2 * MIB // 128),
        ("1MiB", MIB // 128),
        ("1000 B", 1000 // 128),
        ("4096 slots", 4096),
        ("128 B", 1),
    ],
)
def test_slots_of_a_mapped_ring(buffer: str | None, capacity: int) -> None:
    found = path() if buffer is None else path(buffer=buffer)
    assert found.buffer.kind == "slots"
    assert found.buffer.capacity == capacity
    with pytest.raises(ValueError, match="buffer must hold at least one packet of 128 bytes, got"):
        path(buffer="127 B")


def test_a_slot_is_as_large_as_the_snaplen_even_for_small_frames() -> None:
    # packzip captures 1514: TPACKET_ALIGN(1514 + 52) = 1568
    assert path(application="packzip:0").buffer.capacity == 2 * MIB // 1568


@pytest.mark.parametrize(
    ("application", "size", "slot"),
    [
        ("tcpdump", 1500, 96),  # 68 captured and bpf_hdr of 26, 8-aligned
        ("tcpdump", 64, 96),  # 64 and 26 are 90
        ("packzip:0", 512, 544),  # 512 and 26 are 538
    ],
)
def test_bpf_packs_what_was_captured_into_two_buffers(
    application: str, size: int, slot: int
) -> None:
    found = path("bpf", application=application, size=size)
    half = 64 * KIB // slot // 2
    assert found.buffer.kind == "double"
    assert (found.buffer.block, found.buffer.blocks) == (half, 2)
    assert found.buffer.capacity == 2 * half


def test_bpf_copies_twice_and_works_slower() -> None:
    found = path("bpf", size=1500, application="packzip:0", consumers=2)
    tap = c("bpf_tap") + 1500 * c("kernel_copy_byte")
    receive = c("bsd_receive") + c("cache_line_transfer")
    assert found.kernel.cost == pytest.approx(receive + 2 * tap)
    assert found.kernel.drop_cost == pytest.approx(receive)
    own = c("packzip_call") + c("zlib") * 2.22e-7 * 1500 / 512
    read = c("bpf_read") + 1500 * c("user_copy_byte")
    assert found.consumer.cost == pytest.approx(read + c("bsd_stretch") * own, rel=1e-3)
    assert found.wakeup.policy == "rotation"
    assert found.wakeup.poll_cost == c("read_call")


@pytest.mark.parametrize(
    ("buffer", "blocks"),
    [
        ("2MiB", 8), ("256KiB", 1), ("511KiB", 1), ("512KiB", 2), ("4096 slots", 2),
        ("100 B", None), ("1KiB", 1),
    ],
)  # fmt: skip
def test_tpacket_v3_rounds_to_blocks(buffer: str, blocks: int | None) -> None:
    machine = load_machine("libpcap843")
    if blocks is None:  # not even one packet
        with pytest.raises(ValueError, match="buffer must hold at least one packet of 136 bytes"):
            path("tpacket_v3", machine=machine, application="sink", buffer=buffer)
        return
    found = path("tpacket_v3", machine=machine, application="sink", buffer=buffer)
    block = 256 * KIB // 136  # 64 of data and 68 of headers, 8-aligned
    assert found.buffer.kind == "blocks"
    assert (found.buffer.block, found.buffer.blocks) == (block, blocks)
    assert found.buffer.capacity == block * blocks
    assert found.buffer.retire == 0.01
    assert (found.wakeup.threshold, found.wakeup.timeout) == (1.0, np.inf)


def test_the_timeout_of_tpacket_v3_retires_its_blocks() -> None:
    found = path("tpacket_v3", machine=load_machine("libpcap843"), application="sink", timeout=0.1)
    assert found.buffer.retire == 0.1
    assert (found.wakeup.threshold, found.wakeup.timeout) == (1.0, np.inf)


# a machine of round numbers, in seconds, that knows only what a shared ring asks of it
RING = {
    "message_write": 16e-9, "message_read": 32e-9, "futex_wake": 12e-9, "context_switch": 1e-6,
    "poll_call": 0.0, "cache_line_transfer": 8e-9,
}  # fmt: skip


def assembled(backend: Any, pinning: str, values: Any = RING) -> CapturePath:
    return assemble(
        Workload.from_user(1e9, 64), load_application("sink"), backend,
        load_machine("core2_q9400"), Choices(pinning=pinning), values,
    )  # fmt: skip


def with_release(release: Release | None) -> Any:
    futex = load_backend("shm_futex")
    return replace(futex, consumer=replace(futex.consumer, release=release))


@pytest.mark.parametrize(
    ("backend", "split", "same"),
    [
        # reader: 32 + 8 for the message, 12 + 8 for giving its slot back
        ("shm_futex", (16e-9, 60e-9), (16e-9, 44e-9)),
        ("shm_spin", (16e-9, 40e-9), (16e-9, 32e-9)),
    ],
)
def test_the_reader_of_a_shared_ring_pays_for_giving_slots_back(
    backend: str, split: tuple[float, float], same: tuple[float, float]
) -> None:
    for pinning, (write, read) in (("split", split), ("same", same)):
        found = assembled(load_backend(backend), pinning)
        assert found.kernel.cost == pytest.approx(write)
        assert found.consumer.cost == pytest.approx(read)


@pytest.mark.parametrize(
    ("release", "split", "same"),
    [
        (None, 40e-9, 32e-9),
        (Release(("futex_wake",), 1.0, 1.0), 60e-9, 44e-9),
        (Release(("futex_wake",), 1.0, 4.0), 45e-9, 35e-9),
        (Release(("futex_wake", "message_write"), 0.0, 2.0), 54e-9, 46e-9),
        (Release((), 3.0, 8.0), 43e-9, 32e-9),
    ],
)
def test_a_release_is_paid_once_per_threshold(
    release: Release | None, split: float, same: float
) -> None:
    # by hand: 32 (+ 8 where a line crosses), and (costs + 8 per line)/threshold
    backend = with_release(release)
    assert assembled(backend, "split").consumer.cost == pytest.approx(split)
    assert assembled(backend, "same").consumer.cost == pytest.approx(same)
    # the writer's own signals are not the reader's
    assert assembled(backend, "split").kernel.cost == pytest.approx(16e-9)
    assert assembled(backend, "split").wakeup.cost == pytest.approx(12e-9)


def test_the_rate_of_a_shared_ring_is_that_of_all_it_pays() -> None:
    # one core: 16 + 12 to write, 44 to read, and two sides that change once per 16384 messages
    shared = solve(assembled(load_backend("shm_futex"), "same"))
    assert float(shared.carried_rate) == pytest.approx(1.0 / (72e-9 + 1e-6 / 16384))
    # two cores: the reader, at 60, is slower than the writer, at 28
    apart = solve(assembled(load_backend("shm_futex"), "split"))
    assert float(apart.carried_rate) == pytest.approx(1.0 / 60e-9)
    for found in (shared, apart):
        # what is not carried waits at the writer: nothing is made or lost on the way
        gone = sum(float(share) for share in found.drops.values())
        assert float(found.carried_rate) + gone == pytest.approx(1e9)
    assert float(apart.core_time["consumer"]["packets"]) == pytest.approx(1.0)


def test_costs_of_a_release_are_asked_of_the_machine() -> None:
    backend = with_release(Release(("no_such_cost",)))
    with pytest.raises(ValueError, match=r"has no cost 'no_such_cost', which backend 'shm_futex'"):
        assembled(backend, "split")
    # a reader that is known as a whole includes what it gives back
    whole = {**RING, "totals.shm_futex.consumer": 99e-9}
    assert assembled(load_backend("shm_futex"), "split", whole).consumer.cost == 99e-9


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([True, False], id="in step"),
        pytest.param([True] * 300 + [False] * 300, id="one core"),
        pytest.param([True] * 7 + [False] * 2, id="slow reader"),
        pytest.param([True] + [False] * 5, id="slow writer"),
    ],
)
def test_either_side_of_the_futex_ring_does_one_atomic_write_per_message(
    turns: list[bool],
) -> None:
    # the steps of the source's protocol, counted: putting writes off over up to three messages
    # saves nothing once the writer has to look for slots as well
    counted = DeferredRing(slots=64, most=3)
    counted.run(turns * 200)
    before = (counted.written, counted.read, counted.writer.exchanges, counted.reader.exchanges)
    counted.run(turns * 4000)
    written, read = counted.written - before[0], counted.read - before[1]
    assert counted.order == list(range(counted.read))
    backend = load_backend("shm_futex")
    release = backend.consumer.release
    assert release is not None
    writer, reader = counted.writer.exchanges - before[2], counted.reader.exchanges - before[3]
    assert writer / written == pytest.approx(1.0 / backend.waiting.threshold, rel=0.01)
    assert reader / read == pytest.approx(1.0 / release.threshold, rel=0.01)


def test_totals_stand_for_a_whole_stage() -> None:
    machine = load_machine("deri2004")
    found = path(machine=machine)
    kernel = machine.value("totals.pf_packet.kernel")
    assert found.kernel.cost == found.kernel.drop_cost == kernel
    read = machine.value("totals.pf_packet.consumer")
    assert found.consumer.cost == pytest.approx(read + machine.value("tcpdump"))
    assert found.kernel.ring == machine.value("nic.gigabit.ring")
    # one stage may be known as a whole and the other by its parts
    half = {**AMD.values(), "totals.pf_packet.kernel": 5e-6}
    assert path(values=half).kernel.cost == 5e-6
    assert path(values=half).consumer.cost == path().consumer.cost


@pytest.mark.parametrize(
    ("memory", "share"), [("1MiB", 0.0), ("2MiB", 0.0), ("3MiB", 0.5), ("4MiB", 1.0), ("1GiB", 1.0)]
)
def test_a_ring_that_outgrows_the_caches_costs_both_sides(memory: str, share: float) -> None:
    assert c("cache_reach") == 2 * MIB
    found, base = path(buffer=memory), path(buffer="4096 slots")
    penalty = share * c("large_buffer_miss")
    assert found.kernel.cost - base.kernel.cost == pytest.approx(penalty, abs=1e-18)
    assert found.consumer.cost - base.consumer.cost == pytest.approx(penalty, abs=1e-18)


def test_own_work_per_packet_and_per_captured_byte() -> None:
    base = path(application=own_work(0.0, 68))
    found = path(application=own_work((3e-7, 2e-9), 68), size=1500)
    assert found.consumer.cost - base.consumer.cost == pytest.approx(3e-7 + 68 * 2e-9)


def test_mixtures_are_charged_by_their_mean() -> None:
    shares = {64: 0.75, 1500: 0.25}
    found = path("bpf", size=shares, application="packzip:3")
    single = {size: path("bpf", size=size, application="packzip:3") for size in shares}
    for stage in ("kernel", "consumer"):
        mean = sum(share * getattr(single[size], stage).cost for size, share in shares.items())
        assert getattr(found, stage).cost == pytest.approx(mean)


def test_waiting_of_every_policy() -> None:
    slept = path("pf_packet_sleep")
    assert (slept.wakeup.policy, slept.wakeup.sleep) == ("sleep", 1e-3)
    assert slept.wakeup.poll_cost == c("sleep_call")
    assert path("pf_packet_sleep", sleep=5e-5).wakeup.sleep == 5e-5
    adaptive = path("pf_packet_adaptive_sleep", rate=5e5)
    assert adaptive.wakeup.sleep == pytest.approx(0.5 * (2 * MIB / 128) / 5e5)
    yielding = path("pf_packet_yield")
    assert yielding.wakeup.policy == "yield"
    assert yielding.wakeup.spin == pytest.approx(20 * c("yield_call"))
    assert yielding.wakeup.contention == c("yield_contention")
    busy = path("pf_packet_busy")
    assert (busy.wakeup.policy, busy.wakeup.contention) == ("spin", c("spin_contention"))
    late = path("pf_packet_modified")
    assert (late.wakeup.threshold, late.wakeup.timeout) == (128, 0.01)
    both = path("pf_packet_modified", sleep=1e-3, threshold=64, timeout=2e-3)
    assert (both.wakeup.policy, both.wakeup.sleep) == ("sleep", 1e-3)
    assert both.wakeup.poll_cost == c("sleep_call")
    assert (both.wakeup.threshold, both.wakeup.timeout) == (64, 2e-3)


def test_who_reads_the_cards_ring_has_no_other_buffer() -> None:
    found = path("ncap", ring=1024)
    assert found.buffer.kind == "ring"
    assert found.buffer.capacity == found.kernel.ring == 1024
    assert found.kernel.cost == 0.0
    own = c("driver_receive") + c("ncap_read") + c("tcpdump")
    assert found.consumer.cost == pytest.approx(own)


def test_the_card_and_its_driver() -> None:
    base = path()
    assert base.kernel.driver.mode == "napi"
    assert base.kernel.driver.interrupt_cost == c("interrupt")
    assert base.kernel.driver.throttle == c("nic.82572EI.throttle")
    assert base.kernel.driver.tick == np.inf
    polling = path(driver="polling").kernel.driver
    assert (polling.mode, polling.tick, polling.throttle) == ("polling", c("poll_tick"), np.inf)
    assert polling.budget == c("poll_budget")
    assert path(driver="interrupt").kernel.driver.throttle == np.inf
    xeon = load_machine("braun_xeon")
    for card in xeon.cards:
        found = path(machine=xeon, nic=card)
        assert found.kernel.ring == xeon.value(f"nic.{card}.ring")
        assert found.kernel.driver.throttle == xeon.values().get(f"nic.{card}.throttle", np.inf)
        a_packet = 64 + xeon.value(f"nic.{card}.bus_descriptors")
        assert found.kernel.driver.bus_rate == xeon.value(f"nic.{card}.bus_rate") / a_packet
    unknown = load_machine("napi2002")
    assert path("kernel_path", machine=unknown, application="sink").kernel.driver.bus_rate == np.inf
    assert path(ring=64).kernel.ring == 64


@pytest.mark.parametrize(
    ("backend", "choices", "message"),
    [
        ("pf_packet", {"sleep": 1e-3}, "^sleep does not apply to backend 'pf_packet'"),
        ("pf_packet", {"threshold": 9}, "^threshold does not apply to backend 'pf_packet'"),
        ("pf_packet", {"timeout": 9}, "^timeout does not apply .* are: buffer, consumers, ring$"),
        ("ncap", {"buffer": "2MiB"}, "^buffer does not apply to backend 'ncap'"),
        ("shm_spin", {"ring": 64}, "^ring does not apply to backend 'shm_spin'"),
        ("shm_spin", {"consumers": 2}, "^consumers must be 1 for backend 'shm_spin'.*got 2"),
        ("udp_socket", {"consumers": 3}, "^consumers must be 1 for backend 'udp_socket'.*got 3"),
        ("pf_packet", {"nic": "82572EJ"}, "^nic of machine .*did you mean '82572EI'"),
        ("pf_packet", {"driver": "nap"}, "^driver must be one of .*did you mean 'napi'"),
        ("pf_packet", {"pinning": "spilt"}, "^pinning must be one of .*did you mean 'split'"),
        ("netmap", {}, "^machine 'braun_amd' has no cost '[a-z_]+', which backend 'netmap' needs"),
    ],
)
def test_what_does_not_fit_is_refused(backend: str, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        path(backend, **choices)


def test_one_core_cannot_be_split() -> None:
    for pinning in ("split", "auto"):
        with pytest.raises(ValueError, match=r"^pinning must be \"same\" on machine 'deri2004'"):
            path(machine=load_machine("deri2004"), pinning=pinning)


def test_columns_of_costs_are_paths_side_by_side() -> None:
    names = ("driver_receive", "wakeup", "mmap_read")
    column = {name: c(name) * np.array([0.5, 1.0, 2.0]) for name in names}
    found = path(values={**AMD.values(), **column}, rate=np.array([[1e5], [1e6]]))
    for index in range(3):
        alone = path(values={**AMD.values(), **{name: column[name][index] for name in names}})
        assert found.kernel.cost[index] == alone.kernel.cost
        assert found.wakeup.cost[index] == alone.wakeup.cost
        assert found.consumer.cost[index] == alone.consumer.cost
    assert found.arrivals.rate.shape == (2, 1)
