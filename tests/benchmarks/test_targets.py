"""When a target counts as met; small runs of what is measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import accuracy, targets, tiers
from benchmarks.__main__ import main
from benchmarks.peers.comparison import CASES, HOW, Outcome, Side
from benchmarks.timing import Timing


def side(error: float, *seconds: float) -> Side:
    return Side(1.0 + error, error, Timing(seconds))


def outcome(ours: Side | None, theirs: Side | None, failure: str | None = None) -> Outcome:
    return Outcome(CASES[0], "LINE", ours, theirs, failure)


def test_a_time_is_met_by_its_best() -> None:
    met = targets.at_most("it", 0.005, Timing((0.006, 0.005)))
    assert met.met
    assert met.cells() == ["it", "5 ms", "5 ms (up to 1.2 times that)", "yes"]
    missed = targets.at_most("it", 0.005, Timing((0.006, 0.0051)))
    assert missed.cells()[-1] == "**no**"


def test_errors_have_every_limit_to_keep() -> None:
    errors = np.array([0.0, 0.0, 0.0, 0.004])
    assert targets.within("it", errors, {"mean": 1e-3, "max": 4e-3}).met
    assert not targets.within("it", errors, {"mean": 9e-4, "max": 1.0}).met
    assert not targets.within("it", errors, {"max": 3e-3}).met
    row = targets.within("it", errors, {"mean": 1e-3})
    assert row.cells()[1:] == ["mean 0.001", "mean 0.001, p95 0.0034, max 0.004 (4)", "yes"]


def test_the_least_ratio_counts() -> None:
    fast, slow = (outcome(side(0, 1.0, 1.0), side(0, x, x)) for x in (900.0, 400.0))
    assert targets.ratio_row("it", 500.0, [fast]).met
    assert not targets.ratio_row("it", 500.0, [fast, slow]).met


def test_without_a_peer_nothing_is_claimed() -> None:
    row = targets.ratio_row("it", 500.0, [outcome(None, None, HOW)])
    assert row.cells() == ["it", "500", HOW, "not measured"]
    row = targets.tiny_row([outcome(None, None, HOW)])
    assert row.met is None


def test_tiny_losses_are_judged_by_ours() -> None:
    good = outcome(side(1e-14, 1.0), side(5.0, 1.0))
    assert targets.tiny_row([good]).met
    assert "answers 6" in targets.tiny_row([good]).measured
    alone = outcome(side(1e-9, 1.0), None, "it failed")
    assert not targets.tiny_row([alone]).met
    assert "it failed" in targets.tiny_row([alone]).measured


def test_exact_solver_on_the_smallest_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "_SMALL", ((1, 1), (2, 3)))
    found = accuracy.exact_against_fractions()
    assert found.size == 20
    assert found.max() < 1e-12


def test_a_wrong_rate_is_seen() -> None:
    """The measure itself: a chain of another load is not the same system."""
    path, _ = accuracy.two_cores(0.7, 2, 2)
    _, other = accuracy.two_cores(0.7001, 2, 2)
    from capmodel.solvers import exact

    assert accuracy._worst(exact.solve(path), accuracy.rates(other)) > 1e-5


def test_rare_events_are_left_to_fractions() -> None:
    from capmodel.solvers import exact

    path, chain = accuracy.one_core(3.0, 4, 3)
    counted = dict(accuracy.rates(chain))
    counted["ring drop"] = float(counted["ring drop"]) * 2.0
    solution = exact.solve(path)
    assert accuracy._worst(solution, counted) > 0.4
    assert accuracy._worst(solution, {**accuracy.rates(chain), "wakeup": 1e-30}, 1e-6) < 1e-9


def test_memory_is_weighed_in_a_process_of_its_own() -> None:
    arrays, grown = tiers.memory(tiers.Size("exact", 24, 64))
    assert 1e4 < arrays < 1e8
    assert grown >= 0


def test_every_size_can_be_called() -> None:
    for wanted in tiers.SIZES:
        assert wanted.small.capacity <= 64
        assert callable(wanted.call)


def test_an_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["nothing"])
    assert stopped.value.code == 2
    assert "'nothing' is not one of targets, peers, tiers" in capsys.readouterr().err
