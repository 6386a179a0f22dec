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

from collections.abc import Sequence
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
