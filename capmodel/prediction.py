"""What `predict` returns: the numbers, their uncertainty, their reasons and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from capmodel.application import Application
from capmodel.assemble import Choices, assemble, constants_read
from capmodel.backend import Backend
from capmodel.constant import Constant
from capmodel.errors import unknown_choice
from capmodel.formulary.recovery import loss_in_stalls
from capmodel.machine import UNPUBLISHED, Machine
from capmodel.path import CapturePath
from capmodel.quantities import format_duration, format_interval, format_rate, format_share
from capmodel.references import reference
from capmodel.results import INTERVAL_LEVEL, LEAST_DROPS, REGIMES, Solution
from capmodel.workload import Workload

if TYPE_CHECKING:
    from capmodel.remedies import Remedy
    from capmodel.stalls import Survival

SAMPLE_SOLVER = "closed_form"  # the one that takes a whole sample at once
_SHARES = ("captured", "loss")
LIMITS = {"unsaturated": "nothing"}  # bottlenecks that would not read well after "limited by"
QUANTILES = (0.5, 0.99, 0.999)  # of the sojourn time, as printed
INTERVAL_QUANTITIES = (
    "captured", "loss", "carried_rate", "wakeup_rate", "poll_rate", "sojourn_time",
    "buffer_occupancy",
)  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """A prediction: complete, frozen, and aware of where it came from.

    Attributes
    ----------
    inputs : mapping
        The arguments of :func:`capmodel.predict`, as given.
    workload, application, backend, machine, choices
        What they were understood to mean.
    path : CapturePath
        The capture path that was solved.
    solution : Solution
        What the solver returned.
    warnings : tuple of str
        What limits the validity of this prediction.
    """

    inputs: Mapping[str, Any]
    workload: Workload
    application: Application
    backend: Backend
    machine: Machine
    choices: Choices
    path: CapturePath
    solution: Solution
    warnings: tuple[str, ...]

    @property
    def title(self) -> str:
        """The mechanism in words; with a driver other than its own, that one instead."""
        title, driver = self.backend.title, self.choices.driver
        if driver is None or driver == self.backend.driver:
            return title
        return f"{title.removesuffix(f', {self.backend.driver.upper()}')}, driver {driver}"

    @property
    def captured(self) -> float:
        """Share of offered packets that reach the application [-]."""
        return float(self.solution.captured)

    @property
    def loss(self) -> float:
        """Share of offered packets lost [-], computed from the drops."""
        return float(self.solution.loss)

    @property
    def offered_rate(self) -> float:
        """Packets offered [1/s]."""
        return float(self.solution.offered_rate)

    @property
    def carried_rate(self) -> float:
        """Packets delivered to each capture process [1/s]."""
        return float(self.solution.carried_rate)

    @property
    def drops(self) -> dict[str, float]:
        """Packets lost by stage, ``ring`` and ``buffer`` [1/s]."""
        return {stage: float(rate) for stage, rate in self.solution.drops.items()}

    @property
    def stall_loss(self) -> float:
        """Share lost at the ring while the kernel's core stands still [-]; comes on top of `loss`.

        What a calibration on the user's own machine has counted; 0 where nothing is known. At the
        mean rate, and as if the ring were free when a stall begins.
        """
        values = self.machine.values()
        if "stall_rate" not in values:
            return 0.0
        return float(loss_in_stalls(
            self.offered_rate, values["stall_rate"], values["stall_time"],
            float(self.path.kernel.ring),
        ))  # fmt: skip

    def drops_text(self, stage: str) -> str:
        """Drops of a stage for people to read; less than a packet in thirty years is none."""
        rate = self.drops[stage]
        return format_rate(rate if rate >= LEAST_DROPS else 0.0)

    @property
    def wakeup_rate(self) -> float:
        """Sleeping consumers woken by the kernel [1/s]."""
        return float(self.solution.wakeup_rate)

    @property
    def poll_rate(self) -> float:
        """Wait calls entered (poll, read or sleep) [1/s]."""
        return float(self.solution.poll_rate)

    @property
    def interrupt_rate(self) -> float:
        """Receive interrupts [1/s]."""
        return float(self.solution.interrupt_rate)

    @property
    def batch(self) -> float:
        """Packets per wakeup [-]; infinite where nobody sleeps."""
        return float(self.solution.batch)

    @property
    def utilisation(self) -> dict[str, float]:
        """Share of each core's time that is busy [-]."""
        return {core: float(share) for core, share in self.solution.utilisation.items()}

    @property
    def core_time(self) -> dict[str, dict[str, float]]:
        """Share of each core's time by activity [-]; each core adds up to 1."""
        return {
            core: {activity: float(share) for activity, share in times.items()}
            for core, times in self.solution.core_time.items()
        }

    @property
    def bottleneck(self) -> str:
        """What limits: unsaturated, kernel, consumer, shared core, buffer or card."""
        return REGIMES[int(self.solution.regime)]

    @property
    def sojourn_time(self) -> float:
        """Mean time from the ring until the application is done with a packet [s]."""
        return float(self.solution.sojourn_time)

    def sojourn_quantile(self, p: float) -> float:
        """Time [s] within which a share p of the captured packets is done.

        Parameters
        ----------
        p : float
            Between 0 and 1, both excluded [-].

        Returns
        -------
        float
            [s]

        Raises
        ------
        ValueError
            If the solver has means only; the message names one that has quantiles.
        """
        return self.solution.sojourn_quantile(p)

    def occupancy_quantile(self, p: float, stage: str = "buffer") -> float:
        """Number of packets [-] that a stage does not exceed for a share p of the time.

        Parameters
        ----------
        p : float
            Between 0 and 1, both excluded [-].
        stage : {"ring", "buffer"}
            Where.

        Returns
        -------
        float
            [-]

        Raises
        ------
        ValueError
            As :meth:`sojourn_quantile`.
        """
        return self.solution.occupancy_quantile(p, stage)

    @cached_property
    def sojourn_quantiles(self) -> dict[str, float]:
        """The median and the latest 1 % and 0.1 % of the sojourn time [s]; empty if not known."""
        try:
            return {f"p{100 * p:g}": self.sojourn_quantile(p) for p in QUANTILES}
        except ValueError:
            return {}

    @property
    def buffer_occupancy(self) -> float:
        """Mean packets in the buffer [-]."""
        return float(self.solution.buffer_occupancy)

    @property
    def captured_std(self) -> float:
        """Standard deviation of the captured share from run to run [-]."""
        return float(self.solution.captured_std)

    @property
    def solver(self) -> str:
        """Name of the solver that spoke."""
        return self.solution.solver

    @property
    def exact(self) -> bool:
        """Whether that solver is exact for this path."""
        return self.solution.exact

    @property
    def accuracy(self) -> str:
        """The solver's stated error."""
        return self.solution.accuracy

    @cached_property
    def _sampled(self) -> Solution | None:
        """The same path in closed form for the machine's whole posterior sample at once."""
        from capmodel.solvers import solve

        if not self.machine.samples:
            return None
        path = assemble(
            self.workload, self.application, self.backend, self.machine, self.choices,
            self.machine.sampled_values(),
        )  # fmt: skip
        return solve(path, SAMPLE_SOLVER)

    def _shift(self, quantity: str) -> float:
        """What the prediction's own solver adds to the closed form at the point values."""
        from capmodel.solvers import solve

        if self.solver == SAMPLE_SOLVER:
            return 0.0
        plain = solve(self.path, SAMPLE_SOLVER)
        return float(getattr(self.solution, quantity)) - float(getattr(plain, quantity))

    def samples(self, quantity: str = "captured") -> np.ndarray[Any, np.dtype[np.float64]]:
        """The quantity for every member of the machine's posterior sample.

        The sample is solved in closed form; where another solver made the prediction, its
        difference from the closed form is added.

        Parameters
        ----------
        quantity : str
            One of ``INTERVAL_QUANTITIES``.

        Returns
        -------
        ndarray
            One value per member; a single one if the machine has no posterior.

        Raises
        ------
        ValueError
            If the quantity is unknown.
        """
        if quantity not in INTERVAL_QUANTITIES:
            raise unknown_choice("quantity", quantity, INTERVAL_QUANTITIES)
        sampled = self._sampled
        if sampled is None:
            return np.array([float(getattr(self.solution, quantity))])
        length = len(next(iter(self.machine.samples.values())))
        values = np.asarray(getattr(sampled, quantity), dtype=np.float64)
        shifted = np.maximum(np.broadcast_to(values, (length,)) + self._shift(quantity), 0.0)
        return np.minimum(shifted, 1.0) if quantity in _SHARES else shifted

    def interval(
        self, quantity: str = "captured", level: float = INTERVAL_LEVEL
    ) -> tuple[float, float]:
        """Central credible interval of a quantity under the machine's posterior.

        Parameters
        ----------
        quantity : str
            One of ``INTERVAL_QUANTITIES``.
        level : float
            Probability inside, between 0 and 1 [-].

        Returns
        -------
        tuple of float
            Lower and upper end, in the unit of the quantity; both are the value itself where the
            machine has no posterior. The solver's own error is not in it (see `accuracy`).

        Raises
        ------
        ValueError
            If the quantity is unknown or the level is not inside (0, 1).
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        values = self.samples(quantity)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    @property
    def constants(self) -> dict[str, Constant]:
        """The machine's constants that went into this prediction, by name."""
        names = constants_read(
            self.workload, self.application, self.backend, self.machine, self.choices
        )
        return {name: self.machine.constants[name] for name in names}

    def references(self) -> list[str]:
        """The works behind mechanism, application and costs, one line each.

        Returns
        -------
        list of str
            Citations with the place in the work, in the order mechanism, application, costs.
        """
        lines: dict[str, None] = {}
        for source in self.backend.sources:
            lines[f"{reference(source.source).text()} [{source.locator}]"] = None
        if self.application.source != "capmodel":
            text = reference(self.application.source).text()
            lines[f"{text} [{self.application.locator}]"] = None
        for name, constant in self.constants.items():
            if constant.source not in UNPUBLISHED:
                lines[f"{reference(constant.source).text()} [{constant.locator}] for {name}"] = None
        return list(lines)

    def survives(
        self,
        stall: float | str | None = None,
        burst: tuple[float | str, float | str] | None = None,
    ) -> Survival:
        """Whether the set-up gets over a stall of the consumer, or a burst, without loss.

        Parameters
        ----------
        stall : float or str, optional
            For how long the consumer stands still [s], as "5ms".
        burst : pair, optional
            Rate [1/s] and length [s] of a burst, as ("2Mpps", "10ms"); give one of the two.

        Returns
        -------
        Survival
            With the probability of no loss, the loss, the longest that is survived, and the time
            until the backlog is gone. See :func:`capmodel.stalls.survives`.
        """
        from capmodel.stalls import survives

        return survives(self, stall, burst)

    def explain(self) -> str:
        """Why, in plain sentences: what limits, who pays for wakeups, what would help.

        Returns
        -------
        str
            A few paragraphs.
        """
        from capmodel.explain import explain

        return explain(self)

    def remedies(self) -> tuple[Remedy, ...]:
        """Changes of one argument that capture noticeably more, the best first.

        Returns
        -------
        tuple of Remedy
            Each with the arguments as typed, the captured share and its interval. See
            :func:`capmodel.remedies.remedies`.
        """
        from capmodel.remedies import remedies

        return remedies(self)

    def to_dict(self) -> dict[str, Any]:
        """Inputs, results, interval and provenance as plain Python values, ready for JSON.

        Returns
        -------
        dict
        """
        low, high = self.interval()
        return {
            "inputs": {key: _plain(value) for key, value in self.inputs.items()},
            "title": self.title,
            **self.solution.as_floats(),
            "sojourn_quantiles": dict(self.sojourn_quantiles),
            "captured_interval": {"level": INTERVAL_LEVEL, "low": low, "high": high},
            "stall_loss": self.stall_loss,
            "solver": self.solver,
            "exact": self.exact,
            "accuracy": self.accuracy,
            "warnings": list(self.warnings),
            "references": self.references(),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The main numbers as pairs of label and text, for tables."""
        low, high = self.interval()
        band = (
            f"  (90 %: {format_interval(low, high, self.captured)})" if self.machine.samples else ""
        )
        rows = [
            ("offered", format_rate(self.offered_rate)),
            ("captured", format_share(self.captured) + band),
            ("carried", format_rate(self.carried_rate)),
            ("dropped at the ring", self.drops_text("ring")),
            ("dropped at the buffer", self.drops_text("buffer")),
            *_stalls(self),
            ("wakeups", format_rate(self.wakeup_rate).replace("pps", "/s")),
            ("wait calls", format_rate(self.poll_rate).replace("pps", "/s")),
            *(
                (f"{core} core busy", format_share(round(share, 6)))
                for core, share in self.utilisation.items()
            ),
            ("sojourn time", format_duration(self.sojourn_time)),
            *(
                (f"sojourn time {name}", format_duration(time))
                for name, time in self.sojourn_quantiles.items()
            ),
            ("limited by", LIMITS.get(self.bottleneck, self.bottleneck)),
        ]  # fmt: skip
        if self.choices.pinning == "auto":
            rows.insert(2, ("spread between runs", f"{100 * self.captured_std:.1f} % (1 sd)"))
        return rows

    def __str__(self) -> str:
        width = max(len(label) for label, _ in self.summary())
        head = f"{self.title}\non {self.machine.title}, {self.application.title}"
        lines = [f"  {label:<{width}}  {text}" for label, text in self.summary()]
        return "\n".join([head, *lines, *(f"  warning: {text}" for text in self.warnings)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th><td>{escape(text)}</td></tr>"
            for label, text in self.summary()
        )
        notes = "".join(f"<p>Warning: {escape(text)}</p>" for text in self.warnings)
        title = f"{escape(self.title)}<br>on {escape(self.machine.title)}"
        return f"<table><caption>{title}</caption>{rows}</table>{notes}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):  # before float: np.float64 is one
        return value.tolist()
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value)


def _stalls(prediction: Prediction) -> list[tuple[str, str]]:
    """What is lost besides, on a machine whose stalls were counted."""
    share = prediction.stall_loss
    return [("lost in stalls", f"{format_share(share)} besides")] if share > 0.0 else []
