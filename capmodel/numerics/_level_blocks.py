"""Blocks of levels on top of each other; see :mod:`capmodel.numerics.doubling`."""

from __future__ import annotations

import numpy as np

from capmodel.numerics.gth import Array, ginverse


class LevelBlocks:
    """Blocks as matrices: columns are ways in from below, then from above.

    Rows: left at the top, earned (the sums), by how much more is earned one level up, for those
    sums that depend on the level; left at the bottom. What is added to each other are then whole
    rows, which lie in one piece. Only phases in which a level is entered from below (`below` of
    them) or above count; the first `rising` of the former are never entered once a level is left
    downwards.
    """

    def __init__(
        self, below: int, above: int, sums: int, growing: list[int], rising: int = 0
    ) -> None:
        self.rising = rising
        self.u, self.k = below, above
        self.earned = slice(below, below + sums)
        self.kept = below + sums + len(growing)  # rows but those to the bottom
        self.height = self.kept + above
        self.leaving = np.zeros(self.height)
        self.leaving[:below] = self.leaving[self.kept :] = 1.0
        self.growths = [(below + earned, below + sums + i) for i, earned in enumerate(growing)]

    def on_top(
        self, climbing: Array, falling: Array, upper: Array, leaving: Array
    ) -> tuple[Array, Array]:
        """A block `upper` (or a stack of them) on top of a lower one, which may have another shape.

        The lower one is given by its ways in from below, `climbing`, and from above, `falling`; its
        rows are those of `upper` up to the ways to the bottom, then any others and its own ways to
        the bottom. `leaving` is 1 for its ways out. The block on top of it is returned as entered
        from the lower one's, where its ways in from below begin at the seam; and these as they
        begin below.
        """
        u, same, x = self.u, self.kept, self.rising
        # entering the lower block at the seam: out of it, or up and back at the seam
        seam = upper[..., x:u] @ falling[..., x:u, :]
        back = seam[..., same:, :].swapaxes(-1, -2).copy()
        part = seam[..., u:same, :]
        part += falling[..., u:same, :]
        if falling.shape[-2] == self.height:
            seam[..., same:, :] = falling[..., same:, :]
        else:
            rest = np.empty((*seam.shape[:-2], falling.shape[-2] - same, self.k))
            rest[...] = falling[..., same:, :]
            seam = np.concatenate([seam[..., :same, :], rest], axis=-2)
        times = ginverse(back, leaving.dot(seam))
        whole = (seam @ times.swapaxes(-1, -2)) @ upper[..., same:, :]
        part = whole[..., :same, :]
        part += upper[..., :same, :]
        climbed = whole[..., :u] @ climbing[..., :u, :]
        part = climbed[..., u:, :]
        part += climbing[..., u:, :]
        return whole, climbed

    def block(self, one: Array, count: int) -> Array:
        """So many levels, each like `one`; none is a passage that everything crosses at once."""
        u = self.u
        if count == 0:
            passage = np.zeros((self.height, u + self.k))
            np.fill_diagonal(passage[:, :u], 1.0)
            np.fill_diagonal(passage[self.kept :, u:], 1.0)
            return passage
        batch, levels, result = one.shape[:-2], 1, None
        if batch == (1,):  # numpy is faster without
            one = one[0]
        pair = np.empty((2, *one.shape))  # the doubled block, the result
        pair[0] = one
        climbing, falling = one[..., :u], one[..., u:]
        while count > 1:
            odd, started = count % 2, result is not None
            if odd and not started:
                result = pair[1]
                result[...] = pair[0]
            upper = pair if odd and started else pair[0]
            self.lift(upper, levels)
            whole, climbed = self.on_top(climbing, falling, upper, self.leaving)
            whole[..., :u] = climbed
            if odd and started:
                pair, climbing = whole, climbed[0]
                result = pair[1]
            else:
                pair[0], climbing = whole, climbed
            falling = pair[0][..., u:].copy()
            count, levels = count // 2, 2 * levels
        if result is None:
            result = pair[0]
        else:
            self.lift(result, levels)
            result, climbed = self.on_top(climbing, falling, result, self.leaving)
            result[..., :u] = climbed
        return result[None] if batch == (1,) else result

    def lift(self, block: Array, levels: int) -> None:
        """Raise a block by so many levels, in place."""
        for at, growth in self.growths:
            earned = block[..., at, :]
            earned += levels * block[..., growth, :]
