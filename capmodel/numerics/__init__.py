"""Numerical methods for Markov chains that never subtract: what is small stays accurate.

Nothing in here knows what a packet is.
"""

from __future__ import annotations

from capmodel.numerics.cyclic_reduction import Boundary, Levels, QBDSolution, solve_levels
from capmodel.numerics.gth import ginverse, gsolve, stationary
from capmodel.numerics.phase_type import PhaseType

__all__ = [
    "Boundary",
    "Levels",
    "PhaseType",
    "QBDSolution",
    "ginverse",
    "gsolve",
    "solve_levels",
    "stationary",
]
