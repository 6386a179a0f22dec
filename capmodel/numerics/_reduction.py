"""The steps of cyclic reduction: the levels that are left, and what eliminating others does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from capmodel.numerics.gth import Array, ginverse


class State(NamedTuple):
    """The levels that are `left`; `low` and `high` belong to the first and the last of them.

    Excursions are entered from below only, so that eliminating a level changes where they lead
    and nothing within them: `inside` is the inverse for one stay, the same in all steps. What is
    multiplied together lies side by side: `core` holds the rates up and down, the weights of the
    second level and their growth per level; `exc` those up, into the core one level up, into the
    core, and the weights.
    """

    left: int
    core: Array
    local: Array
    low: Array
    high: Array
    exc: Array
    inside: Array
    inside_high: Array
    join_high: Array
    core_low: Array
    core_high: Array
    exc_low: Array
    exc_high: Array

    @property
    def up(self) -> Array:
        return self.core[..., : self.core.shape[-2]]

    @property
    def down(self) -> Array:
        m = self.core.shape[-2]
        return self.core[..., m : 2 * m]

    @property
    def weights(self) -> tuple[Array, Array]:
        """Core weights of the second level, growth per level."""
        return _two(self.core[..., 2 * self.core.shape[-2] :])

    @property
    def exc_parts(self) -> tuple[Array, Array, Array, Array, Array]:
        """Rates up, into the core above, into the core; weights of the second level, growth."""
        t, m = self.exc.shape[-2], self.core.shape[-2]
        a, b = t + m, t + 2 * m
        rise, above, join = self.exc[..., :t], self.exc[..., t:a], self.exc[..., a:b]
        return rise, above, join, *_two(self.exc[..., b:])


def _two(pair: Array) -> tuple[Array, Array]:
    half = pair.shape[-1] // 2
    return pair[..., :half], pair[..., half:]


@dataclass(frozen=True)
class Raise:
    """Probabilities of an eliminated last level from those of the level below it."""

    core: Array
    mixed: Array
    excursion: Array

    def __call__(self, core: Array, exc: Array) -> tuple[Array, Array]:
        above = core @ self.core + (exc[..., None, :] @ self.mixed)[..., 0, :].sum(-2)[..., None, :]
        return above, (exc[..., None, :] @ self.excursion)[..., 0, :]


def beside(batch: tuple[int, ...], rows: int, *parts: Array) -> Array:
    """Matrices of so many rows side by side, stacked alike."""
    fitting: list[Array] = [
        part if part.ndim == len(batch) + 2 and part.shape[:-2] == batch
        else np.broadcast_to(part, (*batch, rows, part.shape[-1]))
        for part in parts
    ]  # fmt: skip
    return np.concatenate(fitting, axis=-1)


def groups_of(core: Array) -> Array:
    """A core matrix as it multiplies each group of excursions."""
    return core[..., None, :, :]


def halve(s: State) -> State:
    """Eliminate levels 2, 4, ..., count - 1 of an odd number of levels."""
    inverse = ginverse(s.local, s.up.sum(-1) + s.down.sum(-1))
    state, down_up, turned = _without_every_second(s, inverse)
    return state._replace(
        left=(s.left + 1) // 2, high=s.high + down_up, core_high=s.core_high + turned
    )


def both_inverses(s: State) -> tuple[Array, Array]:
    """Of an interior level and of the last one."""
    m = s.local.shape[-1]
    batch = s.core.shape[:-2]
    rates, exits = np.empty((2, *batch, m, m)), np.empty((2, *batch, m))
    rates[0], rates[1] = s.local, s.high
    exits[1] = out = s.down.sum(-1)
    exits[0] = s.up.sum(-1) + out
    inverse, inverse_high = ginverse(rates, exits)
    return inverse, inverse_high


def halve_even(s: State, inverse: Array, inverse_high: Array) -> tuple[State, Raise]:
    """Eliminate levels 2, 4, ..., count of an even number of levels."""
    top, above = _without_last(s, inverse_high)
    if s.left == 2:
        state, local, core_high = s, s.low, s.core_low
    else:
        state, down_up, turned = _without_every_second(s, inverse)
        flat, slope = s.weights
        local, core_high = s.local + down_up, flat + (s.left - 3) * slope + turned
    return state._replace(
        left=s.left // 2, high=local + top.high, core_high=core_high + top.core_high,
        join_high=top.join_high, inside_high=top.inside_high, exc_high=top.exc_high,
    ), above  # fmt: skip


class _Top(NamedTuple):
    """What the level below the last one becomes; the first two come on top of what it is."""

    high: Array
    core_high: Array
    join_high: Array
    inside_high: Array
    exc_high: Array


def _without_every_second(s: State, inverse: Array) -> tuple[State, Array, Array]:
    """What changes below the last level; and there, the return from below and its weight."""
    m = s.local.shape[-1]
    flat, slope = s.weights
    through = inverse @ s.core
    rising, falling = s.up @ through, s.down @ through
    up_down, down_up = rising[..., m : 2 * m], falling[..., :m]
    up_flat, up_slope = _two(rising[..., 2 * m :])
    down_flat, down_slope = _two(falling[..., 2 * m :])
    core = np.concatenate([
        rising[..., :m], falling[..., m : 2 * m],
        flat + slope + up_flat + 2.0 * up_slope + down_flat, 2.0 * (slope + up_slope + down_slope),
    ], axis=-1)  # fmt: skip
    exc, exc_low = s.exc, s.exc_low
    if exc.shape[-3]:
        rise, above, join, flat, slope = s.exc_parts
        t = rise.shape[-2]
        climbing = rise @ s.inside @ exc
        across = climbing[..., t + m : t + 2 * m] + above
        crossing = across @ groups_of(through)
        to_flat, to_slope = _two(climbing[..., t + 2 * m :] + crossing[..., 2 * m :])
        exc = np.concatenate([
            climbing[..., :t], climbing[..., t : t + m] + crossing[..., :m],
            join + crossing[..., m : 2 * m],
            flat + slope + to_flat + 2.0 * to_slope, 2.0 * (slope + to_slope),
        ], axis=-1)  # fmt: skip
        exc_low = exc_low + to_flat
    state = s._replace(
        core=core, local=s.local + up_down + down_up, low=s.low + up_down,
        core_low=s.core_low + up_flat, exc=exc, exc_low=exc_low,
    )  # fmt: skip
    # the highest interior level that goes is the last but one, or the last but two
    below = s.left - 3 - (s.left % 2 == 0)
    return state, down_up, down_flat + below * down_slope


def _without_last(s: State, inverse: Array) -> tuple[_Top, Raise]:
    """What comes back from the last level to the one below it, which takes its place."""
    m = s.local.shape[-1]
    above = s.up @ inverse
    back = beside(s.core.shape[:-2], m, s.down, s.core_high)
    returning = above @ back
    high, core_high = returning[..., :m], returning[..., m:]
    if not s.exc.shape[-3]:
        nothing = np.zeros((*s.exc.shape[:-1], m))
        return _Top(high, core_high, nothing, s.inside, s.exc_high), Raise(above, nothing, s.inside)
    rise, into, join, flat, slope = s.exc_parts
    climb = rise @ s.inside_high
    mixed = (climb @ s.join_high + into) @ groups_of(inverse)
    crossing = mixed @ groups_of(back)
    exc = s.exc_low if s.left == 2 else flat + (s.left - 3) * slope
    exc_high = exc + climb @ s.exc_high + crossing[..., m:]
    top = _Top(high, core_high, join + crossing[..., :m], s.inside, exc_high)
    return top, Raise(above, mixed, climb)
