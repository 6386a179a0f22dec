"""The benchmarks' own exact values, held to the reference values and to the oracles."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest

from benchmarks import exact_values
from benchmarks.exact_values import relative_error
from benchmarks.peers.comparison import CASES
from capmodel.formulary import fixed_sleep, n_policy
from tests.oracles.finite_queues import mg1k_loss
from tests.oracles.reference import entries
from tests.oracles.tandem_chain import TwoCores, exponential, rates

LOSSES: dict[str, Any] = {
    "MM1K_loss": lambda p: exact_values.mm1k_loss(p["rho"], p["K"]),
    "MD1K_loss": lambda p: exact_values.md1k_loss(p["rho"], p["K"]),
    "MMPP_M_1_K": lambda p: exact_values.mmpp1k_loss(p["l"], p["s"], p["K"]),
}


@pytest.mark.parametrize("name", [n for n in entries() if n.startswith(tuple(LOSSES))])
def test_reference_values(name: str) -> None:
    entry = entries()[name]
    law = next(law for law in LOSSES if name.startswith(law))
    found = LOSSES[law](entry["params"])
    # what is listed has the rounding of a double; a few of them, as its two methods were floats
    assert relative_error(entry["value"][0], found) <= entry["agreement"] + 1e-14


@pytest.mark.parametrize(("load", "capacity"), [(0.5, 55), (0.8, 100), (0.967, 40), (1.2, 60)])
def test_constant_service_by_the_textbook_recursion(load: float, capacity: int) -> None:
    """Two formulas that share nothing, to 35 digits."""
    with mpmath.workdps(60):
        recursion = mg1k_loss("deterministic", load, capacity, digits=120 + 12 * capacity)
        assert abs(exact_values.md1k_loss(load, capacity) / recursion - 1) < mpmath.mpf(10) ** -35


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_exponential_service_in_fractions(capacity: int) -> None:
    rho = Fraction(0.8)
    exact = rho**capacity / sum(rho**n for n in range(capacity + 1))
    assert relative_error(float(exact), exact_values.mm1k_loss(0.8, capacity)) < 1e-15


def test_tandem_in_fractions_and_in_digits() -> None:
    numbers = (Fraction(0.9), 4, 5, Fraction(1), Fraction(0.9))
    exact = exact_values.drop_tandem_loss(*numbers)
    chain = rates(
        TwoCores((Fraction(0.9),), 4, 5, exponential(Fraction(1)), exponential(Fraction(0.9))),
        exact=True,
    )
    assert exact == 1 - Fraction(chain["carried"]) / Fraction(0.9)
    with mpmath.workdps(60):
        digits = exact_values.drop_tandem_loss(
            mpmath.mpf(0.9), 4, 5, mpmath.mpf(1), mpmath.mpf(0.9)
        )
        assert abs(digits / exact_values.as_mpf(exact) - 1) < mpmath.mpf(10) ** -50


def test_stationary_of_a_chain_known_by_heart() -> None:
    """Birth and death with rates 2 up and 1 down: weights 1, 2, 4."""
    third = Fraction(1, 7)
    chain = {0: {1: Fraction(2)}, 1: {2: Fraction(2), 0: Fraction(1)}, 2: {1: Fraction(1)}}
    assert exact_values.stationary(chain) == {0: third, 1: 2 * third, 2: 4 * third}


@pytest.mark.parametrize("n", [1, 2, 8])
def test_wait_behind_a_threshold(n: int) -> None:
    one = Fraction(1)
    exact = exact_values.mean_wait_threshold(Fraction(0.8), one, one, n)
    found = n_policy(0.8, 2000, 1.0, n)
    assert float(found.mean_occupancy) / 0.8 - 1.0 == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("sleep", [0.5, 10.0])
def test_wait_behind_a_sleep(sleep: float) -> None:
    one = Fraction(1)
    exact = exact_values.mean_wait_sleep(Fraction(0.8), one, one, Fraction(sleep))
    found = fixed_sleep(0.8, 2000, 1.0, sleep)
    assert float(found.mean_occupancy) / 0.8 - 1.0 == pytest.approx(float(exact), rel=1e-12)


def test_relative_error_where_the_value_is_no_double() -> None:
    tiny = mpmath.mpf(10) ** -500
    assert relative_error(0.0, tiny) == 1.0
    assert relative_error(float("nan"), tiny) == float("inf")
    assert relative_error(3.0, Fraction(2)) == 0.5


def test_every_question_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
