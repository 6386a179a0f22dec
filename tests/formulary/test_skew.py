"""Flows hashed to queues: every hash tried in exact fractions, and random hashes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import (
    rss_captured,
    rss_loss,
    rss_loss_free_load,
    rss_spread,
    zipf_shares,
)


def every_hash(shares: list[Fraction], queues: int, load: Fraction) -> tuple[Fraction, Fraction]:
    """Captured share, mean and variance, over all placements."""
    limit = 1 / (queues * load)
    values = []
    for place in itertools.product(range(queues), repeat=len(shares)):
        received = [Fraction(0)] * queues
        for share, queue in zip(shares, place, strict=True):
            received[queue] += share
        values.append(sum(min(p, limit) for p in received))
    mean = Fraction(sum(values), len(values))
    return mean, sum((v - mean) ** 2 for v in values) / len(values)


def test_reference_value() -> None:
    """Enumeration of all subsets and a convolution of lattices, which agree to 2e-15."""
    found = rss_captured(zipf_shares(14), 4, 0.8)
    assert float(found) == pytest.approx(0.8148475235494872, rel=1e-14)


@pytest.mark.parametrize("queues", [1, 2, 3])
@pytest.mark.parametrize("load", ["0.2", "0.6", "1", "1.7"])
@pytest.mark.parametrize("weights", [[1], [1, 1], [5, 3, 1], [9, 4, 3, 2, 1, 1]])
def test_every_hash(queues: int, load: str, weights: list[int]) -> None:
    shares = [Fraction(w, sum(weights)) for w in weights]
    captured, variance = every_hash(shares, queues, Fraction(load))
    f = [float(s) for s in shares]
    assert float(rss_captured(f, queues, float(load))) == pytest.approx(float(captured), rel=1e-14)
    assert float(rss_loss(f, queues, float(load))) == pytest.approx(float(1 - captured), abs=1e-15)
    spread = rss_spread(f, queues, float(load), draws=1000, seed=3)
    sd = float(variance) ** 0.5
    assert spread.mean == pytest.approx(float(captured), abs=4.5 * sd / 1000**0.5 + 1e-12)
    assert spread.sd == pytest.approx(sd, rel=0.25, abs=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.1])
@pytest.mark.parametrize(("queues", "load"), [(4, 0.8), (8, 0.7), (16, 0.9), (8, 1.2)])
def test_many_flows_against_random_hashes(exponent: float, queues: int, load: float) -> None:
    shares = zipf_shares(2000, exponent)
    spread = rss_spread(shares, queues, load, draws=400, seed=1)
    found = float(rss_captured(shares, queues, load))
    assert found == pytest.approx(spread.mean, abs=4.0 * spread.sd / 400**0.5 + 1e-3)
    assert found + float(rss_loss(shares, queues, load)) == pytest.approx(1.0, rel=1e-12)


def test_both_methods_meet() -> None:
    """31 flows take the normal tail, 30 of them nearly the same are enumerated."""
    few = np.sort(zipf_shares(30))[::-1]
    many = np.append(few * (1 - 1e-9), 1e-9)
    for load in (0.6, 0.9, 1.3):
        assert float(rss_captured(many, 4, load)) == pytest.approx(
            float(rss_captured(few, 4, load)), rel=2e-3
        )


def test_limits() -> None:
    assert float(rss_captured([1.0], 8, 0.5)) == 0.25  # one flow: a single queue
    even = float(rss_captured(np.full(100_000, 1e-5), 8, 0.8))  # many equal flows: no skew
    assert even == pytest.approx(1.0, abs=1e-6)
    assert float(rss_captured(zipf_shares(20), 1, 0.9)) == pytest.approx(1.0, rel=1e-14)
    assert float(rss_captured(zipf_shares(20), 1, 1.6)) == pytest.approx(1 / 1.6, rel=1e-14)
    assert rss_loss_free_load([[0.5, 0.5], [1.0, 0.0]]).tolist() == [1.0, 0.5]


def test_a_rare_loss_is_not_a_difference() -> None:
    """Ten equal flows on 1000 queues, all ten must meet: 10 flows in one of 1000 queues."""
    lost = float(rss_loss(np.full(10, 0.1), 1000, 1 / (1000 * 0.95)))
    assert lost == pytest.approx(1000 * 1e-30 * 0.05, rel=1e-10)


@given(
    weights=st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=40),
    queues=st.integers(1, 64),
    load=st.floats(0.01, 100.0),
)
def test_laws(weights: list[float], queues: int, load: float) -> None:
    shares = np.array(weights) / sum(weights)
    now, later = rss_captured(shares, queues, [load, 1.5 * load])
    assert 0.0 < later <= now * (1 + 1e-9) <= 1 + 1e-9
    assert now <= 1.0 / load * (1 + 1e-9)
    assert float(rss_loss(shares, queues, load)) + now == pytest.approx(1.0, abs=1e-9)


@given(weights=st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=14), load=st.floats(0.1, 3.0))
def test_more_even_flows_capture_more(weights: list[float], load: float) -> None:
    """Moving share from a larger to a smaller flow: the minimum is concave."""
    shares = np.sort(np.array(weights) / sum(weights))[::-1]
    more_even = shares.copy()
    middle = 0.25 * (shares[0] - shares[-1])
    more_even[[0, -1]] += [-middle, middle]
    assert rss_captured(more_even, 4, load) >= rss_captured(shares, 4, load) - 1e-12


def test_few_equal_flows_are_the_worst_case() -> None:
    """Their sums are a lattice: 60 flows on 16 queues, the binomial law against the normal one."""
    flows, queues, load = 60, 16, 1.5
    hit = [Fraction(1)]
    for _ in range(flows):
        stay = [p * Fraction(queues - 1, queues) for p in hit]
        move = [p * Fraction(1, queues) for p in hit]
        hit = [a + b for a, b in zip([*stay, Fraction(0)], [Fraction(0), *move], strict=True)]
    limit = 1.0 / (queues * load)
    exact = queues * sum(float(p) * min(n / flows, limit) for n, p in enumerate(hit))
    found = float(rss_captured(np.full(flows, 1 / flows), queues, load))
    assert found == pytest.approx(exact, rel=0.01)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="flow_shares must be one list"):
        rss_captured([0.5, 0.4], 2, 0.5)
    with pytest.raises(ValueError, match="queues must be a whole number"):
        rss_captured([1.0], 0, 0.5)
    with pytest.raises(ValueError, match="load must be positive"):
        rss_captured([1.0], 2, 0.0)
    with pytest.raises(ValueError, match="queue_shares"):
        rss_loss_free_load([0.5, 0.6])
    with pytest.raises(ValueError, match="draws"):
        rss_spread([1.0], 2, 0.5, draws=1)
    with pytest.raises(ValueError, match="flows"):
        zipf_shares(0)
