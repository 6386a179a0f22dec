"""Columns and samples solve the same paths as single predictions; what heirs inherit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capmodel import load_machine, predict
from capmodel.observe import QUANTITIES, Observer, PublicObserver, Setting, quantity

RATE = 1.27e6
LEVELS = tuple(f"packzip:{level}" for level in range(10))
SETTINGS: dict[str, Setting] = {
    "one": Setting({"rate": RATE}),
    "text": Setting({"rate": "1Gbit/s", "size": 256, "application": "packzip:6"}),
    "rates": Setting({"backend": "pf_ring"}, "rate", (2e5, 8e5, RATE)),
    "one core": Setting({"pinning": "same"}, "rate", (2e5, 8e5, RATE)),
    "scheduler": Setting({"pinning": "auto", "consumers": 2}, "rate", (2e5, 8e5, RATE)),
    "levels": Setting({"rate": RATE}, "application", LEVELS),
    "levels at a size": Setting({"rate": "1Gbit/s", "size": 512, "backend": "bpf"},
                                "application", LEVELS),
    "sleeps": Setting({"rate": RATE, "backend": "pf_packet_sleep"}, "sleep",
                      (1e-8, 1e-3, 2e-2, 0.1)),
    "timeouts": Setting({"rate": 5e5, "backend": "pf_packet_modified"}, "timeout", (1e-4, 1e-2)),
    "thresholds": Setting({"rate": 5e5, "backend": "pf_packet_modified"}, "threshold", (1, 64)),
    "buffers": Setting({"rate": RATE}, "buffer", ("2MiB", "64 slots")),
    "backends": Setting({"rate": RATE}, "backend", ("pf_packet", "bpf", "pf_ring")),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_columns_are_the_public_predictions_point_by_point(name: str) -> None:
    setting = SETTINGS[name]
    fast, plain = Observer(), PublicObserver()
    for read in QUANTITIES:
        if name == "one core" and read == "kernel_utilisation":
            with pytest.raises(ValueError, match="needs a kernel on a core of its own"):
                fast.read(setting, read)
            continue
        found, expected = fast.read(setting, read), plain.read(setting, read)
        assert len(found) == len(expected) == max(len(setting.series), 1)
        np.testing.assert_allclose(
            found.reshape(len(found), -1)[:, 0], expected, rtol=1e-9, err_msg=read
        )


@pytest.mark.parametrize("name", SETTINGS)
def test_a_sample_of_costs_is_each_member_alone(name: str) -> None:
    setting = SETTINGS[name]
    machine = load_machine("braun_amd")
    scales = np.array([0.7, 1.0, 1.6])
    sample = {key: machine.value(key) * scales for key in ("driver_receive", "wakeup", "mmap_read")}
    together = Observer({"braun_amd": sample}).read(setting)
    assert together.shape == (max(len(setting.series), 1), 3)
    for member in range(3):
        single = {key: values[member] for key, values in sample.items()}
        alone = Observer({"braun_amd": single}).read(setting)
        np.testing.assert_allclose(together[:, member], alone.reshape(len(alone)), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ({"rate": RATE}, "captured", lambda p: p.captured),
        ({"rate": RATE}, "loss", lambda p: p.loss),
        ({"rate": RATE}, "ring_drops", lambda p: p.drops["ring"]),
        ({"rate": RATE, "pinning": "same"}, "buffer_drops", lambda p: p.drops["buffer"]),
        ({"rate": RATE}, "polls_per_packet", lambda p: p.poll_rate / p.carried_rate),
        ({"rate": 2e5}, "interrupts_per_packet", lambda p: p.interrupt_rate / p.carried_rate),
        ({"rate": RATE}, "kernel_rate", lambda p: p.offered_rate - p.drops["ring"]),
        ({"rate": RATE}, "kernel_utilisation", lambda p: p.utilisation["kernel"]),
        ({"rate": RATE}, "consumer_share", lambda p: p.core_time["consumer"]["packets"]),
        ({"rate": RATE, "pinning": "same"}, "consumer_share",
         lambda p: p.core_time["shared"]["consumer packets"]),
        ({"rate": 1e5}, "consumer_load", lambda p: 1e5 * float(p.path.consumer.cost)),
        ({"rate": RATE, "pinning": "auto"}, "captured_std", lambda p: p.captured_std),
    ],
)  # fmt: skip
def test_quantities_are_what_they_are_called(
    options: dict[str, Any], name: str, expected: Any
) -> None:
    prediction = predict(**options)
    assert expected(prediction) > 0.0
    assert Observer().read(Setting(options), name)[0] == pytest.approx(expected(prediction))


def test_unknown_quantities_and_arguments() -> None:
    with pytest.raises(ValueError, match=r"^quantity must be one of .*did you mean 'captured'\?"):
        quantity("capture")
    with pytest.raises(ValueError, match=r"^unknown arguments of predict: colour"):
        Observer().solve(Setting({"rate": 1e5, "colour": "red"}))


def test_settings_are_solved_once() -> None:
    observer = Observer()
    first = observer.solve(Setting({"rate": 1e5, "pinning": "same"}))
    assert observer.solve(Setting({"pinning": "same", "rate": 1e5})) is first
    assert observer.solve(Setting({"rate": 1e5, "pinning": "split"})) is not first
    assert observer.solve(Setting({"pinning": "same"}, "rate", (1e5,))) is not first


def test_an_heir_follows_its_base_in_what_it_does_not_own() -> None:
    heir, base = load_machine("core2_q9400_l2"), load_machine("core2_q9400")
    assert heir.base == base.name
    (own,) = heir.own
    other = next(key for key in base.samples if key not in heir.own)
    given = {base.name: {own: 123.0, other: 456.0}}
    costs = Observer(given).costs(heir)
    assert costs[other] == 456.0
    assert costs[own] == heir.value(own)
    assert Observer(given).costs(base)[own] == 123.0
    # what is given for the heir itself comes first
    both = {**given, heir.name: {own: 7.0, other: 8.0}}
    assert Observer(both).costs(heir) == {**heir.values(), own: 7.0, other: 8.0}
    assert Observer().costs(heir) == heir.values()
    assert Observer({"braun_amd": {own: 1.0}}).costs(heir) == heir.values()
