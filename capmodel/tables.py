"""Plain text tables: numbers to the right, words to the left, long words wrapped."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 100
_GAP = "  "


def text_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, width: int = WIDTH) -> str:
    """A table for terminals.

    Parameters
    ----------
    headers : sequence of str
        One per column.
    rows : sequence of sequences
        Cells: texts and numbers (numbers with six significant digits, None as ``-``).
    width : int
        Most characters in a line; the last column wraps to keep to it.

    Returns
    -------
    str
        Lines without trailing blanks; columns that hold only numbers are right-aligned.

    Examples
    --------
    >>> print(text_table(["rate", "limited by"], [[1e5, "nothing"], [1.27e6, "kernel"]]))
       rate  limited by
     100000  nothing
    1270000  kernel
    """
    cells = [[_text(cell) for cell in row] for row in rows]
    numeric = [
        bool(rows) and all(_is_number(row[index]) or row[index] is None for row in rows)
        for index in range(len(headers))
    ]
    columns = list(zip(headers, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    room = width - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
    widths[-1] = min(widths[-1], max(room, len(headers[-1]), 12))
    lines = []
    for line in [list(headers), *cells]:
        wrapped = textwrap.wrap(line[-1], widths[-1]) or [""]
        for number, last in enumerate(wrapped):
            parts = [*(line[:-1] if number == 0 else [""] * (len(line) - 1)), last]
            aligned = (
                part.rjust(size) if right else part.ljust(size)
                for part, size, right in zip(parts, widths, numeric, strict=True)
            )
            lines.append(_GAP.join(aligned).rstrip())
    return "\n".join(lines)


def labelled(heading: str, rows: Sequence[tuple[str, str]], *, width: int = WIDTH) -> str:
    """Labels and texts under a heading.

    Parameters
    ----------
    heading : str
        The first line, wrapped.
    rows : sequence of tuple
        Label and text of each line; a long text is wrapped.
    width : int
        Most characters in a line.

    Returns
    -------
    str

    Examples
    --------
    >>> print(labelled("a run", [("offered", "1 Mpps"), ("lost", "none")]))
    a run
      offered  1 Mpps
      lost     none
    """
    room = max((len(label) for label, _ in rows), default=0)
    lines = textwrap.wrap(heading, width)
    for label, text in rows:
        start = f"  {label:<{room}}  "
        lines.append(
            textwrap.fill(
                text, width, initial_indent=start, subsequent_indent=" " * len(start),
            )
        )  # fmt: skip
    return "\n".join(lines)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    if _is_number(cell):
        text = f"{cell:.6g}"
        # large rates are read more easily without an exponent
        return f"{float(text):.0f}" if "e+" in text and abs(cell) < 1e15 else text
    return str(cell)
