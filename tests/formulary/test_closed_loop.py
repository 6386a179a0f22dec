"""A server beside a flood, against a walk packet by packet and what no scheduler can change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import closed_loop_rate
from tests.oracles.softirq_walk import walk

loads = st.floats(0.01, 0.999)
times = st.floats(0.1, 300.0)


def duration(load: float, service: float, elsewhere: float, budget: float = np.inf) -> float:
    """Mean time per transaction in flood packets' times."""
    return 1.0 / float(closed_loop_rate(load, 1.0, service, elsewhere, budget))


@pytest.mark.parametrize(
    ("load", "service", "elsewhere"),
    [(0.18, 1.5, 2.0), (0.63, 2.0, 3.3), (0.9, 2.0, 3.3), (0.867, 6.0, 97.0), (0.97, 6.0, 97.0)],
)
def test_strict_priority_is_exact(load: float, service: float, elsewhere: float) -> None:
    """One at a time is a renewal: idle times of transactions are independent, so is their error."""
    found = walk(
        load=load, service=service, elsewhere=elsewhere, budget=np.inf, transactions=4000, seed=3
    )
    idle = (1.0 - load) * duration(load, service, elsewhere) - service
    assert abs(found.idle - idle) < 4.0 * found.idle_error
    # and what the law was before: the backlog that a request finds made up most of the difference
    assert duration(load, service, elsewhere) > elsewhere + service / (1.0 - load)


# the middle of the stated range, and the corners where the law is furthest off
POINTS = [
    (0.5, 6.0, 100.0, 300.0), (0.7, 6.0, 100.0, 300.0), (0.85, 6.0, 100.0, 300.0),
    (0.9, 20.0, 100.0, 300.0), (0.95, 6.0, 100.0, 300.0), (0.97, 6.0, 100.0, 300.0),
    (0.98, 6.0, 100.0, 300.0), (0.99, 6.0, 100.0, 300.0), (0.95, 20.0, 300.0, 300.0),
    (0.98, 2.0, 30.0, 300.0), (0.97, 2.0, 30.0, 64.0), (0.99, 2.0, 100.0, 64.0),
    (0.95, 6.0, 300.0, 64.0), (0.98, 20.0, 300.0, 1000.0), (0.999, 2.0, 100.0, 300.0),
]  # fmt: skip


def test_passes_of_a_budget_against_the_walk() -> None:
    """Within 25 % everywhere, 8 % in the root mean square of points that are the worst on purpose.

    Of the core's balance the walk's idle time is taken; its own error is one or two per cent.
    """
    errors = []
    for load, service, elsewhere, budget in POINTS:
        found = walk(
            load=load, service=service, elsewhere=elsewhere, budget=budget, transactions=2500,
            seed=5,
        )  # fmt: skip
        errors.append(duration(load, service, elsewhere, budget) / found.duration - 1.0)
    assert np.max(np.abs(errors)) < 0.25, errors
    assert np.sqrt(np.mean(np.square(errors))) < 0.08, errors


def test_where_the_service_is_done_makes_less_than_a_tenth() -> None:
    """All of it in the process, as the law has it, or half of it in the softirq."""
    for part in (0.0, 3.0):
        found = walk(
            load=0.95, service=6.0, elsewhere=100.0, budget=300.0, transactions=6000, seed=8,
            in_kernel=part,
        )  # fmt: skip
        assert duration(0.95, 6.0, 100.0, 300.0) == pytest.approx(found.duration, rel=0.1)


def test_a_flood_at_constant_intervals_leaves_no_backlog() -> None:
    """Without random arrivals strict priority is t_0 + t_c/(1 - rho), to a packet."""
    found = walk(
        load=0.9, service=6.0, elsewhere=97.0, budget=np.inf, transactions=500, seed=1, regular=True
    )
    assert found.duration == pytest.approx(97.0 + 6.0 / 0.1, abs=1.0)
    assert duration(0.9, 6.0, 97.0) > found.duration


@given(loads, times, times, st.floats(1.0, 1e4))
def test_between_what_the_flood_leaves_and_strict_priority(
    load: float, service: float, elsewhere: float, budget: float
) -> None:
    """The flood loses nothing, so a transaction takes its service out of what is left: no
    scheduler can beat that, and none idles more than one that serves the flood first.
    """
    least = max(service / (1.0 - load), elsewhere + service)
    strict = duration(load, service, elsewhere)
    found = duration(load, service, elsewhere, budget)
    assert least * (1 - 1e-9) <= found <= strict * (1 + 1e-9)
    assert strict * (1.0 - load) == pytest.approx(
        service + (1.0 - load) * elsewhere, abs=load * elsewhere + 1e-9
    )


@given(loads, times, times)
def test_a_budget_without_end_is_strict_priority(
    load: float, service: float, elsewhere: float
) -> None:
    strict = duration(load, service, elsewhere)
    assert duration(load, service, elsewhere, 1e12) == pytest.approx(strict, rel=1e-4)


def test_no_flood_and_too_much() -> None:
    assert closed_loop_rate(0.0, 0.9, 2.0, 3.0, [1.0, np.inf]) == pytest.approx([0.2, 0.2])
    assert closed_loop_rate(1.0, 0.0, 2.0, 3.0) == pytest.approx(0.2)
    assert np.all(closed_loop_rate([1.0, 1.0 / 0.9, 9.0], [1.0, 0.9, 1.0], 2.0, 3.0, 300.0) == 0.0)
    tiny = 1.0 / float(closed_loop_rate(1e-9, 1.0, 2.0, 3.0, 1.0))
    assert tiny == pytest.approx(5.0, rel=1e-8)


def test_the_diffusion_continues_the_sum() -> None:
    """Beyond 4096 packets' time elsewhere; stated: 0.4 % of the backlog."""
    for load in (0.3, 0.9, 0.99, 0.999):
        summed, diffused = (
            (duration(load, 1.0, t) - t) * (1.0 - load) - 1.0 for t in (4096.0, 4096.5)
        )
        assert diffused == pytest.approx(summed, rel=4e-3)


@pytest.mark.parametrize("budget", [0.0, 0.5, -1.0, np.nan, [300.0, 0.0]])
def test_a_pass_of_less_than_a_packet_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget must be 1 or more"):
        closed_loop_rate(1e6, 0.2e-6, 1e-6, 28e-6, budget)
