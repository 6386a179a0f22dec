"""Flows hashed to queues: the mean over every hash, written out."""

from __future__ import annotations

from itertools import product

import sympy as sp

from capmodel.derivations.notation import positive

LOAD = positive("load")
SHARES = (positive("share_1"), positive("share_2"))
QUEUES = 3


def captured_by_hash() -> sp.Expr:
    """Captured share of three flows on three queues, the mean over all 27 hashes.

    A queue that receives the share p of all packets takes at most ``c = 1/(q load)``; the third
    flow has what the other two leave.
    """
    flows = (*SHARES, 1 - SHARES[0] - SHARES[1])
    limit = 1 / (QUEUES * LOAD)
    total: sp.Expr = sp.Integer(0)
    for places in product(range(QUEUES), repeat=len(flows)):
        for queue in range(QUEUES):
            received = sum(f for f, place in zip(flows, places, strict=True) if place == queue)
            total += sp.Min(received, limit, evaluate=False) if received != 0 else 0
    return total / QUEUES ** len(flows)


def rss_captured() -> sp.Expr:
    """By symmetry q times the mean of one queue; here the sum over the queues of every hash."""
    return captured_by_hash()


def rss_loss() -> sp.Expr:
    """What is not captured is lost, on the average over all hashes too."""
    return 1 - captured_by_hash()


def rss_loss_free_load() -> sp.Expr:
    """The load at which the fullest of three queues reaches its capacity, ``q p load = 1``."""
    load = sp.Symbol("x", positive=True)
    third = 1 - SHARES[0] - SHARES[1]
    fullest = sp.Symbol("p", positive=True)
    (most,) = sp.solve(sp.Eq(QUEUES * fullest * load, 1), load)
    return most.subs(fullest, sp.Max(*SHARES, third))
