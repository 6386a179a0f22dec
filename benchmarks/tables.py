"""Tables as Markdown that reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; `notes` follow below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {list(row)!r} does not fit columns {list(self.columns)!r}")

    def markdown(self) -> str:
        """The table with its title above and its notes below."""
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.columns))]

        def line(row: Sequence[str]) -> str:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            return f"| {' | '.join(padded)} |"

        rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
        body = [line(cells[0]), rule, *map(line, cells[1:])]
        parts = [f"**{self.title}**", "\n".join(body), *self.notes]
        return "\n\n".join(parts)


def times(value: float) -> str:
    """A ratio, to two or three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def size(number: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000.0
    return f"{number:.3g} GB"
