"""Arithmetic of times and ratios, tables, and the markers of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import SECTIONS
from benchmarks.tables import Table, size, times
from benchmarks.timing import Timing, in_words, interleaved, ratio, sample


def test_best_median_spread() -> None:
    found = Timing((3.0, 1.0, 2.0))
    assert (found.best, found.median, found.spread) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("seconds", [(), (1.0, 0.0), (float("nan"),)])
def test_no_time_is_no_timing(seconds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="positive and at least one"):
        Timing(seconds)


def test_ratio_pairs_the_repeats() -> None:
    """A machine that halves its speed for one repeat does not change the ratio."""
    found = ratio(Timing((10.0, 20.0, 12.0)), Timing((1.0, 2.0, 1.0)))
    assert (found.low, found.median, found.high) == (10.0, 10.0, 12.0)
    with pytest.raises(ValueError, match="3 repeats do not pair with 1"):
        ratio(Timing((1.0, 1.0, 1.0)), Timing((1.0,)))


def test_sample_counts_its_calls() -> None:
    """A clock that every call moves by 2 s: one call, two, then four of them fill 5 s."""
    now = [0.0]

    def call() -> None:
        now[0] += 2.0

    assert sample(call, least=5.0, clock=lambda: now[0]) == 2.0
    assert now[0] == 2.0 * (1 + 2 + 4)


def scripted(
    log: list[str], name: str, values: list[float]
) -> Callable[[], float]:  # fmt: skip
    rest = iter(values)

    def run() -> float:
        log.append(name)
        return next(rest)

    return run


def test_samples_take_turns_after_one_that_warms_up() -> None:
    log: list[str] = []
    found = interleaved(
        {"a": scripted(log, "a", [9.0, 1.0, 2.0]), "b": scripted(log, "b", [9.0, 3.0, 4.0])}, 2
    )
    assert found == {"a": Timing((1.0, 2.0)), "b": Timing((3.0, 4.0))}
    assert log == ["a", "b"] * 3


def test_a_dear_first_sample_counts() -> None:
    log: list[str] = []
    found = interleaved(
        {"a": scripted(log, "a", [0.1, 1.0, 2.0]), "b": scripted(log, "b", [9.0, 4.0])}, 2, dear=5.0
    )
    assert found == {"a": Timing((1.0, 2.0)), "b": Timing((9.0, 4.0))}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.5, "2.5 s"), (0.9997, "1 s"), (0.00049, "490 µs"), (0.0123, "12.3 ms"), (4e-8, "0.04 µs")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_ratios_and_sizes_in_words() -> None:
    assert [times(x) for x in (0.0234, 1.26, 99.4, 100.2, 12_345.0)] == [
        "0.023", "1.3", "99", "100", "12,345",
    ]  # fmt: skip
    assert [size(x) for x in (12, 1234, 5.06e6, 1.2e10)] == ["12 B", "1.23 kB", "5.06 MB", "12 GB"]


def test_table() -> None:
    text = Table("Title", ("a", "long column"), [["x|y", "1"]], ("note",)).markdown()
    assert text.splitlines() == [
        "**Title**",
        "",
        "| a    | long column |",
        "|------|-------------|",
        "| x\\|y | 1           |",
        "",
        "note",
    ]
    with pytest.raises(ValueError, match="does not fit columns"):
        Table("Title", ("a", "b"), [["x"]])


PAGE = "before\n<!-- python -m benchmarks core -->\nold\n<!-- end -->\nafter\n"


def test_markers_are_filled_and_kept() -> None:
    once = report.filled(PAGE, {"core": "new"})
    expected = "before\n<!-- python -m benchmarks core -->\n\nnew\n\n<!-- end -->\nafter\n"
    assert once == expected
    assert report.filled(once, {"core": "new"}) == once
    assert report.filled(once, {}) == once


def test_markers_must_pair_and_sections_need_room() -> None:
    with pytest.raises(ValueError, match="come in pairs"):
        report.filled(PAGE.replace("<!-- end -->\n", ""), {})
    with pytest.raises(ValueError, match="no room for tiers"):
        report.filled(PAGE, {"tiers": "x"})


def test_write_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    report.write({"core": "new"}, path)
    assert "new" in path.read_text(encoding="utf-8")
    assert [item.name for item in tmp_path.iterdir()] == ["page.md"]


def test_the_page_has_room_for_every_section_and_all_are_filled() -> None:
    text = report.README.read_text(encoding="utf-8")
    assert report.sections(text) == list(SECTIONS)
    for block in text.split("<!-- python -m benchmarks ")[1:]:
        assert "\n|--" in block.split("<!-- end -->")[0], block[:20]


def test_conditions_tell_what_ran() -> None:
    text = report.conditions()
    assert "cores" in text
    assert "numpy" in text
    assert "load average" in text
