"""Blocks of levels on top of each other; see :mod:`capmodel.numerics.doubling`."""

from __future__ import annotations

import numpy as np

from capmodel.numerics.gth import Array, ginverse


class LevelBlocks:
    """Blocks as matrices: rows are ways in from below, then from above.

    Columns: left at the top, left at the bottom, earned (the sums), and by how much more is earned
    one level up, for those sums that depend on the level. Only phases in which a level is entered
    from below (`below` of them) or above count.
    """

    def __init__(self, below: int, above: int, sums: int, growing: list[int]) -> None:
        self.u, self.k, out = below, above, below + above
        self.up, self.down = slice(0, below), slice(below, out)
        self.earned, self.more = slice(out, out + sums), slice(out + sums, None)
        self.width = out + sums + len(growing)
        self.growths = [(out + earned, out + sums + i) for i, earned in enumerate(growing)]

    def over(self, lower: Array, upper: Array, levels: int) -> Array:
        """Blocks (a stack of) `upper` on top of a block `lower`, which has so many levels."""
        if self.growths:
            upper = upper.copy()
            for earned, growth in self.growths:
                upper[..., earned] += levels * upper[..., growth]
        return self.joined(lower, upper, self.u, self.k)

    def joined(self, lower: Array, upper: Array, rows: int, exits: int) -> Array:
        """A block on top of a lower one that may have another shape, which is that of the result.

        The lower one's first `rows` are its ways in from below; after its columns to the top come
        `exits` to the bottom, then what is earned in the order of `upper`, and more.
        """
        u, k = self.u, self.k
        out, end = u + k, u + exits
        earned = slice(end, end + upper.shape[-1] - out)
        here = lower[..., rows:, :]
        # entering the lower block at the seam: out of it, or up and back at the seam
        trip = here[..., :u] @ upper[..., :u, :]
        seam = np.empty((*trip.shape[:-1], lower.shape[-1]))
        seam[..., :u], seam[..., u:] = trip[..., :u], here[..., u:]
        seam[..., earned] += trip[..., out:]
        falling = ginverse(trip[..., u:out], np.add.reduce(seam[..., :end], -1)) @ seam
        whole: Array = upper[..., u:out] @ falling
        whole[..., :u] += upper[..., :u]
        whole[..., earned] += upper[..., out:]
        climbing = lower[..., :rows, :u] @ whole[..., :u, :]
        climbing[..., u:] += lower[..., :rows, u:]
        if rows != u:
            return np.concatenate([climbing, whole[..., u:, :]], axis=-2)
        whole[..., :u, :] = climbing
        return whole

    def block(self, one: Array, count: int) -> Array:
        """So many levels, each like `one`; none is a passage that everything crosses at once."""
        if count == 0:
            return np.eye(self.u + self.k, self.width)
        pair, levels, started = np.stack([one, one]), 1, False  # the doubled block, the result
        while count > 1:
            if count % 2 and started:
                pair = self.over(pair[0], pair, levels)
            else:
                if count % 2:
                    pair[1], started = pair[0], True
                pair[:1] = self.over(pair[0], pair[:1], levels)
            count, levels = count // 2, 2 * levels
        whole: Array = self.over(pair[0], pair[1:], levels)[0] if started else pair[0]
        return whole
