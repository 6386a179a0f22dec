"""What every closed form owes its caller: broadcasting, float64, no NaN, nothing negative."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel import formulary

COST = (1e-3, 20.0)  # seconds, or any other unit of time
FREE = (0.0, 20.0)
RATE = (1e-2, 20.0)
SLOTS = (1.0, 5e3)
SHARE = (0.0, 1.0)

# For every public function its arguments' ranges, and whether its result may be infinite.
RANGES: dict[str, tuple[tuple[tuple[float, float], ...], bool]] = {
    "block_rate": ((RATE, SLOTS, COST), False),
    "block_ring_carried_rate": ((RATE, SLOTS, (1.0, 64.0), FREE, FREE, FREE), False),
    "block_ring_loss": ((RATE, SLOTS, (1.0, 64.0), FREE, FREE, FREE), False),
    "buffer_for_loss_on_off": ((RATE, RATE, COST, COST, (1e-12, 0.9)), True),
    "carried_rate_saturated": ((COST, FREE, FREE, COST), False),
    "channel_item_time": ((COST, COST, FREE, FREE, FREE, COST, (1.0, 64.0)), False),
    "closed_loop_rate": ((RATE, COST, COST, COST, (1.0, 1e4)), False),
    "critical_rate": ((COST, FREE, COST), False),
    "double_buffer_carried_rate": ((RATE, SLOTS, FREE, FREE, FREE, SHARE), False),
    "double_buffer_loss": ((RATE, SLOTS, FREE, FREE, FREE, SHARE), False),
    "environment_mean": ((SHARE, SHARE, COST, COST), False),
    "environment_variance": ((SHARE, SHARE, COST, COST, (1e-6, 1e6)), False),
    "finite_run_drops": ((FREE, SLOTS, COST), False),
    "finite_run_loss_diffusion": (((1.05, 5.0), (0.1, 1.0), SLOTS, (1.0, 1e5)), False),
    "interrupts_per_packet_napi": ((RATE, COST, FREE, FREE, SHARE), False),
    "kappa_effective": ((FREE, COST), True),
    "loss_gg1k_diffusion": (((1e-3, 20.0), SLOTS, (0.0, 2.0)), False),
    "loss_on_off_deterministic": ((RATE, RATE, COST, COST, SLOTS), False),
    "loss_on_off_fluid": ((RATE, RATE, COST, COST, SLOTS), False),
    "mean_excess_erlang": ((COST, SLOTS, FREE), False),
    "mean_max_erlang": ((COST, SLOTS, FREE), False),
    "optimal_consumer_cost": ((RATE, COST, COST, COST), False),
    "packets_per_wakeup": ((COST, FREE, FREE, COST), True),
    "poll_miss_probability": ((COST, FREE, FREE, (0.0, 2.0)), False),
    "same_core_carried_rate": ((RATE, COST, COST, COST, SHARE, SHARE), False),
    "shared_core_carried_rate": ((RATE, (1.0, 6.0), COST, COST, FREE, FREE, COST, COST), False),
    "wakeup_rate_saturated": ((COST, FREE, FREE, COST), False),
}


def results(name: str, *arguments: Any) -> tuple[Any, ...]:
    value = getattr(formulary, name)(*arguments)
    return value if isinstance(value, tuple) else (value,)


def drawn(name: str, seed: int, size: tuple[int, ...]) -> list[np.ndarray]:
    """Arguments spread over their ranges, the ends included; drop cost at most kernel cost."""
    rng = np.random.default_rng(seed)
    found = []
    for low, high in RANGES[name][0]:
        least = low if low > 0 else high * 1e-4
        values = np.exp(rng.uniform(np.log(least), np.log(high), size))
        ends = rng.random(size)
        found.append(np.where(ends < 0.05, low, np.where(ends > 0.95, high, values)))
    if name == "same_core_carried_rate":
        found[3] = np.minimum(found[3], found[1])
    return found


def test_every_public_formula_is_here_or_in_its_own_file() -> None:
    """Queues with structured arguments are held to the same in the test file of their module."""
    assert set(RANGES) <= set(formulary.__all__)
    functions = {n for n in formulary.__all__ if inspect.isfunction(getattr(formulary, n))}
    for name in functions - set(RANGES):
        module = getattr(formulary, name).__module__.rpartition(".")[2]
        text = Path(__file__).with_name(f"test_{module}.py").read_text(encoding="utf-8")
        assert name in text, f"{name} is neither in RANGES nor used by test_{module}.py"


@pytest.mark.parametrize("name", sorted(RANGES))
def test_dimensions_and_dtype(name: str) -> None:
    first, *rest = drawn(name, 1, (3, 1))
    across = drawn(name, 2, (4,))[-1]
    for result in results(name, first, *rest[:-1], across):
        assert np.shape(result) == (3, 4)
        assert np.asarray(result).dtype == np.float64
    for result in results(name, *(float(x[0, 0]) for x in [first, *rest])):
        assert np.ndim(result) == 0


@pytest.mark.parametrize("name", sorted(RANGES))
def test_one_element_at_a_time_is_the_same(name: str) -> None:
    columns = drawn(name, 3, (25,))
    if name == "same_core_carried_rate":
        columns[3] = np.minimum(columns[3], columns[1])
    whole = results(name, *columns)
    for i in range(25):
        for array, single in zip(whole, results(name, *(c[i] for c in columns)), strict=True):
            np.testing.assert_allclose(array[i], single, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", sorted(RANGES))
@given(seed=st.integers(0, 2**32 - 1))
def test_numbers_are_numbers(name: str, seed: int) -> None:
    for result in results(name, *drawn(name, seed, (64,))):
        assert not np.any(np.isnan(result))
        assert np.all(result >= 0.0)
        if not RANGES[name][1]:
            assert np.all(np.isfinite(result))


@pytest.mark.parametrize(
    "name",
    [
        "loss_gg1k_diffusion",
        "loss_on_off_fluid",
        "block_ring_loss",
        "loss_on_off_deterministic",
        "poll_miss_probability",
    ],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_shares_are_at_most_one(name: str, seed: int) -> None:
    assert np.all(results(name, *drawn(name, seed, (64,)))[0] <= 1.0)


@pytest.mark.parametrize("name", sorted(RANGES))
def test_docstring_says_all(name: str) -> None:
    text = inspect.getdoc(getattr(formulary, name)) or ""
    for heading in ("Parameters", "Returns", "Notes", "Examples", "Source:", ">>> "):
        assert heading in text, heading
    for argument in inspect.signature(getattr(formulary, name)).parameters:
        assert argument in text, argument
