"""Sampling a calibration's posterior, and what the sample says of its claims.

A population drawn from the prior is led to the posterior by sequential Monte Carlo; see
:mod:`capmodel.calibration` for the likelihood and the references.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.calibration import Problem
from capmodel.formulary._typing import Array

BLOCK = 6  # costs moved together
NOISE = 3.5  # standard errors: the largest of a hundred chance correlations stays below
NEAR = 2.0  # percentage points: a claim that some member of a sample comes so near to bears on it


@dataclass(frozen=True)
class Posterior:
    """A sample of standardised parameters under prior and evidence."""

    problem: Problem
    z: Array  # (members, costs)
    log_likelihood: Array
    log_evidence: float  # of the likelihood under the prior
    point: Array  # (costs,): the machine's point values


def sample_posterior(
    problem: Problem,
    *,
    members: int = 200,
    moves: int = 1,
    final_moves: int = 25,
    seed: int = 2010,
    start: Array | None = None,
    progress: Callable[[float], None] | None = None,
) -> Posterior:
    """Sample the posterior by sequential Monte Carlo with elliptical slice moves.

    Parameters
    ----------
    problem : Problem
        Priors and evidence.
    members : int
        Size of the population, and of the sample that is returned.
    moves, final_moves : int
        Sweeps of slice moves over all costs of every member per stage, and after the last.
    seed : int
        Seed; the same seed gives the same sample on the same platform.
    start : ndarray, optional
        A population under similar evidence (one claim less, say), from which only the final sweeps
        are made; default: the prior and all stages. The log-evidence is then not a number.
    progress : callable, optional
        Called after every move with the share of the likelihood switched on.

    Returns
    -------
    Posterior
    """
    random = np.random.default_rng(np.random.SeedSequence(seed))
    z = random.standard_normal((members, len(problem.priors))) if start is None else start
    level = problem.log_likelihood(z)
    power, evidence = 0.0, 0.0
    if start is not None:
        power, evidence = 1.0, float("nan")
        for _ in range(final_moves):
            z, level = _sweep(problem, z, level, power, random)
            if progress is not None:
                progress(power)
    while power < 1.0:
        following = _next_power(level, power)
        weight = (following - power) * (level - level.max())
        evidence += float(np.log(np.mean(np.exp(weight))) + (following - power) * level.max())
        share = np.exp(weight)
        chosen = _systematic(share / share.sum(), random)
        z, level, power = z[chosen], level[chosen], following
        for _ in range(moves if power < 1.0 else final_moves):
            z, level = _sweep(problem, z, level, power, random)
            if progress is not None:
                progress(power)
    point = central_point(problem, z) if problem.claims else None
    if point is None:
        best = z[np.argmax(level - 0.5 * (z**2).sum(axis=1))]
        point = posterior_mode(problem, np.vstack([best, z.mean(axis=0)]))
    return Posterior(problem, z, level, evidence, point)


def central_point(problem: Problem, z: Array) -> Array | None:
    """Costs as central in a sample as its claims allow.

    A posterior's mode lies in a corner of the region that the claims leave, outside most of the
    sample. This starts from the member nearest to the sample's mean of those that meet every claim,
    and moves one cost after the other to its mean where every claim still holds (with a third of a
    point to spare, or what there was).

    Parameters
    ----------
    problem : Problem
        Priors and evidence.
    z : ndarray
        A sample of standardised costs.

    Returns
    -------
    ndarray or None
        The point; None if no member meets every claim.
    """
    meets = (problem.claim_scores(z) > 0.0).all(axis=0)
    if not meets.any():
        return None
    mean = z.mean(axis=0)
    distance = np.where(meets, (((z - mean) / z.std(axis=0)) ** 2).sum(axis=1), np.inf)
    point = np.array(z[np.argmin(distance)])
    spare = np.minimum(problem.claim_scores(point[None, :])[:, 0], 1.0 / 3.0)
    for column in np.argsort(-np.abs(point - mean)):
        trial = point.copy()
        trial[column] = mean[column]
        if np.all(problem.claim_scores(trial[None, :])[:, 0] >= spare):
            point = trial
    return point


def posterior_mode(problem: Problem, starts: Array) -> Array:
    """Most probable standardised costs.

    Parameters
    ----------
    problem : Problem
        Priors and evidence.
    starts : ndarray
        Points to climb from, one per row. Claims make the posterior's surface kinked: the climb
        needs starts that meet them already, such as members of a sample.

    Returns
    -------
    ndarray
        The best point found (L-BFGS with differences taken in one call per step).
    """
    from scipy.optimize import minimize

    size, step = len(problem.priors), 1e-4

    def negative(points: Array) -> Any:
        return 0.5 * (points**2).sum(axis=1) - problem.log_likelihood(points)

    def with_gradient(point: Array) -> tuple[float, Array]:
        values = negative(np.vstack([point, point + step * np.eye(size)]))
        return float(values[0]), (values[1:] - values[0]) / step

    found = [
        minimize(
            with_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-6.0, 6.0)] * size,
            options={"maxiter": 200},
        )
        for start in starts
    ]
    return np.asarray(min(found, key=lambda result: float(result.fun)).x)


def _next_power(level: Array, power: float) -> float:
    """Largest power of the likelihood that leaves half of the population effective."""

    def effective(following: float) -> float:
        share = np.exp((following - power) * (level - level.max()))
        return float(share.sum() ** 2 / (share**2).sum())

    low, high = power, 1.0
    if effective(1.0) >= 0.5 * len(level):
        return 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= 0.5 * len(level) else (low, middle)
    return max(low, power + 1e-9)


def _systematic(weight: Array, random: np.random.Generator) -> Any:
    """Indices drawn with the given probabilities, spread evenly (systematic resampling)."""
    places = (random.uniform() + np.arange(len(weight))) / len(weight)
    return np.minimum(np.searchsorted(np.cumsum(weight), places), len(weight) - 1)


def _sweep(
    problem: Problem, z: Array, level: Array, power: float, random: np.random.Generator
) -> tuple[Array, Array]:
    """One elliptical slice move per block of costs, the blocks drawn anew.

    The prior factorises, so a block's conditional prior is normal too: a few costs at a time turn
    far on their ellipse where all of them together would hardly move.
    """
    order = random.permutation(z.shape[1])
    for block in np.array_split(order, max(1, -(-z.shape[1] // BLOCK))):
        z, level = _slice_move(problem, z, level, power, block, random)
    return z, level


def _slice_move(
    problem: Problem,
    z: Array,
    level: Array,
    power: float,
    block: Any,
    random: np.random.Generator,
) -> tuple[Array, Array]:
    """One elliptical slice move of a block of costs of every member."""
    members = len(z)
    other = random.standard_normal((members, len(block)))
    threshold = power * level + np.log(random.uniform(size=members))
    angle = random.uniform(0.0, 2.0 * np.pi, size=members)
    low, high = angle - 2.0 * np.pi, angle.copy()
    new_z, new_level = z.copy(), level.copy()
    active = np.arange(members)
    while active.size:
        turn = angle[active][:, None]
        trial = z[active].copy()
        trial[:, block] = trial[:, block] * np.cos(turn) + other[active] * np.sin(turn)
        found = problem.log_likelihood(trial)
        good = power * found > threshold[active]
        new_z[active[good]], new_level[active[good]] = trial[good], found[good]
        active = active[~good]
        low[active] = np.where(angle[active] < 0.0, angle[active], low[active])
        high[active] = np.where(angle[active] >= 0.0, angle[active], high[active])
        angle[active] = random.uniform(low[active], high[active])
    return new_z, new_level


def pinned_by(posterior: Posterior, most: int = 3) -> dict[str, list[tuple[str, str, float]]]:
    """Which costs each claim pins: those that its margin hangs on.

    Parameters
    ----------
    posterior : Posterior
        A sample under all claims.
    most : int
        Costs named per claim.

    Returns
    -------
    dict
        For each claim the costs whose correlation with its margin over the sample is largest and
        beyond `NOISE` standard errors of chance: (machine, cost, correlation). A positive one means
        that the claim keeps the cost from being small. Empty where the claim is never near failing
        (no member of the sample within `NEAR` points).
    """
    problem, z = posterior.problem, posterior.z
    standard = (z - z.mean(axis=0)) / z.std(axis=0)
    found: dict[str, list[tuple[str, str, float]]] = {}
    for claim, score in zip(problem.claims, problem.claim_scores(z), strict=True):
        spread = score.std()
        if spread <= 1e-9 or score.min() > NEAR:
            found[claim.id] = []
            continue
        correlation = (score - score.mean()) / spread @ standard / len(z)
        found[claim.id] = [
            (problem.priors[index].machine, problem.priors[index].cost, float(correlation[index]))
            for index in np.argsort(-np.abs(correlation))[:most]
            if abs(correlation[index]) > NOISE / np.sqrt(len(z))
        ]
    return found
