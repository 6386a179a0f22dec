"""What the derivations say beyond the formulas: signs, limits, identities, and their steps."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from capmodel import formulary
from capmodel.derivations import (
    closed_loop,
    erlang_excess,
    finite_run,
    gim1k,
    interrupts,
    mg1k,
    mm1k,
    mmpp,
    on_off,
    saturated,
    unified,
)
from capmodel.derivations.notation import LETTERS, letters
from capmodel.formulary import mg1k as formulas_mg1k
from tests.derivations.agreement import compiled, settled
from tests.oracles.reference import reference_values


def zero(expression: sp.Expr) -> bool:
    return bool(sp.simplify(expression) == 0)


def test_a_slower_consumer_carries_more_by_kappa_times_the_square_of_the_rate() -> None:
    rate, _ = unified.time_balances()
    kappa = unified.kappa_effective().args[0].expr
    assert zero(unified.paradox() - kappa * rate**2)
    # positive wherever the wakeup is amortised, S = w + excess and c_k = c_a + gap
    excess, gap = sp.symbols("excess gap", positive=True)
    regime = {unified.OFF: unified.WAKE + excess, unified.KERNEL: unified.CONSUMER + gap}
    above, below = sp.fraction(unified.paradox().subs(regime))
    assert sp.expand(above).is_positive
    assert sp.expand(below).is_positive


def test_how_the_saturated_rate_changes_with_each_cost() -> None:
    rate, _ = unified.time_balances()
    below = (unified.OFF * unified.KERNEL - unified.WAKE * unified.CONSUMER) ** 2
    gap = unified.KERNEL - unified.CONSUMER
    assert zero(sp.diff(rate, unified.WAKE) + unified.OFF * gap / below)
    assert zero(sp.diff(rate, unified.OFF) - unified.WAKE * gap / below)
    excess = unified.OFF - unified.WAKE
    assert zero(sp.diff(rate, unified.KERNEL) + unified.OFF * excess / below)


def test_the_saturated_regimes_meet() -> None:
    rate, wakeups = unified.time_balances()
    one_packet = {unified.OFF: unified.WAKE + unified.KERNEL - unified.CONSUMER}
    assert zero((rate - unified.one_wakeup_per_packet()).subs(one_packet))
    assert zero((rate - wakeups).subs(one_packet))
    assert zero(rate.subs(unified.CONSUMER, unified.KERNEL) - 1 / unified.KERNEL)
    assert zero(wakeups.subs(unified.CONSUMER, unified.KERNEL))
    assert zero(rate / wakeups - (unified.OFF - unified.WAKE) / (unified.KERNEL - unified.CONSUMER))


def test_mm1k_is_mg1k_and_gim1k_with_exponential_times() -> None:
    load = mg1k.LOAD
    for k in (1, 2, 4):
        plain = mm1k.loss_mm1k().subs(mm1k.CAPACITY, k).args
        weights = sum(load**n for n in range(k + 1))
        assert plain
        services = mg1k.loss(mg1k.geometric_counts(load, k + 1), load, k)
        intervals = gim1k.loss(mg1k.geometric_counts(1 / load, k + 1), k)
        assert zero(services - load**k / weights)
        assert zero(intervals - load**k / weights)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(1, 5))
def test_loss_from_any_counts_is_that_of_the_chain_of_departures(
    weights: list[int], capacity: int
) -> None:
    counts = [sp.Rational(w, sum(weights)) for w in weights]
    load = sum(k * a for k, a in enumerate(counts))
    padded = [*counts, *[sp.Integer(0)] * capacity]
    exact = mg1k.loss(padded, load, capacity)
    got = formulas_mg1k.loss_mg1k_counts([float(a) for a in counts], capacity)
    assert float(got) == pytest.approx(float(exact), rel=1e-12)


def test_one_place_loses_the_same_whatever_the_service() -> None:
    counts = sp.symbols("a:3", positive=True)
    assert zero(mg1k.loss(counts, mg1k.LOAD, 1) - mg1k.LOAD / (1 + mg1k.LOAD))


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_services_down_is_a_geometric_sum(levels: int) -> None:
    capacity = sp.Integer(levels)
    total = sp.Integer(0)
    for j, step in enumerate(saturated.services_down(levels), start=1):
        assert zero(step - saturated.passage(sp.Integer(j), capacity))
        total += step
        assert zero(total - saturated.services_to_empty(sp.Integer(j), capacity))


def test_saturated_cycle_at_its_reference_value() -> None:
    ((params, value),) = reference_values("AB_exp_saturated").values()
    costs = {
        saturated.KERNEL: params["ck"], saturated.CONSUMER: params["ca"],
        saturated.WAKE: params["w"], saturated.LATENCY: params["L"], saturated.POLL: params["P"],
    }  # fmt: skip
    rational = {symbol: sp.Rational(str(number)) for symbol, number in costs.items()}
    rate, wakeups, drops = (x.subs(rational) for x in saturated.cycle(int(params["K"]), rational))
    assert float(rate) == pytest.approx(value[0], rel=1e-13)
    assert float(wakeups) == pytest.approx(0.0369000468136976, rel=1e-13)
    assert float(drops) == pytest.approx(0.248139717798923, rel=1e-13)


def test_series_of_the_excess_term_by_term() -> None:
    for j in range(6):
        index = sp.Integer(j)
        assert zero(erlang_excess.term(index) - erlang_excess.kummer_term(index))
        stated = (index + 1) / (erlang_excess.SHAPE * (erlang_excess.SHAPE + 1 + index))
        assert zero(erlang_excess.term(index) - stated)


def test_mean_max_grows_with_the_constant_as_often_as_that_is_the_larger() -> None:
    slope = sp.diff(erlang_excess.mean_max_erlang(), erlang_excess.FLOOR)
    x = erlang_excess.SHAPE * erlang_excess.FLOOR / erlang_excess.MEAN
    below = erlang_excess.not_above(erlang_excess.SHAPE, x)
    for shape in (1, 2, 5):
        both = (slope - below).subs(erlang_excess.SHAPE, shape)
        assert zero(sp.expand_func(both))


def test_excess_is_the_max_less_the_mean() -> None:
    names = ["mean", "shape", "floor"]
    excess = compiled(erlang_excess.mean_excess_erlang(), names)
    larger = compiled(erlang_excess.mean_max_erlang(), names)
    for point in ((1.0, 1.7, 0.9), (2.0, 64.0, 2.5), (1.0, 300.0, 0.5)):
        with mpmath.workdps(40):
            difference = settled(larger, point) - mpmath.mpf(point[0])
            assert mpmath.almosteq(settled(excess, point), difference, rel_eps=1e-20)


def test_maximum_of_brownian_motion_solves_its_backward_equation() -> None:
    x, t = sp.symbols("x t", positive=True)
    chance = finite_run.maximum_exceeds(x, t)
    half = finite_run.SIGMA**2 / 2
    drift = finite_run.DRIFT
    residual = half * sp.diff(chance, x, 2) - drift * sp.diff(chance, x) - sp.diff(chance, t)
    # seen from a distance x below the level, so the drift counts towards it
    assert zero(residual)
    assert zero(chance.subs(x, 0) - 1)
    assert sp.limit(chance.subs({drift: 1, finite_run.SIGMA: 1, x: 2}), t, 0, "+") == 0


def test_overflow_is_the_integral_over_the_barrier() -> None:
    barrier, length = finite_run.BARRIER, finite_run.LENGTH
    slope = sp.diff(finite_run.overflow(), barrier)
    assert zero(slope + finite_run.maximum_exceeds(barrier, length))
    numbers = {finite_run.DRIFT: 0.1, finite_run.SIGMA: 1.5, length: 50.0, barrier: 200.0}
    assert abs(float(finite_run.overflow().subs(numbers))) < 1e-12


def test_long_overload_loses_what_it_brings_less_the_buffer() -> None:
    sigma, drift = finite_run.SIGMA, finite_run.DRIFT
    expected = drift * finite_run.LENGTH - finite_run.CAPACITY - 1 + sigma**2 / drift
    assert zero(finite_run.long_run() - expected)


def test_on_off_loss_is_continuous_at_the_critical_load_and_inverts() -> None:
    names = ["peak_rate", "service_rate", "leave_on", "leave_off", "capacity"]
    loss = compiled(on_off.loss_on_off_fluid(), names)
    at, near = (settled(loss, (2.0, 1.0, a, 0.01, 100.0)) for a in (0.01, 0.01 * (1 + 1e-12)))
    assert abs(at / near - 1) < 1e-9
    inverse = compiled(on_off.buffer_for_loss_on_off(), [*names[:-1], "loss"])
    with mpmath.workdps(50):
        for size in (1, 50, 4096):
            lost = loss(2, 1, mpmath.mpf(2) / 100, mpmath.mpf(1) / 100, mpmath.mpf(size))
            back = inverse(2, 1, mpmath.mpf(2) / 100, mpmath.mpf(1) / 100, lost)
            assert mpmath.almosteq(back, size, rel_eps=mpmath.mpf(10) ** -30)
    ((_, value),) = reference_values("MMFF_onoff").values()
    assert float(settled(loss, (2.0, 1.0, 0.02, 0.01, 100.0))) == pytest.approx(value[0], rel=1e-12)


def test_moderation_is_a_threshold_for_free() -> None:
    assert (
        sp.diff(interrupts.poisson_batch(), interrupts.DELAY)
        .subs(interrupts.KERNEL, sp.Rational(1, 2) / interrupts.OFFERED)
        .is_positive
    )


@pytest.mark.parametrize("capacity", [1, 2, 5])
@pytest.mark.parametrize("along", [0, 3])
def test_correlated_arrivals_by_all_balances(capacity: int, along: int) -> None:
    half = sp.Rational(1, 2)
    silent = [[0, half], [sp.Rational(1, 4), 0]]
    arriving = [[sp.Rational(2), sp.Rational(along)], [sp.Rational(along, 8), sp.Rational(1, 8)]]
    lost, mean = mmpp.map1k(silent, arriving, capacity, half)
    numbers = [np.array(m, dtype=float) for m in (silent, arriving)]
    loss = formulary.loss_map1k(*numbers, capacity, 0.5)
    assert float(loss) == pytest.approx(float(lost), rel=1e-12)
    held = formulary.mean_occupancy_map1k(*numbers, capacity, 0.5)
    assert float(held) == pytest.approx(float(mean), rel=1e-12)
    if along == 0:
        modulated = formulary.loss_mmpp1k([2.0, 0.125], [0.5, 0.25], capacity, 0.5)
        assert float(modulated) == pytest.approx(float(lost), rel=1e-12)


def test_letters_are_for_symbols_that_exist() -> None:
    rate, _ = unified.time_balances()
    assert sp.latex(rate, symbol_names=letters(rate)).count("c_k") == 1
    assert all(value for value in LETTERS.values())


@pytest.mark.parametrize("load", [Fraction(1, 3), Fraction(1), Fraction(5, 2)])
def test_mm1k_probabilities_add_to_one(load: Fraction) -> None:
    rho = sp.Rational(load.numerator, load.denominator)
    chance = mm1k.occupancy_mm1k().subs({mm1k.LOAD: rho, mm1k.CAPACITY: 7})
    assert sum(chance.subs(mm1k.PACKETS, n) for n in range(9)) == 1
    mean = mm1k.mean_occupancy_mm1k().subs({mm1k.LOAD: rho, mm1k.CAPACITY: 7})
    assert zero(mean - sum(n * chance.subs(mm1k.PACKETS, n) for n in range(8)))


def test_reference_losses() -> None:
    for law, derived in (("MM1K", mm1k.loss_mm1k()), ("MD1K", mg1k.loss_md1k())):
        function = compiled(derived, ["offered_load", "capacity"])
        for params, value in reference_values(f"{law}_loss").values():
            if law == "MD1K" and params["K"] > 5:
                continue
            got = float(settled(function, (params["rho"], params["K"])))
            assert np.isclose(got, value[0], rtol=1e-12)


def test_the_ring_is_empty_as_often_as_takacs_says() -> None:
    """The transform of P(empty at u) is ``1/(z + lambda - lambda G(z))``, G the busy period's own:
    ``G = exp(-c (z + lambda - lambda G))``. At load 0.8, c = 1, and z = 1/2.
    """
    at = compiled(closed_loop.empty(), ["u", "flood_rate", "kernel_cost"])
    rate, z = mpmath.mpf("0.8"), mpmath.mpf("0.5")
    kinks = [mpmath.mpf("1e-30"), *range(1, 60)]
    found = mpmath.quad(lambda u: mpmath.exp(-z * u) * at(u, rate, mpmath.mpf(1)), kinks)
    busy = mpmath.findroot(lambda g: g - mpmath.exp(-(z + rate - rate * g)), 0.3)
    assert abs(found - 1 / (z + rate - rate * busy)) < 1e-10


def test_idle_time_is_the_integral_of_being_empty() -> None:
    rate, cost, until = mpmath.mpf("0.7"), mpmath.mpf(1), mpmath.mpf("6.4")
    at = compiled(closed_loop.empty(), ["u", "flood_rate", "kernel_cost"])
    idle = compiled(closed_loop.idle_time(), ["flood_rate", "kernel_cost", "elsewhere"])
    found = mpmath.quad(lambda u: at(u, rate, cost), [mpmath.mpf("1e-30"), *range(1, 7), until])
    assert abs(found - idle(rate, cost, until)) < 1e-12


def test_what_is_left_behind_is_what_the_drift_has_not_worked_off() -> None:
    """Optional stopping: a backlog falls by ``1 - rho`` for as long as there is any."""
    names = ["b", "v", "flood_rate", "kernel_cost"]
    still = compiled(closed_loop.not_worked_off(), names)
    left = compiled(closed_loop.left_behind(), names)
    for backlog, until, rate in ((2.0, 9.0, 0.9), (0.3, 40.0, 0.99), (30.0, 5.0, 0.5)):
        point = list(map(mpmath.mpf, (backlog, until, rate, 1.0)))
        waited = mpmath.quad(
            lambda v, p=point: still(p[0], v, p[2], p[3]), mpmath.linspace(1e-30, until, 30)
        )
        assert abs(left(*point) - (point[0] - (1 - point[2]) * waited)) < 1e-8


def test_a_busy_period_works_off_what_comes_meanwhile() -> None:
    gone = sp.Symbol("b", nonnegative=True) / (1 - closed_loop.LOAD)
    assert zero(closed_loop.busy_period() - gone)
