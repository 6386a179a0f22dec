"""Quantiles that closed forms know: one consumer that reads what arrives and never sleeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capmodel.formulary import occupancy_quantile_mg1k, sojourn_time_quantile_mm1k
from capmodel.formulary._phases import Law
from capmodel.path import CapturePath

_MOST = 1_000_000


@dataclass(frozen=True)
class PlainQuantiles:
    """M/G/1/K, or D/D/1 below load 1."""

    path: CapturePath
    law: Law

    def occupancy_quantile(self, p: float, stage: str) -> float:
        """Least number not exceeded for a share p of the time [-]."""
        path = self.path
        if stage != ("ring" if path.buffer.kind == "ring" else "buffer"):
            return 0.0
        if path.arrivals.process == "cbr":
            return float(p > 1.0 - self._load)
        return float(occupancy_quantile_mg1k(p, self._load, path.buffer.capacity, self.law))

    def sojourn_quantile(self, p: float) -> float:
        """Time within which a share p of the captured packets is done [s]."""
        path, cost = self.path, float(self.path.consumer.cost)
        if path.arrivals.process == "cbr":
            return cost  # nobody waits
        if self.law != "exponential":
            raise ValueError(
                "sojourn_quantile: the closed forms know that of exponential services only; "
                "solver='simulation' has these quantiles"
            )
        return float(sojourn_time_quantile_mm1k(p, self._load, path.buffer.capacity, cost))

    @property
    def _load(self) -> float:
        return float(self.path.arrivals.rate) * float(self.path.consumer.cost)


def plain_quantiles(path: CapturePath) -> PlainQuantiles | None:
    """The quantiles of a path that is one such queue; None for any other."""
    arrivals, consumer, wakeup = path.arrivals, path.consumer, path.wakeup
    numbers = (
        arrivals.rate,
        consumer.cost,
        consumer.scv,
        path.buffer.capacity,
        path.kernel.cost,
        consumer.processes,
    )
    # most paths sleep, and closed forms are asked for many
    if wakeup.policy != "spin" or any(np.ndim(number) > 0 for number in numbers):
        return None
    one = path.cores.pinning == "split" and path.on_full == "drop" and consumer.processes == 1
    direct = path.kernel.cost == 0.0 and path.buffer.kind in ("ring", "slots")
    size = float(path.buffer.capacity)
    if not (one and direct and consumer.cost > 0.0 and size.is_integer() and size <= _MOST):
        return None
    if arrivals.process == "cbr" and arrivals.scv == consumer.scv == 0.0:
        steady = float(arrivals.rate) * float(consumer.cost) < 1.0
        return PlainQuantiles(path, "deterministic") if steady else None
    laws: dict[float, Law] = {0.0: "deterministic", 1.0: "exponential"}
    law = laws.get(float(consumer.scv))
    if arrivals.process == "poisson" and arrivals.scv == 1.0 and law is not None:
        return PlainQuantiles(path, law)
    return None
