"""Imports flow one way; read from the source, so that lazy imports count too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "capmodel"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Every module a file may import, by its full name; `from a import b` is both a and a.b."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found.add(source)
            found |= {f"{source}.{alias.name}" for alias in node.names}
    return found


IMPORTS = {module_name(path): imported(path) for path in MODULES}


def within(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def inside(room: str) -> list[str]:
    found = [name for name in IMPORTS if within(name, f"capmodel.{room}")]
    assert found, room
    return found


def own(name: str) -> set[str]:
    """What a module imports of this package."""
    return {target for target in IMPORTS[name] if within(target, "capmodel")}


def test_the_reader_of_imports_reads() -> None:
    assert "capmodel.path.CapturePath" in IMPORTS["capmodel.solvers"]
    assert "scipy.special.gammainc" in IMPORTS["capmodel.formulary.blocks"]  # inside a function
    assert "capmodel.errors.unknown_choice" in IMPORTS["capmodel.path"]


@pytest.mark.parametrize("name", inside("formulary"))
def test_formulary_knows_only_itself(name: str) -> None:
    # numerics are pure mathematics too; the wording of a refusal is shared by the whole package
    rooms = ("capmodel.formulary", "capmodel.numerics", "capmodel.errors")
    assert {target for target in own(name) if not within(target, *rooms)} == set()


UPSTREAM = ("api", "machine", "backend", "assemble", "claims", "observe", "prediction", "explain",
            "cli", "application", "workload", "calibration", "comparison", "plot", "sweeping",
            "machines", "backends", "catalogue", "support", "sweep_support")  # fmt: skip


@pytest.mark.parametrize("name", inside("solvers"))
def test_solvers_know_no_names_of_machines_and_backends(name: str) -> None:
    rooms = [f"capmodel.{room}" for room in UPSTREAM]
    assert {target for target in own(name) if within(target, *rooms)} == set()


def test_path_and_results_hold_no_mathematics() -> None:
    rooms = [f"capmodel.{room}" for room in ("solvers", "formulary", *UPSTREAM)]
    for name in ("capmodel.path", "capmodel.results"):
        assert {target for target in own(name) if within(target, *rooms)} == set()


@pytest.mark.parametrize("name", sorted(IMPORTS))
def test_heavy_libraries_stay_where_they_belong(name: str) -> None:
    heavy = {target.split(".")[0] for target in IMPORTS[name]}
    if name != "capmodel.plot":
        assert "matplotlib" not in heavy
    if not within(name, "capmodel.derivations"):
        assert "sympy" not in heavy
    if name != "capmodel.testing":
        assert "hypothesis" not in heavy


PREDICTING = [
    *(f"capmodel.{room}" for room in ("api", "assemble", "prediction", "machine", "backend",
                                      "workload", "application", "path", "results")),
    *inside("solvers"),
    *inside("formulary"),
]  # fmt: skip
READING = [f"capmodel.{room}" for room in ("claims", "observe", "comparison", "calibration",
                                           "measurements", "data_files")]  # fmt: skip


@pytest.mark.parametrize("name", PREDICTING)
def test_predict_reads_no_measurements(name: str) -> None:
    assert name in IMPORTS
    assert {target for target in own(name) if within(target, *READING)} == set()


def test_no_circles_between_rooms() -> None:
    """Between top-level rooms; imports inside functions count."""
    rooms = {name: {target for target in own(name) if target in IMPORTS} for name in IMPORTS}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name in done or name == "capmodel":
            return
        for target in sorted(rooms[name] - {name}):
            if not within(name, target):  # a package's parts may import their package's siblings
                visit(target, (*trail, name))
        done.add(name)

    for name in sorted(rooms):
        visit(name, ())
