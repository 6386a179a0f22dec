"""Statistics of traffic whose rate, variability and bursts are known, and what is made of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel import MAP, Bursts, Workload, predict, sweep
from capmodel.cli import main
from capmodel.pcap import Trace
from capmodel.traffic import TrafficSummary, read_trace, summarise
from tests.pcap_files import pcap, write

Floats = Any


def trace_of(times: Floats, sizes: Floats = 64.0) -> Trace:
    times = np.asarray(times) - times[0]
    return Trace("made up", times, np.broadcast_to(sizes, times.shape))


def chance(seed: int, count: int = 200_000, rate: float = 1e5) -> Floats:
    return np.cumsum(np.random.default_rng(seed).exponential(1.0 / rate, count))


def modulated(seed: int, high: float, low: float, on: float, off: float, cycles: int) -> Floats:
    """Poisson packets within phases drawn one by one; no matrix, no library of ours."""
    random, start, found = np.random.default_rng(seed), 0.0, []
    for _ in range(cycles):
        for rate, mean in ((high, on), (low, off)):
            stay = random.exponential(mean)
            count = random.poisson(rate * stay)
            found.append(start + np.sort(random.random(count)) * stay)
            start += stay
    return np.concatenate(found)


def test_a_clock() -> None:
    summary = summarise(trace_of(np.arange(100_000) * 1e-5))
    assert summary.rate == pytest.approx(1e5, rel=1e-9)
    assert summary.scv == pytest.approx(0.0, abs=1e-9)
    assert (summary.arrivals, summary.mmpp, summary.notes) == ("cbr", None, ())
    assert all(scale.dispersion < 0.3 for scale in summary.scales)
    for peak in summary.peaks:
        assert peak.most == pytest.approx(1e5, rel=0.011)
        for _, rate in peak.quantiles:
            assert rate == pytest.approx(1e5, rel=0.011)


def test_chance() -> None:
    summary = summarise(trace_of(chance(1)))
    assert summary.rate == pytest.approx(1e5, rel=0.01)
    assert summary.scv == pytest.approx(1.0, abs=0.02)
    assert summary.correlation == pytest.approx(0.0, abs=0.01)
    assert summary.arrivals == "poisson"
    for scale in summary.scales:
        assert abs(scale.dispersion - 1.0) < 5 * math.sqrt(2.0 / scale.windows) + 0.02


def test_chance_is_seldom_taken_for_bursts() -> None:
    """Nine scales, each beyond three standard errors once in 700: a percent or so."""
    wrong = sum(summarise(trace_of(chance(seed, 5000))).mmpp is not None for seed in range(60))
    assert wrong <= 4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bursts_are_found_as_they_were_made(seed: int) -> None:
    """200 bursts: their mean length is known to 1/sqrt(200) = 7 %."""
    high, low, on, off = 1e6, 5e4, 3e-3, 20e-3
    summary = summarise(trace_of(modulated(seed, high, low, on, off, 200)))
    truth = MAP.mmpp([high, low], [1 / on, 1 / off])
    process = summary.mmpp
    assert process is not None
    assert process.rate == pytest.approx(summary.rate, rel=1e-9)
    assert summary.scv == pytest.approx(truth.scv, rel=0.25)
    rates = sorted(process.phase_rates.tolist())
    assert rates[1] == pytest.approx(high, rel=0.15)
    assert rates[0] == pytest.approx(low, rel=0.5)
    stays = sorted((1.0 / process.silent.sum(axis=1)).tolist())
    assert stays == pytest.approx([on, off], rel=0.35)
    for scale in summary.scales:
        exact = float(truth.dispersion(scale.window))
        assert scale.dispersion == pytest.approx(exact, rel=0.5)
        assert scale.fitted == pytest.approx(scale.dispersion, rel=0.5)


def test_bursts_of_a_clock_with_silence_between() -> None:
    """1000 packets at 1 Mpps every 10 ms: known to the last packet."""
    one = np.arange(1000) * 1e-6
    summary = summarise(trace_of((np.arange(200)[:, None] * 1e-2 + one).ravel()))
    peaks = {peak.window: peak for peak in summary.peaks}
    assert peaks[1e-3].most == pytest.approx(1e6, rel=2e-3)
    assert peaks[1e-2].most == pytest.approx(1e5, rel=2e-3)
    quantiles = dict(peaks[1e-3].quantiles)
    assert quantiles[0.5] == 0.0
    assert quantiles[0.99] == pytest.approx(1e6, rel=2e-3)
    assert summary.scv == pytest.approx(((1e-2 - 999e-6) ** 2 / 1000) * 1e10 - 1, rel=0.02)
    assert summary.mmpp is not None
    assert min(summary.mmpp.phase_rates) < 0.2 * summary.rate


@given(st.lists(st.floats(0.0, 1.0), min_size=100, max_size=300), st.floats(0.01, 3.0))
def test_counts_against_a_loop(draws: list[float], window: float) -> None:
    times = np.sort(np.array(draws)) * 10.0
    times -= times[0]
    if times[-1] < 2.0 * window:
        return
    trace = trace_of(times)
    from capmodel.traffic import _moments, _peak

    total = int(times[-1] / window * (1.0 + 1e-12))
    counts = [sum(k * window <= t < (k + 1) * window for t in times) for k in range(total)]
    found = _moments(trace, window)
    assert found[0] == total
    assert found[1] == pytest.approx(np.mean(counts))
    assert found[2] == pytest.approx(np.var(counts, ddof=1), rel=1e-9, abs=1e-9)
    away = np.array(counts) - np.mean(counts)
    assert found[3] == pytest.approx(np.mean(away**3), rel=1e-6, abs=1e-6)
    most = max(sum(t <= u < t + window * (1.0 - 1e-9) for u in times) for t in times)
    peak = _peak(trace, window)
    assert peak.most == pytest.approx(most / window)
    ordered = sorted(counts)
    for quantile, rate in peak.quantiles:
        assert rate == pytest.approx(ordered[math.ceil(quantile * total) - 1] / window)


def test_sizes_as_shares() -> None:
    sizes = np.array([64.0, 64.0, 594.0, 1518.0] * 100)
    summary = summarise(trace_of(np.arange(400.0), sizes))
    assert dict(summary.sizes) == {64.0: 0.5, 594.0: 0.25, 1518.0: 0.25}
    assert summary.mean_size == 0.5 * 64 + 0.25 * (594 + 1518)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.arange(99.0), "made up must hold at least 100 packets for statistics, got 99"),
        (np.zeros(100), "made up must last: all 100 packets have one time stamp"),
    ],
)
def test_too_little_for_statistics(times: Floats, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        summarise(trace_of(times))


@pytest.mark.filterwarnings("ignore:rate")  # of bursts beyond any wire
@pytest.mark.parametrize("make", [
    lambda: np.concatenate([np.zeros(150), [1.0]]),
    lambda: np.concatenate([[0.0], np.ones(150)]),
    lambda: np.repeat(np.arange(60.0), 2),
    lambda: np.repeat([0.0, 1e-9, 2e-9], 50),
    lambda: np.arange(100.0) * 86400.0,
    lambda: np.concatenate([np.arange(100) * 1e-6, [1e5]]),
])  # fmt: skip
def test_odd_traffic_has_finite_statistics(make: Any) -> None:
    summary = summarise(trace_of(make()))
    text = json.dumps(summary.to_dict(), allow_nan=False)
    assert "nan" not in str(summary).lower()
    assert json.loads(text)["packets"] == summary.packets
    assert predict(**summary.as_arguments(rate=1e5)).captured > 0.0


@pytest.fixture(scope="module")
def bursty() -> TrafficSummary:
    return summarise(trace_of(modulated(5, 1.2e6, 5e4, 3e-3, 20e-3, 150)))


def test_from_file_to_prediction(tmp_path: Path) -> None:
    times = modulated(5, 6e5, 5e4, 3e-3, 20e-3, 60)
    path = write(tmp_path, pcap([(int(t * 1e9), 60, 0) for t in times]))
    workload = Workload.from_pcap(path)
    assert isinstance(workload.arrivals, MAP)
    assert workload.mean_size == 64.0
    assert workload.rate == pytest.approx((len(times) - 1) / (times[-1] - times[0]), rel=1e-6)
    assert workload.duration == pytest.approx(times[-1] - times[0], rel=1e-6)


@pytest.mark.filterwarnings("ignore:rate")  # twice the rate is beyond the card
def test_the_summary_is_an_argument_of_predict(bursty: TrafficSummary) -> None:
    quiet = predict(**bursty.as_arguments())
    assert quiet.solver == "decomposition"
    low, high = quiet.interval()
    assert low < quiet.captured < high
    assert "busiest phase" in quiet.explain()
    # the same pattern at another rate: time is stretched, the pattern stays
    faster = predict(**bursty.as_arguments(rate=2 * bursty.rate))
    assert faster.captured < quiet.captured
    assert faster.path.arrivals.scv == quiet.path.arrivals.scv
    poisson = predict(**bursty.as_arguments(arrivals="poisson"))
    assert quiet.loss > 10 * poisson.loss
    assert json.dumps(quiet.to_dict()["inputs"])


def test_the_arrivals_can_be_written_down(bursty: TrafficSummary) -> None:
    text = bursty.arrivals_text()
    assert text.startswith("mmpp(high=")
    again = predict(**bursty.as_arguments(arrivals=text))
    assert again.captured == pytest.approx(predict(**bursty.as_arguments()).captured, abs=1e-4)
    grid = sweep([1e5, 2e5], arrivals=[text, "poisson", Bursts("1ms", "2ms")])
    assert grid["captured"].shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mmpp(high=1Mpps,low=0,on=3ms)", "arrivals must read mmpp"),
        ("mmpp(high=1Mpps,low=0,on=3ms,off=2s)", None),
        ("mmpp(high=1Mpps,low=0,on=3ms,off=2)", "low rate. must have a unit"),
        ("bursts(on=3,off=2ms)", "burst length. must have a unit"),
        ("mmpp(high=0,low=0,on=3ms,off=2ms)", "high rate"),
        ("mmpp(high=1Mpps,low=0,on=3ms,off=0)", "time at the low rate"),
        ("mmpp(high=fast,low=0,on=3ms,off=2ms)", "high rate"),
        ("mmmp(high=1Mpps)", "did you mean|must be one of"),
    ],
)
def test_arrivals_in_words(text: str, message: str | None) -> None:
    if message is None:
        workload = Workload.from_user(1e5, 64, text)
        assert isinstance(workload.arrivals, MAP)
        assert workload.arrivals.peak_rate == 1e6
        return
    with pytest.raises(ValueError, match=message):
        Workload.from_user(1e5, 64, text)
    with pytest.raises(TypeError, match="arrivals must be a name, Bursts or a MAP"):
        Workload.from_user(1e5, 64, 7)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(list(argv))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = modulated(5, 6e5, 5e4, 3e-3, 20e-3, 60)
    path = write(tmp_path, pcap([(int(t * 1e9), 1514, 0) for t in times]))
    status, out, err = run(capsys, "traffic", str(path))
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines()[:-1])) <= 100
    for words in (
        "bursts of",
        "variance/mean",
        "rate over",
        "1518",
        "to predict: capmodel predict",
    ):
        assert words in out
    command = out.splitlines()[-1].removeprefix("to predict: capmodel ")
    import shlex

    status, out, _ = run(capsys, *shlex.split(command), "--json")
    assert status == 0
    assert 0.0 < json.loads(out)["captured"] <= 1.0
    status, out, _ = run(capsys, "traffic", str(path), "--json", "--fcs", "yes")
    assert json.loads(out)["sizes"] == [{"size": 1514.0, "share": 1.0}]


def test_mixed_sizes_are_suggested_with_their_shares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    # written length without checksum: 60 is a frame of 64; every size from 100 to 299, once
    lengths = [60] * 600 + [1514] * 200 + list(range(96, 296))
    packets = [(i * 10_000, length, 0) for i, length in enumerate(lengths)]
    path = write(tmp_path, pcap(packets))
    _, out, _ = run(capsys, "traffic", str(path))
    command = out.splitlines()[-1].removeprefix("to predict: capmodel ")
    # 28 sizes to 127, 128 to 255, and 44 on: means of arithmetic series
    assert "--size 64=0.6+114=0.028+192=0.128+278=0.044+1518=0.2 " in command
    status, out, _ = run(capsys, *shlex.split(command), "--json")
    assert status == 0
    whole = predict(**summarise(read_trace(path)).as_arguments())
    assert json.loads(out)["captured"] == pytest.approx(whole.captured, abs=1e-3)
    packets = [(i * 10_000, 1514 if i % 2 else 9996, 0) for i in range(200)]
    _, out, _ = run(capsys, "traffic", str(write(tmp_path, pcap(packets), "jumbo.pcap")))
    assert out.splitlines()[-1].endswith(" --jumbo")
    command = out.splitlines()[-1].removeprefix("to predict: capmodel ")
    assert run(capsys, *shlex.split(command))[0] == 0


def test_errors_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = pcap([(i * 1000, 100, 100) for i in range(200)])
    for path, words in (
        (write(tmp_path, content[:-3], "cut.pcap"), "cut.pcap, packet 200 (byte"),
        (write(tmp_path, content[:5000], "few.pcap"), "few.pcap, packet"),
        (write(tmp_path, b"no capture", "text.pcap"), "text.pcap, start: not a whole header"),
        (tmp_path / "none.pcap", "none.pcap"),
    ):
        status, out, err = run(capsys, "traffic", str(path))
        assert (status, out) == (2, "")
        assert words in err
        assert err.count("\n") == 1
    status, out, err = run(capsys, "traffic", str(tmp_path / "cut.pcap"), "--partial")
    assert status == 0
    assert "note: the file is damaged: packet 200" in out
