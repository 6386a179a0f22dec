"""Machines as files: every number sourced, samples that fit, errors by file, line and key."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import capmodel
from capmodel import Machine, load_machine, machine_names
from capmodel.constant import ORIGINS, UNITS
from capmodel.references import references

FOLDER = Path(capmodel.__file__).parent / "machines"
SAMPLED = [name for name in machine_names() if load_machine(name).samples]


def test_the_names_are_the_files() -> None:
    assert machine_names() == tuple(path.stem for path in sorted(FOLDER.glob("*.toml")))
    # each sample belongs to a machine
    for path in FOLDER.glob("*.posterior.csv"):
        assert path.name.removesuffix(".posterior.csv") in SAMPLED


@pytest.mark.parametrize("name", machine_names())
def test_every_constant_says_where_it_comes_from(name: str) -> None:
    machine = load_machine(name)
    assert machine.name == name
    assert machine.title
    assert machine.cores >= 1
    assert machine.constants
    for key, constant in machine.constants.items():
        assert constant.name == key
        assert constant.unit in UNITS
        assert constant.origin in ORIGINS
        assert constant.source == "capmodel" or constant.source in references(), key
        assert constant.locator.strip(), key
        assert constant.value >= 0.0
        # what was assumed was not measured by anybody, and what was calibrated was measured
        assert (constant.origin == "assumed") == (constant.source == "capmodel"), key
        assert (constant.std > 0.0) or constant.origin != "calibrated", key


@pytest.mark.parametrize("name", machine_names())
def test_units_belong_to_what_is_measured(name: str) -> None:
    # costs are times, but for what is said here; the solvers would not notice another dimension
    machine = load_machine(name)
    time, rate = {"s", "ms", "us", "ns"}, {"1/s", "pps", "kpps", "Mpps", "Hz", "kHz", "MHz"}
    bit = {"bit/s", "Mbit/s", "Gbit/s"}
    named = {
        "zlib": {"-"}, "bsd_stretch": {"-"}, "kernel_scv": {"-"}, "kernel_share": {"-"},
        "driver_elsewhere": {"-"},
        "spin_contention": {"-"}, "yield_contention": {"-"}, "cache_reach": {"B", "KiB", "MiB"},
        "leave_same": rate, "leave_split": rate, "stall_rate": rate,
        "poll_tick": rate, "poll_budget": {"packets"},
        "softirq_budget": {"packets"},
        "wire_rate": bit, "ring": {"slots"}, "throttle": rate,
        "bus_rate": {"MB/s", "GB/s"}, "bus_descriptors": {"B"},
    }  # fmt: skip
    for key, constant in machine.constants.items():
        last = key.rsplit(".", 1)[-1]
        usual = {"s/B", "us/B", "ns/B"} if last.endswith("_byte") else time
        assert constant.unit in named.get(last, usual), key


@pytest.mark.parametrize("name", machine_names())
def test_cards_are_complete(name: str) -> None:
    machine = load_machine(name)
    assert machine.default_nic in (*machine.cards, "")
    assert bool(machine.cards) == bool(machine.default_nic)
    for card in machine.cards:
        assert f"nic.{card}.wire_rate" in machine or f"nic.{card}.ring" in machine


@pytest.mark.parametrize("name", SAMPLED)
def test_the_posterior_is_of_the_calibrated_costs(name: str) -> None:
    machine = load_machine(name)
    lengths = {len(sample) for sample in machine.samples.values()}
    assert len(lengths) == 1
    assert lengths.pop() >= 100
    fitted = {key for key, constant in machine.constants.items() if constant.origin == "calibrated"}
    assert set(machine.samples) == fitted
    off = []
    for key, sample in machine.samples.items():
        assert np.all(sample > 0.0), key
        assert np.all(np.isfinite(sample)), key
        constant = machine.constants[key]
        # mode and sample are of one posterior, whose standard deviation the file states
        assert np.std(sample) == pytest.approx(constant.si_std, rel=0.02), key
        # the best point of many costs together is not the middle of each, but near it
        assert abs(np.median(sample) - constant.si) <= 3.0 * constant.si_std, key
        off.append(abs(np.median(sample) - constant.si) / constant.si_std)
    assert np.mean(off) <= 1.0


def test_values_are_si_and_samples_take_their_place() -> None:
    machine = load_machine("braun_amd")
    values, sampled = machine.values(), machine.sampled_values()
    assert values["nic.82572EI.wire_rate"] == 1e9
    assert values["cache_reach"] == 2 * 2**20
    for key, constant in machine.constants.items():
        assert values[key] == machine.value(key) == constant.si
        if key in machine.samples:
            assert sampled[key] is machine.samples[key]
        else:
            assert sampled[key] == values[key]


def test_unknown_machines_and_costs() -> None:
    with pytest.raises(ValueError, match=r"^machine must be one of .*did you mean 'braun_amd'\?"):
        load_machine("braun_amt")
    with pytest.raises(ValueError, match=r"^cost of machine 'deri2004' .*mean 'poll_call'\?"):
        load_machine("deri2004").value("pol_call")
    with pytest.raises(
        TypeError, match=r"machine must be a name, a path to a .toml file or a Mach"
    ):
        load_machine(3)


@pytest.mark.parametrize(
    ("heir", "base"),
    [(name, load_machine(name).base) for name in machine_names() if load_machine(name).base],
)
def test_an_heir_has_all_of_its_base(heir: str, base: str) -> None:
    own, inherited = load_machine(heir), load_machine(base)
    assert own.own
    for key, constant in inherited.constants.items():
        if key not in own.own:
            assert own.constants[key] == constant
            assert (key in own.samples) == (key in inherited.samples)
    for key in own.own & set(own.samples) & set(inherited.samples):
        assert not np.array_equal(own.samples[key], inherited.samples[key])


LINE = '{ value = 2.0, unit = "us", std = 0.5, origin = "calibrated", source = "deri2004", locator = "here" }'  # noqa: E501
GOOD = f"""title = "mine"
cores = 2
posterior = "sample.csv"
default_nic = "card"
[costs]
wakeup = {LINE}
poll_call = {LINE}
[totals.pf_packet]
kernel = {LINE}
consumer = {LINE}
[nic.card]
ring = {{ value = 512.0, unit = "slots", std = 0.0, origin = "assumed", source = "capmodel", locator = "here" }}
"""  # noqa: E501
SAMPLE = "wakeup,poll_call\n1e-6,2e-6\n3e-6,4e-6\n"


def write(folder: Path, content: str = GOOD, sample: str = SAMPLE, name: str = "mine") -> Path:
    (folder / "sample.csv").write_text(sample, encoding="utf-8")
    path = folder / f"{name}.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_file_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    absolute = load_machine(path)
    monkeypatch.chdir(tmp_path)
    relative = load_machine("mine.toml")
    assert relative.name == absolute.name == "mine"
    assert relative.constants == absolute.constants
    np.testing.assert_array_equal(relative.samples["wakeup"], [1e-6, 3e-6])
    assert relative.cards == ("card",)
    assert relative.value("totals.pf_packet.kernel") == pytest.approx(2e-6)
    prediction = capmodel.predict(1e6, machine="mine.toml", application="sink")
    assert prediction.machine.name == "mine"
    assert float(prediction.path.kernel.ring) == 512
    # a kernel of 2 us carries half of 1 Mpps at the most, and what ring and buffer hold at the end
    held = (512 + float(prediction.path.buffer.capacity)) / 1e8
    assert 0.0 < prediction.captured <= 0.5 + held
    assert len(prediction.samples()) == 2


def test_the_sample_is_looked_for_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "machines"
    inner.mkdir()
    write(inner)
    monkeypatch.chdir(tmp_path)
    assert load_machine("machines/mine.toml").samples
    assert load_machine(Path("machines") / "mine.toml").samples


def test_extending_a_packaged_machine(tmp_path: Path) -> None:
    content = f'title = "mine"\ncores = 2\nextends = "deri2004"\n[costs]\nkernel_share = {LINE}\n'
    machine = load_machine(write(tmp_path, content.replace('"us"', '"-"')))
    base = load_machine("deri2004")
    assert (machine.base, machine.own) == ("deri2004", {"kernel_share"})
    assert machine.value("kernel_share") == 2.0
    assert machine.default_nic == base.default_nic
    assert machine.constants["poll_call"] == base.constants["poll_call"]
    # the base's sample of a replaced cost belongs to another value: its own std makes a new one
    assert set(machine.samples) == set(base.samples)
    drawn, std = machine.samples["kernel_share"], machine.constants["kernel_share"].si_std
    assert float(np.mean(drawn)) == pytest.approx(2.0, abs=4 * std / np.sqrt(len(drawn)))
    assert float(np.std(drawn)) == pytest.approx(std, rel=0.3)


def test_extending_a_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, name="base")
    content = f'title = "mine"\ncores = 1\nextends = "base.toml"\n[costs]\nread_call = {LINE}\n'
    path = write(tmp_path, content)
    monkeypatch.chdir(tmp_path.parent)
    machine = load_machine(path)
    assert machine.base == "base"
    assert {"read_call", "wakeup", "nic.card.ring"} <= set(machine.constants)
    assert set(machine.samples) == {"wakeup", "poll_call", "read_call"}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (GOOD.replace('title = "mine"\n', ""), "title: missing"),
        (GOOD.replace("cores = 2\n", ""), "cores: missing"),
        (GOOD.replace("cores = 2", "cores = 0"), "cores: must be at least 1, got 0"),
        (GOOD.replace("cores = 2", "cores = 2.0"), "machine.cores: 2.0 is of the wrong type"),
        (GOOD.replace("cores = 2", "cores = true"), "machine.cores: True is of the wrong type"),
        ("colour = 1\n" + GOOD, "machine.colour: unknown key; known: title"),
        (GOOD.replace(LINE, "3", 1), "wakeup: must be a table"),
        (GOOD.replace('unit = "us", ', "", 1), "key 'wakeup': the key 'unit' is missing"),
        (GOOD.replace('"us"', '"parsec"', 1), "key 'wakeup': unit of constant 'wakeup' must be"),
        (GOOD.replace('"here"', '" "', 1), "key 'wakeup': locator of constant 'wakeup' must be"),
        (GOOD.replace('"calibrated"', '"guessed"', 1), "key 'wakeup': origin of constant"),
        (GOOD.replace("deri2004", "nowhere", 1), "wakeup.source: .*no work 'nowhere'"),
        (GOOD.replace("2.0", "-2.0", 1), "wakeup: must not be negative, got -2.0"),
        (GOOD.replace("2.0", "nan", 1), "key 'wakeup': value of constant"),
        (GOOD.replace("std = 0.5", "std = -1", 1), "key 'wakeup': std of constant"),
        (GOOD.replace('default_nic = "card"', 'default_nic = "cart"'), "default_nic: .*nic.cart"),
        (GOOD.replace("[nic.card]\n", "[nic]\n"), "nic.*ring"),
        (
            GOOD.replace("sample.csv", "none.csv"),
            "file: it does not exist; the machine's line 'posterior' names it",
        ),
        ('extends = "braun_amt"\n' + GOOD, "extends: .*did you mean 'braun_amd'"),
        ('extends = "none.toml"\n' + GOOD, "file: it does not exist"),
        ('extends = "mine.toml"\n' + GOOD, "extends: goes in a circle"),
        (
            'extends = "deri2004"\n' + GOOD.replace("kernel_share = ", "x = "),
            r"posterior: samples of the base and its own differ in length: \[2, ",
        ),
        (
            GOOD.replace(
                "[nic.card]\n",
                '[nic.card]\nbus_rate = { value = 133.0, unit = "MB/s", '
                'std = 0.0, origin = "assumed", source = "capmodel", locator = "here" }\n',
            ),
            "nic.card.bus_rate: needs all of bus_rate, bus_descriptors",
        ),
        (GOOD + "=", "syntax"),
    ],
)
def test_damaged_files_name_file_and_key(tmp_path: Path, content: str, place: str) -> None:
    with pytest.raises(ValueError, match=rf"(mine|none)\.(toml|csv), {place}"):
        load_machine(write(tmp_path, content))


@pytest.mark.parametrize(
    ("sample", "place"),
    [
        ("", "file: holds no sample"),
        ("wakeup,poll_call\n", "file: holds no sample"),
        ("wakeup,pole_call\n1,2\n", "line 1: 'pole_call' is not a constant"),
        ("wakeup,wakeup\n1,2\n", "line 1: 'wakeup' stands twice"),
        ("wakeup,poll_call\n1e-6,2e-6\n1e-6\n", "line 3: has 1 fields, the header 2"),
        ("wakeup,poll_call\n1e-6,2e-6,3e-6\n", "line 2: has 3 fields"),
        ("wakeup,poll_call\n\n1e-6,2e-6\n", "line 2: has 0 fields"),
        ("wakeup,poll_call\n1e-6,two\n", "line 2: could not convert"),
        ("wakeup,poll_call\n1e-6,nan\n", "line 2: must be finite"),
        ("wakeup,poll_call\n1e-6,1\n-1,1\n", "line 3: must be finite and not negative"),
    ],
)
def test_damaged_samples_name_file_and_line(tmp_path: Path, sample: str, place: str) -> None:
    with pytest.raises(ValueError, match=f"sample.csv, {place}"):
        load_machine(write(tmp_path, sample=sample))


def test_a_sample_that_is_not_text(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "sample.csv").write_bytes(b"wakeup\n\xff\n")
    with pytest.raises(ValueError, match=r"sample.csv, file: .*utf-8"):
        load_machine(path)


def test_the_samples_are_the_columns_of_the_file() -> None:
    with (FOLDER / "ptnet_vm.posterior.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    machine = load_machine("ptnet_vm")
    assert set(rows[0]) == set(machine.samples)
    for name, sample in machine.samples.items():
        np.testing.assert_array_equal(sample, [float(row[name]) for row in rows])


def test_a_machine_is_returned_as_it_is() -> None:
    machine = load_machine("deri2004")
    assert isinstance(machine, Machine)
    assert load_machine(machine) is machine
    assert "kernel_share" in machine
    assert "colour" not in machine
