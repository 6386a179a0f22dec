"""Break formulas one by one and see which test notices.

    python tools/mutations.py [--only WORD]

Every entry of ``mutations.toml`` is applied to a copy of the checkout of its own; its tests run
there until the first that fails. Before, the same tests run on the copy as it is: a test that fails
anyway catches nothing. Status 1 if a mutation survives.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_name("mutations.toml")
_COPIED = ("capmodel", "data", "tests", "pyproject.toml")
_FIRST = re.compile(r"^(?:FAILED|ERROR) (?P<test>.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Mutation:
    """What becomes of which line, and who should notice."""

    family: str
    change: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The file's text with the mutation in it.

        Raises
        ------
        ValueError
            If the snippet does not stand there exactly once.
        """
        count = text.count(self.before)
        if count != 1:
            raise ValueError(f"{self.file} must contain {self.before!r} once, not {count} times")
        return text.replace(self.before, self.after)


def mutations(path: Path = LIST) -> list[Mutation]:
    """The list."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copied(folder: Path) -> None:
    """What the tests need, without what was compiled."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)


def first_failure(folder: Path, tests: Sequence[str]) -> str | None:
    """The first test that fails there; None if all pass.

    Raises
    ------
    RuntimeError
        If pytest could not run them, or they ran on another copy of the package.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_PROFILE": "dev",
    }
    where = subprocess.run(
        [sys.executable, "-c", "import capmodel; print(capmodel.__file__)"],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    if not Path(where.stdout.strip()).is_relative_to(folder):
        raise RuntimeError(f"tests would run on {where.stdout.strip()}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return None
    match = _FIRST.search(done.stdout)
    if match is None:
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-400:]}")
    return match["test"]


def outcomes(chosen: Sequence[Mutation]) -> Iterator[tuple[Mutation, str | None]]:
    """Every mutation with the test that caught it."""
    sound: set[tuple[str, ...]] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copied(folder)
        for mutation in chosen:
            if mutation.tests not in sound:
                failure = first_failure(folder, mutation.tests)
                if failure is not None:
                    raise RuntimeError(f"{failure} fails without any mutation")
                sound.add(mutation.tests)
            path = folder / mutation.file
            original = path.read_text(encoding="utf-8")
            path.write_text(mutation.applied(original), encoding="utf-8")
            try:
                yield mutation, first_failure(folder, mutation.tests)
            finally:
                path.write_text(original, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Break formulas and see which test notices.")
    parser.add_argument("--only", default="", help="only families that contain this word")
    word = parser.parse_args(arguments).only
    chosen = [mutation for mutation in mutations() if word in mutation.family]
    if not chosen:
        families = ", ".join(mutation.family for mutation in mutations())
        parser.error(f"no family contains {word!r}; there are {families}")
    survivors = 0
    print("| family | change | caught by |\n|---|---|---|")
    for mutation, test in outcomes(chosen):
        survivors += test is None
        caught = "**nobody**" if test is None else f"`{test.removeprefix('tests/')}`"
        print(f"| {mutation.family} | {mutation.change} | {caught} |", flush=True)
    print(f"\n{len(chosen) - survivors} of {len(chosen)} mutations caught")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
