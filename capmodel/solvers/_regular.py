r"""A single stage that is offered packets at constant intervals, exactly.

With exponential services an arrival sees the empty places of M/D/1 (see
:mod:`capmodel.formulary.gim1k`), at any capacity. With phase-type services what the server gets
done between two arrivals is followed phase by phase (uniformisation), and the chain of what is
there after an arrival is solved by elimination, for systems of moderate size. Time averages are
taken over one interval: nobody sees them, since constant arrivals do not see time averages.

Source: D. G. Kendall, Ann. Math. Statist. 24 (1953), for the embedded chain; W. K. Grassmann,
Comput. Oper. Res. 4 (1977), for the transient of the service by uniformisation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from capmodel.formulary._crossing import HEAVY
from capmodel.formulary._left_behind import departures
from capmodel.formulary._poisson import poisson_counts, poisson_reach
from capmodel.formulary.gim1k import loss_gim1k
from capmodel.numerics.gth import Array, stationary
from capmodel.numerics.phase_type import PhaseType

MOST_STATES = 1000  # of the embedded chain: places times phases; half a second
LEAST_LOAD = 0.01  # below it the phases that pass in an interval are too many, the losses none


class Regular(NamedTuple):
    """Share of packets lost [-], mean number present [-], share of time busy [-]."""

    loss: float
    present: float
    busy: float


def too_large(load: float, capacity: float, phases: int) -> str | None:
    """Why this queue is not solved; None if it is."""
    if phases == 1:
        return None
    if capacity * phases > MOST_STATES:
        return (
            f"constant intervals and services of {phases} phases: capacity must be at most "
            f"{MOST_STATES // phases}, got {capacity:.0f}"
        )
    if load < LEAST_LOAD:
        return f"constant intervals and services of phases: load must be at least {LEAST_LOAD}"
    return None


def regular_single(rate: float, service: PhaseType, capacity: int) -> Regular:
    """D/M/1/K or D/PH/1/K at this rate [1/s], at most `capacity` packets present."""
    load = rate * service.mean
    if service.order == 1:
        loss = float(loss_gim1k(load, capacity))
        return Regular(loss, _present_exponential(load, capacity), load * (1.0 - loss))
    return _by_phase(rate, service, capacity)


def _present_exponential(load: float, capacity: int) -> float:
    r"""Mean content: :math:`p_n = \rho\,a_{n-1}`, since ups from n - 1 to n equal downs.

    :math:`a_{K-j}`, what an arrival finds, is the law of the number that a departure of M/D/1/(K+1)
    at the inverse load leaves behind.
    """
    if load < 1.0 / HEAVY:  # everybody finds nobody, but for e^-600
        return load
    empty, _ = departures(None, 1.0 / load, capacity + 1, np.array([0.0, 1.0]), 0.0)
    places = np.arange(capacity + 1)
    return float(load * ((capacity + 1.0 - places[1:]) @ empty[1:]))


def _served(service: PhaseType, interval: float, most: int) -> tuple[Array, Array, Array]:
    """Probability of j services and a phase at the end of an interval, and mean times there [s].

    For a server that is never idle; shape (j, phase at the start, phase); j up to `most`. Third,
    the probability of more, by phase at the start.
    """
    m = service.order
    leaving = service.rates.sum(-1) + service.exits
    pace = 2.0 * float(leaving.max())  # twice the least that works: no difference is small
    stay = service.rates / pace + np.diag(1.0 - leaving / pace)
    done = np.outer(service.exits, service.start) / pace
    length = poisson_reach(pace * interval)
    equal, above, _ = poisson_counts(pace * interval, length)
    now = np.zeros((most + 1, m, m))
    now[0] = np.eye(m)
    ends, times, more = np.zeros_like(now), np.zeros_like(now), np.zeros(m)
    for chance, later in zip(equal, above, strict=True):
        ends += chance * now
        times += later / pace * now
        more += later * (now[-1] @ done).sum(-1)
        following = now @ stay
        following[1:] += now[:-1] @ done
        now = following
    return ends, times, more


def _by_phase(rate: float, service: PhaseType, capacity: int) -> Regular:
    m = service.order
    ends, times, more = _served(service, 1.0 / rate, capacity)
    # at least n services: nothing is left of n packets, and the next arrival finds nobody
    enough = more + np.cumsum(ends[::-1].sum(-1), axis=0)[::-1]
    size = capacity * m
    moves = np.zeros((capacity, m, capacity, m))  # after an arrival: 1 to K packets, phase
    spent, held = np.zeros((capacity, m)), np.zeros((capacity, m))
    for n in range(1, capacity + 1):
        for done in range(n):
            moves[n - 1, :, min(n - done + 1, capacity) - 1] += ends[done]
        here = times[:n].sum(-1)  # (services done, phase at the start)
        spent[n - 1] = here.sum(0)
        held[n - 1] = np.arange(n, 0, -1.0) @ here
        moves[n - 1, :, 0] += enough[n][:, None] * service.start
    share = stationary(moves.reshape(size, size)).reshape(capacity, m)
    lost = float(share[-1] @ ends[0].sum(-1))
    return Regular(lost, float((share * held).sum() * rate), float((share * spent).sum() * rate))
