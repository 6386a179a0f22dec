r"""MAP/PH/1/K: correlated, bursty packets into a finite buffer.

Arrivals come from a Markovian arrival process: a chain whose moves without (:math:`D_0`) and with
(:math:`D_1`) a packet are given as rates. A Markov-modulated Poisson process (MMPP) is the case
where packets do not change the phase. Solved by subtraction-free cyclic reduction in
:math:`O(\log K)` steps.
"""

from __future__ import annotations

import numpy as np

from capmodel.formulary._checks import elementwise, not_negative, positive, whole
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights, solve_levels

_MOST_PHASES = 200


def loss_map1k(
    silent_rates: ArrayLike,
    arrival_rates: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "exponential",
) -> Array:
    r"""Loss of MAP/PH/1/K.

    With :math:`\pi_n` the row of level n of the chain on (packets present, arrival phase, service
    phase) and t the rates at which services end,

    .. math::
        P = \frac{B}{B + \sum_{n \ge 1} \pi_n (e \otimes t)},\qquad B = \pi_K (D_1 e \otimes e)

    Parameters
    ----------
    silent_rates : array_like, shape (m, m)
        Rates between phases without an arrival, :math:`D_0` [1/s]; its diagonal is ignored.
    arrival_rates : array_like, shape (m, m)
        Rates of arrivals with the move they cause, :math:`D_1` [1/s], diagonal included.
    capacity : array_like
        Most packets present, the one in service included, :math:`K` [-], whole, 1 to 1e7.
    service_time : array_like
        Mean service time [s].
    service : str or tuple
        ``"exponential"``, ``("erlang", k)`` or ``("hyperexponential", scv)``.

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    Exact, positive terms only: relative accuracy about 1e-13, plus 1e-16 K where the loss falls by
    a factor with every place; losses down to about 1e-200.

    Source: M. F. Neuts, Structured Stochastic Matrices of M/G/1 Type (1989); G. Latouche,
    V. Ramaswami, Matrix Analytic Methods (1999), chapter 10.

    Examples
    --------
    >>> bool(np.isclose(loss_map1k([[0.0]], [[0.5]], 10), 0.5**11 / (1 - 0.5**11), rtol=1e-13))
    True
    """
    silent, arriving = _rates(silent_rates, arrival_rates)
    return elementwise(
        lambda k, mean: _solve(silent, arriving, int(k), mean, service)[0],
        whole("capacity", capacity),
        positive("service_time", service_time),
    )


def mean_occupancy_map1k(
    silent_rates: ArrayLike,
    arrival_rates: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "exponential",
) -> Array:
    r"""Mean number of packets in MAP/PH/1/K, :math:`\sum_n n\,\pi_n e`.

    Parameters
    ----------
    silent_rates, arrival_rates, capacity, service_time, service
        As in :func:`loss_map1k`.

    Returns
    -------
    ndarray
        Mean number present, the one in service included [-].

    Notes
    -----
    Exact; accuracy as :func:`loss_map1k`.

    Source: as :func:`loss_map1k`.

    Examples
    --------
    >>> float(mean_occupancy_map1k([[0.0]], [[1.0]], 10)).__round__(12)
    5.0
    """
    silent, arriving = _rates(silent_rates, arrival_rates)
    return elementwise(
        lambda k, mean: _solve(silent, arriving, int(k), mean, service)[1],
        whole("capacity", capacity),
        positive("service_time", service_time),
    )


def loss_mmpp1k(
    rates: ArrayLike,
    switching: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "exponential",
) -> Array:
    r"""Loss of MMPP/PH/1/K: Poisson packets whose rate follows a Markov chain.

    Parameters
    ----------
    rates : array_like, shape (m,)
        Packet rate in each phase [1/s].
    switching : array_like, shape (m, m), or (2,) for two phases
        Rates between phases [1/s], diagonal ignored; of two phases the rates of leaving each.
    capacity, service_time, service
        As in :func:`loss_map1k`.

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    As :func:`loss_map1k`, with :math:`D_1 = \mathrm{diag}(\lambda_i)`.

    Source: W. Fischer, K. Meier-Hellstern, Performance Evaluation 18 (1993).

    Examples
    --------
    >>> round(float(loss_mmpp1k([1e-12, 2.0], [0.01, 0.02], 100)), 12)
    0.120196058615
    """
    pace = not_negative("rates", rates)
    moves = not_negative("switching", switching)
    if pace.ndim == 1 and pace.size == 2 and moves.shape == (2,):
        moves = np.array([[0.0, moves[0]], [moves[1], 0.0]])
    if pace.ndim != 1 or moves.shape != (pace.size, pace.size):
        raise ValueError(
            f"switching must have a row and a column for each of the rates, not shape {moves.shape}"
        )
    return loss_map1k(moves, np.diag(pace), capacity, service_time, service)


def _rates(silent_rates: ArrayLike, arrival_rates: ArrayLike) -> tuple[Array, Array]:
    arriving = not_negative("arrival_rates", arrival_rates)
    silent = np.array(silent_rates, dtype=np.float64)
    if silent.ndim != 2 or silent.shape[0] != silent.shape[1]:
        raise ValueError(f"silent_rates must be a square matrix, not shape {silent.shape}")
    np.fill_diagonal(silent, 0.0)
    not_negative("silent_rates", silent)
    if arriving.shape != silent.shape:
        raise ValueError(
            f"arrival_rates must have the shape of silent_rates {silent.shape}, "
            f"not {arriving.shape}"
        )
    if not np.any(arriving > 0.0):
        raise ValueError("arrival_rates must have a positive entry")
    reach = np.linalg.matrix_power(np.eye(len(silent)) + ((silent + arriving) > 0), len(silent))
    if not np.all(reach > 0.0):
        raise ValueError("silent_rates and arrival_rates must connect every phase with every other")
    return silent, arriving


def _solve(
    silent: Array, arriving: Array, capacity: int, mean: float, service: Law
) -> tuple[float, float]:
    """Loss and mean occupancy."""
    law = phases_of("service", service, mean)
    if law is None:
        raise ValueError(
            "service must be of phase type, not 'deterministic'; ('erlang', k) comes close"
        )
    m, p = len(silent), law.order
    if m * p > _MOST_PHASES:
        raise ValueError(f"service must leave at most {_MOST_PHASES} phases in all, not {m * p}")
    here, inside = np.eye(m), np.eye(p)
    up: Array = np.kron(arriving, inside).astype(np.float64)
    local: Array = (np.kron(silent, inside) + np.kron(here, law.rates)).astype(np.float64)
    first: Array = np.kron(arriving, law.start[None, :]).astype(np.float64)
    emptied: Array = np.kron(here, law.exits[:, None]).astype(np.float64)
    down: Array = np.kron(here, np.outer(law.exits, law.start)).astype(np.float64)
    levels = Levels(capacity, up, local, down, local + up)
    boundary = Boundary(silent, first, emptied)
    ends = np.tile(law.exits, m)
    one = np.ones(m * p)
    solution = solve_levels(
        levels,
        boundary,
        Weights(
            boundary=np.zeros((m, 2)),
            core=np.stack([ends, 0.0 * one], axis=-1),
            core_slope=np.stack([0.0 * one, one], axis=-1),
            core_top=np.stack([ends, capacity * one], axis=-1),
        ),
    )
    lost = float(solution.last @ np.repeat(arriving.sum(axis=1), p))
    served, present = solution.sums.tolist()
    return lost / (lost + served), float(present)
