r"""Fitting a machine's costs to what the lab measured, by the solvers that `predict` uses.

Costs are log-normal a priori, :math:`c = m e^{s z}` with :math:`z \sim N(0, 1)`. The best point
minimises

.. math::
    \sum_i \rho\!\left(\frac{\hat y_i(z) - y_i}{\sqrt{\epsilon_i^2 + \delta_i^2}}\right)
    + \lVert z \rVert^2

with the measured error :math:`\epsilon`, the error :math:`\delta` granted to the model's form, and
a loss :math:`\rho` that is a square for small residuals and grows linearly for large ones, so that
a disturbed point does not decide. Deterministic paths lock into one orbit or another, and the sum
has as many valleys: it is searched by draws from the prior, of all costs and then of some of them
while the rest keep their best values, and of those of a group together, before the descent. Around
the best point the posterior is taken as normal in z with precision :math:`J^T J + 1` (Laplace),
widened by the residuals if they are larger than stated. All simulations use the same random
numbers, so that differences between costs are not noise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.constant import UNITS
from capmodel.formulary._typing import Array
from capmodel.lab.experiment import Experiment, PointResult
from capmodel.lab.model import MODELLED, path_of, shown
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import CostPrior, Priors
from capmodel.machine import Machine
from capmodel.path import CapturePath

LEVEL = 0.9  # of the intervals that are reported
_SCOUTS = 24  # prior draws of all costs tried before the descent
_TRIALS = 240  # and of some costs, or steps from the best values
_TOGETHER = 80  # and of each group of costs
_SHARES = (0.1, 0.25, 0.5)  # of the costs that a trial moves
_STRIDES = (0.05, 0.2, 0.5)  # of a trial's steps, in prior standard deviations
_STEP = 0.05  # of a derivative, in prior standard deviations
_OUTLIER = 2.0  # standard errors beyond which a residual counts linearly
_KEPT = 0.7  # posterior over prior spread from which on the data did not pin a cost down


@dataclass(frozen=True)
class Observation:
    """A measured quantity of a point, with its standard error."""

    point: LabPoint
    quantity: str
    value: float
    error: float


def observations(experiment: Experiment) -> tuple[Observation, ...]:
    """Medians of an experiment that the model predicts, with their errors.

    Parameters
    ----------
    experiment : Experiment
        The runs.

    Returns
    -------
    tuple of Observation

    Notes
    -----
    On a shared core other processes take the share that the kernel leaves: a point of which no run
    was calm there tells of them, and is left out. A handful of runs tells little about its own
    spread, so each point's error is taken half from its own runs and half from the median of all
    points (variances are averaged).
    """
    found = []
    for quantity in MODELLED:
        told = [r for r in experiment.results if _tells(r.point, quantity) and not _shared(r)]
        common = float(np.median([r.error(quantity) for r in told])) if told else 0.0
        for result in told:
            error = float(np.sqrt(0.5 * (result.error(quantity) ** 2 + common**2)))
            found.append(Observation(result.point, quantity, result.median(quantity), error))
    return tuple(found)


def _shared(result: PointResult) -> bool:
    return result.point.pinning == "same" and result.disturbed


def _tells(point: LabPoint, quantity: str) -> bool:
    """Whether model and lab count the same thing.

    Blocks are read without wait calls of their own per packet, and on a shared core a consumer that
    is preempted is switched away from without having gone to sleep.
    """
    return quantity == "captured" or (
        point.app is None and not point.receiver.blocks and point.pinning == "split"
    )


@dataclass(frozen=True)
class FittedCost:
    """A fitted cost in its prior's unit: value, 90 % interval, and whether the data pinned it."""

    prior: CostPrior
    value: float
    low: float
    high: float
    std: float
    kept: float  # posterior spread over prior spread [-]

    @property
    def pinned(self) -> bool:
        """Whether the measurements say more than was known before."""
        return self.prior.told or self.kept < _KEPT


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Attributes
    ----------
    priors : Priors
        What was known before.
    z : ndarray
        Best standardised costs.
    sample : ndarray
        Members of the posterior, one per row.
    observations : tuple of Observation
        What was fitted.
    fitted : ndarray
        The observations as the best costs predict them.
    kept : ndarray
        Posterior over prior spread of every cost [-].
    misfit : float
        Residuals over their stated errors, root mean square [-].
    """

    priors: Priors
    z: Array
    sample: Array
    observations: tuple[Observation, ...]
    fitted: Array
    kept: Array
    misfit: float

    @property
    def costs(self) -> tuple[FittedCost, ...]:
        """Every cost with its interval."""
        ends = np.quantile(self.sample, [0.5 * (1 - LEVEL), 0.5 * (1 + LEVEL)], axis=0)
        found = []
        for index, prior in enumerate(self.priors.costs):
            value, low, high = (
                float(prior.at(z)) for z in (self.z[index], ends[0, index], ends[1, index])
            )
            std = float(np.std(prior.at(self.sample[:, index])))
            found.append(FittedCost(prior, value, low, high, std, float(self.kept[index])))
        return tuple(found)

    def values(self) -> dict[str, float]:
        """Best costs in SI units."""
        return _values(self.priors, self.z)


def _values(priors: Priors, z: Array) -> dict[str, float]:
    return {
        cost.name: float(cost.at(value)) * UNITS[cost.unit]
        for cost, value in zip(priors.costs, z, strict=True)
    }


class _Predictor:
    """Simulates every point once per set of costs, and none twice whose path is the same."""

    def __init__(
        self, observed: Sequence[Observation], priors: Priors, machine: Machine, seed: int
    ) -> None:
        self.observed = tuple(observed)
        self.priors, self.machine, self.seed = priors, machine, seed
        self.points = tuple(dict.fromkeys(item.point for item in observed))
        self.row = {point: index for index, point in enumerate(self.points)}
        self.base: dict[int, tuple[CapturePath, dict[str, float]]] = {}

    def paths(self, z: Array) -> list[CapturePath]:
        values: Mapping[str, Any] = {**self.machine.values(), **_values(self.priors, z)}
        return [path_of(point, self.machine, values) for point in self.points]

    def __call__(self, z: Array, *, remember: bool = False) -> Array:
        paths = self.paths(z)
        with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
            found = list(pool.map(self._one, range(len(paths)), paths))
        if remember:
            self.base = dict(enumerate(zip(paths, found, strict=True)))
        return np.array([found[self.row[item.point]][item.quantity] for item in self.observed])

    def _one(self, index: int, path: CapturePath) -> dict[str, float]:
        known = self.base.get(index)
        if known is not None and known[0] == path:
            return known[1]
        return shown(path, seed=self.seed)


def fit(
    observed: Sequence[Observation],
    priors: Priors,
    *,
    cores: int = 2,
    members: int = 200,
    seed: int = 0,
    steps: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit a machine's costs.

    Parameters
    ----------
    observed : sequence of Observation
        What was measured.
    priors : Priors
        What is known before.
    cores : int
        Cores of the machine.
    members : int
        Size of the posterior sample.
    seed : int
        Of all random numbers; the same seed gives the same fit.
    steps : int
        Most steps of the descent.
    progress : callable, optional
        Called with the simulations of the whole design that are done, and how many there may be.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If there are fewer points than costs, or a point that the model does not have.
    """
    from scipy.optimize import least_squares

    count = len(priors.costs)
    if len({item.point for item in observed}) < 2:
        raise ValueError("a fit needs at least two measured points")
    predictor = _Predictor(observed, priors, priors.machine(cores), seed)
    measured = np.array([item.value for item in observed])
    sigma = np.array(
        [np.hypot(item.error, priors.form[item.quantity].of(item.value)) for item in observed]
    )
    groups = _groups(priors)
    done, most = 0, _SCOUTS + _TRIALS + _TOGETHER * len(groups) + steps * (count + 2) + count

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done, most), most)

    def residuals(z: Array) -> Array:
        tick()
        return np.concatenate([(predictor(z, remember=True) - measured) / sigma, z])

    def slopes(z: Array) -> Array:
        centre = predictor(z, remember=True)
        columns = []
        for index in range(count):
            moved = z.copy()
            moved[index] += _STEP
            columns.append((predictor(moved) - centre) / (_STEP * sigma))
            tick()
        return np.vstack([np.column_stack(columns), np.eye(count)])

    def price(z: Array, *, remember: bool = False) -> float:
        tick()
        return _price((predictor(z, remember=remember) - measured) / sigma) + float(z @ z)

    random = np.random.default_rng(np.random.SeedSequence([seed, count]))
    best = _searched(price, count, groups, random)
    found = least_squares(
        residuals, best, jac=slopes, method="trf", loss="soft_l1",
        f_scale=_OUTLIER, max_nfev=steps, x_scale=1.0, ftol=1e-3, xtol=1e-3,
    )  # fmt: skip
    # a descent by slopes may be led astray where the simulation jumps
    best = min(best, np.asarray(found.x), key=price)
    fitted = predictor(best, remember=True)
    own = (fitted - measured) / sigma
    jacobian = slopes(best)[:-count]
    # weights of the loss at the solution: outliers bear on the costs by less
    weights = (1.0 + (own / _OUTLIER) ** 2) ** -0.5
    precision = (jacobian * weights[:, None]).T @ jacobian + np.eye(count)
    freedom = max(len(observed) - count, 1)
    excess = max(float((weights * own**2).sum()) / freedom, 1.0)
    covariance = np.linalg.inv(precision)
    # where the residuals exceed their stated errors so do those of the costs, up to the prior's
    spread = np.minimum(np.sqrt(excess * np.diag(covariance)), 1.0)
    scale = spread / np.sqrt(np.diag(covariance))
    factor = np.linalg.cholesky(covariance) * scale[:, None]
    sample = best + random.standard_normal((members, count)) @ factor.T
    return Fit(
        priors, best, sample, predictor.observed, fitted, spread,
        float(np.sqrt(np.mean(own**2))),
    )  # fmt: skip


def _groups(priors: Priors) -> list[Array]:
    """For every group of costs which of them are in it."""
    names = dict.fromkeys(cost.group for cost in priors.costs if cost.group)
    return [np.array([cost.group == name for cost in priors.costs]) for name in names]


def _searched(
    price: Callable[..., float], count: int, groups: Sequence[Array], random: np.random.Generator
) -> Array:
    """Standardised costs that many draws leave as the best."""
    best = np.zeros(count)
    least = price(best, remember=True)
    for _ in range(_SCOUTS):
        z = random.standard_normal(count)
        found = price(z)
        if found < least:
            best, least = z, price(z, remember=True)

    moves: list[Array | None] = [None] * _TRIALS
    for group in groups:
        moves += [group] * _TOGETHER
    for move in moves:
        moved = random.random(count) < random.choice(_SHARES) if move is None else move
        draw = random.standard_normal(count)
        if random.random() < 0.5:
            draw = best + random.choice(_STRIDES) * draw
        z = np.where(moved, draw, best)
        found = price(z)
        if found < least:
            best, least = z, price(z, remember=True)
    return best


def _price(residual: Array) -> float:
    """Twice the soft_l1 loss of `scipy.optimize.least_squares`."""
    square = (residual / _OUTLIER) ** 2
    return float(_OUTLIER**2 * np.sum(2.0 * (np.sqrt(1.0 + square) - 1.0)))
