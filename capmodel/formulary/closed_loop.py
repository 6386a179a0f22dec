"""One request at a time beside a flood on the same core: backlog, softirq passes, handing over."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays

_SUMMED = 4096  # packets' times up to which the backlog is summed; a diffusion takes over there
_CHUNK = 256  # terms at a time


def closed_loop_rate(
    flood_rate: ArrayLike,
    kernel_cost: ArrayLike,
    service: ArrayLike,
    elsewhere: ArrayLike,
    budget: ArrayLike = np.inf,
) -> Array:
    r"""Transactions per second of one request at a time, beside a flood on the same core.

    A request joins the ring behind the flood's backlog :math:`b_0` and its process is woken. The
    kernel hands the core over when the ring is empty, or at the end of a pass of `budget` packets.
    Without such a limit the flood has strict priority:

    .. math::
        X = \frac{1}{t_0 + (b_0 + t_c)/(1 - \rho)},\qquad
        b_0 = I_0 - (1 - \rho)\,t_0,\qquad \rho = \lambda c_k < 1

    :math:`I_0` being the time that the flood alone leaves the core idle of the first :math:`t_0`
    after an empty ring. A process that gets the core at the end of a pass leaves a backlog
    behind that `ksoftirqd` works off, and is not preempted meanwhile. Let q be the share of such
    transactions and D the mean wait for the core:

    .. math::
        \frac 1X = \max\left(\frac{t_c}{1 - \rho},\;
        t_0 + D + t_c\Big(1 + (1 - q)\,\frac{\rho}{1 - \rho}\Big)\right)

    and never more than under strict priority. At and past saturation :math:`X = 0`.

    Parameters
    ----------
    flood_rate : array_like
        Rate of the flood :math:`\lambda` [1/s], a Poisson process.
    kernel_cost : array_like
        Kernel time per flood packet :math:`c_k` [s].
    service : array_like
        Core time per transaction :math:`t_c` [s], the kernel's share of it included but taken as
        the process's (half of it in the softirq: up to a tenth less time per transaction).
    elsewhere : array_like
        Time per transaction that does not need this core :math:`t_0` [s].
    budget : array_like
        Packets per softirq pass [packets], at least 1; infinite for strict priority.

    Returns
    -------
    ndarray
        Transactions per second [1/s].

    Notes
    -----
    Exact for strict priority (beyond :math:`t_0 = 4096\,c_k` the backlog is a diffusion's: 0.4 %
    off). With a budget an approximation: q and D follow from Brownian motion with the flood's mean
    and variance, and one mean backlog stands for all. The mean time per transaction then is within
    25 % of a walk packet by packet (4 % in the root mean square), at loads 0.5 to 0.999, budgets
    64 to 1000, services of 2 to 20 and 30 to 300 packets' time elsewhere.

    No budget takes a transaction below :math:`t_c/(1 - \rho)`: a flood that loses no packet leaves
    the core no more. Not in the law: the ring's end (near saturation the backlog may fill it, and a
    lost request waits for TCP's timer), interrupt moderation, a flood in bursts.

    Source: a pass ends after ``netdev_budget`` packets (Linux, net/core/dev.c, ``net_rx_action``)
    and is repeated while no process is to be scheduled, after that in ``ksoftirqd``
    (kernel/softirq.c, ``__do_softirq``); from 4.9 to 6.4 none is run on the way out of an interrupt
    while ``ksoftirqd`` is runnable (``ksoftirqd_running``). L. Takacs, Combinatorial Methods in
    the Theory of Stochastic Processes (1967), for the empty ring.

    Examples
    --------
    >>> [round(float(x)) for x in closed_loop_rate([0.0, 2e6, 4e6], 0.25e-6, 1e-6, 28e-6)]
    [34483, 33058, 0]
    >>> [round(float(x)) for x in closed_loop_rate(3.9e6, 0.25e-6, 1e-6, 28e-6, [300, np.inf])]
    [12242, 7296]
    """
    given = asarrays(flood_rate, kernel_cost, service, elsewhere, budget)
    flood, kernel, work, rest, most = np.broadcast_arrays(*given)
    if not np.all(most >= 1.0):
        raise ValueError(f"budget must be 1 or more, not {np.min(most):g}")
    load = flood * kernel
    duration = np.where(load < 1.0, work + rest, np.inf)
    beside = (load > 0.0) & (load < 1.0)
    if np.any(beside):
        unit = kernel[beside]
        lasting = _duration(load[beside], work[beside] / unit, rest[beside] / unit, most[beside])
        duration[beside] = unit * lasting
    return 1.0 / duration


def _duration(load: Array, work: Array, rest: Array, budget: Array) -> Array:
    """Mean time per transaction; all times in packets' times, loads between 0 and 1."""
    left = 1.0 - load
    found = _backlog(load, rest)
    strict = rest + (found + work) / left
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        still, behind = _unfinished(found, _pass_rest(found, rest, budget), load)
        # what a process leaves behind that was handed the core with the ring not empty, less what
        # the kernel works off until the next request
        kept = np.where(still > 0.0, behind / still + load * work - left * rest, 0.0)
        next_found = np.maximum(kept, 0.0)
        again, next_behind = _unfinished(next_found, _pass_rest(next_found, rest, budget), load)
        share = still / (1.0 - again + still)
        worked_off = (1.0 - share) * (found - behind) + share * (next_found - next_behind)
        stretch = 1.0 + (1.0 - share) * load / left
        handed = np.maximum(rest + worked_off / left + work * stretch, work / left)
    return np.where((still > 0.0) & (handed < strict), handed, strict)


def _pass_rest(found: Array, rest: Array, budget: Array) -> Array:
    """Time until the pass ends that works off the request: half a pass past the backlog.

    A pass that began with the last answer has the rest of the budget left.
    """
    return np.maximum(budget - rest, found + 0.5 * budget)


def _unfinished(found: Array, until: Array, load: Array) -> tuple[Array, Array]:
    """Probability that a backlog is not worked off by then, and the mean of what is left of it."""
    from scipy.special import log_ndtr

    left, scale = 1.0 - load, np.sqrt(load * until)
    direct = np.exp(log_ndtr((found - left * until) / scale))
    mirrored = np.exp(2.0 * left * found / load + log_ndtr(-(found + left * until) / scale))
    behind = (found - left * until) * direct + (found + left * until) * mirrored
    limited = np.isfinite(until)
    still = np.where(limited, np.clip(direct - mirrored, 0.0, 1.0), 0.0)
    return still, np.where(limited, np.clip(behind, 0.0, found), 0.0)


def _backlog(load: Array, time: Array) -> Array:
    """Mean backlog of the flood this long after an empty ring [packets' times]."""
    backlog = _diffusion_backlog(load, time)
    short = time <= _SUMMED
    if np.any(short):
        idle = _idle_time(load[short], time[short])
        backlog[short] = np.maximum(idle - (1.0 - load[short]) * time[short], 0.0)
    return backlog


def _idle_time(load: Array, time: Array) -> Array:
    """Mean idle time from an empty ring on: the ballot theorem's probabilities, integrated."""
    from scipy.special import gammainc

    last = np.floor(time)
    total = np.zeros_like(load)
    for first in range(0, int(np.max(last)) + 1, _CHUNK):
        j = np.arange(first, min(first + _CHUNK, int(np.max(last)) + 1), dtype=np.float64)[:, None]
        more = gammainc(j + 1.0, load * time) - gammainc(j + 1.0, load * j)
        shape = np.maximum(j, 1.0)
        as_many = np.where(j > 0.0, gammainc(shape, load * time) - gammainc(shape, load * j), 0.0)
        total += np.sum(np.where(j <= last, more - load * as_many, 0.0), axis=0)
    return total / load


def _diffusion_backlog(load: Array, time: Array) -> Array:
    """The same of reflected Brownian motion with the flood's mean and variance."""
    from scipy.special import erf, erfc

    left, scale = 1.0 - load, np.sqrt(load * time)
    a = left * np.sqrt(time / load)
    density = np.exp(-0.5 * a * a) / np.sqrt(2.0 * np.pi)
    settled = load / (2.0 * left) * erf(a / np.sqrt(2.0))
    worked_off = left * time * 0.5 * erfc(a / np.sqrt(2.0))
    backlog: Array = np.maximum(scale * density - worked_off + settled, 0.0)
    return backlog
