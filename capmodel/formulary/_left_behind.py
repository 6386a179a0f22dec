r"""What the departures of a Poisson-fed buffer leave behind, level by level, for any law of starts.

Levels that starts and their services reach are computed one after the other, as
:mod:`capmodel.formulary._crossing` has them. Those above are on their own, and follow a pattern:

*Constant service.* The tilted :math:`u_j = v_j z^j` obey
:math:`u_{j+1} = \sum_{k=1}^L \kappa_k u_{j+1-k}` with :math:`\kappa \ge 0`, which sum to 1: every
value is a mean of the last L, so the range :math:`R` of L successive values never grows. With
:math:`r_j` the renewal sequence of :math:`\kappa` (:math:`r_0 = 1`, the same recursion),

.. math::
    u_j = \sum_{i=1}^{L} g_{ji}\,u_{-i},\qquad
    g_{ji} = \sum_{m \ge 0} r_{j-m}\,\kappa_{m+i},\qquad \sum_i g_{ji} = 1.

If r stays within :math:`[r_-, r_+]` over the L values up to some s, it does so ever after, and then
for all :math:`j, j' \ge s + L`

.. math::
    |u_j - u_{j'}| \le \frac R2 \sum_i |g_{ji} - g_{j'i}|
    \le \frac R2 (r_+ - r_-) \sum_i \sum_{m\ge0} \kappa_{m+i}
    = \frac R2 (r_+ - r_-)\,\mathrm E\kappa \le \frac R2\,\frac{r_+ - r_-}{r_-} = R\,\delta,

since :math:`r_j \to 1/\mathrm E\kappa`, which lies in every such interval. Each further s + L steps
take a factor :math:`\delta` off the range: it is measured once on r, where 1e-9 is far above
rounding, and steps go on until the bound is below 1e-18 of the value. From there on u is constant.

*Phases.* Above the starts :math:`x_{n+k} = x_n S^k` and :math:`v_{n+k} = \lambda x_{n+k} 1`, so
powers of S from the left and from the right, about :math:`\sqrt K` of each and found by doubling,
give every level as the product of two: nothing is truncated.
"""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._crossing import (
    HEAVY,
    Counts,
    Cut,
    exponents,
    mean_left,
    padded,
    poisson_service,
    renewed,
)
from capmodel.formulary._typing import Array
from capmodel.numerics.phase_type import PhaseType

_UNSEEN = 690.0  # e^-690 is 1e-300
_GONE = 746.0  # e^-746 is 0
_TRUNCATED = 1e-18  # share of a level that the steps left out may add up to
_SETTLED = 1e-9


def departures(
    law: PhaseType | None, load: float, capacity: int, starts: Array, overflow: float
) -> tuple[Array, float]:
    """Law of the number left behind by a departure, and the loss, of a cycle with given starts.

    `starts` has at most capacity + 1 entries (index 0 unused, 0 where it has ended), `overflow` is
    the mean number lost before the start; mean service 1.
    """
    if capacity == 1:  # every service starts with one packet and leaves nobody
        lost = load + overflow
        return np.ones(1), lost / (lost + 1.0)
    if law is None and load > HEAVY:
        return np.append(np.zeros(capacity - 1), 1.0), (load - 1.0) / load
    service = poisson_service(load) if law is None else Cut(law, load)
    starts = starts[: int(np.flatnonzero(starts)[-1]) + 1]
    # levels that a decaying queue does not reach within 1e-300 would be slow subnormal numbers
    reach = capacity
    if service.tilt > 0.0:
        reach = min(capacity, starts.size + math.ceil(_UNSEEN / service.tilt) + 1)
    weights = np.zeros(capacity)
    with np.errstate(under="ignore"):
        if isinstance(service, Counts):
            scale, lost = _by_count(service, starts, weights[:reach])
        else:
            scale, lost = _by_phase(service, starts, weights[:reach])
    if reach < capacity:
        lost = 0.0
    total = float(weights.sum())
    lost += overflow * math.exp(-scale)
    weights /= total
    return weights, lost / (lost + total)


def _at_least(starts: Array, length: int) -> Array:
    """P(start >= i), as sums of positive terms."""
    return padded(np.cumsum(starts[::-1])[::-1], length)


def _powers(tilt: float, out: Array) -> None:
    """Fill `out` with 1, e^-tilt, e^-2tilt, ...; a product of two tables takes few exponentials."""
    if tilt == 0.0:
        out[:] = 1.0
        return
    terms = min(out.size, math.ceil(_GONE / tilt))
    width = math.isqrt(terms) + 1
    steps = np.arange(width, dtype=np.float64) * -tilt
    table = np.multiply.outer(np.exp(steps * width), np.exp(steps))
    out[:terms] = table.ravel()[:terms]


def _by_count(counts: Counts, starts: Array, weights: Array) -> tuple[float, float]:
    """Fill `weights` with v e^-scale; returns scale, and the losses in these services, likewise."""
    capacity, length = weights.size, counts.above.size
    tilt = min(counts.tilt, 0.0)  # growth is taken out, decay may underflow
    scale = -tilt * (capacity - 1)
    steps, free = capacity - 1, 0
    forced = starts.size + length
    settling, shrinks = _settling(counts, capacity - forced)
    while True:
        if settling:
            free += 2 * (settling + length)
            steps = min(forced + free, capacity - 1)
        known = _recursion(counts, starts, tilt, steps)
        if steps == capacity - 1:
            break
        back = np.exp(np.arange(1.0 - length, 1.0) * max(counts.tilt, 0.0))
        before = known[forced - length + 1 : forced + 1] * back
        bound = np.ptp(before) * math.exp(-max(counts.tilt, 0.0) * free)
        if bound * shrinks ** (free // (settling + length)) <= _TRUNCATED * known[-1]:
            break
    if counts.tilt > 0.0:  # on from the last level that is known, or back from the last of all
        _powers(counts.tilt, weights[steps:])
    else:
        _powers(-tilt, weights[:steps:-1])
    weights[steps + 1 :] *= known[-1]
    weights[: steps + 1] = known * np.exp(exponents(tilt, np.arange(steps + 1), capacity - 1))
    back = np.arange(1, min(length, capacity))
    lost = float(weights[capacity - back] @ counts.excess[back])
    first = np.arange(max(capacity - length + 1, 0), starts.size)
    if first.size:
        lost += float(starts[first] @ counts.excess[capacity - first]) * math.exp(-scale)
    return scale, lost


def _recursion(counts: Counts, starts: Array, tilt: float, steps: int) -> Array:
    """v_j z^j for j = 0 .. steps."""
    length = counts.above.size
    k = np.arange(steps + 1)
    kernel = np.exp(k[:length] * tilt) * counts.above[: steps + 1] / counts.none
    forcing = padded(np.convolve(starts[1:], counts.above), steps)
    forcing += _at_least(starts, steps + 2)[2:]
    forcing *= np.exp(k[1:] * tilt) / counts.none
    return renewed(kernel, forcing, steps)


def _settling(counts: Counts, most: int) -> tuple[int, float]:
    """(s, delta) of the renewal sequence, delta at most 1e-9; (0, 1) if s would be above `most`."""
    length = counts.above.size
    kernel = counts.kernel / counts.kernel[1:].sum()
    steps = 4 * length
    while steps < most:
        renewals = renewed(kernel, padded(kernel[1:], steps), steps)[-length:]
        least = float(renewals.min())
        if np.ptp(renewals) <= _SETTLED * least:
            return steps, float(np.ptp(renewals)) / least / 2.0
        steps *= 2
    return 0, 1.0


def _by_phase(cut: Cut, starts: Array, weights: Array) -> tuple[float, float]:
    """As `_by_count`."""
    law, load, capacity = cut.law, cut.load, weights.size
    tilt = min(cut.tilt, 0.0)
    scale = -tilt * (capacity - 1)
    step = cut.step * math.exp(tilt)
    forced = min(starts.size, capacity) - 1  # levels 1 .. forced
    at_least = _at_least(starts, forced + 2)
    power = np.exp(np.arange(forced + 2) * tilt)
    x = _affine(step, (at_least[1:] * power[1:])[:forced, None] * cut.first)
    weights[: forced + 1] = at_least[1:] * power[:-1]  # P(start > j), tilted by j
    weights[1:forced] += load * x[:-1].sum(axis=1)
    above, end = _free(step, x[-1], capacity - 1 - forced)
    weights[forced:] += load * above
    end = load * end
    if starts.size == capacity + 1:
        end += starts[capacity] * math.exp(tilt * (capacity - 1)) * law.start
    if tilt < 0.0:
        grown = np.zeros(capacity)
        _powers(-tilt, grown[::-1])
        weights *= grown
    return scale, load * float(end @ mean_left(law))


def _free(step: Array, first: Array, last: int) -> tuple[Array, Array]:
    """(sums of first step^k for k = 0 .. last, first step^last)."""
    power, squares = step, []
    width = 1 << (last.bit_length() // 2)
    columns = np.ones((step.shape[0], 1))
    while columns.shape[1] < width:
        columns = np.hstack([columns, power @ columns])
        squares.append(power)
        power = power @ power
    rows, needed = first[None, :], last // width + 1
    while rows.shape[0] < needed:
        rows = np.vstack([rows, rows @ power])
        power = power @ power
    end = rows[needed - 1]
    for bit, square in enumerate(squares):
        if last >> bit & 1:
            end = end @ square
    return (rows[:needed] @ columns).ravel()[: last + 1], end


def _affine(step: Array, forcing: Array) -> Array:
    """y_n = y_{n-1} step + forcing_n, all n at once in about sqrt(n) numpy calls."""
    rows, size = forcing.shape
    width = max(1, math.isqrt(rows))
    blocks = -(-rows // width)
    y = np.zeros((blocks * width, size))
    y[:rows] = forcing
    y = y.reshape(blocks, width, size)
    powers = np.empty((width, size, size))
    powers[0] = step
    for i in range(1, width):
        y[:, i] += y[:, i - 1] @ step
        powers[i] = powers[i - 1] @ step
    carry = np.zeros((blocks, size))
    for b in range(1, blocks):
        carry[b] = y[b - 1, -1] + carry[b - 1] @ powers[-1]
    spread = powers.transpose(1, 0, 2).reshape(size, width * size)
    return (y.reshape(blocks, -1) + carry @ spread).reshape(-1, size)[:rows]
