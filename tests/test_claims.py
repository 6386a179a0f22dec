"""Findings as data: the 43 of the paper, every kind of check both ways, and damaged files."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from capmodel import load_machine, predict
from capmodel.claims import CHECKS, claim_margins, evaluate_claims, load_claims
from capmodel.data_files import data_folder
from capmodel.observe import Observer, PublicObserver


def independent() -> ModuleType:
    """The same findings written as Python, without file and evaluator."""
    path = Path(__file__).with_name("test_braun2010.py")
    spec = importlib.util.spec_from_file_location("independent_braun2010", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FINDINGS = independent().FINDINGS
RESULTS = {result.claim.id: result for result in evaluate_claims()}


def test_there_are_43_and_they_are_the_ones_asserted_in_python() -> None:
    claims = load_claims()
    assert len(claims) == 43
    assert len({claim.id for claim in claims}) == 43
    assert {claim.id for claim in claims} == set(FINDINGS)


@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_file_and_python_come_to_the_same_verdict(name: str) -> None:
    assert RESULTS[name].met == FINDINGS[name]()


@pytest.mark.parametrize("claim", load_claims(), ids=lambda claim: claim.id)
def test_a_claim_says_what_and_where(claim: Any) -> None:
    assert re.match(r"\d(\.\d)?", claim.section)
    assert claim.finding.endswith(".")
    assert claim.checks
    used = " ".join(str(value) for check in claim.checks for value in check.values())
    for name in claim.scenarios:
        assert name in used, f"scenario {name} is in no check"


@pytest.mark.parametrize("claim", load_claims(), ids=lambda claim: claim.id)
def test_the_evaluator_may_predict_one_by_one(claim: Any) -> None:
    # columns against the public function
    fast, plain = claim_margins(claim, Observer()), claim_margins(claim, PublicObserver())
    np.testing.assert_allclose(fast.ravel(), plain.ravel(), rtol=1e-6, atol=1e-6)


def test_the_numbers_of_a_result_are_captured_shares() -> None:
    result = RESULTS["deri-2004"]
    expected = predict(1.488e6, machine="deri2004").captured
    assert result.numbers["old"] == (pytest.approx(expected),)
    levels = RESULTS["paradox"].numbers["linux"]
    assert len(levels) == 10
    assert levels[3] == pytest.approx(predict(1.27e6, application="packzip:3").captured)


def test_every_kind_of_check_that_the_file_describes_exists() -> None:
    text = (data_folder() / "claims" / "braun2010.toml").read_text(encoding="utf-8")
    described = set(re.findall(r"^#   ([a-z_]+) +\S|;   ([a-z_]+) ", text, flags=re.MULTILINE))
    assert {name for pair in described for name in pair if name} == set(CHECKS)


# Scenarios whose order is plain: nothing is lost, or a consumer of 5 us captures a sixth.
SCENARIOS = """
scenario.light = { rate = 1e5 }
scenario.heavy = { rate = 1.2e6, work = "5us" }
scenario.kernel = { rate = 1.27e6 }
scenario.up = { work = "5us", sweep = { rate = [1e5, 4e5, 1.2e6] } }
scenario.down = { work = "5us", sweep = { rate = [1.2e6, 4e5, 1e5] } }
scenario.peak = { work = "5us", sweep = { rate = [1.2e6, 1e5, 1.2e6] } }
scenario.dip = { work = "5us", sweep = { rate = [1e5, 1.2e6, 1e5] } }
scenario.low = { work = "5us", sweep = { rate = [1.2e6, 1.2e6, 1.2e6] } }
scenario.high = { work = "5us", sweep = { rate = [1e5, 1e5, 1e5] } }
scenario.works = { rate = 3e5, sweep = { work = ["100ns", "10us"] } }
scenario.no_work = { rate = 1.27e6, sweep = { work = ["0ns", "10ns"] } }
scenario.sleeps = { backend = "pf_packet_sleep", rate = 1e6, sweep = { sleep = "log(1e-3, 1, 40)" } }
scenario.slower = { backend = "pf_packet_sleep", rate = 1e5, sweep = { sleep = "log(1e-3, 1, 40)" } }
"""  # noqa: E501

# kind -> (a check that is met, checks that are not)
BOTH: dict[str, tuple[str, list[str]]] = {
    "more": (
        'more = "light", than = "heavy", least = 50.0, most = 90.0',
        ['more = "heavy", than = "light"', 'more = "light", than = "heavy", least = 90.0',
         'more = "light", than = "heavy", most = 50.0', 'more = "light", than = "light"'],
    ),
    "within": (
        'of = ["low", "heavy"], points = 1.0',
        ['of = ["light", "heavy"], points = 1.0', 'of = ["up"], points = 10.0'],
    ),
    "at_least": ('of = "light", value = 0.999', ['of = "heavy", value = 0.999']),
    "below": ('of = "heavy", value = 0.5', ['of = "light", value = 0.999']),
    "no_gain": ('of = "up", points = 0.5', ['of = "down", points = 0.5']),
    "never_rises": (
        'of = "up", points = 0.1', ['of = "down", points = 0.1', 'of = "peak", points = 0.1'],
    ),
    "peak_inside": ('of = "peak"', ['of = "up"', 'of = "down"', 'of = "dip"', 'of = "low"']),
    "falls": (
        'of = "down", quantity = "loss"',
        ['of = "up", quantity = "loss"', 'of = "low", quantity = "loss"',
         'of = "dip", quantity = "loss"'],
    ),
    "falls_more": (
        'left = ["light", "heavy"], right = ["light", "kernel"], least = 10.0',
        ['left = ["light", "kernel"], right = ["light", "heavy"]',
         'left = ["light", "heavy"], right = ["light", "heavy"], least = 1.0'],
    ),
    "removes": (
        'without = "heavy", with = "light", share = 0.9',
        ['without = "heavy", with = "heavy", share = 0.1',
         'without = "light", with = "heavy", share = 0.1'],
    ),
    "leads_first": (
        'ahead = "up", other = "down"',
        ['ahead = "down", other = "up"', 'ahead = "high", other = "high"',
         'ahead = "low", other = "high"'],
    ),
    "not_above_best": (
        'of = "peak", others = ["up", "down", "high"]', ['of = "high", others = ["low", "up"]'],
    ),
    "dominates": (
        'of = "heavy", stage = "buffer", factor = 2.0',
        ['of = "heavy", stage = "ring", factor = 1.0',
         'of = "kernel", stage = "buffer", factor = 1.0'],
    ),
    "under": (
        'of = "down", quantity = "loss", value = 0.01',
        ['of = "up", quantity = "loss", value = 0.01'],
    ),
    "loss_when_slow": ('of = "works"', ['of = "no_work"']),
    "flat_to_peak": (
        'of = "low", until = "peak", under = "high", points = 1.0',
        ['of = "down", until = "peak", under = "high", points = 1.0',
         'of = "high", until = "peak", under = "low", points = 1.0'],
    ),
    "longest_moves": ('of = "sleeps", other = "slower"', ['of = "sleeps", other = "sleeps"']),
    "gap_shrinks": (
        'wide = ["light", "heavy"], narrow = ["light", "kernel"]',
        ['wide = ["light", "kernel"], narrow = ["light", "heavy"]'],
    ),
    "near": (
        'of = "light", value = 0.995, points = 1.0', ['of = "heavy", value = 0.995, points = 1.0'],
    ),
}  # fmt: skip


def claim_file(folder: Path, checks: list[str], scenarios: str = SCENARIOS) -> Path:
    path = folder / "mine.toml"
    listed = ", ".join(f"{{ {check} }}" for check in checks)
    path.write_text(
        '[defaults]\nsize = 64\nbackend = "pf_packet"\nmachine = "braun_amd"\n'
        '[[claim]]\nid = "mine"\nsection = "1"\nfinding = "f."\n'
        f"{scenarios}check = [{listed}]\n",
        encoding="utf-8",
    )
    return path


def margins(folder: Path, checks: list[str]) -> list[float]:
    (claim,) = load_claims(claim_file(folder, checks))
    return [float(row.item()) for row in claim_margins(claim, Observer())]


@pytest.mark.parametrize("kind", CHECKS)
def test_a_check_of_every_kind_both_ways(tmp_path: Path, kind: str) -> None:
    good, bad = BOTH[kind]
    checks = [f'kind = "{kind}", {content}' for content in [good, *bad]]
    met, *failed = margins(tmp_path, checks)
    assert met > 0.0
    assert all(margin <= 0.0 for margin in failed), dict(zip(bad, failed, strict=True))
    # a claim holds if all of its checks do
    (alone,) = evaluate_claims(load_claims(claim_file(tmp_path, checks[:1])))
    (together,) = evaluate_claims(load_claims(claim_file(tmp_path, checks)))
    assert alone.met
    assert not together.met


def test_margins_are_percentage_points(tmp_path: Path) -> None:
    light = predict(1e5).captured
    heavy = predict(1.2e6, work="5us")
    first, *rest = margins(
        tmp_path,
        [
            'kind = "more", more = "light", than = "heavy", least = 3.0',
            'kind = "near", of = "heavy", value = 0.5, points = 2.0',
            'kind = "removes", without = "heavy", with = "light", share = 0.25',
            'kind = "below", of = "heavy", value = 0.4',
            'kind = "more", more = "heavy", than = "light", quantity = "loss"',
        ],
    )
    assert first == pytest.approx(100 * (light - heavy.captured) - 3.0)
    assert rest == pytest.approx([
        2.0 - 100 * abs(heavy.captured - 0.5),
        100 * (1.0 - (1.0 - light) / heavy.loss - 0.25),
        100 * (0.4 - heavy.captured),
        100 * (heavy.loss - (1.0 - light)),
    ], abs=1e-6)  # fmt: skip


@pytest.mark.parametrize("kind", CHECKS)
def test_samples_of_costs_go_through_every_check(tmp_path: Path, kind: str) -> None:
    # the margin of a sample is that of each member alone, as the calibration needs it
    (claim,) = load_claims(claim_file(tmp_path, [f'kind = "{kind}", {BOTH[kind][0]}']))
    base = load_machine("braun_amd").values()
    scale = np.array([0.8, 1.0, 1.3])
    sample = {name: base[name] * scale for name in ("driver_receive", "mmap_read", "wakeup")}
    together = claim_margins(claim, Observer({"braun_amd": sample}))
    assert together.shape == (1, 3)
    for member in range(3):
        single = {name: values[member] for name, values in sample.items()}
        alone = claim_margins(claim, Observer({"braun_amd": single}))
        assert together[0, member] == pytest.approx(float(alone.item()), rel=1e-9, abs=1e-9)


def test_a_series_of_levels_and_of_equal_ratios(tmp_path: Path) -> None:
    content = """
scenario.levels = { rate = 1e5, sweep = { application = "packzip" } }
scenario.ratios = { rate = 1e5, backend = "pf_packet_sleep", sweep = { sleep = "log(1e-4, 1e-2, 3)" } }
"""  # noqa: E501
    check = 'kind = "never_rises", of = "levels", points = 1.0'
    (claim,) = load_claims(claim_file(tmp_path, [check], content))
    assert claim.scenarios["levels"].series == tuple(f"packzip:{level}" for level in range(10))
    assert claim.scenarios["ratios"].series == pytest.approx((1e-4, 1e-3, 1e-2))
    assert claim.scenarios["levels"].arguments["machine"] == "braun_amd"


GOOD = 'kind = "at_least", of = "light", value = 0.5'


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("[defaults]", "[default]", "claims.default: unknown key"),
        ('section = "1"\n', "", "claim mine.section: missing"),
        ('finding = "f."\n', "colour = 1\n", "claim mine.colour: unknown key"),
        ('id = "mine"', "id = 3", "claim 3.id: 3 is of the wrong type"),
        ('"at_least"', '"at_lest"', "claim mine: check 'at_lest' is not one of more, within"),
        ('of = "light"', 'of = "dark"', "claim mine: check names the unknown scenario 'dark'"),
        (", value = 0.5", "", "claim mine: check 'at_least' needs 'value'"),
        (", value = 0.5", ", valve = 0.5", "claim mine: check 'at_least' needs 'value'"),
        (", value = 0.5", ", value = 0.5, points = 3", "check 'at_least' has no 'points'"),
        (
            "rate = 1e5 }",
            "rate = 1e5, colour = 1 }",
            "claim mine.scenario.light: predict has no argument colour",
        ),
        ("{ rate = [1e5, 4e5, 1.2e6] }", "{ rate = [1], size = [64] }", "a sweep has one argument"),
        ('"log(1e-3, 1, 40)"', '"lag(1e-3, 1, 40)"', "'lag.*' is neither a list nor log"),
        ("[1e5, 4e5, 1.2e6]", "[]", "claim mine.scenario.up: a sweep needs a value"),
        ("[1e5, 4e5, 1.2e6]", "3", "claim mine.scenario.up: 3 is neither a list nor log"),
        (f"[{{ {GOOD} }}]", "[]", "claim mine.check: must not be empty"),
        (f"check = [{{ {GOOD} }}]", "", "claim mine.check: missing"),
        ("check =", "check = = ", "syntax"),
    ],
)
def test_damaged_files_name_file_and_key(tmp_path: Path, old: str, new: str, place: str) -> None:
    path = claim_file(tmp_path, [GOOD])
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=f"mine.toml, .*{place}"):
        load_claims(path)


def test_a_claim_stands_once(tmp_path: Path) -> None:
    path = claim_file(tmp_path, [GOOD])
    text = path.read_text(encoding="utf-8")
    path.write_text(text + text[text.index("[[claim]]") :], encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine.toml, claim mine.id: stands twice"):
        load_claims(path)


def test_a_series_where_one_value_is_wanted(tmp_path: Path) -> None:
    (claim,) = load_claims(claim_file(tmp_path, [GOOD.replace("light", "up")]))
    with pytest.raises(ValueError, match="scenario 'up' of claim 'mine' is a series"):
        claim_margins(claim, Observer())


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none.toml, file: it does not exist"):
        load_claims(tmp_path / "none.toml")
