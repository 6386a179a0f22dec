"""All states of a finite quasi-birth-death chain as one sparse matrix of rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from capmodel.numerics.cyclic_reduction import Levels, Weights
from capmodel.numerics.gth import Array
from capmodel.numerics.level_law import Blocks


def whole_chain(blocks: Blocks) -> Any:
    """Rates between all states: the boundary, then level after level; no diagonal.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> two = Blocks(2, one, 0 * one, 3 * one, 0 * one, 0 * one, one, 3 * one)
    >>> whole_chain(two).toarray().tolist()
    [[0.0, 1.0, 0.0], [3.0, 0.0, 1.0], [0.0, 3.0, 0.0]]
    """
    from scipy import sparse

    n = blocks.count
    inner = np.append(np.ones(n - 1), 0.0)
    last = np.append(np.zeros(n - 1), 1.0)
    levels = (
        sparse.kron(sparse.diags_array(inner), blocks.local)
        + sparse.kron(sparse.diags_array(last), blocks.top)
        + sparse.kron(sparse.eye_array(n, k=1), blocks.up)
        + sparse.kron(sparse.eye_array(n, k=-1), blocks.down)
    )
    first = sparse.csr_array(([1.0], ([0], [0])), shape=(1, n))
    rates = sparse.block_array([
        [sparse.csr_array(blocks.below), sparse.kron(first, blocks.enter)],
        [sparse.kron(first.T, blocks.leave), levels],
    ]).tocsr()  # fmt: skip
    rates.setdiag(0.0)
    rates.eliminate_zeros()
    return rates


def by_state(levels: Levels, weights: Weights) -> Array:
    """The weights of all states, in the order of :func:`whole_chain`, shape (states, q)."""
    n = levels.count

    def level(flat: list[Array | None]) -> Array:
        core, excursions = flat
        q = weights.core.shape[-1]
        assert core is not None
        rest = np.zeros((0, q)) if excursions is None else excursions.reshape(-1, q)
        return np.concatenate([core, rest])

    inner = level([weights.core, weights.excursion])
    slope = level([weights.core_slope, weights.excursion_slope])
    top = level([weights.core_top, weights.excursion_top])
    every = inner + np.arange(1.0, n + 1.0)[:, None, None] * slope
    every[-1] = top
    return np.concatenate([weights.boundary, every.reshape(-1, inner.shape[-1])])
