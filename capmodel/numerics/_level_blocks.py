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
        # entering the lower block at the seam: up and back at the seam, or out of it
        seam = upper[..., x:u] @ falling[..., x:u, :]
        back = seam[..., same:, :].swapaxes(-1, -2).copy()
        if falling.shape[-2] != self.height:
            trip = seam
            seam = np.empty((*trip.shape[:-2], *falling.shape[-2:]))
            seam[..., :same, :] = trip[..., :same, :]
        seam[..., same:, :] = falling[..., same:, :]
        part = seam[..., u:same, :]
        part += falling[..., u:same, :]
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
        pair = np.empty((2, *one.shape))  # the doubled block, the result
        pair[0], levels, started = one, 1, False
        climbing, falling = one[..., :u], one[..., u:]  # of the doubled block
        while count > 1:
            odd = count % 2 > 0
            if odd and started:
                pair, climbed = self._after(levels, climbing, falling, pair)
                climbing = climbed[0]
            else:
                if odd:
                    pair[1], started = pair[0], True
                pair[0], climbing = self._after(levels, climbing, falling, pair[0])
            falling = pair[0][..., u:].copy()
            count, levels = count // 2, 2 * levels
        if not started:
            return np.asarray(pair[0])
        return self._after(levels, climbing, falling, pair[1])[0]

    def _after(
        self, levels: int, climbing: Array, falling: Array, upper: Array
    ) -> tuple[Array, Array]:
        """Blocks on top of one of so many levels; and once more their ways in from below.

        It changes `upper`, which must not share memory with the other two.
        """
        for at, growth in self.growths:
            earned = upper[..., at, :]
            earned += levels * upper[..., growth, :]
        whole, climbed = self.on_top(climbing, falling, upper, self.leaving)
        whole[..., : self.u] = climbed
        return whole, climbed
