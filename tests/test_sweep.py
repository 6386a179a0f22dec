"""The grid is that of single predictions; its readings, errors and limits."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
import warnings

import numpy as np
import pytest

from capmodel import load_machine, predict, sweep
from capmodel.sweep_result import QUANTITIES, label
from capmodel.sweeping import MOST_POINTS

RATES = [2e5, "0.9Mpps", 1.27e6]


def sampled_machine(members=60):
    """The default machine with a made-up posterior: only widths and shapes are looked at."""
    machine = load_machine("braun_amd")
    random = np.random.default_rng(7)
    samples = {
        name: machine.value(name) * np.exp(0.1 * random.standard_normal(members))
        for name in ("driver_receive", "wakeup", "mmap_read")
    }
    return dataclasses.replace(machine, samples=samples)


@pytest.mark.parametrize(
    "axes",
    [
        {"rate": RATES, "pinning": ["same", "split", "auto"]},
        {"rate": ["0.2Gbit/s", "1Gbit/s"], "size": [64, 512, "imix"], "ring": [64, "256 slots"]},
        {"backend": ["pf_packet", "bpf"], "work": ["0ns", "1us", ("200ns", "5ns")], "rate": RATES},
        {"buffer": ["256KiB", "2MiB"], "consumers": [1, 3], "duration": ["1s", 100.0]},
        {
            "backend": ["pf_ring", "pf_packet_modified"],
            "threshold": [1, 128],
            "timeout": ["1ms", 1],
        },
        {"backend": ["pf_packet_sleep"], "sleep": [1e-4, "1ms"], "arrivals": ["cbr", "poisson"]},
        {"application": ["tcpdump", "packzip:3"], "machine": ["braun_amd", "braun_xeon"]},
        {"ring": [None, 512], "driver": [None, "interrupt"], "jumbo": [True, False]},
    ],
)
def test_every_point_is_the_single_prediction(axes):
    # truth: the public function, one call per point
    fixed = {} if "rate" in axes else {"rate": 1.1e6}
    grid = sweep(**axes, **fixed)
    points = itertools.product(*grid.axes.values())
    for place, point in zip(np.ndindex(grid.shape), points, strict=True):
        alone = predict(**fixed, **dict(zip(grid.axes, point, strict=True)))
        for name in ("captured", "loss", "carried_rate", "wakeup_rate", "poll_rate",
                     "sojourn_time", "buffer_occupancy", "captured_std"):  # fmt: skip
            assert grid[name][place] == pytest.approx(getattr(alone, name), rel=1e-9), (name, point)
        assert grid["ring_drops"][place] == pytest.approx(alone.drops["ring"], rel=1e-9)
        assert grid["buffer_drops"][place] == pytest.approx(alone.drops["buffer"], rel=1e-9)
        assert grid["bottleneck"][place] == alone.bottleneck


def test_axes_come_in_the_order_of_the_signature():
    grid = sweep(ring=[64, 128], pinning=["same", "split"], rate=RATES)
    assert list(grid.axes) == ["rate", "pinning", "ring"]
    assert grid.axes["rate"] == tuple(RATES)
    assert grid.shape == grid["captured"].shape == (3, 2, 2)
    assert len(grid) == 12


def test_an_array_is_an_axis_and_a_single_value_is_not():
    grid = sweep(np.array([1e5, 2e5]), size=np.array([64, 512]), ring=np.array(256))
    assert grid.axes == {"rate": (1e5, 2e5), "size": (64, 512)}
    assert sweep(1e5).shape == ()
    assert len(sweep(1e5)) == 1
    assert sweep(1e5).to_rows()[0]["captured"] == predict(1e5).captured
    assert sweep(1e5).best() == {}


def test_a_pair_of_works_is_one_value_and_a_list_is_two():
    assert sweep(1e6, work=("200ns", "5ns")).shape == ()
    assert sweep(1e6, work=["200ns", "5ns"]).shape == (2,)


def test_reading():
    grid = sweep(RATES)
    assert set(grid.keys()) == set(grid) == {
        *(name for name in QUANTITIES if not name.startswith("captured_") or name.endswith("std")),
        "bottleneck",
    }  # fmt: skip
    assert "captured" in grid
    assert "captured_low" not in grid
    with pytest.raises(ValueError, match=r"'captured', 'loss'.*did you mean 'captured'"):
        grid["captred"]
    with pytest.raises(ValueError, match="intervals=True"):
        grid["captured_low"]
    with pytest.raises(ValueError, match="read-only"):
        grid["captured"][0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.axes = {}
    with pytest.raises(TypeError):
        grid.axes["rate"] = ()


def test_best_is_highest_or_lowest_by_quantity():
    grid = sweep([2e5, 1.27e6], pinning=["same", "split"])
    assert grid.best("carried_rate") == {"rate": 1.27e6, "pinning": "split"}
    assert grid.best("loss")["rate"] == 2e5
    with pytest.raises(ValueError, match="quantity must be one of"):
        grid.best("bottleneck")


def test_intervals_are_those_of_the_prediction():
    machine = sampled_machine()
    grid = sweep([8e5, 1.27e6], ring=[64, 256], machine=machine, intervals=True)
    points = itertools.product([8e5, 1.27e6], [64, 256])
    for place, (rate, ring) in zip(np.ndindex(2, 2), points, strict=True):
        low, high = predict(rate, ring=ring, machine=machine).interval()
        assert grid["captured_low"][place] == pytest.approx(low, rel=1e-9)
        assert grid["captured_high"][place] == pytest.approx(high, rel=1e-9)
    bare = sweep(RATES, machine=dataclasses.replace(machine, samples={}), intervals=True)
    assert np.array_equal(bare["captured_low"], bare["captured"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": [1e5, -1]}, r"rate must be .* not -1 \(at rate=-1\)"),
        ({"rate": [1e5, float("nan")]}, r"at rate=nan"),
        ({"rate": [1e5], "ring": [256, 0]}, r"ring must be .*at ring=0\)"),
        ({"rate": [1e5], "backend": ["bpf", "pf_paket"]}, "did you mean 'pf_packet'.*at backend="),
        ({"rate": [1e5], "backend": "pf_paket"}, r"did you mean 'pf_packet'\?\)$"),
        ({"rate": [1e5], "size": [64, 9217]}, r"9216.*\(at size=9217\)"),
        ({"rate": [1e5], "buffer": ["1MiB", "10"]}, "buffer must have a unit.*at buffer='10'"),
        ({"rate": []}, "rate must hold at least one value"),
        ({"rate": np.ones((2, 2))}, "rate must have one dimension"),
        ({"rate": [1e5], "application": "tcpdump", "work": ["1us"]}, "exclude each other"),
        (
            {"rate": [1e5, 2e5], "backend": ["pf_packet_sleep", "pf_packet"], "sleep": ["1ms"]},
            "sleep does not apply.*at rate=100000.0, backend='pf_packet', sleep='1ms'",
        ),
        (
            {"rate": [1e5], "size": 1500, "buffer": ["64KiB", "9 B"], "backend": "bpf"},
            "at least one packet.*at rate=100000.0, buffer='9 B'",
        ),
    ],
)
def test_an_error_names_the_point(arguments, message):
    with pytest.raises(ValueError, match=message):
        sweep(**arguments)


def test_too_many_points_are_refused_before_anything_is_solved():
    with pytest.raises(ValueError, match=rf"{MOST_POINTS:,} points, got 1,001,000 .*1001 rate"):
        sweep(list(np.linspace(1e5, 1e6, 1001)), ring=list(range(1, 1001)))


def test_a_rate_above_the_wire_speed_warns_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grid = sweep([1e5, 2e6], ring=[64, 128])
    assert len(caught) == 1
    assert "wire speed" in str(caught[0].message)
    assert any("wire speed" in text for text in grid.warnings)


def test_tables():
    grid = sweep(RATES, backend=["pf_packet", "bpf"])
    rows = grid.to_rows()
    assert len(rows) == 6
    assert rows[1]["rate"] == 2e5
    assert rows[1]["backend"] == "bpf"
    assert rows[5]["captured"] == grid["captured"][2, 1]
    assert str(grid).splitlines()[0] == "sweep of 6 points (3 rate x 2 backend)"
    assert "... 38 more" in str(sweep(np.linspace(1e5, 1e6, 50)))
    assert grid._repr_html_().count("<tr>") == 7
    assert "captured_std" in repr(grid)


def test_html_is_escaped():
    machine = dataclasses.replace(load_machine("braun_amd"), name="<b>")
    assert "<b>" not in sweep(1e5, machine=[machine])._repr_html_()


def test_frames():
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    grid = sweep(
        [1e4, 1e5, 1.5e5], size=[64, {64: 0.5, 1518: 0.5}], machine=[load_machine("braun_amd")]
    )
    frame, data = grid.to_pandas(), grid.to_xarray()
    assert isinstance(frame, pandas.DataFrame)
    assert isinstance(data, xarray.Dataset)
    assert list(frame["size"][:2]) == ["64", "64=0.5+1518=0.5"]
    assert frame["machine"].unique().tolist() == ["braun_amd"]
    assert frame["captured"].to_numpy() == pytest.approx(grid["captured"].ravel())
    assert data["captured"].sel(size="64").shape == (3, 1)
    numbers = sweep([1e5, 2e5], ring=[64, 128]).to_xarray()
    assert float(numbers["captured"].sel(rate=2e5, ring=128)) == 1.0


@pytest.mark.parametrize("library", ["pandas", "xarray"])
def test_a_missing_library_is_named(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"needs {library}; install it with: pip install"):
        getattr(sweep(1e5), f"to_{library}")()


def test_labels():
    assert label(load_machine("braun_amd")) == "braun_amd"
    assert label(("1us", "2ns")) == "1us+2ns"
    assert label(None) is None


def test_progress_ends_with_all_points():
    seen = []
    sweep(
        RATES, backend=["pf_packet", "bpf"], progress=lambda done, all_: seen.append((done, all_))
    )
    assert seen == [(3, 6), (6, 6)]


def test_blocks_join_without_a_seam(monkeypatch):
    from capmodel import sweeping

    whole = sweep(np.linspace(1e5, 1.4e6, 50), ring=[64, 256], backend=["pf_packet", "bpf"])
    monkeypatch.setattr(sweeping, "_BLOCK", 7)
    parts = sweep(np.linspace(1e5, 1.4e6, 50), ring=[64, 256], backend=["pf_packet", "bpf"])
    for name in whole:
        assert np.array_equal(whole[name], parts[name])


def test_a_thousand_points_take_less_than_two_seconds():
    start = time.perf_counter()
    sweep(np.linspace(1e5, 1.4e6, 100), ring=[64, 128, 256, 512, 1024], pinning=["same", "split"])
    assert time.perf_counter() - start < 2.0


FOUR = ["dpdk", "pf_packet", "shm_spin", "bpf"]


def test_all_that_a_machine_lacks_is_one_error():
    with pytest.raises(ValueError, match=r"^backend cannot be ") as caught:
        sweep(RATES, backend=FOUR)
    refused, _, supported = str(caught.value).partition("; supported: ")
    for name in ("dpdk", "shm_spin"):
        with pytest.raises(ValueError, match="has no cost") as alone:
            predict(1e5, backend=name)
        lack = str(alone.value).partition(" has ")[2].partition(", which")[0]
        assert f"{name!r} ({lack} on machine 'braun_amd')" in refused
    assert supported.startswith("'pf_packet', 'bpf'; unsupported='skip' (--skip-unsupported) ")
    with pytest.raises(ValueError, match=r"^backend .* machine 'netmap_900mhz'.*supported: none$"):
        sweep(RATES, backend=["pf_packet", "bpf"], machine="netmap_900mhz", unsupported="skip")
    with pytest.raises(ValueError, match="unsupported must be one of 'error', 'skip', not 'skp'"):
        sweep(RATES, backend=FOUR, unsupported="skp")


def test_what_a_machine_lacks_can_be_left_out():
    left = r"left out of the grid: backend 'dpdk' \(.*\), 'shm_spin' \(.*\)$"
    with pytest.warns(UserWarning, match=left):
        grid = sweep(RATES, backend=FOUR, unsupported="skip")
    assert grid.axes["backend"] == ("pf_packet", "bpf")
    assert grid.shape == (3, 2)
    plain = sweep(RATES, backend=["pf_packet", "bpf"], unsupported="skip")
    assert np.array_equal(grid["captured"], plain["captured"])
    assert any(text.startswith("left out of the grid") for text in grid.warnings)
    assert not any(text.startswith("left out") for text in plain.warnings)


def test_a_name_stays_only_if_it_fits_all_the_others():
    # dpdk's costs are known on one of the machines, those of pf_packet on the other
    machines = ["braun_amd", "netmap_900mhz"]
    with pytest.raises(ValueError, match=r"'dpdk' \(.*'braun_amd'\), 'pf_packet' \(.*'netmap_900"):
        sweep(1e5, backend=["dpdk", "pf_packet"], machine=machines, work=1e-6, unsupported="skip")
    with pytest.warns(UserWarning, match=r"grid: machine 'braun_amd' \(.* for backend 'dpdk'\)$"):
        grid = sweep(1e5, backend="dpdk", machine=machines, work=1e-6, unsupported="skip")
    assert grid.axes == {"machine": ("netmap_900mhz",)}
    with pytest.raises(ValueError, match=r"'tcpdump' \(no cost 'tcpdump' on.*; work= can be given"):
        sweep(1e5, backend="dpdk", machine="netmap_900mhz", application=["tcpdump", "sink"])


def test_where_no_name_varies_the_error_is_that_of_a_prediction():
    with pytest.raises(ValueError, match="has no cost") as alone:
        predict(1e5, backend="dpdk")
    with pytest.raises(ValueError, match="has no cost") as swept:
        sweep(RATES, backend="dpdk", ring=[64, 256])
    assert str(swept.value) == str(alone.value)
