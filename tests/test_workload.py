"""What is offered: rates, sizes, mixtures, bursts, and the arithmetic of the wire."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel import Bursts, Workload
from capmodel.workload import IMIX, WIRE_OVERHEAD


def test_a_gigabit_of_the_smallest_frames_is_the_known_rate() -> None:
    # IEEE 802.3: 64 bytes, 8 of preamble and 12 of gap are 672 bit times
    workload = Workload.from_user("1Gbit/s", 64)
    assert workload.rate == pytest.approx(1e9 / 672)
    assert workload.bit_rate == pytest.approx(1e9)


@given(rate=st.floats(1.0, 1e8), size=st.integers(64, 9216))
def test_bits_are_packets_times_frame_and_overhead(rate: float, size: int) -> None:
    workload = Workload.from_user(rate, size)
    assert workload.bit_rate == pytest.approx(rate * (size + 20) * 8)
    again = Workload.from_user(f"{workload.bit_rate!r}bit/s", size)
    assert again.rate == pytest.approx(rate)


def test_strings_with_units_are_the_numbers() -> None:
    written = Workload.from_user("1.27Mpps", "512 bytes", "poisson", "2min")
    assert written == Workload.from_user(1.27e6, 512, "poisson", 120.0)


def test_imix_is_seven_to_four_to_one() -> None:
    # the simple Internet mix as test equipment defines it: 7 x 64, 4 x 594, 1 x 1518
    counts = {64.0: 7, 594.0: 4, 1518.0: 1}
    workload = Workload.from_user(1e5, "imix")
    assert workload.sizes == tuple(IMIX.items())
    assert dict(workload.sizes) == {size: n / 12 for size, n in counts.items()}
    assert workload.mean_size == pytest.approx((7 * 64 + 4 * 594 + 1518) / 12)


@given(shares=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5), snaplen=st.integers(1, 9216))
def test_a_mixture_is_its_mean(shares: list[float], snaplen: int) -> None:
    total = math.fsum(shares)
    mixture = {64 + 100 * i: share / total for i, share in enumerate(shares)}
    workload = Workload.from_user(1e5, mixture)
    assert workload.mean_size == pytest.approx(sum(k * v for k, v in mixture.items()))
    expected = sum(min(size, snaplen) * share for size, share in mixture.items())
    assert workload.mean_captured(snaplen) == pytest.approx(expected)
    assert workload.mean_captured(snaplen) <= snaplen * (1 + 1e-12)


def test_a_bit_rate_uses_the_mean_frame_of_the_mixture() -> None:
    workload = Workload.from_user("1Gbit/s", {64: 0.5, 1500: 0.5})
    assert workload.rate == pytest.approx(1e9 / (8 * (782 + WIRE_OVERHEAD)))


def test_jumbo_frames_are_asked_for() -> None:
    assert Workload.from_user(1e5, 9217, jumbo=True).mean_size == 9217
    assert Workload.from_user(1e5, {9217: 1.0}, jumbo=True).mean_size == 9217
    for size in (9217, {9217: 1.0}, np.array([64, 9217])):
        with pytest.raises(ValueError, match=r"^size must be .* \(to 65535 where jumbo is set\)"):
            Workload.from_user(1e5, size)


@pytest.mark.parametrize("text", ["bursts(on=10ms,off=90ms)", "bursts( on = 10ms , off = 90 ms )"])
def test_bursts_as_text_and_as_object(text: str) -> None:
    assert Workload.from_user(1e5, arrivals=text).arrivals == Bursts(0.01, 0.09)
    fixed = Workload.from_user(1e5, arrivals="bursts(on=10ms,off=90ms,random=no)").arrivals
    assert fixed == Bursts("10ms", "90ms", random=False)
    assert Workload.from_user(1e5, arrivals=Bursts("10ms", "90ms")).arrivals == Bursts(0.01, 0.09)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bursts(on=10ms)", "arrivals must read bursts"),
        ("bursts(on=10ms,off=90ms,random=maybe)", "arrivals must read bursts"),
        ("bursts(on=10ms,off=90ms,gap=1)", "arrivals must read bursts"),
        ("bursts(on=10ms,off=0s)", r"arrivals \(gap length\)"),
        ("bursts(on=-1s,off=1s)", r"arrivals \(burst length\)"),
        ("bursts", "arrivals must be one of"),
        ("Poisson", r"did you mean 'poisson'"),
    ],
)
def test_damaged_arrivals(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Workload.from_user(1e5, arrivals=text)
    with pytest.raises(TypeError, match="arrivals must be a name, Bursts or a MAP"):
        Workload.from_user(1e5, arrivals=3)


def test_arrivals_of_a_path() -> None:
    cbr = Workload.from_user(1e5).to_arrivals()
    poisson = Workload.from_user(1e5, arrivals="poisson", duration=7).to_arrivals()
    bursty = Workload.from_user(1e5, arrivals="bursts(on=1ms,off=3ms,random=no)").to_arrivals()
    assert (cbr.process, cbr.scv, cbr.rate, cbr.duration) == ("cbr", 0.0, 1e5, 100.0)
    assert (poisson.process, poisson.scv, poisson.duration) == ("poisson", 1.0, 7.0)
    assert (bursty.process, bursty.on, bursty.off) == ("on_off", 0.001, 0.003)
    assert not bursty.random_bursts
    # the mean over burst and gap is the offered rate
    assert bursty.peak_rate * 0.001 == pytest.approx(1e5 * 0.004)


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({}, "empty mapping"),
        ({64: 0.5, 1518: 0.4}, "sum to 1, got 0.9"),
        ({64: 1.5, 1518: -0.5}, "shares in \\[0, 1\\], got share 1.5"),
        ({64: True}, "shares in \\[0, 1\\], got share True"),
        ({64: "all"}, "got share 'all'"),
        ({63: 1.0}, "size must be a whole number of bytes from 64"),
        ({64.5: 1.0}, "size must be a whole number of bytes from 64"),
    ],
)
def test_damaged_mixtures(mixture: dict[float, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Workload.from_user(1e5, mixture)


def test_shares_off_by_rounding_are_scaled_to_one() -> None:
    workload = Workload.from_user(1e5, {64: 0.3333333, 512: 0.3333333, 1518: 0.3333333})
    assert math.fsum(share for _, share in workload.sizes) == pytest.approx(1.0, abs=1e-15)


def test_columns_are_checked_entry_by_entry() -> None:
    workload = Workload.from_user(np.array([1e5, 2e5]), np.array([64, 512]))
    np.testing.assert_allclose(workload.bit_rate, [1e5 * 84 * 8, 2e5 * 532 * 8])
    for rate in ([1e5, 0.0], [1e5, np.nan], [1e5, np.inf]):
        with pytest.raises(ValueError, match=r"^rate must be finite, greater than 0"):
            Workload.from_user(np.array(rate))
    with pytest.raises(ValueError, match=r"^duration must be finite, greater than 0"):
        Workload.from_user(1e5, duration=np.array([1.0, -1.0]))
