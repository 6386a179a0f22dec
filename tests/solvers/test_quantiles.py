"""Quantiles of solutions: closed forms, the chain written state by state, simulation, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import (
    occupancy_mm1k,
    occupancy_quantile_mg1k,
    occupancy_quantile_mm1k,
    sojourn_time_quantile_mm1k,
)
from capmodel.numerics.arrival_process import MAP
from capmodel.path import Arrivals, CapturePath, Wakeup
from capmodel.results import Solution
from capmodel.solvers import SOLVERS, closed_form, decomposition, exact, solve
from capmodel.solvers._exact_quantiles import ExactQuantiles
from tests.contracts import markovian, single
from tests.oracles.tandem_chain import TwoCores, exponential, listed, probabilities

SHARES = (0.01, 0.5, 0.9, 0.99, 0.999)


def split(**changes) -> CapturePath:
    usual = {
        "rate": 0.9, "ring": 12, "capacity": 10, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5,
    }  # fmt: skip
    return CapturePath.split(**(usual | changes))


def known(solution: Solution) -> ExactQuantiles:
    assert isinstance(solution.distributions, ExactQuantiles)
    return solution.distributions


@pytest.mark.parametrize("load", [0.2, 0.8, 1.0, 1.3])
@pytest.mark.parametrize("capacity", [1, 2, 40])
def test_one_stage_is_mm1k(load: float, capacity: int) -> None:
    path = CapturePath.single(rate=load / 2.0, capacity=capacity, consumer_cost=2.0)
    for solution in (exact.solve(path), closed_form.solve(path)):
        for p in SHARES:
            level = float(occupancy_quantile_mm1k(p, load, capacity))
            assert solution.occupancy_quantile(p, "ring") == level
            assert solution.occupancy_quantile(p, "buffer") == 0.0
            time = float(sojourn_time_quantile_mm1k(p, load, capacity, 2.0))
            assert solution.sojourn_quantile(p) == pytest.approx(time, rel=1e-10)
    levels = known(exact.solve(path))._level_law.levels
    expected = occupancy_mm1k(np.arange(capacity + 1), load, capacity)
    np.testing.assert_allclose(levels, expected, rtol=1e-13)


@pytest.mark.parametrize("rate", [0.3, 0.9, 2.5])
@pytest.mark.parametrize(("ring", "capacity"), [(1, 1), (3, 7), (9, 2)])
def test_contents_are_those_of_the_chain_written_state_by_state(
    rate: float, ring: int, capacity: int
) -> None:
    path = split(rate=rate, ring=ring, capacity=capacity)
    chain = TwoCores(
        (rate,), ring, capacity, exponential(1.0), exponential(0.6), wakeup=2, latency=4, poll=0.5
    )
    share = probabilities(listed(chain), exact=False)
    contents = {"ring": np.zeros(ring + 1), "buffer": np.zeros(capacity + 1)}
    for (_, in_ring, _, in_buffer, _), p in share.items():
        contents["ring"][in_ring] += p
        contents["buffer"][in_buffer] += p
    for by_ring in (False, True):
        law = ExactQuantiles(path, by_ring)
        level, across = ("ring", "buffer") if by_ring else ("buffer", "ring")
        np.testing.assert_allclose(law._level_law.levels, contents[level], rtol=1e-9)
        np.testing.assert_allclose(law._across, contents[across], rtol=1e-9)


def sojourn_by_states(rate: float, ring: int, capacity: int) -> tuple[float, float]:
    """Mean sojourn time of a captured packet and the chance of being captured once in the ring.

    By the oracle's own chain: a packet accepted into state s is the last one in the ring; without
    further arrivals it is done when everything is, unless its delivery is the one refused.
    """
    chain = TwoCores(
        (rate,), ring, capacity, exponential(1.0), exponential(0.6), wakeup=2, latency=4, poll=0.5
    )
    every = listed(chain)
    share = probabilities(every, exact=False)
    silent = replace(chain, rates=(0.0,))
    inside = [s for s in every if not (s[1] == 0 and s[3] == 0)]
    index = {state: i for i, state in enumerate(inside)}
    out, done, paid = np.zeros((len(inside),) * 2), np.zeros(len(inside)), np.zeros(len(inside))
    for state, i in index.items():
        for speed, after, what in silent.happenings(state):
            rate_out = float(speed)
            out[i, i] += rate_out
            last_lost = state[1] == 1 and "buffer drop" in what
            if last_lost:
                continue
            if after in index:
                out[i, index[after]] -= rate_out
            else:
                done[i] += rate_out
    chance = np.linalg.solve(out, done)
    paid = np.linalg.solve(out, chance)
    start = np.zeros(len(inside))
    for state, happenings in every.items():
        for speed, after, what in happenings:
            if what == ("offered",):
                start[index[after]] += share[state] * float(speed)
    captured = float(start @ chance / start.sum())
    return float(start @ paid / (start @ chance)), captured


@pytest.mark.parametrize("rate", [0.3, 0.9, 2.0])
@pytest.mark.parametrize(("ring", "capacity"), [(1, 1), (4, 3), (2, 8)])
def test_sojourn_is_that_of_the_chain_written_state_by_state(
    rate: float, ring: int, capacity: int
) -> None:
    law = known(exact.solve(split(rate=rate, ring=ring, capacity=capacity)))
    mean, captured = sojourn_by_states(rate, ring, capacity)
    assert law.sojourn.probability == pytest.approx(captured, rel=1e-9)
    assert law.mean_sojourn == pytest.approx(mean, rel=1e-9)


def test_a_packet_of_a_burst_finds_the_burst() -> None:
    """MAP arrivals: what an arrival finds is weighted by the rate that brought it."""
    path = CapturePath.single(rate=0.5, capacity=200, consumer_cost=1.0)
    bursts = replace(path, arrivals=Arrivals(0.5, "on_off", 1.0, on=20.0, off=40.0))
    smooth, bursty = known(exact.solve(path)), exact.solve(bursts)
    # Little's law holds for arrivals, not for what an outside observer would predict
    assert known(bursty).mean_sojourn == pytest.approx(float(bursty.sojourn_time), rel=1e-9)
    assert known(bursty).mean_sojourn > 2.0 * smooth.mean_sojourn


@given(markovian)
def test_laws_of_the_exact_quantiles(path: CapturePath) -> None:
    """Contents within the sizes, everything rising with p, Little's law where nothing is lost."""
    if exact.accepts(path) is not None:
        return
    solution = exact.solve(path)
    for stage, size in (("ring", path.kernel.ring), ("buffer", path.buffer.capacity)):
        levels = [solution.occupancy_quantile(p, stage) for p in SHARES]
        assert levels == sorted(levels)
        assert levels[-1] <= size
    law = known(solution)
    contents = law._across if not law.by_ring else law._level_law.levels
    mean = float(np.arange(len(contents)) @ contents)
    assert mean == pytest.approx(float(solution.ring_occupancy), rel=1e-9)
    try:
        times = [solution.sojourn_quantile(p) for p in SHARES]
    except ValueError as refused:
        assert "stiff" in str(refused)  # noqa: PT017 - one sentence, in place of an answer
        return
    assert times == sorted(times)
    lost = float(solution.drops["buffer"] / solution.offered_rate)
    if lost < 1e-9:
        assert law.mean_sojourn == pytest.approx(float(solution.sojourn_time), rel=1e-6)


@given(single, st.floats(0.01, 0.999))
def test_closed_form_quantiles_are_the_formulary_s(path: CapturePath, p: float) -> None:
    law = "exponential" if path.consumer.scv == 1.0 else "deterministic"
    load = path.arrivals.rate * path.consumer.cost
    found = closed_form.solve(path).occupancy_quantile(p, "ring")
    assert found == float(occupancy_quantile_mg1k(p, load, path.buffer.capacity, law))


def test_constant_rates_and_services_never_wait() -> None:
    path = CapturePath.single(
        rate=0.4, capacity=9, consumer_cost=2.0, service="deterministic", arrivals="cbr"
    )
    solution = solve(path)
    assert solution.solver == "closed_form"
    assert [solution.sojourn_quantile(p) for p in SHARES] == [2.0] * 5
    assert [solution.occupancy_quantile(p, "ring") for p in (0.19, 0.21)] == [0.0, 1.0]


def random_paths(number: int, **usual):
    rng = np.random.default_rng(11)
    for _ in range(number):
        yield split(
            rate=float(np.exp(rng.uniform(np.log(0.3), np.log(2.5)))),
            ring=int(rng.integers(32, 48)), capacity=int(rng.integers(32, 64)),
            consumer_cost=float(rng.uniform(0.3, 1.5)),
            wakeup_cost=float(rng.uniform(0.0, 3.0)), wakeup_latency=float(rng.uniform(0.0, 5.0)),
            **usual,
        )  # fmt: skip


def test_decomposition_is_near_the_exact_chain() -> None:
    """Its stated error: 10 % of the median, 20 % of the latest 1 %; contents within 2 packets."""
    wrong = []
    for path in random_paths(10):
        truth, near = exact.solve(path), decomposition.solve(path)
        for p, allowed in ((0.5, 0.1), (0.99, 0.2)):
            ratio = near.sojourn_quantile(p) / truth.sojourn_quantile(p)
            assert ratio == pytest.approx(1.0, abs=allowed), (path, p)
            wrong.append(abs(ratio - 1.0))
        for stage in ("ring", "buffer"):
            gap = near.occupancy_quantile(0.5, stage) - truth.occupancy_quantile(0.5, stage)
            assert abs(gap) <= 2.0, (path, stage)
    assert np.mean(wrong) < 0.05


def test_decomposition_of_large_buffers_has_little_s_mean() -> None:
    for rate, cost in ((0.9, 0.6), (1.3, 1.2)):
        path = split(rate=rate, ring=4096, capacity=100_000, consumer_cost=cost)
        solution = decomposition.solve(path)
        mean = solution.distributions.mean_sojourn
        assert mean == pytest.approx(float(solution.sojourn_time), rel=1e-4)
        times = [solution.sojourn_quantile(p) for p in (0.5, 0.99, 0.999)]
        assert times == sorted(times)


@pytest.mark.parametrize(("ring", "capacity"), [(1, 1), (1, 9), (8, 1)])
@pytest.mark.parametrize("service", [1.0, 0.25])
def test_decomposition_of_one_place_has_little_s_mean(
    ring: int, capacity: int, service: float
) -> None:
    """Nobody ever waits behind others there; the mean is also that of what is accepted."""
    solution = decomposition.solve(split(ring=ring, capacity=capacity, service=service))
    mean = solution.distributions.mean_sojourn
    assert mean == pytest.approx(float(solution.sojourn_time), rel=1e-6)
    times = [solution.sojourn_quantile(p) for p in SHARES]
    assert times == sorted(times)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        CapturePath.split(rate=0.9, ring=20, capacity=30, kernel_cost=1.0, consumer_cost=0.6),
        CapturePath.split(rate=2.0, ring=20, capacity=30, kernel_cost=1.0, consumer_cost=0.9),
        CapturePath.single(rate=0.8, capacity=20, consumer_cost=1.0),
    ],
    ids=["unsaturated", "overload", "single"],
)
def test_simulation_agrees_within_its_confidence(path: CapturePath) -> None:
    pytest.importorskip("numba")
    truth, seen = exact.solve(path), solve(path, "simulation")
    record = seen.distributions
    for p in (0.5, 0.99):
        width = record.half_width(p)
        assert abs(truth.sojourn_quantile(p) - seen.sojourn_quantile(p)) < 2.0 * width
        for stage in ("ring", "buffer"):
            gap = truth.occupancy_quantile(p, stage) - seen.occupancy_quantile(p, stage)
            assert abs(gap) <= 1.0
    assert record.mean_sojourn == pytest.approx(float(seen.sojourn_time), rel=0.02)


def test_what_is_not_known_is_refused_in_a_sentence_that_names_who_knows() -> None:
    solution = closed_form.solve(split())
    with pytest.raises(ValueError, match=r"closed_form.*'exact', 'decomposition' and 'simulation'"):
        solution.sojourn_quantile(0.5)
    shared = exact.solve(
        CapturePath.same_core(rate=0.5, ring=8, capacity=8, kernel_cost=0.6, consumer_cost=0.8)
    )
    assert shared.occupancy_quantile(0.999) <= 8.0
    with pytest.raises(ValueError, match=r"shared core.*'simulation'"):
        shared.sojourn_quantile(0.5)
    with pytest.raises(ValueError, match=r"exponential services only.*'simulation'"):
        closed_form.solve(
            CapturePath.single(rate=0.5, capacity=9, consumer_cost=1.0, service="deterministic")
        ).sojourn_quantile(0.5)


def test_bad_input() -> None:
    solution = exact.solve(split())
    for p in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(ValueError, match="p must lie between 0 and 1"):
            solution.sojourn_quantile(p)
    with pytest.raises(ValueError, match="stage must be one of 'ring', 'buffer'"):
        solution.occupancy_quantile(0.5, "card")


def test_solving_works_nothing_out_that_nobody_asked_for() -> None:
    for name in ("exact", "decomposition"):
        solution = SOLVERS[name].solve(split())
        assert not set(vars(solution.distributions)) - {
            "path", "by_ring", "ring", "feed", "consumer", "capacity", "asleep", "pace",
        }  # fmt: skip


def test_a_spinning_consumer_and_one_that_only_reads() -> None:
    """No sleep: the tandem of two queues, whose sojourn in equilibrium is known.

    With ample room M/M/1 follows M/M/1: both times are exponential and independent (Reich, Burke).
    """
    path = split(rate=0.5, ring=60, capacity=60, consumer_cost=0.8)
    path = replace(path, wakeup=Wakeup("spin"))
    solution = exact.solve(path)
    first, second = 1.0 / 1.0 - 0.5, 1.0 / 0.8 - 0.5
    for time in (1.0, 3.0, 9.0):
        late = (second * np.exp(-first * time) - first * np.exp(-second * time)) / (second - first)
        assert known(solution).sojourn.survival(time) == pytest.approx(late, rel=1e-9)
    near = decomposition.solve(path).distributions
    assert near.sojourn_cdf(3.0) == pytest.approx(
        1.0 - (second * np.exp(-first * 3.0) - first * np.exp(-second * 3.0)) / (second - first),
        abs=1e-6,
    )


def modulated(path: CapturePath, rate: float) -> CapturePath:
    """The same path with arrivals that come in bouts, and move their chain with some packets."""
    bouts = MAP([[0.0, 0.05], [0.1, 0.0]], [[0.2, 0.1], [0.3, 3.0]])
    return replace(path, arrivals=Arrivals(rate, "map", phases=bouts))


@pytest.mark.parametrize("rate", [0.4, 1.5])
def test_arrivals_that_follow_a_chain(rate: float) -> None:
    """Little's law of the accepted; an arrival refused at a full ring moves the chain, no more."""
    path = modulated(split(ring=3, capacity=120, consumer_cost=0.3), rate)
    solution = exact.solve(path)
    law = known(solution)
    assert float(solution.drops["ring"]) > 1e-3 * rate
    assert float(solution.drops["buffer"]) < 1e-9 * rate
    assert law.mean_sojourn == pytest.approx(float(solution.sojourn_time), rel=1e-7)
    assert law.sojourn.probability == pytest.approx(1.0, rel=1e-8)
    single_stage = modulated(CapturePath.single(rate=rate, capacity=5, consumer_cost=1.0), rate)
    solution = exact.solve(single_stage)
    assert known(solution).mean_sojourn == pytest.approx(float(solution.sojourn_time), rel=1e-9)
    assert known(solution).sojourn.probability == pytest.approx(1.0, rel=1e-12)


def test_the_decomposition_of_such_arrivals_has_means_only() -> None:
    solution = decomposition.solve(modulated(split(ring=32, capacity=32), 0.5))
    with pytest.raises(ValueError, match="means only"):
        solution.sojourn_quantile(0.5)
