r"""A consumer that leaves an empty buffer: woken after N packets or a timeout, or asleep.

Poisson packets, at most K present, service of any law (as in :mod:`capmodel.formulary.mg1k`). All
policies are one recursion in level crossings; they differ in how many packets a busy period starts
with and in how long the consumer was away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capmodel.formulary._checks import not_negative, positive, whole
from capmodel.formulary._left_behind import departures
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._poisson import poisson_counts, poisson_end
from capmodel.formulary._typing import Array, ArrayLike

_MOST = 1_000_000


@dataclass(frozen=True)
class VacationResult:
    """What a consumer with vacations does in the long run; arrays of the broadcast shape.

    Attributes
    ----------
    carried_rate : ndarray
        Packets served [1/s].
    loss : ndarray
        Share of offered packets lost [-].
    wakeup_rate : ndarray
        Signals that wake the consumer [1/s]; 0 where a timer does.
    poll_rate : ndarray
        Entries into ``poll`` [1/s], with or without sleep.
    sleep_rate : ndarray
        Sleeps [1/s].
    mean_batch : ndarray
        Packets served per sleep [-]; infinite where the consumer never sleeps.
    mean_occupancy : ndarray
        Mean number of packets present [-].
    occupancy : ndarray
        Probabilities of 0, 1, 2, ... packets [-] along a last axis, as long as the largest
        capacity asks for.
    """

    carried_rate: Array
    loss: Array
    wakeup_rate: Array
    poll_rate: Array
    sleep_rate: Array
    mean_batch: Array
    mean_occupancy: Array
    occupancy: Array


@dataclass(frozen=True)
class _Cycle:
    """Start law of a busy period, losses before it, time away; what happens per cycle."""

    starts: Array
    overflow: float
    away: float
    wakeups: float
    polls: float
    sleeps: float


def n_policy(
    offered_rate: ArrayLike,
    capacity: ArrayLike,
    consumer_cost: ArrayLike,
    threshold: ArrayLike = 1,
    timeout: ArrayLike = np.inf,
    wakeup_latency: ArrayLike = 0.0,
    poll_cost: ArrayLike = 0.0,
    service: Law = "deterministic",
) -> VacationResult:
    r"""M/G/1/K whose consumer polls, sleeps, and is woken after N packets or a timeout.

    An idle consumer enters ``poll`` for a time P; packets that come meanwhile keep it awake.
    Otherwise it sleeps until N packets are present, or m after the first of them, and runs L
    later. With :math:`s_i` the law of the number present at the first service and
    :math:`\bar a_k` that of more than k arrivals in a service,

    .. math::
        v_{j+1} a_0 = \sum_{i=1}^{j} v_i\,\bar a_{j-i+1} + \sum_i s_i\,\bar a_{j-i+1},\qquad
        X = \frac{V}{E_{off} + V c_a},\quad \nu = \frac{X}{V} e^{-\lambda P}

    with :math:`V = \sum_j v_j` packets and
    :math:`E_{off} = P + e^{-\lambda P}\{[1 + E\min(A_m, N-1)]/\lambda + L\}` per cycle.

    Parameters
    ----------
    offered_rate : array_like
        Poisson rate into the buffer [1/s].
    capacity : array_like
        Packets the buffer holds, the one in service included, :math:`K` [-], whole, to 1e6.
    consumer_cost : array_like
        Mean service time [s].
    threshold : array_like
        Packets that wake the consumer N [-], whole; above the capacity only the timeout does.
    timeout : array_like
        Longest wait of the first packet m [s]; infinite means none.
    wakeup_latency : array_like
        Time from the signal to the first service L [s], constant.
    poll_cost : array_like
        Time in ``poll`` before sleep P [s], constant.
    service : str or tuple
        Law of the service time, as in :func:`~capmodel.formulary.loss_mg1k`.

    Returns
    -------
    VacationResult
        Rates, loss and occupancy.

    Notes
    -----
    Exact, positive terms only: relative accuracy as :func:`~capmodel.formulary.loss_mg1k`, tiny
    losses included. What takes time are the levels that a busy period starts with: those above
    follow a pattern. The loss need not fall with N: a threshold within a few :math:`\sqrt K` of
    :math:`K - L/c_a` overflows while the consumer wakes.

    Source: H. Takagi, Queueing Analysis vol. 2 (1993), finite queues with setup and N-policy;
    M. Yadin, P. Naor, Oper. Res. Quarterly 14 (1963).

    Examples
    --------
    >>> result = n_policy(0.8, 20, 1.0, threshold=4, timeout=3.0, wakeup_latency=2.0, poll_cost=0.5)
    >>> round(float(result.loss), 13), round(float(result.wakeup_rate), 10)
    (0.0001521195226, 0.0306238673)
    """
    arrays = (
        positive("offered_rate", offered_rate),
        whole("capacity", capacity, most=_MOST),
        positive("consumer_cost", consumer_cost),
        whole("threshold", threshold, most=10**9),
        not_negative("timeout", timeout, infinite=True),
        not_negative("wakeup_latency", wakeup_latency),
        not_negative("poll_cost", poll_cost),
    )
    if np.any((arrays[3] > arrays[1]) & np.isinf(arrays[4])):
        raise ValueError("threshold must not exceed capacity unless there is a finite timeout")
    return _solve(arrays, service, _threshold_cycle)


def fixed_sleep(
    offered_rate: ArrayLike,
    capacity: ArrayLike,
    consumer_cost: ArrayLike,
    sleep: ArrayLike,
    service: Law = "deterministic",
) -> VacationResult:
    r"""M/G/1/K whose consumer sleeps a fixed time whenever it finds the buffer empty.

    Multiple vacations: sleeps repeat until one ends with packets present, so a busy period starts
    with a Poisson number given that it is not 0, after :math:`V/(1 - e^{-\lambda V})` on average.

    Parameters
    ----------
    offered_rate, capacity, consumer_cost, service
        As in :func:`n_policy` [1/s], [-], [s].
    sleep : array_like
        Length of a sleep V [s], positive.

    Returns
    -------
    VacationResult
        Rates, loss and occupancy; no wakeups by signal and no polls.

    Notes
    -----
    Exact; accuracy as :func:`n_policy`.

    Source: H. Takagi, Queueing Analysis vol. 2 (1993), M/G/1/K with multiple vacations;
    T. T. Lee, Operations Research 32 (1984).

    Examples
    --------
    >>> result = fixed_sleep(0.5, 20, 1.0, 10.0)
    >>> round(float(result.loss), 12), round(float(result.sleep_rate), 9)
    (2.57232e-07, 0.050000013)
    """
    arrays = (
        positive("offered_rate", offered_rate),
        whole("capacity", capacity, most=_MOST),
        positive("consumer_cost", consumer_cost),
        positive("sleep", sleep),
    )
    return _solve(arrays, service, _sleep_cycle)


def _solve(
    arrays: tuple[Array, ...], service: Law, cycle_of: Callable[..., _Cycle]
) -> VacationResult:
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    longest = int(np.max(arrays[1])) + 1
    numbers = np.empty((*shape, 7))
    occupancy = np.zeros((*shape, longest))
    levels = np.arange(float(longest))
    law = phases_of("service", service)
    columns = [np.broadcast_to(a, shape).astype(float) for a in arrays]
    for index in np.ndindex(shape):
        rate, size, cost, *rest = (float(column[index]) for column in columns)
        capacity = int(size)
        cycle = cycle_of(rate, capacity, *rest)
        left, lost = departures(law, rate * cost, capacity, cycle.starts, cycle.overflow)
        ends = float(left[0])  # busy periods that end, per departure
        carried = 1.0 / (cost + cycle.away * ends)
        chances = occupancy[index][: capacity + 1]
        np.multiply(left, carried / rate, out=chances[:capacity])
        chances[capacity] = lost
        sleeps = cycle.sleeps * ends
        numbers[index] = (
            carried,
            lost,
            carried * ends * cycle.wakeups,
            carried * ends * cycle.polls,
            carried * sleeps,
            1.0 / sleeps if sleeps > 1e-300 else math.inf,
            np.sum(levels[: capacity + 1] * chances),  # a dot product would take every core
        )
    carried_rate, loss, wakeups, polls, sleeping, batch, mean = np.moveaxis(numbers, -1, 0)
    return VacationResult(
        carried_rate, loss, wakeups, polls, sleeping, batch, mean, occupancy=occupancy
    )


def _threshold_cycle(
    rate: float, capacity: int, threshold: float, timeout: float, latency: float, poll: float
) -> _Cycle:
    if threshold > capacity:  # packets pile up until the timer, and go on during the latency
        wait = 1.0 / rate + timeout
        starts, overflow = _started(np.eye(2)[1], rate * (timeout + latency), capacity)
    else:
        n = int(threshold)
        present = np.zeros(n + 1)
        if math.isinf(timeout):
            present[n], more = 1.0, n - 1.0
        else:
            equal, above, _ = poisson_counts(rate * timeout, n)
            present[1:n] = equal[: n - 1]
            present[n] = above[n - 2] if n > 1 else 1.0
            more = float(above[: n - 1].sum())
        wait = (1.0 + more) / rate
        starts, overflow = _started(present, rate * latency, capacity)
    asleep = math.exp(-rate * poll)
    came, lost = _started(np.ones(1), rate * poll, capacity)
    longer, shorter = asleep * starts, came
    if longer.size < shorter.size:
        longer, shorter = shorter, longer
    longer[: shorter.size] += shorter
    longer[0] = 0.0
    away = poll + asleep * (wait + latency)
    return _Cycle(longer, asleep * overflow + lost, away, asleep, 1.0, asleep)


def _sleep_cycle(rate: float, capacity: int, sleep: float) -> _Cycle:
    starts, overflow = _started(np.ones(1), rate * sleep, capacity)
    some = -math.expm1(-rate * sleep)
    starts[0] = 0.0
    return _Cycle(starts / some, overflow / some, sleep / some, 0.0, 0.0, 1.0 / some)


def _started(present: Array, mean: float, capacity: int) -> tuple[Array, float]:
    """Law of `present` plus a Poisson count, cut off at the capacity, and the mean lost to it.

    The law ends where it is 0 from there on.
    """
    end = poisson_end(mean)
    starts = np.zeros(min(capacity + 1, present.size + end))
    if mean == 0.0:
        starts[: present.size] = present
        return starts, 0.0
    if np.count_nonzero(present) == 1:  # a shift is all it takes
        at = int(np.flatnonzero(present)[0])
        room = capacity - at
        equal, above, excess = poisson_counts(mean, min(room, end) + 1)
        if room > end:
            starts[at : at + end] = equal[:end]
            return starts, 0.0
        starts[at:capacity] = equal[:room]
        starts[capacity] = above[room - 1] if room else 1.0
        return starts, float(excess[room])
    equal, above, excess = poisson_counts(mean, min(capacity, end) + 1)
    during = np.trim_zeros(equal, "b")
    if during.size:
        mixed = np.convolve(present, during)[:capacity]
        starts[: mixed.size] = mixed
    if starts.size <= capacity:  # there is room for whatever may come
        return starts, 0.0
    rooms = capacity - np.arange(present.size)
    seen = np.minimum(rooms, end)  # nothing is beyond
    reached = np.where(rooms > 0, above[np.maximum(seen - 1, 0)], 1.0)  # P(A >= room)
    starts[capacity] = float(present @ reached)
    return starts, float(present @ excess[seen])
