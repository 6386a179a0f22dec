"""What is known of a machine before the lab measures it, and the machine made of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from capmodel.catalogue import expect, read_toml
from capmodel.constant import UNITS, Constant
from capmodel.errors import damaged_file
from capmodel.lab.waits import Waits
from capmodel.machine import Machine
from capmodel.wakeup_law import WakeupLaw

# log-spread of a cost that wait calls tell: what they leave open, and how the machine's pace moves
_TOLD = 0.1
_BY_WAITS = "sending calls and wait calls, matched"
FILE = Path(__file__).with_name("priors.toml")

_TOP: dict[str, type | tuple[type, ...]] = {
    "title": str, "cost": dict, "assumed": dict, "form": dict,
}  # fmt: skip
_COST: dict[str, type | tuple[type, ...]] = {
    "median": (int, float), "unit": str, "spread": (int, float), "pinned_by": str, "meaning": str,
    "most": (int, float), "by_law": bool, "group": str,
}  # fmt: skip
_ASSUMED: dict[str, type | tuple[type, ...]] = {"value": (int, float), "unit": str, "why": str}
_FORM: dict[str, type | tuple[type, ...]] = {
    "absolute": (int, float), "relative": (int, float), "floor": (int, float),
}  # fmt: skip


@dataclass(frozen=True)
class CostPrior:
    """A cost before the evidence: log-normal with this median [unit] and log-spread [-].

    `pinned_by` says which measurements bear on it, `meaning` what it is; `most` [unit] is a limit
    that it cannot exceed. A cost `by_law` is part of a law of wakeups where one was measured.
    Costs of a `group` bear on the same few measurements, and a fit moves them together, too. What
    was `told` was measured directly, before any fit.
    """

    name: str
    median: float
    unit: str
    spread: float
    pinned_by: str
    meaning: str
    most: float = math.inf
    by_law: bool = False
    group: str = ""
    told: bool = False

    def at(self, z: Any) -> Any:
        """The cost [unit] at standardised values, at most `most`."""
        return np.minimum(self.median * np.exp(self.spread * np.asarray(z)), self.most)

    @property
    def median_si(self) -> float:
        """Median in SI units."""
        return self.median * UNITS[self.unit]


@dataclass(frozen=True)
class FormError:
    """Error granted to the model's form: `absolute`, and `relative` to no less than `floor`."""

    absolute: float = 0.0
    relative: float = 0.0
    floor: float = 0.0

    def of(self, value: float) -> float:
        """Standard error for a measured value, in its unit."""
        return float(self.absolute + self.relative * max(abs(value), self.floor))


@dataclass(frozen=True)
class Priors:
    """Costs to be fitted, constants that are assumed, and the error granted to the form."""

    title: str
    costs: tuple[CostPrior, ...]
    assumed: tuple[Constant, ...]
    form: Mapping[str, FormError]
    law: WakeupLaw | None = None

    def informed(self, waits: Waits | None) -> Priors:
        """These priors where wait calls were measured, which say more of some costs than a fit can.

        Parameters
        ----------
        waits : Waits or None
            What was measured.

        Returns
        -------
        Priors
            With the law, narrow priors for its means, and without the costs that it stands for; the
            same object if the calls tell too little.
        """
        if waits is None:
            return self
        assumed = (*self.assumed, *waits.stalls())
        found = waits.measured()
        if found is None:
            return self if assumed == self.assumed else replace(self, assumed=assumed)
        told = {
            "wakeup": found.wakeup,
            "wakeup_latency": found.wakeup_latency,
            "waking_consumer": found.waking,
            "poll_call": found.poll_call,
        }
        costs = [
            replace(
                cost, median=value / UNITS[cost.unit], spread=_TOLD, told=True, pinned_by=_BY_WAITS
            )
            if (value := told.get(cost.name))
            else cost
            for cost in self.costs
            if not cost.by_law
        ]
        return replace(self, costs=tuple(costs), assumed=assumed, law=found.law)

    def machine(self, cores: int, ring: int = 256) -> Machine:
        """The machine before anything is measured: medians for values, nothing sampled.

        Parameters
        ----------
        cores : int
            Cores that kernel and consumers may use.
        ring : int
            The sender's virtual receive ring where none is chosen [slots].

        Returns
        -------
        Machine
        """
        fitted = [
            Constant(cost.name, cost.median, cost.unit, cost.median * cost.spread, "assumed",
                     "capmodel", f"before measuring: {cost.meaning}")
            for cost in self.costs
        ]  # fmt: skip
        card = Constant(
            "nic.veth.ring", float(ring), "slots", 0.0, "assumed", "capmodel",
            "default of the lab's virtual receive ring",
        )  # fmt: skip
        constants = {constant.name: constant for constant in (*fitted, *self.assumed, card)}
        return Machine(
            "lab", self.title, cores, MappingProxyType(constants), default_nic="veth",
            wakeup_law=self.law,
        )  # fmt: skip


@cache
def load_priors(path: Path = FILE) -> Priors:
    """The priors of a file.

    Parameters
    ----------
    path : Path
        The file; default: that of the package.

    Returns
    -------
    Priors

    Raises
    ------
    ValueError
        If it is damaged; the message names file and key.

    Examples
    --------
    >>> "wakeup" in [cost.name for cost in load_priors().costs]
    True
    """
    raw = read_toml(path)
    expect(raw, _TOP, path, "priors")
    costs = []
    for name, entry in raw["cost"].items():
        _complete(entry, _COST, path, f"cost.{name}", optional=("most", "by_law", "group"))
        if not entry["median"] > 0.0 or not entry["spread"] > 0.0:
            raise damaged_file(path, f"cost.{name}", "median and spread must be above 0")
        costs.append(CostPrior(name, **entry))
    assumed = []
    for name, entry in raw["assumed"].items():
        _complete(entry, _ASSUMED, path, f"assumed.{name}")
        assumed.append(
            Constant(name, entry["value"], entry["unit"], 0.0, "assumed", "capmodel", entry["why"])
        )
    form = {}
    for name, entry in raw["form"].items():
        expect(entry, _FORM, path, f"form.{name}")
        form[name] = FormError(**entry)
    return Priors(raw["title"], tuple(costs), tuple(assumed), MappingProxyType(form))


def _complete(
    entry: Mapping[str, Any],
    keys: Mapping[str, type | tuple[type, ...]],
    path: Path,
    where: str,
    optional: tuple[str, ...] = (),
) -> None:
    expect(entry, keys, path, where)
    for key in keys:
        if key not in entry and key not in optional:
            raise damaged_file(path, f"{where}.{key}", "missing")
