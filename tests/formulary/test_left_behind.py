"""Long buffers: the levels that follow a pattern against those counted one after the other."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel.formulary import fixed_sleep, n_policy
from capmodel.formulary._crossing import Cut, poisson_service
from capmodel.formulary._left_behind import _free, _powers, _recursion, _settling, departures
from capmodel.formulary._phases import phases_of
from capmodel.formulary._typing import Array
from tests.oracles.finite_queues import crossings, threshold_start, vacation

LAWS = ["deterministic", "exponential", ("erlang", 4), ("hyperexponential", 4.0)]
LOADS = [0.9, 0.99, 1 - 1e-9, 1.0, 1 + 1e-9, 1.01, 1.5, 10.0]


@cache
def by_levels(law: Any, load: float, capacity: int) -> tuple[float, ...]:
    """(loss, share that leave nobody, and half the capacity): 5 packets and a latency of 2."""
    with mpmath.workdps(40):
        start, _, _ = threshold_start(load, 5, mpmath.inf, 2.0, 0.0, 60 + int(12 * load))
        loss, nobody, _, middle = crossings(law, load, capacity, start, mpmath.mpf(0))
    return float(loss), float(nobody), float(middle)


def found(law: Any, load: float, capacity: int) -> tuple[float, ...]:
    result = n_policy(load, capacity, 1.0, 5, wakeup_latency=2.0, service=law)
    carried = float(result.carried_rate)
    middle = float(result.occupancy[capacity // 2]) * load / carried
    return float(result.loss), float(result.sleep_rate) / carried, middle


def test_the_oracle_of_long_buffers_on_short_ones() -> None:
    """Level by level in long doubles, and the whole chain in 60 digits."""
    for law in LAWS:
        for load in (0.5, 1.0, 1.4):
            with mpmath.workdps(60):
                start, away, _ = threshold_start(load, 3, mpmath.inf, 1.0, 0.0, 60)
                # what does not fit is lost at once
                fits = [*start[:12], mpmath.fsum(start[12:])]
                over = mpmath.fsum((i - 12) * x for i, x in enumerate(start) if i > 12)
                loss, cycles = vacation(law, load, 12, 1.0, fits, away, 60)
                share = cycles / (load * (1 - loss))
                levels = crossings(law, load, 12, fits, over)
            assert float(levels[0]) == pytest.approx(float(loss), rel=1e-17)
            assert float(levels[1]) == pytest.approx(float(share), rel=1e-17)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", LOADS)
def test_level_by_level(law: Any, load: float) -> None:
    expected = by_levels(law, load, 3000)
    np.testing.assert_allclose(found(law, load, 3000), expected, rtol=1e-12, atol=1e-290)


@pytest.mark.parametrize("load", LOADS)
def test_a_hundred_thousand_levels(load: float) -> None:
    expected = by_levels("deterministic", load, 100_000)
    np.testing.assert_allclose(
        found("deterministic", load, 100_000), expected, rtol=1e-12, atol=1e-290
    )


@pytest.mark.parametrize("law", LAWS[1:])
@pytest.mark.parametrize("load", [1 - 1e-9, 1.0, 1.01, 1.5])
def test_a_hundred_thousand_levels_of_phases(law: Any, load: float) -> None:
    """Each level costs a rounding of the step: 1e-16 K, times the scv."""
    expected = by_levels(law, load, 100_000)
    np.testing.assert_allclose(found(law, load, 100_000), expected, rtol=5e-11, atol=1e-290)


@example(1.0, 3000, 5, 0.0)
@example(1 - 1e-9, 3000, 1, 100.0)
@example(0.05, 400, 1, 1.0)
@example(599.0, 2000, 10, 1.0)
@given(
    load=st.floats(-3.0, math.log10(600.0)).map(lambda x: 10.0**x),
    capacity=st.integers(2, 3000),
    least=st.integers(1, 3000),
    mean=st.floats(0.0, 200.0),
)
def test_no_level_is_left_out(load: float, capacity: int, least: int, mean: float) -> None:
    """Constant services: the same recursion, gone through to the last level."""
    starts = started(min(least, capacity), mean, capacity)
    left, _ = departures(None, load, capacity, starts, 0.0)
    counts = poisson_service(load)
    tilt = min(counts.tilt, 0.0)
    with np.errstate(under="ignore"):
        back = np.arange(capacity - 1.0, -1.0, -1.0) * tilt
        slow = _recursion(counts, starts, tilt, capacity - 1) * np.exp(back)
    np.testing.assert_allclose(left, slow / slow.sum(), rtol=1e-12, atol=1e-280)


def started(least: int, mean: float, capacity: int) -> Array:
    k = np.arange(capacity + 1.0 - least)
    starts = np.zeros(capacity + 1)
    logs = -mean + k * math.log(mean) if mean > 0.0 else np.where(k == 0.0, 0.0, -np.inf)
    factorials = np.array([math.lgamma(i + 1.0) for i in k])
    with np.errstate(under="ignore"):
        starts[least:] = np.exp(logs - factorials)
    starts[capacity] += 1.0 - min(starts.sum(), 1.0)
    return starts


@pytest.mark.parametrize("load", [0.01, 0.3, 0.95, 1.0, 1.2, 8.0, 300.0])
def test_the_bound_on_what_settles(load: float) -> None:
    """Any window of the recursion, left alone: its range shrinks as proved, here for the worst."""
    counts = poisson_service(load)
    steps, shrinks = _settling(counts, 100_000)
    kernel = counts.kernel / counts.kernel[1:].sum()
    size = kernel.size - 1
    assert steps > 0
    assert shrinks <= 1e-9
    # 1 at one of the last L places, 0 at the others: all other windows are made of these
    values = np.vstack([np.eye(size), np.zeros((steps + size, size))])
    for j in range(size, values.shape[0]):
        values[j] = kernel[1:] @ values[j - size : j][::-1]
    assert np.all(np.ptp(values[-size:], axis=0) <= shrinks + 1e-14)


@pytest.mark.parametrize("last", [0, 1, 2, 3, 7, 8, 63, 64, 65, 1000])
def test_powers_of_a_step(last: int) -> None:
    law = phases_of("service", ("hyperexponential", 4.0))
    assert law is not None
    cut = Cut(law, 0.97)
    sums, end = _free(cut.step, cut.first, last)
    expected = [cut.first]
    for _ in range(last):
        expected.append(expected[-1] @ cut.step)
    np.testing.assert_allclose(sums, np.sum(expected, axis=1), rtol=1e-12)
    np.testing.assert_allclose(end, expected[-1], rtol=1e-12)


@pytest.mark.parametrize("tilt", [0.0, 1e-9, 0.01, 1.0, 300.0, 1e4])
@pytest.mark.parametrize("size", [1, 2, 10, 5000])
def test_powers_of_a_number(tilt: float, size: int) -> None:
    out = np.zeros(size)
    with np.errstate(under="ignore"):
        _powers(tilt, out)
    with mpmath.workdps(40):
        for k in (0, size // 3, size - 1):
            assert out[k] == pytest.approx(float(mpmath.exp(-mpmath.mpf(tilt) * k)), 1e-13, 1e-300)


def test_what_starts_above_half_of_a_long_buffer() -> None:
    """A threshold, and a sleep, that reach the top: every level is counted."""
    for law in LAWS:
        full = n_policy(0.5, 20_000, 1.0, 20_000, service=law)
        # K packets at once, then served: the mean of a triangle, and a short queue on top of it
        assert float(full.loss) > 0.0
        assert float(full.mean_batch) == pytest.approx(40_000, rel=1e-3)
        asleep = fixed_sleep(2.0, 20_000, 1.0, 1e6, service=law)
        assert float(asleep.carried_rate) == pytest.approx(1.0 - float(asleep.occupancy[0]), 1e-12)
