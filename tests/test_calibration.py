"""The sampler on a problem that is known in closed form, and the machines calibrated anew."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_ndtr

from capmodel import load_machine, machine_names, predict
from capmodel.calibration import Prior, Problem, folds, load_problem, problem_names
from capmodel.calibration_run import judge, run, standardised, write_machine
from capmodel.claims import claim_margins
from capmodel.constant import UNITS
from capmodel.lab.priors import load_priors
from capmodel.machine import read_machine
from capmodel.observe import Observer
from capmodel.posterior import (
    Posterior,
    _next_power,
    _sweep,
    _systematic,
    central_point,
    pinned_by,
    posterior_mode,
    sample_posterior,
)
from capmodel.references import references

# --- a Gaussian problem: z ~ N(0, 1) seen through y = A z + N(0, s^2) ---

RANDOM = np.random.default_rng(42)
DIMENSIONS, ROWS, NOISE = 4, 3, 0.4
MATRIX = RANDOM.standard_normal((ROWS, DIMENSIONS))
SEEN = np.array([1.0, -0.5, 0.8])
PRECISION = np.eye(DIMENSIONS) + MATRIX.T @ MATRIX / NOISE**2
COVARIANCE = np.linalg.inv(PRECISION)
MEAN = COVARIANCE @ MATRIX.T @ SEEN / NOISE**2


@dataclass(frozen=True)
class Gaussian(Problem):
    """A problem whose likelihood is Gaussian in the standardised parameters."""

    def log_likelihood(self, z: Any) -> Any:
        return -0.5 * (((z @ MATRIX.T - SEEN) / NOISE) ** 2).sum(axis=1)


TOY = Gaussian(
    "toy",
    tuple(
        Prior("toy", f"cost_{index}", 1.0, "us", 0.3, "capmodel", "a toy")
        for index in range(DIMENSIONS)
    ),
    (),
    (),
)


@pytest.fixture(scope="module")
def sampled() -> Posterior:
    return sample_posterior(TOY, members=1500, moves=1, final_moves=15, seed=3)


def test_the_sample_has_the_posteriors_mean_and_covariance(sampled: Posterior) -> None:
    members = len(sampled.z)
    # half of the members count as independent after the final moves: five standard errors
    error = np.sqrt(np.diag(COVARIANCE) / (members / 2))
    assert np.all(np.abs(sampled.z.mean(axis=0) - MEAN) < 5 * error)
    spread = np.sqrt(np.diag(COVARIANCE))
    scaled = np.cov(sampled.z.T) / np.outer(spread, spread)
    expected = COVARIANCE / np.outer(spread, spread)
    assert np.all(np.abs(scaled - expected) < 5 * np.sqrt(2 / (members / 2)))
    np.testing.assert_allclose(sampled.log_likelihood, TOY.log_likelihood(sampled.z))


def test_the_evidence_is_that_of_the_marginal_likelihood(sampled: Posterior) -> None:
    marginal = stats.multivariate_normal(
        np.zeros(ROWS), NOISE**2 * np.eye(ROWS) + MATRIX @ MATRIX.T
    )
    normalised = ROWS * np.log(NOISE * np.sqrt(2 * np.pi))
    assert sampled.log_evidence == pytest.approx(marginal.logpdf(SEEN) + normalised, abs=0.25)


def test_the_mode_is_the_mean_of_a_gaussian(sampled: Posterior) -> None:
    np.testing.assert_allclose(sampled.point, MEAN, atol=1e-3)
    far = posterior_mode(TOY, 3.0 * np.ones((1, DIMENSIONS)))
    np.testing.assert_allclose(far, MEAN, atol=1e-3)


def test_the_same_seed_is_the_same_sample() -> None:
    effort: dict[str, int] = {"members": 20, "moves": 1, "final_moves": 1}
    first = sample_posterior(TOY, **effort, seed=1)
    np.testing.assert_array_equal(first.z, sample_posterior(TOY, **effort, seed=1).z)
    assert not np.array_equal(first.z, sample_posterior(TOY, **effort, seed=2).z)


def test_a_population_of_similar_evidence_is_moved_on(sampled: Posterior) -> None:
    # the sample of the toy, moved to a posterior without its evidence: the prior
    @dataclass(frozen=True)
    class Nothing(Problem):
        def log_likelihood(self, z: Any) -> Any:
            return np.zeros(len(z))

    nothing = Nothing("nothing", TOY.priors, (), ())
    moved = sample_posterior(nothing, final_moves=4, seed=5, start=sampled.z)
    assert np.isnan(moved.log_evidence)
    assert moved.z.shape == sampled.z.shape
    assert stats.kstest(moved.z.ravel(), "norm").pvalue > 1e-4
    np.testing.assert_allclose(moved.point, 0.0, atol=1e-3)
    # and moved on under the same evidence it keeps its law
    again = sample_posterior(TOY, final_moves=4, seed=5, start=sampled.z)
    error = np.sqrt(np.diag(COVARIANCE) / (len(again.z) / 2))
    assert np.all(np.abs(again.z.mean(axis=0) - MEAN) < 5 * error)


@dataclass(frozen=True)
class Fenced(Problem):
    """One claim: that the first cost lies above its prior median (in points)."""

    def claim_scores(self, z: Any) -> Any:
        return z[None, :, 0] * 10.0


def test_the_central_point_is_the_mean_as_far_as_the_claims_allow() -> None:
    fenced = Fenced("fenced", TOY.priors, (), ())
    z = np.random.default_rng(4).standard_normal((200, DIMENSIONS))
    z += [0.5, 1.0, -1.0, 0.0]
    point = central_point(fenced, z)
    assert point is not None
    np.testing.assert_allclose(point, z.mean(axis=0))  # the mean itself meets the claim
    low = z - [1.0, 0.0, 0.0, 0.0]  # now it does not, but some members do
    point = central_point(fenced, low)
    assert point is not None
    assert fenced.claim_scores(point[None, :])[0, 0] > 0.0
    np.testing.assert_allclose(point[1:], low.mean(axis=0)[1:])
    assert point[0] in low[:, 0]
    assert central_point(fenced, z - [9.0, 0.0, 0.0, 0.0]) is None


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_moves_leave_the_posterior_as_it_is(power: float) -> None:
    # exact draws of the tempered posterior, moved: the law must not change
    random = np.random.default_rng(7)
    precision = np.eye(DIMENSIONS) + power * MATRIX.T @ MATRIX / NOISE**2
    covariance = np.linalg.inv(precision)
    mean = power * covariance @ MATRIX.T @ SEEN / NOISE**2
    start = random.multivariate_normal(mean, covariance, size=3000)
    z, level = start, TOY.log_likelihood(start)
    for _ in range(3):
        z, level = _sweep(TOY, z, level, power, random)
    assert not np.any(z == start)
    np.testing.assert_allclose(level, TOY.log_likelihood(z))
    for column in range(DIMENSIONS):
        law = stats.norm(mean[column], np.sqrt(covariance[column, column]))
        assert stats.kstest(z[:, column], law.cdf).pvalue > 1e-4


def test_progress_ends_at_the_whole_likelihood() -> None:
    seen: list[float] = []
    sample_posterior(TOY, members=50, moves=2, final_moves=3, seed=1, progress=seen.append)
    assert seen == sorted(seen)
    assert seen.count(1.0) == 3
    assert 0.0 < seen[0] < 1.0


def test_systematic_resampling_is_unbiased() -> None:
    random = np.random.default_rng(11)
    weight = random.dirichlet(np.full(12, 0.4))
    draws = 4000
    counts = np.zeros(12)
    for _ in range(draws):
        drawn = np.bincount(_systematic(weight, random), minlength=12)
        # systematic: never more than one away from the expected number
        assert np.all(np.abs(drawn - 12 * weight) < 1.0)
        counts += drawn
    # a count varies by less than 1/2 (Bernoulli between two whole numbers)
    assert np.all(np.abs(counts / draws - 12 * weight) < 5 * 0.5 / np.sqrt(draws))


def test_certain_members_are_kept() -> None:
    random = np.random.default_rng(1)
    assert _systematic(np.array([0.0, 1.0, 0.0]), random).tolist() == [1, 1, 1]
    assert _systematic(np.full(5, 0.2), random).tolist() == [0, 1, 2, 3, 4]


def test_the_next_power_leaves_half_of_the_members_effective() -> None:
    level = TOY.log_likelihood(np.random.default_rng(5).standard_normal((400, DIMENSIONS)))
    power = _next_power(level, 0.0)
    assert 0.0 < power < 1.0
    share = np.exp(power * (level - level.max()))
    assert share.sum() ** 2 / (share**2).sum() == pytest.approx(200, rel=1e-3)
    assert _next_power(np.zeros(9), 0.2) == 1.0
    stuck = np.array([0.0, -np.inf, -np.inf, -np.inf])
    assert 0.2 < _next_power(stuck, 0.2) < 0.2 + 1e-6


# --- problems from the data ---


@pytest.mark.parametrize("name", problem_names())
def test_every_problem_loads_and_fits_its_machines(name: str) -> None:
    problem = load_problem(name)
    assert problem.priors
    assert problem.rows or problem.claims
    assert set(problem.machines) <= set(machine_names())
    keys = [(prior.machine, prior.cost) for prior in problem.priors]
    assert len(set(keys)) == len(keys)
    for prior in problem.priors:
        assert prior.median > 0.0
        assert prior.spread > 0.0
        assert prior.unit in UNITS
        assert prior.source == "capmodel" or prior.source in references()
        assert prior.locator.strip()
        machine = load_machine(prior.machine)
        assert prior.cost in machine
        assert machine.constants[prior.cost].unit == prior.unit
        assert machine.constants[prior.cost].origin == "calibrated"
    for row in problem.rows:
        assert row.row.role == "calibration"
        assert row.machine in problem.machines


def test_all_calibrated_costs_have_a_prior() -> None:
    priors = [prior for name in problem_names() for prior in load_problem(name).priors]
    known = {(prior.machine, prior.cost) for prior in priors}
    lab = {cost.name for cost in load_priors().costs}  # one set of priors for every machine of it
    for name in machine_names():
        machine = load_machine(name)
        for key, constant in machine.constants.items():
            if constant.origin == "calibrated" and (key in machine.own or not machine.base):
                assert (name, key) in known or (constant.source == "capmodel_lab" and key in lab)


def test_unknown_problems_list_the_closest() -> None:
    with pytest.raises(ValueError, match=r"^calibration must be one of .*did you mean 'braun2010'"):
        load_problem("braun2011")


def test_standardised_is_the_inverse_of_values() -> None:
    problem = load_problem("braun2010")
    z = np.random.default_rng(2).standard_normal((3, len(problem.priors)))
    values = problem.values(z)
    assert set(values) == {"braun_amd", "braun_xeon"}
    np.testing.assert_allclose(standardised(problem, values), z, atol=1e-12)
    first = problem.priors[0]
    assert values[first.machine][first.cost] == pytest.approx(
        first.median * UNITS[first.unit] * np.exp(first.spread * z[:, 0])
    )


def test_the_likelihood_of_rows_is_gaussian() -> None:
    problem = load_problem("ptnet_vm")
    z = np.random.default_rng(2).standard_normal((3, len(problem.priors)))
    found = problem.log_likelihood(z)
    for member in range(3):
        single = problem.values(z[member : member + 1])
        observer = Observer({m: {k: float(v[0]) for k, v in c.items()} for m, c in single.items()})
        terms = [
            stats.norm.logpdf(float(np.mean(row.predicted(observer))), row.row.value, row.sigma)
            + np.log(row.sigma * np.sqrt(2 * np.pi))
            for row in problem.rows
        ]
        assert found[member] == pytest.approx(sum(terms))


def test_the_likelihood_of_claims_is_that_of_the_tightest_margin() -> None:
    problem = dataclasses.replace(load_problem("braun2010"), rows=())
    problem = dataclasses.replace(problem, claims=problem.claims[:6])
    z = 0.3 * np.random.default_rng(2).standard_normal((4, len(problem.priors)))
    observer = Observer(problem.values(z))
    tightest = [np.min(claim_margins(claim, observer), axis=0) for claim in problem.claims]
    expected = sum(log_ndtr(np.clip(margin, -100, 100)) for margin in tightest)
    np.testing.assert_allclose(problem.log_likelihood(z), expected)
    np.testing.assert_allclose(problem.claim_scores(z), np.clip(tightest, -100, 100))
    one_less = problem.without([problem.claims[2].id])
    assert [claim.id for claim in one_less.claims] == [
        claim.id for index, claim in enumerate(problem.claims) if index != 2
    ]


def test_folds_hold_every_claim_once() -> None:
    problem = load_problem("braun2010")
    for count in (1, 7, 10):
        parts = folds(problem, count)
        assert len(parts) == count
        together = [name for part in parts for name in part]
        assert sorted(together) == sorted(claim.id for claim in problem.claims)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def committed(problem: Problem) -> tuple[Any, Any]:
    """Standardised point values and samples of the machine files."""
    costs = [(prior.machine, prior.cost) for prior in problem.priors]
    points: dict[str, dict[str, Any]] = {machine: {} for machine in problem.machines}
    samples: dict[str, dict[str, Any]] = {machine: {} for machine in problem.machines}
    for name, cost in costs:
        points[name][cost] = np.array([load_machine(name).value(cost)])
        samples[name][cost] = load_machine(name).samples[cost]
    return standardised(problem, points)[0], standardised(problem, samples)


def test_costs_that_no_evidence_touches_keep_their_prior() -> None:
    # a sample that is narrower there than N(0, 1) has not mixed, and is too sure elsewhere as well
    problem = load_problem("braun2010")
    _, sample = committed(problem)
    touched = {
        (prediction.machine.name, name)
        for claim in problem.claims
        for setting in claim.scenarios.values()
        for prediction in (predict(**arguments) for arguments in setting.each()[:1])
        for name in prediction.constants
    }
    free = np.array([(prior.machine, prior.cost) not in touched for prior in problem.priors])
    assert 3 <= free.sum() < len(free) / 2
    # each of them on its own: means of 0 and standard deviations of 1, within the sample's error
    off, spread = np.abs(sample[:, free].mean(axis=0)), sample[:, free].std(axis=0)
    assert off.mean() < 0.25
    assert 0.8 < spread.mean() < 1.2


# --- calibrating anew ---


@pytest.mark.parametrize("name", ["ptnet_vm", "deri2004"])
def test_a_machine_calibrated_anew_is_the_committed_one(tmp_path: Path, name: str) -> None:
    seen: list[float] = []
    report = run(name, members=24, final_moves=3, out=tmp_path, progress=seen.append)
    assert seen[-1] == 1.0
    written, stored = read_machine(tmp_path / f"{name}.toml"), load_machine(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.posterior.csv", f"{name}.toml",
    ]  # fmt: skip
    assert list(written.constants) == list(stored.constants)
    fitted = {prior.cost for prior in report.posterior.problem.priors}
    assert set(written.samples) == fitted
    assert all(len(sample) == 24 for sample in written.samples.values())
    for key, constant in stored.constants.items():
        if key not in fitted:
            assert written.constants[key] == constant
            continue
        again = written.constants[key]
        assert (again.unit, again.origin, again.source) == (
            constant.unit, "calibrated", constant.source,
        )  # fmt: skip
        assert abs(again.value - constant.value) <= 3.0 * constant.std
    scenario: dict[str, Any] = {"rate": 1.488e6} if name == "deri2004" else {
        "rate": 1e9, "backend": "notified_channel", "application": "sink",
    }  # fmt: skip
    found = predict(machine=tmp_path / f"{name}.toml", **scenario)
    expected = predict(machine=name, **scenario)
    assert len(found.samples("carried_rate")) == 24
    assert found.carried_rate == pytest.approx(expected.carried_rate, rel=0.02)


def test_a_report_tells_rows_values_and_intervals(tmp_path: Path) -> None:
    report = run("deri2004", members=30, final_moves=2)
    problem = report.posterior.problem
    assert [item[0] for item in report.residuals] == [row.row.id for row in problem.rows]
    for (_, measured, fitted, error), row in zip(report.residuals, problem.rows, strict=True):
        assert (measured, error) == (row.row.value, row.sigma)
        assert abs(fitted - measured) < 3 * error
    content = report.to_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["calibration"] == "deri2004"
    values = problem.values(report.posterior.point[None, :])["deri2004"]
    for cost in content["costs"]:
        si = cost["value"] * UNITS[cost["unit"]]
        assert si == pytest.approx(float(values[cost["cost"]][0]))
        assert cost["low"] < cost["high"]
    text = str(report)
    assert text.startswith("calibration deri2004\n")
    assert all(prior.cost in text for prior in problem.priors)
    assert all(row.row.id in text for row in problem.rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 0}, "^members must be at least 1, got 0"),
        ({"moves": 0}, "^moves must be at least 1"),
        ({"final_moves": -3}, "^final_moves must be at least 1, got -3"),
        ({"fold_count": -1}, "^fold_count must be at least 0, got -1"),
        ({"fold_count": 3}, "^fold_count must be 0 for calibration 'deri2004'"),
    ],
)
def test_effort_is_checked_before_the_work(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run("deri2004", **options)


def test_claims_at_the_point_values_and_what_pins_them() -> None:
    problem = load_problem("braun2010")
    problem = dataclasses.replace(problem, claims=problem.claims[:8])
    point, sample = committed(problem)
    posterior = Posterior(problem, sample, problem.log_likelihood(sample), 0.0, point)
    report = judge(posterior)
    assert list(report.margins) == [claim.id for claim in problem.claims]
    scores = problem.claim_scores(sample)
    for row, claim in zip(scores, problem.claims, strict=True):
        assert report.held[claim.id] == np.mean(row > 0.0)
        assert report.margins[claim.id] == pytest.approx(
            min(100.0, float(np.min(claim_margins(claim, Observer())))), abs=0.05
        )  # the files hold six digits
    pins = pinned_by(posterior, most=2)
    assert set(pins) == set(report.margins)
    # a 20 MB ring may cost more per packet, but not by much; a storm is never in doubt
    assert pins["interrupt-storm"] == []
    assert pins["short-run-buffer"][0][:2] == ("braun_amd", "large_buffer_miss")
    assert pins["short-run-buffer"][0][2] < 0.0
    text = str(report)
    met = sum(margin > 0.0 for margin in report.margins.values())
    assert f"claims at the point values: {met} of 8 hold" in text


# --- files that are whole or as they were ---


def toy_posterior() -> Posterior:
    problem = load_problem("deri2004")
    z = 0.1 * np.random.default_rng(1).standard_normal((5, len(problem.priors)))
    return Posterior(problem, z, np.zeros(5), 0.0, z[0])


@pytest.mark.parametrize("failing", ["write", "replace"])
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    old = {"deri2004.toml": "old machine", "deri2004.posterior.csv": "old sample"}
    for name, text in old.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    whole = Path.write_text

    def half(self: Path, text: str, **options: Any) -> int:
        whole(self, text[: len(text) // 2], **options)
        raise OSError("no space left on device")

    def never(*_: Any) -> None:
        raise OSError("not permitted")

    if failing == "write":
        monkeypatch.setattr(Path, "write_text", half)
    else:
        monkeypatch.setattr("capmodel.atomic.os.replace", never)
    with pytest.raises(OSError, match=r"no space|not permitted"):
        write_machine(toy_posterior(), "deri2004", tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == old


def test_writing_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_machine(toy_posterior(), "deri2004", tmp_path / "none")


def test_a_written_machine_replaces_the_fitted_numbers_only(tmp_path: Path) -> None:
    posterior = toy_posterior()
    path = write_machine(posterior, "deri2004", tmp_path)
    stored = Path(str(load_machine.__globals__["locate"]("machines", "deri2004")))
    before = stored.read_text(encoding="utf-8").splitlines()
    after = path.read_text(encoding="utf-8").splitlines()
    assert len(before) == len(after)
    changed = {line.split(" = ")[0] for line, other in zip(before, after, strict=True)
               if line != other}  # fmt: skip
    assert changed == {"kernel_share", "kernel", "consumer"}
    machine = read_machine(path)
    for column, prior in enumerate(posterior.problem.priors):
        factor = np.exp(prior.spread * posterior.point[column])
        assert machine.constants[prior.cost].value == pytest.approx(prior.median * factor, rel=1e-5)
        sample = prior.median_si * np.exp(prior.spread * posterior.z[:, column])
        np.testing.assert_allclose(machine.samples[prior.cost], sample, rtol=1e-5)


@pytest.mark.slow
def test_a_short_calibration_of_the_paper_finds_the_committed_machines() -> None:
    problem = load_problem("braun2010")
    posterior = sample_posterior(problem, members=24, moves=1, final_moves=1, seed=problem.seed)
    met = problem.claim_scores(posterior.point[None, :])[:, 0] > 0.0
    assert met.sum() >= 41
    point, sample = committed(problem)
    spread = sample.std(axis=0)
    identified = spread < 0.5
    assert identified.any()
    assert np.all(np.abs(posterior.point - point)[identified] <= 4.0 * spread[identified])
