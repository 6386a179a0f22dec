"""One core of which the kernel may take a part: who goes first, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capmodel.path import CapturePath
from capmodel.simulation.run import simulate
from capmodel.solvers import solve

SHARE = 0.66


def path_of(rate: float, work: float, turn: float) -> CapturePath:
    path = CapturePath.same_core(
        rate=rate, ring=256, capacity=4096, kernel_cost=1.0, consumer_cost=work,
        service="deterministic", arrivals="cbr",
    )  # fmt: skip
    cores = replace(path.cores, kernel_share=SHARE, kernel_turn=turn)
    wakeup = replace(path.wakeup, cost=0.5, poll_cost=0.3, switch_cost=0.5)
    return replace(path, cores=cores, wakeup=wakeup)


@pytest.mark.parametrize("rate", [0.6, 0.8])
def test_a_consumer_that_needs_little_is_served_between_packets(rate: float) -> None:
    """It sleeps before its turn comes: the kernel goes first, and loses nothing."""
    mean = simulate(path_of(rate, 0.05, 1000.0), packets=400_000, replications=2).mean
    assert mean["loss"] == 0.0


@pytest.mark.parametrize(("rate", "work"), [(0.8, 0.6), (0.8, 1.5), (1.2, 1.0)])
def test_a_consumer_that_stays_awake_gets_its_part(rate: float, work: float) -> None:
    """What the kernel leaves, 1 - share of the core, goes into packets of `work` each."""
    mean = simulate(path_of(rate, work, 1000.0), packets=800_000, replications=2).mean
    assert mean["carried_rate"] == pytest.approx((1.0 - SHARE) / work, rel=0.02)


def test_without_a_turn_the_core_is_shared_at_once() -> None:
    """A consumer that is served at once drains small batches, and is woken all the time."""
    waits, at_once = (
        simulate(path_of(0.8, 0.05, turn), packets=400_000, replications=2).mean
        for turn in (1000.0, 0.0)
    )
    assert at_once["wakeup_rate"] > 1.2 * waits["wakeup_rate"]


@pytest.mark.parametrize(("rate", "work"), [(0.6, 0.05), (0.8, 0.05), (0.8, 0.6), (1.2, 1.0)])
def test_the_closed_form_says_the_same(rate: float, work: float) -> None:
    path = path_of(rate, work, 1000.0)
    mean = simulate(path, packets=800_000, replications=2).mean
    assert float(solve(path, "closed_form").captured) == pytest.approx(
        mean["carried_rate"] / mean["offered_rate"], abs=0.02
    )
