"""Frame sizes of recorded traffic in a few classes, short enough to be written down.

The classes are those in which network cards and switches count frames (RFC 2819, etherStats: 64,
65 to 127, 128 to 255, 256 to 511, 512 to 1023, 1024 to 1518 octets), and larger ones.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

_LARGEST = (64.0, 127.0, 255.0, 511.0, 1023.0, 1518.0)  # of each class but the last
_DIGITS = 4  # decimals of a share


def size_classes(sizes: Sequence[tuple[float, float]]) -> list[tuple[int, float]]:
    """A few sizes that stand for many.

    Parameters
    ----------
    sizes : sequence of tuple
        Frame sizes [B] and their shares [-], which add up to 1.

    Returns
    -------
    list of tuple
        At most seven sizes, whole [B], and their shares [-], rounded to add up to 1. As many sizes
        or fewer stay as they are; of more, each class of RFC 2819 is its mean.

    Examples
    --------
    >>> size_classes([(64.0, 0.25), (1518.0, 0.75)])
    [(64, 0.25), (1518, 0.75)]
    >>> size_classes([(float(size), 1 / 400) for size in range(100, 500)])
    [(114, 0.07), (192, 0.32), (378, 0.61)]
    """
    if len(sizes) <= len(_LARGEST) + 1:
        grouped = [(round(size), share) for size, share in sizes]
    else:
        classes: dict[int, list[tuple[float, float]]] = {}
        for size, share in sizes:
            classes.setdefault(bisect.bisect_left(_LARGEST, size), []).append((size, share))
        grouped = [_mean(members) for _, members in sorted(classes.items())]
    return _rounded(grouped)


def _mean(members: Sequence[tuple[float, float]]) -> tuple[int, float]:
    total = math.fsum(share for _, share in members)
    return round(math.fsum(size * share for size, share in members) / total), total


def _rounded(grouped: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Shares with few decimals; the most frequent size takes what rounding leaves."""
    unit = 10**_DIGITS
    counts = [round(share * unit) for _, share in grouped]
    counts[counts.index(max(counts))] += unit - sum(counts)
    return [(size, count / unit) for (size, _), count in zip(grouped, counts, strict=True) if count]


def sizes_text(sizes: Sequence[tuple[float, float]]) -> str:
    """Frame sizes as the option ``--size`` is written.

    Parameters
    ----------
    sizes : sequence of tuple
        As for :func:`size_classes`.

    Returns
    -------
    str

    Examples
    --------
    >>> sizes_text([(64.0, 0.25), (1518.0, 0.75)]), sizes_text([(512.0, 1.0)])
    ('64=0.25+1518=0.75', '512')
    """
    found = size_classes(sizes)
    if len(found) == 1:
        return str(found[0][0])
    return "+".join(f"{size}={share:g}" for size, share in found)
