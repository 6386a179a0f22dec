"""What always holds, with its conditions; and what sounds right and does not, by counterexample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel import predict
from capmodel.path import CapturePath
from capmodel.solvers import solve
from tests.oracles.event_simulation import same_core, two_core

SLACK = 1.0 + 1e-9

paths = st.fixed_dictionaries({
    "rate": st.floats(0.05, 5.0),
    "ring": st.integers(16, 4096),
    "capacity": st.integers(64, 100_000),
    "kernel_cost": st.floats(0.2, 2.0),
    "consumer_cost": st.just(0.0) | st.floats(1e-6, 3.0),
    "wakeup_cost": st.just(0.0) | st.floats(1e-6, 8.0),
    "wakeup_latency": st.floats(0.0, 12.0),
    "poll_cost": st.floats(0.0, 1.0),
    "service": st.sampled_from(["deterministic", "exponential"]),
    "arrivals": st.sampled_from(["cbr", "poisson"]),
})  # fmt: skip


def carried(split: dict[str, Any], **changed: Any) -> float:
    """By the closed form: a law holds within one tier; two of them differ by their stated error."""
    return float(solve(CapturePath.split(**{**split, **changed}), "closed_form").carried_rate)


@given(paths)
def test_no_more_than_offered_nor_than_either_stage_serves(p: dict[str, Any]) -> None:
    most = min(p["rate"], 1.0 / p["kernel_cost"])
    if p["consumer_cost"] > 0.0:
        most = min(most, 1.0 / p["consumer_cost"])
    assert carried(p) <= most * SLACK


@given(paths, st.floats(1.0, 3.0))
def test_split_carries_no_less_at_a_higher_rate(p: dict[str, Any], factor: float) -> None:
    # a fraction of a percent of rounding near the critical load is part of the closed form
    assert carried(p, rate=p["rate"] * factor) >= carried(p) * (1 - 5e-3)


@given(paths, st.floats(1.0, 8.0))
def test_split_carries_no_less_with_a_longer_ring(p: dict[str, Any], factor: float) -> None:
    assert carried(p, ring=p["ring"] * factor) * SLACK >= carried(p)


@given(paths, st.floats(1.0, 8.0))
@example(
    # whole slots went to the exact solver, parts of one to the closed form
    {"rate": 0.5, "ring": 16, "capacity": 64, "kernel_cost": 1.0, "consumer_cost": 1.0,
     "wakeup_cost": 0.0, "wakeup_latency": 0.0, "poll_cost": 0.0, "service": "exponential",
     "arrivals": "poisson"},
    1.7890625,
)  # fmt: skip
def test_split_carries_no_less_with_a_larger_buffer(p: dict[str, Any], factor: float) -> None:
    """In packets: the cost per packet does not change with it here."""
    assert carried(p, capacity=p["capacity"] * factor) * SLACK >= carried(p)


@given(paths, st.floats(0.0, 5.0))
def test_dearer_wakeups_never_help(p: dict[str, Any], more: float) -> None:
    assert carried(p, wakeup_cost=p["wakeup_cost"] + more) <= carried(p) * (1 + 5e-3)


@given(paths)
def test_saturated_kernel_pays_at_most_one_wakeup_per_packet(p: dict[str, Any]) -> None:
    p = {**p, "rate": 50.0 / p["kernel_cost"], "capacity": 1_000_000}
    least = 1.0 / (p["kernel_cost"] + p["wakeup_cost"])
    if p["consumer_cost"] > 0.0:
        least = min(least, 1.0 / p["consumer_cost"])
    assert carried(p) * (1 + 1e-3) >= least


@given(paths, st.integers(1, 500), st.integers(1, 500))
def test_a_higher_threshold_never_hurts_an_endless_buffer(
    p: dict[str, Any], threshold: int, more: int
) -> None:
    p = {**p, "capacity": 10_000_000}
    low = carried(p, threshold=threshold)
    assert carried(p, threshold=threshold + more) >= low * (1 - 1e-6)


@given(
    st.floats(0.05, 5.0), st.floats(0.1, 2.0), st.floats(0.1, 3.0), st.floats(0.05, 1.0),
    st.sampled_from(["cbr", "poisson"]), st.floats(1.0, 2.0),
)  # fmt: skip
def test_same_core_carries_no_less_when_anything_is_cheaper(
    rate: float, kernel: float, consumer: float, part: float, arrivals: Any, factor: float
) -> None:
    def with_costs(kernel: float, consumer: float, capacity: int = 512) -> float:
        return float(
            solve(
                CapturePath.same_core(
                    rate=rate, ring=64, capacity=capacity, kernel_cost=kernel,
                    consumer_cost=consumer, drop_cost=part * kernel, service="deterministic",
                    arrivals=arrivals,
                )
            ).carried_rate
        )  # fmt: skip

    here = with_costs(kernel, consumer) * (1 + 5e-3) + 1e-12
    assert with_costs(kernel * factor, consumer) <= here
    assert with_costs(kernel, consumer * factor) <= here
    assert with_costs(kernel, consumer, 64) <= here


def test_free_wakeups_leave_two_queues_in_a_row() -> None:
    """w, L, P = 0: what the faster of the two stages cannot carry is lost at the slower one."""
    free = {"ring": 256, "capacity": 512, "kernel_cost": 1.0, "service": "deterministic",
            "arrivals": "cbr"}  # fmt: skip
    first = solve(CapturePath.split(rate=1.5, consumer_cost=0.5, **free))
    assert float(first.carried_rate) == pytest.approx(1.0)
    assert float(first.drops["ring"]) == pytest.approx(0.5)
    second = solve(CapturePath.split(rate=0.9, consumer_cost=2.0, **free))
    assert float(second.carried_rate) == pytest.approx(0.5)
    assert float(second.drops["buffer"]) == pytest.approx(0.4)


def test_placement_left_to_the_scheduler_lies_between_the_two() -> None:
    answers = {
        pinning: predict(rate=5e5, pinning=pinning, work="800ns").captured
        for pinning in ("same", "split", "auto")
    }
    low, high = sorted((answers["same"], answers["split"]))
    assert low <= answers["auto"] <= high


# What must not be asserted: each by a point of the simulation and of the model.


def test_not_a_law_less_work_captures_more() -> None:
    """Two cores: c_a from 0.1 to 0.9 of the kernel's cost, and a third more is captured."""
    p = {"rate": 1.5, "ring": 256, "capacity": 1024, "kernel_cost": 1.0, "wakeup_cost": 3.0}
    simulated = [
        two_core(**p, consumer_cost=work, latency=6.0, packets=20_000).captured
        for work in (0.1, 0.9)
    ]
    modelled = [
        carried(p | {"wakeup_latency": 6.0, "service": "deterministic"}, consumer_cost=work)
        for work in (0.1, 0.9)
    ]
    assert simulated[1] > 1.2 * simulated[0]
    assert modelled[1] > 1.2 * modelled[0]
    light, heavy = (predict(rate=1.27e6, work=work).captured for work in ("0ns", "600ns"))
    assert heavy > light


def test_not_a_law_lower_latency_carries_more() -> None:
    """Saturated, a later consumer finds more packets per wakeup: fewer wakeups to pay for."""
    p = {"rate": 2.0, "ring": 256, "capacity": 4096, "kernel_cost": 1.0, "wakeup_cost": 3.0,
         "consumer_cost": 0.3}  # fmt: skip
    simulated = [two_core(**p, latency=late, packets=20_000).carried_rate for late in (2.0, 20.0)]
    assert simulated[1] > 1.2 * simulated[0]
    late = p | {"service": "deterministic"}
    assert carried(late, wakeup_latency=20.0) > 1.2 * carried(late, wakeup_latency=2.0)


def test_not_a_law_slower_polls_carry_less() -> None:
    p = {"rate": 2.0, "ring": 256, "capacity": 4096, "kernel_cost": 1.0, "wakeup_cost": 3.0,
         "consumer_cost": 0.3}  # fmt: skip
    simulated = [
        two_core(
            **p, latency=3.0, poll_cost=poll, service="exponential", packets=60_000
        ).carried_rate
        for poll in (0.0, 1.0)
    ]
    assert simulated[1] > 1.05 * simulated[0]
    p["wakeup_latency"] = 3.0
    assert carried(p, poll_cost=1.0) > 1.05 * carried(p, poll_cost=0.0)


def test_not_a_law_same_core_carries_no_less_at_a_higher_rate() -> None:
    p = {"ring": 64, "capacity": 128, "kernel_cost": 0.6, "consumer_cost": 0.8}
    simulated = [same_core(rate=rate, **p, packets=20_000).carried_rate for rate in (0.7, 1.2)]
    assert simulated[1] < 0.6 * simulated[0]
    modelled = [
        float(solve(CapturePath.same_core(rate=rate, **p)).carried_rate) for rate in (0.7, 1.2)
    ]
    assert modelled[1] < 0.6 * modelled[0]
    slow, fast = (predict(rate=rate, pinning="same") for rate in (8e5, 1.3e6))
    assert fast.captured < slow.captured
    assert fast.carried_rate < slow.carried_rate


def test_not_a_law_a_larger_buffer_captures_more() -> None:
    """A ring that outgrows the caches misses at every slot; overload leaves nothing to absorb."""
    small, large = (
        predict(rate=1.27e6, machine="braun_amd", work="1.5us", buffer=size).captured
        for size in ("2MiB", "8MiB")
    )
    assert large < small


def test_not_a_law_more_processes_each_capture_less() -> None:
    """From two to three the shared core saturates, nobody sleeps, and the wakeup storm ends."""

    def each(n: int) -> float:
        base = CapturePath.split(
            rate=1.27, ring=512, capacity=4096, kernel_cost=0.6 + 0.03 * n, consumer_cost=0.25,
            wakeup_cost=1.5, wakeup_latency=4.0, poll_cost=0.4,
        )  # fmt: skip
        path = replace(
            base,
            consumer=replace(base.consumer, processes=n),
            wakeup=replace(base.wakeup, switch_cost=0.2),
        )
        return float(solve(path).captured)

    assert each(3) > each(2)
    assert each(1) > each(2)


def test_not_a_law_a_higher_threshold_always_helps() -> None:
    """Near K the buffer overflows before the woken consumer runs."""
    p = {"rate": 2.0, "ring": 256, "capacity": 64, "kernel_cost": 1.0, "consumer_cost": 0.4,
         "wakeup_cost": 2.0}  # fmt: skip
    simulated = [
        two_core(**p, latency=6.0, threshold=n, packets=40_000).captured for n in (1, 32, 63)
    ]
    assert simulated[1] > simulated[0]
    assert simulated[2] < simulated[1]
    modelled = [
        carried(p | {"wakeup_latency": 6.0, "service": "deterministic"}, threshold=n)
        for n in (1, 32, 63)
    ]
    assert modelled[1] > modelled[0]
    assert modelled[2] < modelled[1]


def test_not_a_law_drops_happen_where_the_bottleneck_is() -> None:
    """The kernel is the faster of the two when it signals nobody, and yet the ring overflows."""
    p = {"rate": 0.9, "ring": 128, "capacity": 4096, "kernel_cost": 1.0, "consumer_cost": 0.2,
         "wakeup_cost": 4.0}  # fmt: skip
    counts = two_core(**p, latency=2.5, arrivals="cbr", packets=20_000)
    assert counts.ring_drops > 0.05 * counts.offered
    assert counts.buffer_drops == 0
    solution = solve(
        CapturePath.split(**p, wakeup_latency=2.5, service="deterministic", arrivals="cbr")
    )
    assert float(solution.drops["ring"]) > 0.05 * 0.9
    assert float(solution.drops["buffer"]) == 0.0
    assert np.isclose(counts.captured, float(solution.captured), rtol=0.06)
