"""How rings are cut, and the work loop against plain integers."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba")

from capmodel.lab._consumer_loops import turn
from capmodel.lab.outcome import LabError
from capmodel.lab.sockets import geometry


@given(st.integers(1, 2**16), st.integers(7, 1000))
def test_a_ring_has_exactly_the_slots_asked_for_in_whole_pages(count, sixteenths):
    slot = 16 * sixteenths
    try:
        block, blocks, size = geometry(count, slot)
    except LabError:
        # only where even blocks as small as one slot allows exceed the cap
        assert count * max(mmap.PAGESIZE, 2 * slot) > 2**30
        return
    assert (block // size) * blocks == count
    assert block % size == 0
    assert size >= slot
    assert size % 16 == 0
    assert block % mmap.PAGESIZE == 0
    assert block & (block - 1) == 0


def xorshift(value):
    """Marsaglia's steps 13, 7, 17 on a signed word, with unbounded integers."""
    for left, by in ((True, 13), (False, 7), (True, 17)):
        value ^= value << by if left else value >> by
        value = (value + 2**63) % 2**64 - 2**63
    return value


@pytest.mark.parametrize("start", [1, -5, 2**62])
def test_a_turn_of_work_is_a_step_of_xorshift(start):
    expected = start
    for turns in range(5):
        assert turn(turns, np.int64(start)) == expected
        expected = xorshift(expected)
