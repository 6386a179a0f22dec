"""Packets in buffers of blocks, each followed from its delivery to the end of its work."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import block_backlog, block_sojourn_time


def mean_stay(rate: Fraction, block: int, cost: Fraction, delay: Fraction) -> Fraction:
    """One block, packet by packet, whose reader had been asleep."""
    closed = block / rate
    done, stays = closed + delay, []
    for j in range(1, block + 1):
        done += cost
        stays.append(done - j / rate)
    return sum(stays, Fraction(0)) / block


@pytest.mark.parametrize("block", [1, 2, 7, 64])
@pytest.mark.parametrize("cost", [Fraction(0), Fraction(1, 3)])
@pytest.mark.parametrize("delay", [Fraction(0), Fraction(5, 2)])
def test_sojourn_in_full_blocks(block: int, cost: Fraction, delay: Fraction) -> None:
    rate = Fraction(3, 2)
    expected = mean_stay(rate, block, cost, delay)
    found = block_sojourn_time(float(rate), block, np.inf, float(cost), float(delay))
    assert float(found) == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize("rate", [0.0271828182, 0.4142135, 7.3205081, 50.1])
def test_sojourn_in_blocks_that_a_timer_closes(rate: float) -> None:
    """Ticks every 10 s, packets at a rate that shares no rhythm with them."""
    period, cost, delay = 10.0, 0.01, 0.3
    came = np.arange(1, 200_001) / rate
    tick = np.ceil(came / period)
    first = np.searchsorted(tick, tick)  # of the same block
    position = np.arange(came.size) - first + 1
    stay = tick * period + delay + position * cost - came
    found = block_sojourn_time(rate, 1e9, period, cost, delay)
    assert float(found) == pytest.approx(stay.mean(), rel=0.01)


def mean_backlog(rate: float, block: int, blocks: int, cost: float, read: float) -> float:
    """A reader that never rests, and packets that come to whichever block is free, or to none."""
    free_at = [0.0] * blocks  # when each block is given back
    reader, held, kept, taken, last = 0.0, 0.0, 0, 0, 0.0
    waiting: list[float] = []
    turn, n = 0, 0
    while taken < 400:
        n += 1
        now = n / rate
        if now < free_at[turn]:
            continue  # no block: lost
        waiting.append(now)
        if len(waiting) < block:
            continue
        reader = max(reader, now) + read
        for came in waiting:
            reader += cost
            if taken >= 100:
                held += reader - came
                kept += 1
        if taken == 99:
            last = reader
        free_at[turn] = reader
        turn, taken, waiting = (turn + 1) % blocks, taken + 1, []
    return held / (reader - last)


@pytest.mark.parametrize(("block", "blocks"), [(16, 2), (16, 3), (5, 9), (64, 4)])
@pytest.mark.parametrize(("cost", "read"), [(1.37, 0.0), (2.11, 0.73), (0.997, 1.9)])
def test_backlog_of_a_reader_that_is_behind(
    block: int, blocks: int, cost: float, read: float
) -> None:
    walked = mean_backlog(1.0, block, blocks, cost, read)
    found = float(block_backlog(1.0, block, blocks, cost, read))
    assert found == pytest.approx(walked, abs=0.5)


@given(
    block=st.integers(2, 1000), blocks=st.integers(2, 50), cost=st.floats(1.0, 100.0),
    read=st.floats(0.0, 1e3),
)  # fmt: skip
def test_a_backlog_fits_the_buffer(block: int, blocks: int, cost: float, read: float) -> None:
    found = float(block_backlog(1.0, block, blocks, cost, read))
    assert (blocks - 1.5) * block <= found <= blocks * block
