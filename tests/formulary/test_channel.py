"""A blocking channel, item by item: who sleeps, who pays, and that faster can be slower."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import channel_item_time


def consumer_sleeps(produce: float, consume: float, notify: float, startup: float) -> float:
    """Time per item when the consumer is faster: it drains, sleeps, and is notified again.

    It starts `startup` after the notification and finds the ring empty after the first m items
    with m (produce - consume) > startup, so m items share one notification.
    """
    items = math.floor(startup / (produce - consume)) + 1
    return produce + notify / items


@given(st.floats(0.5, 2.0), st.floats(0.05, 0.95), st.floats(0.01, 5.0), st.floats(0.0, 40.0))
def test_fast_consumer_within_one_item_per_notification(
    produce: float, share: float, notify: float, startup: float
) -> None:
    consume = share * produce
    found = float(channel_item_time(produce, consume, notify, 0.7, startup, math.inf, 1.0))
    items = math.floor(startup / (produce - consume)) + 1
    assert produce + notify / (items + 1) <= found * (1 + 1e-12)
    assert found <= consumer_sleeps(produce, consume, notify, startup) * (1 + 1e-12)


@given(st.floats(0.5, 2.0), st.floats(1.01, 4.0), st.floats(0.01, 30.0), st.floats(0.01, 5.0))
def test_fast_producer_pays_nothing_and_the_consumer_per_sleep(
    produce: float, factor: float, startup: float, answer: float
) -> None:
    """The producer sleeps on the full ring: between one and none-per-item notification."""
    consume = factor * produce
    found = float(channel_item_time(produce, consume, 0.0, answer, 1.0, startup))
    items = math.floor(startup / (consume - produce)) + 1
    assert consume + answer / items <= found * (1 + 1e-12)
    assert found <= (consume + answer / max(items - 1, 1)) * (1 + 1e-12)


def test_batches() -> None:
    """A batch above what the startup amortises anyway shares the notification among its items."""
    assert channel_item_time(1.0, 0.5, 2.0, 0.0, 0.0, math.inf, 8.0) == pytest.approx(1.25)
    assert channel_item_time(1.0, 0.5, 2.0, 0.0, 100.0, math.inf, 8.0) == pytest.approx(
        1.0 + 2.0 / 201.0
    )


def test_a_faster_consumer_can_slow_the_channel() -> None:
    slow = channel_item_time(1.0, 0.9, 3.0, 0.0, 2.0, math.inf)
    fast = channel_item_time(1.0, 0.1, 3.0, 0.0, 2.0, math.inf)
    assert fast > slow


@given(st.floats(0.1, 5.0), st.floats(0.1, 5.0), st.floats(0.0, 5.0), st.floats(1.0, 64.0))
def test_no_faster_than_either_side(
    produce: float, consume: float, notify: float, batch: float
) -> None:
    item = float(channel_item_time(produce, consume, notify, 0.3, 1.0, 2.0, batch))
    assert item >= max(produce, consume) * (1 - 1e-12)
