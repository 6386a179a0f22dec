"""`import capmodel` stays light, and nothing breaks its public names."""

from __future__ import annotations

import subprocess
import sys

import capmodel

HEAVY = ("matplotlib", "sympy", "scipy.optimize", "scipy.stats", "pandas", "xarray", "emcee")


def loaded_after(statement):
    code = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_loads_nothing_heavy():
    assert loaded_after("import capmodel") == []


def test_predicting_and_sweeping_load_nothing_heavy():
    work = "from capmodel import predict, sweep\npredict(1e6).explain(); str(sweep([1e5, 1e6]))"
    assert loaded_after(work) == []


def test_the_command_line_and_the_figures_load_nothing_heavy_before_they_are_used():
    assert loaded_after("import capmodel.cli, capmodel.plot") == []


def test_public_names_exist_and_are_no_modules():
    for name in capmodel.__all__:
        assert not isinstance(getattr(capmodel, name), type(sys)), name
