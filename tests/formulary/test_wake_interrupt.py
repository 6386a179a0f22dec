"""The probability of an interrupt against quadrature, its limits, and between its expressions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import wake_interrupt_probability


@pytest.mark.parametrize("gap", [1e-3, 0.2, 1.0, 7.0, 60.0])
@pytest.mark.parametrize("leave", [0.0, 0.1, 0.8])
@pytest.mark.parametrize("settle", [0.3, 1.0, 5.0])
def test_it_is_the_share_of_moments_that_need_an_interrupt(
    gap: float, leave: float, settle: float
) -> None:
    moments = (np.arange(100_000) + 0.5) / 100_000 * gap
    looks_for_work = (moments >= leave) & (moments < leave + settle)
    assert float(wake_interrupt_probability(gap, leave, settle)) == pytest.approx(
        1.0 - np.mean(looks_for_work), abs=3e-5
    )


def test_limits() -> None:
    assert float(wake_interrupt_probability(0.0, 0.0, 1.0)) == 0.0
    assert float(wake_interrupt_probability(0.0, 0.1, 1.0)) == 1.0
    assert float(wake_interrupt_probability(3.0, 0.0, 0.0)) == 1.0  # halts at once
    assert float(wake_interrupt_probability(3.0, 3.0, 1.0)) == 1.0  # never idle
    assert float(wake_interrupt_probability(1.0, 0.0, 1.0)) == 0.0  # never halted
    assert float(wake_interrupt_probability(1e9, 0.0, 1.0)) == pytest.approx(1.0 - 1e-9, rel=1e-15)


@given(
    st.floats(0.0, 1e3), st.floats(0.0, 10.0), st.floats(1e-6, 1e3), st.floats(1.0, 10.0)
)  # fmt: skip
def test_all_are_probabilities_and_longer_looks_are_found_more_often(
    gap: float, leave: float, settle: float, factor: float
) -> None:
    sooner, later = wake_interrupt_probability(gap, leave, np.array([settle, settle * factor]))
    assert 0.0 <= later <= sooner * (1.0 + 1e-14)
    assert sooner <= 1.0
    slower = float(wake_interrupt_probability(gap, leave * factor, settle))
    assert slower >= sooner * (1.0 - 1e-14)


def test_it_need_not_grow_with_the_gap() -> None:
    """A longer sleep may be the cheaper one to end: its core has become idle meanwhile."""
    short, long, longer = wake_interrupt_probability(np.array([1.0, 3.0, 1e4]), 1.0, 5.0)
    assert long < short
    assert longer > long
