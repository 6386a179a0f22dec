"""Symbols under the formulas' own argument names, and the letters they have in print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import sympy as sp

LETTERS: Mapping[str, str] = {
    "arrival_scv": "c_A^2",
    "backlog": "b",
    "barrier": "B",
    "batch": "b",
    "block": "b",
    "blocks": "M",
    "buffer": "B",
    "capacity": "K",
    "consumer_cost": "c_a",
    "delay": "H",
    "distance": "d",
    "drift": r"\delta",
    "drop_cost": "c_d",
    "duration": "T",
    "elsewhere": "t_0",
    "gap": "g",
    "flood_rate": r"\lambda",
    "floor": "g",
    "interrupt_cost": "c_i",
    "kernel_cost": "c_k",
    "kernel_share": r"\phi",
    "leave_off": r"\beta",
    "leave_on": r"\alpha",
    "leave_same": r"\alpha",
    "leave_split": r"\beta",
    "level": "i",
    "loss": r"\epsilon",
    "mean": "m",
    "off_time": "S",
    "offered_load": r"\rho",
    "offered_rate": r"\lambda",
    "packets": "n",
    "peak_rate": "h",
    "poll_cost": "P",
    "read_cost": "p",
    "room": "B",
    "scv": "c^2",
    "service": "t_c",
    "service_rate": r"\mu",
    "service_scv": "c_S^2",
    "service_time": "c",
    "leave": r"\ell",
    "settle": r"\tau",
    "shape": "k",
    "stall": "x",
    "stall_rate": "r",
    "stall_time": "T",
    "time": "t",
    "timeout": r"\tau",
    "variance": r"\sigma^2",
    "wakeup_cost": "w",
    "wakeup_latency": "L",
}


def positive(name: str) -> sp.Symbol:
    """A positive real quantity under the name that a formula's argument has."""
    return sp.Symbol(name, positive=True)


def nonnegative(name: str) -> sp.Symbol:
    """As :func:`positive`, for a quantity that has a case of its own at 0."""
    return sp.Symbol(name, nonnegative=True)


def by_capacity(value: Callable[[int], sp.Expr], levels: Iterable[int]) -> sp.Expr:
    """A quantity that is derived for each small K, in the symbol ``capacity``."""
    capacity = sp.Symbol("capacity", integer=True, positive=True)
    return sp.Piecewise(*((value(k), sp.Eq(capacity, k)) for k in levels))


def letters(expression: sp.Expr) -> dict[sp.Symbol, str]:
    """Symbol names for ``sympy.latex(expression, symbol_names=...)``."""
    return {s: LETTERS[s.name] for s in expression.free_symbols if s.name in LETTERS}


def normal_density(x: sp.Expr) -> sp.Expr:
    """Density of the standard normal distribution."""
    return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)


def normal_cdf(x: sp.Expr) -> sp.Expr:
    """Distribution function of the standard normal distribution, by erfc (no cancellation)."""
    return sp.erfc(-x / sp.sqrt(2)) / 2
