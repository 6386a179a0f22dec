"""Docstrings say what goes in and out and in which unit; the README runs; nothing points home."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import capmodel
from capmodel import formulary
from capmodel.cli import build_parser

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "capmodel"
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Rooms and modules whose functions serve one caller beside them: a sentence each is enough.
INSIDE = {"derivations", "numerics", "simulation", "solvers", "cli_output", "drawing", "judgements",
          "scales"}  # fmt: skip


def public_functions() -> list[tuple[str, ast.FunctionDef]]:
    """Every public function of every public module, by its full name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if any(part.startswith("_") for part in parts[:-1]) or re.match("_[^_]", parts[-1]):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found.append((".".join([*parts, node.name]), node))
    return found


FUNCTIONS = public_functions()


def arguments_of(node: ast.FunctionDef) -> list[str]:
    """Names of the arguments that a caller gives; Hypothesis gives `draw` itself."""
    names = [item.arg for item in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    return [name for name in names if name != "draw"]


def returns_something(node: ast.FunctionDef) -> bool:
    return node.returns is not None and ast.unparse(node.returns) != "None"


def section(text: str, title: str) -> str:
    """The body of a numpy-style section; empty if there is none."""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}$|\Z)", text, re.DOTALL | re.M)
    return match[1] if match else ""


@pytest.mark.parametrize(("name", "node"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_every_public_function_is_documented(name: str, node: ast.FunctionDef) -> None:
    text = ast.get_docstring(node) or ""
    assert text.strip(), "no docstring"
    if set(name.split(".")[1:-1]) & INSIDE:
        return
    for argument in arguments_of(node):
        documented = section(text, "Parameters")
        assert re.search(rf"^(?:.*, )?{argument}\b", documented, re.MULTILINE), argument
    if returns_something(node):
        assert section(text, "Returns") or section(text, "Yields"), "no section Returns"


def test_the_reader_of_sections_reads() -> None:
    text = inspect.getdoc(capmodel.predict) or ""
    assert section(text, "Parameters").startswith("rate : float or str")
    assert "Returns" not in section(text, "Parameters")
    assert section(text, "Returns").startswith("Prediction")
    assert section(text, "Nothing") == ""
    assert len(FUNCTIONS) > 100


@pytest.mark.parametrize("name", capmodel.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    item = getattr(capmodel, name)
    if isinstance(item, dict):
        return  # a table; its module says what is in it
    text = inspect.getdoc(item) or ""
    assert len(text.splitlines()[0]) > 10
    if inspect.isclass(item):
        for attribute, method in vars(item).items():
            plain = inspect.unwrap(getattr(method, "__func__", method))
            if not attribute.startswith("_") and inspect.isfunction(plain):
                assert inspect.getdoc(plain), f"{name}.{attribute}"
            if isinstance(method, property) and not attribute.startswith("_"):
                assert inspect.getdoc(method), f"{name}.{attribute}"


@pytest.mark.parametrize("module", [capmodel, formulary], ids=["capmodel", "formulary"])
def test_the_public_names_are_sorted_and_resolve(module: Any) -> None:
    names = module.__all__
    # as ruff sorts them: constants, classes, functions
    kinds = [(not name.isupper(), not name[0].isupper(), name) for name in names]
    assert kinds == sorted(kinds)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(module, name) is not None


FORMULAS = [name for name in formulary.__all__ if inspect.isfunction(getattr(formulary, name))]


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_has_units_a_source_and_an_example(name: str) -> None:
    function = getattr(formulary, name)
    text = inspect.getdoc(function) or ""
    assert re.search(r"^Source: \S", text, re.MULTILINE), "no line 'Source: ...'"
    assert doctest.DocTestParser().get_examples(text), "no example"
    assert has_unit(section(text, "Returns")), "no unit of the result"
    # entries of the section Parameters: a line of names, then indented text
    entries = re.split(r"^(?=\S)", section(text, "Parameters"), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        head, _, body = entry.partition("\n")
        names, _, kind = head.partition(":")
        if re.search(r"array_like|float|int", kind) and names.strip() != "seed":
            assert has_unit(body), f"no unit: {head}"


def has_unit(text: str) -> bool:
    """Whether a description has a unit, or is that of another formula or of a class with units."""
    if re.search(r"\[[^\]]+\]|unit of the quantity", text):
        return True
    other = re.search(r"As in :func:`(\w+)`", text) or re.match(r"([A-Z]\w+)\n", text)
    if other is None or other[1] not in formulary.__all__:
        return text.startswith("tuple")
    item = getattr(formulary, other[1])
    return re.search(r"\[[^\]]+\]", inspect.getdoc(item) or "") is not None


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks("python")
    assert len(found) >= 3
    namespace: dict[str, Any] = {}
    for code in found:
        exec(compile(code, "README.md", "exec"), namespace)
    assert str(namespace["quiet"]) in capsys.readouterr().out


def shell_lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", shell_lines())
def test_the_commands_of_the_readme_parse(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in arguments:
            assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
        return
    assert program == "capmodel"
    assert build_parser().parse_args(arguments).command == arguments[0]


def test_the_readme_shows_every_command() -> None:
    shown = {shlex.split(line)[1] for line in shell_lines() if line.startswith("capmodel ")}
    assert {"predict", "sweep", "backends", "machines", "claims", "validate", "calibrate"} <= shown


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    # written so that this file does not find itself
    places = [f"{chr(47)}{name}{chr(47)}".encode() for name in ("work", "root", "home", "Users")]
    found = []
    for path in tracked():
        if path.is_file() and path.suffix not in (".png", ".ico"):
            content = path.read_bytes()
            found += [
                f"{path.relative_to(ROOT)}: {place.decode()}"
                for place in places
                # "network/home/" within an address or a path of a source is not a place
                if re.search(rb"(?<![\w.:/%-])" + re.escape(place), content)
            ]
    assert not found


@pytest.mark.parametrize("name", sorted({name.rsplit(".", 1)[0] for name, _ in FUNCTIONS}))
def test_what_a_module_exports_exists(name: str) -> None:
    if name.startswith("capmodel.simulation"):
        pytest.importorskip("numba")
    module = importlib.import_module(name.removesuffix(".__init__"))
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported), exported
