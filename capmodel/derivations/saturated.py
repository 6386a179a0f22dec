"""Saturated kernel, finite buffer, everything exponential: services until the buffer is empty."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from capmodel.derivations.notation import by_capacity, nonnegative, positive

KERNEL = positive("kernel_cost")
CONSUMER = nonnegative("consumer_cost")
WAKE = positive("wakeup_cost")
LATENCY = nonnegative("wakeup_latency")
POLL = nonnegative("poll_cost")

_RHO = sp.Symbol("rho", positive=True)
_B = sp.Symbol("b", integer=True, positive=True)


def services_down(levels: int) -> list[sp.Expr]:
    """Mean services t_1..t_K of the passages from j packets to j - 1, by first-step analysis.

    From j < K the next event is a service with probability ``1/(1 + rho)`` (rho = c_a/c_k), which
    ends the passage; or a delivery, after which the buffer must come down from j + 1 to j and from
    j to j - 1. At K a delivery is lost, and the next event that counts is a service.
    """
    passage = list(sp.symbols(f"t_1:{levels + 1}", positive=True))
    served = 1 / (1 + _RHO)
    equations = [sp.Eq(passage[-1], 1)]
    for j in range(levels - 1):
        after = (1 - served) * (passage[j + 1] + passage[j])
        equations.append(sp.Eq(passage[j], served + after))
    (solution,) = sp.solve(equations, passage, dict=True)
    return [sp.cancel(solution[t]) for t in passage]


def passage(j: sp.Expr, capacity: sp.Expr) -> sp.Expr:
    """The same for symbolic K: ``t_j = 1 + rho t_(j+1)``, ``t_K = 1``, a geometric sum."""
    i = sp.Symbol("i", integer=True, nonnegative=True)
    total = sp.summation(_RHO**i, (i, 0, capacity - j))
    return total.args[-1].expr if isinstance(total, sp.Piecewise) else total


def services_to_empty(b: sp.Expr, capacity: sp.Expr) -> sp.Expr:
    """Mean services N(b) from b packets until the buffer is empty, the sum of the passages."""
    j, top = sp.symbols("j K", integer=True, positive=True)
    # (1 - rho^(K - j + 1))/(1 - rho) in two parts, each of which sums to a geometric sum
    constant, power = 1 / (1 - _RHO), -(_RHO ** (top + 1)) / (1 - _RHO)
    if sp.simplify(constant + power * _RHO ** (-j) - passage(j, top)) != 0:
        raise AssertionError("passage is not what it was taken for")
    inverse = sp.summation((1 / _RHO) ** j, (j, 1, b))
    inverse = inverse.args[-1].expr if isinstance(inverse, sp.Piecewise) else inverse
    return (b * constant + power * inverse).subs(top, capacity)


def _mean_over(ratio: sp.Expr, first: int, levels: int, services: list[sp.Expr]) -> sp.Expr:
    """Mean of N over a geometric count from `first`, what would exceed K held at K."""
    total: sp.Expr = sp.Integer(0)
    for b in range(first, levels + 1):
        chance = (1 - ratio) * ratio ** (b - first) if b < levels else ratio ** (levels - first)
        total += chance * services[b]
    return total


def cycle(
    levels: int, costs: Mapping[sp.Symbol, sp.Expr] | None = None
) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Carried rate, wakeups and buffer drops for K = `levels`, by renewal-reward over a cycle.

    A cycle starts when the kernel's next delivery finds the consumer asleep (``c_k`` after it fell
    asleep), pays w, and lets it run after L. Deliveries during L are geometric, as are those
    during a poll; a poll that saw one is followed by another service of what is there. The kernel
    always works: what it takes from the ring but is not carried was dropped. Numbers for some or
    all of the `costs` keep the result short.
    """
    known = costs or {}
    kernel, consumer, wake, latency, poll = (
        symbol.subs(known) for symbol in (KERNEL, CONSUMER, WAKE, LATENCY, POLL)
    )
    ratio = consumer / kernel
    passages = [t.subs(_RHO, ratio) for t in services_down(levels)]
    services = [sp.Add(*passages[:b]) for b in range(levels + 1)]
    delivered = latency / (latency + kernel)
    seen = poll / (poll + kernel)
    polls = 1 / (1 - seen)
    packets = _mean_over(delivered, 1, levels, services)
    packets += polls * _mean_over(seen, 0, levels, services)
    length = wake + latency + polls * poll + packets * consumer + kernel
    rate, wakeups = packets / length, 1 / length
    return rate, wakeups, (1 - wakeups * wake) / kernel - rate


def saturated_finite_buffer() -> tuple[sp.Expr, ...]:
    """Carried rate, wakeups and drops for K = 1..4, by first-step analysis and renewal-reward."""
    levels = range(1, 5)
    cycles = {k: cycle(k) for k in levels}

    def pick(part: int) -> sp.Expr:
        return by_capacity(lambda k: cycles[k][part], levels)

    return tuple(pick(part) for part in range(3))
