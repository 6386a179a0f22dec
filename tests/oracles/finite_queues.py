"""Finite-buffer queues in many digits, straight from their definitions.

Chains are written out state by state and solved with enough digits that cancellation does no harm;
nothing here is rearranged to avoid it, and no closed form of the package is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

Law = Any  # as the package names them


def counts(law: Law, mean: Any, length: int) -> list[mpf]:
    """P(k events of a Poisson process) in a time of this law, `mean` events on average."""
    m = mpf(mean)
    if law == "deterministic":
        return [mpmath.exp(-m) * m**k / mpmath.factorial(k) for k in range(length)]
    if law == "exponential":
        law = ("erlang", 1)
    kind, parameter = law
    if kind == "erlang":
        r = int(parameter)
        q = m / (m + r)
        return [mpmath.binomial(r + k - 1, k) * (1 - q) ** r * q**k for k in range(length)]
    c = mpf(parameter)
    p = (1 + mpmath.sqrt((c - 1) / (c + 1))) / 2
    q1, q2 = m / (m + 2 * p), m / (m + 2 * (1 - p))
    return [p * (1 - q1) * q1**k + (1 - p) * (1 - q2) * q2**k for k in range(length)]


def mg1k_left(law: Law, load: Any, capacity: int, digits: int) -> list[mpf]:
    """Law of the number a departure leaves, by the textbook recursion with all its subtractions."""
    with mpmath.workdps(digits):
        a = counts(law, load, capacity + 1)
        least = mpf(10) ** (-digits)
        reach = next((k for k in range(len(a)) if k > 2 * float(load) and a[k] < least), len(a))
        pi = [mpf(1)]
        for j in range(capacity - 1):
            first = max(1, j + 1 - reach)
            inflow = mpmath.fsum(pi[k] * a[j + 1 - k] for k in range(first, j + 1))
            pi.append((pi[j] - inflow - pi[0] * a[j]) / a[0])
        total = mpmath.fsum(pi)
        return [p / total for p in pi]


def mg1k_loss(law: Law, load: Any, capacity: int, digits: int = 100) -> mpf:
    """One minus carried over offered, a departure following an idle wait if nobody was left."""
    with mpmath.workdps(digits):
        rho = mpf(load)
        return 1 - 1 / (rho + mg1k_left(law, load, capacity, digits)[0])


def stationary(matrix: Sequence[Sequence[mpf]]) -> list[mpf]:
    """Probabilities pi = pi P of a finite chain, by LU."""
    n = len(matrix)
    a, b = mpmath.matrix(n, n), mpmath.matrix(n, 1)
    for i in range(n):
        for j in range(n):
            a[j, i] = matrix[i][j] - (1 if i == j else 0)
    for i in range(n):
        a[n - 1, i] = 1
    b[n - 1] = 1
    return list(mpmath.lu_solve(a, b))


def gim1k_loss(law: Law, load: Any, capacity: int, digits: int = 80) -> mpf:
    """Chain of the number an arrival finds; services go on as long as there is somebody."""
    with mpmath.workdps(digits):
        serve = counts(law, 1 / mpf(load), capacity + 1)
        rows = []
        for found in range(capacity + 1):
            after = min(found + 1, capacity)
            row = [mpf(0)] * (capacity + 1)
            for k in range(after):
                row[after - k] += serve[k]
            row[0] += 1 - mpmath.fsum(serve[:after])
            rows.append(row)
        return stationary(rows)[capacity]


def vacation(
    law: Law, rate: Any, capacity: int, cost: Any, starts: list[mpf], away: mpf, digits: int
) -> tuple[mpf, mpf]:
    """(loss, cycles per time): starts[i] packets at the first service, any number of them."""
    with mpmath.workdps(digits):
        lam, c = mpf(rate), mpf(cost)
        a = counts(law, lam * c, capacity + 1)
        begin = list(starts[: capacity + 1])
        begin[capacity] += 1 - mpmath.fsum(begin)
        rows = []
        for left in range(capacity):
            row = [mpf(0)] * capacity
            weights = begin if left == 0 else [mpf(i == left) for i in range(capacity + 1)]
            for i in range(1, capacity + 1):
                if weights[i] == 0:
                    continue
                for k in range(capacity - i):
                    row[i - 1 + k] += weights[i] * a[k]
                row[capacity - 1] += weights[i] * (1 - mpmath.fsum(a[: capacity - i]))
            rows.append(row)
        nobody = stationary(rows)[0]
        carried = 1 / (c + nobody * away)
        return 1 - carried / lam, carried * nobody


def threshold_start(
    rate: Any, threshold: int, timeout: Any, latency: Any, poll: Any, length: int
) -> tuple[list[mpf], mpf, mpf]:
    """(law at the first service, mean time away, P(sleep)) of a poll, a wait and a latency."""
    lam = mpf(rate)

    def poisson(mean: mpf, k: int) -> mpf:
        return mpmath.exp(-mean) * mean**k / mpmath.factorial(k)

    woken = [mpf(0)] * max(length, threshold + 1)
    if timeout == mpmath.inf:
        woken[threshold] = mpf(1)
        wait = threshold / lam
    else:
        m = mpf(timeout)
        for k in range(threshold - 1):
            woken[1 + k] = poisson(lam * m, k)
        woken[threshold] = 1 - mpmath.fsum(woken)
        # the first packet, then until N - 1 more or m: the integral of P(fewer than N - 1 so far)
        wait = 1 / lam + mpmath.quad(
            lambda t: mpmath.fsum(poisson(lam * t, k) for k in range(threshold - 1)), [0, m]
        )
    during = [poisson(lam * mpf(latency), k) for k in range(length)]
    sleep = mpmath.exp(-lam * mpf(poll))
    start = [mpf(0)] * length
    for i in range(1, length):
        start[i] = sleep * mpmath.fsum(woken[j] * during[i - j] for j in range(1, i + 1))
        start[i] += poisson(lam * mpf(poll), i)
    return start, mpf(poll) + sleep * (wait + mpf(latency)), sleep


def saturated(
    kernel: float, consumer: float, wake: float, latency: float, poll: float, capacity: int
) -> tuple[mpf, mpf, mpf]:
    """Carried rate, wakeups, drops: first passages from b packets to none, averaged over b."""
    ck, ca, w, wait, p = map(mpf, (kernel, consumer, wake, latency, poll))
    rho = ca / ck
    one_down = [mpf(1)]  # services from K packets to K - 1, then from one fewer, and so on
    for _ in range(capacity - 1):
        one_down.append(1 + rho * one_down[-1])
    one_down.reverse()
    served = [mpf(0)]
    for t in one_down:
        served.append(served[-1] + t)
    r, rp = wait / (wait + ck), p / (p + ck)
    first = [(1 - r) * r ** (b - 1) for b in range(1, capacity)] + [r ** (capacity - 1)]
    again = [(1 - rp) * rp**b for b in range(capacity)] + [rp**capacity]
    total = mpmath.fsum(x * served[b] for b, x in enumerate(first, 1))
    total += mpmath.fsum(x * served[b] for b, x in enumerate(again)) / (1 - rp)
    time = w + wait + p / (1 - rp) + total * ca + ck
    return total / time, 1 / time, (1 - w / time) / ck - total / time


def bulk_ring(
    rate: float, block: int, blocks: int, cost: float, read: float, latency: float, digits: int
) -> tuple[mpf, mpf]:
    """(loss, share of blocks that wake) from the chain of all numbers left, one state each."""
    with mpmath.workdps(digits):
        room, lam = block * blocks, mpf(rate)
        awake = lam * (mpf(read) + block * mpf(cost))
        asleep = awake + lam * mpf(latency)
        size = room - block + 1
        rows, lost = [], []
        for left in range(size):
            mean, start = (asleep, block) if left < block else (awake, left)
            a = counts("deterministic", mean, room + 1)
            row = [mpf(0)] * size
            kept = mpf(0)
            for k in range(room - start):
                row[start - block + k] += a[k]
                kept += k * a[k]
            full = 1 - mpmath.fsum(a[: room - start])
            row[size - 1] += full
            rows.append(row)
            lost.append(mean - kept - (room - start) * full)
        pi = stationary(rows)
        over = mpmath.fsum(p * x for p, x in zip(pi, lost, strict=True))
        return over / (over + block), mpmath.fsum(pi[:block])


def chain_by_rates(size: int, rate: Callable[[int, int], Any], digits: int) -> list[mpf]:
    """Stationary probabilities of a chain in continuous time."""
    with mpmath.workdps(digits):
        flows = [[mpf(rate(i, j)) if i != j else mpf(0) for j in range(size)] for i in range(size)]
        pace = 2 * max(mpmath.fsum(row) for row in flows)
        for i, row in enumerate(flows):
            out = mpmath.fsum(row)
            flows[i] = [x / pace for x in row]
            flows[i][i] = 1 - out / pace
        return stationary(flows)


def crossings(
    law: Law, load: Any, capacity: int, starts: list[mpf], overflow: mpf
) -> tuple[np.longdouble, np.longdouble, np.longdouble, np.longdouble]:
    """(loss, share of departures that leave nobody, mean and middle of what they leave).

    Ups across every level equal downs, one level after the other and none left out, in numbers of
    64 digits base 2; for buffers that are too long for a chain. `starts` ends where it ends.
    """
    with mpmath.workdps(40):
        # P(A > k) and E(A - k)^+ until they no longer count
        a: list[mpf] = []
        length = 40
        while not a or a[-1] > mpf(10) ** -45 or len(a) < 2 * load:
            length *= 2
            a = counts(law, load, length)
        tail, above, excess = mpf(0), [mpf(0)], [mpf(0)]
        for k in range(length - 1, 0, -1):
            tail += a[k]
            above.append(tail)
            excess.append(excess[-1] + tail)
        above.reverse()
        excess.reverse()
        begin = list(starts[: capacity + 1])
        begin += [mpf(0)] * (capacity + 1 - len(begin))
        at_least = [mpf(0)]
        for s in reversed(begin):
            at_least.append(at_least[-1] + s)
        at_least.reverse()
        none, up, over, first, least = (
            np.array([mpmath.nstr(x, 25) for x in column], dtype=np.longdouble)
            for column in ([a[0]], above, excess, begin, at_least)
        )
        extra = np.longdouble(mpmath.nstr(overflow, 25))
    large, small = np.longdouble("1e1000"), np.longdouble("1e-1000")
    v = np.zeros(capacity, dtype=np.longdouble)
    v[0] = one = np.longdouble(1)
    started = len(starts)
    for j in range(capacity - 1):
        low = max(1, j + 2 - up.size)
        total = v[low : j + 1] @ up[j + 1 - low : 0 : -1] + one * least[j + 2]
        if j + 1 - up.size < started:
            total += one * (first[low : j + 2] @ up[j + 1 - low :: -1])
        v[j + 1] = total / none[0]
        if v[j + 1] > large:
            v[: j + 2] *= small
            one *= small
    k = np.arange(1, min(over.size, capacity))
    lost = v[capacity - k] @ over[k] + one * extra
    k = np.arange(min(over.size, capacity))
    lost += one * (first[capacity - k] @ over[k])
    carried = v.sum()
    levels = np.arange(capacity).astype(np.longdouble)
    return lost / (lost + carried), v[0] / carried, levels @ v / carried, v[capacity // 2] / carried
