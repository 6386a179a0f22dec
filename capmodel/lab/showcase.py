"""The two headline effects of Braun et al. (IMC 2010), live: the paradox, and pinning."""

from __future__ import annotations

from collections.abc import Callable

from capmodel.lab.namespace import Namespace
from capmodel.lab.point import LabPoint
from capmodel.lab.repeats import Repeats, run_interleaved
from capmodel.lab.run import run_point

# the rate that shows the effects lies below what the kernel can carry and above what it carries
# while it wakes a consumer for every few packets
_SHARE_OF_CAPACITY = 0.8
_OVERLOAD = 4e6
_PROBE = 0.15
_LENGTH = 0.3

# work per packet in units of the time between packets: beyond 1 the consumer itself is too slow
_PARADOX_WORK = (0.0, 0.12, 0.24, 0.36, 0.48, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8)
_PINNING_WORK = (0.0, 0.2, 0.4, 0.8)

Progress = Callable[[int, int], None]


def find_rate(namespace: Namespace, backend: str = "tpacket_v2", size: float = 64) -> float:
    """A rate that shows the effects on this machine.

    Parameters
    ----------
    namespace : Namespace
        Where to try.
    backend : str
        A receiver.
    size : float
        Frame size [B].

    Returns
    -------
    float
        Four fifths of the most that this kernel carries to a consumer that never sleeps [1/s],
        rounded to 10 kpps.

    Raises
    ------
    LabError
        As :func:`capmodel.lab.run_point`.
    """
    probe = LabPoint(_OVERLOAD, size, backend, wait="busy", duration=_PROBE)
    most = sorted(run_point(probe, namespace).carried_rate for _ in range(3))[-1]
    return max(1e4, round(_SHARE_OF_CAPACITY * most, -4))


def paradox(
    rate: float | str | None = None,
    repeats: int = 5,
    namespace: Namespace | None = None,
    progress: Progress | None = None,
) -> tuple[Repeats, ...]:
    """Captured share against work per packet: it rises before it falls.

    Parameters
    ----------
    rate : float or str, optional
        Offered rate [1/s]; default: :func:`find_rate`.
    repeats : int
        Runs of every point.
    namespace : Namespace, optional
        Where; default: one for this alone.
    progress : callable, optional
        Told how many runs are done, and of how many.

    Returns
    -------
    tuple of Repeats
        In the order of work, from none to almost twice the time between packets.

    Raises
    ------
    LabError, ValueError, TypeError
        As :func:`capmodel.lab.run_point` and :class:`capmodel.lab.LabPoint`.
    """
    return _shown(rate, repeats, namespace, progress, _PARADOX_WORK, ("split",))


def pinning(
    rate: float | str | None = None,
    repeats: int = 5,
    namespace: Namespace | None = None,
    progress: Progress | None = None,
) -> tuple[Repeats, ...]:
    """Captured share by placement: one core wins without work, two cores with.

    Parameters
    ----------
    rate, repeats, namespace, progress
        As for :func:`paradox`.

    Returns
    -------
    tuple of Repeats
        In the order of placement, and of work from none to four fifths of the time between packets.

    Raises
    ------
    LabError, ValueError, TypeError
        As :func:`capmodel.lab.run_point` and :class:`capmodel.lab.LabPoint`; LabError without root,
        because softirq work cannot be moved to the consumer's core.
    """
    return _shown(rate, repeats, namespace, progress, _PINNING_WORK, ("same", "split", "auto"))


def _shown(
    rate: float | str | None, repeats: int, namespace: Namespace | None, progress: Progress | None,
    work: tuple[float, ...], pinnings: tuple[str, ...],
) -> tuple[Repeats, ...]:  # fmt: skip
    if rate is not None:
        LabPoint(rate)  # a slip is told before anything is started
    if namespace is None:
        with Namespace() as own:
            return _shown(rate, repeats, own, progress, work, pinnings)
    number = find_rate(namespace) if rate is None else LabPoint(rate).rate
    points = [
        LabPoint(number, work=round(share / number, 8), pinning=place, duration=_LENGTH)
        for place in pinnings
        for share in work
    ]
    return run_interleaved(points, repeats, namespace, progress=progress)
