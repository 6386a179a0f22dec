"""Classes of frame sizes: laws of the grouping, and the classes of RFC 2819 counted one by one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel import Workload
from capmodel.cli_options import single
from capmodel.size_classes import size_classes, sizes_text

# etherStatsPkts64Octets, 65to127, 128to255, 256to511, 512to1023, 1024to1518; and what is longer
CLASSES = ((64, 64), (65, 127), (128, 255), (256, 511), (512, 1023), (1024, 1518), (1519, 65535))

MIXTURES = st.dictionaries(
    st.integers(min_value=64, max_value=9216),
    st.integers(min_value=1, max_value=10_000),
    min_size=1,
).map(lambda counts: [(float(s), n / sum(counts.values())) for s, n in sorted(counts.items())])


@given(MIXTURES)
def test_what_is_written_is_read_and_has_the_same_mean(sizes: list[tuple[float, float]]) -> None:
    text = sizes_text(sizes)
    assert len(text) <= 7 * len("1518=0.1234") + 6
    written = Workload.from_user(1e5, single("size", text))
    mean = math.fsum(size * share for size, share in sizes)
    # half a byte of each class, and half a ten-thousandth of the packets in every class elsewhere
    assert written.mean_size == pytest.approx(mean, abs=0.5 + 7 * 0.5e-4 * 9216)


@given(MIXTURES)
def test_a_class_has_the_share_of_its_members(sizes: list[tuple[float, float]]) -> None:
    found = size_classes(sizes)
    assert sum(share for _, share in found) == pytest.approx(1.0, abs=1e-12)
    if len(sizes) <= len(CLASSES):
        assert {size for size, _ in found} <= {int(size) for size, _ in sizes}
        return
    assert len(found) <= len(CLASSES)
    for low, high in CLASSES:
        share = math.fsum(share for size, share in sizes if low <= size <= high)
        told = math.fsum(share for size, share in found if low <= size <= high)
        assert told == pytest.approx(share, abs=len(CLASSES) * 0.5e-4 + 1e-12)


def test_a_few_sizes_stay_as_they_are() -> None:
    assert sizes_text([(64.0, 7 / 12), (594.0, 4 / 12), (1518.0, 1 / 12)]) == (
        "64=0.5834+594=0.3333+1518=0.0833"
    )
    assert sizes_text([(1500.0, 1.0)]) == "1500"
    assert sizes_text([(64.0, 1e-6), (1500.0, 1.0 - 1e-6)]) == "1500"
