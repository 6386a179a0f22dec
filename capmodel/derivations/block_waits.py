"""Packets in buffers that change hands as a whole: sums over the packets of one block."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import nonnegative, positive

OFFERED = positive("offered_rate")
SIZE = positive("block")
COUNT = positive("blocks")
TIMEOUT = positive("timeout")
CONSUMER = nonnegative("consumer_cost")
READ = nonnegative("read_cost")
DELAY = nonnegative("delay")

_J, _N = sp.symbols("j n", positive=True, integer=True)


def _mean_over_block(stay: sp.Expr) -> sp.Expr:
    """Mean of what the j-th of n packets stays."""
    return sp.expand(sp.summation(stay, (_J, 1, _N)) / _N)


def block_sojourn_time() -> sp.Expr:
    """The j-th packet waits for the last, or for a timer that it meets at a uniform moment.

    Then it is the j-th to be worked on.
    """
    worked_on = DELAY + _J * CONSUMER
    filled = _mean_over_block((_N - _J) / OFFERED + worked_on).subs(_N, SIZE)
    phase = sp.Dummy("phase", nonnegative=True)
    to_tick = sp.integrate(TIMEOUT - phase, (phase, 0, TIMEOUT)) / TIMEOUT
    in_time = sp.Max(OFFERED * TIMEOUT, 1)
    retired = _mean_over_block(to_tick + worked_on).subs(_N, in_time)
    return sp.Piecewise((filled, SIZE <= OFFERED * TIMEOUT), (retired, True))


def block_backlog() -> sp.Expr:
    """Packet-seconds of one reading G, by block, over G.

    The kernel gets a block back at time 0. Its j-th packet comes at ``(j - u)/lambda``, with a
    uniform phase u, and stays there until G. Of the block that is read, j packets are left while
    the j-th last is worked on, and all during the read call. The others are full.
    """
    phase = sp.Dummy("u", nonnegative=True)
    reading = READ + SIZE * CONSUMER
    comes = sp.integrate((_J - phase) / OFFERED, (phase, 0, 1))
    filling = sp.summation(reading - comes, (_J, 1, _N))
    read_from = _N * READ + sp.summation(_J * CONSUMER, (_J, 1, _N))
    full = (COUNT - 2) * _N * reading
    return sp.expand((full + filling + read_from).subs(_N, SIZE)) / reading
