"""What `predict` returns: complete, frozen, ready for print, HTML and JSON, and sure of itself."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from capmodel import Application, Prediction, load_machine, predict
from capmodel.prediction import INTERVAL_QUANTITIES
from capmodel.quantities import format_share
from capmodel.references import references
from capmodel.results import REGIMES

SCENARIOS: dict[str, dict[str, Any]] = {
    "light": {"rate": 1e5},
    "kernel": {"rate": 1.27e6},
    "consumer": {"rate": 1e6, "work": "2us"},
    "same": {"rate": 1.27e6, "pinning": "same"},
    "auto": {"rate": 1.27e6, "pinning": "auto"},
    "bpf": {"rate": 1.27e6, "backend": "bpf", "consumers": 2},
    "busy": {"rate": 1e5, "backend": "pf_packet_busy"},
    "mixture": {"rate": 3e5, "size": {64: 0.5, 512: 0.5}, "application": "packzip:3"},
    "channel": {"rate": 1e6, "backend": "shm_futex", "machine": "core2_q9400",
                "application": "sink"},
    "old": {"rate": 1.488e6, "machine": "deri2004"},
}  # fmt: skip


@pytest.fixture(params=SCENARIOS, scope="module")
def prediction(request: pytest.FixtureRequest) -> Prediction:
    return predict(**SCENARIOS[request.param])


def test_shares_and_rates_add_up(prediction: Prediction) -> None:
    p = prediction
    assert p.captured == pytest.approx(p.carried_rate / p.offered_rate)
    assert p.captured + p.loss == pytest.approx(1.0)
    assert p.carried_rate + sum(p.drops.values()) == pytest.approx(p.offered_rate)
    for core, times in p.core_time.items():
        assert sum(times.values()) == pytest.approx(1.0)
        assert p.utilisation[core] == pytest.approx(1.0 - times["idle"])
    assert p.bottleneck in REGIMES
    if p.wakeup_rate > 0:
        processes = float(p.path.consumer.processes)
        assert p.batch * p.wakeup_rate == pytest.approx(p.carried_rate * processes)
    else:
        assert p.batch == np.inf


def test_the_summary_says_the_numbers(prediction: Prediction) -> None:
    rows = dict(prediction.summary())
    assert rows["captured"].startswith(format_share(prediction.captured))
    limit = "nothing" if prediction.bottleneck == "unsaturated" else prediction.bottleneck
    assert rows["limited by"] == limit
    assert ("90 %" in rows["captured"]) == bool(prediction.machine.samples)
    assert ("spread between runs" in rows) == (prediction.inputs["pinning"] == "auto")
    assert len(rows) == len(prediction.summary())
    for core in prediction.utilisation:
        assert f"{core} core busy" in rows


@pytest.mark.parametrize("rate", [1e5, 9e5, 1.27e6, 3e6])
@pytest.mark.parametrize("extra", [{}, {"pinning": "same"}, {"work": "3us"}, {"ring": 8}], ids=str)
@pytest.mark.filterwarnings("ignore:rate .* exceeds")
def test_an_interval_as_printed_holds_the_value_as_printed(
    rate: float, extra: dict[str, Any]
) -> None:
    p = predict(rate, **extra)
    low, high = p.interval()
    value, ends = dict(p.summary())["captured"].split("(90 %: ")
    first, last = (float(text.strip(" %)")) for text in ends.split(" to "))
    if low <= p.captured <= high:
        assert first <= float(value.strip(" %")) <= last
    assert first <= last


def test_print_is_the_summary_with_title_and_warnings(prediction: Prediction) -> None:
    first, second, *lines = str(prediction).splitlines()
    assert first == prediction.title == prediction.backend.title
    assert second == f"on {prediction.machine.title}, {prediction.application.title}"
    texts = [f"{label} {text}".split() for label, text in prediction.summary()]
    warned = [f"warning: {text}".split() for text in prediction.warnings]
    assert [line.split() for line in lines] == [*texts, *warned]


def test_html_holds_every_row(prediction: Prediction) -> None:
    html = prediction._repr_html_()
    assert html.count("<tr>") == len(prediction.summary())
    assert html.count("<p>Warning: ") == len(prediction.warnings)


def test_html_is_escaped() -> None:
    base = predict(1e5)
    nasty = dataclasses.replace(
        base,
        machine=dataclasses.replace(base.machine, title="<script>alert(1)</script>"),
        backend=dataclasses.replace(base.backend, title="a & b <b>"),
        warnings=("1 < 2 & so on",),
    )
    html = nasty._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "a &amp; b &lt;b&gt;" in html
    assert "1 &lt; 2 &amp; so on" in html


def test_to_dict_is_json_and_complete(prediction: Prediction) -> None:
    content = prediction.to_dict()
    again = json.loads(json.dumps(content))
    assert again.keys() == content.keys()
    for name in ("captured", "loss", "offered_rate", "carried_rate", "wakeup_rate", "poll_rate",
                 "interrupt_rate", "batch", "sojourn_time", "buffer_occupancy", "captured_std",
                 "drops", "utilisation", "core_time", "bottleneck", "solver", "exact",
                 "accuracy"):  # fmt: skip
        assert again[name] == getattr(prediction, name), name
    low, high = prediction.interval()
    assert again["captured_interval"] == {"level": 0.9, "low": low, "high": high}
    assert set(again["inputs"]) == set(prediction.inputs)
    assert again["references"] == prediction.references()
    assert again["warnings"] == list(prediction.warnings)
    # no number that a property shows is missing
    public = {
        name for name, item in vars(Prediction).items()
        if isinstance(item, property) and name != "constants"
    }  # fmt: skip
    assert public <= set(again)


def test_to_dict_of_objects_and_arrays_as_arguments() -> None:
    machine, mine = load_machine("braun_xeon"), Application("mine", "my program", packet=1e-7)
    content = predict(np.float64(1e5), {64: 0.5, 512: 0.5}, "bpf", machine, mine).to_dict()
    given = json.loads(json.dumps(content))["inputs"]
    assert given["size"] == {"64": 0.5, "512": 0.5}
    assert (given["rate"], given["machine"], given["application"]) == (1e5, "braun_xeon", "mine")
    content = predict(np.float32(1e5), ring=np.int64(64), work=("1us", np.float64(1e-9))).to_dict()
    given = json.loads(json.dumps(content))["inputs"]
    assert (given["rate"], given["ring"], given["work"]) == (1e5, 64, ["1us", 1e-9])


@pytest.mark.parametrize("quantity", INTERVAL_QUANTITIES)
def test_intervals_widen_with_their_level(prediction: Prediction, quantity: str) -> None:
    levels = [prediction.interval(quantity, level) for level in (0.01, 0.3, 0.5, 0.9, 0.99)]
    lows, highs = zip(*levels, strict=True)
    assert list(lows) == sorted(lows, reverse=True)
    assert list(highs) == sorted(highs)
    assert all(low <= high for low, high in levels)


@pytest.mark.parametrize("quantity", INTERVAL_QUANTITIES)
def test_an_interval_holds_its_share_of_the_samples(prediction: Prediction, quantity: str) -> None:
    values = prediction.samples(quantity)
    for level in (0.5, 0.9):
        low, high = prediction.interval(quantity, level)
        inside = np.mean((values >= low) & (values <= high))
        assert inside >= level - 2.0 / len(values)
    assert np.all(np.isfinite(values))


def test_a_sample_is_a_prediction_with_those_costs() -> None:
    # truth: the same costs as a machine of their own, predicted alone
    prediction = predict(1.27e6)
    machine = prediction.machine
    for member in (0, 7, 100):
        single = dataclasses.replace(
            machine,
            constants={
                key: dataclasses.replace(c, value=float(machine.samples[key][member]), unit=_si(c))
                if key in machine.samples
                else c
                for key, c in machine.constants.items()
            },
        )
        alone = predict(1.27e6, machine=single)
        for quantity in ("captured", "wakeup_rate", "sojourn_time"):
            found = prediction.samples(quantity)[member]
            assert found == pytest.approx(getattr(alone, quantity), rel=1e-9)


def _si(constant: Any) -> str:
    return {"us": "s", "ns": "s", "ns/B": "s/B"}.get(constant.unit, constant.unit)


def test_a_machine_without_a_sample_has_no_width() -> None:
    machine = dataclasses.replace(load_machine("braun_amd"), samples={})
    prediction = predict(1.27e6, machine=machine)
    assert prediction.interval() == (prediction.captured, prediction.captured)
    assert prediction.samples().tolist() == [prediction.captured]
    assert "90 %" not in str(prediction)
    assert "without an uncertainty" in prediction.explain()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match=r"^level must lie between 0 and 1, got"):
        predict(1e5).interval(level=level)


def test_unknown_quantities() -> None:
    with pytest.raises(ValueError, match=r"^quantity must be one of .*did you mean 'captured'\?"):
        predict(1e5).samples("capture")
    with pytest.raises(ValueError, match=r"^quantity must be one of"):
        predict(1e5).interval("")


def test_references_resolve_and_have_a_place(prediction: Prediction) -> None:
    lines = prediction.references()
    assert lines
    assert len(set(lines)) == len(lines)
    texts = [work.text() for work in references().values()]
    for line in lines:
        assert any(line.startswith(text + " [") for text in texts), line
        assert "]" in line
    for source in prediction.backend.sources:
        assert any(source.locator in line for line in lines)
    for name, constant in prediction.constants.items():
        if constant.source != "capmodel":
            assert any(line.endswith(f"[{constant.locator}] for {name}") for line in lines)


def test_constants_are_those_that_matter() -> None:
    prediction = predict(1.27e6)
    used = prediction.constants
    assert {"driver_receive", "packet_tap", "mmap_read", "tcpdump", "poll_call", "wakeup"} <= set(
        used
    )
    assert not {"bpf_tap", "zlib", "pf_ring_read"} & set(used)
    old = predict(1.488e6, machine="deri2004")
    assert {"totals.pf_packet.kernel", "totals.pf_packet.consumer"} <= set(old.constants)
    assert not any("pf_ring" in name for name in old.constants)


# What a path takes beside the costs that a mechanism charges per packet.
BESIDE: dict[str, dict[str, Any]] = {
    "cache_line_transfer": {"rate": 1.27e6},
    "wakeup_latency": {"rate": 8e5},
    "large_buffer_miss": {"rate": 1.27e6, "buffer": "256MiB"},
    "cache_reach": {"rate": 1.27e6, "buffer": "3MiB"},
    "leave_same": {"rate": 1.27e6, "pinning": "auto"},
    "interrupt": {"rate": 6e5, "driver": "interrupt"},
    "nic.82572EI.ring": {"rate": 1.27e6},
    "nic.82572EI.throttle": {"rate": 6e5, "driver": "moderated"},
    "poll_tick": {"rate": 6e5, "driver": "polling"},
    "kernel_scv": {"rate": 8e5},
    "kernel_share": {"rate": 1.27e6, "pinning": "same"},
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_constant_that_moves_the_prediction_is_listed(name: str) -> None:
    base = predict(**BESIDE[name])
    constant = base.machine.constants[name]
    other = {
        **base.machine.constants, name: dataclasses.replace(constant, value=0.3 * constant.value),
    }  # fmt: skip
    moved = predict(**BESIDE[name], machine=dataclasses.replace(base.machine, constants=other))
    before, after = base.solution.as_floats(), moved.solution.as_floats()
    assert before != after
    assert base.constants[name] == constant


def test_constants_of_other_set_ups_are_not_listed() -> None:
    assert not {"local_wakeup", "leave_same", "poll_tick"} & set(predict(1e5).constants)
    same = set(predict(1e5, pinning="same").constants)
    assert "local_wakeup" in same
    assert not {"wakeup", "wakeup_latency", "cache_line_transfer"} & same


def test_it_is_frozen(prediction: Prediction) -> None:
    for field in dataclasses.fields(prediction):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(prediction, field.name, None)
    with pytest.raises(AttributeError):
        prediction.captured = 1.0  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.solution.carried_rate = 1.0  # type: ignore[misc]
    drops = prediction.drops
    drops["ring"] = -1.0
    assert prediction.drops["ring"] != -1.0
