"""Figures from results: the only importer of matplotlib, and only when a figure is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capmodel.application import load_application
from capmodel.atomic import replacing
from capmodel.drawing import (
    ACTIVITIES,
    COLOURS,
    DARK_ON,
    GREY,
    explain_band,
    label_ends,
    legend,
    line,
    logarithmic,
    mark_levels,
    points,
    share_axis,
)
from capmodel.errors import unknown_choice
from capmodel.machine import Machine, load_machine
from capmodel.scales import QUANTITIES, heading, line_names, positions
from capmodel.sweep_result import Sweep
from capmodel.sweeping import sweep as compute

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from capmodel.prediction import Prediction


def plot_sweep(
    sweep: Sweep,
    x: str,
    quantity: str = "captured",
    by: str | None = None,
    ax: Axes | None = None,
    band: bool = True,
) -> Axes:
    """One quantity of a sweep along one axis, a line for every value of another.

    Parameters
    ----------
    sweep : Sweep
        What :func:`capmodel.sweep` returned.
    x : str
        The axis to go along.
    quantity : str
        One of ``sweep.keys()`` that is a number.
    by : str, optional
        The axis whose values become lines; default: the other axis, where there is one.
    ax : Axes, optional
        Where to draw; default: a new figure.
    band : bool
        Shade the 90 % interval of the captured share, if the sweep has it.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If an axis or quantity does not exist, or a further axis has several values.

    Examples
    --------
    >>> from capmodel import sweep
    >>> grid = sweep([2e5, 6e5, 1e6], pinning=["same", "split"])
    >>> ax = plot_sweep(grid, "rate", by="pinning")
    >>> ax.get_xlabel(), ax.get_ylabel(), len(ax.get_lines())
    ('offered rate [Mpps]', 'captured [%]', 2)
    """
    by = _chosen_lines(sweep, x, quantity, by)
    ax = _axes(ax)
    names = tuple(sweep.axes)
    order = [names.index(name) for name in (x, by) if name is not None]
    order += [index for index in range(len(names)) if index not in order]
    places, words = positions(sweep, x)
    title, unit, factor = QUANTITIES[quantity]
    if unit == "us" and np.nanmax(sweep[quantity]) >= 0.01:
        unit, factor = "ms", 1e3

    def lines(name: str) -> NDArray[Any]:
        return factor * sweep[name].transpose(order).reshape(len(places), -1).T

    values = lines(quantity)
    shade = band and quantity == "captured" and "captured_low" in sweep
    ends = [lines("captured_low"), lines("captured_high")] if shade else [values, values]
    texts = line_names(sweep, by)
    for number, (text, y, low, high) in enumerate(zip(texts, values, *ends, strict=True)):
        if words:  # names have no order: points side by side and no line between them
            aside = 0.12 * (number - 0.5 * (len(texts) - 1))
            points(ax, places + aside, y, number, (low, high), text)
        else:
            line(ax, places, y, number, (low, high), text)
    ax.set_ylabel(f"{title} [{unit}]")
    if quantity == "captured":
        share_axis(ax)
    ax.set_xlabel(heading(sweep, x, words))
    if words:
        ax.set_xticks(places, words)
    elif x != "rate" and places.min() > 0.0 and places.max() > 30.0 * places.min():
        logarithmic(ax, places)
    if by and words:
        legend(ax, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)
    elif by:
        label_ends(ax, places, list(zip(texts, values, strict=True)))
    return ax


def _chosen_lines(sweep: Sweep, x: str, quantity: str, by: str | None) -> str | None:
    """The axis whose values become lines, after a look at all of the choices."""
    names = tuple(sweep.axes)
    if x not in names:
        raise unknown_choice("x", x, names)
    if quantity not in QUANTITIES:
        raise unknown_choice("quantity", quantity, tuple(QUANTITIES))
    others = tuple(name for name in names if name != x and len(sweep.axes[name]) > 1)
    by = by or (others[0] if len(others) == 1 else None)
    if by is not None and (by not in names or by == x):
        raise unknown_choice("by", by, tuple(name for name in names if name != x))
    rest = [name for name in others if name != by]
    if rest:
        raise ValueError(f"the sweep also varies {', '.join(rest)}: make by={rest[0]!r} or fix it")
    return by


def plot_core_time(prediction: Prediction, ax: Axes | None = None) -> Axes:
    """Where the time of every core goes, as stacked bars.

    Parameters
    ----------
    prediction : Prediction
        What :func:`capmodel.predict` returned.
    ax : Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from capmodel import predict
    >>> plot_core_time(predict(1.27e6)).get_xlabel()
    'share of core time [%]'
    """
    ax = _axes(ax, height=2.4)
    cores = prediction.core_time
    activities = list(dict.fromkeys(name for times in cores.values() for name in times))
    activities.sort(key=lambda name: name == "idle")
    left = np.zeros(len(cores))
    for activity in activities:
        shares = 100.0 * np.array([times.get(activity, 0.0) for times in cores.values()])
        if not np.any(shares > 0.05):
            continue
        ax.barh(
            list(cores), shares, left=left, height=0.6, label=activity,
            color=ACTIVITIES.get(activity, GREY), edgecolor="white", linewidth=0.8,
        )  # fmt: skip
        for row, (start, share) in enumerate(zip(left, shares, strict=True)):
            if share >= 6.0:
                ax.text(
                    start + share / 2, row, f"{share:.0f}", ha="center", va="center",
                    color="black" if activity in DARK_ON else "white", fontsize=9,
                )  # fmt: skip
        left = left + shares
    ax.set_xlim(0.0, 100.0)
    ax.set_ylim(max(len(cores), 2) - 0.5 - 0.5 * (len(cores) == 1), -0.5 - 0.5 * (len(cores) == 1))
    ax.set_xlabel("share of core time [%]")
    ax.set_ylabel("core")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    legend(ax, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)
    return ax


def plot_paradox(
    ax: Axes | None = None,
    machine: str | Path | Machine = "braun_amd",
    rate: float | str = 1.27e6,
    *,
    size: int = 64,
    backends: Sequence[str] = ("pf_packet", "pf_ring", "bpf"),
    work: Sequence[float] | NDArray[np.float64] | None = None,
    application: str = "packzip",
) -> Axes:
    """Captured share against the application's own work: more work can mean less loss.

    The figure of Braun et al. (IMC 2010, Figure 11) with time instead of compression levels on its
    axis; triangles show where the levels stand.

    Parameters
    ----------
    ax : Axes, optional
        Where to draw; default: a new figure.
    machine : str, Path or Machine
        As for :func:`capmodel.predict`.
    rate : float or str
        Offered rate [1/s].
    size : int
        Frame size [B].
    backends : sequence of str
        One line each.
    work : sequence of float, optional
        Works to go through [s], greater than 0; default: logarithmic, past all levels.
    application : str
        The program with levels that is marked on the axis.

    Returns
    -------
    Axes
        With the 90 % interval as a band where the machine has a posterior.

    Raises
    ------
    ValueError, TypeError
        As :func:`capmodel.sweep`.

    Examples
    --------
    >>> ax = plot_paradox(backends=["pf_packet"])
    >>> ax.get_xlabel()
    "application's own work per packet [us]"
    """
    rig = load_machine(machine)
    levels = _level_costs(application, rig, size)
    if work is None:
        work = np.geomspace(5e-8, max([*levels, 5e-6]) * 1.25, 241)
    times = np.asarray(work, dtype=np.float64)
    grid = compute(
        rate, size, backend=list(backends), machine=rig, work=times.tolist(), intervals=True
    )
    ax = _axes(ax)
    for number, backend in enumerate(backends):
        low, high = (100.0 * grid[name][number] for name in ("captured_low", "captured_high"))
        share = 100.0 * grid["captured"][number]
        line(ax, 1e6 * times, share, number, (low, high), backend)
    logarithmic(ax, 1e6 * times)
    ax.set_xlim(1e6 * times[0], 1e6 * times[-1])
    ax.set_xlabel("application's own work per packet [us]")
    ax.set_ylabel("captured [%]")
    share_axis(ax)
    mark_levels(ax, 1e6 * np.array(levels), application)
    explain_band(ax, rig)
    legend(ax, loc="upper right", handlelength=2.6)
    return ax


def plot_pinning(
    ax: Axes | None = None,
    machine: str | Path | Machine = "braun_amd",
    rates: Sequence[float] | NDArray[np.float64] | None = None,
    *,
    size: int = 64,
    backend: str = "pf_packet",
    application: str | None = None,
    duration: float | str = "100s",
) -> Axes:
    """Captured share against offered rate for one core, two cores, and the scheduler's choice.

    The figure of Braun et al. (IMC 2010, Figure 5).

    Parameters
    ----------
    ax : Axes, optional
        Where to draw; default: a new figure.
    machine : str, Path or Machine
        As for :func:`capmodel.predict`.
    rates : sequence of float, optional
        Offered rates [1/s]; default: 0.05 to 1.4 million.
    size : int
        Frame size [B].
    backend, application
        As for :func:`capmodel.predict`.
    duration : float or str
        Length of a run [s], on which the spread between runs depends.

    Returns
    -------
    Axes
        With the 90 % interval of both fixed placements as bands where the machine has a
        posterior, and one standard deviation between runs as error bars.

    Raises
    ------
    ValueError, TypeError
        As :func:`capmodel.sweep`.

    Examples
    --------
    >>> plot_pinning().get_xlabel()
    'offered rate [Mpps]'
    """
    offered = np.linspace(5e4, 1.4e6, 109) if rates is None else np.asarray(rates, np.float64)
    rig, megapackets = load_machine(machine), 1e-6 * offered

    def solved(pinning: str, intervals: bool) -> Sweep:
        return compute(
            offered, size, backend=backend, machine=rig, application=application,
            pinning=pinning, duration=duration, intervals=intervals,
        )  # fmt: skip

    ax = _axes(ax)
    drawn = []
    for number, (pinning, text) in enumerate(
        (("split", "two cores"), ("same", "one core"), ("auto", "scheduler's choice"))
    ):
        grid = solved(pinning, pinning != "auto")
        share = 100.0 * grid["captured"]
        if pinning == "auto":
            line(ax, megapackets, share, number, None)
            some = slice(None, None, max(len(offered) // 14, 1))
            ax.errorbar(
                megapackets[some], share[some], 100.0 * grid["captured_std"][some], fmt="none",
                ecolor=COLOURS[number], elinewidth=1.2, capsize=2.5,
                label="1 sd between runs",
            )  # fmt: skip
        else:
            low, high = (100.0 * grid[name] for name in ("captured_low", "captured_high"))
            line(ax, megapackets, share, number, (low, high))
        drawn.append((text, share))
    ax.set_xlabel("offered rate [Mpps]")
    ax.set_ylabel("captured [%]")
    ax.set_xlim(0.0, None)
    share_axis(ax)
    label_ends(ax, megapackets, drawn)
    explain_band(ax, rig)
    legend(ax, loc="lower left")
    return ax


def panels(count: int, height: float = 2.4) -> tuple[Figure, tuple[Axes, ...]]:
    """Axes one under the other, with one horizontal axis.

    Parameters
    ----------
    count : int
        How many, at least 2.
    height : float
        Of each [in].

    Returns
    -------
    Figure
        The figure.
    tuple of Axes
        From the top.

    Examples
    --------
    >>> figure, axes = panels(2)
    >>> len(axes)
    2
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        count, sharex=True, figsize=(6.4, count * height), layout="constrained"
    )
    return figure, tuple(_axes(ax) for ax in axes)


def save(fig: Figure | Axes, path: str | Path, *, dpi: float = 200.0) -> None:
    """Write a figure to a file that is either whole or as it was before.

    Parameters
    ----------
    fig : Figure or Axes
        What to write.
    path : str or Path
        The file; its ending decides the format.
    dpi : float
        Dots per inch, for bitmaps [1/in].

    Raises
    ------
    ValueError
        If matplotlib does not know the ending.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "paradox.png"
    >>> save(plot_paradox(backends=["pf_packet"]), target)
    >>> target.read_bytes()[1:4]
    b'PNG'
    """
    figure: Any = fig if hasattr(fig, "savefig") else fig.get_figure()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches="tight")


def _level_costs(application: str, machine: Machine, size: float) -> list[float]:
    """Work per packet of every level of an application [s]."""
    values = machine.values()
    costs: list[float] = []
    while True:
        try:
            level = load_application(f"{application}:{len(costs)}")
        except ValueError:
            return costs
        costs.append(float(level.seconds(values, min(size, level.snaplen))))


def _axes(ax: Axes | None, height: float = 3.8) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(6.4, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
