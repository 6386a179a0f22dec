r"""How likely every level of a finite quasi-birth-death chain is, from both of its ends.

Between two levels lies a *gap*: what a stretch of levels does to whoever enters it (comes back, or
comes out at the other end) and how long it keeps him. Two gaps with a level between them are again
a gap, by eliminating that level; gaps of all lengths that halving needs are therefore found in
:math:`O(\log n)` steps, and any level or quantile by descending into the halves. Nothing is
subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from capmodel.numerics.cyclic_reduction import Boundary, Levels, QBDSolution
from capmodel.numerics.gth import Array, ginverse

_ROUNDING = 4e-16


@dataclass(frozen=True)
class Blocks:
    """A chain by level with its excursions among the phases; diagonals are of no meaning."""

    count: int
    up: Array
    local: Array
    down: Array
    top: Array
    below: Array  # within the boundary
    enter: Array  # from the boundary into level 1
    leave: Array  # from level 1 into the boundary

    @classmethod
    def of(cls, levels: Levels, boundary: Boundary) -> Blocks:
        """Core first, then one group of excursions after the other.

        Examples
        --------
        >>> one = np.ones((1, 1))
        >>> Blocks.of(Levels(3, one, 0 * one, one, 0 * one), Boundary(0 * one, one, one)).up.shape
        (1, 1)
        """
        m, b = levels.up.shape[-1], boundary.local.shape[-1]
        rise = np.zeros((0, 0, 0)) if levels.rise is None else levels.rise
        g, t = rise.shape[0], rise.shape[-1]
        size = m + g * t
        up, local, down, top = (np.zeros((size, size)) for _ in range(4))
        enter, leave = np.zeros((b, size)), np.zeros((size, b))
        up[:m, :m], local[:m, :m] = levels.up, levels.local
        down[:m, :m], top[:m, :m] = levels.down, levels.top
        enter[:, :m], leave[:m] = boundary.up, boundary.down
        for k in range(g):
            here = slice(m + k * t, m + (k + 1) * t)
            assert levels.stay is not None
            assert levels.join is not None
            up[here, here], local[here, here] = rise[k], levels.stay[k]
            top[here, here] = (levels.stay if levels.top_stay is None else levels.top_stay)[k]
            local[here, :m] = top[here, :m] = levels.join[k]
            if boundary.depart is not None:
                enter[:, here] = boundary.depart[k]
        return cls(levels.count, up, local, down, top, boundary.local, enter, leave)


@dataclass(frozen=True)
class _Gap:
    """`length` levels between a lower level a and a higher one b."""

    length: int
    back_low: Array  # rates from a through the gap and back to a
    climb: Array  # from a to b
    fall: Array  # from b to a
    back_high: Array  # from b and back to b
    mass_low: Array  # probability in the gap per probability of a's phases
    mass_high: Array
    from_low: Array  # probability of the middle level's phases per probability of a's
    from_high: Array


class LevelLaw:
    """Probabilities of levels 0 to n, where level 0 is the boundary.

    `moved` is probability of the boundary that belongs to level 1.
    """

    def __init__(self, blocks: Blocks, solution: QBDSolution, moved: float = 0.0) -> None:
        self.blocks = blocks
        self.first = np.concatenate([solution.first, solution.first_excursions.ravel()])
        self.last = np.concatenate([solution.last, solution.last_excursions.ravel()])
        self.zero = max(float(solution.boundary.sum()) - moved, 0.0)
        self.one = float(self.first.sum()) + moved
        self._gaps: dict[int, _Gap] = {}

    def _gap(self, length: int) -> _Gap:
        if length not in self._gaps:
            self._gaps[length] = self._between() if length == 0 else self._joined(length)
        return self._gaps[length]

    def _between(self) -> _Gap:
        """Nothing: the two levels are neighbours."""
        up, down = self.blocks.up, self.blocks.down
        none, nobody = np.zeros_like(up), np.zeros(len(up))
        return _Gap(0, none, up, down, none, nobody, nobody, none, none)

    def _joined(self, length: int) -> _Gap:
        low, high = self._gap((length - 1) // 2), self._gap(length - 1 - (length - 1) // 2)
        stay = self.blocks.local + low.back_high + high.back_low
        inverse = ginverse(stay, low.fall.sum(-1) + high.climb.sum(-1))
        from_low, from_high = low.climb @ inverse, high.fall @ inverse
        held = 1.0 + low.mass_high + high.mass_low
        return _Gap(
            length,
            back_low=low.back_low + from_low @ low.fall, climb=from_low @ high.climb,
            fall=from_high @ low.fall, back_high=high.back_high + from_high @ high.climb,
            mass_low=low.mass_low + from_low @ held, mass_high=high.mass_high + from_high @ held,
            from_low=from_low, from_high=from_high,
        )  # fmt: skip

    def quantile(self, p: float) -> int:
        """Least level n with P(N <= n) >= p."""
        need = p * (1.0 - _ROUNDING) - self.zero
        if need <= 0.0:
            return 0
        need -= self.one
        if need <= 0.0 or self.blocks.count == 1:
            return 1
        low, length = 1, self.blocks.count - 2
        below, above = self.first, self.last
        while length > 0:
            gap = self._gap(length)
            here = below @ gap.from_low + above @ gap.from_high
            left = self._gap((length - 1) // 2)
            inside = float(below @ left.mass_low + here @ left.mass_high)
            if need <= inside:
                length, above = left.length, here
                continue
            need -= inside + float(here.sum())
            low += left.length + 1
            if need <= 0.0:
                return low
            length, below = length - 1 - left.length, here
        return low + 1

    @cached_property
    def phases(self) -> Array:
        """Probabilities of every phase of levels 1 to n."""
        count = self.blocks.count
        found = np.zeros((count, len(self.first)))
        found[0], found[-1] = self.first, self.last
        stretches = {count - 2: np.zeros(1, dtype=int)}  # length: indices of the level before it
        while stretches:
            following: dict[int, list[Array]] = {}
            for length, before in stretches.items():
                if length <= 0:
                    continue
                gap = self._gap(length)
                left = (length - 1) // 2
                middle = before + left + 1
                after = before + length + 1
                found[middle] = found[before] @ gap.from_low + found[after] @ gap.from_high
                following.setdefault(left, []).append(before)
                following.setdefault(length - 1 - left, []).append(middle)
            stretches = {n: np.concatenate(parts) for n, parts in following.items()}
        return found

    @property
    def levels(self) -> Array:
        """Probabilities of levels 0 to n."""
        every = np.append(self.zero, self.phases.sum(-1))
        every[1] = self.one
        return every
