"""Mechanisms as files: complete, sourced, inherited as documented, and refused by file and key."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

import capmodel
from capmodel import backend_names, load_backend, load_machine, machine_names
from capmodel.backend import FAMILIES, KNOBS, Backend, Release
from capmodel.path import BUFFER_KINDS, DRIVER_MODES, ON_FULL, WAIT_POLICIES
from capmodel.quantities import BufferSize
from capmodel.references import references
from capmodel.support import known_totals, needed_primitives

FOLDER = Path(capmodel.__file__).parent / "backends"
RAW: dict[str, dict[str, Any]] = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.toml"))
}
HEIRS = [name for name, raw in RAW.items() if "extends" in raw]
MACHINES = [load_machine(name) for name in machine_names()]


def stage_costs(backend: Backend, stage: str) -> set[str]:
    """The machine constants that a stage of a backend names."""
    costs = getattr(backend, stage)
    released = costs.release.once if costs.release else ()
    return {*costs.once, *costs.per_consumer, *((costs.copy,) if costs.copy else ()), *released}


def other_costs(backend: Backend) -> set[str]:
    """The machine constants that waiting names, and the factor on the application's work."""
    waiting = backend.waiting
    named = (waiting.poll, waiting.signal, waiting.contention, waiting.spin_call)
    return {name for name in (*named, backend.consumer.stretch) if name}


def test_the_names_are_the_files() -> None:
    assert backend_names() == tuple(RAW)
    assert len(HEIRS) > 5


@pytest.mark.parametrize("name", backend_names())
def test_every_backend_loads_complete(name: str) -> None:
    backend = load_backend(name)
    assert backend.name == name
    assert backend.title == RAW[name]["title"]
    assert backend.family in FAMILIES
    assert backend.waiting.policy in WAIT_POLICIES
    assert backend.buffer.kind in BUFFER_KINDS
    assert backend.driver in DRIVER_MODES
    assert backend.on_full in ON_FULL
    assert backend.knobs <= set(KNOBS)
    assert (backend.buffer.kind == "blocks") == (backend.buffer.block is not None)
    # who reads the card's ring itself has no kernel stage
    assert backend.kernel.once or backend.buffer.kind == "ring"


@pytest.mark.parametrize("name", backend_names())
def test_every_source_is_in_the_bibliography_with_a_place(name: str) -> None:
    sources = load_backend(name).sources
    assert sources
    for source in sources:
        assert source.source in references()
        assert source.locator.strip()


@pytest.mark.parametrize("name", backend_names())
def test_every_cost_exists_on_some_machine(name: str) -> None:
    backend = load_backend(name)
    for cost in other_costs(backend):
        assert any(cost in machine for machine in MACHINES), cost
    for stage in ("kernel", "consumer"):
        # a stage may be known as a whole only
        whole = any(f"totals.{name}.{stage}" in machine for machine in MACHINES)
        for cost in stage_costs(backend, stage):
            assert whole or any(cost in machine for machine in MACHINES), cost


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_total_of_a_machine_belongs_to_a_stage(machine: capmodel.Machine) -> None:
    for key in machine.constants:
        if key.startswith("totals."):
            _, backend, stage = key.split(".")
            assert backend in backend_names()
            assert stage in ("kernel", "consumer")


@pytest.mark.parametrize("name", backend_names())
def test_some_machine_can_predict_every_backend(name: str) -> None:
    backend = load_backend(name)
    sink = capmodel.Application("nothing", "no work")

    def missing(machine: capmodel.Machine) -> list[str]:
        needed = needed_primitives(backend, sink, known_totals(backend, machine))
        return [cost for cost in needed if cost not in machine]

    able = [machine for machine in MACHINES if not missing(machine)]
    assert able
    prediction = capmodel.predict(1e4, backend=name, machine=able[0], application="sink")
    assert 0.0 <= prediction.captured <= 1.0
    assert prediction.captured + prediction.loss == pytest.approx(1.0)


@pytest.mark.parametrize("name", HEIRS)
def test_an_heir_takes_from_its_base_what_it_does_not_say(name: str) -> None:
    own, base = RAW[name], load_backend(RAW[name]["extends"])
    backend = load_backend(name)
    for key in ("family", "driver", "on_full"):
        assert getattr(backend, key) == own.get(key, getattr(base, key)), key
    if "knobs" not in own:
        assert backend.knobs == base.knobs
    for stage in ("kernel", "consumer"):
        for field in dataclasses.fields(base.kernel):
            said = {**own.get(stage, {})}
            if "release" in said:
                raw = said["release"]
                said["release"] = Release(**{**raw, "once": tuple(raw.get("once", ()))})
            got = getattr(getattr(backend, stage), field.name)
            expected = said.get(field.name, getattr(getattr(base, stage), field.name))
            assert got == (tuple(expected) if isinstance(expected, list) else expected)
    for field in dataclasses.fields(base.buffer):
        if field.name not in own.get("buffer", {}):
            assert getattr(backend.buffer, field.name) == getattr(base.buffer, field.name)


@pytest.mark.parametrize("name", HEIRS)
def test_another_policy_inherits_only_who_is_called(name: str) -> None:
    own, base = RAW[name].get("waiting", {}), load_backend(RAW[name]["extends"])
    waiting = load_backend(name).waiting
    new_policy = "policy" in own
    for field in dataclasses.fields(waiting):
        got, inherited = getattr(waiting, field.name), getattr(base.waiting, field.name)
        if field.name in own:
            assert got == own[field.name]
        elif not new_policy or field.name in ("signal", "poll"):
            assert got == inherited
        else:
            assert got == field.default


def test_sizes_are_read_with_their_units() -> None:
    assert load_backend("pf_packet").buffer.default == BufferSize(2 * 2**20, "bytes")
    assert load_backend("pf_packet_copy").buffer.default == BufferSize(256, "slots")
    assert load_backend("tpacket_v3").buffer.block == BufferSize(256 * 2**10, "bytes")


def test_unknown_names_list_the_closest() -> None:
    with pytest.raises(ValueError, match=r"^backend must be one of .*did you mean 'pf_packet'\?"):
        load_backend("pf_paket")


GOOD = """title = "mine"
family = "paper"
knobs = ["ring"]
sources = [{ source = "braun2010", locator = "section 2" }]
[kernel]
once = ["driver_receive"]
[consumer]
[waiting]
policy = "poll"
[buffer]
kind = "slots"
default = "2MiB"
"""


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, **contents: str) -> Backend:
    """The backend `mine` among files of the test's own."""
    for name, content in contents.items():
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
    monkeypatch.setattr("capmodel.backend.locate", lambda _, name: folder / f"{name}.toml")
    load_backend.cache_clear()
    try:
        return load_backend("mine")
    finally:
        load_backend.cache_clear()


def test_a_small_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = load(tmp_path, monkeypatch, mine=GOOD)
    assert (backend.driver, backend.on_full) == ("napi", "drop")
    assert backend.waiting.signal == "wakeup"
    assert backend.buffer.header == 0


def test_heirs_of_heirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = load(
        tmp_path,
        monkeypatch,
        base=GOOD.replace('policy = "poll"', 'policy = "poll"\npoll = "poll_call"\nthreshold = 9'),
        middle='extends = "base"\ntitle = "middle"\n[buffer]\nheader = 4\n',
        mine='extends = "middle"\n[waiting]\npolicy = "sleep"\nsleep = 1e-3\n',
    )
    assert backend.title == "middle"
    assert backend.kernel.once == ("driver_receive",)
    assert (backend.buffer.header, backend.buffer.default.amount) == (4, 2 * 2**20)
    assert (backend.waiting.poll, backend.waiting.sleep) == ("poll_call", 1e-3)
    assert backend.waiting.threshold == 1.0


def test_a_release_is_taken_over_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = GOOD + '[consumer.release]\nonce = ["mmap_read"]\nshared_lines = 2\nthreshold = 4\n'
    heir = 'extends = "base"\ntitle = "heir"\n'
    same = load(tmp_path, monkeypatch, base=base, mine=heir)
    assert same.consumer.release == Release(("mmap_read",), 2.0, 4.0)
    own = heir + "[consumer.release]\nthreshold = 8\n"
    other = load(tmp_path, monkeypatch, base=base, mine=own)
    assert other.consumer.release == Release((), 0.0, 8.0)
    assert load(tmp_path, monkeypatch, mine=GOOD).consumer.release is None


def test_who_gives_slots_back_by_a_call_of_its_own() -> None:
    # a spinning reader stores, and one that reads descriptors from a pipe writes no futex
    releases = {name for name in backend_names() if load_backend(name).consumer.release}
    assert releases == {"shm_futex"}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (GOOD.replace('title = "mine"\n', ""), "title: missing"),
        (GOOD.replace("[consumer]\n", ""), "consumer: missing"),
        (GOOD + "colour = 1\n", "buffer.colour: unknown key; known: kind"),
        ("colour = 1\n" + GOOD, "backend.colour: unknown key"),
        (GOOD.replace("once", "twice"), "kernel.twice: unknown key"),
        (GOOD.replace('once = ["driver_receive"]', "once = 1"), "kernel.once: 1 is of the wrong"),
        (GOOD.replace('"poll"', '"pole"'), "waiting.policy: 'pole' is not one of poll, spin"),
        (GOOD.replace('policy = "poll"', ""), "waiting.policy: None is not one of poll, spin"),
        (GOOD.replace('"slots"', '"heap"'), "buffer.kind: 'heap' is not one of slots"),
        (GOOD.replace('"paper"', '"book"'), "family: 'book' is not one of paper"),
        (GOOD.replace('"ring"', '"string"'), "knobs: 'string' is not one of threshold"),
        ('driver = "nap"\n' + GOOD, "driver: 'nap' is not one of napi"),
        ('on_full = "cry"\n' + GOOD, "on_full: 'cry' is not one of drop"),
        (GOOD.replace("2MiB", "2"), "content: buffer.default must have a unit"),
        (GOOD.replace('default = "2MiB"\n', ""), "content: .*default"),
        (GOOD.replace("braun2010", "nowhere"), "content: .*no work 'nowhere'"),
        (GOOD.replace(', locator = "section 2"', ""), "content: .*locator"),
        (GOOD.replace("sources = [", "sources = [1, "), "content: "),
        (GOOD.replace('"slots"', '"blocks"'), "buffer.block: missing"),
        (GOOD.replace("sources = [{", "sources = [] #"), "sources: "),
        (GOOD.replace('"driver_receive"', "7"), "kernel.once: "),
        (
            GOOD + "[consumer.release]\nevery = 3\n",
            "consumer.release.every: unknown key; known: onc",
        ),
        (GOOD + "[consumer.release]\nonce = 3\n", "consumer.release.once: 3 is of the wrong"),
        (GOOD + "[consumer.release]\nonce = [3]\n", "consumer.release.once: must hold names"),
        (GOOD + "[consumer.release]\nthreshold = 0\n", "consumer.release.threshold: must be at le"),
        (GOOD + "[consumer.release]\nthreshold = nan\n", "consumer.release.threshold: must be at"),
        (GOOD + "[consumer.release]\nthreshold = inf\n", "consumer.release.threshold: must be at"),
        (GOOD + "[kernel.release]\nthreshold = 1\n", "kernel.release: unknown key"),
        (GOOD + "=", "syntax"),
    ],
)
def test_damaged_files_name_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, place: str
) -> None:
    with pytest.raises(ValueError, match=f"mine.toml, {place}"):
        load(tmp_path, monkeypatch, mine=content)


def test_a_circle_of_heirs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"mine.toml, extends: goes in a circle"):
        load(tmp_path, monkeypatch, mine='extends = "other"\n', other='extends = "mine"\n')
