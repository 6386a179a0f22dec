"""First losses of whole paths: the oracle's chain, the formulary, simulation, limits, laws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import (
    mean_overflow_time_mm1k,
    overflow_time_cdf_mm1k,
    overflow_time_quantile_mm1k,
)
from capmodel.numerics.arrival_process import MAP
from capmodel.path import Arrivals, Buffer, CapturePath, Cores, Wakeup
from capmodel.transient import OverflowTime, overflow_time
from capmodel.transient.overflow import _alone
from tests.oracles.tandem_chain import TwoCores, exponential, listed

DROPS = {"ring": "ring drop", "buffer": "buffer drop"}


def split(**changes) -> CapturePath:
    usual = {
        "rate": 0.9, "ring": 12, "capacity": 10, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5,
    }  # fmt: skip
    return CapturePath.split(**(usual | changes))


@pytest.mark.parametrize("stage", ["ring", "buffer"])
@pytest.mark.parametrize("rate", [0.5, 0.9, 2.0])
@pytest.mark.parametrize(("ring", "capacity"), [(1, 1), (4, 3), (2, 8)])
def test_mean_is_that_of_the_chain_written_state_by_state(
    stage: str, rate: float, ring: int, capacity: int
) -> None:
    chain = TwoCores(
        (rate,), ring, capacity, exponential(1.0), exponential(0.6), wakeup=2, latency=4, poll=0.5
    )
    every = listed(chain)
    index = {state: i for i, state in enumerate(every)}
    out = np.zeros((len(every),) * 2)
    for state, i in index.items():
        for speed, after, what in every[state]:
            out[i, i] += float(speed)
            if DROPS[stage] not in what:
                out[i, index[after]] -= float(speed)
    times = np.linalg.solve(out, np.ones(len(every)))
    found = overflow_time(split(rate=rate, ring=ring, capacity=capacity), stage)
    assert found.exact
    assert found.mean == pytest.approx(times[index[chain.begin()]], rel=1e-9)


@pytest.mark.parametrize("level", [0, 17, 50])
def test_one_stage_is_mm1k(level: int) -> None:
    path = CapturePath.single(rate=1.1, capacity=50, consumer_cost=1.0)
    found = overflow_time(path, "ring", level)
    assert found.mean == pytest.approx(float(mean_overflow_time_mm1k(1.1, 50, 1.0, level)))
    for p in (0.01, 0.5, 0.99):
        time = float(overflow_time_quantile_mm1k(p, 1.1, 50, 1.0, level))
        assert found.quantile(p) == pytest.approx(time, rel=1e-7)
        assert found.cdf(time) == pytest.approx(p, abs=1e-8)


def test_a_large_single_stage_is_mm1k_by_its_transform() -> None:
    path = CapturePath.single(rate=1.02, capacity=100_000, consumer_cost=1.0)
    found = overflow_time(path, "ring")
    assert found.exact
    assert "transform" in found.method
    assert found.cdf(found.mean) == pytest.approx(
        float(overflow_time_cdf_mm1k(found.mean, 1.02, 100_000))
    )


def test_without_randomness_the_surplus_fills_the_buffer() -> None:
    path = split(rate=0.8, consumer_cost=2.0, capacity=600, service="deterministic", arrivals="cbr")
    path = replace(path, wakeup=Wakeup("spin"))
    found = overflow_time(path, "buffer", 30)
    assert found.mean == found.quantile(0.01) == pytest.approx((600 - 30) / (0.8 - 0.5))
    assert [found.cdf(x * found.mean) for x in (0.99, 1.01)] == [0.0, 1.0]
    never = overflow_time(replace(path, arrivals=Arrivals(0.4)), "buffer")
    assert never.mean == never.quantile(0.5) == math.inf
    assert never.cdf(1e9) == 0.0


def test_first_losses_of_simulated_runs() -> None:
    """1 - P(no loss within t) over many short runs, each from empty buffers."""
    pytest.importorskip("numba")
    from capmodel.simulation import simulate

    path = CapturePath.split(rate=1.4, ring=8, capacity=40, kernel_cost=0.2, consumer_cost=1.0)
    first = overflow_time(path, "buffer")
    time, pairs = first.quantile(0.4), 200
    brief = replace(path, arrivals=replace(path.arrivals, duration=time))
    lossy = 0
    for seed in range(pairs):
        result = simulate(brief, packets=10_000, replications=2, seed=seed, waits_scv=1.0)
        half = result.std["loss"] / 2**0.5  # of two runs: half of what they differ by
        lossy += (result.mean["loss"] + half > 0.0) + (result.mean["loss"] - half > 1e-12)
    runs = 2 * pairs
    assert lossy / runs == pytest.approx(0.4, abs=4.0 * (0.24 / runs) ** 0.5)


def random_paths(number: int, low: float, high: float):
    rng = np.random.default_rng(7)
    for _ in range(number):
        yield split(
            rate=float(rng.uniform(low, high)), ring=int(rng.integers(16, 32)),
            capacity=int(rng.integers(24, 48)), consumer_cost=float(rng.uniform(0.3, 1.5)),
            wakeup_cost=float(rng.uniform(0.0, 3.0)), wakeup_latency=float(rng.uniform(0.0, 5.0)),
        )  # fmt: skip


def test_stated_error_of_an_overloaded_stage_by_itself() -> None:
    for path in random_paths(8, 1.4, 2.5):
        exact, alone = overflow_time(path, "ring"), _alone(path, "ring", 0)
        assert exact.exact
        assert not alone.exact
        assert alone.mean == pytest.approx(exact.mean, rel=0.1)
        assert alone.quantile(0.5) == pytest.approx(exact.quantile(0.5), rel=0.12)


def test_stated_error_of_a_stage_by_itself_below_a_million_services() -> None:
    seen = 0
    for path in random_paths(12, 0.6, 1.1):
        for stage in ("ring", "buffer"):
            exact = overflow_time(path, stage)
            if exact.exact and exact.mean < 1e6:
                seen += 1
                assert 1 / 3 < _alone(path, stage, 0).mean / exact.mean < 3.0
    assert seen > 10


def test_sizes_of_real_set_ups_answer() -> None:
    for rate, cost in ((0.9, 1.3), (2.0, 0.4)):
        path = split(rate=rate, consumer_cost=cost, ring=4096, capacity=100_000)
        for stage in ("ring", "buffer"):
            found = overflow_time(path, stage)
            early, middle, late = (found.quantile(p) for p in (0.01, 0.5, 0.99))
            assert early <= middle <= late
            if math.isfinite(found.mean):
                assert found.cdf(middle) == pytest.approx(0.5, abs=1e-6)


def test_a_large_overloaded_buffer_fills_by_its_surplus() -> None:
    """1000 standard deviations from chance: the fluid limit within a few per mille."""
    path = split(rate=0.9, consumer_cost=1.5, ring=4096, capacity=100_000)
    found = overflow_time(path, "buffer")
    assert found.mean == pytest.approx(100_000 / (0.9 - 1 / 1.5), rel=0.005)


@given(
    st.floats(0.4, 2.0), st.integers(1, 8), st.integers(1, 8), st.sampled_from(["ring", "buffer"])
)
def test_laws(rate: float, ring: int, capacity: int, stage: str) -> None:
    """Larger stages overflow later (in distribution), fuller ones sooner."""
    small = overflow_time(split(rate=rate, ring=ring, capacity=capacity), stage)
    more = {"ring": {"ring": ring + 1}, "buffer": {"capacity": capacity + 1}}[stage]
    large = overflow_time(
        split(**({"rate": rate, "ring": ring, "capacity": capacity} | more)), stage
    )
    for p in (0.05, 0.5, 0.95):
        time = small.quantile(p)
        assert large.cdf(time) <= p + 1e-8
    size = {"ring": ring, "buffer": capacity}[stage]
    fuller = overflow_time(split(rate=rate, ring=ring, capacity=capacity), stage, size)
    assert fuller.mean < small.mean


def test_bursts_and_a_shared_core_are_followed() -> None:
    bursts = replace(
        CapturePath.single(rate=0.5, capacity=30, consumer_cost=1.0),
        arrivals=Arrivals(0.5, "on_off", 1.0, on=20.0, off=40.0),
    )
    smooth = CapturePath.single(rate=0.5, capacity=30, consumer_cost=1.0)
    assert overflow_time(bursts, "ring").mean < 1e-3 * overflow_time(smooth, "ring").mean
    shared = CapturePath.same_core(
        rate=0.9, ring=8, capacity=20, kernel_cost=0.6, consumer_cost=0.8
    )
    assert overflow_time(shared, "buffer").exact


def test_what_has_no_such_stage_never_overflows() -> None:
    path = CapturePath.single(rate=5.0, capacity=9, consumer_cost=1.0)
    assert overflow_time(path, "buffer").mean == math.inf
    direct = replace(path, buffer=Buffer(9, "slots"))
    assert overflow_time(direct, "ring").mean == math.inf
    assert overflow_time(direct, "buffer").mean == pytest.approx(
        float(mean_overflow_time_mm1k(5.0, 9))
    )


def test_bad_input() -> None:
    path = split()
    with pytest.raises(ValueError, match="stage must be one of 'ring', 'buffer'"):
        overflow_time(path, "card")
    for level in (-1, 11, 2.5):
        with pytest.raises(ValueError, match="level must be a whole number from 0 to 10"):
            overflow_time(path, "buffer", level)
    with pytest.raises(ValueError, match="one path, not a grid: rate"):
        overflow_time(split(rate=np.array([0.5, 0.9])))
    same = CapturePath.same_core(rate=0.9, ring=8, capacity=20, kernel_cost=0.6, consumer_cost=0.8)
    with pytest.raises(ValueError, match="'same' or 'split'"):
        overflow_time(replace(path, cores=Cores("auto"), alternatives=(same, path)))
    with pytest.raises(ValueError, match="drop when it is full"):
        overflow_time(replace(path, on_full="block"))
    found: OverflowTime = overflow_time(path)
    with pytest.raises(ValueError, match="time must be 0 or more"):
        found.cdf(-1.0)
    with pytest.raises(ValueError, match="p must lie between"):
        found.quantile(1.0)


def test_arrivals_that_follow_a_chain() -> None:
    """One state of it is Poisson; bouts overflow far sooner; the large path answers as well."""
    plain = CapturePath.single(rate=0.8, capacity=30, consumer_cost=1.0)
    one = replace(plain, arrivals=Arrivals(0.8, "map", phases=MAP([[0.0]], [[5.0]])))
    assert overflow_time(one, "ring").mean == pytest.approx(
        float(mean_overflow_time_mm1k(0.8, 30)), rel=1e-9
    )
    bouts = MAP.mmpp([2.0, 0.2], [0.01, 0.01])
    bursty = replace(plain, arrivals=Arrivals(0.8, "map", phases=bouts))
    assert overflow_time(bursty, "ring").mean < 0.5 * overflow_time(one, "ring").mean
    for rate in (0.4, 1.5):
        path = split(rate=rate, ring=4096, capacity=100_000)
        large = overflow_time(replace(path, arrivals=Arrivals(rate, "map", phases=bouts)), "ring")
        assert large.quantile(0.5) > 0.0
