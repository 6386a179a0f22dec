"""Stalls and bursts of predicted set-ups, and what the command line says of them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel import predict
from capmodel.cli import main
from capmodel.prediction import Prediction
from capmodel.quantities import format_share
from capmodel.stalls import survives

LIGHT = predict(rate="500kpps", backend="pf_packet", buffer="4096 slots")
RANDOM = predict(rate="500kpps", backend="pf_packet", buffer="4096 slots", arrivals="poisson")


def test_a_stall_is_survived_as_long_as_the_buffer_holds() -> None:
    """Constant arrivals: 4096 slots at 500 kpps last 8.2 ms."""
    answer = LIGHT.survives(stall="5ms")
    assert answer.survives
    assert answer.lost == 0.0
    assert answer.longest == pytest.approx(4096 / 500e3, rel=0.01)
    lost = LIGHT.survives(stall="10ms")
    assert not lost.survives
    assert lost.drops["buffer"] == pytest.approx(500e3 * 0.01 - 4096, abs=10.0)
    assert lost.drops["ring"] == 0.0


def test_random_arrivals_need_room_to_spare() -> None:
    fixed, random = LIGHT.survives(stall="8ms"), RANDOM.survives(stall="8ms")
    assert fixed.survives
    assert random.lossless < 0.999
    assert random.longest < fixed.longest


def test_the_backlog_ends_by_the_consumer_s_spare_time() -> None:
    answer = LIGHT.survives(stall="5ms")
    spare = 1.0 / float(LIGHT.path.consumer.cost) - 500e3
    assert answer.recovery.mean == pytest.approx(500e3 * 5e-3 / spare, rel=0.01)


def test_a_burst_fills_what_the_steady_state_would_drop() -> None:
    burst = LIGHT.survives(burst=("1.4Mpps", "5ms"))
    crowded = predict(rate="1.4Mpps", backend="pf_packet", buffer="4096 slots")
    surplus = {stage: 5e-3 * rate for stage, rate in crowded.drops.items()}
    # what the ring can take: packets that gather for the next interrupt are in it already
    room = 256 - 500e3 * 125e-6 / 2
    assert burst.drops["ring"] == pytest.approx(surplus["ring"] - room, abs=10.0)
    assert not burst.survives
    assert LIGHT.survives(burst=("1.4Mpps", burst.longest)).lossless >= 0.999
    assert LIGHT.survives(burst=("1.4Mpps", 1.1 * burst.longest)).lossless < 0.999
    assert LIGHT.survives(burst=("510kpps", "1s")).longest == math.inf


@given(st.floats(1e-5, 0.05), st.floats(1.0, 3.0), st.sampled_from([LIGHT, RANDOM]))
def test_laws(stall: float, longer: float, prediction: Prediction) -> None:
    """A longer stall is survived less often and loses more; the verdict is that of `longest`."""
    short, long = survives(prediction, stall), survives(prediction, stall * longer)
    assert long.lossless <= short.lossless + 1e-12
    assert long.lost >= short.lost * (1.0 - 1e-9)
    assert short.survives == (stall <= short.longest * (1.0 + 1e-9))


def test_an_answer_reads_and_is_plain_data() -> None:
    answer = LIGHT.survives(stall="5ms")
    text = str(answer)
    assert "stall of 5 ms" in text
    assert "survives" in text
    assert "longest stall survived" in text
    plain = json.loads(json.dumps(answer.to_dict()))
    assert plain["survives"] is True
    assert plain["recovery"]["p99"] >= plain["recovery"]["p50"]


def test_what_is_lost_in_any_case_is_said() -> None:
    crowded = predict("1.27Mpps")
    assert crowded.loss > 0.3
    rows = dict(crowded.survives(stall="0s").rows())
    assert rows["stall of 0 s"] == "no further loss"
    assert rows["lost in any case"] == format_share(crowded.loss)
    assert not any(text == "survives" or label == "chance of no loss" for label, text in
                   rows.items())  # fmt: skip
    assert crowded.survives(stall="0s").to_dict()["usual_loss"] == crowded.loss
    rows = dict(LIGHT.survives(stall="0s").rows())
    assert rows["stall of 0 s"] == "survives"
    assert "lost in any case" not in rows


def test_a_backlog_says_where_it_is() -> None:
    rows = dict(LIGHT.survives(burst=("1.4Mpps", "5ms")).rows())
    assert rows["in the ring at its end"] == "256 of 256 packets"  # it is what overflows
    assert rows["in the buffer at its end"].endswith("of 4,096 packets")
    short = LIGHT.survives(burst=("1.4Mpps", "50us"))
    assert short.ring is not None
    surplus = predict("1.4Mpps", backend="pf_packet", buffer="4096 slots", duration="24h").drops
    # it holds what gathers for an interrupt on average, and the surplus
    assert short.ring[0] == pytest.approx(500e3 * 125e-6 / 2 + 50e-6 * surplus["ring"], abs=2.0)
    assert "in the ring at its end" not in dict(LIGHT.survives(stall="5ms").rows())


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["predict", "--rate", "500kpps", "--stall", "5ms", "--burst", "2Mpps:5ms"]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "stall of 5 ms" in text
    assert "burst of 5 ms at 2 Mpps" in text
    assert main([*asked, "--json"]) == 0
    stall, burst = json.loads(capsys.readouterr().out)["survival"]
    assert stall["survives"] is True
    assert burst["survives"] is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stall", "5 parsecs"], "stall"),
        (["--stall=-5ms"], "stall must be a finite time of at least 0"),
        (["--burst", "2Mpps"], "burst must be a rate and a length"),
        (["--burst", "100pps:5ms"], "must be the usual rate, 500 kpps, or more"),
        (["--burst", "2Mpps:never"], "length of the burst"),
        (["--stall", "5ms", "--pinning", "auto"], "pinning 'same' or 'split'"),
    ],
)
def test_bad_input_is_one_sentence(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--rate", "500kpps", *options]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("capmodel: error: ")
    assert words in error


def test_one_question_at_a_time() -> None:
    with pytest.raises(ValueError, match="either a stall or a burst"):
        LIGHT.survives()
    with pytest.raises(ValueError, match="either a stall or a burst"):
        LIGHT.survives(stall=1.0, burst=(1e6, 1.0))
    with pytest.raises(ValueError, match="burst must be a pair"):
        LIGHT.survives(burst="2Mpps")


def test_quantiles_are_printed_where_they_are_known() -> None:
    exact = predict(
        rate="500kpps", backend="pf_packet", arrivals="poisson", ring=16, buffer="16 slots",
        solver="decomposition",
    )  # fmt: skip
    assert list(exact.sojourn_quantiles) == ["p50", "p99", "p99.9"]
    assert "sojourn time p99.9" in str(exact)
    assert exact.to_dict()["sojourn_quantiles"] == exact.sojourn_quantiles
    assert exact.sojourn_quantile(0.5) == exact.sojourn_quantiles["p50"]
    assert exact.occupancy_quantile(0.99) <= 16
    assert LIGHT.sojourn_quantiles == LIGHT.to_dict()["sojourn_quantiles"] == {}
    assert "p99" not in str(LIGHT)
    with pytest.raises(ValueError, match="means only"):
        LIGHT.sojourn_quantile(0.5)
