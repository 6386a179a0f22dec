"""The longest sleep: roots of the exact queue, and how near the normal rule comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capmodel.formulary import fixed_sleep, optimal_sleep, optimal_sleep_normal


@pytest.mark.parametrize(
    ("rate", "capacity", "loss", "sleep", "gap"),
    [
        (0.5, 64, 1e-3, 99.477, 0.028),
        (0.5, 1024, 1e-3, 1973.91, 0.001),
        (0.5, 1024, 1e-6, 1830.81, 0.003),
        (0.8, 4096, 1e-3, 5103.06, 0.0007),
        (0.8, 64, 1e-3, 62.75, 0.07),
    ],
)
def test_tabulated(rate: float, capacity: int, loss: float, sleep: float, gap: float) -> None:
    exact = float(optimal_sleep(rate, capacity, 1.0, loss))
    assert exact == pytest.approx(sleep, rel=4e-5)
    normal = float(optimal_sleep_normal(rate, capacity, 1.0, loss))
    assert normal / exact - 1 == pytest.approx(gap, rel=0.15)


@pytest.mark.parametrize("law", ["exponential", ("erlang", 3), ("hyperexponential", 5.0)])
@pytest.mark.parametrize("loss", [0.3, 1e-2, 1e-8])
def test_it_loses_what_was_allowed(law: Any, loss: float) -> None:
    sleep = optimal_sleep(1e5, 300, 5e-6, loss, law)
    assert float(fixed_sleep(1e5, 300, 5e-6, sleep, law).loss) == pytest.approx(loss, rel=1e-9)


def test_no_sleep_is_short_enough() -> None:
    assert optimal_sleep([1.5, 0.9], [64, 2], 1.0, 1e-3).tolist() == [0.0, 0.0]
    assert float(optimal_sleep_normal(1.0, 64, 1.0, 1e-3)) == 0.0


def test_inverse_to_the_rate() -> None:
    """Nearly: at a low load what matters is the number that comes in a sleep."""
    sleeps = optimal_sleep([0.001, 0.002], 256, 1.0, 1e-4)
    assert sleeps[0] / sleeps[1] == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("loss", [1e-300, 1e-100, 1e-12, 0.1, 0.4])
def test_normal_rule_solves_its_equation(loss: float) -> None:
    x = 0.5 * float(optimal_sleep_normal(0.5, 400, 1.0, loss))
    u = np.linspace(0.0, 60.0, 600_001)
    start = (400 - x) / np.sqrt(x)
    with np.errstate(under="ignore"):
        density = np.exp(-0.5 * (start + u) ** 2 + 0.5 * start**2 * (start > 0))
    mean = np.trapezoid(u * density, u) / np.sqrt(2 * np.pi)
    log = np.log(0.5 * mean / np.sqrt(x)) - 0.5 * start**2 * (start > 0)
    assert log == pytest.approx(np.log(loss), rel=1e-6, abs=1e-5)


def test_refusals() -> None:
    for function in (optimal_sleep, optimal_sleep_normal):
        with pytest.raises(ValueError, match="loss must be between 0 and 1"):
            function(0.5, 64, 1.0, 0.0)
        with pytest.raises(ValueError, match="consumer_cost"):
            function(0.5, 64, 0.0, 0.1)
