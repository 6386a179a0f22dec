"""What the comparison with the peers found, as tables."""

from __future__ import annotations

import mpmath

from benchmarks.exact_values import as_mpf
from benchmarks.peers.comparison import HOW, OURS, Comparison, Outcome, Side
from benchmarks.tables import Table, size, times
from benchmarks.timing import in_words


def error_in_words(side: Side) -> str:
    """A relative error; the answer itself where not one digit is right."""
    if side.error < 1.0:
        return f"{side.error:.1e}"
    return f"answers {side.answer:.2g}"


def _row(found: Outcome) -> list[str]:
    exact = mpmath.nstr(as_mpf(found.case.exact), 5)
    begin = [found.case.name, exact, found.peer]
    ours, theirs, by = found.ours, found.theirs, found.ratio
    mine = ("", "") if ours is None else (error_in_words(ours), in_words(ours.timing.best))
    if theirs is None or by is None:
        return [*begin, mine[0], str(found.failure), mine[1], "", ""]
    return [
        *begin,
        mine[0],
        error_in_words(theirs),
        mine[1],
        in_words(theirs.timing.best),
        f"{times(by.median)} ({times(by.low)} to {times(by.high)})",
    ]


def libraries(comparison: Comparison) -> Table:
    """Versions, and what an import costs."""
    rows = [
        [name, str(found["version"]), in_words(found["import_seconds"]), size(found["memory"])]
        for name, found in comparison.greetings.items()
    ]
    rows += [[name, message, "", ""] for name, message in comparison.missing.items()]
    columns = ("library", "version", "import of what is asked here", "memory then")
    return Table("Libraries", columns, rows)


def tables(comparison: Comparison) -> list[Table]:
    """The peers section."""
    if not comparison.installed:
        return [Table("Side by side with the peers", ("library", "state"), [["all", HOW]])]
    columns = (
        "question", "exact", "peer", "error of capmodel", "error of the peer", "capmodel",
        "the peer", "times faster (range)",
    )  # fmt: skip
    rows = [_row(found) for found in comparison.outcomes()]
    notes = (
        "Errors are relative to the exact value. Times are the best of three, taken in turn, of "
        "one core's time. A simulation's time is per packet, and its error is mostly noise, for as "
        f"many packets as it was given ({OURS} 2,000,000, the others 20,000).",
    )
    return [libraries(comparison), Table("Side by side with the peers", columns, rows, notes)]
