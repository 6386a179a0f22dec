"""All benchmarks, one after the other: ``python -m benchmarks``."""

from __future__ import annotations

from benchmarks import core_speed, simulation_speed, solver_speed

for module in (core_speed, solver_speed, simulation_speed):
    print(f"\n{module.__name__}")
    module.main()
