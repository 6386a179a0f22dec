"""Signals that hang on the time asleep, and a kernel slowed by a consumer close behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.path import CapturePath
from capmodel.simulation.run import simulate
from capmodel.solvers import select, solve
from capmodel.solvers._gradual import averaged, gradual

PLAIN = CapturePath.split(
    rate=4.0, ring=64, capacity=1024, kernel_cost=1.0, consumer_cost=0.3, wakeup_cost=2.0137,
    wakeup_latency=6.0219, poll_cost=0.2531, service="deterministic", arrivals="cbr",
)  # fmt: skip


def changed(
    *, near: float = 0.0, early: float = 0.0, leave: float = 0.0, settle: float = 0.0,
    idle_latency: float = 0.0,
) -> CapturePath:  # fmt: skip
    wakeup = replace(
        PLAIN.wakeup, early_cost=early, leave=leave, settle=settle, idle_latency=idle_latency
    )
    return replace(PLAIN, kernel=replace(PLAIN.kernel, near_cost=near), wakeup=wakeup)


def saturated(path: CapturePath, packets: int = 200_000) -> tuple[float, float, float]:
    """Packets, wakes and wait calls per second of a kernel that always has a packet to take.

    One packet after the other in so many words; nothing of the package's simulation.
    """
    kernel, wakeup, consumer = path.kernel, path.wakeup, path.consumer
    now = ready = 0.0  # when the kernel, the consumer has done all it had
    wakes = polls = 0
    for _ in range(packets):
        now += kernel.cost + kernel.near_cost
        found = ready  # the buffer was found empty
        if now > found:
            polls += 1
            looked = found + wakeup.poll_cost
            if now <= looked:
                ready = looked
                now += wakeup.early_cost
            else:
                wakes += 1
                idle = looked + wakeup.leave
                looks_for_work = idle <= now < idle + wakeup.settle
                now += wakeup.early_cost if looks_for_work else wakeup.cost
                ready = now + (wakeup.idle_latency if looks_for_work else wakeup.latency)
        ready += consumer.cost
    return packets / now, wakes / now, polls / now


@pytest.mark.parametrize("near", [0.0, 0.15])
@pytest.mark.parametrize("early", [0.0, 0.3])
@pytest.mark.parametrize(
    ("leave", "settle", "idle_latency"),
    [(0.0, 0.0, 0.0), (0.0, 0.2, 0.0), (0.2017, 1.0, 0.9041), (0.0, 3.0, 1.7011)],
)
@pytest.mark.parametrize("work", [0.0, 0.3117, 0.7091, 0.9043])
def test_saturated_rates_are_those_of_a_plain_account(
    near: float, early: float, leave: float, settle: float, idle_latency: float, work: float
) -> None:
    path = changed(near=near, early=early, leave=leave, settle=settle, idle_latency=idle_latency)
    path = replace(path, consumer=replace(path.consumer, cost=work))
    mean = simulate(path, packets=400_000, replications=2).mean
    carried, wakes, polls = saturated(path)
    # the next sleep hangs on how this one ended: means over chaos
    assert mean["carried_rate"] == pytest.approx(carried, rel=4e-3)
    assert mean["wakeup_rate"] == pytest.approx(wakes, rel=2e-2, abs=1e-3)
    assert mean["poll_rate"] == pytest.approx(polls, rel=2e-2, abs=1e-3)


@pytest.mark.parametrize(("leave", "settle"), [(0.0, 1e-12), (1e9, 1.0)])
def test_a_core_that_never_looks_for_work_is_the_plain_path(leave: float, settle: float) -> None:
    plain = simulate(PLAIN, packets=50_000, replications=2).mean
    halted = simulate(changed(leave=leave, settle=settle), packets=50_000, replications=2).mean
    assert halted == pytest.approx(plain, rel=1e-9)


def test_a_core_that_never_halts_costs_early_signals_and_their_latency() -> None:
    path = changed(early=0.2, settle=1e9, idle_latency=1.4)
    plain = replace(PLAIN, wakeup=replace(PLAIN.wakeup, cost=0.2, latency=1.4, early_cost=0.2))
    found, expected = (simulate(p, packets=50_000, replications=2).mean for p in (path, plain))
    assert found["carried_rate"] == pytest.approx(expected["carried_rate"], rel=1e-6)


def test_nearness_is_over_once_the_consumer_is_half_a_buffer_behind() -> None:
    slow = replace(changed(near=0.5), consumer=replace(PLAIN.consumer, cost=5.0))
    far = replace(PLAIN, consumer=slow.consumer)
    mean, expected = (simulate(p, packets=200_000, replications=2).mean for p in (slow, far))
    assert mean["buffer_drops"] == pytest.approx(expected["buffer_drops"], rel=1e-3)


@given(
    near=st.floats(0.0, 0.5), early=st.floats(0.0, 1.0), settle=st.floats(0.0, 5.0)
)  # fmt: skip
def test_only_a_gradual_path_is_replaced(near: float, early: float, settle: float) -> None:
    path = changed(near=near, early=early, settle=settle)
    plain = averaged(path)
    assert gradual(path) == (plain is not path) == (near > 0.0 or early > 0.0 or settle > 0.0)
    assert not gradual(plain)
    assert plain.wakeup.cost <= PLAIN.wakeup.cost + 1e-12
    assert plain.wakeup.latency <= PLAIN.wakeup.latency


def test_the_simulation_is_chosen_for_one_path_and_the_closed_form_for_a_sample() -> None:
    assert select(PLAIN).name == "closed_form"
    path = changed(near=0.1, settle=0.5)
    assert select(path).name == "simulation"
    sample = replace(path, kernel=replace(path.kernel, near_cost=np.array([0.1, 0.2])))
    assert select(sample).name == "closed_form"
    random = replace(path, arrivals=replace(path.arrivals, process="poisson", scv=1.0),
                     kernel=replace(path.kernel, scv=1.0),
                     consumer=replace(path.consumer, scv=1.0))  # fmt: skip
    for solver in ("exact", "decomposition"):
        with pytest.raises(ValueError, match="not modelled: costs that depend on time asleep"):
            select(random, solver)


@pytest.mark.parametrize("settle", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(("leave", "idle_latency"), [(0.0, 0.0), (0.0, 1.5), (0.2, 1.5)])
@pytest.mark.parametrize("work", [0.05, 0.3, 0.55])
def test_the_closed_form_averages_what_the_simulation_follows(
    leave: float, settle: float, idle_latency: float, work: float
) -> None:
    path = changed(near=0.1, early=0.1, leave=leave, settle=settle, idle_latency=idle_latency)
    # a little irregularity, or the phase at which a packet finds the consumer is not uniform
    path = replace(
        path,
        kernel=replace(path.kernel, scv=0.05),
        consumer=replace(path.consumer, cost=work),
    )
    mean = simulate(path, packets=400_000, replications=4).mean
    assert float(solve(path, "closed_form").carried_rate) == pytest.approx(
        mean["carried_rate"], rel=0.05
    )


def test_a_locked_phase_is_not_averaged() -> None:
    """What the closed form cannot know: signals at one and the same moment of every sleep."""
    path = changed(near=0.1, early=0.1, leave=0.2, settle=2.0)
    path = replace(path, consumer=replace(path.consumer, cost=0.05))
    mean = simulate(path, packets=400_000, replications=2).mean
    error = float(solve(path, "closed_form").carried_rate) / mean["carried_rate"] - 1.0
    assert -0.2 < error < -0.05
