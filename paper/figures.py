"""Draw every figure of the paper from the package: PNG and SVG into paper/figures/.

Run ``python paper/figures.py`` (all of them) or name figures: ``python paper/figures.py fig11``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from capmodel import load_machine, predict, sweep
from capmodel.atomic import replacing
from capmodel.comparison import comparisons
from capmodel.drawing import COLOURS, DASHES, GREY, legend, share_axis
from capmodel.measurements import load_data_set
from capmodel.observe import Observer
from capmodel.plot import plot_paradox, plot_pinning

FOLDER = Path(__file__).resolve().parent / "figures"
RATE = 1.27e6
WIRE = 1.488e6
LEVELS = tuple(range(10))
NAMES = {
    "pf_packet": "PF_PACKET", "pf_ring": "PF_RING", "bpf": "BPF (FreeBSD)",
    "pf_packet_modified": "PF_PACKET,\nN or timeout",
}  # fmt: skip
# Text stays text and nothing depends on the time of day: the same results give the same file.
SETTINGS = {"svg.hashsalt": "capmodel", "svg.fonttype": "none", "font.size": 10}


def fig05() -> Any:
    """Figure 5 of Braun et al.: one core, two cores, the scheduler."""
    return plot_pinning()


def fig09() -> Any:
    """Figure 9: one, two and three capture processes."""
    ax = _axes()
    counts = np.array([1, 2, 3])
    for number, backend in enumerate(("pf_packet", "pf_ring", "bpf")):
        grid = sweep(RATE, backend=backend, consumers=[1, 2, 3], intervals=True)
        low, high = (100.0 * grid[name] for name in ("captured_low", "captured_high"))
        share = 100.0 * grid["captured"]
        places = counts + 0.06 * (number - 1)
        colour = COLOURS[number]
        ax.plot(places, share, DASHES[number], color=colour, linewidth=1.0, alpha=0.6)
        ax.plot(places, share, "os^"[number], color=colour, markersize=6, label=NAMES[backend])
        ax.vlines(places, low, high, color=colour, linewidth=1.4)
    ax.set_xticks(counts)
    ax.set_xlim(0.7, 3.3)
    ax.set_xlabel("capture processes")
    return _shares(ax, "captured by each process [%]", _bars_label)


def fig10() -> Any:
    """Figure 10: packzip on frames of 256 and 512 bytes at wire speed."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.2, 3.6), sharey=True, layout="constrained"
    )
    for ax, size in ((left, 256), (right, 512)):
        for number, backend in enumerate(("pf_packet", "pf_ring", "bpf")):
            _levels(ax, "1Gbit/s", size, backend, number)
        _shares(ax, "captured [%]" if ax is left else "", None)
        ax.set_title(f"{size}-byte frames, 1 Gbit/s", fontsize=10)
        ax.set_xlabel("packzip compression level [-]")
        ax.set_xticks(LEVELS)
        if ax is left:
            _band_label(ax)
            legend(ax, loc="lower left", handlelength=3.2)
    return figure


def fig11() -> Any:
    """Figure 11: captured share against the application's own work, 64-byte frames."""
    return plot_paradox()


def fig11_levels() -> Any:
    """Figure 11 with its own axis: packzip's levels, 64-byte frames."""
    ax = _axes()
    for number, backend in enumerate(("pf_packet", "pf_ring", "bpf")):
        _levels(ax, RATE, 64, backend, number)
    ax.set_xticks(LEVELS)
    ax.set_xlabel("packzip compression level [-]")
    return _shares(ax, "captured [%]", _band_label, loc="upper right")


def fig12() -> Any:
    """Figure 12: what replaces poll()."""
    policies = (
        ("poll()", "pf_packet", {}),
        ("active\nwait", "pf_packet_busy", {}),
        ("yield, then\npoll()", "pf_packet_yield", {}),
        ("sleep\n1 ms", "pf_packet_sleep", {"sleep": 1e-3}),
        ("N or\ntimeout", "pf_packet_modified", {}),
        ("both", "pf_packet_modified", {"sleep": 1e-3}),
        ("TPACKET_V3\nblocks", "tpacket_v3", {}),
    )
    return _bars([(name, predict(RATE, backend=b, **given)) for name, b, given in policies])


def fig13() -> Any:
    """Figure 13: the driver TNAPI with three capturing solutions, against the standard driver."""
    ax = _axes(width=7.2)
    cases = ("pf_packet", "pf_packet_modified", "pf_ring")
    places = np.arange(len(cases), dtype=float)
    for number, (prefix, text) in enumerate((("", "standard driver"), ("tnapi_", "TNAPI"))):
        found = [predict(WIRE, backend=f"{prefix}{case}") for case in cases]
        _draw_bars(ax, places + 0.2 * (2 * number - 1), found, 0.36, COLOURS[number], text)
    ax.set_xticks(places, [NAMES[case] for case in cases])
    ax.tick_params(axis="x", length=0)
    return _shares(ax, "captured at 1.488 Mpps [%]", None, loc="upper left", legend_above=True)


def notification() -> Any:
    """A notified channel between two machines: predicted curve, measured points."""
    ax = _axes()
    items = comparisons("ptnet_burst")
    observer = Observer({"ptnet_vm": load_machine("ptnet_vm").samples})
    sampled = np.array([np.quantile(i.predicted(observer), [0.05, 0.95]) for i in items])
    bursts = np.array([float(i.row.conditions["burst"]) for i in items])
    predicted = np.array([float(np.mean(i.predicted(Observer()))) for i in items])
    order = np.argsort(bursts)
    ax.fill_between(
        bursts[order], *(1e-6 * sampled[order].T), color=COLOURS[0], alpha=0.2, linewidth=0
    )
    ax.plot(bursts[order], 1e-6 * predicted[order], color=COLOURS[0], label="predicted")
    for role, mark, colour in (("calibration", "o", GREY), ("validation", "s", COLOURS[1])):
        rows = [r for r in load_data_set("ptnet_burst").rows if r.role == role]
        x = [float(r.conditions["burst"]) for r in rows]
        y, error = ([1e-6 * value for value in values] for values in _values(rows))
        ax.errorbar(
            x, y, error, fmt=mark, markersize=4.5, color=colour, linewidth=1.0,
            label=f"measured, {role}",
        )  # fmt: skip
    _band_label(ax)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_ylim(0.0, None)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_xlabel("packets per notification [-]")
    ax.set_ylabel("throughput [Mpps]")
    legend(ax, loc="lower right")
    return ax


_SHOWN = 4.0  # time since the wait call [us] up to which the law is drawn


def wakeup_law() -> Any:
    """What a signal costs on a live machine, and how soon the consumer runs after it."""
    machine = load_machine("epyc_vm")
    law = machine.wakeup_law
    assert law is not None
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.4), layout="constrained")
    since = 1e6 * np.array(law.since)
    ends = np.append(since[1:], 1.35 * since[-1])
    drawn = (
        ("cost of the signal [us]", law.cost, "wakeup"),
        ("until the consumer runs [us]", law.latency, "wakeup_latency"),
    )
    for ax, (label, rows, cost) in zip(axes, drawn, strict=True):
        values = 1e6 * machine.value(cost) * np.array(rows)
        for column, here in enumerate(values.T):
            ax.hlines(here, since, ends, color=COLOURS[0], alpha=0.45, linewidth=2.0,
                      label="an eighth of the calls" if column == 0 else None)  # fmt: skip
        ax.stairs(values.mean(axis=1), [*since, ends[-1]], baseline=None, color=COLOURS[1],
                  linewidth=1.4, label="mean")  # fmt: skip
        shown = since < _SHOWN
        ax.set_xlim(0.0, _SHOWN)
        ax.set_ylim(0.0, 1.1 * values[shown][:-1].max())
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        ax.set_xlabel("since the wait call was entered [us]")
        ax.set_ylabel(label)
    legend(axes[0], loc="upper right")
    return figure


def _values(rows: Any) -> tuple[list[float], list[float]]:
    return [row.value for row in rows], [row.error for row in rows]


def _levels(ax: Any, rate: Any, size: int, backend: str, number: int) -> None:
    names = [f"packzip:{level}" for level in LEVELS]
    grid = sweep(rate, size=size, backend=backend, application=names, intervals=True)
    low, high = (100.0 * grid[name] for name in ("captured_low", "captured_high"))
    colour = COLOURS[number]
    ax.fill_between(LEVELS, low, high, color=colour, alpha=0.16, linewidth=0)
    ax.plot(
        LEVELS, 100.0 * grid["captured"], DASHES[number], marker="os^"[number], markersize=4,
        color=colour, label=NAMES[backend],
    )  # fmt: skip


def _bars(cases: list[tuple[str, Any]]) -> Any:
    ax = _axes(width=7.2)
    places = np.arange(len(cases), dtype=float)
    _draw_bars(ax, places, [prediction for _, prediction in cases], 0.62, COLOURS[0], "")
    ax.set_xticks(places, [name for name, _ in cases])
    ax.tick_params(axis="x", length=0)
    return _shares(ax, "captured at 1.27 Mpps [%]", None, loc=None)


def _draw_bars(
    ax: Any, places: Any, found: list[Any], width: float, colour: str, text: str
) -> None:
    share = np.array([100.0 * p.captured for p in found])
    limits = np.array([p.interval() for p in found]) * 100.0
    ax.bar(places, share, width, color=colour, label=text or None)
    ends = np.maximum(np.abs(limits.T - share), 0.0)
    ax.errorbar(places, share, ends, fmt="none", ecolor="black", elinewidth=1.0, capsize=3)
    for place, value in zip(places, share, strict=True):
        ax.annotate(
            f"{value:.0f}", (place, value / 2), ha="center", va="center", color="white", fontsize=9
        )


def _axes(width: float = 6.4) -> Any:
    return plt.subplots(figsize=(width, 3.8), layout="constrained")[1]


def _band_label(ax: Any) -> None:
    ax.fill_between([], [], [], color=GREY, alpha=0.25, linewidth=0, label="90 % interval")


def _bars_label(ax: Any) -> None:
    ax.plot([], [], color=GREY, linewidth=1.4, label="90 % interval")


def _shares(
    ax: Any, label: str, extra: Callable[[Any], None] | None, loc: str | None = "lower left",
    legend_above: bool = False,
) -> Any:  # fmt: skip
    """An axis of shares with its label, and a legend if there is anything to say."""
    ax.spines[["top", "right"]].set_visible(False)
    share_axis(ax)
    ax.set_ylabel(label)
    if extra is not None:
        extra(ax)
    if legend_above:
        legend(ax, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    elif extra is not None:
        legend(ax, loc=loc, handlelength=3.2)
    return ax


FIGURES: dict[str, Callable[[], Any]] = {
    "fig05_pinning": fig05,
    "fig09_processes": fig09,
    "fig10_packzip_large": fig10,
    "fig11_paradox": fig11,
    "fig11_levels": fig11_levels,
    "fig12_policies": fig12,
    "fig13_tnapi": fig13,
    "notification_channel": notification,
    "wakeup_law": wakeup_law,
}


def main(names: list[str]) -> None:
    """Draw the named figures, or all."""
    FOLDER.mkdir(exist_ok=True)
    for stem, draw in FIGURES.items():
        if names and not any(stem.startswith(name) for name in names):
            continue
        with mpl.rc_context(SETTINGS):
            drawn = draw()
            figure = drawn if hasattr(drawn, "savefig") else drawn.get_figure()
            for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                with replacing(FOLDER / f"{stem}.{ending}") as temporary:
                    figure.savefig(temporary, dpi=150, bbox_inches="tight", metadata=metadata)
            plt.close("all")
        print(f"paper/figures/{stem}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
