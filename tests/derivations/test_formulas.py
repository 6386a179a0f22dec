"""Every public formula against its derivation, in many digits, at the awkward points too."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from capmodel import formulary
from capmodel.derivations import DERIVATIONS, EXEMPT
from tests.derivations.agreement import check

HELD = {
    "scv",
    "blocks",
    "block",
    "capacity",
    "packets",
    "threshold",
    "level",
    "backlog",
    "room",
}  # whole numbers, and what chooses a branch
NEAR = 1e-9  # "almost equal": far above rounding, far below anything a difference may hide in
Grid = Mapping[str, Sequence[float]]


def formulas() -> dict[str, Any]:
    """Functions of the formulary's modules, public already or about to be."""
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(formulary.__path__):
        if not info.name.startswith("_"):
            found |= vars(importlib.import_module(f"capmodel.formulary.{info.name}"))
    return found


FORMULAS = formulas()


@dataclass(frozen=True)
class Case:
    """Where a formula is compared; `roundings` are machine epsilons per unit of condition.

    `floor` is a relative error that the formula states for itself, and `why` where it says so.
    """

    grid: Grid
    roundings: float = 8.0
    floor: float = 0.0
    why: str = ""
    where: Callable[..., bool] = field(default=lambda **_: True)
    formula: Callable[..., Any] | None = None  # the formula in the derivation's arguments


def sleeping(name: str) -> Callable[..., Any]:
    """Three of the results of a policy, as a tuple."""
    third = {"n_policy": "wakeup_rate", "fixed_sleep": "sleep_rate"}[name]

    def rates(**arguments: Any) -> tuple[Any, Any, Any]:
        result = FORMULAS[name](**arguments)
        return result.carried_rate, result.loss, getattr(result, third)

    return rates


def three_flows(name: str) -> Callable[..., Any]:
    """A formula of flow shares, with two shares of three and three queues."""

    def value(share_1: Any, share_2: Any, load: Any = None) -> Any:
        rest = [() if load is None else (3, x) for x in (share_1 if load is None else load)]
        rows = zip(share_1, share_2, rest, strict=True)
        return np.array([FORMULAS[name]([a, b, 1.0 - a - b], *more) for a, b, more in rows])

    return value


COSTS: Grid = {
    "kernel_cost": (1.0, 3e-7),
    "consumer_cost": (0.0, 0.4, 1.0 - NEAR, 1.0, 1.0 + NEAR, 2.5, 3e-7),
    "wakeup_cost": (0.0, 2.0, 5e-6),
    "off_time": (1e-3, 2.0, 2.0 + NEAR, 2.5, 60.0),
}
ON_OFF: Grid = {
    "peak_rate": (0.5, 1.0, 1.0 + NEAR, 2.0, 37.5),
    "service_rate": (1.0,),
    "leave_on": (0.02, 0.01, 0.01 * (1 + NEAR), 0.01 * (1 - NEAR)),
    "leave_off": (0.01, 1e-4),
}
DOUBLE: Grid = {
    "offered_rate": (0.5, 1.0 - NEAR, 1.0, 1.6),
    "buffer": (1.0, 16.0, 64.0),
    "consumer_cost": (1.0,),
    "read_cost": (1.0,),
    "wakeup_latency": (0.0, 5.0),
    "scv": (0.0, 0.3, 1.0),
}
ERLANG: Grid = {
    "mean": (1.0, 2.5),
    "shape": (1.0, 1.7, 64.0, 4096.0),
    "floor": (1e-3, 0.3, 1.0 - NEAR, 1.0, 1.0 + NEAR, 2.5, 7.0),
}
BLOCKS: Grid = {
    "offered_rate": (0.2, 1.0 - NEAR, 1.0, 1.0 + NEAR, 4.0),
    "block": (1.0, 10.0, 4096.0),
    "blocks": (1.0, 2.0),
    "consumer_cost": (0.0, 0.5, 1.0),
    "read_cost": (0.0, 0.1),
    "wakeup_latency": (0.0, 3.0),
}
PLACES: Grid = {
    "same": (0.75, 0.2),
    "split": (0.92, 0.2, 0.2 + NEAR),
    "leave_same": (0.05, 1e-6),
    "leave_split": (1 / 30, 40.0),
}
GAMMAS = "scipy's incomplete gamma, about 1e-13 where it uses its asymptotic series"

LOADS = (1e-6, 0.3, 1.0 - NEAR, 1.0, 1.0 + NEAR, 1.7, 40.0)
QUEUE: Grid = {"offered_load": LOADS, "capacity": (1, 2, 10, 4096)}
SMALL: Grid = {"offered_load": LOADS, "capacity": (1, 2, 3, 5)}
VACATIONS: Grid = {
    "offered_rate": (1e-3, 0.7, 1.0, 4.0),
    "consumer_cost": (1.0, 0.25),
    "capacity": (1, 2, 3),
}
RING_OF_BLOCKS: Grid = {
    "offered_rate": (0.1, 0.9, 1.0, 3.0),
    "block": (1, 2),
    "blocks": (1, 2),
    "consumer_cost": (0.0, 1.0),
    "read_cost": (0.5,),
    "wakeup_latency": (0.0, 4.0),
}
FLOWS: Grid = {"share_1": (0.5, 0.25, 0.375), "share_2": (0.5, 0.125)}
LOADED: Grid = {"load": (0.2, 0.8, 1.0, 3.0)}
LEVELS = "stated in its notes: 1e-15 and 3e-16 times the logarithm of the result"

SERIES = "x^k e^-x/Gamma(k + 1) from logarithms of the size of k: 1e-15 k is left"

CASES: Mapping[str, Case] = {
    "block_rate": Case(
        {"offered_rate": (1e-9, 0.3, 10.0), "block": (1.0, 4096.0), "timeout": (1e-6, 1.0, 50.0)}
    ),
    "block_ring_carried_rate": Case(BLOCKS),
    "block_ring_loss": Case(BLOCKS),
    "block_backlog": Case(
        {
            "offered_rate": (0.5, 1.0, 1e6),
            "block": (1.0, 16.0, 4096.0),
            "blocks": (2.0, 3.0, 64.0),
            "consumer_cost": (0.0, 1.0 - NEAR, 2.5),
            "read_cost": (0.1, 7.0),
        },
    ),
    "block_sojourn_time": Case(
        {
            "offered_rate": (0.01, 1.0 - NEAR, 1.0, 1e6),
            "block": (1.0, 16.0, 4096.0),
            "timeout": (1e-3, 16.0, 1e9),
            "consumer_cost": (0.0, 0.7),
            "delay": (0.0, 3.0),
        }
    ),
    "bulk_ring_carried_rate": Case(RING_OF_BLOCKS, floor=1e-12, why=SERIES),
    "bulk_ring_loss": Case(RING_OF_BLOCKS, floor=1e-11, why="stated in its notes"),
    "buffer_for_loss_on_off": Case(
        ON_OFF | {"loss": (1e-12, 1e-4, 0.3)},
        floor=2e-9,
        why="a quotient of two differences; both are 1e-9 where the load is as near to 1 as here",
    ),
    "carried_rate_saturated": Case(COSTS),
    "channel_item_time": Case(
        {
            "producer_cost": (1.0, 2.0),
            "consumer_cost": (0.5, 1.0 - NEAR, 1.0, 1.0 + NEAR, 4.0),
            "producer_notify": (0.0, 0.7),
            "consumer_notify": (0.0, 3.0),
            "consumer_startup": (0.0, 5.0),
            "producer_startup": (0.1, 40.0),
            "batch": (1.0, 16.0),
        }
    ),
    "closed_loop_rate": Case(
        {
            "flood_rate": (0.5, 0.93, 1.0 - NEAR, 1.0, 1.0 + NEAR),
            "kernel_cost": (1.0, 0.3),
            "service": (0.0, 0.6),
            "elsewhere": (0.1, 2.5),
            "budget": (6.0, 80.0),
        },
        # a wait for the core that is all there is, and a drift of 1e-9 of which it is the quotient
        where=lambda flood_rate, kernel_cost, service, **_: (
            (service > 0.0 or flood_rate < 0.99) and (kernel_cost == 1.0 or flood_rate == 0.93)
        ),
    ),
    "critical_rate": Case(
        {name: COSTS[name] for name in ("kernel_cost", "wakeup_cost", "off_time")}
    ),
    "double_buffer_carried_rate": Case(DOUBLE, floor=1e-11, why=SERIES),
    "double_buffer_loss": Case(DOUBLE, floor=1e-11, why=SERIES),
    "environment_mean": Case(PLACES),
    "environment_variance": Case(
        PLACES | {"duration": (1e-3, 0.02, 1.0, 100.0, 1e7)},
        floor=1e-8,
        why="1 - p of a rare placement (here 2.5e-8) cancels; its series for short runs, which "
        "ends at x^2, leaves 2e-11",
    ),
    "finite_run_drops": Case(
        {"drop_rate": (0.0, 1.0, 1000.0), "capacity": (1.0, 4096.0), "duration": (1.0, 4096.0, 1e9)}
    ),
    "finite_run_loss_diffusion": Case(
        {
            "offered_rate": (1.1, 2.0),
            "service_rate": (1.0,),
            "capacity": (10.0, 200.0, 4096.0),
            "duration": (300.0, 1e4, 1e5),
            "arrival_scv": (0.0, 1.0),
            "service_scv": (1.0,),
        },
        roundings=100.0,
        floor=1e-11,
        why="the exponential of a difference of numbers of the size of K times the overload",
        where=lambda offered_rate, capacity, duration, **_: (
            (offered_rate - 1.0) * duration > 0.5 * capacity
        ),
    ),
    "first_passage_cdf_brownian": Case(
        {
            "time": (1e-2, 1.0, 30.0),
            "distance": (0.3, 40.0),
            "drift": (1e-9, 0.4, 2.0),
            "variance": (0.5, 2.0),
        },
        roundings=200.0,
        floor=1e-12,
        why="a normal tail to the power that its exponent has",
    ),
    "fixed_sleep": Case(
        VACATIONS | {"sleep": (1e-3, 1.0, 30.0)},
        roundings=64.0,
        formula=sleeping("fixed_sleep"),
    ),
    "interrupts_per_packet_napi": Case(
        {
            "offered_rate": (0.5, 1.0 - NEAR, 1.0, 1.0 + NEAR),
            "kernel_cost": (0.3, 1.0),
            "interrupt_cost": (0.0, 0.7),
            "delay": (0.0, 20.0),
            "scv": (0.0, 1.0),
        }
    ),
    "kappa_effective": Case({name: COSTS[name] for name in ("wakeup_cost", "off_time")}),
    "loss_gim1k": Case(SMALL, floor=1e-14, why="stated in its notes"),
    "loss_in_stalls": Case(
        {
            "offered_rate": (1e-3, 1.0, 3e5),
            "stall_rate": (1e-3, 0.25, 2.0),
            "stall_time": (1e-4, 1.7e-3, 1.0),
            "room": (0.0, 1.0, 256.0, 4096.0),
        }
    ),
    "loss_md1k": Case(SMALL, floor=1e-14, why="stated in its notes"),
    "loss_mg1k": Case(SMALL, floor=1e-14, why="stated in its notes"),
    "loss_mm1k": Case(QUEUE, floor=1e-12, why=LEVELS),
    "loss_on_off_deterministic": Case(
        {
            "peak_rate": (0.5, 1.0, 1.0 + NEAR, 2.0),
            "service_rate": (1.0,),
            "on_time": (100.0, 1.0),
            "off_time": (30.0, 100.0, 200.0),
            "capacity": (1.0, 50.0, 4096.0),
        }
    ),
    "loss_on_off_fluid": Case(ON_OFF | {"capacity": (1.0, 100.0, 4096.0)}),
    "mean_backlog_on_off_deterministic": Case(
        {
            "peak_rate": (0.5, 1.0, 1.0 + NEAR, 2.0),
            "service_rate": (1.0,),
            "on_time": (100.0, 1.0),
            "off_time": (30.0, 100.0, 200.0),
            "capacity": (1.0, 50.0, 4096.0),
        },
        floor=1e-12,
        why="a peak so near to the drain is known to 1e-7 of its excess",
    ),
    "mean_backlog_on_off_fluid": Case(
        ON_OFF | {"capacity": (1.0, 100.0, 4096.0)},
        floor=1e-8,
        why="as for loss_on_off_fluid, its series near balance ends at the third power",
    ),
    "mean_excess_erlang": Case(ERLANG, floor=1e-11, why=SERIES),
    "mean_max_erlang": Case(ERLANG, floor=1e-13, why=GAMMAS),
    "mean_occupancy_mg1k": Case(SMALL, floor=1e-14, why="stated in its notes"),
    "mean_occupancy_mm1k": Case(QUEUE),
    "mean_overflow_time_diffusion": Case(
        {
            "barrier": (1.0, 30.0),
            "drift": (-0.5, -NEAR, 0.0, NEAR, 3.0),
            "variance": (0.7, 2.0),
            "level": (0.0, 0.25),
        },
        roundings=64.0,
    ),
    "mean_overflow_time_mg1k": Case(
        {
            "offered_load": LOADS,
            "capacity": (1, 2, 4),
            "service_time": (1.0, 3e-7),
            "level": (0, 1),
        },
        floor=1e-12,
        why="stated in its notes",
    ),
    "mean_overflow_time_mm1k": Case(
        {
            "offered_load": LOADS,
            "capacity": (1, 2, 3, 5),
            "service_time": (1.0, 3e-7),
            "level": (0, 1),
        },
        floor=1e-13,
        why="stated in its notes",
    ),
    "mean_recovery_time_mg1": Case(
        {
            "backlog": (0, 1, 40),
            "offered_load": (0.0, 0.3, 1.0 - NEAR, 1.0, 2.0),
            "service_time": (1.0, 3e-7),
        }
    ),
    "mean_sojourn_time_mg1k": Case(
        SMALL | {"service_time": (1.0, 3e-7)}, floor=1e-14, why="stated in its notes"
    ),
    "mean_sojourn_time_mm1k": Case(QUEUE | {"service_time": (1.0, 3e-7)}),
    "n_policy": Case(
        VACATIONS
        | {"threshold": (1, 2, 3), "wakeup_latency": (0.0, 2.0), "poll_cost": (0.0, 0.5, 40.0)},
        roundings=64.0,
        formula=sleeping("n_policy"),
        where=lambda threshold, capacity, **_: threshold <= capacity,
    ),
    "occupancy_mg1k": Case(SMALL | {"packets": (0, 1, 3, 5)}, floor=1e-14, why="as its loss"),
    "occupancy_mm1k": Case(QUEUE | {"packets": (0, 1, 10, 4096)}, floor=1e-12, why=LEVELS),
    "optimal_consumer_cost": Case(
        {
            "offered_rate": (0.3, 2 / 3, 0.8, 1.0 - NEAR, 1.0, 1.0 + NEAR, 1.3),
            "kernel_cost": (1.0,),
            "wakeup_cost": (0.0, 2.0, 5e-6),
            "off_time": COSTS["off_time"],
        }
    ),
    "packets_per_wakeup": Case(COSTS),
    "poll_miss_probability": Case(
        {
            "interval": (1.0, 1.0 + NEAR),
            "consumer_cost": (0.0, 0.4, 1.0, 2.0),
            "poll_cost": (0.0, 0.3, 0.6, 5.0, 50.0),
            "scv": (0.0, 1.0, 1.5),
        }
    ),
    "recovery_time_cdf_mg1": Case(
        {
            "time": (0.5, 1.0, 2.5, 5.0),
            "backlog": (0, 1, 2, 3),
            "offered_load": (1e-6, 0.3, 1.0 - NEAR),
        },
        floor=1e-13,
        why="scipy's Poisson probabilities",
    ),
    "retire_timer_block_rate": Case(
        {"offered_rate": (1e-9, 0.3, 10.0), "block": (1, 2, 4), "timeout": (1e-6, 1.0, 50.0)},
        floor=1e-13,
        why="stated in its notes",
    ),
    "rss_captured": Case(
        FLOWS | {"load": (0.2, 0.8, 1.0, 3.0)}, formula=three_flows("rss_captured")
    ),
    "rss_loss": Case(FLOWS | {"load": (0.2, 0.8, 1.0, 3.0)}, formula=three_flows("rss_loss")),
    "rss_loss_free_load": Case(FLOWS, formula=three_flows("rss_loss_free_load")),
    "same_core_carried_rate": Case(
        {
            "offered_rate": (0.3, 1 / 1.4, 0.9, 1.0 - NEAR, 1.0, 1.0 + NEAR, 1 / 0.6, 3.0),
            "kernel_cost": (0.6, 1.0),
            "consumer_cost": (0.0, 1e-9, 0.8),
            "drop_cost": (0.0, 0.2, 0.6, 1.0),
            "kernel_share": (0.0, 0.5, 1.0),
            "interrupt_share": (0.0, 0.02, 0.3),
        },
        where=lambda kernel_cost, drop_cost, **_: drop_cost <= kernel_cost,
    ),
    "saturated_finite_buffer": Case(
        {
            "kernel_cost": (1.0, 3e-7),
            "consumer_cost": (0.0, 0.4, 1.0 - NEAR, 1.0, 1.0 + NEAR, 2.5),
            "wakeup_cost": (0.0, 2.0),
            "wakeup_latency": (0.0, 16.0),
            "poll_cost": (0.0, 0.5),
            "capacity": (1, 2, 4),
        },
        floor=1e-12,
        why="stated in its notes",
    ),
    "sojourn_time_survival_mm1k": Case(
        SMALL | {"time": (0.0, 0.3, 7.0, 60.0), "service_time": (1.0, 0.25)},
        floor=1e-13,
        why="stated in its notes",
    ),
    "stall_drops": Case(
        {"offered_rate": (1e-3, 1.0, 30.0), "stall": (0.1, 2.0), "room": (0, 1, 2, 5, 20)},
        floor=1e-12,
        why="stated in its notes",
    ),
    "stall_loss_probability": Case(
        {"offered_rate": (1e-3, 1.0, 30.0), "stall": (0.1, 2.0), "room": (0, 1, 2, 5, 20)},
        floor=1e-13,
        why=GAMMAS,
    ),
    "variance_recovery_time_mg1": Case(
        {
            "backlog": (0, 1, 40),
            "offered_load": (0.0, 0.3, 1.0 - NEAR, 1.0, 2.0),
            "service_time": (1.0, 3e-7),
            "service_scv": (0.0, 0.25, 1.0, 4.0),
        }
    ),
    "wake_interrupt_probability": Case(
        {
            "gap": (0.0, 1e-12, 1e-3, 0.3, 0.5, 2.0, 1e3),
            "leave": (0.0, 1e-3, 0.5),
            "settle": (0.0, 1.0, 1.0 + NEAR, 7.0),
        }
    ),
    "wakeup_rate_saturated": Case(COSTS),
}


@pytest.mark.parametrize("name", formulary.__all__)
def test_every_formula_is_derived_or_exempt(name: str) -> None:
    assert (name in DERIVATIONS) != (name in EXEMPT), (
        f"{name} needs either a derivation in capmodel/derivations/ (and its entry in DERIVATIONS, "
        "and a case here) or a reason why it has none (in EXEMPT), and not both"
    )
    if name in DERIVATIONS:
        assert name in CASES, f"{name} has a derivation: say in CASES where it is compared"


def test_nothing_is_derived_that_does_not_exist() -> None:
    assert set(DERIVATIONS) | set(EXEMPT) <= set(FORMULAS)
    assert set(CASES) <= set(DERIVATIONS)


@pytest.mark.parametrize("name", sorted(EXEMPT))
def test_an_exemption_is_one_sentence(name: str) -> None:
    assert EXEMPT[name].endswith(".")
    assert "\n" not in EXEMPT[name]
    assert len(EXEMPT[name].split()) > 8


@pytest.mark.parametrize("name", sorted(DERIVATIONS))
def test_a_derivation_says_its_argument_in_words(name: str) -> None:
    assert len((DERIVATIONS[name].__doc__ or "").split()) > 8


@pytest.mark.parametrize("name", sorted(CASES))
def test_formula_is_what_is_derived(name: str) -> None:
    case = CASES[name]
    assert bool(case.floor) == bool(case.why)
    check(
        case.formula or FORMULAS[name], DERIVATIONS[name](), case.grid,
        roundings=case.roundings, floor=case.floor, where=case.where,
        held=HELD & set(case.grid),
    )  # fmt: skip
