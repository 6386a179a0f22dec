"""Figures of what the lab measured."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from capmodel.drawing import legend, line, share_axis
from capmodel.lab.host import Host, this_host
from capmodel.lab.point import LabPoint
from capmodel.lab.repeats import Repeats
from capmodel.plot import panels
from capmodel.quantities import format_rate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE_WIDTH = 90  # characters
_PINNING_WORDS = {"same": "one core", "split": "two cores", "auto": "scheduler's choice"}


def _title(point: LabPoint, host: Host) -> str:
    """What was sent to what, and where."""
    rate = "recorded times" if point.rate is None else format_rate(point.rate)
    sizes = ", ".join(f"{size:g}" for size, _ in point.sizes)
    lines = f"{rate} of {sizes}-byte frames, {point.receiver.title}, {point.wait}\n{host.title}"
    return "\n".join(fill(line, _TITLE_WIDTH) for line in lines.split("\n"))


def draw(series: Sequence[Repeats], host: Host | None = None) -> Figure:
    """Captured share, and under it the wakeups, against work per packet; a line per placement.

    Parameters
    ----------
    series : sequence of Repeats
        Of :func:`capmodel.lab.showcase.paradox` or :func:`capmodel.lab.showcase.pinning`.
    host : Host, optional
        The machine that measured, for the title; default: this one.

    Returns
    -------
    Figure
        Medians; the bands of the captured share are quartiles.
    """
    figure, (top, bottom) = panels(2)
    for number, pinning in enumerate(dict.fromkeys(item.point.pinning for item in series)):
        part = [item for item in series if item.point.pinning == pinning]
        work = np.array([1e6 * item.point.work[0] for item in part])
        share = np.array([100.0 * item.median("captured") for item in part])
        low, high = (np.array(side) for side in
                     zip(*(item.quartiles("captured") for item in part), strict=True))  # fmt: skip
        line(top, work, share, number, (100.0 * low, 100.0 * high), _PINNING_WORDS[pinning])
        wakeups = np.array([1e-3 * item.median("wakeup_rate") for item in part])
        line(bottom, work, wakeups, number, None)
    top.set_ylabel("captured [%]")
    share_axis(top)
    if len({item.point.pinning for item in series}) > 1:
        legend(top, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    bottom.set_ylabel("wakeups [1000/s]")
    bottom.set_ylim(0.0, None)
    bottom.set_xlabel("work per packet [us]")
    figure.align_ylabels()
    figure.suptitle(_title(series[0].point, this_host() if host is None else host), fontsize=9)
    return figure
