"""Install the peers into ``.venv-peers``: ``python -m benchmarks.peers.install``.

Each is installed by itself, so that one that does not install leaves the others alone; what pip
said of it is kept for the report.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FAILURES = "not-installed.json"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.]+)")


def pinned(text: str) -> dict[str, str]:
    """Versions by package of a requirements file that pins all it names.

    Raises
    ------
    ValueError
        If a line is no comment and not ``name==version``.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        wanted = line.split("#")[0].strip()
        if not wanted:
            continue
        match = _PIN.fullmatch(wanted)
        if match is None:
            raise ValueError(f"line {number} must be name==version, got {wanted!r}")
        found[match["name"]] = match["version"]
    return found


def last_words(output: str) -> str:
    """The line that says what went wrong: the last that speaks of an error, or the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no message"])[-1]


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def failures(folder: Path) -> dict[str, str]:
    """What did not install, and why."""
    path = folder / FAILURES
    if not path.exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def install(folder: Path, run: Sequence[str] = ()) -> dict[str, str]:
    """Make the environment and install; what failed, by package."""
    if not python_of(folder).exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = run or [str(python_of(folder)), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    failed = {}
    for name, version in pinned(REQUIREMENTS.read_text(encoding="utf-8")).items():
        done = subprocess.run(
            [*pip, "install", f"{name}=={version}", "--constraint", str(REQUIREMENTS)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            failed[name] = last_words(done.stdout + done.stderr)
    temporary = folder / f"{FAILURES}.tmp"
    temporary.write_text(json.dumps(failed, indent=1), encoding="utf-8")
    os.replace(temporary, folder / FAILURES)
    return failed


def main() -> int:
    failed = install(FOLDER)
    for name, message in failed.items():
        print(f"{name} does not install: {message}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
