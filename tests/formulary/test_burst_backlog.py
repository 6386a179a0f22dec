"""What bursts leave in a buffer: a content that is followed through bursts and pauses."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import mean_backlog_on_off_deterministic, mean_backlog_on_off_fluid


def followed(
    peak: float, drain: float, size: float, bursts: Iterable[tuple[float, float]], skip: int = 0
) -> float:
    """Mean content over bursts and pauses, straight line by straight line."""
    content = area = time = 0.0
    for number, (on, off) in enumerate(bursts):
        if number == skip:
            area = time = 0.0
        until_full = min((size - content) / (peak - drain), on)
        area += until_full * (content + 0.5 * (peak - drain) * until_full)
        content = min(content + (peak - drain) * on, size)
        area += (on - until_full) * content
        until_empty = min(content / drain, off)
        area += until_empty * (content - 0.5 * drain * until_empty)
        content = max(content - drain * off, 0.0)
        time += on + off
    return area / time


@pytest.mark.parametrize("peak", [1.5, 3.0])
@pytest.mark.parametrize("pause", [0.4, 2.0, 9.0])
@pytest.mark.parametrize("size", [0.5, 5.0, 60.0])
def test_random_bursts(peak: float, pause: float, size: float) -> None:
    rng = np.random.default_rng(3)
    lengths = zip(rng.exponential(1.0, 200_000), rng.exponential(pause, 200_000), strict=True)
    seen = followed(peak, 1.0, size, lengths)
    said = float(mean_backlog_on_off_fluid(peak, 1.0, 1.0, 1.0 / pause, size))
    # the mean of a slowly mixing content: near balance it moves over the whole buffer
    assert said == pytest.approx(seen, rel=0.05)


@pytest.mark.parametrize("peak", [1.5, 3.0])
@pytest.mark.parametrize("pause", [0.4, 2.0, 9.0])
@pytest.mark.parametrize("size", [0.2, 1.0, 5.0, 60.0])
def test_regular_bursts(peak: float, pause: float, size: float) -> None:
    seen = followed(peak, 1.0, size, [(1.0, pause)] * 4000, skip=3000)
    said = float(mean_backlog_on_off_deterministic(peak, 1.0, 1.0, pause, size))
    assert said == pytest.approx(seen, rel=1e-9)


def test_a_drain_that_keeps_up_holds_nothing() -> None:
    for law in (mean_backlog_on_off_fluid, mean_backlog_on_off_deterministic):
        assert float(law(1.0, 1.0, 1.0, 1.0, 10.0)) == 0.0


@given(
    peak=st.floats(1.001, 100.0), leave_on=st.floats(1e-3, 1e3), leave_off=st.floats(1e-3, 1e3),
    size=st.floats(1e-3, 1e6),
)  # fmt: skip
def test_it_fits_and_grows_with_the_buffer(
    peak: float, leave_on: float, leave_off: float, size: float
) -> None:
    here, more = mean_backlog_on_off_fluid(peak, 1.0, leave_on, leave_off, [size, 2.0 * size])
    assert 0.0 <= here <= size * (1.0 + 1e-12)
    assert here <= more * (1.0 + 1e-9)
