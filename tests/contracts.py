"""What every solver owes whoever calls it, whatever its method: one check per promise.

A solver joins by being a module of `capmodel.solvers` with ``NAME``, ``accepts`` and ``solve``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import capmodel.solvers
from capmodel.numerics.arrival_process import MAP
from capmodel.path import CapturePath
from capmodel.results import REGIMES, Solution
from capmodel.solvers import SOLVERS, Solver, select
from capmodel.testing import paths

ROUNDING = 1e-12


def _discovered() -> dict[str, Solver]:
    found = dict(SOLVERS)
    for info in pkgutil.iter_modules(capmodel.solvers.__path__):
        module = importlib.import_module(f"capmodel.solvers.{info.name}")
        if not info.name.startswith("_") and hasattr(module, "NAME"):
            found.setdefault(module.NAME, Solver(module.NAME, module.accepts, module.solve))
    return found


ALL: Mapping[str, Solver] = _discovered()

SLOW = frozenset({"simulation"})  # seconds per answer: a few paths only, the rest under -m slow

# Two stages of exponential times: what every solver should be able to take.
markovian = paths(
    pinning="split", arrivals="poisson", policy="poll", buffer="slots", driver="napi", service=1.0,
    ring=(1, 16), capacity=(2, 24), processes=1, threshold=False, busy=True, endless=True,
)  # fmt: skip
single = st.builds(
    CapturePath.single, rate=st.floats(0.01, 5.0), capacity=st.integers(1, 64),
    consumer_cost=st.floats(0.1, 2.0), service=st.sampled_from(["exponential", "deterministic"]),
)  # fmt: skip
shared = st.builds(
    CapturePath.same_core, rate=st.floats(0.01, 5.0), ring=st.integers(1, 16),
    capacity=st.integers(1, 24), kernel_cost=st.floats(0.1, 2.0),
    consumer_cost=st.floats(0.1, 2.0),
)  # fmt: skip


anything = paths(ring=(1, 64), capacity=(1, 256))


def scaled(part: Any, factor: float) -> Any:
    """The same path in another unit of time: times times a factor, rates over it."""
    times = {
        "on", "off", "duration", "interrupt_cost", "cost", "drop_cost", "retire", "latency",
        "poll_cost", "switch_cost", "timeout", "sleep", "spin", "producer_startup",
        "consumer_notify",
    }  # fmt: skip
    rates = {"rate", "throttle", "tick", "leave_same", "leave_split"}
    changed: dict[str, Any] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, MAP):
            changed[field.name] = value.scaled(1.0 / factor)
        elif is_dataclass(value):
            changed[field.name] = scaled(value, factor)
        elif isinstance(value, tuple):
            changed[field.name] = tuple(scaled(item, factor) for item in value)
        elif field.name in times:
            changed[field.name] = value * factor
        elif field.name in rates:
            changed[field.name] = value / factor
    return replace(part, **changed)


def is_frozen(solver: Solver, path: CapturePath) -> None:
    solution = solver.solve(path)
    with pytest.raises(FrozenInstanceError):
        solution.carried_rate = 0.0  # type: ignore[misc]


def says_who_and_how_exact(solver: Solver, path: CapturePath) -> None:
    solution = solver.solve(path)
    assert solution.solver == solver.name
    assert solution.accuracy.strip()
    assert isinstance(solution.exact, bool)
    assert solution.path is path


def conserves_packets(solver: Solver, path: CapturePath) -> None:
    solution = solver.solve(path)
    assert set(solution.drops) == {"ring", "buffer"}
    lost = sum(np.asarray(rate) for rate in solution.drops.values())
    total = np.asarray(solution.carried_rate) + lost
    np.testing.assert_allclose(total, solution.offered_rate, rtol=ROUNDING)
    for stage, rate in solution.drops.items():
        assert np.all(np.asarray(rate) >= 0.0), stage


def accounts_for_core_time(solver: Solver, path: CapturePath) -> None:
    solution = solver.solve(path)
    assert solution.core_time
    for core, times in solution.core_time.items():
        assert "idle" in times, core
        for activity, share in times.items():
            assert np.all(np.asarray(share) >= 0.0), (core, activity, share)
        total = sum(np.asarray(share) for share in times.values())
        np.testing.assert_allclose(total, 1.0, rtol=0.0, atol=1e-9, err_msg=f"{core}: {times}")


def captures_a_share(solver: Solver, path: CapturePath) -> None:
    solution = solver.solve(path)
    assert np.all(np.asarray(solution.captured) >= 0.0)
    assert np.all(np.asarray(solution.captured) <= 1.0 + ROUNDING)
    assert np.all(np.asarray(solution.loss) >= 0.0)


def carries_no_more_than_the_slowest_stage(solver: Solver, path: CapturePath) -> None:
    """Except for what the buffers hold at the end of a finite run."""
    if path.cores.pinning == "auto" or path.on_full == "block":
        return
    solution = solver.solve(path)
    kernel, consumer = path.kernel.cost, path.consumer.cost * path.consumer.processes
    held = (path.kernel.ring + path.buffer.capacity) / path.arrivals.duration
    costs = (kernel + consumer,) if path.cores.pinning == "same" else (kernel, consumer)
    most = min([1.0 / cost for cost in costs if cost > 0.0], default=np.inf) + held
    slack = 1.0 + 1e-9 if solver.name not in SLOW else 1.01
    assert solution.carried_rate <= most * slack, (solution.carried_rate, most)


def is_finite(solver: Solver, path: CapturePath) -> None:
    solution = solver.solve(path)
    for name in ("offered_rate", "carried_rate", "wakeup_rate", "poll_rate", "interrupt_rate",
                 "ring_occupancy", "buffer_occupancy", "captured_std"):  # fmt: skip
        value = np.asarray(getattr(solution, name))
        assert np.all(np.isfinite(value) & (value >= 0.0)), (name, value)
    sojourn = np.asarray(solution.sojourn_time)
    nothing = np.asarray(solution.carried_rate) == 0.0
    assert np.all((sojourn >= 0.0) & (np.isfinite(sojourn) | nothing)), sojourn
    assert np.all((np.asarray(solution.regime) >= 0) & (np.asarray(solution.regime) < len(REGIMES)))
    # a mean number present is at most what fits
    for name, size in (("ring", path.kernel.ring), ("buffer", path.buffer.capacity)):
        held = np.asarray(getattr(solution, f"{name}_occupancy"))
        most = max(size, path.kernel.ring) if path.buffer.kind == "ring" else size
        assert np.all(held <= most * (1.0 + 1e-9)), (name, held)


def repeats_itself(solver: Solver, path: CapturePath) -> None:
    first, second = solver.solve(path), solver.solve(deepcopy(path))
    assert same(first, second)


def same(first: Solution, second: Solution) -> bool:
    return repr(first.as_floats()) == repr(second.as_floats())


def knows_no_unit_of_time(solver: Solver, path: CapturePath) -> None:
    """Powers of two keep every digit, so nothing but a hidden unit can make a difference."""
    here = solver.solve(path)
    for factor in (2.0**-12, 2.0**12):
        there = solver.solve(scaled(path, factor))
        # an iteration that stops within its tolerance may stop a step earlier
        np.testing.assert_allclose(there.captured, here.captured, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(
            there.sojourn_time, np.asarray(here.sojourn_time) * factor, rtol=1e-6
        )


def leaves_the_path_alone(solver: Solver, path: CapturePath) -> None:
    before = repr(path)
    solver.solve(path)
    assert repr(path) == before


PROMISES: Mapping[str, Callable[[Solver, CapturePath], None]] = {
    promise.__name__: promise
    for promise in (
        is_frozen,
        says_who_and_how_exact,
        conserves_packets,
        accounts_for_core_time,
        captures_a_share,
        carries_no_more_than_the_slowest_stage,
        is_finite,
        repeats_itself,
        knows_no_unit_of_time,
        leaves_the_path_alone,
    )
}


def refuses(solver: Solver, path: CapturePath) -> None:
    """What a solver does not accept is refused in one sentence that holds its reason."""
    reason = solver.accepts(path)
    assert reason is None or reason.strip()
    if reason is not None and solver.name in SOLVERS:
        with pytest.raises(ValueError, match="does not accept this path") as refusal:
            select(path, solver.name)
        assert reason in str(refusal.value)
        message = str(refusal.value)
        assert message.startswith(f"solver {solver.name!r} ")
        for other in SOLVERS.values():  # those that it names, and no others, take the path
            named = repr(other.name) in message.rpartition("); ")[2]
            assert named == (other.accepts(path) is None)
