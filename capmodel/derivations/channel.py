"""A blocking channel of constant costs: who waits for whom, and for how many items."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

PRODUCE = positive("producer_cost")
CONSUME = positive("consumer_cost")
NOTIFY = positive("producer_notify")
ANSWER = positive("consumer_notify")
CONSUMER_START = positive("consumer_startup")
PRODUCER_START = positive("producer_startup")
BATCH = positive("batch")

_ITEMS = sp.Symbol("m", positive=True)


def items_per_notification() -> sp.Expr:
    """Items after which a faster consumer has caught up and sleeps.

    Counted from the end of a notification, item ``m + 1`` is there at ``m W_P``, and the consumer
    has finished m items at ``S_C + m W_C``. It sleeps after the first m with
    ``S_C + m W_C < m W_P``; the continuous version of the integer ``floor(y) + 1`` is ``y + 1``.
    A consumer that is not faster is never waited for: the batch decides.
    """
    (even,) = sp.solve(sp.Eq(CONSUMER_START + _ITEMS * CONSUME, _ITEMS * PRODUCE), _ITEMS)
    return sp.Max(BATCH, sp.Piecewise((even + 1, PRODUCE > CONSUME), (1, True)))


def answers_per_item(loaded: sp.Expr) -> sp.Expr:
    """Notifications of a producer asleep before a full ring, per item of the consumer.

    Until the producer runs again the consumer works on; the producer then has ``S_P`` to make up
    at ``W_C - W_P'`` per item. Never more than one notification per item.
    """
    (even,) = sp.solve(sp.Eq(PRODUCER_START + _ITEMS * loaded, _ITEMS * CONSUME), _ITEMS)
    return sp.Min(1 / even, 1)


def channel_item_time() -> sp.Expr:
    """Time per item: that of the slower side, with the notifications it has to pay for."""
    loaded = PRODUCE + NOTIFY / items_per_notification()
    work = sp.Symbol("W", positive=True)
    slow_consumer = (CONSUME + ANSWER * answers_per_item(work)).subs(work, loaded)
    return sp.Piecewise((slow_consumer, loaded < CONSUME), (loaded, True))
