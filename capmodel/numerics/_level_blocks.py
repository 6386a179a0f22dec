"""Blocks of levels on top of each other; see :mod:`capmodel.numerics.doubling`."""

from __future__ import annotations

import numpy as np

from capmodel.numerics.gth import Array, ginverse


class LevelBlocks:
    """Blocks as matrices: rows are ways in from below, then from above.

    Columns: left at the top, earned (the sums), by how much more is earned one level up, for those
    sums that depend on the level; left at the bottom. Only phases in which a level is entered from
    below (`below` of them) or above count; the first `rising` of the former are never entered once
    a level is left downwards.
    """

    def __init__(
        self, below: int, above: int, sums: int, growing: list[int], rising: int = 0
    ) -> None:
        self.rising = rising
        self.u, self.k = below, above
        self.earned = slice(below, below + sums)
        self.kept = below + sums + len(growing)  # columns but those to the bottom
        self.width = self.kept + above
        ways = np.zeros(self.width)
        ways[:below] = ways[self.kept :] = 1.0
        self.leaving = ways[:, None]
        self.growths = [(below + earned, below + sums + i) for i, earned in enumerate(growing)]

    def over(self, lower: Array, upper: Array, levels: int) -> Array:
        """Blocks (a stack of) `upper` on top of a block `lower`, which has so many levels."""
        if self.growths:
            upper = upper.copy()
            for at, growth in self.growths:
                earned = upper[..., at]
                earned += levels * upper[..., growth]
        return self.joined(lower, upper, self.u, self.leaving)

    def joined(self, lower: Array, upper: Array, rows: int, leaving: Array) -> Array:
        """A block on top of a lower one that may have another shape, which is that of the result.

        The lower one's first `rows` are its ways in from below; its columns are those of `upper`
        up to the ways to the bottom, then any others and its own ways to the bottom. `leaving` is
        1 for its ways out, a column.
        """
        u, same, x = self.u, self.kept, self.rising
        here = lower[..., rows:, :]
        # entering the lower block at the seam: out of it, or up and back at the seam
        trip = here[..., x:u] @ upper[..., x:u, :]
        seam = np.zeros((*trip.shape[:-1], lower.shape[-1]))
        seam[..., u:] = here[..., u:]
        part = seam[..., :same]
        part += trip[..., :same]
        falling = ginverse(trip[..., same:], (seam @ leaving)[..., 0]) @ seam
        whole: Array = upper[..., same:] @ falling
        part = whole[..., :same]
        part += upper[..., :same]
        climbing = lower[..., :rows, :u] @ whole[..., :u, :]
        part = climbing[..., u:]
        part += lower[..., :rows, u:]
        if rows != u:
            return np.concatenate([climbing, whole[..., u:, :]], axis=-2)
        whole[..., :u, :] = climbing
        return whole

    def block(self, one: Array, count: int) -> Array:
        """So many levels, each like `one`; none is a passage that everything crosses at once."""
        if count == 0:
            passage = np.zeros((self.u + self.k, self.width))
            np.fill_diagonal(passage[: self.u], 1.0)
            np.fill_diagonal(passage[self.u :, self.kept :], 1.0)
            return passage
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
