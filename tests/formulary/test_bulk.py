"""Rings of blocks, Poisson packets: the whole chain in many digits, two blocks, and timers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel.formulary import (
    bulk_ring_carried_rate,
    bulk_ring_loss,
    double_buffer_loss,
    loss_md1k,
    retire_timer_block_rate,
)
from tests.oracles.finite_queues import bulk_ring


def test_values_of_a_dense_chain() -> None:
    carried, wakes = bulk_ring_carried_rate(0.9, 8, 4, 1.0, 0.5, 4.0)
    assert float(carried) == pytest.approx(0.8885328054, abs=6e-11)
    assert float(wakes) == pytest.approx(0.00884947, abs=6e-9)
    carried, _ = bulk_ring_carried_rate(1.05, 16, 16, 1.0, 0.1, 10.0)
    assert float(carried) == pytest.approx(0.9937888199, abs=6e-11)


@pytest.mark.parametrize("rate", [0.02, 0.4, 0.9, 1.0, 1.3, 4.0])
@pytest.mark.parametrize(("block", "blocks"), [(1, 1), (1, 2), (1, 6), (3, 3), (4, 5), (7, 2)])
@pytest.mark.parametrize("latency", [0.0, 3.0])
def test_whole_chain(rate: float, block: int, blocks: int, latency: float) -> None:
    lost, wakes = bulk_ring(rate, block, blocks, 1.0, 0.5, latency, 60 if rate > 0.1 else 120)
    found, asleep = bulk_ring_loss(rate, block, blocks, 1.0, 0.5, latency)
    assert float(float(found) / lost - 1) == pytest.approx(0.0, abs=2e-13)
    assert float(float(asleep) / wakes - 1) == pytest.approx(0.0, abs=2e-13)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8, 1.0, 1.4, 30.0])
@pytest.mark.parametrize("block", [1, 2, 16, 100, 400])
def test_two_blocks_are_a_double_buffer(rate: float, block: int) -> None:
    found = bulk_ring_loss(rate, block, 2, 1.0, 0.7, 3.0)
    expected = double_buffer_loss(rate, block, 1.0, 0.7, 3.0)
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-12, atol=1e-290)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-11, atol=1e-290)


@pytest.mark.parametrize("blocks", [1, 2, 5, 60])
@pytest.mark.parametrize("rate", [0.3, 0.9, 1.0, 2.0])
def test_blocks_of_one_packet_are_md1k(blocks: int, rate: float) -> None:
    found, _ = bulk_ring_loss(rate, 1, blocks, 1.0, 0.0, 0.0)
    assert float(found) == pytest.approx(float(loss_md1k(rate, blocks)), rel=1e-12)


def test_one_block_is_the_fluid_cycle() -> None:
    """Nothing is kept while the only block is read: lost over offered is G over G + F."""
    found, asleep = bulk_ring_loss(0.7, 10, 1, 0.3, 2.0, 5.0)
    assert float(found) == pytest.approx(10.0 / (10.0 + 10 / 0.7), rel=1e-14)
    assert float(asleep) == 1.0


def test_a_googolth() -> None:
    lost, _ = bulk_ring(0.02, 6, 12, 1.0, 0.0, 1.0, 400)
    found, _ = bulk_ring_loss(0.02, 6, 12, 1.0, 0.0, 1.0)
    assert 0 < float(found) < 1e-50
    assert float(float(found) / lost - 1) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("block", "timeout"), [(1, 0.5), (3, 0.8), (3, 10.0), (20, 0.1), (20, 9.0)]
)
def test_timers_by_integration(block: int, timeout: float) -> None:
    """Mean length of a block's life is the integral of P(not yet closed)."""
    rate = 2.0
    with mpmath.workdps(30):

        def fewer(t: mpmath.mpf, than: int) -> mpmath.mpf:
            return mpmath.fsum(
                mpmath.exp(-rate * t) * (rate * t) ** k / mpmath.factorial(k) for k in range(than)
            )

        lasts = mpmath.quad(lambda t: fewer(t, block), [0, timeout])
        opening = (1 - mpmath.exp(-rate * mpmath.mpf(timeout))) / lasts
        after = mpmath.quad(lambda t: fewer(t, block - 1), [0, timeout]) if block > 1 else 0
        first = 1 / (1 / mpmath.mpf(rate) + after)
    assert float(retire_timer_block_rate(rate, block, timeout)) == pytest.approx(
        float(opening), rel=1e-12
    )
    assert float(retire_timer_block_rate(rate, block, timeout, "first_packet")) == pytest.approx(
        float(first), rel=1e-12
    )


def test_limits_of_the_timer() -> None:
    assert float(retire_timer_block_rate(1e5, 100, 1.0)) == pytest.approx(1e3, rel=1e-12)
    assert float(retire_timer_block_rate(0.3, 10**6, 1.0)) == pytest.approx(-np.expm1(-0.3))
    assert float(retire_timer_block_rate(0.3, 7, np.inf, "first_packet")) == 0.3 / 7


@example(6.0, 7, 3, 9.0, 0.0, 0.0)  # the chain comes down with 1e-160
@given(
    rate=st.floats(1e-3, 1e5),
    block=st.integers(1, 12),
    blocks=st.integers(1, 12),
    cost=st.floats(0.0, 10.0),
    read=st.floats(0.0, 10.0),
    latency=st.floats(0.0, 1e3),
)
def test_numbers_are_numbers(
    rate: float, block: int, blocks: int, cost: float, read: float, latency: float
) -> None:
    lost, asleep = bulk_ring_loss(rate, block, blocks, cost, read, latency)
    assert 0.0 <= float(lost) <= 1.0
    assert 0.0 <= float(asleep) <= 1.0
    longest = read + block * cost + latency
    assert float(lost) <= rate * longest / (rate * longest + block) * (1 + 1e-12) + 1e-300
    assert 0.0 < float(retire_timer_block_rate(rate, block, read + 1e-3)) <= rate * (1 + 1e-12)


def test_shapes_and_refusals() -> None:
    for result in bulk_ring_loss([[0.5], [0.9]], [1, 2, 4], 3, 1.0, 0.0, 0.0):
        assert result.shape == (2, 3)
    with pytest.raises(ValueError, match=r"blocks times block .* at 4000 or less"):
        bulk_ring_loss(0.5, 1000, 100, 1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="block must be a whole number"):
        bulk_ring_loss(0.5, 0, 10, 1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="timeout must be positive"):
        retire_timer_block_rate(1.0, 10, 0.0)
    with pytest.raises(ValueError, match="start must be one of 'opening', 'first_packet'"):
        retire_timer_block_rate(1.0, 10, 1.0, "open")
