"""Ways to turn a :class:`~capmodel.path.CapturePath` into a :class:`~capmodel.results.Solution`.

A solver is one module with ``NAME``, ``accepts(path) -> str | None`` (the reason why not),
``solve(path) -> Solution`` and, if it would rather leave some of those paths to others,
``doubts(path) -> str | None``; adding its name to ``SOLVERS`` is all that it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capmodel.errors import unknown_choice
from capmodel.path import CapturePath
from capmodel.results import Solution
from capmodel.solvers import closed_form, decomposition, exact, simulation

__all__ = ["SOLVERS", "Solver", "select", "solve"]


@dataclass(frozen=True)
class Solver:
    """A named way to solve a path: what it accepts, how it solves."""

    name: str
    accepts: Callable[[CapturePath], str | None]
    solve: Callable[[CapturePath], Solution]
    doubts: Callable[[CapturePath], str | None] = lambda path: None


SOLVERS: dict[str, Solver] = {
    module.NAME: Solver(
        module.NAME, module.accepts, module.solve, getattr(module, "doubts", lambda path: None)
    )
    for module in (closed_form, exact, decomposition, simulation)
}


def select(path: CapturePath, solver: str | None = None) -> Solver:
    """The solver asked for, or the first that accepts the path without doubts.

    Parameters
    ----------
    path : CapturePath
        What is to be solved.
    solver : str, optional
        A name from `SOLVERS`.

    Returns
    -------
    Solver

    Raises
    ------
    ValueError
        If the name is unknown; if the solver asked for does not accept the path (the message says
        why, and which do); or if none does (it lists every solver with its reason).

    Examples
    --------
    >>> clock = CapturePath.single(rate=2.0, capacity=64, consumer_cost=1.0,
    ...                            service="deterministic", arrivals="cbr")
    >>> select(clock).name
    'closed_form'
    >>> select(CapturePath.single(rate=2.0, capacity=64, consumer_cost=1.0)).name
    'exact'
    """
    if solver is not None and solver not in SOLVERS:
        raise unknown_choice("solver", solver, tuple(SOLVERS))
    candidates = [SOLVERS[solver]] if solver is not None else list(SOLVERS.values())
    reasons, able = {}, []
    for candidate in candidates:
        reason = candidate.accepts(path)
        if reason is not None:
            reasons[candidate.name] = reason
        elif candidate.doubts(path) is None:
            return candidate
        else:  # it takes the path but would rather leave it to another
            able.append(candidate)
    if able:
        return able[0]
    if solver is not None:
        others = [repr(name) for name, other in SOLVERS.items() if other.accepts(path) is None]
        able_ones = f"{', '.join(others)} would" if others else "nor does any other"
        raise ValueError(
            f"solver {solver!r} does not accept this path ({reasons[solver]}); {able_ones}"
        )
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"no solver accepts this path ({listed})")


def solve(path: CapturePath, solver: str | None = None) -> Solution:
    """Solve a path by the solver asked for, or by the first that accepts it.

    Parameters
    ----------
    path : CapturePath
        What is to be solved; fields may be arrays that broadcast.
    solver : str, optional
        A name from `SOLVERS`.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        As :func:`select`.
    TypeError
        If `path` is not a path.

    Examples
    --------
    >>> path = CapturePath.single(rate=2.0, capacity=64, consumer_cost=1.0,
    ...                           service="deterministic", arrivals="cbr")
    >>> float(solve(path).captured)
    0.5
    """
    if not isinstance(path, CapturePath):
        raise TypeError(f"path must be a CapturePath, got {path!r}")
    return select(path, solver).solve(path)
