"""The capture path: what it refuses and how it says so, and its three short constructors."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import numpy as np
import pytest

from capmodel.numerics.arrival_process import MAP
from capmodel.path import (
    ARRIVAL_PROCESSES,
    BUFFER_KINDS,
    DRIVER_MODES,
    WAIT_POLICIES,
    Arrivals,
    Buffer,
    CapturePath,
    Consumer,
    Cores,
    Driver,
    Kernel,
    Wakeup,
    parts,
)

SPLIT: dict[str, Any] = {"rate": 1.0, "ring": 64, "capacity": 128, "kernel_cost": 0.5,
                         "consumer_cost": 0.7}  # fmt: skip
SAME: dict[str, Any] = SPLIT
SINGLE: dict[str, Any] = {"rate": 1.0, "capacity": 128, "consumer_cost": 0.7}

POSITIVE = [
    (Arrivals, {"rate": 1.0}, ("rate", "duration")),
    (Driver, {}, ("throttle", "tick", "budget", "bus_rate")),
    (Kernel, {"ring": 64, "cost": 1.0}, ("ring",)),
    (Buffer, {"capacity": 64}, ("capacity", "block", "blocks", "retire")),
    (Consumer, {"cost": 1.0}, ("processes",)),
    (Wakeup, {}, ("threshold", "timeout")),
    (Cores, {}, ("leave_same", "leave_split")),
]
NOT_NEGATIVE = [
    (Arrivals, {"rate": 1.0}, ("scv", "on", "off")),
    (Driver, {}, ("interrupt_cost",)),
    (
        Kernel,
        {"ring": 64, "cost": 1.0},
        ("cost", "drop_cost", "scv", "near_cost", "stall_rate", "stall_time"),
    ),
    (Consumer, {"cost": 1.0}, ("cost", "scv")),
    (
        Wakeup,
        {},
        (
            "cost",
            "latency",
            "poll_cost",
            "switch_cost",
            "sleep",
            "spin",
            "contention",
            "early_cost",
            "leave",
            "settle",
            "idle_latency",
            "waking",
        ),
    ),
    (Cores, {}, ("kernel_share", "kernel_turn")),
]


def each(table: list[Any]) -> list[Any]:
    return [
        pytest.param(part, given, name, id=f"{part.__name__}.{name}")
        for part, given, names in table
        for name in names
    ]


@pytest.mark.parametrize(("part", "given", "name"), each(POSITIVE))
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_must_be_positive(part: Any, given: dict[str, Any], name: str, value: float) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        part(**{**given, name: value})
    assert str(refused.value) == f"{part.__name__}.{name} must be positive, got {value!r}"


@pytest.mark.parametrize(("part", "given", "name"), each(NOT_NEGATIVE))
@pytest.mark.parametrize("value", [-1e-9, math.nan])
def test_must_not_be_negative(part: Any, given: dict[str, Any], name: str, value: float) -> None:
    part(**{**given, name: 0.0})
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        part(**{**given, name: value})
    assert str(refused.value) == f"{part.__name__}.{name} must be not negative, got {value!r}"


def test_every_number_of_every_part_is_checked() -> None:
    checked = {
        (part.__name__, name) for table in (POSITIVE, NOT_NEGATIVE) for part, _, names in table
        for name in names
    }  # fmt: skip
    words = {"process", "random_bursts", "mode", "driver", "kind", "policy", "pinning",
             "phases", "law"}  # fmt: skip
    for part in (Arrivals, Driver, Kernel, Buffer, Consumer, Wakeup, Cores):
        for field in fields(part):
            assert field.name in words or (part.__name__, field.name) in checked, field.name


def test_one_bad_entry_of_an_array_is_enough() -> None:
    with pytest.raises(ValueError, match=r"Arrivals\.rate must be positive, got array"):
        Arrivals(np.array([1.0, 0.0, 2.0]))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Arrivals(1.0, "cbrr"), "process must be one of 'cbr', 'poisson', 'on_off'"),
        (lambda: Driver("napy"), "mode must be one of"),
        (lambda: Buffer(8, "slot"), "did you mean 'slots'"),
        (lambda: Wakeup("pol"), "did you mean 'poll'"),
        (lambda: Cores("both"), "pinning must be one of 'same', 'split', 'auto', not 'both'"),
        (lambda: CapturePath.split(**SPLIT, service="constant"), "service must be one of"),
        (lambda: CapturePath.split(**SPLIT, arrivals="posson"), "did you mean 'poisson'"),
    ],
)
def test_unknown_names_are_listed(build: Any, text: str) -> None:
    with pytest.raises(ValueError, match="must be one of") as refused:
        build()
    assert text in str(refused.value)


def test_every_name_is_accepted() -> None:
    for name in ARRIVAL_PROCESSES:
        phases = MAP.mmpp([2.0, 1.0], [1.0, 1.0]) if name == "map" else None
        Arrivals(1.0, name, on=1.0, off=1.0, phases=phases)
    for name in DRIVER_MODES:
        Driver(name)
    for name in BUFFER_KINDS:
        Buffer(8, name)
    for name in WAIT_POLICIES:
        Wakeup(name)


def test_alternatives_belong_to_auto_alone() -> None:
    path = CapturePath.split(**SPLIT)
    same = CapturePath.same_core(**SAME)
    rest = (path.arrivals, path.kernel, path.buffer, path.consumer, path.wakeup)
    with pytest.raises(ValueError, match="got 0 alternatives with pinning 'auto'"):
        CapturePath(*rest, Cores("auto"))
    with pytest.raises(ValueError, match="got 2 alternatives with pinning 'split'"):
        CapturePath(*rest, Cores("split"), alternatives=(same, path))
    auto = CapturePath(*rest, Cores("auto"), alternatives=(same, path))
    faster = auto.with_rate(7.0)
    assert faster.arrivals.rate == 7.0
    assert [alternative.arrivals.rate for alternative in faster.alternatives] == [7.0, 7.0]
    assert auto.arrivals.rate == 1.0
    assert faster.kernel == auto.kernel


def test_frozen() -> None:
    path = CapturePath.split(**SPLIT)
    with pytest.raises(FrozenInstanceError):
        path.on_full = "block"  # type: ignore[misc]


def test_peak_rate() -> None:
    assert Arrivals(3.0).peak_rate == 3.0
    assert Arrivals(3.0, "on_off", on=1.0, off=2.0).peak_rate == 9.0


def test_a_drop_costs_what_a_packet_costs_unless_said_otherwise() -> None:
    assert Kernel(64, 1.5).drop_cost == 1.5
    assert Kernel(64, 1.5, 0.0).drop_cost == 0.0


def test_split() -> None:
    path = CapturePath.split(
        rate=2.0, ring=64, capacity=128, kernel_cost=0.5, consumer_cost=0.7, wakeup_cost=3.0,
        wakeup_latency=4.0, poll_cost=0.1, threshold=8, timeout=5.0, service="deterministic",
        arrivals="cbr", duration=60.0,
    )  # fmt: skip
    assert path.arrivals == Arrivals(2.0, "cbr", 0.0, duration=60.0)
    assert path.kernel == Kernel(64, 0.5, 0.5, scv=0.0)
    assert path.buffer == Buffer(128)
    assert path.consumer == Consumer(0.7, 0.0, 1)
    assert path.wakeup == Wakeup("poll", 3.0, 4.0, 0.1, threshold=8, timeout=5.0)
    assert path.cores.pinning == "split"
    assert path.on_full == "drop"


def test_split_by_default_is_random_and_never_signals_by_time() -> None:
    path = CapturePath.split(**SPLIT)
    assert path.arrivals == Arrivals(1.0, "poisson", 1.0)
    assert path.kernel.scv == path.consumer.scv == 1.0
    assert path.wakeup.timeout == np.inf
    assert path.wakeup.cost == path.wakeup.latency == path.wakeup.poll_cost == 0.0


@pytest.mark.parametrize(
    ("service", "scv"), [("exponential", 1.0), ("deterministic", 0.0), (0.25, 0.25)]
)
def test_service_by_name_or_by_its_variability(service: Any, scv: float) -> None:
    path = CapturePath.split(**SPLIT, service=service)
    assert path.kernel.scv == path.consumer.scv == scv
    assert CapturePath.same_core(**SAME, service=service).kernel.scv == scv
    assert CapturePath.single(**SINGLE, service=service).consumer.scv == scv


def test_same_core() -> None:
    path = CapturePath.same_core(**SAME, drop_cost=0.2, kernel_share=0.8)
    assert path.cores == Cores("same", 0.8)
    assert path.kernel.drop_cost == 0.2
    assert path.wakeup == Wakeup()
    assert CapturePath.same_core(**SAME).kernel.drop_cost == 0.5


def test_single_is_a_consumer_that_reads_the_ring_itself() -> None:
    path = CapturePath.single(**SINGLE, arrivals="cbr")
    assert path.kernel == Kernel(128, 0.0)
    assert path.buffer == Buffer(128, "ring")
    assert path.wakeup.policy == "spin"
    assert path.arrivals.scv == 0.0


def test_bad_arguments_of_a_constructor_name_the_part() -> None:
    with pytest.raises(ValueError, match=r"Kernel\.ring must be positive, got 0"):
        CapturePath.split(**{**SPLIT, "ring": 0})
    with pytest.raises(ValueError, match=r"Consumer\.cost must be not negative, got -1"):
        CapturePath.single(**{**SINGLE, "consumer_cost": -1})
    with pytest.raises(ValueError, match=r"Kernel\.drop_cost must be not negative, got -1"):
        CapturePath.same_core(**SAME, drop_cost=-1)


def test_parts_hold_every_field() -> None:
    read = parts(CapturePath.split(**SPLIT))
    assert set(read) == {"arrivals", "kernel", "buffer", "consumer", "wakeup", "cores"}
    assert read["wakeup"]["threshold"] == 1.0
    assert read["kernel"] == {"ring": 64, "cost": 0.5, "drop_cost": 0.5, "scv": 1.0,
                              "driver": Driver(), "near_cost": 0.0, "stall_rate": 0.0,
                              "stall_time": 0.0}  # fmt: skip
