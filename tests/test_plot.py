"""Figures: what stands on the axes, how many lines there are, and that files are whole."""

from __future__ import annotations

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

from capmodel import load_machine, predict, sweep
from capmodel.application import load_application
from capmodel.drawing import _apart
from capmodel.plot import plot_core_time, plot_paradox, plot_pinning, plot_sweep, save


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def sampled_machine(members=60):
    machine = load_machine("braun_amd")
    random = np.random.default_rng(7)
    names = ("driver_receive", "wakeup", "mmap_read", "bsd_receive")
    samples = {n: machine.value(n) * np.exp(0.1 * random.standard_normal(members)) for n in names}
    return dataclasses.replace(machine, samples=samples)


def finite(ax):
    return all(np.isfinite(np.asarray(line.get_ydata(), float)).all() for line in ax.get_lines())


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_sweep_has_a_line_per_value_and_labels_at_their_ends():
    grid = sweep([2e5, 8e5, 1.3e6], pinning=["same", "split"])
    ax = plot_sweep(grid, "rate")
    assert len(ax.get_lines()) == 2
    assert ax.get_lines()[1].get_xdata().tolist() == pytest.approx([0.2, 0.8, 1.3])
    assert ax.get_lines()[1].get_ydata() == pytest.approx(100 * grid["captured"][:, 1])
    assert ax.get_xlabel() == "offered rate [Mpps]"
    assert ax.get_ylabel() == "captured [%]"
    assert texts(ax) == ["same", "split"]
    assert finite(ax)


@pytest.mark.parametrize(
    ("axes", "x", "quantity", "x_label", "y_label"),
    [
        ({"ring": [64, 256, 4096]}, "ring", "loss", "receive ring [slots]", "lost [%]"),
        ({"buffer": ["64KiB", "2MiB"]}, "buffer", "sojourn_time", "buffer [KiB]",
         "sojourn time [us]"),
        ({"buffer": ["64 slots", "256 slots"]}, "buffer", "captured", "buffer [slots]",
         "captured [%]"),
        ({"rate": ["0.1Gbit/s", "1Gbit/s"]}, "rate", "wakeup_rate", "offered rate [Mpps]",
         "wakeups [1000/s]"),
        ({"work": [0.0, "1us", 5e-6]}, "work", "captured",
         "application's own work per packet [us]", "captured [%]"),
        ({"backend": ["pf_packet", "bpf"]}, "backend", "loss", "backend", "lost [%]"),
        ({"rate": 2e5, "size": [64, "imix"]}, "size", "loss", "frame size", "lost [%]"),
    ],
)  # fmt: skip
def test_sweep_axes_carry_their_units(axes, x, quantity, x_label, y_label):
    ax = plot_sweep(sweep(**{"rate": 1.1e6, **axes}), x, quantity)
    assert ax.get_xlabel() == x_label
    assert ax.get_ylabel() == y_label
    assert finite(ax)


def test_names_are_points_and_not_lines():
    ax = plot_sweep(sweep(1.2e6, backend=["pf_packet", "bpf"], ring=[64, 256]), "backend")
    assert [line.get_linestyle() for line in ax.get_lines()] == ["None", "None"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["pf_packet", "bpf"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ring 64", "ring 256"]


def test_band_only_where_there_is_an_interval():
    grid = sweep([8e5, 1.3e6], machine=sampled_machine(), intervals=True)
    assert len(plot_sweep(grid, "rate").collections) == 1
    assert len(plot_sweep(grid, "rate", band=False).collections) == 0
    assert len(plot_sweep(grid, "rate", "loss").collections) == 0


def test_sweep_refuses_what_it_cannot_draw():
    grid = sweep([2e5, 1e6], ring=[64, 256], pinning=["same", "split"])
    with pytest.raises(ValueError, match="did you mean 'rate'"):
        plot_sweep(grid, "rte")
    with pytest.raises(ValueError, match="quantity must be one of"):
        plot_sweep(grid, "rate", "bottleneck", by="ring")
    with pytest.raises(ValueError, match="by must be one of"):
        plot_sweep(grid, "rate", by="rate")
    with pytest.raises(ValueError, match="the sweep also varies pinning"):
        plot_sweep(grid, "rate", by="ring")


def test_core_time_adds_up():
    prediction = predict(1.27e6)
    ax = plot_core_time(prediction)
    widths = np.array([[bar.get_width() for bar in group] for group in ax.containers])
    assert widths.sum(axis=0) == pytest.approx([100.0, 100.0], abs=0.2)
    assert ax.get_xlabel() == "share of core time [%]"
    assert ax.get_ylabel() == "core"
    assert len(plot_core_time(predict(1.27e6, pinning="same")).get_yticklabels()) == 1


def test_paradox_shows_backends_bands_and_levels():
    machine = sampled_machine()
    ax = plot_paradox(machine=machine)
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["pf_packet", "pf_ring", "bpf", "90 % interval"]
    assert ax.get_xlabel() == "application's own work per packet [us]"
    assert finite(ax)
    marks = next(line for line in ax.get_lines() if line.get_marker() == "^")
    costs = [load_application(f"packzip:{k}").seconds(machine.values(), 64) for k in range(10)]
    assert np.asarray(marks.get_xdata()) == pytest.approx(1e6 * np.array(costs))
    assert "packzip level" in texts(ax)


def test_paradox_is_there_and_is_what_predict_says():
    work = [1e-7, 5e-7, 1e-5]
    ax = plot_paradox(backends=["pf_packet"], work=work)
    shown = np.asarray(ax.get_lines()[0].get_ydata())
    assert shown == pytest.approx([100 * predict(1.27e6, work=w).captured for w in work])
    assert shown[0] < shown[1] > shown[2]


def test_pinning_has_three_lines_error_bars_and_two_bands():
    ax = plot_pinning(machine=sampled_machine())
    assert texts(ax) == ["two cores", "one core", "scheduler's choice"]
    assert len([line for line in ax.get_lines() if line.get_linestyle() in ["-", "--", "-."]]) == 3
    assert len(ax.containers) == 1
    assert ax.get_xlabel() == "offered rate [Mpps]"
    assert finite(ax)


def test_the_axes_given_are_those_used():
    _, (left, right) = plt.subplots(1, 2)
    assert plot_paradox(left, backends=["bpf"]) is left
    assert plot_core_time(predict(1e6), right) is right


def test_labels_are_moved_apart_within_the_axes():
    places = _apart([0.0, 0.01, 0.99, 1.0], 0.1)
    assert np.diff(places).min() >= 0.1 - 1e-12
    assert min(places) >= 0.0
    assert max(places) <= 1.0


def test_save_is_all_or_nothing(tmp_path):
    target = tmp_path / "figure.svg"
    save(plot_core_time(predict(1e6)), target)
    before = target.read_bytes()
    assert b"<svg" in before

    class Broken:
        def savefig(self, path, **_):
            path.write_text("half")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        save(Broken(), target)
    assert target.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["figure.svg"]
    with pytest.raises(ValueError, match="nonsense"):
        save(plot_core_time(predict(1e6)).figure, tmp_path / "figure.nonsense")
    with pytest.raises(FileNotFoundError, match="no folder"):
        save(plot_core_time(predict(1e6)), tmp_path / "none" / "figure.png")
