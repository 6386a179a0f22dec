"""Rates of a feed and of a consumer's phase as rates of both, the feed's state first."""

from __future__ import annotations

from capmodel.numerics.gth import Array, unit_matrix


def with_phases(matrix: Array, phases: int) -> Array:
    """The feed moves, the consumer's phase stays."""
    if phases == 1:
        return matrix
    r, c = matrix.shape[-2:]
    spread = matrix[..., :, None, :, None] * unit_matrix(phases)[:, None, :]
    return spread.reshape(*matrix.shape[:-2], r * phases, c * phases)


def starting(matrix: Array, start: Array) -> Array:
    """The feed moves and the consumer starts a service."""
    r, c = matrix.shape[-2:]
    return (matrix[..., :, :, None] * start).reshape(*matrix.shape[:-2], r, c * len(start))


def phases_alone(states: Array, matrix: Array) -> Array:
    """The consumer's phase moves where `states` allows it, the feed stays."""
    r, (m, n) = len(states), matrix.shape
    blocks = (unit_matrix(r) * states)[:, None, :, None] * matrix[:, None, :]
    return blocks.reshape(r * m, r * n)
