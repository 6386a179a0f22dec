"""`predict`: one call from workload to loss."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from capmodel.application import (
    DEFAULT_APPLICATION,
    Application,
    load_application,
    own_work,
)
from capmodel.assemble import Choices, assemble
from capmodel.backend import Backend, load_backend
from capmodel.columns import checked_column, is_column
from capmodel.formulary._elementwise import floats, some
from capmodel.machine import Machine, load_machine
from capmodel.numerics.arrival_process import MAP
from capmodel.path import CapturePath
from capmodel.prediction import Prediction
from capmodel.quantities import (
    format_duration,
    format_rate,
    parse_buffer,
    parse_count,
    parse_duration,
    parse_slots,
)
from capmodel.solvers import solve
from capmodel.support import default_backend
from capmodel.workload import WIRE_OVERHEAD, Bursts, Workload

DEFAULT_MACHINE = "braun_amd"
LONGEST_WORK = 10e-3  # per packet [s]: more is likely a number meant in other units


def predict(
    rate: float | str,
    size: float | str | dict[Any, float] = 64,
    backend: str | None = None,
    machine: str | Path | Machine = DEFAULT_MACHINE,
    application: str | Application | None = None,
    *,
    work: float | str | tuple[Any, Any] | None = None,
    pinning: str | None = None,
    ring: int | str | None = None,
    buffer: str | None = None,
    consumers: int = 1,
    arrivals: str | Bursts | MAP = "cbr",
    duration: float | str = "100s",
    threshold: int | None = None,
    timeout: float | str | None = None,
    sleep: float | str | None = None,
    nic: str | None = None,
    driver: str | None = None,
    jumbo: bool = False,
    solver: str | None = None,
) -> Prediction:
    """Predict what a capture set-up loses, where, and why.

    Parameters
    ----------
    rate : float or str
        Offered packets per second [1/s]; or ``"1.27Mpps"``; or a wire rate such as
        ``"1Gbit/s"``, which counts 20 bytes of preamble and gap per frame.
    size : float, str or mapping
        Frame size [B], checksum included, 64 to 9216; ``"imix"``; or sizes mapped to shares.
    backend : str, optional
        A mechanism, see ``capmodel backends``. Default: ``"pf_packet"``; on a machine that lacks
        its costs, the first of `DEFAULT_BACKENDS` that it has those of. ``Prediction.backend``
        says which it was.
    machine : str, Path or Machine
        A machine, see ``capmodel machines``, or a TOML file of your own.
    application : str or Application, optional
        ``"tcpdump"`` (the default), ``"packzip:0"`` to ``"packzip:9"``, ``"sink"``.
    work : float, str or pair, optional
        The application's own time instead of a named one: seconds per packet, a text with its unit
        such as ``"700ns"``, or a pair (per packet, per byte).
    pinning : {"split", "same", "auto"}, optional
        Kernel and consumer on different cores (the default where there are two), on one, or left
        to the scheduler.
    ring : int or str, optional
        Receive descriptors [slots]; default: the card's.
    buffer : str, optional
        Memory between kernel and consumer: ``"2MiB"`` or ``"4096 slots"``; default: the backend's.
    consumers : int
        Capture processes [-] that each receive *every* packet and all share one core, however many
        there are (the setting of the paper). Workers that share the packets (fanout, RSS) are
        something else: predict one of N at 1/N of the rate; :func:`capmodel.formulary.rss_captured`
        says what the hash loses on top. The README does so under "Several workers".
    arrivals : str, Bursts or MAP
        ``"cbr"``, ``"poisson"``, or ``"bursts(on=10ms,off=90ms)"``: exponential burst and gap
        lengths of these means, or fixed ones with ``random=no`` in the brackets. `rate` is the
        mean over bursts and gaps; during a burst packets come at rate (on + off)/on. Or a Markovian
        arrival process, as one fitted to a recording, or
        ``"mmpp(high=1Mpps,low=50kpps,on=3ms,off=20ms)"``: Poisson packets at two rates in turn, for
        exponential times of these means. Where its rate is not `rate`, its time is stretched.
    duration : float or str
        Length of the run [s], or a text with its unit, as every time.
    threshold, timeout, sleep : optional
        For backends that have them: signal after so many packets, or after so long [s]; sleep so
        long [s] instead of waiting.
    nic : str, optional
        One of the machine's cards.
    driver : str, optional
        Driver mode instead of the backend's: ``napi``, ``interrupt``, ``moderated``, ``polling``,
        ``thread``.
    jumbo : bool
        Allow frames above 9216 bytes.
    solver : str, optional
        A solver by name; default: the first that accepts the path.

    Returns
    -------
    Prediction
        Captured share, loss and drops by stage, wakeups, core time, sojourn time, an interval, the
        reasons (``explain()``) and the sources (``references()``).

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, what it got and what is allowed.

    Warns
    -----
    UserWarning
        If the rate exceeds the wire speed of the card, or work takes more than 10 ms per packet.

    Notes
    -----
    Defaults are those of Braun et al., IMC 2010: their AMD machine, tcpdump, constant bit rate,
    100 s. The error of the answer has two parts: the machine's costs (the interval) and the
    solver's approximation (``accuracy``).

    Examples
    --------
    >>> light = predict(rate=1.27e6, size=64, backend="pf_packet")
    >>> busier = predict(rate=1.27e6, size=64, backend="pf_packet", work="600ns")
    >>> busier.captured > light.captured
    True
    """
    workload = Workload.from_user(rate, size, arrivals, duration, jumbo=jumbo)
    chosen = _application(application, work)
    rig = load_machine(machine)
    mechanism = load_backend(_text(default_backend(rig) if backend is None else backend, "backend"))
    choices = _choices(
        pinning, ring, buffer, consumers, threshold, timeout, sleep, nic, driver, mechanism
    )
    path = assemble(workload, chosen, mechanism, rig, choices)
    solution = solve(path, solver)
    inputs = {
        "rate": rate, "size": size, "backend": mechanism.name, "machine": rig.name,
        "application": chosen.name, "work": work, "pinning": path.cores.pinning, "ring": ring,
        "buffer": buffer, "consumers": consumers, "arrivals": str(arrivals), "duration": duration,
        "threshold": threshold, "timeout": timeout, "sleep": sleep, "nic": nic, "driver": driver,
        "jumbo": jumbo, "solver": solver,
    }  # fmt: skip
    notes = _validity(workload, mechanism, rig, choices, path, chosen)
    for text in notes:
        if text.startswith(("rate", "work")):
            python_warnings.warn(text, UserWarning, stacklevel=2)
    return Prediction(
        inputs, workload, chosen, mechanism, rig, choices, path, solution,
        (*notes, *solution.notes),
    )  # fmt: skip


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a name, got {value!r}")
    return value


def _application(application: str | Application | None, work: Any) -> Application:
    if work is not None and application is not None:
        raise ValueError(
            f"application and work exclude each other, got application={application!r} "
            f"and work={work!r}"
        )
    if work is not None:
        return own_work(work, snaplen=load_application(DEFAULT_APPLICATION).snaplen)
    return load_application(DEFAULT_APPLICATION if application is None else application)


def _choices(
    pinning: Any, ring: Any, buffer: Any, consumers: Any, threshold: Any, timeout: Any,
    sleep: Any, nic: Any, driver: Any, backend: Backend,
) -> Choices:  # fmt: skip
    return Choices(
        pinning=pinning,
        ring=None if ring is None else _count(ring, "ring"),
        buffer=None if buffer is None else parse_buffer(buffer, name="buffer"),
        consumers=_count(consumers, "consumers", parse_count),
        threshold=None if threshold is None else _count(threshold, "threshold"),
        timeout=None if timeout is None else _seconds(timeout, "timeout"),
        sleep=None if sleep is None else _seconds(sleep, "sleep"),
        nic=nic,
        driver=driver,
    )


def _count(value: Any, name: str, parse: Callable[..., int] = parse_slots) -> Any:
    if is_column(value):
        return checked_column(value, name, least=1.0, open_end=False)
    return float(parse(value, name=name))


def _seconds(value: Any, name: str) -> Any:
    if is_column(value):
        return checked_column(value, name)
    return parse_duration(value, name=name)


def _too_fast(workload: Workload, machine: Machine, nic: str, path: CapturePath) -> Iterator[str]:
    """Rates that the wire, or failing that the card's bus, does not carry."""
    key = f"nic.{nic}.wire_rate"
    wire: Any = np.inf
    if key in machine:
        wire = machine.value(key) / ((floats(workload.mean_size) + WIRE_OVERHEAD) * 8.0)
    peak, bus = floats(path.arrivals.peak_rate), floats(path.kernel.driver.bus_rate)
    during = "" if isinstance(workload.arrivals, str) else " during bursts"
    if some(peak > wire * (1.0 + 1e-9)):
        yield (
            f"rate {format_rate(float(np.max(peak)))}{during} exceeds the wire speed of {nic}, "
            f"{format_rate(float(np.min(wire)))} at this frame size"
        )
    elif some(peak > bus * (1.0 + 1e-9)):
        yield (
            f"rate {format_rate(float(np.max(peak)))}{during} exceeds what the bus of {nic} "
            f"carries, {format_rate(float(np.min(bus)))} at this frame size at best"
        )


def _slow(workload: Workload, application: Application) -> Iterator[str]:
    """Work that is more likely a mistaken unit."""
    work = floats(application.packet) + floats(application.byte) * floats(workload.mean_size)
    if some(work > LONGEST_WORK):
        yield (
            f"work takes {format_duration(float(np.max(work)))} per packet: as a number, work is "
            "in seconds per packet"
        )


def _validity(
    workload: Workload,
    backend: Backend,
    machine: Machine,
    choices: Choices,
    path: CapturePath,
    application: Application,
) -> tuple[str, ...]:
    """What the reader should know before believing the numbers."""
    notes: list[str] = []
    notes += _too_fast(workload, machine, choices.nic or machine.default_nic, path)
    notes += _slow(workload, application)
    wakeup, capacity = path.wakeup, path.buffer.capacity
    never = floats(wakeup.threshold) > capacity
    if some(never & np.isinf(floats(wakeup.timeout))):
        notes.append(
            "threshold exceeds the buffer and there is no timeout: the consumer never wakes"
        )
    processes = float(np.max(choices.consumers))
    if processes > 1:
        notes.append(
            f"each of the {processes:g} consumers receives every packet, and all share one core; "
            "for workers that share the packets (fanout, RSS) predict one of them at "
            f"rate/{processes:g}, and what their hash loses with capmodel.formulary.rss_captured "
            "(README, Several workers)"
        )
    if processes > 3:
        notes.append("more than three processes on one core: the mean field may be 15 % off")
    if some(floats(workload.duration) * floats(workload.rate) < 1e4):
        notes.append("a run of fewer than 10,000 packets varies by more than the model says")
    return tuple(notes)
