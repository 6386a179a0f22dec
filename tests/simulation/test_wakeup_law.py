"""Paths whose signals follow a measured law, packet by packet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capmodel.path import CapturePath
from capmodel.simulation.run import simulate
from capmodel.solvers import select, solve
from capmodel.solvers._gradual import averaged, gradual
from capmodel.wakeup_law import WakeupLaw

PLAIN = CapturePath.split(
    rate=4.0, ring=64, capacity=1024, kernel_cost=1.0, consumer_cost=0.3, wakeup_cost=2.0137,
    wakeup_latency=6.0219, poll_cost=0.0, service="deterministic", arrivals="cbr",
)  # fmt: skip
LAW = WakeupLaw(
    (0.0, 0.2031, 0.5519),
    ((0.05, 0.15, 0.1, 0.3), (3.0, 1.0, 2.0, 2.5), (0.5, 0.6, 0.4, 1.5)),
    ((0.0, 0.1, 0.02, 0.3), (2.0, 1.0, 1.5, 0.3), (1.2, 0.7, 1.0, 0.9)),
    ((0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)),
)


def path_of(work: float, law: WakeupLaw | None = LAW, waking: float = 0.0) -> CapturePath:
    return replace(
        PLAIN,
        consumer=replace(PLAIN.consumer, cost=work),
        wakeup=replace(PLAIN.wakeup, law=law, waking=waking),
    )


def saturated(path: CapturePath, law: WakeupLaw, packets: int = 1_000_000) -> dict[str, float]:
    """Rates of a kernel that always has a packet to take, in so many words."""
    random = np.random.default_rng(7)
    wakeup = path.wakeup
    now = ready = runs = 0.0  # the kernel; the consumer has done all it had; and is back from sleep
    wakes = polls = 0
    for pick in random.random(packets):
        now += path.kernel.cost + (wakeup.waking if now < runs else 0.0)
        if now > ready:
            asleep = now - ready
            row = [asleep >= begin for begin in law.since].count(True) - 1
            column = int(pick * len(law.cost[row]))
            polls += 1
            wakes += law.slept[row][column] == 1.0
            now += wakeup.cost * law.cost[row][column]
            ready = runs = now + wakeup.latency * law.latency[row][column]
        ready += path.consumer.cost
    return {
        "carried_rate": packets / now, "wakeup_rate": wakes / now, "poll_rate": polls / now,
    }  # fmt: skip


@pytest.mark.parametrize("work", [0.0517, 0.3117, 0.7091, 0.9043])
@pytest.mark.parametrize("waking", [0.0, 0.17])
def test_saturated_rates_are_those_of_a_plain_account(work: float, waking: float) -> None:
    path = path_of(work, waking=waking)
    mean = simulate(path, packets=4_000_000, replications=4).mean
    expected = saturated(path, LAW)
    # the next sleep hangs on how this one ended: means over chaos
    assert mean["carried_rate"] == pytest.approx(expected["carried_rate"], rel=4e-3)
    for name in ("wakeup_rate", "poll_rate"):
        assert mean[name] == pytest.approx(expected[name], rel=2e-2), name


def test_a_law_of_one_kind_is_the_plain_path() -> None:
    law = WakeupLaw((0.0,), ((1.0,),), ((1.0,),), ((1.0,),))
    found, plain = (
        simulate(path_of(0.3, given), packets=50_000, replications=2).mean for given in (law, None)
    )
    assert found == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("rate", [0.3, 0.8, 4.0])
@pytest.mark.parametrize("waking", [0.0, 0.17])
def test_both_engines_tell_the_same(rate: float, waking: float) -> None:
    """Another driver takes the event loop; without a limit to its interrupts it changes nothing."""
    path = replace(path_of(0.41, waking=waking), arrivals=replace(PLAIN.arrivals, rate=rate))
    driver = replace(path.kernel.driver, mode="moderated", throttle=1e12)
    other = replace(path, kernel=replace(path.kernel, driver=driver))
    found, expected = (simulate(p, packets=400_000, replications=4).mean for p in (other, path))
    for name in ("carried_rate", "wakeup_rate", "poll_rate"):
        assert found[name] == pytest.approx(expected[name], rel=1e-2), name


def test_the_simulation_speaks_and_the_closed_form_averages() -> None:
    path = path_of(0.3)
    assert gradual(path)
    assert select(path).name == "simulation"
    plain = averaged(path)
    assert plain.wakeup.law is None
    assert not gradual(plain)
    # the moment of the next packet is uniform where the kernel's time varies
    varied = replace(path_of(0.3, waking=0.1), kernel=replace(PLAIN.kernel, scv=0.3))
    mean = simulate(varied, packets=400_000, replications=4).mean
    assert float(solve(varied, "closed_form").carried_rate) == pytest.approx(
        mean["carried_rate"], rel=0.1
    )


def test_costs_given_as_arrays_scale_one_law() -> None:
    path = path_of(0.3)
    grid = replace(path, wakeup=replace(path.wakeup, cost=np.array([1.0, 2.0])))
    solution = solve(grid, "simulation")
    for index, cost in enumerate((1.0, 2.0)):
        one = solve(replace(path, wakeup=replace(path.wakeup, cost=cost)), "simulation")
        assert float(solution.carried_rate[index]) == float(one.carried_rate)
