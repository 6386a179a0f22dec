"""Every solver keeps every promise on every path that it accepts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from capmodel.path import CapturePath, Cores
from tests.contracts import (
    ALL,
    PROMISES,
    SLOW,
    anything,
    markovian,
    refuses,
    shared,
    single,
)

QUICK = sorted(set(ALL) - SLOW)
FAMILIES = {"markovian": markovian, "single": single, "shared": shared, "anything": anything}

# Fixed paths for the solvers that take seconds: one of each kind.
FIXED = (
    CapturePath.split(
        rate=0.9, ring=16, capacity=32, kernel_cost=1.0, consumer_cost=0.5, wakeup_cost=2.0,
        wakeup_latency=3.0, poll_cost=0.25,
    ),
    CapturePath.split(
        rate=2.0, ring=64, capacity=256, kernel_cost=1.0, consumer_cost=1.5, wakeup_cost=2.0,
        wakeup_latency=3.0, service="deterministic", arrivals="cbr",
    ),
    CapturePath.same_core(rate=1.0, ring=32, capacity=64, kernel_cost=0.6, consumer_cost=0.8),
    CapturePath.single(rate=1.2, capacity=64, consumer_cost=1.0),
)  # fmt: skip


def taking(solver: str, family: str) -> Any:
    """Paths of a family that a solver accepts; skips where it takes none of them."""
    strategy, accepts = FAMILIES[family], ALL[solver].accepts
    seen: list[str | None] = []

    @settings(max_examples=20, database=None, derandomize=True, phases=[Phase.generate])
    @given(strategy)
    def look(path: CapturePath) -> None:
        seen.append(accepts(path))

    look()
    if None not in seen:
        pytest.skip(f"{solver} takes no path of this family: {seen[0]}")
    return strategy.filter(lambda path: accepts(path) is None)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("solver", QUICK)
def test_quick_solvers_keep_their_promises(solver: str, family: str, promise: str) -> None:
    strategy = taking(solver, family)

    @settings(
        max_examples=max(settings().max_examples // 4, 10),
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(strategy)
    def keeps(path: CapturePath) -> None:
        PROMISES[promise](ALL[solver], path)

    keeps()


@pytest.mark.slow
@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("path", FIXED, ids=["split", "overload", "same", "single"])
@pytest.mark.parametrize("solver", sorted(SLOW & set(ALL)))
def test_slow_solvers_keep_their_promises(solver: str, path: CapturePath, promise: str) -> None:
    reason = ALL[solver].accepts(path)
    if reason is not None:
        pytest.skip(reason)
    PROMISES[promise](ALL[solver], path)


@pytest.mark.parametrize("solver", sorted(ALL))
@given(path=anything | st.just(FIXED[0]))
def test_what_is_not_accepted_is_refused_with_its_reason(solver: str, path: CapturePath) -> None:
    refuses(ALL[solver], path)


@given(markovian | shared | single)
def test_some_solver_takes_every_markovian_path(path: CapturePath) -> None:
    assert any(solver.accepts(path) is None for solver in ALL.values())


@given(markovian)
def test_an_answer_does_not_depend_on_what_was_asked_before(path: CapturePath) -> None:
    assume(ALL["closed_form"].accepts(path) is None)
    before = ALL["closed_form"].solve(path).as_floats()
    for other in FIXED:
        ALL["closed_form"].solve(other)
    assert repr(ALL["closed_form"].solve(path).as_floats()) == repr(before)


def test_a_scheduler_over_an_endless_run() -> None:
    rate = FIXED[0].arrivals.rate
    same = CapturePath.same_core(
        rate=rate,
        ring=FIXED[0].kernel.ring,
        capacity=FIXED[0].buffer.capacity,
        kernel_cost=0.6,
        consumer_cost=0.8,
    )
    auto = replace(FIXED[0], cores=Cores("auto"), alternatives=(same, FIXED[0]))
    for promise in PROMISES.values():
        promise(ALL["closed_form"], auto)
