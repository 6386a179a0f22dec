"""The 43 findings of Braun et al. (IMC 2010), each asserted through `capmodel.predict` alone.

Written from the paper, without the claims file or its evaluator: the two must agree on the verdict
(see test_claims.py) but share no code.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import pytest

import capmodel

XEON = "braun_xeon"
FULL, WIRE = 1.27e6, 1.488e6
GIGABIT = "1Gbit/s"
LEVELS = tuple(f"packzip:{level}" for level in range(10))


@cache
def _predict(items: tuple[tuple[str, Any], ...]) -> capmodel.Prediction:
    return capmodel.predict(**dict(items))


def predict(**options: Any) -> capmodel.Prediction:
    return _predict(tuple(sorted({"rate": FULL, **options}.items(), key=lambda item: item[0])))


def points(**options: Any) -> float:
    """Captured share in percentage points."""
    return 100.0 * predict(**options).captured


def levels(**options: Any) -> list[float]:
    return [points(application=level, **options) for level in LEVELS]


FINDINGS: dict[str, Any] = {}


def finding(function: Any) -> Any:
    FINDINGS[function.__name__.replace("__", "-")] = function
    return function


@finding
def interrupt__storm() -> bool:
    kept = [points(rate=6e5, backend=name) for name in ("pf_packet", "pf_packet_moderated")]
    return min(kept) >= 99.9 and points(rate=6e5, backend="pf_packet_interrupt") <= min(kept) - 10


@finding
def size__matters() -> bool:
    return points(rate=GIGABIT, size=1500) >= 99.9 > points(rate=WIRE)


@finding
def short__run__buffer() -> bool:
    short = {"rate": 1e6, "duration": 1.0, "work": 8e-7}
    before, after = predict(**short).loss, predict(buffer="20MB", **short).loss
    endless = [points(work=8e-7), points(work=8e-7, buffer="20MB")]
    light = [points(), points(buffer="20MB")]
    return (
        after < before / 2 and abs(endless[0] - endless[1]) <= 3 and abs(light[0] - light[1]) <= 3
    )


@finding
def bpf__beats__pf_packet__multi() -> bool:
    linux = points() - points(consumers=3)
    bsd = points(backend="bpf") - points(backend="bpf", consumers=3)
    return linux >= bsd + 10


@finding
def same__core__low__rate() -> bool:
    # in fine steps: the lead lasts for a few per cent of rate between the two saturations
    for rate in range(200_000, 1_270_000, 10_000):
        lead = points(rate=rate, pinning="same") - points(rate=rate, pinning="split")
        if abs(lead) > 0.1:
            return lead > 0
    return False


@finding
def same__core__high__rate() -> bool:
    return points(pinning="split") >= points(pinning="same") + 10


@finding
def same__core__why() -> bool:
    drops = predict(pinning="same").drops
    shares = [
        predict(rate=rate, pinning="same").core_time["shared"]["consumer packets"]
        for rate in (1.1e6, 1.2e6, FULL, 1.4e6, WIRE)
    ]
    return (
        drops["buffer"] > 2 * drops["ring"] and shares == sorted(shares)[::-1] and shares[-1] < 0.05
    )


@finding
def auto__variance() -> bool:
    spread = {pin: predict(pinning=pin).captured_std for pin in ("auto", "same", "split")}
    return spread["auto"] > max(spread["same"], spread["split"])


@finding
def auto__mean() -> bool:
    return all(
        points(rate=rate, pinning="auto")
        <= max(points(rate=rate, pinning="same"), points(rate=rate, pinning="split")) + 1e-9
        for rate in (3e5, 8e5, 1e6, FULL)
    )


@finding
def loaded__pinning() -> bool:
    return all(
        points(application=level, pinning="split") > points(application=level, pinning="same")
        for level in LEVELS[3:]
    )


@finding
def libpcap__close() -> bool:
    amd = points() - points(backend="pf_packet_mmap098")
    xeon = points(machine=XEON, backend="pf_packet_mmap098") - points(machine=XEON)
    return 0 < amd <= 10 and 0 < xeon <= 10


@finding
def slower__machine__wins() -> bool:
    return points(machine=XEON) > points()


@finding
def copy__beats__mmap__amd() -> bool:
    mapped = ("pf_packet", "pf_packet_mmap098")
    amd = points(backend="pf_packet_copy") - max(points(backend=name) for name in mapped)
    xeon = points(machine=XEON, backend="pf_packet_copy") - min(
        points(machine=XEON, backend=name) for name in mapped
    )
    return amd > 0 > xeon


@finding
def ring__size__flat() -> bool:
    sizes = [points(backend="pf_ring", buffer=f"{2**k} slots") for k in range(10, 17)]
    return max(sizes) - min(sizes) <= 3


@finding
def buffer__limit() -> bool:
    linux = [points(buffer=f"{size}MiB") for size in (2, 8, 32, 128)]
    ring = [points(backend="pf_ring", buffer=f"{size} slots") for size in (4096, 65536)]
    bsd = [points(backend="bpf", buffer=size) for size in ("128KiB", "1MiB", "16MiB")]
    default = [points(backend="bpf", buffer=size) for size in ("64KiB", "256KiB", "4MiB", "16MiB")]
    beyond = all(max(series[1:]) - series[0] <= 0.5 for series in (linux, ring, bsd))
    return beyond and max(default) - default[0] <= 3.0


@finding
def buffer__too__large() -> bool:
    return points(buffer="2MiB") > points(buffer="256MiB")


@finding
def buffer__bursts() -> bool:
    bursts = {"rate": 2.5e5, "arrivals": "bursts(on=50ms,off=150ms,random=no)", "work": 1e-6}
    return points(buffer="65536 slots", **bursts) >= 99.9 > points(buffer="1024 slots", **bursts)


@finding
def transparent__modes() -> bool:
    mode = [points(backend=name) for name in ("pf_ring_tm0", "pf_ring_tm1", "pf_ring")]
    return mode[0] < mode[1] < mode[2]


@finding
def pf_ring__beats__pf_packet() -> bool:
    return points(backend="pf_ring") > points() and points(
        machine=XEON, backend="pf_ring"
    ) > points(machine=XEON)


@finding
def pf_ring__machines() -> bool:
    return 0 < points(backend="pf_ring") - points(machine=XEON, backend="pf_ring") <= 10


@finding
def gap__closes__with__size() -> bool:
    gaps = [points(rate=GIGABIT, size=size, backend="pf_ring") - points(rate=GIGABIT, size=size)
            for size in (512, 1500)]  # fmt: skip
    return max(map(abs, gaps)) <= 3 and points(backend="pf_ring") - points() > max(gaps)


@finding
def deri__2004() -> bool:
    old = points(rate=WIRE, machine="deri2004")
    old_ring = points(rate=WIRE, machine="deri2004", backend="pf_ring")
    gap = points(backend="pf_ring") - points()
    return abs(old - 14.9) <= 1 and abs(old_ring - 75.7) <= 1 and old_ring - old > gap


@finding
def bpf__slightly__better() -> bool:
    gains = [points(machine=name, backend="bpf") - points(machine=name)
             for name in ("braun_amd", XEON)]  # fmt: skip
    return all(0 < gain <= 10 for gain in gains)


@finding
def zero__copy__no__gain() -> bool:
    return all(
        abs(points(machine=name, backend="bpf") - points(machine=name, backend="zcbpf")) <= 3
        for name in ("braun_amd", XEON)
    )


@finding
def two__processes__amd() -> bool:
    return points(consumers=2) > points() and points(machine=XEON, consumers=2) <= points(
        machine=XEON
    )


@finding
def processes__order() -> bool:
    share = {
        name: [points(backend=name, consumers=count) for count in (2, 3)]
        for name in ("pf_packet", "bpf", "pf_ring")
    }
    fall = {name: pair[0] - pair[1] for name, pair in share.items()}
    best = all(share["pf_ring"][i] >= max(pair[i] for pair in share.values()) for i in (0, 1))
    return best and fall["pf_ring"] < fall["bpf"] < fall["pf_packet"]


@finding
def packzip__large__frames() -> bool:
    for size in (256, 512):
        for backend in ("pf_packet", "pf_ring", "bpf", "pf_packet_modified"):
            share = levels(rate=GIGABIT, size=size, backend=backend)
            if any(later > earlier + 0.1 for earlier, later in itertools.pairwise(share)):
                return False
        for level in LEVELS:
            result = predict(rate=GIGABIT, size=size, application=level)
            load = result.offered_rate * float(result.path.consumer.cost)
            if abs(load - 1) > 0.02 and (load > 1) != (result.captured < 0.999):
                return False
    return True


@finding
def packzip__bpf__loaded() -> bool:
    return all(
        points(rate=GIGABIT, size=size, application=level)
        > points(rate=GIGABIT, size=size, application=level, backend="bpf")
        for size, level in ((256, "packzip:6"), (512, "packzip:9"))
    ) and points(application="packzip:4") > points(application="packzip:4", backend="bpf")


@finding
def paradox() -> bool:
    for backend in ("pf_packet", "pf_ring"):
        share = levels(backend=backend)
        if not share[0] < max(share) > share[-1]:
            return False
    return True


@finding
def paradox__not__bpf() -> bool:
    linux, ring, bsd = (levels(backend=name) for name in ("pf_packet", "pf_ring", "bpf"))
    rising = range(linux.index(max(linux)) + 1)
    flat = max(bsd[i] for i in rising) - min(bsd[i] for i in rising) <= 5
    return flat and all(bsd[i] < min(linux[i], ring[i]) for i in rising)


@finding
def small__frames__harder() -> bool:
    small = points(application="packzip:0")
    return all(
        points(rate=GIGABIT, size=size, application="packzip:0") > small for size in (256, 512)
    )


@finding
def polls__fall() -> bool:
    rates = [
        result.poll_rate / result.carried_rate
        for result in (predict(application=level) for level in LEVELS)
    ]
    return rates == sorted(rates)[::-1] and rates[0] > rates[-1]


@finding
def active__wait() -> bool:
    return 0 < points(backend="pf_packet_busy") - points() <= 10


@finding
def sleep__optimum() -> bool:
    def slept(interval: float, **options: Any) -> float:
        return points(backend="pf_packet_sleep", sleep=interval, **options)

    def longest(**options: Any) -> float:
        grid = [1e-3 * 1.04**step for step in range(110)]
        return max(
            (interval for interval in grid
             if predict(backend="pf_packet_sleep", sleep=interval, **options).drops["buffer"] < 1),
            default=0.0,
        )  # fmt: skip

    good, poll = slept(1e-3), points()
    too_long = predict(backend="pf_packet_sleep", sleep=0.1).drops
    moved = {
        longest(), longest(rate=5e5), longest(application="packzip:0"), longest(machine=XEON),
    }  # fmt: skip
    return (
        good - poll >= 15
        and slept(1e-8) - poll <= 10
        and good - slept(0.1) >= 10
        and too_long["buffer"] > too_long["ring"]
        and len(moved) == 4
    )


@finding
def yield_() -> bool:
    return points(backend="pf_packet_yield") > points()


FINDINGS["yield"] = FINDINGS.pop("yield_")


@finding
def n__or__timeout() -> bool:
    modified = points(backend="pf_packet_modified")
    slept = points(backend="pf_packet_sleep", sleep=1e-3)
    both = points(backend="pf_packet_modified", sleep=1e-3)
    return modified - points() >= 15 and abs(modified - slept) <= 3 and abs(both - modified) <= 3


@finding
def m__insensitive() -> bool:
    share = [points(backend="pf_packet_modified", timeout=m) for m in (2e-4, 6e-4, 1e-3, 2e-3)]
    return max(share) - min(share) <= 3


@finding
def modified__near__pf_ring() -> bool:
    return abs(points(backend="pf_packet_modified") - points(backend="pf_ring")) <= 10


@finding
def no__wire__speed() -> bool:
    standard = [
        name for name in capmodel.backend_names() if name.startswith(("pf_", "bpf", "zcbpf"))
    ]
    return len(standard) > 10 and all(points(rate=WIRE, backend=name) < 99.9 for name in standard)


@finding
def tnapi__small__gain() -> bool:
    return 0 < points(rate=WIRE, backend="tnapi_pf_packet") - points(rate=WIRE) <= 10


@finding
def tnapi__modified() -> bool:
    best = points(rate=WIRE, backend="tnapi_pf_packet_modified")
    return best > points(rate=WIRE, backend="pf_packet_modified") and best > points(
        rate=WIRE, backend="bpf"
    )


@finding
def tnapi__pf_ring() -> bool:
    return points(rate=WIRE, backend="tnapi_pf_ring") >= 99.9


@finding
def recommend__load() -> bool:
    return points(work=3e-7) > points(work=1e-7)


def test_all_43_are_here() -> None:
    assert len(FINDINGS) == 43


@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_finding(name: str) -> None:
    assert FINDINGS[name]()
