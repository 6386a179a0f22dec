"""Execute the examples into notebooks, without what differs from run to run.

Times, kernel versions and random cell names are left out, so that a notebook changes only when its
script or its results do.

Run ``python tools/execute_notebooks.py`` (all of them) or name scripts of ``examples/``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbclient
import nbformat

from capmodel.atomic import replacing

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_ADDRESS = re.compile(r"at 0x[0-9a-f]+")


def read_script(script: Path) -> Any:
    """The notebook that a script in percent format stands for, not executed."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python", "file_extension": ".py"}}
    )
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    return notebook


def executed(script: Path) -> str:
    """The text of a script's notebook with its outputs."""
    notebook = read_script(script)
    # figures go into the notebook, whatever the caller chose; modules come from this checkout
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": str(script.parent)}},
    )  # fmt: skip
    client.execute(env=environment)
    notebook.metadata = read_script(script).metadata
    for cell in notebook.cells:
        cell["metadata"] = {}
        for output in cell.get("outputs", []):
            _without_addresses(output)
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)) + "\n"


def _without_addresses(output: Any) -> None:
    texts = output.get("data", {})
    for kind in ("text/plain", "text/html"):
        if kind in texts:
            texts[kind] = _ADDRESS.sub("at 0x0", texts[kind])


def main(names: list[str]) -> None:
    """Execute the named scripts, or all."""
    folder = ROOT / "notebooks"
    folder.mkdir(exist_ok=True)
    scripts = [Path(name) for name in names] or sorted((ROOT / "examples").glob("*.py"))
    for script in scripts:
        text = executed(script.resolve())
        with replacing(folder / f"{script.stem}.ipynb") as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(f"notebooks/{script.stem}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
