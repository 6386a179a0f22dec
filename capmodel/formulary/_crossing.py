r"""Level crossings of a Poisson-fed buffer with any service law and any law of starts.

A cycle begins when a departure leaves nobody behind. The server is then away for a while and
starts with i packets, probability :math:`s_i`. With :math:`v_j` the departures of a cycle that
leave j behind, ups across every level equal downs, which gives :math:`v_j` as sums of positive
terms only, one after the other. Constant service counts Poisson arrivals and goes through a linear
filter; phase-type service is followed phase by phase, so its count needs no truncation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capmodel.formulary._phases import scaled_power
from capmodel.formulary._poisson import poisson_counts, poisson_reach, tails
from capmodel.formulary._typing import Array
from capmodel.numerics.gth import ginverse
from capmodel.numerics.phase_type import PhaseType

HEAVY = 600.0  # load beyond which a constant service never leaves the buffer empty (e^-600)
_SETTLED = 2e-14
_UNSEEN = 690.0  # e^-690 is 1e-300
_SINH = (1 / 24, -1 / 2880, 1 / 181440, -1 / 9676800)  # log(sinh(x/2)/(x/2)) in powers of x^2


@dataclass(frozen=True)
class Counts:
    """Arrivals A in a service: P(A = 0), P(A > k), E(A - k)^+; tilt log z of the kernel."""

    none: float
    above: Array
    excess: Array
    tilt: float

    @property
    def kernel(self) -> Array:
        """Weights P(A > k) z^k / P(A = 0), which sum to 1 over k >= 1; index 0 included."""
        with np.errstate(divide="ignore", under="ignore"):
            power = np.log(self.above) + np.arange(self.above.size) * self.tilt
            weights: Array = np.exp(power - math.log(self.none))
        return weights


def poisson_service(load: float) -> Counts:
    """Counts of a constant service of the given load, up to `HEAVY`."""
    tilt = _poisson_tilt(load)
    # the tilted count is Poisson with mean load z = tilt + load: its whole bulk must be inside
    length = poisson_reach(max(load, load + tilt))
    equal, above, excess = poisson_counts(load, length)
    return Counts(float(equal[0]), above, excess, tilt)


def given_service(equal: Array) -> Counts:
    """Counts of a law given as an array, which ends where it ends."""
    from scipy.optimize import brentq
    from scipy.special import logsumexp

    above, excess = tails(equal)
    k = np.flatnonzero(above[1:]) + 1
    if k.size == 0:  # at most one arrival: nothing ever rises above 1
        return Counts(float(equal[0]), above, excess, 0.0)
    logs, none = np.log(above[k]), math.log(equal[0])

    def off(tilt: float) -> float:
        return float(logsumexp(logs + k * tilt)) - none

    width = 1.0
    while off(-width) > 0.0 or off(width) < 0.0:
        width *= 2.0
    return Counts(float(equal[0]), above, excess, float(brentq(off, -width, width, xtol=1e-16)))


def _poisson_tilt(load: float) -> float:
    """Root t of (e^t - 1)/t = 1/load other than the trivial one of e^t - 1 = t/load."""
    from scipy.optimize import brentq

    target = -math.log(load)
    if target == 0.0:
        return 0.0

    def off(tilt: float) -> float:
        if abs(tilt) < 0.1:  # t/2 + log(sinh(t/2)/(t/2)): near load 1 relative accuracy counts
            q = tilt * tilt
            series = _SINH[0] + q * (_SINH[1] + q * (_SINH[2] + q * _SINH[3]))
            return tilt / 2 + q * series - target
        if tilt > 1.0:
            return tilt + math.log(-math.expm1(-tilt) / tilt) - target
        return math.log(math.expm1(tilt) / tilt) - target

    low, high = (0.0, 2.1 * target) if target > 0.0 else (-1.1 * load, 0.0)
    return float(brentq(off, low, high, xtol=1e-300, rtol=1e-15))


def plain_sums(counts: Counts, capacity: int) -> tuple[float, float, float]:
    """(V, lost, c) of a plain queue: departures V e^c and losses lost e^c per cycle.

    The tilted v_j z^j is, after its start, a weighted mean of its last few values: once those agree
    they stay, and the rest of the sum is geometric.
    """
    kernel, tilt, last = counts.kernel, counts.tilt, capacity - 1
    length = kernel.size
    steps = min(last, max(4 * length, 128))
    if steps < last:  # the rounding of the tilt must not look like a trend
        kernel = kernel / max(kernel[1:].sum(), 1e-300)
    while True:
        tilted = renewed(kernel, padded(kernel * math.exp(tilt), steps), steps)
        recent = tilted[-length:]
        if steps == last or recent.max() - recent.min() < _SETTLED * recent.max():
            break
        steps = min(2 * steps, last)
    settled = float(tilted[-1])
    scale = max(-tilt, 0.0) * last
    with np.errstate(under="ignore"):
        # growth is counted back from the last level, decay from the first
        total = float(np.sum(tilted * np.exp(exponents(tilt, np.arange(steps + 1), last))))
        rest = last - steps
        if rest:
            first = -(steps + 1.0) * tilt if tilt > 0.0 else 0.0
            total += settled * math.exp(first) * _geometric(abs(tilt), rest)
        back = np.arange(1, min(length, capacity))  # v_{K-k} E(A - k)^+
        at = capacity - back
        seen = np.where(at <= steps, tilted[np.minimum(at, steps)], settled)
        lost = float(np.sum(seen * np.exp(exponents(tilt, at, last)) * counts.excess[back]))
        if last < length:  # the first service of the cycle
            lost += float(counts.excess[last]) * math.exp(-scale)
    return total, lost, scale


def exponents(tilt: float, levels: npt.NDArray[np.int_], last: int) -> Array:
    """Logarithm of z^-j, relative to z^-last where that is the largest."""
    back = (last - levels) if tilt < 0.0 else levels
    return back.astype(np.float64) * -abs(tilt)


def _geometric(x: float, terms: int) -> float:
    """1 + e^-x + ... with so many terms."""
    return math.expm1(-terms * x) / math.expm1(-x) if x else float(terms)


def padded(values: Array, size: int) -> Array:
    return np.pad(values[:size], (0, max(size - values.size, 0)))


def renewed(kernel: Array, forcing: Array, steps: int) -> Array:
    """u_0 = 1, u_{j+1} = sum over k of kernel_k u_{j+1-k} (not to u_0) + forcing_j."""
    from scipy.signal import lfilter

    if steps == 0:
        return np.ones(1)
    weights = np.append(1.0, -kernel[1:])
    return np.append(1.0, lfilter([1.0], weights, forcing))


def phase_sums(law: PhaseType, load: float, capacity: int) -> tuple[float, float]:
    """(V, lost) per cycle of a plain queue, mean service 1, up to a common factor."""
    cut = Cut(law, load)
    if capacity == 1:
        return 1.0, load
    size = law.order
    both = np.block([[cut.step, np.eye(size)], [np.zeros((size, size)), np.eye(size)]])
    power, scale = scaled_power(both, capacity - 2)
    with np.errstate(under="ignore"):
        x_last = cut.first @ power[:size, :size]
        before = cut.first @ power[:size, size:]
        total = math.exp(-scale) + load * float((before + x_last).sum())
        return total, load * load * float(x_last @ mean_left(law))


def mean_left(law: PhaseType) -> Array:
    """Mean time to the end from each phase."""
    left: Array = ginverse(law.rates, law.exits).sum(axis=1)
    return left


class Cut:
    """x_n = (load x_{n-1} + P(start >= n) start) M^-1, from balance and the cut below n."""

    def __init__(self, law: PhaseType, load: float) -> None:
        inverse = ginverse(law.rates + load * law.start, law.exits)
        self.law, self.load = law, load
        self.step = load * inverse
        self.first = law.start @ inverse

    @property
    def tilt(self) -> float:
        """Logarithm of z, by which every further level is rarer."""
        return -math.log(float(np.max(np.abs(np.linalg.eigvals(self.step)))))
