"""M/G/1/K: the textbook recursion in as many digits as it needs, and limits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import loss_md1k, loss_mg1k, loss_mg1k_counts, loss_mm1k
from tests.oracles.finite_queues import counts, mg1k_loss
from tests.oracles.reference import reference_values

LAWS = [
    "deterministic",
    "exponential",
    ("erlang", 4),
    ("hyperexponential", 4.0),
    ("hyperexponential", 50.0),
]
LOADS = [1e-12, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-9, 1.0, 1 + 1e-9, 1.1, 3.0, 50.0]


@pytest.mark.parametrize(("p", "value"), reference_values("MD1K_loss").values())
def test_reference_values_constant(p: dict[str, Any], value: list[float]) -> None:
    assert float(loss_md1k(p["rho"], p["K"])) == pytest.approx(value[0], rel=2e-14)


@pytest.mark.parametrize(
    ("load", "law", "value", "agreement"),
    [
        (0.8, LAWS[2], 0.007451758526152652, 1e-12),
        (0.95, LAWS[2], 0.04091292440813421, 1e-14),
        (0.95, LAWS[3], 0.14201379643466294, 1e-14),
        (0.8, LAWS[3], 0.088676852891, 1e-11),
    ],
)
def test_reference_values_phases(load: float, law: Any, value: float, agreement: float) -> None:
    """Recursion in level crossings and dense chain, which agree to that."""
    assert float(loss_mg1k(load, 10, law)) == pytest.approx(value, rel=agreement)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", LOADS)
def test_textbook_recursion(law: Any, load: float) -> None:
    for capacity in [1, 2, 3, 7, 40]:
        digits = 120 + int(12 * capacity) if load < 2 else 60 + int(load * capacity * 0.5)
        expected = mg1k_loss(law, load, capacity, digits)
        if expected > 1e-290:
            found = float(loss_mg1k(load, capacity, law))
            assert float(found / expected - 1) == pytest.approx(0.0, abs=3e-14), capacity


@pytest.mark.parametrize("law", ["deterministic", ("erlang", 4), ("hyperexponential", 4.0)])
@pytest.mark.parametrize("load", [0.97, 1 - 1e-9, 1.0, 1 + 1e-9, 1.05])
@pytest.mark.parametrize("capacity", [300, pytest.param(4096, marks=pytest.mark.slow)])
def test_large_buffer(law: Any, load: float, capacity: int) -> None:
    """Losses down to 1e-108, at load 1 and next to it."""
    expected = mg1k_loss(law, load, capacity, 80 if load > 0.99 else 240)
    if expected > 1e-290:
        found = float(loss_mg1k(load, capacity, law))
        assert float(found / expected - 1) == pytest.approx(0.0, abs=2e-12)


@pytest.mark.parametrize("law", LAWS)
def test_one_place_is_insensitive(law: Any) -> None:
    load = np.array([1e-9, 0.3, 1.0, 1 + 1e-12, 7.0, 650.0, 1e6])
    np.testing.assert_allclose(loss_mg1k(load, 1, law), load / (1 + load), rtol=2e-15)


@pytest.mark.parametrize("load", [0.05, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("capacity", [2, 30, 500])
def test_one_phase_is_exponential(load: float, capacity: int) -> None:
    """The phase recursion and the closed form of M/M/1/K share nothing."""
    expected = float(loss_mm1k(load, capacity))
    for law in [("erlang", 1), ("hyperexponential", 1.0)]:
        assert float(loss_mg1k(load, capacity, law)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("load", [0.3, 0.9, 1.0, 1.4])
@pytest.mark.parametrize("capacity", [1, 2, 9, 150])
def test_law_given_by_its_counts(load: float, capacity: int) -> None:
    given_law = [float(x) for x in counts("deterministic", load, 60)]
    expected = float(loss_md1k(load, capacity))
    assert float(loss_mg1k_counts(given_law, capacity)) == pytest.approx(expected, rel=1e-12)


def test_at_most_one_arrival_is_lost_only_from_one_place() -> None:
    assert loss_mg1k_counts([0.4, 0.6], [1, 2, 3]).tolist() == pytest.approx([0.375, 0.0, 0.0])


def test_many_phases_come_close_to_a_constant() -> None:
    gaps = [float(loss_mg1k(0.8, 10, ("erlang", k)) / loss_md1k(0.8, 10)) - 1 for k in (50, 200)]
    assert 0 < gaps[1] < gaps[0] / 3.9 < 0.02  # the gap goes as 1/k


def test_a_huge_load_loses_all_but_the_service() -> None:
    for law in LAWS:
        found = loss_mg1k([599.0, 601.0, 1e6, 1e9], [2, 100, 10_000_000, 5], law)
        np.testing.assert_allclose(found, 1 - 1 / np.array([599.0, 601.0, 1e6, 1e9]), rtol=1e-5)


def test_ten_million_places() -> None:
    """Between the last two capacities the loss falls by the decay of the infinite queue."""
    low, high = loss_md1k(0.99999, [9_000_000, 10_000_000])
    decay = -2.0 * np.log(0.99999) * (1 - np.log(0.99999) / 3)  # log(z), second order
    assert np.log(low / high) == pytest.approx(1e6 * decay, rel=1e-4)
    assert float(loss_md1k(1.5, 10_000_000)) == pytest.approx(1 / 3, rel=1e-14)
    assert float(loss_md1k(1.0, 10_000_000)) == pytest.approx(1 / (2e7 - 1 / 3), rel=1e-9)


@given(
    load=st.floats(0.0, 1e6),
    capacity=st.integers(1, 10_000_000),
    law=st.sampled_from(LAWS),
)
def test_numbers_are_numbers(load: float, capacity: int, law: Any) -> None:
    loss = float(loss_mg1k(load, capacity, law))
    assert max(0.0, (load - 1.0) / load if load else 0.0) * (1 - 1e-12) <= loss <= 1.0
    assert loss <= load / (1.0 + load) * (1 + 1e-12)


@given(load=st.floats(0.01, 5.0), capacity=st.integers(1, 200))
def test_more_variable_service_loses_more(load: float, capacity: int) -> None:
    losses = [float(loss_mg1k(load, capacity, law)) for law in LAWS]
    order = [losses[0], losses[2], losses[1], losses[3], losses[4]]
    assert all(a <= b * (1 + 1e-9) for a, b in itertools.pairwise(order))


@given(load=st.floats(1e-3, 20.0), capacity=st.integers(1, 1000), law=st.sampled_from(LAWS))
def test_a_place_more_never_loses_more(load: float, capacity: int, law: Any) -> None:
    fewer, more = loss_mg1k(load, [capacity, capacity + 1], law)
    assert more <= fewer * (1 + 1e-12)


def test_broadcasting() -> None:
    assert loss_mg1k([[0.5], [1.0]], [1, 2, 3], ("erlang", 2)).shape == (2, 3)
    assert np.ndim(loss_md1k(0.5, 5)) == 0


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ("determinstic", "service must be one of .* .*did you mean 'deterministic'"),
        (("erlang", 2.5), "service 'erlang' needs a whole number of phases"),
        (("hyperexponential", 0.5), "service 'hyperexponential' needs a finite scv"),
        (("weibull", 2.0), "service must be one of 'erlang'"),
        (["erlang", 2], "service must be a name or a pair"),
    ],
)
def test_refused_laws(law: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        loss_mg1k(0.5, 3, law)


@pytest.mark.parametrize(
    ("law", "words"),
    [([0.5, 0.4], "sum to 1"), ([0.0, 1.0], "first positive"), ([1.0], "probabilities")],
)
def test_refused_counts(law: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        loss_mg1k_counts(law, 3)
