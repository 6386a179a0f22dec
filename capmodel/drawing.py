"""Marks, colours and labels that every figure shares; draws on axes that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from capmodel.machine import Machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart by colour-blind readers; black last.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v")
GREY, PALE = "#666666", "#E6E6E6"
# One colour per activity in every figure; a shared core's "kernel packets" are green like packets.
ACTIVITIES: Mapping[str, str] = {
    "packets": "#009E73", "kernel packets": "#009E73", "consumer packets": "#56B4E9",
    "drops": "#D55E00", "kernel drops": "#D55E00", "wakeups": "#0072B2", "interrupts": "#CC79A7",
    "waiting": "#E69F00", "idle": PALE,
}  # fmt: skip
DARK_ON = ("idle", "waiting", "consumer packets")


def share_axis(ax: Axes) -> None:
    """From 0 to 100 per cent, with room for a line at 100."""
    ax.set_ylim(0.0, 103.0)
    ax.set_yticks(range(0, 101, 20))
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def logarithmic(ax: Axes, places: NDArray[Any]) -> None:
    """A logarithmic axis labelled 0.1, 1, 10; a few places are labelled themselves."""
    ax.set_xscale("log")
    if len(places) <= 8:
        ax.set_xticks(places)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")


def line(
    ax: Axes,
    x: NDArray[Any],
    y: NDArray[Any],
    number: int,
    limits: tuple[NDArray[Any], NDArray[Any]] | None,
    text: str = "",
) -> None:
    """A line, and a band between its limits where they differ."""
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    marker = "o" if len(x) < 8 else ""
    ax.plot(x, y, dash, color=colour, linewidth=1.8, marker=marker, markersize=4, label=text)
    if limits is not None and np.any(limits[1] > limits[0]):
        ax.fill_between(x, *limits, color=colour, alpha=0.16, linewidth=0)


def points(
    ax: Axes,
    x: NDArray[Any],
    y: NDArray[Any],
    number: int,
    limits: tuple[NDArray[Any], NDArray[Any]] | None,
    text: str,
) -> None:
    """Marks, and a bar between their limits where they differ."""
    colour, marker = COLOURS[number % len(COLOURS)], _MARKERS[number % len(_MARKERS)]
    ax.plot(x, y, marker, color=colour, markersize=6, label=text)
    if limits is not None and np.any(limits[1] > limits[0]):
        ax.vlines(x, *limits, color=colour, linewidth=1.2)


def explain_band(ax: Axes, machine: Machine) -> None:
    """Say in the legend what the shaded bands are, where there are any."""
    if machine.samples:
        ax.fill_between([], [], [], color=GREY, alpha=0.25, linewidth=0, label="90 % interval")


def legend(ax: Axes, **place: Any) -> None:
    """Marks and their names, without a box."""
    ax.legend(frameon=False, fontsize=9, borderpad=0.2, **place)


def label_ends(ax: Axes, x: NDArray[Any], drawn: Sequence[tuple[str, NDArray[Any]]]) -> None:
    """Names at the right ends of their lines, moved apart where lines end close together."""
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]  # no subfigures here
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height * 72.0 / ax.figure.dpi
    gap = 13.0 / height
    ends = [(float(y[-1]) - low) / (high - low) for _, y in drawn]
    order = sorted(range(len(ends)), key=lambda index: ends[index])
    places = dict(zip(order, _apart([ends[index] for index in order], gap), strict=True))
    for number, (text, _) in enumerate(drawn):
        ax.annotate(
            text, xy=(1.0, places[number]), xycoords="axes fraction", xytext=(6.0, 0.0),
            textcoords="offset points", va="center", ha="left", annotation_clip=False,
            color=COLOURS[number % len(COLOURS)], fontsize=9,
        )  # fmt: skip
    ax.set_xlim(ax.get_xlim()[0], float(np.max(x)))


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Rising places moved as little as keeps them a gap apart, within 0 and 1."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else max(place, 0.0))
    most = 1.0
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], most)
        most = moved[index] - gap
    return moved


def mark_levels(ax: Axes, levels: NDArray[np.float64], application: str) -> None:
    """Numbered triangles in a strip of their own below zero; close ones share a label."""
    left, right = ax.get_xlim()
    inside = [(number, place) for number, place in enumerate(levels) if left <= place <= right]
    if not inside:
        return
    ax.set_ylim(-10.0, ax.get_ylim()[1])
    ax.axhline(0.0, color="#DDDDDD", linewidth=0.6)
    ax.plot(
        [place for _, place in inside], [-9.0] * len(inside), "^", color=GREY, markersize=4.5,
        clip_on=False, zorder=5,
    )  # fmt: skip
    near = (right / left) ** 0.035
    groups: list[list[tuple[int, float]]] = []
    for number, place in inside:
        if groups and place < groups[-1][-1][1] * near:
            groups[-1].append((number, place))
        else:
            groups.append([(number, place)])
    for group in groups:
        centre = float(np.exp(np.mean(np.log([place for _, place in group]))))
        _note(ax, ", ".join(str(number) for number, _ in group), centre, "center", 0.0)
    _note(ax, f"{application} level", inside[0][1], "right", -8.0)


def _note(ax: Axes, text: str, place: float, align: Literal["center", "right"], dx: float) -> None:
    ax.annotate(
        text, (place, -6.5), (dx, 0.0), textcoords="offset points", ha=align, va="bottom",
        color=GREY, fontsize=8,
    )  # fmt: skip
