"""The lessons run, assert what they teach, and stand executed in notebooks."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def by_name(path):
    return path.stem


def code(notebook):
    return [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"]


def test_the_lessons_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("script", EXAMPLES, ids=by_name)
def test_a_lesson_runs_and_asserts(script, capsys):
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out
    assert script.read_text(encoding="utf-8").count("\nassert ") >= 3


@pytest.mark.parametrize("script", EXAMPLES, ids=by_name)
def test_a_lesson_speaks_before_it_computes(script):
    cells = jupytext.read(script, fmt="py:percent").cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert sum(cell.cell_type == "markdown" for cell in cells) >= 4


@pytest.mark.parametrize("script", EXAMPLES, ids=by_name)
def test_the_notebook_is_the_script_executed(script):
    notebook = nbformat.read(ROOT / "notebooks" / f"{script.stem}.ipynb", as_version=4)
    own = jupytext.read(script, fmt="py:percent")
    assert code(notebook) == code(own)
    assert [c.source for c in notebook.cells] == [c.source for c in own.cells]
    executed = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in executed] == list(range(1, len(executed) + 1))
    assert any(cell.outputs for cell in executed)
    kinds = {output.output_type for cell in executed for output in cell.outputs}
    assert "error" not in kinds


@pytest.mark.parametrize("script", EXAMPLES, ids=by_name)
def test_the_notebook_holds_nothing_that_differs_from_run_to_run(script):
    notebook = nbformat.read(ROOT / "notebooks" / f"{script.stem}.ipynb", as_version=4)
    assert [cell.id for cell in notebook.cells] == [
        f"cell-{number}" for number in range(1, len(notebook.cells) + 1)
    ]
    assert all(not cell.metadata for cell in notebook.cells)
    assert "version" not in notebook.metadata.language_info
    text = nbformat.writes(notebook)
    assert str(Path.home()) not in text
    assert str(ROOT) not in text


def test_no_notebook_without_a_script():
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks == {path.stem for path in EXAMPLES}


def test_the_builder_names_cells_in_order():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import execute_notebooks
    finally:
        sys.path.pop(0)
    notebook = execute_notebooks.read_script(EXAMPLES[0])
    nbformat.validate(notebook)
    assert notebook.cells[0].id == "cell-1"
