"""A kernel that never idles, a finite buffer: first passages in many digits, and both limits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel.formulary import carried_rate_saturated, saturated_finite_buffer
from tests.oracles.finite_queues import saturated
from tests.oracles.reference import reference_values


@pytest.mark.parametrize(("p", "value"), reference_values("AB_exp_saturated").values())
def test_reference_value(p: dict[str, Any], value: list[float]) -> None:
    found = saturated_finite_buffer(p["ck"], p["ca"], p["w"], p["L"], p["P"], p["K"])
    assert float(found[0]) == pytest.approx(value[0], rel=1e-15)
    assert float(found[1]) == pytest.approx(0.0369000468136976, rel=1e-14)
    assert float(found[2]) == pytest.approx(0.248139717798923, rel=1e-14)


@pytest.mark.parametrize("consumer", [0.0, 0.01, 0.4, 0.99, 1 - 1e-9, 1.0, 1 + 1e-9, 1.02, 3.0])
@pytest.mark.parametrize(
    ("latency", "poll"),
    [(0.0, 0.0), (0.5, 0.0), (16.0, 0.5), (1.0, 1 + 1e-9), (50.0, 60.0), (1e6, 1e-6), (0.67, 99.0)],
)
def test_first_passages(consumer: float, latency: float, poll: float) -> None:
    for capacity in [1, 2, 5, 150]:
        with mpmath.workdps(400):
            expected = saturated(1.0, consumer, 2.0, latency, poll, capacity)
            found = saturated_finite_buffer(1.0, consumer, 2.0, latency, poll, capacity)
            for got, true in zip(found, expected, strict=True):
                if abs(true) > 1e-290:
                    assert float(float(got) / true - 1) == pytest.approx(0.0, abs=1e-13), capacity
                else:
                    assert 0.0 <= float(got) < 1e-280


@pytest.mark.parametrize("consumer", [0.2, 0.6, 0.95])
def test_unlimited_buffer(consumer: float) -> None:
    """K to infinity: the law of balanced times with S = w + L + P(1 + P/c_k) + c_k."""
    found, wakes, drops = saturated_finite_buffer(1.0, consumer, 2.0, 16.0, 0.5, 10_000_000)
    off = 2.0 + 16.0 + 0.5 * 1.5 + 1.0
    expected = float(carried_rate_saturated(1.0, consumer, 2.0, off))
    assert float(found) == pytest.approx(expected, rel=1e-12)
    assert float(wakes) == pytest.approx((1 - expected) / 2.0, rel=1e-12)
    assert float(drops) == 0.0


def test_large_buffers_near_equal_costs() -> None:
    """Between 1e-5 below and above the kernel's cost everything is smooth at K = 1e6."""
    costs = 1.0 + np.array([-1e-5, -1e-7, -1e-9, 0.0, 1e-9, 1e-7, 1e-5])
    found, wakes, drops = saturated_finite_buffer(1.0, costs, 2.0, 16.0, 0.5, 1_000_000)
    assert np.all(np.diff(wakes) < 0.0)
    assert np.all(np.diff(drops) > 0.0)
    np.testing.assert_allclose(found, 1.0 / np.maximum(costs, 1.0), rtol=3e-6)


@example(14.0, 290.0, 0.0, 0.0, 1e-320, 1)
@given(
    kernel=st.floats(1e-9, 1e3),
    ratio=st.floats(0.0, 1e6),
    wake=st.floats(0.0, 1e3),
    latency=st.floats(0.0, 1e3),
    poll=st.floats(0.0, 1e3),
    capacity=st.integers(1, 10_000_000),
)
def test_kernel_time_is_conserved(
    kernel: float, ratio: float, wake: float, latency: float, poll: float, capacity: int
) -> None:
    carried, wakes, drops = saturated_finite_buffer(
        kernel, ratio * kernel, wake, latency, poll, capacity
    )
    assert min(carried, wakes, drops) >= 0.0
    busy = (carried + drops) * kernel + wakes * wake
    assert float(busy) == pytest.approx(1.0, rel=1e-9)
    assert float(carried) * ratio * kernel <= 1 + 1e-12


def test_shapes_and_refusals() -> None:
    for result in saturated_finite_buffer([[1.0], [2.0]], [0.1, 0.5, 3.0], 1.0, 1.0, 0.0, 8):
        assert result.shape == (2, 3)
    with pytest.raises(ValueError, match="kernel_cost must be positive"):
        saturated_finite_buffer(0.0, 1.0, 1.0, 1.0, 1.0, 8)
    with pytest.raises(ValueError, match="capacity"):
        saturated_finite_buffer(1.0, 1.0, 1.0, 1.0, 1.0, 8.5)
