"""Losses of textbook queues from first principles, in exact or many-digit arithmetic.

Every function starts from the definition of the system (states, transitions, balance) and uses no
closed form of the package.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np

DIGITS = 50


def mm1k_loss(load: Fraction | int, capacity: int) -> Fraction:
    """Balance of a birth-death chain on 0..capacity; an arrival sees it full."""
    weights = [Fraction(1)]
    for _ in range(capacity):
        weights.append(weights[-1] * load)  # rate up times weight = rate down times next weight
    return weights[-1] / sum(weights)


def md1k_loss(load: float | str, capacity: int) -> mpmath.mpf:
    """Chain of the number left behind by a departure, constant service of length 1.

    Of what is offered in a mean cycle between departures (a service, and an idle wait of 1/load
    if nobody was left behind), exactly one packet is carried.
    """
    with mpmath.workdps(DIGITS + 40):
        rho = mpmath.mpf(load)
        arrive = [mpmath.exp(-rho) * rho**j / mpmath.factorial(j) for j in range(capacity + 1)]
        # flow up across the cut (j left behind, j + 1 left behind) equals flow down, which can
        # only be by one: pi[j+1] * P(0 arrive) = sum over i <= j of pi[i] * P(enough arrive)
        above = [1 - mpmath.fsum(arrive[: j + 1]) for j in range(capacity + 1)]
        left = [mpmath.mpf(1)]
        for j in range(capacity - 1):
            up = left[0] * above[j] + mpmath.fsum(
                left[i] * above[j - i + 1] for i in range(1, j + 1)
            )
            left.append(up / arrive[0])
        nobody = left[0] / mpmath.fsum(left)
        return +(1 - 1 / (rho * (1 + nobody / rho)))


def mm1k_transient_losses(rate: float, service: float, capacity: int, length: float) -> float:
    """Expected losses of a run that starts empty: uniformised chain, summed until it is over."""
    pace = rate + service
    up, down = rate / pace, service / pace
    state = np.zeros(capacity + 1)
    state[0] = 1.0
    time_full, still_running = 0.0, 1.0  # P(Poisson(pace * length) > step), by running subtraction
    log_weight, step = -pace * length, 0
    while still_running > 1e-13 and step < 4 * pace * length + 100:
        still_running -= np.exp(log_weight)
        time_full += max(still_running, 0.0) * state[-1] / pace
        moved = np.empty_like(state)
        moved[1:] = up * state[:-1]
        moved[0] = down * state[0]
        moved[:-1] += down * state[1:]
        moved[-1] += up * state[-1]
        state = moved
        step += 1
        log_weight += np.log(pace * length / step)
    return rate * time_full


def on_off_loss(
    peak: float, drain: float, leave_on: float, leave_off: float, capacity: float
) -> mpmath.mpf:
    """Fluid buffer fed by one on-off source: Kolmogorov's forward equations, integrated.

    F(x) = P(state, content <= x): (peak - drain) F_on' = leave_off F_off - leave_on F_on and
    -drain F_off' = leave_on F_on - leave_off F_off. While on the content cannot stay at 0,
    while off it cannot stay at capacity; what is on and at capacity overflows.
    """
    with mpmath.workdps(DIGITS):
        h, c, a, b, size = map(mpmath.mpf, (peak, drain, leave_on, leave_off, capacity))
        slope = mpmath.matrix([[-a / (h - c), b / (h - c)], [-a / c, b / c]])
        at_end = mpmath.expm(slope * size) * mpmath.matrix([0, 1])  # for P(off, empty) = 1
        on, off = b / (a + b), a / (a + b)
        full = on - at_end[0] * off / at_end[1]
        return +((h - c) * full / (h * on))


def mmpp_loss(
    rates: tuple[float, float], leave: tuple[float, float], service: float, capacity: int
) -> float:
    """Markov-modulated arrivals, exponential service: the whole chain as one linear system."""
    size = 2 * (capacity + 1)
    flow = np.zeros((size, size))
    for n in range(capacity + 1):
        for phase in (0, 1):
            here = 2 * n + phase
            flow[here, 2 * n + 1 - phase] += leave[phase]
            if n < capacity:
                flow[here, here + 2] += rates[phase]
            if n > 0:
                flow[here, here - 2] += service
    flow -= np.diag(flow.sum(axis=1))
    equations = np.vstack([flow.T, np.ones(size)])
    target = np.zeros(size + 1)
    target[-1] = 1.0
    share = np.linalg.lstsq(equations, target, rcond=None)[0]
    offered = sum(rates[p] * share[p::2].sum() for p in (0, 1))
    return float(sum(rates[p] * share[2 * capacity + p] for p in (0, 1)) / offered)


def double_buffer(
    rate: float, block: int, read: float, per_packet: float, latency: float
) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Loss and wakeup rate of two buffers of `block` packets: a chain from swap to swap.

    At a swap the reader is awake (the store was full when it finished) or asleep. Reading takes a
    constant time; Poisson arrivals during it fill the store, the rest is lost. If the store is
    full at the end the buffers swap at once, otherwise the reader sleeps until it is full.
    """
    with mpmath.workdps(DIGITS):
        lam = mpmath.mpf(rate)

        def reading(time: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
            """P(the store fills), mean number lost, mean time to the next swap."""
            mean = lam * time
            count = [mpmath.exp(-mean) * mean**j / mpmath.factorial(j) for j in range(block)]
            fills = 1 - mpmath.fsum(count)
            kept = mpmath.fsum(j * p for j, p in enumerate(count)) + block * fills
            short = mpmath.fsum((block - j) * p for j, p in enumerate(count))
            return fills, mean - kept, time + short / lam

        awake = reading(mpmath.mpf(read) + block * mpmath.mpf(per_packet))
        asleep = reading(mpmath.mpf(read) + block * mpmath.mpf(per_packet) + mpmath.mpf(latency))
        # P(asleep at next swap | asleep now) = 1 - asleep[0], from awake 1 - awake[0]
        sleeping = (1 - awake[0]) / (1 - awake[0] + asleep[0])

        def mean(i: int) -> mpmath.mpf:
            return sleeping * asleep[i] + (1 - sleeping) * awake[i]

        return +(mean(1) / (block + mean(1))), +(sleeping / mean(2))


def block_ring_rate(
    rate: float, block: float, blocks: int, read: float, per_packet: float, latency: float
) -> float:
    """A ring of blocks filled at constant rate: when each is closed, read, and free again."""
    closed, freed = [0.0], [0.0]
    fill, reading = block / rate, read + block * per_packet
    for n in range(1, 2001):
        may_fill = freed[n - blocks] if n >= blocks else 0.0
        closed.append(max(closed[-1], may_fill) + fill)
        asleep = freed[-1] <= closed[-1]
        start = closed[-1] + latency if asleep else freed[-1]
        freed.append(start + reading)
    return 1000 * block / (closed[2000] - closed[1000])
