"""Which backends a machine has the costs of, and which machines have those of a backend."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from capmodel.application import Application
from capmodel.backend import Backend, backend_names, load_backend
from capmodel.machine import Machine, load_machine, machine_names

# what is predicted where no backend is named: the first whose costs all machines have
DEFAULT_BACKENDS = (
    "pf_packet", "tpacket_v3", "tpacket_v2", "af_xdp", "pf_ring", "bpf", "netmap", "dpdk",
    "udp_socket",
)  # fmt: skip
_SHOWN = 8  # names in a sentence


class UnsupportedError(ValueError):
    """A machine lacks costs that a backend or an application charges; `lack` says which."""

    def __init__(self, lack: str, advice: str) -> None:
        super().__init__(f"{lack}{advice}")
        self.lack = lack


def in_short(error: Exception) -> str:
    """What an error says, without the advice that goes with a lack of costs.

    Parameters
    ----------
    error : Exception
        Any error.

    Returns
    -------
    str

    Examples
    --------
    >>> in_short(UnsupportedError("machine 'mine' has no cost 'wakeup'", ". Machines: none"))
    "machine 'mine' has no cost 'wakeup'"
    """
    return error.lack if isinstance(error, UnsupportedError) else str(error)


@dataclass(frozen=True)
class Missing:
    """Names of costs that a machine lacks: those of the mechanism, and the application's."""

    mechanism: tuple[str, ...] = ()
    work: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mechanism or self.work)

    def __str__(self) -> str:
        return f"no cost {_either((*self.mechanism, *self.work))}"


def needed_primitives(
    backend: Backend, application: Application, totals: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Names of the machine costs that a backend and an application charge.

    Parameters
    ----------
    backend, application : Backend, Application
        Who charges.
    totals : frozenset of str
        Stages that are known as a whole and need no costs of their own.

    Returns
    -------
    tuple of str
    """
    return tuple(dict.fromkeys([*_mechanism(backend, totals), *application.primitives]))


def _mechanism(backend: Backend, totals: frozenset[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name, stage in (("kernel", backend.kernel), ("consumer", backend.consumer)):
        if name not in totals:
            found += [*stage.once, *stage.per_consumer, *([stage.copy] if stage.copy else [])]
            found += stage.release.once if stage.release else ()
    waiting = backend.waiting
    optional = (waiting.poll, waiting.contention, waiting.spin_call, backend.consumer.stretch)
    found += [name for name in optional if name]
    if waiting.policy not in ("spin", "sleep") and waiting.signal:
        found.append(waiting.signal)
    return tuple(dict.fromkeys(found))


def known_totals(backend: Backend, machine: Machine) -> frozenset[str]:
    """Stages of a backend whose cost the machine knows only as a whole.

    Parameters
    ----------
    backend, machine : Backend, Machine
        Mechanism and numbers.

    Returns
    -------
    frozenset of str
        None, one or both of ``kernel`` and ``consumer``.
    """
    return frozenset(
        stage for stage in ("kernel", "consumer") if f"totals.{backend.name}.{stage}" in machine
    )


def driver_rates(mode: str, machine: Machine, nic: str | None = None) -> tuple[str, ...]:
    """Names of the rates by which a driver mode works.

    Parameters
    ----------
    mode : str
        The driver mode.
    machine : Machine
        Whose card it drives.
    nic : str, optional
        The card; default: the machine's.

    Returns
    -------
    tuple of str
    """
    card = nic or machine.default_nic or "<card>"
    return {"moderated": (f"nic.{card}.throttle",), "polling": ("poll_tick",)}.get(mode, ())


def missing_costs(
    backend: Backend,
    application: Application,
    machine: Machine,
    *,
    driver: str | None = None,
    nic: str | None = None,
    costs: Container[str] | None = None,
) -> Missing:
    """What a machine lacks for a prediction.

    Parameters
    ----------
    backend, application, machine : Backend, Application, Machine
        What is to be predicted.
    driver, nic : str, optional
        Driver mode and card, if chosen. A chosen mode is the choice's concern; the backend's own
        needs the rates by which it works.
    costs : container of str, optional
        Names of the costs there are; default: the machine's.

    Returns
    -------
    Missing
        False where nothing is missing.

    Examples
    --------
    >>> from capmodel.application import load_application
    >>> missing_costs(load_backend("dpdk"), load_application("sink"), load_machine("braun_amd"))
    Missing(mechanism=('pmd_receive',), work=())
    """
    there = machine if costs is None else costs
    mechanism = _mechanism(backend, known_totals(backend, machine))
    rates = driver_rates(backend.driver, machine, nic) if driver is None else ()
    return Missing(
        (
            *(name for name in mechanism if name not in there),
            *(name for name in rates if name not in machine),
        ),
        tuple(name for name in dict.fromkeys(application.primitives) if name not in there),
    )


def unsupported(
    backend: Backend, application: Application, machine: Machine, missing: Missing
) -> UnsupportedError:
    """Error for a machine that lacks costs, with what could be predicted instead.

    Parameters
    ----------
    backend, application, machine : Backend, Application, Machine
        What was to be predicted.
    missing : Missing
        What the machine lacks for it.

    Returns
    -------
    UnsupportedError
        To be raised by the caller. It says what is missing; whether the application's own time can
        be given instead; which machines have these costs; which backends this machine has.

    Examples
    --------
    >>> from capmodel.application import load_application
    >>> case = (load_backend("shm_pipe"), load_application("sink"), load_machine("netmap_900mhz"))
    >>> print(unsupported(*case, missing_costs(*case)).lack)
    machine 'netmap_900mhz' has no cost 'message_write', 'pipe_write', 'message_read', 'pipe_read' \
or 'futex_wake', which backend 'shm_pipe' needs
    """
    parts = (
        (missing.mechanism, f"backend {backend.name!r}"),
        (missing.work, f"application {application.name!r}"),
    )
    lacks = [f"no cost {_either(names)}, which {what} needs" for names, what in parts if names]
    lack = f"machine {machine.name!r} has {', and '.join(lacks)}"
    machines = _sorted_out(
        (other.name, missing_costs(backend, application, other))
        for other in map(load_machine, machine_names())
    )
    if not missing.mechanism:
        # those that lack the application's costs too do not help
        listed = _listed("Machines that have them", machines[0], (), application)
        advice = f"; give work= (the application's own time) instead. {listed}"
        return UnsupportedError(lack, advice)
    backends = _sorted_out(
        (other.name, missing_costs(other, application, machine))
        for other in map(load_backend, backend_names())
    )
    heading = f"Backends that {machine.name!r} can predict"
    advice = (
        f". {_listed('Machines that have them', *machines, application)}"
        f". {_listed(heading, *backends, application)}"
    )
    return UnsupportedError(lack, advice)


def supported_backends(machine: Machine) -> tuple[str, ...]:
    """Names of the backends whose costs a machine has; the application's come on top.

    Parameters
    ----------
    machine : Machine
        The machine.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> supported_backends(load_machine("netmap_900mhz"))
    ('dpdk', 'netmap')
    """
    return tuple(
        backend.name
        for backend in map(load_backend, backend_names())
        if not missing_costs(backend, _NO_WORK, machine)
    )


def default_backend(*machines: Machine) -> str:
    """The backend that is predicted where none is named.

    Parameters
    ----------
    *machines : Machine
        On which; one or more.

    Returns
    -------
    str
        The first of `DEFAULT_BACKENDS` whose costs all of them have; else the first of the other
        backends; the first of all where there is none, so that the error is about that one.

    Examples
    --------
    >>> default_backend(load_machine("braun_amd")), default_backend(load_machine("epyc_vm"))
    ('pf_packet', 'tpacket_v3')
    """
    for name in dict.fromkeys([*DEFAULT_BACKENDS, *backend_names()]):
        backend = load_backend(name)
        if not any(missing_costs(backend, _NO_WORK, machine) for machine in machines):
            return name
    return DEFAULT_BACKENDS[0]


_NO_WORK = Application("none", "no work of its own")


def _sorted_out(found: Iterable[tuple[str, Missing]]) -> tuple[list[str], list[str]]:
    """Names of those that lack nothing, and of those that lack the application's costs alone."""
    whole, rest = [], []
    for name, missing in found:
        if not missing:
            whole.append(name)
        elif not missing.mechanism:
            rest.append(name)
    return whole, rest


def _listed(
    heading: str, whole: Sequence[str], rest: Sequence[str], application: Application
) -> str:
    parts = [_some(whole)] if whole else []
    if rest:
        parts.append(f"{_some(rest)} (with work= instead of application {application.name!r})")
    return f"{heading}: {', '.join(parts) or 'none'}"


def _some(names: Sequence[str]) -> str:
    """The names, or the first of many."""
    text = ", ".join(map(repr, names[:_SHOWN]))
    if len(names) <= _SHOWN:
        return text
    return f"{text} and {len(names) - _SHOWN} more (see 'capmodel machines NAME')"


def _either(names: Iterable[str]) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}" if first else last
