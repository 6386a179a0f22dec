"""Results in time, and of simulations, as they are printed; truth: their own numbers."""

from __future__ import annotations

import dataclasses
import math

import pytest

from capmodel import CapturePath, predict
from capmodel.quantities import parse_duration, parse_share
from capmodel.simulation import SimulationResult, simulate
from capmodel.transient import finite_run, overflow_time, recovery

PATH = CapturePath.split(rate=0.8, ring=8, capacity=16, kernel_cost=1.0, consumer_cost=1.1)
OVERFLOW = overflow_time(PATH, "buffer", 3)
RECOVERY = recovery(PATH, 5.0)
RUN = finite_run(PATH, 100.0)


@pytest.fixture(scope="module")
def simulated() -> SimulationResult:
    pytest.importorskip("numba")
    return simulate(PATH, packets=20_000, replications=4, seed=7)


def rows(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines()[1:]:
        label, _, rest = line.strip().partition("  ")
        found[label] = rest.strip()
    return found


def plain(result: object) -> None:
    """One line, or lines that fit a terminal; nothing of the path's own fields."""
    for text in (repr(result), str(result)):
        assert "CapturePath(" not in text
        assert "inf" not in text
    assert "\n" not in repr(result)
    assert repr(result).startswith(f"<{type(result).__name__}: ")
    assert max(map(len, str(result).splitlines())) <= 100


@pytest.mark.parametrize("result", [OVERFLOW, RECOVERY, RUN])
def test_results_in_time_read_and_stay_values(result: object) -> None:
    plain(result)
    assert result == dataclasses.replace(result)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.path = PATH


def test_an_overflow_time_prints_its_numbers() -> None:
    table = rows(str(OVERFLOW))
    assert str(OVERFLOW).startswith("time to the first loss at the buffer, from 3 packets there\n")
    assert parse_duration(table["mean"], name="mean") == pytest.approx(OVERFLOW.mean, rel=5e-3)
    for name, p in {"p1": 0.01, "p50": 0.5, "p99": 0.99}.items():
        assert parse_duration(table[name], name=name) == pytest.approx(
            OVERFLOW.quantile(p), rel=5e-3
        )
    assert table["method"] == OVERFLOW.method
    assert table["error"] == OVERFLOW.error


def test_what_never_comes_and_what_comes_late_can_be_read() -> None:
    never = overflow_time(predict(5e5).path)
    assert math.isinf(never.mean)
    assert rows(str(never))["mean"] == rows(str(never))["p99"] == "never"
    plain(never)
    late = overflow_time(predict(1e5, arrivals="poisson", ring=16, buffer="64 slots").path)
    assert late.mean > 1e30
    assert len(rows(str(late))["mean"]) < 12
    assert parse_duration(rows(str(late))["mean"], name="m") == pytest.approx(late.mean, rel=5e-3)


def test_a_run_and_a_stall_print_their_numbers() -> None:
    assert str(RUN).startswith("a run of 100 s\n")
    assert parse_share(rows(str(RUN))["lost"], name="lost") == pytest.approx(RUN.loss, rel=5e-3)
    assert str(RECOVERY).startswith("stall of 5 s, packets pile up in the buffer\n")
    gone = rows(str(RECOVERY))["backlog gone after"]
    assert parse_duration(gone, name="gone") == pytest.approx(RECOVERY.mean, rel=5e-3)


def test_a_simulation_prints_its_intervals(simulated: SimulationResult) -> None:
    plain(simulated)
    assert simulated == simulate(PATH, packets=20_000, replications=4, seed=7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        simulated.seed = 8
    head = str(simulated).splitlines()[0]
    assert head == "simulation of the steady state: 4 replications of 5,000 packets, seed 7"
    share, _, band = rows(str(simulated))["captured"].partition("  (95 %: ")
    mean, half = simulated.mean["captured"], simulated.half_width["captured"]
    assert parse_share(share, name="captured") == pytest.approx(mean, rel=5e-3)
    low, high = (parse_share(end, name="end") for end in band.removesuffix(")").split(" to "))
    assert (low, high) == pytest.approx((mean - half, min(mean + half, 1.0)), rel=5e-3)
    # arrivals are scaled to their rate, up to the last digits of a sum: no interval of that
    assert 0.0 <= simulated.half_width["offered_rate"] < 1e-12
    assert rows(str(simulated))["offered"] == "0.8 pps"
