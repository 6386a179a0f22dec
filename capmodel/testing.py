"""Hypothesis strategies for your own property tests: workloads, machines, paths, predictions.

They come with the extra ``testing``. Where the package is installed, Hypothesis finds them by
itself: ``st.from_type(CapturePath)``, ``st.from_type(Workload)`` and ``st.from_type(Machine)`` work
without importing this module.

>>> from hypothesis import given
>>> from capmodel import solve
>>> from capmodel.testing import paths
>>> @given(paths(pinning="split", arrivals="poisson"))
... def test_no_more_is_carried_than_offered(path):
...     assert solve(path).carried_rate <= path.arrivals.rate * (1 + 1e-12)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


def _register() -> None:
    """Entry point: called by Hypothesis when it is imported, perhaps by this very module.

    So it stands before that import and looks its strategies up only when they are asked for.
    """
    from hypothesis import strategies

    from capmodel.machine import Machine
    from capmodel.path import CapturePath
    from capmodel.workload import Workload

    strategies.register_type_strategy(Workload, lambda _: workloads())
    strategies.register_type_strategy(Machine, lambda _: machines())
    strategies.register_type_strategy(CapturePath, lambda _: paths())


import numpy as np
from hypothesis import strategies as st

from capmodel.application import DEFAULT_APPLICATION, load_application
from capmodel.assemble import Choices, assemble
from capmodel.backend import Backend, backend_names, load_backend
from capmodel.machine import Machine, load_machine, machine_names
from capmodel.numerics.arrival_process import MAP
from capmodel.path import (
    ARRIVAL_PROCESSES,
    DRIVER_MODES,
    PINNINGS,
    Arrivals,
    Buffer,
    CapturePath,
    Consumer,
    Cores,
    Driver,
    Kernel,
    Wakeup,
)
from capmodel.workload import IMIX, WIRE_OVERHEAD, Bursts, Workload

__all__ = ["machines", "maps", "paths", "predictions_kwargs", "workloads"]

Wish = str | Collection[str] | None

# Which buffers a policy waits at; the others of `path.BUFFER_KINDS` would never be assembled.
_KINDS_BY_POLICY: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "poll": ("slots", "ring"),
    "spin": ("slots", "ring"),
    "sleep": ("slots", "ring"),
    "yield": ("slots", "ring"),
    "rotation": ("double",),
    "block": ("blocks",),
    "read": ("slots",),
})  # fmt: skip


def _wished(wish: Wish, options: Collection[str], argument: str) -> SearchStrategy[str]:
    """One of the options, or of those that the caller wishes."""
    chosen = tuple(options) if wish is None else (wish,) if isinstance(wish, str) else tuple(wish)
    for choice in chosen:
        if choice not in options:
            from capmodel.errors import unknown_choice

            raise unknown_choice(argument, choice, tuple(options))
    return st.sampled_from(chosen)


def _log_floats(low: float, high: float) -> SearchStrategy[float]:
    """Floats of every order of magnitude from low to high; shrinks towards low."""
    width = float(np.log(high / low))
    return st.floats(0.0, 1.0).map(lambda u: float(min(max(low * np.exp(u * width), low), high)))


def workloads() -> SearchStrategy[Workload]:
    """Workloads from 100 packets per second to 20 million, of all kinds of sizes and arrivals.

    Returns
    -------
    SearchStrategy of Workload

    Examples
    --------
    >>> from hypothesis import find
    >>> find(workloads(), lambda workload: workload.mean_size > 500).rate >= 100.0
    True
    """
    return st.builds(
        Workload.from_user, rate=_log_floats(1e2, 2e7), size=_sizes(), arrivals=_arrival_names(),
        duration=_log_floats(1e-2, 1e6),
    )  # fmt: skip


def _sizes() -> SearchStrategy[Any]:
    one = st.sampled_from((64, 128, 512, 1518, 9216)) | st.integers(64, 9216)
    two = st.tuples(one, one, st.floats(0.0, 1.0)).map(
        lambda t: {t[0]: t[2], t[1]: 1.0 - t[2]} if t[0] != t[1] else {t[0]: 1.0}
    )
    return one | st.just("imix") | st.just(dict(IMIX)) | two


def _arrival_names() -> SearchStrategy[str | Bursts]:
    lengths = _log_floats(1e-5, 10.0)
    return st.sampled_from(("cbr", "poisson")) | st.builds(
        Bursts, lengths, lengths, random=st.booleans()
    )


def machines(*, synthetic: bool | None = None) -> SearchStrategy[Machine]:
    """Machines: those that come with the package, and others with costs that nobody measured.

    Parameters
    ----------
    synthetic : bool, optional
        Only synthetic ones (True), only the package's own (False), or both.

    Returns
    -------
    SearchStrategy of Machine
        A synthetic machine has the constants of a packaged one, each cost times a factor from 0.2
        to 5 of its own, so every backend that works on the one works on the other.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(machines(synthetic=True), lambda machine: True).notes
    'costs drawn at random'
    """
    packaged = st.sampled_from(machine_names()).map(load_machine)
    if synthetic is None:
        return packaged | _synthetic()
    return _synthetic() if synthetic else packaged


@st.composite
def _synthetic(draw: DrawFn) -> Machine:
    base = load_machine(draw(st.sampled_from(machine_names())))
    costs = [key for key, constant in base.constants.items() if constant.unit.endswith("s")]
    factors = draw(st.lists(st.floats(0.2, 5.0), min_size=len(costs), max_size=len(costs)))
    constants = dict(base.constants)
    for key, factor in zip(costs, factors, strict=True):
        constant = constants[key]
        constants[key] = replace(
            constant, value=constant.value * factor, origin="assumed", source="capmodel",
            locator="drawn by capmodel.testing",
        )  # fmt: skip
    return replace(
        base, name=f"synthetic_{base.name}", constants=MappingProxyType(constants),
        samples=MappingProxyType({}), notes="costs drawn at random", base="", own=frozenset(),
    )  # fmt: skip


@st.composite
def _paths(draw: DrawFn, wishes: Mapping[str, Any]) -> CapturePath:
    pinning = draw(_wished(wishes["pinning"], PINNINGS, "pinning"))
    if pinning == "auto":
        same, split = (
            draw(_paths({**wishes, "pinning": place, "on_full": "drop", "scalar": True}))
            for place in ("same", "split")
        )
        same = replace(same, arrivals=split.arrivals, kernel=split.kernel, buffer=split.buffer)
        leave = _log_floats(1e-3, 1e3)
        unit = split.kernel.cost + split.consumer.cost
        cores = Cores("auto", leave_same=draw(leave) / unit, leave_split=draw(leave) / unit)
        path = replace(split, cores=cores, alternatives=(same, split))
        return path if wishes["scalar"] else draw(_columns(path))
    unit = draw(wishes["unit"])
    service = wishes["service"]
    scv = draw(service if service is not None else st.sampled_from((0.0, 0.25, 1.0)))
    wakeup, kind = draw(_wakeups(wishes, unit, split=pinning == "split"))
    direct = kind == "ring"
    # a consumer that reads the ring itself, with nobody before it, is a stage of its own
    bare = direct and draw(st.booleans())
    kernel_cost = 0.0 if bare else unit * draw(st.just(1.0) | st.floats(0.2, 2.0))
    ratio = st.sampled_from((1.0, 1.0 - 1e-9, 1.0 + 1e-9)) | st.floats(1e-3, 4.0)
    work = unit * draw(ratio if bare or wishes["busy"] else ratio | st.just(0.0))
    ring = draw(wishes["ring"])
    buffer = draw(_buffers(wishes, kind, ring))
    driver = draw(_drivers(wishes, unit))
    drop = kernel_cost * draw(st.just(1.0) | st.floats(0.05, 1.0))
    arrivals = draw(_arrivals(wishes, kernel_cost, work))
    blocking = draw(_wished(wishes["on_full"], ("drop", "block"), "on_full")) == "block"
    if blocking and wakeup.policy in ("poll", "read", "spin") and kind == "slots":
        path = CapturePath(
            arrivals, Kernel(ring, kernel_cost, drop, scv), buffer, Consumer(work, scv), wakeup,
            Cores(pinning), "block", draw(_log_floats(0.1, 100.0)) * unit,
            draw(st.floats(0.0, 10.0)) * unit,
        )  # fmt: skip
    else:
        share = draw(st.just(1.0) | st.floats(0.0, 1.0)) if pinning == "same" else 1.0
        processes = draw(wishes["processes"]) if wakeup.policy == "poll" and not bare else 1
        path = CapturePath(
            arrivals, Kernel(ring, kernel_cost, drop, scv, driver), buffer,
            Consumer(work, scv, processes), wakeup, Cores(pinning, kernel_share=share),
        )  # fmt: skip
    return path if wishes["scalar"] else draw(_columns(path))


@st.composite
def _wakeups(
    draw: DrawFn, wishes: Mapping[str, Any], unit: float, split: bool
) -> tuple[Wakeup, str]:
    policy = draw(_wished(wishes["policy"], tuple(_KINDS_BY_POLICY), "policy"))
    kinds = _KINDS_BY_POLICY[policy]
    wish = wishes["buffer"]
    if wish is not None:
        wished = (wish,) if isinstance(wish, str) else tuple(wish)
        fitting = tuple(kind for kind in kinds if kind in wished)
        if not fitting:  # the buffer decides, and with it the policy
            kind = draw(_wished(wish, ("slots", "ring", "double", "blocks"), "buffer"))
            policy = next(p for p, those in _KINDS_BY_POLICY.items() if kind in those)
            kinds = (kind,)
        else:
            kinds = fitting
    kind = draw(st.sampled_from(kinds))
    free = st.just(0.0)
    some = free | st.floats(1e-3, 10.0)
    signalled = policy in ("poll", "read", "yield", "block", "rotation")
    threshold, timeout = 1.0, np.inf
    if policy == "poll" and wishes["threshold"]:
        threshold = float(draw(st.just(1) | st.integers(2, 64)))
        timeout = np.inf if threshold == 1.0 else unit * draw(_log_floats(1.0, 1e3))
    return Wakeup(
        policy,
        cost=unit * draw(some) if signalled else 0.0,
        latency=unit * draw(some) if signalled and split else 0.0,
        poll_cost=unit * draw(free | st.floats(1e-3, 2.0)),
        switch_cost=unit * draw(free | st.floats(1e-3, 1.0)),
        threshold=threshold,
        timeout=timeout,
        sleep=unit * draw(_log_floats(0.1, 1e3)) if policy == "sleep" else 0.0,
        spin=unit * draw(_log_floats(0.1, 1e2)) if policy == "yield" else 0.0,
        contention=draw(free | st.floats(0.01, 2.0)) if policy in ("spin", "yield") else 0.0,
    ), kind  # fmt: skip


@st.composite
def _buffers(draw: DrawFn, wishes: Mapping[str, Any], kind: str, ring: float) -> Buffer:
    capacity = draw(wishes["capacity"])
    if kind == "ring":
        return Buffer(ring, "ring")
    if kind == "slots":
        return Buffer(capacity)
    if kind == "double":
        block = float(max(capacity // 2, 1))
        return Buffer(2.0 * block, "double", block, 2.0)
    blocks = float(draw(st.integers(1, 8)))
    block = float(max(capacity // blocks, 1))
    return Buffer(block * blocks, "blocks", block, blocks)


@st.composite
def _drivers(draw: DrawFn, wishes: Mapping[str, Any], unit: float) -> Driver:
    mode = draw(_wished(wishes["driver"], DRIVER_MODES, "driver"))
    return Driver(
        mode,
        interrupt_cost=unit * draw(st.just(0.0) | st.floats(1e-3, 3.0)),
        throttle=draw(_log_floats(1e-3, 1.0)) / unit if mode == "moderated" else np.inf,
        tick=draw(_log_floats(1e-3, 0.1)) / unit if mode == "polling" else np.inf,
        budget=float(draw(st.integers(1, 1000))) if mode == "polling" else np.inf,
    )


@st.composite
def maps(draw: DrawFn, *, phases: int = 2) -> MAP:
    """Markovian arrival processes: modulated Poisson processes and others, slow and fast.

    Parameters
    ----------
    phases : int
        Most phases.

    Returns
    -------
    SearchStrategy of MAP

    Examples
    --------
    >>> from hypothesis import find
    >>> find(maps(), lambda process: process.order == 2).order
    2
    """
    m = draw(st.integers(1, phases))
    rates = st.just(0.0) | _log_floats(1e-3, 1e2)
    silent, arriving = (
        np.array(draw(st.lists(rates, min_size=m * m, max_size=m * m))).reshape(m, m)
        for _ in range(2)
    )
    # a round through all phases, so that each can be reached, and something that arrives
    around = draw(_log_floats(1e-3, 1.0)) * np.eye(m)[np.roll(np.arange(m), 1)]
    silent, arriving = (
        silent + around * (m > 1),
        np.diag(arriving.diagonal()) + arriving * draw(st.sampled_from((0.0, 1.0))),
    )
    arriving[0, 0] += 1.0
    return MAP(silent, arriving)


@st.composite
def _arrivals(draw: DrawFn, wishes: Mapping[str, Any], kernel: float, work: float) -> Arrivals:
    process = draw(_wished(wishes["arrivals"], ARRIVAL_PROCESSES, "arrivals"))
    slower = max(kernel, work)
    load = draw(st.sampled_from((1.0, 1.0 - 1e-9, 1.0 + 1e-9)) | _log_floats(1e-2, 5.0))
    rate = load / slower
    endless = wishes["endless"] or draw(st.booleans())
    duration = np.inf if endless else slower * draw(_log_floats(1e3, 1e9))
    if process == "map":
        return Arrivals(rate, "map", duration=duration, phases=draw(maps()))
    if process != "on_off":
        scv = {"cbr": 0.0, "poisson": 1.0}[process]
        return Arrivals(rate, process, scv, duration=duration)  # type: ignore[arg-type]  # drawn of its names
    on, off = (slower * draw(_log_floats(10.0, 1e5)) for _ in range(2))
    return Arrivals(
        rate, "on_off", draw(st.sampled_from((0.0, 1.0))), on, off, draw(st.booleans()), duration
    )


@st.composite
def _columns(draw: DrawFn, path: CapturePath) -> CapturePath:
    """The same path for a row of rates and a column of consumer costs."""
    factors = st.lists(st.floats(0.5, 2.0), min_size=1, max_size=3).map(np.array)
    faster, dearer = draw(factors), draw(factors).reshape(-1, 1)

    def spread(one: CapturePath) -> CapturePath:
        return replace(
            one,
            arrivals=replace(one.arrivals, rate=one.arrivals.rate * faster),
            consumer=replace(one.consumer, cost=one.consumer.cost * dearer),
            alternatives=tuple(spread(other) for other in one.alternatives),
        )

    return spread(path)


def paths(
    *,
    pinning: Wish = None,
    arrivals: Wish = None,
    policy: Wish = None,
    buffer: Wish = None,
    driver: Wish = None,
    on_full: Wish = "drop",
    service: float | Collection[float] | None = None,
    ring: tuple[int, int] = (1, 4096),
    capacity: tuple[int, int] = (1, 100_000),
    processes: int = 3,
    threshold: bool = True,
    busy: bool = False,
    endless: bool = False,
    unit: float | None = None,
    scalar: bool = True,
) -> SearchStrategy[CapturePath]:
    """Capture paths in any regime: idle, near a critical load, overloaded; awkward points included.

    Every keyword narrows what is drawn. A wish is a name, several names, or None for any.

    Parameters
    ----------
    pinning, arrivals, policy, buffer, driver, on_full : str, collection of str or None
        As the fields of :class:`~capmodel.CapturePath` and its parts; a policy and a buffer that
        do not go together are settled in favour of the buffer.
    service : float or collection of float, optional
        Squared coefficients of variation of both services [-]; default: 0, 0.25 or 1.
    ring, capacity : pair of int
        Least and most slots of the ring and packets of the buffer.
    processes : int
        Most capture processes that share a core.
    threshold : bool
        Whether consumers may wait for more than one packet (then with a timeout).
    busy : bool
        Whether the consumer must take time for every packet.
    endless : bool
        Whether the run must be endless.
    unit : float, optional
        Time that costs are multiples of [s]; default: from 10 ns to 10 us.
    scalar : bool
        Only floats; with False the path may stand for a grid of rates and consumer costs.

    Returns
    -------
    SearchStrategy of CapturePath

    Raises
    ------
    ValueError
        If a wish is unknown.

    Examples
    --------
    >>> from hypothesis import find
    >>> path = find(paths(pinning="split", arrivals="poisson"), lambda path: True)
    >>> path.cores.pinning, path.arrivals.process
    ('split', 'poisson')
    """
    scvs = None if service is None else st.sampled_from(
        (float(service),) if isinstance(service, (int, float)) else tuple(map(float, service))
    )  # fmt: skip
    wishes = {
        "pinning": pinning, "arrivals": arrivals, "policy": policy, "buffer": buffer,
        "driver": driver, "on_full": on_full, "service": scvs, "threshold": threshold,
        "busy": busy, "endless": endless, "scalar": scalar,
        "ring": st.integers(*ring).map(float), "capacity": st.integers(*capacity).map(float),
        "processes": st.just(1) | st.integers(1, processes),
        "unit": _log_floats(1e-8, 1e-5) if unit is None else st.just(unit),
    }  # fmt: skip
    for name, options in (
        ("pinning", PINNINGS), ("arrivals", ARRIVAL_PROCESSES), ("driver", DRIVER_MODES),
        ("policy", _KINDS_BY_POLICY), ("buffer", ("slots", "ring", "double", "blocks")),
        ("on_full", ("drop", "block")),
    ):  # fmt: skip
        _wished(wishes[name], options, name)  # type: ignore[arg-type]  # one of the tables is a mapping
    return _paths(wishes)


@cache
def _accepted(backend: str, machine: str, argument: str) -> tuple[str | None, ...]:
    """Values of an argument that a backend on a machine accepts; empty if it lacks a cost."""
    mechanism, rig = load_backend(backend), load_machine(machine)
    workload, application = Workload.from_user(1e5), load_application(DEFAULT_APPLICATION)
    options = {"driver": (None, *DRIVER_MODES), "pinning": (None, *PINNINGS)}[argument]
    nothing = Choices()

    def fits(option: str | None) -> bool:
        choices = replace(nothing, **{argument: option})  # type: ignore[arg-type]  # of two names
        try:
            assemble(workload, application, mechanism, rig, choices)
        except ValueError:
            return False
        return True

    return tuple(option for option in options if fits(option))


@cache
def _machines_of(backend: str) -> tuple[str, ...]:
    return tuple(name for name in machine_names() if None in _accepted(backend, name, "driver"))


def _most_packets(machine: str, size: float) -> float:
    """Wire speed of the machine's card in packets of a size [1/s]; 20 million if unknown."""
    rig = load_machine(machine)
    key = f"nic.{rig.default_nic}.wire_rate"
    most = rig.value(key) / ((size + WIRE_OVERHEAD) * 8.0) if key in rig else 2e7
    return float(min(most, 2e7))


def _knobs(backend: Backend) -> Mapping[str, SearchStrategy[Any]]:
    """Strategies of the arguments that only some backends have."""
    knobs: dict[str, SearchStrategy[Any]] = {
        "ring": st.integers(2, 65536),
        "buffer": st.integers(16, 32).map(lambda power: f"{2**power}B"),
        "threshold": st.integers(1, 4096),
        "timeout": _log_floats(1e-6, 1.0),
        "sleep": _log_floats(1e-6, 0.1),
        "consumers": st.integers(1, 3),
    }
    return {name: strategy for name, strategy in knobs.items() if name in backend.knobs}


@st.composite
def predictions_kwargs(draw: DrawFn) -> dict[str, Any]:
    """Keyword arguments that :func:`capmodel.predict` accepts.

    Backend, machine and placement go together, only knobs that the backend has are turned, and the
    rate stays within the wire speed of the card.

    Returns
    -------
    SearchStrategy of dict

    Examples
    --------
    >>> from hypothesis import find
    >>> from capmodel import predict
    >>> arguments = find(predictions_kwargs(), lambda a: a["backend"] == "tpacket_v3")
    >>> 0.0 <= predict(**arguments).captured <= 1.0
    True
    """
    backend = draw(st.sampled_from([name for name in backend_names() if _machines_of(name)]))
    machine = draw(st.sampled_from(_machines_of(backend)))
    size = draw(st.sampled_from((64, 128, 512, 1518)))
    most = _most_packets(machine, size)
    mechanism = load_backend(backend)
    steady = st.sampled_from(("cbr", "poisson"))
    arrivals = draw(_arrival_names() if mechanism.on_full == "drop" else steady)
    if isinstance(arrivals, Bursts):  # the card must carry the burst, the rate is the mean
        most *= arrivals.on / (arrivals.on + arrivals.off)
    arguments: dict[str, Any] = {
        "rate": draw(_log_floats(max(most * 1e-4, 1e-3), max(most * 0.999, 2e-3))),
        "size": size,
        "backend": backend,
        "machine": machine,
        "duration": draw(_log_floats(1e-2, 1e6)),
        "arrivals": arrivals,
    }
    for argument in ("driver", "pinning"):
        arguments[argument] = draw(st.sampled_from(_accepted(backend, machine, argument)))
    if draw(st.booleans()):
        arguments["work"] = draw(st.just(0.0) | _log_floats(1e-9, 1e-4))
    for name, strategy in _knobs(mechanism).items():
        if draw(st.booleans()):
            arguments[name] = draw(strategy)
    return arguments
