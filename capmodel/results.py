"""What a solver returns: rates by stage and where both cores' time goes; frozen and complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from capmodel.errors import unknown_choice
from capmodel.path import CapturePath, Number

REGIMES = ("unsaturated", "kernel", "consumer", "shared core", "buffer", "card")
STAGES = ("ring", "buffer")
LEAST_DROPS = 1e-9  # a packet in thirty years [1/s]: less is none, for people
INTERVAL_LEVEL = 0.9  # of the intervals that are printed [-]


class Distributions(Protocol):
    """What a solver knows beyond means, worked out when it is first asked for."""

    def sojourn_quantile(self, p: float) -> float:
        """Time within which a share p of the captured packets is done [s]."""
        ...

    def occupancy_quantile(self, p: float, stage: str) -> float:
        """Least number present that is not exceeded for a share p of the time [-]."""
        ...


@dataclass(frozen=True)
class Solution:
    """Rates, drops and core time of one path (or of a grid of paths, where fields are arrays).

    Attributes
    ----------
    path : CapturePath
        What was solved.
    solver : str
        Which solver spoke.
    exact : bool
        Whether it is exact for this path.
    accuracy : str
        Its stated error, in words.
    offered_rate, carried_rate : float or ndarray
        Offered, and delivered to each consumer [1/s].
    drops : mapping
        Drops by stage, ``ring`` and ``buffer`` [1/s]; offered = carried + their sum.
    wakeup_rate, poll_rate, interrupt_rate : float or ndarray
        Sleeping consumers woken, wait calls entered, receive interrupts [1/s].
    core_time : mapping of mappings
        For every core the share of its time per activity [-]; each core adds up to 1.
    ring_occupancy, buffer_occupancy : float or ndarray
        Mean packets waiting or in service in either stage [-].
    sojourn_time : float or ndarray
        Mean time of a captured packet from the ring to the end of its processing [s].
    regime : int or ndarray
        Index into ``REGIMES``: what limits.
    captured_std : float or ndarray
        Standard deviation of the captured share from run to run [-].
    distributions : Distributions, optional
        Where quantiles come from; None where a solver has means only.
    notes : tuple of str
        What the solver wants the reader to know.
    """

    path: CapturePath
    solver: str
    exact: bool
    accuracy: str
    offered_rate: Number
    carried_rate: Number
    drops: Mapping[str, Number]
    wakeup_rate: Number
    poll_rate: Number
    interrupt_rate: Number
    core_time: Mapping[str, Mapping[str, Number]]
    ring_occupancy: Number
    buffer_occupancy: Number
    sojourn_time: Number
    regime: Number
    captured_std: Number = 0.0
    notes: tuple[str, ...] = ()
    distributions: Distributions | None = field(default=None, repr=False, compare=False)

    @property
    def loss(self) -> Number:
        """Share of offered packets lost [-], from the drops, without cancellation."""
        return sum(self.drops.values(), start=np.float64(0.0)) / self.offered_rate

    @property
    def captured(self) -> Number:
        """Share of offered packets carried [-]."""
        return self.carried_rate / self.offered_rate

    @property
    def batch(self) -> Number:
        """Packets carried per wakeup [-]; infinite where nobody sleeps."""
        with np.errstate(divide="ignore", invalid="ignore"):
            processes = self.path.consumer.processes
            return np.where(
                np.asarray(self.wakeup_rate) > 0.0,
                np.asarray(self.carried_rate) * processes / self.wakeup_rate,
                np.inf,
            )

    @property
    def utilisation(self) -> dict[str, Number]:
        """Share of each core's time that is not idle [-]."""
        return {
            core: sum(share for activity, share in times.items() if activity != "idle")
            for core, times in self.core_time.items()
        }

    def sojourn_quantile(self, p: float) -> float:
        """Time within which a share p of the captured packets is done.

        Parameters
        ----------
        p : float
            Between 0 and 1, both excluded [-].

        Returns
        -------
        float
            From the arrival at the ring to the end of processing [s].

        Raises
        ------
        ValueError
            If p is not a probability, or this solver has no such distribution for this path; the
            message names one that has.

        Notes
        -----
        Of a packet as it arrives: what a Poisson packet finds is what is there on average, a
        packet of a burst finds the burst. The exact solver's are exact for its services; the
        decomposition takes the times in ring and buffer as independent (median within 10 %, the
        latest 1 % within 20 % of the exact chain, ring and buffer of 32 packets or more); the
        simulation's are means over replications.

        Examples
        --------
        >>> from capmodel import solve
        >>> path = CapturePath.single(rate=0.5, capacity=1, consumer_cost=2.0)
        >>> round(solve(path, "exact").sojourn_quantile(0.5), 9)  # one exponential service
        1.386294361
        """
        return self._known("sojourn_quantile").sojourn_quantile(_probability(p))

    def occupancy_quantile(self, p: float, stage: str = "buffer") -> float:
        """Least number n of packets with P(at most n present) >= p, over time.

        Parameters
        ----------
        p : float
            Between 0 and 1, both excluded [-].
        stage : {"ring", "buffer"}
            Where; the packet in service counts.

        Returns
        -------
        float
            Packets [-].

        Raises
        ------
        ValueError
            As :meth:`sojourn_quantile`; or if the stage is unknown.

        Examples
        --------
        >>> from capmodel import solve
        >>> path = CapturePath.single(rate=0.5, capacity=20, consumer_cost=1.0)
        >>> solve(path, "exact").occupancy_quantile(0.99, "ring")
        6.0
        """
        if stage not in STAGES:
            raise unknown_choice("stage", stage, STAGES)
        known = self._known("occupancy_quantile")
        return known.occupancy_quantile(_probability(p), stage)

    def _known(self, name: str) -> Distributions:
        if self.distributions is None:
            raise ValueError(
                f"{name}: the solver {self.solver!r} has means only for this path; ask one of "
                "'exact', 'decomposition' and 'simulation' that accepts it"
            )
        return self.distributions

    def as_floats(self) -> dict[str, Any]:
        """Every number as a float or list, for JSON."""

        def plain(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: plain(item) for key, item in value.items()}
            return np.asarray(value).tolist()

        names = (
            "offered_rate", "carried_rate", "captured", "loss", "drops", "wakeup_rate",
            "poll_rate", "interrupt_rate", "batch", "utilisation", "core_time",
            "ring_occupancy", "buffer_occupancy", "sojourn_time", "captured_std",
        )  # fmt: skip
        numbers = {name: plain(getattr(self, name)) for name in names}
        numbers["bottleneck"] = np.asarray(REGIMES, dtype=object)[np.asarray(self.regime)]
        if np.ndim(numbers["bottleneck"]) > 0:
            numbers["bottleneck"] = numbers["bottleneck"].tolist()
        return numbers


def _probability(p: float) -> float:
    if not 0.0 < p < 1.0:
        raise ValueError(f"p must lie between 0 and 1, both excluded, got {p!r}")
    return float(p)
