"""What the costs of the lab's priors become in a capture path."""

from __future__ import annotations

import pytest

from capmodel.lab.model import path_of
from capmodel.lab.point import LabPoint
from capmodel.lab.priors import load_priors

PRIORS = load_priors()
MEDIAN = {cost.name: cost.median * {"us": 1e-6, "-": 1.0}[cost.unit] for cost in PRIORS.costs}


def test_two_cores_pay_for_the_link_and_for_sleep() -> None:
    path = path_of(LabPoint("300kpps", pinning="split"), PRIORS.machine(2))
    kernel, wakeup = path.kernel, path.wakeup
    assert kernel.cost == pytest.approx(MEDIAN["driver_receive"] + MEDIAN["network_stack"])
    assert kernel.near_cost == pytest.approx(MEDIAN["near_consumer"])
    assert wakeup.cost == pytest.approx(MEDIAN["wakeup"])
    assert wakeup.early_cost == pytest.approx(MEDIAN["early_signal"])
    assert wakeup.leave == pytest.approx(MEDIAN["sleep_leave"])
    assert wakeup.settle == pytest.approx(MEDIAN["sleep_settle"])
    assert wakeup.idle_latency == pytest.approx(MEDIAN["idle_latency"])


def test_one_core_pays_for_steering_and_knows_no_idle_core_to_signal() -> None:
    path = path_of(LabPoint("300kpps", pinning="same"), PRIORS.machine(2))
    kernel, wakeup = path.kernel, path.wakeup
    # the sending call stays with the sender's core
    assert kernel.cost == pytest.approx(MEDIAN["network_stack"] + MEDIAN["packet_steering"])
    assert kernel.near_cost == 0.0
    assert wakeup.cost == pytest.approx(MEDIAN["local_wakeup"])
    assert (wakeup.early_cost, wakeup.leave, wakeup.settle, wakeup.idle_latency) == (0.0,) * 4
    assert path.cores.kernel_share == pytest.approx(MEDIAN["kernel_share"])
