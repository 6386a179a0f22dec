"""Event simulation of capture paths, compiled by numba (``pip install "capmodel[sim]"``)."""

from __future__ import annotations

from capmodel.simulation.run import SimulationResult, simulate

__all__ = ["SimulationResult", "simulate"]
