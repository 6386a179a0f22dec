"""`predict`: its defaults, what every argument changes, and the sentence for every bad input."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import capmodel
import capmodel.formulary
from capmodel import MAP, Bursts, predict
from capmodel.path import CapturePath, parts
from capmodel.solvers import solve
from capmodel.support import default_backend, supported_backends

HIGH = 1.27e6


def test_the_defaults_are_the_papers() -> None:
    # Braun et al., IMC 2010: AMD machine, tcpdump, 64-byte frames, constant rate, runs of 100 s
    given = predict(
        rate=HIGH, size=64, backend="pf_packet", machine="braun_amd", application="tcpdump",
        pinning="split", consumers=1, arrivals="cbr", duration=100.0,
    )  # fmt: skip
    bare = predict(HIGH)
    assert bare.path == given.path
    assert bare.solution.as_floats() == given.solution.as_floats()
    assert bare.choices.ring is None
    assert float(bare.path.kernel.ring) == 256
    assert bare.path.arrivals.duration == 100.0


def test_the_default_backend_is_the_papers_wherever_its_costs_are_known() -> None:
    for name in capmodel.machine_names():
        machine = capmodel.load_machine(name)
        known = supported_backends(machine)
        chosen = default_backend(machine)
        if "pf_packet" in known:
            assert chosen == "pf_packet", name
        elif known:
            assert chosen in known, name
        else:
            assert chosen == "pf_packet", name  # and the error lists what is missing
    assert predict(1e5, machine="epyc_vm").backend.name == "tpacket_v3"
    # a grid has one backend: what all of its machines know
    grid = capmodel.sweep(1e5, machine=["braun_amd", "epyc_vm"])
    assert grid.fixed["backend"] == "tpacket_v3"
    assert capmodel.sweep([1e5, 2e5]).fixed["backend"] == "pf_packet"


def test_several_consumers_are_said_not_to_share_the_packets() -> None:
    assert not any("every packet" in text for text in predict(1e5).warnings)
    # three programs do as much work as one three times as slow: nothing is shared
    three, slow = predict(1e5, consumers=3, work="2us"), predict(1e5, work="6us")
    assert three.utilisation["consumer"] > 0.9 * slow.utilisation["consumer"]
    (note,) = [text for text in three.warnings if "every packet" in text]
    assert "share one core" in note
    assert "rate/3" in note
    function = note.partition("capmodel.formulary.")[2].split()[0]
    assert callable(getattr(capmodel.formulary, function))
    assert any("rate/2" in text for text in capmodel.sweep(1e5, consumers=[1, 2]).warnings)


def test_only_the_first_five_are_positional() -> None:
    kinds = {name: item.kind for name, item in inspect.signature(predict).parameters.items()}
    positional = [k for k, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == ["rate", "size", "backend", "machine", "application"]


def flat(prediction: capmodel.Prediction) -> dict[str, Any]:
    """Every number of the path by its place."""
    named = parts(prediction.path)
    numbers = {
        f"{part}.{name}": value for part, fields in named.items() for name, value in fields.items()
    }
    driver = numbers.pop("kernel.driver")
    return {**numbers, **{f"driver.{name}": value for name, value in vars(driver).items()}}


def changed(base: dict[str, Any], **knob: Any) -> set[str]:
    before, after = flat(predict(**base)), flat(predict(**{**base, **knob}))
    return {place for place in before if not same(before[place], after[place])}


def same(one: Any, other: Any) -> bool:
    """Equal but for rounding: a cost that is added and taken off again leaves a last digit."""
    if any(value is None or isinstance(value, (str, MAP)) for value in (one, other)):
        return bool(one == other)
    return bool(np.allclose(one, other, rtol=1e-12, atol=0.0))


BASE: dict[str, Any] = {"rate": 5e5, "machine": "braun_xeon"}
MODIFIED = {**BASE, "backend": "pf_packet_modified"}


@pytest.mark.parametrize(
    ("base", "knob", "places"),
    [
        (BASE, {"rate": 6e5}, {"arrivals.rate"}),
        (BASE, {"size": 65}, {"kernel.cost", "driver.bus_rate"}),  # the tap copies it
        (BASE, {"size": 200}, {"kernel.cost", "driver.bus_rate"}),
        (BASE, {"application": "sink"}, {"consumer.cost"}),
        (BASE, {"application": "packzip:1"}, {"consumer.cost", "buffer.capacity"}),
        (BASE, {"work": 1e-6}, {"consumer.cost"}),
        (BASE, {"pinning": "same"}, {
            "cores.pinning", "kernel.cost", "kernel.drop_cost", "consumer.cost", "wakeup.cost",
            "wakeup.latency",
        }),
        (BASE, {"pinning": "auto"}, {"cores.pinning", "cores.kernel_share", "cores.leave_same",
                                     "cores.leave_split"}),
        (BASE, {"ring": 512}, {"kernel.ring"}),
        (BASE, {"buffer": "1MiB"}, {"buffer.capacity"}),
        (BASE, {"buffer": "64 slots"}, {"buffer.capacity"}),
        (BASE, {"buffer": "1GiB"}, {"buffer.capacity", "kernel.cost", "consumer.cost"}),
        (BASE, {"consumers": 2}, {"consumer.processes", "kernel.cost"}),
        (BASE, {"arrivals": "poisson"}, {"arrivals.process", "arrivals.scv"}),
        (BASE, {"arrivals": Bursts(0.1, 0.1)}, {"arrivals.process", "arrivals.on", "arrivals.off"}),
        (BASE, {"duration": 10}, {"arrivals.duration"}),
        (MODIFIED, {"threshold": 64}, {"wakeup.threshold"}),
        (MODIFIED, {"timeout": 0.02}, {"wakeup.timeout"}),
        (MODIFIED, {"sleep": 1e-3}, {"wakeup.policy", "wakeup.sleep", "wakeup.poll_cost"}),
        (BASE, {"driver": "moderated"}, {"driver.mode"}),
        (BASE, {"driver": "interrupt"}, {"driver.mode", "driver.throttle"}),
        (BASE, {"driver": "polling"}, {"driver.mode", "driver.throttle", "driver.tick",
                                       "driver.budget"}),
        (BASE, {"jumbo": True}, set()),
        (BASE, {"solver": "closed_form"}, set()),
    ],
)  # fmt: skip
def test_every_argument_changes_what_it_should_and_nothing_else(
    base: dict[str, Any], knob: dict[str, Any], places: set[str]
) -> None:
    possible = {"kernel.drop_cost"} if "buffer" in knob else set()  # see test_assemble.py
    if knob == {"pinning": "auto"}:
        # the part that is shown is that of two cores, which the alternatives repeat
        assert changed(base, **knob) <= places
        assert len(predict(**base, **knob).path.alternatives) == 2
        return
    assert changed(base, **knob) - possible == places


PLACES_OF_CARDS = (
    ("kernel.ring", "ring"),
    ("driver.throttle", "throttle"),
    ("driver.bus_rate", "bus_rate"),
    ("driver.bus_rate", "bus_descriptors"),
)


def test_the_card_brings_its_ring_throttle_and_bus() -> None:
    machine = capmodel.load_machine("braun_xeon")
    values = machine.values()
    first, *others = machine.cards
    for card in others:
        expected = {
            place
            for place, name in PLACES_OF_CARDS
            if values.get(f"nic.{first}.{name}") != values.get(f"nic.{card}.{name}")
        }
        assert changed({**BASE, "nic": first}, nic=card) == expected
    slow = {"machine": "braun_xeon", "rate": "1Gbit/s"}
    assert predict(**slow, nic=first).path == predict(**slow).path


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ({"rate": "1.27Mpps"}, {"rate": 1.27e6}),
        ({"rate": "1Gbit/s"}, {"rate": 1e9 / 672}),
        ({"rate": HIGH, "size": "1500B"}, {"rate": HIGH, "size": 1500}),
        ({"rate": HIGH, "work": "2us"}, {"rate": HIGH, "work": 2e-6}),
        ({"rate": HIGH, "work": ("2us", "1ns")}, {"rate": HIGH, "work": (2e-6, 1e-9)}),
        ({"rate": HIGH, "ring": "512 slots"}, {"rate": HIGH, "ring": 512}),
        ({"rate": HIGH, "duration": "1min"}, {"rate": HIGH, "duration": 60}),
        ({"rate": HIGH, "buffer": "2MiB"}, {"rate": HIGH, "buffer": "16384 slots"}),
        ({"rate": HIGH, "arrivals": "bursts(on=1ms,off=3ms)"},
         {"rate": HIGH, "arrivals": Bursts(0.001, 0.003)}),
        ({"rate": HIGH, "backend": "pf_ring", "timeout": "10ms"},
         {"rate": HIGH, "backend": "pf_ring", "timeout": 0.01}),
        ({"rate": HIGH, "backend": "pf_packet_sleep", "sleep": "500us"},
         {"rate": HIGH, "backend": "pf_packet_sleep", "sleep": 5e-4}),
        ({"rate": HIGH, "size": "imix"},
         {"rate": HIGH, "size": {64: 7 / 12, 594: 4 / 12, 1518: 1 / 12}}),
    ],
)  # fmt: skip
def test_text_with_units_is_the_number(text: dict[str, Any], number: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # imix at 1.27 Mpps exceeds the wire
        found, expected = predict(**text), predict(**number)
    for name in ("captured", "wakeup_rate", "sojourn_time", "buffer_occupancy"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12), name


@pytest.mark.parametrize(
    ("argument", "value", "kind", "hint"),
    [
        ("backend", "pf_paket", ValueError, "did you mean 'pf_packet'?"),
        ("backend", 3, TypeError, "must be a name"),
        ("machine", "braun_amt", ValueError, "did you mean 'braun_amd'?"),
        ("machine", 3, TypeError, "path to a .toml file"),
        ("application", "tcpdmp", ValueError, "did you mean 'tcpdump'?"),
        ("pinning", "splitt", ValueError, "did you mean 'split'?"),
        ("arrivals", "poison", ValueError, "did you mean 'poisson'?"),
        ("solver", "closedform", ValueError, "did you mean 'closed_form'?"),
        ("nic", "82572EJ", ValueError, "did you mean '82572EI'?"),
        ("driver", "nap", ValueError, "did you mean 'napi'?"),
        ("rate", 0, ValueError, "greater than 0"),
        ("rate", -1.0, ValueError, "greater than 0"),
        ("rate", math.nan, ValueError, "finite"),
        ("rate", math.inf, ValueError, "finite"),
        ("rate", True, TypeError, "of type bool"),
        ("rate", None, TypeError, "of type NoneType"),
        ("rate", "fast", ValueError, "'fast'"),
        ("size", 63, ValueError, "from 64 to 9216"),
        ("size", 9217, ValueError, "to 65535 where jumbo is set"),
        ("size", 64.5, ValueError, "whole number"),
        ("size", {64: 0.5, 1518: 0.4}, ValueError, "sum to 1, got 0.9"),
        ("size", {}, ValueError, "empty mapping"),
        ("buffer", "10", ValueError, "must have a unit"),
        ("buffer", 4096, ValueError, "must have a unit"),
        ("buffer", "0 B", ValueError, "greater than 0"),
        ("ring", 0, ValueError, "at least 1"),
        ("ring", 1.5, ValueError, "whole number"),
        ("consumers", 0, ValueError, "at least 1"),
        ("consumers", 1.5, ValueError, "whole number"),
        ("sleep", 1e-3, ValueError, "does not apply to backend 'pf_packet'"),
        ("threshold", 128, ValueError, "does not apply to backend 'pf_packet'"),
        ("timeout", "1ms", ValueError, "does not apply to backend 'pf_packet'"),
        ("duration", 0, ValueError, "greater than 0"),
        ("duration", "0s", ValueError, "greater than 0"),
        ("work", -1e-9, ValueError, "at least 0"),
    ],
)
def test_bad_input_is_one_sentence_that_names_the_argument(
    argument: str, value: Any, kind: type[Exception], hint: str
) -> None:
    with pytest.raises(kind, match=rf"\b{argument}\b") as caught:
        predict(**{"rate": 1e5, argument: value})
    message = str(caught.value)
    assert message.startswith(argument)
    assert hint in message
    assert "\n" not in message
    if not hint.startswith(("does not apply", "sum to", "empty", "path to")):
        assert repr(value) in message  # what was given stands in the sentence


def test_work_and_application_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"^application and work exclude each other, got appl"):
        predict(1e5, application="tcpdump", work="1us")


def test_one_core_cannot_be_split() -> None:
    for pinning in ("split", "auto"):
        with pytest.raises(ValueError, match=r'^pinning must be "same" on machine \'deri2004\''):
            predict(1e5, machine="deri2004", pinning=pinning)


def test_jumbo_frames_are_asked_for() -> None:
    assert predict(1e4, 9217, jumbo=True).workload.mean_size == 9217
    with pytest.raises(ValueError, match=r"^size must be a whole number of bytes from 64 to 65535"):
        predict(1e4, 70_000, jumbo=True)


def test_a_rate_above_the_wire_warns_once_and_stays_in_the_prediction() -> None:
    with pytest.warns(UserWarning, match=r"^rate 2 Mpps exceeds the wire speed of 82572EI, 1.49 M"):
        prediction = predict("2Mpps")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = predict("2Mpps")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert sum("wire speed" in text for text in again.warnings) == 1
    assert prediction.warnings == again.warnings
    assert "warning: rate 2 Mpps exceeds" in str(again)


def test_a_slow_bus_loses_what_it_cannot_carry() -> None:
    """PCI moves 133 MB/s, and a 64-byte frame costs two descriptors of 16 bytes besides."""
    most = 133e6 / (64 + 2 * 16)
    with pytest.warns(UserWarning, match="^rate 1.49 Mpps exceeds what the bus of 82541PI"):
        slow = predict(1.488e6, backend="tnapi_pf_ring", nic="82541PI")
    quick = predict(1.488e6, backend="tnapi_pf_ring")
    assert quick.captured > 0.999
    assert slow.carried_rate == pytest.approx(most, rel=1e-5)
    assert slow.drops["ring"] == pytest.approx(1.488e6 - most, rel=1e-4)
    assert slow.bottleneck == "card"
    assert "bus between card and memory" in slow.explain()
    # larger frames are carried at wire speed, as the paper's cards on that bus were used for
    assert predict("1Gbit/s", size=1500, backend="tnapi_pf_ring", nic="82541PI").captured > 0.999


def test_only_the_closed_form_has_the_bus() -> None:
    with pytest.raises(ValueError, match=r"no bus that loses packets"):
        predict(1.4e6, nic="82541PI", solver="simulation", arrivals="poisson")
    path = CapturePath.single(rate=2.0, capacity=64, consumer_cost=1.0)
    driver = replace(path.kernel.driver, bus_rate=1.5)
    slow = replace(path, kernel=replace(path.kernel, driver=driver))
    with pytest.raises(ValueError, match=r"more packets than the card's bus carries"):
        solve(slow, "exact")


def test_wire_speed_itself_does_not_warn() -> None:
    for rate in ("1Gbit/s", 1e9 / 672, 1.488e6):
        assert not predict(rate).warnings
    assert not predict("1Gbit/s", "imix").warnings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"consumers": 4}, "more than three processes"),
        ({"rate": 1e3, "duration": "1s"}, "fewer than 10,000 packets"),
        ({"buffer": "8 slots"}, "size of the backlog that one wakeup leaves"),
        ({"pinning": "auto"}, "automatic scheduling"),
    ],
)
def test_limits_of_validity_are_said_without_a_warning(options: dict[str, Any], words: str) -> None:
    prediction = predict(**{"rate": 1e5, **options})
    assert sum(words in text for text in prediction.warnings) == 1
    assert not any(words in text for text in predict(1e5).warnings)


def test_a_threshold_beyond_the_buffer_is_said() -> None:
    found = predict(1e5, backend="pf_packet_modified", threshold=9999, buffer="1000 slots")
    assert not any("never wakes" in text for text in found.warnings)  # there is a timeout
    found = predict(1e6, machine="e5_2660_fosdem", backend="af_xdp", application="sink",
                    threshold=9999, buffer="1000 slots")  # fmt: skip
    assert sum("never wakes" in text for text in found.warnings) == 1


def test_the_inputs_are_kept_as_given() -> None:
    prediction = predict("1.27Mpps", work=("200ns", "1ns"), buffer="1MiB")
    assert prediction.inputs["rate"] == "1.27Mpps"
    assert prediction.inputs["work"] == ("200ns", "1ns")
    assert prediction.inputs["buffer"] == "1MiB"
    # what was left open is said where it was decided
    assert prediction.inputs["pinning"] == "split"
    assert set(prediction.inputs) == set(inspect.signature(predict).parameters)


def test_every_argument_is_documented() -> None:
    text = inspect.getdoc(predict) or ""
    section = text[text.index("Parameters\n") : text.index("Returns\n")]
    names = re.findall(r"^([a-z_, ]+) :", section, flags=re.MULTILINE)
    documented = {name.strip() for line in names for name in line.split(",")}
    assert documented == set(inspect.signature(predict).parameters)


def test_the_receivers_of_a_published_rig_spin() -> None:
    """Who spins is never woken, whatever a wakeup would cost; who polls pays for every one."""
    for backend in ("af_xdp_busy", "tpacket_v2_busy"):
        busy = predict(5e5, machine="e5_2660_fosdem", backend=backend, application="sink")
        assert busy.captured == 1.0
        assert busy.wakeup_rate == busy.poll_rate == 0.0
        assert busy.utilisation["consumer"] == pytest.approx(1.0)
    polling = predict(1.5e6, machine="e5_2660_fosdem", backend="af_xdp", application="sink")
    cost = float(polling.path.wakeup.cost)
    assert 0.0 < polling.wakeup_rate * cost < 1.0  # less than the kernel's core has time for
    assert polling.batch > 2.0


def test_work_that_is_likely_meant_in_other_units_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="work is in seconds per packet"):
        slow = predict(rate=1e6, work=400)
    assert any("400 s per packet" in text for text in slow.warnings)
    with pytest.warns(UserWarning, match="work"):
        predict(rate=1e6, work=(0.0, "1ms"))
    assert predict(rate=1e6, work="10ms").warnings == ()


def test_a_solver_that_refuses_names_those_that_would() -> None:
    with pytest.raises(ValueError, match=r"^solver 'decomposition' does not accept this") as caught:
        predict(1e5, backend="bpf", solver="decomposition")
    told = str(caught.value).rpartition("); ")[2]
    assert "'closed_form'" in told
    assert predict(1e5, backend="bpf", solver="closed_form").captured == 1.0


def test_replications_that_agree_are_said_to() -> None:
    found = predict(1e5, buffer="4096 slots", duration="1s", solver="simulation")
    assert found.captured == 1.0
    assert found.solution.accuracy == "simulation: all 8 replications captured the same share"
