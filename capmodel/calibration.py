r"""Fitting the machines' costs to claims and measurements, by one likelihood.

A cost is log-normal a priori, :math:`c = m e^{s z}` with :math:`z \sim N(0, 1)`, median and spread
from published constants of its time (``data/priors``). Evidence multiplies this by

.. math::
    L = \prod_{claims} \Phi\!\left(\frac{\min_i \text{margin}_i}{\sigma_c}\right)
        \prod_{rows} \exp\!\left(-\frac{(\hat y - y)^2}{2(\epsilon^2 + (\delta y)^2)}\right)

where a claim's margin is how far, in percentage points, its tightest check is from failing,
:math:`\sigma_c` the spread of the paper's own repetitions, :math:`\epsilon` a row's measurement
error and :math:`\delta` the relative error granted to the model's form. A population drawn from the
prior is led to the posterior by sequential Monte Carlo (Del Moral, Doucet, Jasra, JRSS B 2006): the
likelihood is switched on in steps that keep half of the population effective, with resampling and
elliptical slice moves (Murray, Adams, MacKay, AISTATS 2010) after each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.catalogue import expect, read_toml
from capmodel.claims import Claim, claim_margins, load_claims
from capmodel.comparison import Comparison, comparisons, log_likelihood
from capmodel.constant import UNITS
from capmodel.data_files import data_folder
from capmodel.errors import damaged_file, unknown_choice
from capmodel.formulary._typing import Array
from capmodel.observe import Observer

BLOCK = 6  # costs moved together
NOISE = 3.5  # standard errors: the largest of a hundred chance correlations stays below
NEAR = 2.0  # percentage points: a claim that some member of a sample comes so near to bears on it
CLAIM_SIGMA = 1.0  # percentage points: a claim missed by this much is at the edge of plausible
_TARGET: dict[str, type | tuple[type, ...]] = {"claims": bool, "sets": list, "seed": int}
_PRIOR: dict[str, type | tuple[type, ...]] = {
    "median": (int, float), "unit": str, "spread": (int, float), "origin": str, "source": str,
    "locator": str,
}  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """What is known of a cost before the evidence: log-normal, median [unit] and log-spread [-]."""

    machine: str
    cost: str
    median: float
    unit: str
    spread: float
    source: str
    locator: str

    @property
    def median_si(self) -> float:
        """Median in SI units."""
        return self.median * UNITS[self.unit]


@dataclass(frozen=True)
class Problem:
    """Priors and evidence of one calibration."""

    name: str
    priors: tuple[Prior, ...]
    claims: tuple[Claim, ...]
    rows: tuple[Comparison, ...]
    seed: int = 1

    @property
    def machines(self) -> tuple[str, ...]:
        """Machines whose costs are fitted."""
        return tuple(dict.fromkeys(prior.machine for prior in self.priors))

    def without(self, left_out: Sequence[str]) -> Problem:
        """The same without some claims, by id."""
        kept = tuple(claim for claim in self.claims if claim.id not in left_out)
        return Problem(self.name, self.priors, kept, self.rows, self.seed)

    def values(self, z: Array) -> dict[str, dict[str, Array]]:
        """Costs in SI of standardised parameters, one row per member of a sample."""
        costs: dict[str, dict[str, Array]] = {machine: {} for machine in self.machines}
        for column, prior in enumerate(self.priors):
            costs[prior.machine][prior.cost] = prior.median_si * np.exp(prior.spread * z[:, column])
        return costs

    def claim_scores(self, z: Array) -> Array:
        """Tightest margin of every claim [points]: one row per claim, one column per member."""
        observer = Observer(self.values(z))
        scores = [np.min(claim_margins(claim, observer), axis=0) for claim in self.claims]
        # a share is 100 points: whatever lies further off is no worse evidence
        return np.stack([np.broadcast_to(np.clip(s, -100, 100), (len(z),)) for s in scores])

    def log_likelihood(self, z: Array) -> Array:
        """Logarithm of the evidence's likelihood, one value per member of a sample."""
        from scipy.special import log_ndtr

        total = np.zeros(len(z))
        if self.claims:
            total += log_ndtr(self.claim_scores(z) / CLAIM_SIGMA).sum(axis=0)
        if self.rows:
            total += log_likelihood(self.rows, Observer(self.values(z)))
        return np.where(np.isfinite(total), total, -np.inf)


def problem_names() -> tuple[str, ...]:
    """Names of the calibrations that the data define.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "braun2010" in problem_names()
    True
    """
    return tuple(sorted(path.stem for path in (data_folder() / "priors").glob("*.toml")))


def load_problem(name: str) -> Problem:
    """Priors and evidence of a calibration.

    Parameters
    ----------
    name : str
        A name from :func:`problem_names`.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        If the name is unknown or a file is damaged.

    Examples
    --------
    >>> load_problem("braun2010").machines
    ('braun_amd', 'braun_xeon')
    """
    if name not in problem_names():
        raise unknown_choice("calibration", name, problem_names())
    path = data_folder() / "priors" / f"{name}.toml"
    raw = read_toml(path)
    target = raw.pop("target", {})
    expect(target, _TARGET, path, "target")
    priors = []
    for machine, table in raw.items():
        for cost, entry in _flat(table):
            expect(entry, _PRIOR, path, f"{machine}.{cost}")
            for key in _PRIOR:
                if key not in entry:
                    raise damaged_file(path, f"{machine}.{cost}.{key}", "missing")
            priors.append(
                Prior(
                    machine,
                    cost,
                    float(entry["median"]),
                    entry["unit"],
                    float(entry["spread"]),
                    entry["source"],
                    entry["locator"],
                )
            )
    rows = tuple(
        item
        for data_set in target.get("sets", [])
        for item in comparisons(data_set)
        if item.row.role == "calibration" and item.machine in raw
    )
    claims = load_claims() if target.get("claims") else ()
    return Problem(name, tuple(priors), claims, rows, target.get("seed", 1))


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Dotted names of a table's priors (``totals.pf_ring.kernel`` stands three deep)."""
    found = []
    for name, entry in table.items():
        if "median" in entry:
            found.append((f"{prefix}{name}", entry))
        else:
            found += _flat(entry, f"{prefix}{name}.")
    return found


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


def folds(problem: Problem, count: int = 10) -> tuple[tuple[str, ...], ...]:
    """Claims to leave out together: every `count`-th, so that each stands in one fold.

    Parameters
    ----------
    problem : Problem
        The calibration.
    count : int
        Number of folds.

    Returns
    -------
    tuple of tuple of str
        Ids of the claims of each fold.
    """
    identifiers = [claim.id for claim in problem.claims]
    return tuple(tuple(identifiers[start::count]) for start in range(count))


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
