"""Questions with exact answers, put to the package and to its peers side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import mpmath

from benchmarks import exact_values
from benchmarks.exact_values import relative_error
from benchmarks.peers.client import Peer, PeerError
from benchmarks.peers.install import FOLDER, failures, python_of
from benchmarks.peers.libraries import LIBRARIES, PACKAGES
from benchmarks.timing import Ratio, Timing, interleaved, ratio

OURS = "capmodel"
PEERS = tuple(name for name in LIBRARIES if name != OURS)
HOW = "The peers are not installed; `make bench-peers` installs them into .venv-peers."
REPEATS = 3
DEAR = 0.5  # [s]


@dataclass(frozen=True)
class Case:
    """A question by its words, the job that answers it, and its answer in many digits."""

    name: str
    job: str
    params: Mapping[str, Any]
    peers: tuple[str, ...]
    truth: Callable[[], Any]

    @cached_property
    def exact(self) -> Any:
        return self.truth()


@dataclass(frozen=True)
class Side:
    """What one library answered, and how far it is off."""

    answer: float
    error: float
    timing: Timing


@dataclass(frozen=True)
class Outcome:
    """One question to one peer; `failure` instead of an answer where there is none."""

    case: Case
    peer: str
    ours: Side | None = None
    theirs: Side | None = None
    failure: str | None = None

    @property
    def ratio(self) -> Ratio | None:
        """Their time over ours."""
        if self.ours is None or self.theirs is None:
            return None
        return ratio(self.theirs.timing, self.ours.timing)


def _md1k(load: float, capacity: int) -> Case:
    return Case(
        f"M/D/1/{capacity} at load {load}: loss", "md1k", {"load": load, "capacity": capacity},
        ("LINE",), lambda: exact_values.md1k_loss(load, capacity),
    )  # fmt: skip


def _mm1k(load: float, capacity: int) -> Case:
    return Case(
        f"M/M/1/{capacity} at load {load}: loss", "mm1k", {"load": load, "capacity": capacity},
        ("LINE", "most-queue", "pyqueueing"), lambda: exact_values.mm1k_loss(load, capacity),
    )  # fmt: skip


def _tandem(ring: int, capacity: int) -> Case:
    params = {"rate": 0.9, "ring": ring, "capacity": capacity, "first": 1.0, "second": 0.9}

    def truth() -> Any:
        with mpmath.workdps(exact_values.DIGITS + 20):
            return exact_values.drop_tandem_loss(
                mpmath.mpf(0.9), ring, capacity, mpmath.mpf(1), mpmath.mpf(0.9)
            )

    states = (ring + 1) * (capacity + 1)
    return Case(f"tandem that drops, {states} states: loss", "tandem", params, ("LINE",), truth)


def _simulated(service: str, truth: Callable[[float, int], Any]) -> Case:
    letter = {"deterministic": "D", "exponential": "M"}[service]
    return Case(
        f"M/{letter}/1/20 at load 0.95, simulated: loss", "simulated single",
        {"rate": 0.95, "capacity": 20, "service": service}, ("Ciw", "most-queue"),
        lambda: truth(0.95, 20),
    )  # fmt: skip


def _vacation(words: str, job: str, truth: Callable[..., Any], name: str, value: float) -> Case:
    rate, one = 0.8, Fraction(1)
    return Case(
        f"M/D/1 at load 0.8, {words} {value:g}: mean wait", job, {"rate": rate, name: value},
        ("most-queue",), lambda: truth(Fraction(rate), one, one, Fraction(value)),
    )  # fmt: skip


_BURSTS = {"rates": (1e-12, 2.0), "leave": (0.01, 0.02), "capacity": 100}

CASES: tuple[Case, ...] = (
    *(_md1k(load, capacity) for capacity in (20, 100, 1024) for load in (0.5, 0.8, 0.95, 1.2)),
    _md1k(0.5, 55),
    _md1k(0.967, 1024),
    _mm1k(0.8, 20),
    *(_mm1k(load, 65_536) for load in (0.99, 0.999, 1.0 + 1e-9, 1.2)),
    Case(
        "MMPP/M/1/100, bursts of twice the service rate: loss", "mmpp1k", _BURSTS, ("LINE",),
        lambda: exact_values.mmpp1k_loss(**_BURSTS),
    ),
    _tandem(4, 5),
    _tandem(16, 16),
    _vacation("server waits for", "threshold", exact_values.mean_wait_threshold, "n", 8),
    _vacation("server sleeps", "sleep", exact_values.mean_wait_sleep, "sleep", 10.0),
    _simulated("deterministic", exact_values.md1k_loss),
    _simulated("exponential", exact_values.mm1k_loss),
    Case(
        "M/D/1 at load 0.9 and D behind it, simulated: mean stay", "simulated tandem",
        {"rate": 0.9, "ring": 1024, "second": 0.4}, ("Ciw",),
        # constant services in a row: only the slowest station makes anybody wait
        lambda: exact_values.mean_wait_mg1(Fraction(0.9), Fraction(1), Fraction(1))
        + 1 + Fraction(0.4),
    ),
)  # fmt: skip


def asked(case: Case, ours: Peer, theirs: Peer, repeats: int = REPEATS) -> Outcome:
    """Both sides in turn, `repeats` times over."""
    answers: dict[str, list[float]] = {}

    def sampler(peer: Peer) -> Callable[[], float]:
        def once() -> float:
            seconds, answers[peer.name] = peer.sample(case.job, case.params)
            return seconds

        return once

    def side(name: str, taken: Timing) -> Side:
        best = min(answers[name], key=lambda x: relative_error(x, case.exact))
        return Side(best, relative_error(best, case.exact), taken)

    try:
        alone = Timing((sampler(ours)(),))
        taken = interleaved({p.name: sampler(p) for p in (ours, theirs)}, repeats, DEAR)
    except PeerError as error:
        if ours.name not in answers:
            return Outcome(case, theirs.name, failure=f"{ours.name} {error}")
        return Outcome(case, theirs.name, side(ours.name, alone), failure=str(error))
    return Outcome(case, theirs.name, *(side(p.name, taken[p.name]) for p in (ours, theirs)))


class Comparison:
    """The peers that answer, each asked what concerns it; every question is put once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.greetings: dict[str, Mapping[str, Any]] = {}
        self.missing: dict[str, str] = {}
        self._stack = ExitStack()
        self._peers: dict[str, Peer] = {}
        self._outcomes: dict[tuple[str, str], Outcome] = {}

    def __enter__(self) -> Comparison:
        if self.installed:
            reasons = failures(self.folder)
            for name in LIBRARIES:
                self._start(name, reasons.get(PACKAGES[name]))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def installed(self) -> bool:
        return python_of(self.folder).exists()

    def _start(self, name: str, reason: str | None) -> None:
        if reason is not None:
            self.missing[name] = f"does not install: {reason}"
            return
        try:
            peer = Peer(name) if name == OURS else Peer(name, python_of(self.folder))
        except PeerError as error:
            self.missing[name] = str(error)
            return
        self._peers[name] = self._stack.enter_context(peer)
        self.greetings[name] = peer.greeting

    def outcome(self, case: Case, name: str) -> Outcome:
        """One question to one peer."""
        key = case.name, name
        if key not in self._outcomes:
            absent = next((who for who in (OURS, name) if who not in self._peers), None)
            if absent is not None:
                reason = self.missing.get(absent, HOW)
                self._outcomes[key] = Outcome(case, name, failure=reason)
            else:
                self._outcomes[key] = asked(case, self._peers[OURS], self._peers[name])
        return self._outcomes[key]

    def outcomes(self, cases: Sequence[Case] = CASES) -> Iterator[Outcome]:
        """Every question to every peer that it concerns."""
        for case in cases:
            for name in case.peers:
                yield self.outcome(case, name)
