"""Which points to measure: those that tell the costs apart, and others to judge them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capmodel.lab.point import LabPoint

# Nothing here is a measured number: rates run from what any kernel carries to what none of this
# path does, works from none to a multiple of a kernel's time per packet.
_RUN = "0.25s"


def _points(rates: Sequence[str], works: Sequence[str], **fixed: Any) -> list[LabPoint]:
    return [LabPoint(rate, work=work, duration=_RUN, **fixed) for rate in rates for work in works]


def calibration_design(*, steering: bool = True) -> tuple[LabPoint, ...]:
    """Points that identify the costs of `capmodel/lab/priors.toml`.

    Parameters
    ----------
    steering : bool
        Whether softirq can be moved to the consumer's core (it needs root): without, nothing is
        learnt of the costs on one core.

    Returns
    -------
    tuple of LabPoint

    Notes
    -----
    Captured share against work at a rate beyond the kernel's gives the kernel's cost and the ratio
    of wakeup cost to time away, X(c_a) = (S - w)/(S c_k - w c_a); the wake rate beside it separates
    the two. Works below and beyond the kernel's own time per packet hold the consumer right behind
    it and a full buffer behind. Blocks are not signalled per packet: their captured share is the
    kernel's cost alone. Several rates move the phase at which a packet finds the consumer between
    looking and sleeping.

    Examples
    --------
    >>> len(calibration_design()) > len(calibration_design(steering=False))
    True
    """
    points = [
        *_points(["500kpps"], ["0", "200ns", "400ns", "800ns", "1200ns"]),
        *_points(["500kpps"], ["1600ns", "2000ns", "3000ns"]),
        *_points(["400kpps"], ["0", "300ns", "600ns", "1000ns", "1400ns", "2400ns", "4000ns"]),
        *_points(["350kpps"], ["0", "400ns", "800ns", "1800ns"]),
        *_points(["300kpps"], ["0", "400ns", "3600ns"]),
        *_points(["200kpps"], ["0", "1us"]),
        *_points(["600kpps"], ["0", "1us"], backend="tpacket_v3"),
    ]
    if steering:
        points += [
            *_points(["400kpps"], ["0", "1us", "2us"], pinning="same"),
            *_points(["300kpps"], ["0", "1500ns", "3us"], pinning="same"),
        ]
    return tuple(points)


def validation_design(*, steering: bool = True) -> tuple[LabPoint, ...]:
    """Points that the calibration has not seen: other rates, other works, other buffers.

    Parameters
    ----------
    steering : bool
        As for :func:`calibration_design`.

    Returns
    -------
    tuple of LabPoint

    Examples
    --------
    >>> set(validation_design()).isdisjoint(calibration_design())
    True
    """
    points = [
        *_points(["450kpps"], ["0", "300ns", "700ns", "1100ns", "1500ns", "2200ns", "3500ns"]),
        *_points(["375kpps"], ["200ns", "500ns", "900ns", "1300ns", "2600ns"]),
        *_points(["325kpps"], ["0", "700ns", "3200ns"]),
        *_points(["250kpps"], ["300ns", "2us"]),
        *_points(["425kpps"], ["600ns", "1700ns"], ring=1024),
        *_points(["400kpps"], ["3us"], buffer="16384 slots"),
        *_points(["400kpps"], ["500ns", "1us"], arrivals="poisson"),
        *_points(["550kpps"], ["500ns"], backend="tpacket_v3"),
    ]
    if steering:
        points += _points(["350kpps"], ["0", "700ns", "2500ns"], pinning="same")
    return tuple(points)
