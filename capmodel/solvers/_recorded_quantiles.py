"""Quantiles of a simulated path, from packets and moments on record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from capmodel.numerics.gth import Array
from capmodel.path import CapturePath


@dataclass(frozen=True)
class RecordedQuantiles:
    """Means over replications of their quantiles; the path is simulated again when first asked.

    The record is kept by the event list, so the random numbers are others than those of a solution
    that the recursion found.
    """

    path: CapturePath
    packets: int
    replications: int

    def sojourn_quantile(self, p: float) -> float:
        """Time within which a share p of the captured packets is done [s]."""
        return float(np.mean(self._sojourns(p)))

    def occupancy_quantile(self, p: float, stage: str) -> float:
        """Least number not exceeded for a share p of the time [-], all replications together."""
        time = sum(getattr(record, stage) for record in self._records)
        summed = np.cumsum(time)
        return float(np.searchsorted(summed, p * summed[-1] * (1.0 - 1e-12)))

    def half_width(self, p: float) -> float:
        """Half-width of the 95 % confidence interval of a sojourn quantile [s]."""
        from scipy.special import stdtrit

        found = self._sojourns(p)
        factor = float(stdtrit(len(found) - 1, 0.975)) / math.sqrt(len(found))
        return factor * float(np.std(found, ddof=1))

    @property
    def mean_sojourn(self) -> float:
        """Mean time of a captured packet [s]."""
        return float(np.mean([stays.mean() for stays in self._stays]))

    def _sojourns(self, p: float) -> Array:
        return np.array([np.quantile(stays, p, method="inverted_cdf") for stays in self._stays])

    @cached_property
    def _stays(self) -> list[Array]:
        stays = [np.sort(record.stays[: record.seen[0]]) for record in self._records]
        if any(len(one) == 0 for one in stays):
            raise ValueError("sojourn_quantile: no packet was captured in some replication")
        return stays

    @cached_property
    def _records(self) -> list[Any]:
        from capmodel.simulation.run import recorded

        return list(recorded(self.path, packets=self.packets, replications=self.replications))
