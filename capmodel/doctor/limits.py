"""From where on the doctor speaks: thresholds with their sources, and two costs of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from capmodel.catalogue import read_toml
from capmodel.constant import Constant
from capmodel.errors import unknown_choice
from capmodel.machine import Machine


@cache
def thresholds() -> Mapping[str, Constant]:
    """The package's thresholds by name.

    Returns
    -------
    mapping of str to Constant

    Examples
    --------
    >>> thresholds()["buffer_time"].si
    0.01
    """
    path = Path(str(files("capmodel").joinpath("doctor", "thresholds.toml")))
    entries = read_toml(path)
    return MappingProxyType(
        {name: Constant.from_toml(name, entry, file=path) for name, entry in entries.items()}
    )


@dataclass(frozen=True)
class Limits:
    """Thresholds in SI, and what a wakeup and an interrupt cost on the machine that is assumed.

    Attributes
    ----------
    values : mapping of str to float
        Thresholds by name [SI].
    wakeup, interrupt : float or None
        Kernel time to signal a sleeping consumer, and of one interrupt [s]; None if that machine
        has no such cost.
    """

    values: Mapping[str, float]
    wakeup: float | None = None
    interrupt: float | None = None

    def __getitem__(self, name: str) -> float:
        return self.values[name]


def limits(machine: Machine, changed: Mapping[str, float] | None = None) -> Limits:
    """Thresholds, some perhaps changed, and the costs of a machine.

    Parameters
    ----------
    machine : Machine
        Whose costs.
    changed : mapping of str to float, optional
        Other thresholds [SI].

    Returns
    -------
    Limits

    Raises
    ------
    ValueError
        If a threshold is unknown or negative.

    Examples
    --------
    >>> from capmodel.machine import load_machine
    >>> limits(load_machine("braun_amd"), {"steal_share": 0.5})["steal_share"]
    0.5
    """
    known = {name: constant.si for name, constant in thresholds().items()}
    for name, value in (changed or {}).items():
        if name not in known:
            raise unknown_choice("threshold", name, known)
        if not value >= 0.0:
            raise ValueError(f"threshold {name!r} must be at least 0, got {value!r}")
        known[name] = float(value)
    costs = machine.values()
    return Limits(MappingProxyType(known), costs.get("wakeup"), costs.get("interrupt"))
