"""The list of mutations can be applied: each snippet stands once, and what becomes of it parses."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
MUTATIONS = TOOL.mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[item.family for item in MUTATIONS])
def test_it_applies(mutation: object) -> None:
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    changed = mutation.applied(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    for test in mutation.tests:
        assert (ROOT / test).is_file(), test


def test_every_file_of_formulas_is_in_the_list() -> None:
    """Each module with a public formula has at least one mutation, or its helper has."""
    formulary = ROOT / "capmodel" / "formulary"
    public = {path.name for path in formulary.glob("*.py") if not path.name.startswith("_")}
    mutated = {Path(item.file).name for item in MUTATIONS if "formulary" in item.file}
    helped = {"mg1k.py": "_crossing.py"}
    assert {name for name in public if helped.get(name, name) not in mutated} == set()


def test_a_snippet_must_stand_once() -> None:
    mutation = TOOL.Mutation("f", "c", "x.py", "a + b", "a - b", ())
    assert mutation.applied("y = a + b") == "y = a - b"
    for text in ("nothing", "a + b, a + b"):
        with pytest.raises(ValueError, match="once, not"):
            mutation.applied(text)


def test_an_unknown_family_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        TOOL.main(["--only", "no such family"])
    assert "there are M/M/1/K" in capsys.readouterr().err
