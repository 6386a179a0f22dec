"""Whatever is asked of whichever backend: every packet and every second is accounted for."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capmodel import predict
from capmodel.api import DEFAULT_MACHINE
from capmodel.backend import load_backend
from capmodel.catalogue import names
from capmodel.path import DRIVER_MODES, PINNINGS
from capmodel.results import Solution
from capmodel.workload import Bursts

BACKENDS = names("backends")
GROUPS, COLUMN = 20, 50  # 1,000 scenarios: 20 settings of what has a name, 50 of what has a size
DRIVERS = (None, *DRIVER_MODES)


def asked(**arguments: Any) -> Solution:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "rate .* exceeds (the wire speed|what the bus)", UserWarning
        )
        return predict(**arguments).solution


def refused(backend: str, machine: str, **choice: Any) -> bool:
    """Whether a combination is refused in words; any other failure is left to the tests."""
    try:
        asked(rate=1e5, backend=backend, machine=machine, work=1e-7, **choice)
    except ValueError:
        return True
    except Exception:
        return False
    return False


@cache
def machines_of(backend: str) -> tuple[str, ...]:
    """The machines that have the costs of a backend, the application's own excepted."""
    return tuple(m for m in names("machines") if not refused(backend, m))


@cache
def choices_of(backend: str, machine: str, argument: str) -> tuple[str | None, ...]:
    """Drivers or placements that a backend accepts on a machine."""
    options = {"driver": DRIVERS, "pinning": PINNINGS}[argument]
    return tuple(o for o in options if not refused(backend, machine, **{argument: o}))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), COLUMN))


def scenario(backend: str, rng: np.random.Generator) -> dict[str, Any]:
    """One choice of names, and columns of everything that is a number."""
    mechanism = load_backend(backend)
    machine = str(rng.choice(machines_of(backend)))
    arguments: dict[str, Any] = {
        "backend": backend,
        "machine": machine,
        "rate": log_uniform(rng, 1e2, 2e7),
        "size": int(rng.choice([64, 128, 512, 1518])),
        "work": np.where(rng.random(COLUMN) < 0.1, 0.0, log_uniform(rng, 1e-9, 1e-4)),
        "duration": float(rng.choice([0.01, 1.0, 100.0, 1e6])),
    }
    for argument in ("driver", "pinning"):
        accepted = choices_of(backend, machine, argument)
        arguments[argument] = accepted[rng.integers(len(accepted))]
    kind = rng.integers(4)
    if kind == 3 and mechanism.on_full == "drop":
        arguments["arrivals"] = Bursts(*log_uniform(rng, 1e-5, 1.0)[:2].tolist())
    else:
        arguments["arrivals"] = ("cbr", "poisson", "cbr", "poisson")[kind]
    if "consumers" in mechanism.knobs:
        arguments["consumers"] = int(rng.choice([1, 1, 2, 3]))
    if "ring" in mechanism.knobs and rng.random() < 0.7:
        arguments["ring"] = np.round(log_uniform(rng, 2.0, 65536.0))
    if "buffer" in mechanism.knobs and rng.random() < 0.7:
        arguments["buffer"] = f"{int(2 ** rng.uniform(16, 32))}B"
    if "threshold" in mechanism.knobs and rng.random() < 0.5:
        arguments["threshold"] = np.round(log_uniform(rng, 1.0, 4096.0))
    if "timeout" in mechanism.knobs and rng.random() < 0.5:
        arguments["timeout"] = log_uniform(rng, 1e-6, 1.0)
    if "sleep" in mechanism.knobs and rng.random() < 0.5:
        arguments["sleep"] = log_uniform(rng, 1e-6, 0.1)
    return arguments


def check(solution: Solution) -> None:
    offered = np.asarray(solution.offered_rate)
    drops = sum(np.asarray(rate) for rate in solution.drops.values())
    np.testing.assert_allclose(solution.carried_rate + drops, offered, rtol=1e-12, atol=0)
    for name in ("carried_rate", "wakeup_rate", "poll_rate", "interrupt_rate",
                 "ring_occupancy", "buffer_occupancy", "captured_std"):  # fmt: skip
        value = np.asarray(getattr(solution, name))
        assert np.all(np.isfinite(value) & (value >= 0.0)), name
    for stage, rate in solution.drops.items():
        assert np.all(np.isfinite(rate) & (np.asarray(rate) >= 0.0)), stage
    assert np.all((solution.captured >= 0.0) & (solution.captured <= 1.0 + 1e-12))
    sojourn = np.asarray(solution.sojourn_time)
    assert np.all((sojourn >= 0.0) & (np.isfinite(sojourn) | (solution.carried_rate == 0.0)))
    for core, times in solution.core_time.items():
        total = 0.0
        for activity, share in times.items():
            assert np.all(np.asarray(share) >= 0.0), (core, activity)
            total = total + np.asarray(share)
        np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-9, err_msg=core)
    for core, share in solution.utilisation.items():
        assert np.all(share <= 1.0 + 1e-9), core


def narrowed(arguments: dict[str, Any]) -> None:
    """Find the first column entry at fault and complain about it alone, ready to be repeated."""
    for i in range(COLUMN):
        one = {
            name: float(value[i]) if isinstance(value, np.ndarray) else value
            for name, value in arguments.items()
        }
        try:
            check(asked(**one))
        except (AssertionError, RuntimeWarning) as error:
            raise AssertionError(f"{error}\npredict(**{one!r})") from None


def test_every_backend_has_a_machine() -> None:
    assert [backend for backend in BACKENDS if not machines_of(backend)] == []
    assert DEFAULT_MACHINE in machines_of("pf_packet")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_thousand_scenarios(backend: str) -> None:
    rng = np.random.default_rng([2010, BACKENDS.index(backend)])
    for _ in range(GROUPS):
        arguments = scenario(backend, rng)
        try:
            check(asked(**arguments))
        except (AssertionError, RuntimeWarning):
            narrowed(arguments)
            raise


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=max(settings().max_examples // 10, 5))
@given(seed=st.integers(0, 2**32 - 1))
def test_any_scenario(backend: str, seed: int) -> None:
    check(asked(**scenario(backend, np.random.default_rng(seed))))
