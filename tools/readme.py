"""Put the output of its commands into README.md, between ``<!-- COMMAND -->`` and ``<!-- end -->``.

A command is one of ``capmodel``'s, with ``| head -n N`` or ``| tail -n N`` behind it if only some
lines are wanted. It runs in this process; its output becomes a block of text, or stays as it is
where it is a table.

Run ``python tools/readme.py`` to write, or ``python tools/readme.py --check`` to compare only.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from capmodel.atomic import replacing
from capmodel.cli import main as capmodel_main

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(
    r"^<!-- (?P<command>capmodel [^\n]*?) -->\n.*?^<!-- end -->$", re.DOTALL | re.MULTILINE
)
_MARKER = re.compile(r"^<!-- (?:capmodel .*|end) -->$", re.MULTILINE)
_FILTER = re.compile(r"(?P<end>head|tail) -n (?P<count>[1-9][0-9]*)")
# `capmodel claims` says by status 1 that a claim fails, which the text says as well
_SPOKEN = (0, 1)


def commands(text: str) -> list[str]:
    """The commands of a text's blocks, in order."""
    return [match["command"] for match in _BLOCK.finditer(text)]


def output(command: str, run: Callable[[list[str]], int] = capmodel_main) -> str:
    """What a command prints, without the line's end.

    Raises
    ------
    ValueError
        If the command is not one of ours, fails, prints nothing, or has an unknown filter.
    """
    first, *filters = (part.strip() for part in command.split("|"))
    program, *arguments = shlex.split(first)
    if program != "capmodel":
        raise ValueError(f"only capmodel is run here, not {command!r}")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run(arguments)
    if status not in _SPOKEN:
        raise ValueError(f"{command!r} ended with status {status}")
    lines = printed.getvalue().rstrip().splitlines()
    for text in filters:
        match = _FILTER.fullmatch(text)
        if match is None:
            raise ValueError(f"filter {text!r} of {command!r} is not head -n N or tail -n N")
        count = int(match["count"])
        lines = lines[:count] if match["end"] == "head" else lines[-count:]
    if not lines:
        raise ValueError(f"{command!r} printed nothing")
    return "\n".join(lines)


def block(text: str) -> str:
    """A table as it is, other text fenced."""
    return f"{text}\n" if text.startswith("|") else f"```text\n{text}\n```\n"


def filled(text: str, read: Callable[[str], str] = output) -> str:
    """The text with every block's output in place.

    Raises
    ------
    ValueError
        If a marker stands alone, or a command fails.
    """
    if len(_MARKER.findall(text)) != 2 * len(commands(text)):
        raise ValueError("'<!-- capmodel ... -->' and '<!-- end -->' come in pairs, on own lines")
    return _BLOCK.sub(
        lambda match: f"<!-- {match['command']} -->\n{block(read(match['command']))}<!-- end -->",
        text,
    )  # fmt: skip


def main(arguments: list[str], path: Path = README) -> int:
    """Write the blocks of the file, or compare them; status 1 if they are not up to date."""
    if arguments not in ([], ["--check"]):
        print("readme: the only option is --check", file=sys.stderr)
        return 2
    before = path.read_text(encoding="utf-8")
    try:
        after = filled(before)
    except ValueError as error:
        print(f"readme: {error}", file=sys.stderr)
        return 2
    if arguments:
        if before != after:
            print(f"readme: {path.name} is not up to date; run 'make readme'", file=sys.stderr)
        return int(before != after)
    if before != after:
        with replacing(path) as temporary:
            temporary.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
