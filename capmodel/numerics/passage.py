"""Mean time until a finite quasi-birth-death chain leaves from its last level, without subtraction.

From below, level by level: with what probabilities the next level is entered, and after how long.
Where levels look alike these probabilities settle, and only the times go on growing.
"""

from __future__ import annotations

import numpy as np

from capmodel.numerics.gth import Array, ginverse
from capmodel.numerics.level_law import Blocks

_SETTLED = 1e-15


def mean_times(blocks: Blocks, loss: Array) -> list[Array]:
    """Mean times from every phase until the chain leaves, level 0 (the boundary) first.

    Parameters
    ----------
    blocks : Blocks
        The chain; its last level is left at the rates `loss`.
    loss : ndarray
        Rates by phase of the last level.

    Returns
    -------
    list of ndarray
        Infinite where it exceeds what can be stored.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> three = Blocks(2, one, 0 * one, one, 0 * one, 0 * one, one, one)
    >>> [float(t[0]) for t in mean_times(three, np.ones(1))]  # 1 + 2 + 3, less what is behind
    [6.0, 5.0, 3.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        inside = ginverse(blocks.below, blocks.enter.sum(-1))
        onward = inside @ blocks.enter
        steps, times = [onward], [inside.sum(-1)]
        step_out, settled = np.zeros(0), False
        for level in range(1, blocks.count):
            down = blocks.leave if level == 1 else blocks.down
            if not settled:
                inside = ginverse(blocks.local + down @ onward, blocks.up.sum(-1))
                before, onward = onward, inside @ blocks.up
                settled = before.shape == onward.shape and bool(
                    np.abs(before - onward).max() < _SETTLED
                )
            times.append(inside @ (1.0 + down @ times[-1]))
            steps.append(onward)
        down = blocks.leave if blocks.count == 1 else blocks.down
        inside = ginverse(blocks.top + down @ onward, loss)
        step_out = inside @ (1.0 + down @ times[-1])
        found = [step_out]
        for time, step in zip(reversed(times), reversed(steps), strict=True):
            found.append(time + step @ found[-1])
    return found[::-1]
