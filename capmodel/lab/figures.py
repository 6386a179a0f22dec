"""Figures of what the lab measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from capmodel.drawing import legend, line, share_axis
from capmodel.lab.repeats import Repeats
from capmodel.plot import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PINNING_WORDS = {"same": "one core", "split": "two cores", "auto": "scheduler's choice"}


def draw(series: Sequence[Repeats]) -> Figure:
    """Captured share, and under it the wakeups, against work per packet; a line per placement.

    Parameters
    ----------
    series : sequence of Repeats
        Of :func:`capmodel.lab.showcase.paradox` or :func:`capmodel.lab.showcase.pinning`.

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
    return figure
