"""Cyclic reduction against elimination of the whole chain in fractions, and against closed forms."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import mpmath
import numpy as np
import pytest

from capmodel.numerics.cyclic_reduction import Boundary, Levels, QBDSolution, Weights, solve_levels

TIGHT = 1e-12


def _load(name):
    spec = spec_from_file_location(name, Path(__file__).parents[1] / "oracles" / f"{name}.py")
    module = module_from_spec(spec)
    sys_modules_entry(name, module)
    spec.loader.exec_module(module)
    return module
