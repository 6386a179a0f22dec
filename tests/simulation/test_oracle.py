"""The compiled simulation against the slow and obvious one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capmodel.path import Arrivals, Buffer, CapturePath, Consumer, Cores, Kernel, Wakeup
from capmodel.simulation import simulate
from tests.oracles.event_simulation import same_core, two_core

SCV = {"deterministic": 0.0, "exponential": 1.0, "cbr": 0.0, "poisson": 1.0}
BASE: dict[str, Any] = {
    "rate": 1.2, "ring": 16, "capacity": 24, "kernel_cost": 1.0, "consumer_cost": 0.6,
    "wakeup_cost": 2.0, "latency": 4.03, "poll_cost": 0.3, "arrivals": "poisson",
    "service": "deterministic",
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "poll": {},
    "light": {"rate": 0.4},
    "slow consumer": {"consumer_cost": 1.6},
    "constant rate": {"arrivals": "cbr"},
    "random services": {"service": "exponential"},
    "random waits": {"service": "exponential", "waits": "exponential"},
    "threshold": {"threshold": 5},
    "timer": {"threshold": 12, "timeout": 7.3, "rate": 0.7},
    "late timer": {"threshold": 50, "timeout": 9.1},  # the buffer never holds 50
    "spin": {"policy": "spin", "contention": 0.4},
    "random spin": {"policy": "spin", "contention": 0.4, "service": "exponential"},
    "sleep": {"policy": "sleep", "sleep": 11.7, "poll_cost": 0.0},
    "long sleep": {"policy": "sleep", "sleep": 47.3, "poll_cost": 0.0, "rate": 0.8},
}


def path_of(p: dict[str, Any]) -> CapturePath:
    scv = SCV[p["service"]]
    wakeup = Wakeup(
        p.get("policy", "poll"), p.get("wakeup_cost", 0.0), p.get("latency", 0.0),
        p.get("poll_cost", 0.0), threshold=p.get("threshold", 1), timeout=p.get("timeout", np.inf),
        sleep=p.get("sleep", 0.0), contention=p.get("contention", 0.0),
    )  # fmt: skip
    return CapturePath(
        Arrivals(p["rate"], p["arrivals"], SCV[p["arrivals"]]),
        Kernel(p["ring"], p["kernel_cost"], p.get("drop_cost"), scv),
        Buffer(p["capacity"]),
        Consumer(p["consumer_cost"], scv),
        wakeup,
        Cores("same" if "drop_cost" in p else "split"),
    )


@pytest.mark.parametrize("case", CASES)
def test_two_cores(case: str) -> None:
    p = BASE | CASES[case]
    runs = [two_core(packets=25_000, seed=seed, **p) for seed in range(4)]
    waits = 1.0 if p.get("waits") == "exponential" else 0.0
    result = simulate(path_of(p), packets=1_600_000, waits_scv=waits)
    shares = {
        "captured": [run.captured for run in runs],
        "ring_drops": [run.ring_drops / run.offered * p["rate"] for run in runs],
        "buffer_drops": [run.buffer_drops / run.offered * p["rate"] for run in runs],
        "wakeup_rate": [run.wakeup_rate for run in runs],
        "poll_rate": [run.polls / run.elapsed for run in runs],
    }
    for name, values in shares.items():
        # the oracle's own half-width over four runs (t = 3.18), and an edge of a few packets
        width = 3.18 * np.std(values, ddof=1) / 2.0 + 4.0 * result.half_width[name] + 2e-3
        assert abs(np.mean(values) - result.mean[name]) <= 2.0 * width, name
        assert width <= max(0.05 * result.mean[name], 0.025), name


@pytest.mark.parametrize("rate", [0.5, 0.75, 1.2, 1.6])
@pytest.mark.parametrize("service", ["deterministic", "exponential"])
@pytest.mark.parametrize("drop_cost", [0.6, 0.35])
def test_same_core(rate: float, service: str, drop_cost: float) -> None:
    p = {
        "rate": rate, "ring": 32, "capacity": 64, "kernel_cost": 0.6, "consumer_cost": 0.8,
        "drop_cost": drop_cost, "service": service, "arrivals": "poisson",
    }  # fmt: skip
    runs = [same_core(packets=25_000, seed=seed, **p) for seed in range(4)]
    result = simulate(path_of(p), packets=800_000)
    for name, values in (
        ("captured", [run.captured for run in runs]),
        ("kernel.packets", [run.kernel_busy / run.elapsed for run in runs]),
    ):
        found = result.mean[name] + (result.mean["kernel.drops"] if name != "captured" else 0.0)
        width = 3.18 * np.std(values, ddof=1) / 2.0 + 4.0 * result.half_width[name] + 2e-3
        assert abs(np.mean(values) - found) <= 2.0 * width, name
