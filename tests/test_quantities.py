from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel.quantities import (
    BufferSize,
    format_duration,
    format_interval,
    format_rate,
    format_share,
    format_size,
    parse_buffer,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
    parse_slots,
)

READERS: list[Callable[..., object]] = [
    parse_rate,
    parse_size,
    parse_duration,
    partial(parse_duration, positive=False),
    parse_buffer,
    parse_slots,
    parse_share,
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (1.27e6, 1.27e6),
        (1, 1.0),
        (np.int64(5), 5.0),
        (np.float32(0.5), 0.5),
        (Fraction(1, 4), 0.25),
        ("1.27e6", 1.27e6),
        ("1.27Mpps", 1.27e6),
        (" 1.27  Mpps ", 1.27e6),
        ("900 kpps", 9e5),
        ("5pps", 5.0),
        ("0.1Gpps", 1e8),
        ("5 1/s", 5.0),
        ("5/s", 5.0),
        ("5 packets/s", 5.0),
        (".5Mpps", 5e5),
        ("1.Mpps", 1e6),
        ("+1e3kpps", 1e6),
    ],
)
def test_packet_rates(text: float | str, expected: float) -> None:
    assert parse_rate(text) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        # IEEE 802.3 line rates: 84 byte times for the smallest frame, 1538 for 1518 bytes.
        ("1Gbit/s", 64, 1e9 / 672),
        ("10Gbps", "64B", 1e10 / 672),
        ("100Mbit/s", 1518, 1e8 / 12304),
        ("1Tbit/s", 9216, 1e12 / 73888),
        ("8bit/s", 80, 0.01),
        ("1Gbit/s", 340.3, 1e9 / (8 * 360.3)),
    ],
)
def test_bit_rates_count_what_a_frame_occupies(
    text: str, size: float | str, expected: float
) -> None:
    assert parse_rate(text, size=size) == pytest.approx(expected, rel=1e-15)


def test_a_bit_rate_needs_a_size() -> None:
    with pytest.raises(ValueError, match=r"^offered_rate is the bit rate '1Gbit/s'.* give size"):
        parse_rate("1Gbit/s", name="offered_rate")


@pytest.mark.parametrize("size", [63, 65536, "2MB", "frames"])
def test_a_bit_rate_with_an_impossible_size(size: float | str) -> None:
    with pytest.raises(ValueError, match=r"^size must be a frame size"):
        parse_rate("1Gbit/s", size=size)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1mpps", "Mpps"),
        ("1MPPS", "Mpps"),
        ("1Kpps", "kpps"),
        ("1mbit/s", "Mbit/s"),
        ("1GBPS", "Gbps"),
    ],
)
def test_a_prefix_in_the_wrong_case_is_refused_with_a_hint(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"^rate has the unknown unit .* did you mean '{meant}'"):
        parse_rate(text, size=64)


@pytest.mark.parametrize(
    ("reader", "text", "meant"),
    [
        (parse_size, "64b", "B"),
        (parse_buffer, "512KB", "kB"),
        (parse_buffer, "512kib", "KiB"),
        (partial(parse_duration, name="timeout"), "5MS", "ms"),
    ],
)
def test_hints_of_other_quantities(reader: Callable[[str], object], text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        reader(text)


@pytest.mark.parametrize("value", [0, -1, -1e-300, "-5Mpps", "0pps", "1e-400pps"])
def test_rates_are_greater_than_zero(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"^rate must be .* greater than 0.*, not "):
        parse_rate(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(64, 64.0), ("64", 64.0), ("64B", 64.0), ("1500 bytes", 1500.0), ("1.5kB", 1500.0)],
)
def test_sizes(text: float | str, expected: float) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("value", [63, 64.5, 9217, 0, -64, "9KiBs", "1MB"])
def test_sizes_are_whole_and_within_bounds(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"^frame size (must be|has)"):
        parse_size(value, name="frame size")


def test_jumbo_sizes() -> None:
    assert parse_size(65535, jumbo=True) == 65535.0
    with pytest.raises(ValueError, match="65535 where jumbo is set"):
        parse_size(65535)
    with pytest.raises(ValueError, match="from 64 to 65535"):
        parse_size(65536, jumbo=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10ms", 0.01),
        ("100 s", 100.0),
        ("2us", 2e-6),
        ("2\N{MICRO SIGN}s", 2e-6),
        ("2\N{GREEK SMALL LETTER MU}s", 2e-6),
        ("5ns", 5e-9),
        ("1min", 60.0),
        ("0.5 h", 1800.0),
        (0.25, 0.25),
    ],
)
def test_durations(text: float | str, expected: float) -> None:
    assert parse_duration(text, name="timeout") == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("text", ["400", " 0.25", "1e-6", "+5."])
def test_a_time_in_text_needs_its_unit(text: str) -> None:
    with pytest.raises(ValueError, match=r"^timeout must have a unit, got .*units: ns, us, ms, s"):
        parse_duration(text, name="timeout")
    assert parse_duration(float(text), name="timeout") == float(text)


@pytest.mark.parametrize("text", ["0", "0.0", "-0"])
def test_no_time_needs_no_unit(text: str) -> None:
    assert parse_duration(text, name="work", positive=False) == 0.0


def test_zero_duration_only_where_it_is_allowed() -> None:
    assert parse_duration("0 ns", name="latency", positive=False) == 0.0
    with pytest.raises(ValueError, match=r"^latency must be .* greater than 0"):
        parse_duration("0 ns", name="latency")
    with pytest.raises(ValueError, match=r"^latency must be .* of at least 0"):
        parse_duration(-1, name="latency", positive=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2MiB", BufferSize(2097152, "bytes")),
        ("20MB", BufferSize(2e7, "bytes")),
        ("512 KiB", BufferSize(524288, "bytes")),
        ("4096 slots", BufferSize(4096, "slots")),
        ("4096 packets", BufferSize(4096, "slots")),
        ("1 slot", BufferSize(1, "slots")),
        (BufferSize(7, "slots"), BufferSize(7, "slots")),
    ],
)
def test_buffers(text: str | BufferSize, expected: BufferSize) -> None:
    assert parse_buffer(text) == expected


@pytest.mark.parametrize("value", [4096, 4096.0, "4096"])
def test_a_buffer_without_a_unit_is_refused_with_both_spellings(value: str) -> None:
    with pytest.raises(ValueError, match=r"^ring buffer must .* '4096 B' .* '4096 slots'"):
        parse_buffer(value, name="ring buffer")


@pytest.mark.parametrize("value", ["0 B", "-1 MiB", "1.5 slots", "0 slots", "1e999 B", "1e308 GiB"])
def test_buffers_hold_something_finite_and_slots_are_whole(value: str) -> None:
    with pytest.raises(ValueError, match=r"^buffer must be a size greater than 0"):
        parse_buffer(value)


@pytest.mark.parametrize("amount", [0, -1, math.nan, math.inf, 10**400])
def test_a_buffer_size_is_finite_and_greater_than_zero(amount: float) -> None:
    with pytest.raises(ValueError, match=r"^amount must be a number greater than 0"):
        BufferSize(amount, "bytes")


def test_a_buffer_size_refuses_other_units_types_and_parts_of_slots() -> None:
    with pytest.raises(ValueError, match="unit of a buffer"):
        BufferSize(1, "KiB")
    with pytest.raises(TypeError, match="amount"):
        BufferSize(True, "bytes")
    with pytest.raises(ValueError, match="whole where slots"):
        BufferSize(1.5, "slots")


@pytest.mark.parametrize("value", [256, 256.0, "256", "256 slots", "256 packets", np.int32(256)])
def test_slots(value: float | str) -> None:
    slots = parse_slots(value, name="ring")
    assert slots == 256
    assert type(slots) is int


@pytest.mark.parametrize("value", [0, -1, 0.5, 2.5, "2.5 slots"])
def test_slots_are_whole_and_at_least_one(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"^ring must be a whole number of at least 1"):
        parse_slots(value, name="ring")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0.0), (1, 1.0), (0.05, 0.05), ("0.05", 0.05), ("5%", 0.05), ("5 %", 0.05)],
)
def test_shares(value: float | str, expected: float) -> None:
    assert parse_share(value, name="loss") == expected


@pytest.mark.parametrize("value", [-0.01, 1.01, "101%", "-1%"])
def test_shares_are_within_zero_and_one(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"^loss must be a number from 0 to 1"):
        parse_share(value, name="loss")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 10**400, "nan", "inf", "", "  ", "fast", "1,5", "1e999"],
)
def test_what_is_not_a_finite_number(reader: Callable[..., object], value: float | str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^here must be "):
        reader(value, name="here")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", [True, False, None, [1], b"1", 1j, np.True_, np.array([1.0])])
def test_what_is_not_a_number_at_all(reader: Callable[..., object], value: object) -> None:
    with pytest.raises(TypeError, match=r"^here must be .* of type \w+"):
        reader(value, name="here")


@pytest.mark.parametrize("reader", READERS)
@given(text=st.text(max_size=20))
def test_any_text_gives_a_result_or_one_sentence(reader: Callable[..., object], text: str) -> None:
    try:
        reader(text, name="here")
    except ValueError as error:
        message = str(error)
        assert message.startswith("here ")
        assert repr(text) in message


POSITIVE = st.floats(min_value=1e-12, max_value=1e15)


@given(POSITIVE, st.integers(min_value=1, max_value=17))
def test_rates_survive_writing_and_reading(rate: float, digits: int) -> None:
    assert parse_rate(format_rate(rate, digits)) == pytest.approx(
        rate, rel=max(6 * 10.0**-digits, 1e-15)
    )


@given(POSITIVE, st.integers(min_value=1, max_value=17))
def test_durations_survive_writing_and_reading(duration: float, digits: int) -> None:
    read = parse_duration(format_duration(duration, digits), name="duration")
    assert read == pytest.approx(duration, rel=max(6 * 10.0**-digits, 1e-15))


@given(POSITIVE, st.integers(min_value=1, max_value=17))
def test_bytes_survive_writing_and_reading(size: float, digits: int) -> None:
    read = parse_buffer(format_size(size, digits))
    assert read.unit == "bytes"
    assert read.amount == pytest.approx(size, rel=max(6 * 10.0**-digits, 1e-15))


@given(st.integers(min_value=64, max_value=65535))
def test_every_frame_size_survives_exactly(size: int) -> None:
    assert parse_size(format_size(size), jumbo=True) == size


@given(st.integers(min_value=1, max_value=2**53))
def test_buffers_in_slots_survive_exactly(slots: int) -> None:
    buffer = BufferSize(slots, "slots")
    assert parse_buffer(str(buffer)) == buffer
    assert parse_slots(str(buffer), name="ring") == slots


@given(st.floats(min_value=0.0, max_value=1.0), st.integers(min_value=1, max_value=17))
def test_shares_survive_writing_and_reading(share: float, digits: int) -> None:
    read = parse_share(format_share(share, digits), name="loss")
    assert read == pytest.approx(share, rel=max(6 * 10.0**-digits, 1e-15), abs=1e-320)
    assert read < 1.0 or share > 1.0 - 1e-7


@given(st.floats(min_value=0.0, max_value=1.0), st.integers(min_value=1, max_value=7))
def test_shares_are_short(share: float, digits: int) -> None:
    # digits, a point, an exponent such as e-310, and the sign with its blank
    number = format_share(share, digits).removesuffix(" %").partition("e")[0]
    assert sum(letter.isdigit() for letter in number.lstrip("0.")) <= 7


@given(st.floats(min_value=1e-6, max_value=1e12), st.sampled_from(["pps", "kpps", "Mpps", "Gpps"]))
def test_packet_rates_are_linear_in_the_number(number: float, unit: str) -> None:
    assert parse_rate(f"{number!r}{unit}") == pytest.approx(
        number * parse_rate(f"1{unit}"), rel=1e-15
    )


@given(st.integers(min_value=64, max_value=65534))
def test_a_link_carries_fewer_of_larger_frames(size: int) -> None:
    assert parse_rate("1Gbit/s", size=size + 1) < parse_rate("1Gbit/s", size=size)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_rate(1.27e6), "1.27 Mpps"),
        (format_rate(14_880_952), "14.9 Mpps"),
        (format_rate(999_999), "1 Mpps"),
        (format_rate(0), "0 pps"),
        (format_rate(1e-7), "1e-07 pps"),
        (format_rate(2e13), "20000 Gpps"),
        (format_duration(787e-9), "787 ns"),
        (format_duration(0), "0 s"),
        (format_duration(1e-3), "1 ms"),
        (format_duration(12345), "12300 s"),
        (format_duration(math.nan), "nan s"),
        (format_size(64), "64 B"),
        (format_size(65535), "65535 B"),
        (format_size(65536), "64 KiB"),
        (format_size(2 * 2**20), "2 MiB"),
        (format_share(0.005), "0.5 %"),
        (format_share(1), "100 %"),
        (format_share(0.99999), "99.999 %"),
        (format_share(0), "0 %"),
        (format_share(0.9999999), "99.99999 %"),
        (format_share(0.9999999999999997), "100 %"),
        (format_share(2.7e-20), "2.7e-18 %"),
    ],
)
def test_text_for_people(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@example(0.00361, 0.00368, 0.00374)
@example(0.9999985, 0.999999, 1.0)
@example(1e-9, 1.5e-9, 0.3)
@example(0.0, 0.0, 0.0)
@example(1.0, 1.0, 1.0)
def test_an_interval_of_a_share_holds_what_it_is_about(a: float, b: float, c: float) -> None:
    low, share, high = sorted((a, b, c))
    first, last = format_interval(low, high, share).removesuffix(" %").split(" to ")
    shown = float(format_share(share).removesuffix(" %"))
    assert float(first.strip(" %")) <= shown <= float(last.strip(" %"))
