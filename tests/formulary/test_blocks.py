"""Buffers that change hands whole: many-digit integrals, a counting chain, a walk by blocks."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from capmodel.formulary import (
    block_rate,
    block_ring_carried_rate,
    block_ring_loss,
    double_buffer_carried_rate,
    double_buffer_loss,
    mean_excess_erlang,
    mean_max_erlang,
)
from tests.oracles.chains import block_ring_rate, double_buffer
from tests.oracles.reference import reference_values


def integrals(mean: float, shape: float, floor: float) -> tuple[float, float]:
    """E max(F, g) and E (g - F)^+ by integration of the gamma density."""
    with mpmath.workdps(40):
        k, m, g = mpmath.mpf(shape), mpmath.mpf(mean), mpmath.mpf(floor)

        def density(x: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(k * mpmath.log(k * x / m) - k * x / m - mpmath.loggamma(k)) / x

        spread = m / mpmath.sqrt(k)
        inner = sorted({mpmath.mpf(0), *(g * j / 8 for j in range(1, 9))})
        below = mpmath.quad(lambda x: (g - x) * density(x) if x else mpmath.mpf(0), inner)
        outer = [g, g + spread, g + 4 * spread, g + 12 * spread, g + 40 * spread + 40 * m / k]
        above = mpmath.quad(lambda x: (x - g) * density(x), [*outer, mpmath.inf])
        return float(g + above), float(below)


@pytest.mark.parametrize("shape", [1.0, 3.5, 40.0, 400.0])
@pytest.mark.parametrize("ratio", [0.3, 0.8, 1.0, 1.2])
def test_gamma_means_by_integration(shape: float, ratio: float) -> None:
    largest, excess = integrals(2.0, shape, 2.0 * ratio)
    assert float(mean_max_erlang(2.0, shape, 2.0 * ratio)) == pytest.approx(largest, rel=1e-11)
    assert float(mean_excess_erlang(2.0, shape, 2.0 * ratio)) == pytest.approx(excess, rel=1e-9)


@pytest.mark.parametrize("shape", [1.0, 16.0, 1000.0, np.inf])
def test_larger_and_shorter_differ_by_the_difference_of_means(shape: float) -> None:
    """max(F, g) = F + (g - F)^+."""
    floor = np.linspace(0.0, 5.0, 41)
    sums = 2.0 + mean_excess_erlang(2.0, shape, floor)
    np.testing.assert_allclose(mean_max_erlang(2.0, shape, floor), sums, rtol=1e-12)


@pytest.mark.parametrize(("p", "value"), reference_values("BPF_ZC").values())
def test_double_buffer_reference_values(p: dict[str, float], value: list[float]) -> None:
    carried, wakes = double_buffer_carried_rate(p["lam"], p["B"], p["ca"], p["p"], p["L"])
    assert float(carried) == pytest.approx(value[0], rel=1e-11)
    assert float(wakes) == pytest.approx(value[1], rel=1e-11)


@pytest.mark.parametrize("block", [1, 2, 16, 100])
@pytest.mark.parametrize("rate", [0.3, 0.8, 1.0, 1.4])
@pytest.mark.parametrize(("read", "latency"), [(0.0, 0.0), (1.0, 3.0)])
def test_double_buffer_by_counting_packets(
    block: int, rate: float, read: float, latency: float
) -> None:
    lost, wakes = double_buffer(rate, block, read, 1.0, latency)
    found, _ = double_buffer_loss(rate, block, 1.0, read, latency)
    carried, woken = double_buffer_carried_rate(rate, block, 1.0, read, latency)
    assert float(found) == pytest.approx(float(lost), rel=1e-9)
    assert float(carried) == pytest.approx(float(rate * (1 - lost)), rel=1e-11)
    assert float(woken) == pytest.approx(float(wakes), rel=1e-9, abs=1e-300)


def test_one_packet_per_buffer_is_the_two_place_queue() -> None:
    ((_, (value,)),) = [
        entry
        for entry in reference_values("MD1K_loss").values()
        if entry[0] == {"rho": 0.8, "K": 2}
    ]
    found, _ = double_buffer_loss(0.8, 1, 1.0, 0.0, 0.0)
    assert float(found) == pytest.approx(value, rel=1e-12)


def test_constant_rate_double_buffer_is_the_fluid_cycle() -> None:
    """Reader too slow: 1/(c_a + p/B). Reader fast: everything. Waking spoils every other buffer."""
    carried, wakes = double_buffer_carried_rate(2.0, 10, 1.0, 5.0, 0.0, 0.0)
    assert float(carried) == pytest.approx(10 / 15.0)
    assert float(wakes) == 0.0
    carried, wakes = double_buffer_carried_rate(2.0, 10, 0.1, 1.0, 1.0, 0.0)
    assert float(carried) == 2.0
    assert float(wakes) == pytest.approx(0.2)
    walked = block_ring_rate(2.0, 10.0, 2, 1.0, 0.1, 4.0)
    carried, _ = double_buffer_carried_rate(2.0, 10, 0.1, 1.0, 4.0, 0.0)
    assert float(carried) == pytest.approx(walked, rel=1e-9)


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("latency", [0.0, 2.0, 20.0])
@pytest.mark.parametrize("per_packet", [0.1, 0.7, 1.3])
def test_block_ring_block_by_block(blocks: int, latency: float, per_packet: float) -> None:
    walked = block_ring_rate(1.0, 10.0, blocks, 0.4, per_packet, latency)
    found = block_ring_carried_rate(1.0, 10.0, blocks, per_packet, 0.4, latency)
    assert float(found) == pytest.approx(walked, rel=2e-3)  # the walk ends on a broken cycle


@pytest.mark.parametrize("blocks", [3, 4, 8])
@pytest.mark.parametrize(
    ("per_packet", "latency"), [(0.1, 2.0), (0.7, 5.0), (1.3, 5.0), (2.0, 0.0)]
)
def test_many_blocks_outside_the_band(blocks: int, per_packet: float, latency: float) -> None:
    awake, fill = 0.4 + 10 * per_packet, 10.0
    assert awake + latency < (blocks - 1) * fill or awake > fill
    walked = block_ring_rate(1.0, 10.0, blocks, 0.4, per_packet, latency)
    found = 1.0 - float(block_ring_loss(1.0, 10.0, blocks, per_packet, 0.4, latency))
    assert found == pytest.approx(walked, rel=2e-3)


@pytest.mark.parametrize("blocks", [3, 4])
def test_many_blocks_inside_the_band_are_pessimistic(blocks: int) -> None:
    """More than one fill time passes awake before the reader sleeps again: losses are rarer."""
    walked = block_ring_rate(1.0, 10.0, blocks, 0.4, 0.7, 10.0 * blocks)
    found = float(block_ring_carried_rate(1.0, 10.0, blocks, 0.7, 0.4, 10.0 * blocks))
    assert found < walked < 1.0


def test_block_rate_by_counting() -> None:
    """Poisson packets, a timer that runs from the opening of a block: the two limits."""
    assert float(block_rate(1e6, 100.0, 1.0)) == pytest.approx(1e4)
    rng = np.random.default_rng(5)
    seen = np.mean(rng.poisson(0.3, 400_000) > 0)  # timer periods of 1 s that saw a packet
    assert float(block_rate(0.3, 100.0, 1.0)) == pytest.approx(seen, rel=0.01)
