"""A ring of blocks with Poisson packets, for small rings; blocks closed by a timer."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.mg1k import poisson_counts
from capmodel.derivations.notation import nonnegative, positive

OFFERED = positive("offered_rate")
SIZE = sp.Symbol("block", integer=True, positive=True)
COUNT = sp.Symbol("blocks", integer=True, positive=True)
CONSUMER = nonnegative("consumer_cost")
READ = positive("read_cost")
LATENCY = nonnegative("wakeup_latency")
TIMEOUT = positive("timeout")

RINGS = ((1, 1), (2, 1), (1, 2), (2, 2), (1, 3))  # packets per block, blocks


def chain(block: int, blocks: int) -> tuple[sp.Expr, sp.Expr]:
    """Share lost, and share of blocks that wake the reader, by the chain of packets left.

    A reading frees b of the ``min(n + A, M b)`` packets then present; n were at its start. If
    fewer than b are left the reader sleeps until b are there, and the next reading takes L more.
    Of the ``b + B`` packets that come per reading on average, B find no room.
    """
    room = block * blocks
    awake = OFFERED * (READ + block * CONSUMER)
    means = {True: awake + OFFERED * LATENCY, False: awake}
    left_states = range(room - block + 1)
    moves = sp.zeros(len(left_states), len(left_states))
    excess = []
    for left in left_states:
        asleep = left < block
        start = max(left, block)
        counts = poisson_counts(means[asleep], room - start + 1)
        for arrivals in range(room - start):
            moves[left, start + arrivals - block] += counts[arrivals]
        moves[left, room - block] += 1 - sum(counts[: room - start])
        short = sum((room - start - k) * p for k, p in enumerate(counts[: room - start]))
        excess.append(means[asleep] - (room - start) + short)
    names = sp.symbols(f"p:{len(left_states)}")
    cells = sp.Matrix(
        len(left_states), len(left_states), lambda i, j: sp.Symbol(f"m{i}_{j}", positive=True)
    )
    known = {cells[i, j]: moves[i, j] for i in left_states for j in left_states}
    present = cells.applyfunc(lambda cell: cell if known[cell] != 0 else sp.Integer(0))
    row = sp.Matrix([names])
    (shares,) = sp.linsolve([*(row * present - row)[:-1], sum(names) - 1], names)
    law = [share.subs(known) for share in shares]
    lost = sum(p * e for p, e in zip(law, excess, strict=True))
    return lost / (lost + block), sum(law[left] for left in left_states if left < block)


def bulk_ring_loss() -> tuple[sp.Expr, sp.Expr]:
    """Loss and share of wakeups for blocks of one and two packets, up to three of them in all."""
    chains = {ring: chain(*ring) for ring in RINGS}

    def part(index: int) -> sp.Expr:
        return sp.Piecewise(
            *((c[index], sp.And(sp.Eq(SIZE, b), sp.Eq(COUNT, m))) for (b, m), c in chains.items())
        )

    return part(0), part(1)


def bulk_ring_carried_rate() -> tuple[sp.Expr, sp.Expr]:
    """Carried rate, and one wakeup per block that finds the reader asleep; rings as above."""
    lost, asleep = bulk_ring_loss()
    carried = OFFERED * (1 - lost)
    return carried, carried * asleep / SIZE


def retire_timer_block_rate() -> sp.Expr:
    """Blocks per second for b = 1..4, the timer started at the opening of a block.

    A block is closed after ``min(A, b)`` packets, A those of one period; if there are none the
    period starts again. So ``E min(A, b)/P(A > 0)`` packets go into a block on average.
    """

    def rate(size: int) -> sp.Expr:
        counts = poisson_counts(OFFERED * TIMEOUT, size)
        filled = size - sum((size - k) * p for k, p in enumerate(counts))
        return OFFERED * (1 - counts[0]) / filled

    return sp.Piecewise(*((rate(size), sp.Eq(SIZE, size)) for size in range(1, 5)))
