"""The capture path as the solvers see it: costs in seconds, sizes in packets, no names, no units.

Every number may be a float or a numpy array; arrays broadcast against each other, so one path can
stand for a whole grid. The parts hold no mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from capmodel.numerics.arrival_process import MAP
from capmodel.wakeup_law import WakeupLaw

Number = Any  # float or ndarray; numpy's own ArrayLike also admits strings and nested lists

ARRIVAL_PROCESSES = ("cbr", "poisson", "on_off", "map")
WAIT_POLICIES = ("poll", "spin", "sleep", "yield", "rotation", "block", "read")
BUFFER_KINDS = ("slots", "double", "blocks", "ring")
DRIVER_MODES = ("napi", "interrupt", "moderated", "polling", "thread")
PINNINGS = ("same", "split", "auto")
ON_FULL = ("drop", "block")
PARTS = ("arrivals", "kernel", "buffer", "consumer", "wakeup", "cores")


def _check(part: object, positive: tuple[str, ...], nonnegative: tuple[str, ...]) -> None:
    """Refuse NaN, infinities and values out of range, naming the part's field."""
    fields = vars(part)
    for name in positive:
        value = fields[name]
        # single numbers are the common case, without numpy's overhead; NaN fails
        if not (value > 0.0 if isinstance(value, float) else np.all(_floats(value) > 0.0)):
            raise ValueError(f"{type(part).__name__}.{name} must be positive, got {value!r}")
    for name in nonnegative:
        value = fields[name]
        if not (value >= 0.0 if isinstance(value, float) else np.all(_floats(value) >= 0.0)):
            raise ValueError(f"{type(part).__name__}.{name} must be not negative, got {value!r}")


def _floats(value: Any) -> Any:
    return np.asarray(value, dtype=np.float64)


def _choose(part: object, name: str, options: tuple[str, ...]) -> None:
    if getattr(part, name) not in options:
        from capmodel.errors import unknown_choice

        raise unknown_choice(name, getattr(part, name), options)


@dataclass(frozen=True)
class Arrivals:
    """What is offered: mean rate [1/s], process, burst lengths [s], length of the run [s].

    `scv` is the squared coefficient of variation of interarrival times within a burst. For
    ``on_off`` the packets come at ``rate (on + off)/on`` during bursts of mean length `on`;
    `random_bursts` says whether burst and gap lengths are exponential or fixed. ``map`` is a
    Markovian arrival process, `phases`, its time stretched until its rate is `rate`; `scv` is then
    that of the process.
    """

    rate: Number
    process: Literal["cbr", "poisson", "on_off", "map"] = "cbr"
    scv: Number = 0.0
    on: Number = 0.0
    off: Number = 0.0
    random_bursts: bool = True
    duration: Number = np.inf
    phases: MAP | None = None

    def __post_init__(self) -> None:
        _choose(self, "process", ARRIVAL_PROCESSES)
        _check(self, ("rate", "duration"), ("scv", "on", "off"))
        if (self.process == "map") != isinstance(self.phases, MAP):
            raise ValueError(
                "Arrivals.phases must be a MAP exactly when the process is 'map', "
                f"got {self.phases!r} with process {self.process!r}"
            )
        if self.phases is not None:
            object.__setattr__(self, "scv", self.phases.scv)

    @property
    def peak_rate(self) -> Number:
        """Rate while a burst lasts [1/s]."""
        if self.phases is not None:
            return self.rate * (self.phases.peak_rate / self.phases.rate)
        if self.process != "on_off":
            return self.rate
        return self.rate * (self.on + self.off) / self.on


@dataclass(frozen=True)
class Driver:
    """How the card gets the kernel's attention.

    `interrupt_cost` [s] is paid per interrupt; `throttle` [1/s] caps interrupts (moderation);
    `tick` [1/s] and `budget` [packets] describe device polling. `bus_rate` [1/s] is the most
    packets that the bus between card and memory carries.
    """

    mode: str = "napi"
    interrupt_cost: Number = 0.0
    throttle: Number = np.inf
    tick: Number = np.inf
    budget: Number = np.inf
    bus_rate: Number = np.inf

    def __post_init__(self) -> None:
        _choose(self, "mode", DRIVER_MODES)
        _check(self, ("throttle", "tick", "budget", "bus_rate"), ("interrupt_cost",))


@dataclass(frozen=True)
class Kernel:
    """The softirq behind the receive ring.

    `ring` [slots], `cost` per accepted packet [s] for all consumers' sockets together,
    `drop_cost` per packet that finds the buffer full [s], `scv` of the service [-]. `near_cost` [s]
    comes on top per packet while the buffer is less than half full: a consumer close behind touches
    the cache lines that the kernel writes. Its core stands still `stall_rate` times a second
    [1/s], for `stall_time` [s] on average, between packets: what a hypervisor or other work of the
    highest priority does.
    """

    ring: Number
    cost: Number
    drop_cost: Number = None
    scv: Number = 0.0
    driver: Driver = Driver()
    near_cost: Number = 0.0
    stall_rate: Number = 0.0
    stall_time: Number = 0.0

    def __post_init__(self) -> None:
        if self.drop_cost is None:
            object.__setattr__(self, "drop_cost", self.cost)
        _check(
            self, ("ring",), ("cost", "drop_cost", "scv", "near_cost", "stall_rate", "stall_time")
        )


@dataclass(frozen=True)
class Buffer:
    """Memory between kernel and consumer.

    `capacity` is the most packets present, the one being processed included. A ``double`` buffer
    or ``blocks`` change hands as a whole: `block` packets each, `blocks` of them (capacity is
    their product), closed by `retire` [s] at the latest. ``ring`` means that there is no second
    buffer: the consumer reads the receive ring itself.
    """

    capacity: Number
    kind: str = "slots"
    block: Number = 1.0
    blocks: Number = 1.0
    retire: Number = np.inf

    def __post_init__(self) -> None:
        _choose(self, "kind", BUFFER_KINDS)
        _check(self, ("capacity", "block", "blocks", "retire"), ())


@dataclass(frozen=True)
class Consumer:
    """The capture process: `cost` per packet [s], its scv, and how many such processes run."""

    cost: Number
    scv: Number = 0.0
    processes: Number = 1

    def __post_init__(self) -> None:
        _check(self, ("processes",), ("cost", "scv"))


@dataclass(frozen=True)
class Wakeup:
    """How the consumer waits and what it costs whom.

    `cost` [s] is the kernel's time to signal one sleeper, `latency` [s] the delay after that until
    the consumer runs, `poll_cost` [s] entering the wait call (the buffer is looked at again at its
    end), `switch_cost` [s] a context switch on the consumer's core. A consumer is signalled once
    `threshold` packets wait or `timeout` [s] has passed. `sleep` [s] is the fixed interval of the
    sleep policy, `spin` [s] how long the yield policy looks before it polls. `contention` is how
    much longer kernel work takes while the consumer hammers an empty buffer [-].

    A signal that comes while the consumer is still entering the wait call costs `early_cost` [s]
    and no latency. Once asleep, the consumer's core needs `leave` [s] to turn to its idle loop,
    looks for work there for `settle` [s], and halts (0: at once). While it looks, a signal costs
    `early_cost` and the consumer runs after `idle_latency` [s]; before and after that it takes an
    interrupt, and costs `cost` and `latency`.

    Where a `law` was measured it says all of this instead, by the time since the wait call was
    entered, and `poll_cost` is part of it. `waking` [s] is what the kernel takes longer for a
    packet while the consumer has been signalled and does not run yet.
    """

    policy: str = "poll"
    cost: Number = 0.0
    latency: Number = 0.0
    poll_cost: Number = 0.0
    switch_cost: Number = 0.0
    threshold: Number = 1.0
    timeout: Number = np.inf
    sleep: Number = 0.0
    spin: Number = 0.0
    contention: Number = 0.0
    early_cost: Number = 0.0
    leave: Number = 0.0
    settle: Number = 0.0
    idle_latency: Number = 0.0
    waking: Number = 0.0
    law: WakeupLaw | None = None

    def __post_init__(self) -> None:
        _choose(self, "policy", WAIT_POLICIES)
        _check(
            self,
            ("threshold", "timeout"),
            ("cost", "latency", "poll_cost", "switch_cost", "sleep", "spin", "contention",
             "early_cost", "leave", "settle", "idle_latency", "waking"),
        )  # fmt: skip


@dataclass(frozen=True)
class Cores:
    """Where kernel and consumer run.

    `kernel_share` is the most of a shared core that persistent kernel work may take [-] from a
    consumer that has been awake for `kernel_turn` [s]; until then the kernel goes first.
    `leave_same` and `leave_split` [1/s] are how often an automatic scheduler changes its mind.
    """

    pinning: str = "split"
    kernel_share: Number = 1.0
    leave_same: Number = 1.0
    leave_split: Number = 1.0
    kernel_turn: Number = 0.0

    def __post_init__(self) -> None:
        _choose(self, "pinning", PINNINGS)
        _check(self, ("leave_same", "leave_split"), ("kernel_share", "kernel_turn"))


@dataclass(frozen=True)
class CapturePath:
    """Arrivals, ring, kernel, buffer, consumer, and what couples them; frozen and validated.

    With ``pinning="auto"`` the `alternatives` hold the two placements (same core, split) between
    which the scheduler moves, each a complete path with its own costs. `on_full` is what a full
    buffer does: ``drop`` (capture) or ``block`` (a channel whose producer waits, to be woken after
    `producer_startup` [s] by a consumer that pays `consumer_notify` [s]).
    """

    arrivals: Arrivals
    kernel: Kernel
    buffer: Buffer
    consumer: Consumer
    wakeup: Wakeup = Wakeup()
    cores: Cores = Cores()
    on_full: Literal["drop", "block"] = "drop"
    producer_startup: Number = np.inf
    consumer_notify: Number = 0.0
    alternatives: tuple[CapturePath, ...] = ()

    def __post_init__(self) -> None:
        _choose(self, "on_full", ON_FULL)
        if (self.cores.pinning == "auto") != bool(self.alternatives):
            raise ValueError(
                "CapturePath.alternatives must hold the same-core and the split path "
                f'exactly when pinning is "auto", got {len(self.alternatives)} alternatives '
                f"with pinning {self.cores.pinning!r}"
            )

    def with_rate(self, rate: Number) -> CapturePath:
        """The same path under another offered rate [1/s]."""
        return replace(
            self,
            arrivals=replace(self.arrivals, rate=rate),
            alternatives=tuple(path.with_rate(rate) for path in self.alternatives),
        )

    @classmethod
    def split(
        cls,
        *,
        rate: Number,
        ring: Number,
        capacity: Number,
        kernel_cost: Number,
        consumer_cost: Number,
        wakeup_cost: Number = 0.0,
        wakeup_latency: Number = 0.0,
        poll_cost: Number = 0.0,
        threshold: Number = 1.0,
        timeout: Number | None = None,
        service: Literal["exponential", "deterministic"] | float = "exponential",
        arrivals: Literal["cbr", "poisson"] | MAP = "poisson",
        duration: Number = np.inf,
    ) -> CapturePath:
        """A bare two-core path, no machine file; times in any one unit, rates in its inverse.

        Parameters
        ----------
        rate, ring, capacity : float or ndarray
            Offered rate, ring slots, buffer packets (the one in service included).
        kernel_cost, consumer_cost : float or ndarray
            Mean time per packet of the two stages.
        wakeup_cost, wakeup_latency, poll_cost : float or ndarray
            Kernel time per wakeup, delay until the consumer runs, time to enter the wait.
        threshold, timeout : float
            Signal after so many packets, or after so long (None: never by time).
        service : "exponential", "deterministic" or float
            Distribution of the services, or their squared coefficient of variation.
        arrivals : "cbr", "poisson" or MAP
            Arrival process; of a Markovian one the shape, its time stretched to the `rate`.
        duration : float
            Length of the run; infinite by default.

        Returns
        -------
        CapturePath

        Raises
        ------
        ValueError
            If an argument is out of range or unknown.

        Examples
        --------
        >>> from capmodel import solve
        >>> path = CapturePath.split(rate=2.0, ring=256, capacity=1024, kernel_cost=1.0,
        ...     consumer_cost=0.5, wakeup_cost=2.0, wakeup_latency=3.0, service="exponential")
        >>> round(float(solve(path).carried_rate), 3)
        0.8
        """
        scv = _service_scv(service)
        return cls(
            arrivals=_arrivals(rate, arrivals, duration),
            kernel=Kernel(ring, kernel_cost, scv=scv),
            buffer=Buffer(capacity),
            consumer=Consumer(consumer_cost, scv=scv),
            wakeup=Wakeup(
                "poll",
                cost=wakeup_cost,
                latency=wakeup_latency,
                poll_cost=poll_cost,
                threshold=threshold,
                timeout=np.inf if timeout is None else timeout,
            ),
        )

    @classmethod
    def same_core(
        cls,
        *,
        rate: Number,
        ring: Number,
        capacity: Number,
        kernel_cost: Number,
        consumer_cost: Number,
        drop_cost: Number | None = None,
        kernel_share: Number = 1.0,
        service: Literal["exponential", "deterministic"] | float = "exponential",
        arrivals: Literal["cbr", "poisson"] | MAP = "poisson",
        duration: Number = np.inf,
    ) -> CapturePath:
        """A bare one-core path with kernel priority; arguments as in :meth:`split`.

        Examples
        --------
        >>> from capmodel import solve
        >>> path = CapturePath.same_core(rate=1.5, ring=32, capacity=64, kernel_cost=0.6,
        ...     consumer_cost=0.8, service="deterministic", arrivals="cbr")
        >>> round(float(solve(path).carried_rate), 3)
        0.125
        """
        scv = _service_scv(service)
        return cls(
            arrivals=_arrivals(rate, arrivals, duration),
            kernel=Kernel(ring, kernel_cost, drop_cost, scv=scv),
            buffer=Buffer(capacity),
            consumer=Consumer(consumer_cost, scv=scv),
            cores=Cores("same", kernel_share=kernel_share),
        )

    @classmethod
    def single(
        cls,
        *,
        rate: Number,
        capacity: Number,
        consumer_cost: Number,
        service: Literal["exponential", "deterministic"] | float = "exponential",
        arrivals: Literal["cbr", "poisson"] | MAP = "poisson",
        duration: Number = np.inf,
    ) -> CapturePath:
        """One stage only: a consumer that reads the receive ring itself, never sleeping.

        Examples
        --------
        >>> from capmodel import solve
        >>> path = CapturePath.single(rate=2.0, capacity=512, consumer_cost=1.0,
        ...     service="deterministic", arrivals="cbr")
        >>> float(solve(path).carried_rate)
        1.0
        """
        scv = _service_scv(service)
        return cls(
            arrivals=_arrivals(rate, arrivals, duration),
            kernel=Kernel(capacity, 0.0),
            buffer=Buffer(capacity, "ring"),
            consumer=Consumer(consumer_cost, scv=scv),
            wakeup=Wakeup("spin"),
        )


_SERVICE_SCV = {"exponential": 1.0, "deterministic": 0.0}
_ARRIVAL_SCV = {"cbr": 0.0, "poisson": 1.0, "on_off": 0.0}


def _service_scv(service: str | float) -> float:
    if isinstance(service, str):
        if service not in _SERVICE_SCV:
            from capmodel.errors import unknown_choice

            raise unknown_choice("service", service, tuple(_SERVICE_SCV))
        return _SERVICE_SCV[service]
    return float(service)


def _arrivals(rate: Number, process: Any, duration: Number) -> Arrivals:
    if isinstance(process, MAP):
        return Arrivals(rate, "map", duration=duration, phases=process)
    if process not in _ARRIVAL_SCV:
        from capmodel.errors import unknown_choice

        raise unknown_choice("arrivals", process, (*_ARRIVAL_SCV, "a MAP"))
    return Arrivals(rate, process, _ARRIVAL_SCV[process], duration=duration)


def parts(path: CapturePath) -> dict[str, dict[str, Any]]:
    """Every part of a path as plain dictionaries, for `to_dict` and for reading.

    Parameters
    ----------
    path : CapturePath
        The path.

    Returns
    -------
    dict of dict
        Part, field, value.
    """
    named = {name: getattr(path, name) for name in PARTS}
    return {
        name: {field.name: getattr(part, field.name) for field in fields(part)}
        for name, part in named.items()
    }
