"""Several processes on one core: one by one they are the split law; a naive scan finds the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import carried_rate_saturated, shared_core_carried_rate


def sleeps(
    x: float, n: int, ck: float, ca: float, w: float, late: float, idle: float, s: float
) -> float:
    """The mean-field equations by damped substitution, as they are written."""
    nu = 0.0
    for _ in range(400):
        interval = ck + min(1.0, (n - 1) * nu * w) * w / 2
        ahead = 1 + (n - 1) * nu * interval
        away = w * (ahead + 1) / 2 + late + idle + interval
        nu = 0.5 * nu + 0.5 * min((1 - x * ca) / away, max(1 - n * x * ca, 0.0) / (n * s))
    return min(nu, x)


POINTS = [
    (1.27, 2, 0.66, 0.1, 1.5, 4.0, 1.3, 0.6),
    (1.27, 2, 0.66, 0.25, 1.5, 4.0, 1.3, 0.6),
    (1.27, 3, 0.69, 0.25, 1.5, 4.0, 1.3, 0.6),
    (0.5, 4, 0.72, 0.1, 1.5, 4.0, 1.3, 0.6),
    (3.0, 4, 0.72, 0.1, 1.5, 4.0, 1.3, 0.6),
]


@pytest.mark.parametrize("point", POINTS)
def test_largest_rate_that_the_kernel_can_pay_for(point: tuple[float, ...]) -> None:
    rate, n, ck, ca, w, late, idle, s = point
    n = int(n)
    top = min(rate, 1 / (n * ca), 1 / ck)
    steps = np.linspace(top, 0.0, 1500)
    for trial in steps:
        if trial * ck + n * sleeps(trial, n, ck, ca, w, late, idle, s) * w <= 1.0:
            break
    carried, wakes = shared_core_carried_rate(*point)
    assert float(carried) == pytest.approx(trial, abs=2 * top / 1500)
    assert float(carried) * ck + float(wakes) * w <= 1.0 + 1e-6


@given(st.floats(0.3, 2.0), st.floats(0.05, 0.95), st.floats(0.01, 4.0), st.floats(0.5, 30.0))
def test_one_process_is_the_split_law(ck: float, share: float, w: float, late: float) -> None:
    """Idle time of at least the gain per packet keeps it out of the one-wakeup regime."""
    ca, idle = share * ck, ck
    found, wakes = shared_core_carried_rate(1e6, 1, ck, ca, w, late, idle, 1e-6)
    law = float(carried_rate_saturated(ck, ca, w, w + late + idle + ck))
    assert float(found) == pytest.approx(law, rel=1e-6)
    assert float(found) * ck + float(wakes) * w == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("consumer", [0.05, 0.1])
def test_light_processes_each_get_less(consumer: float) -> None:
    n = np.arange(1, 5)
    carried, _ = shared_core_carried_rate(5.0, n, 0.6 + 0.03 * n, consumer, 1.5, 4.0, 1.3, 0.6)
    assert np.all(np.diff(carried) < 0.0)


def test_saturating_the_consumer_core_ends_the_wakeup_storm() -> None:
    """From two to three processes each captures more: none of them sleeps any longer."""
    n = np.array([2, 3])
    carried, wakes = shared_core_carried_rate(1.27, n, 0.6 + 0.03 * n, 0.25, 1.5, 4.0, 1.3, 0.6)
    assert carried[1] > carried[0]
    assert wakes[1] < wakes[0]


# captured share of each of n processes by event simulation, with the costs of the derivation's
# example (offered 1.27, c_0 = 0.6, c_c = 0.03, w = 1.5, L = 4, P = 0.4, switch 0.2)
SIMULATED = {0.25: (1.0, 0.865, 0.993, 0.784), 0.1: (0.9995, 0.745, 0.497, 0.297)}


@pytest.mark.parametrize("consumer", SIMULATED)
def test_stated_accuracy_against_event_simulation(consumer: float) -> None:
    n = np.arange(1, 5)
    kernel = 0.6 + 0.03 * n
    polling = 0.4 * (1 + 0.4 / kernel)
    found, _ = shared_core_carried_rate(1.27, n, kernel, consumer, 1.5, 4.0, polling, 0.6)
    error = np.abs(found / 1.27 / np.array(SIMULATED[consumer]) - 1.0)
    assert np.all(error[:3] <= 0.065)
    assert error[3] <= 0.15
