"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
import sys

import pytest

from capmodel import backend_names, machine_names, predict, sweep
from capmodel.cli import COMMANDS, build_parser, main
from capmodel.cli_options import GROUPS, series
from capmodel.cli_output import as_json, progress_bar
from capmodel.lab.cli import ACTIONS
from capmodel.path import DRIVER_MODES
from capmodel.solvers import SOLVERS
from capmodel.sweeping import ARGUMENTS
from capmodel.tables import text_table
from tests.pcap_files import pcap, pcapng, write

LIGHT = ["predict", "--rate", "0.2Mpps"]


def run(capsys, *argv):
    status = main(list(argv))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def failure(capsys, *argv):
    """The one sentence of a run that must fail with status 2."""
    status, out, err = run(capsys, *argv)
    assert status == 2
    assert out == ""
    assert err.startswith("capmodel: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def narrow(text):
    return max(map(len, text.splitlines())) <= 100


def test_every_argument_of_predict_is_an_option():
    names = {option.name for options in GROUPS.values() for option in options} | {"jumbo"}
    assert names == set(ARGUMENTS)


def test_predict_prints_the_prediction(capsys):
    status, out, err = run(capsys, "predict", "--rate", "1.27Mpps", "--reasons", "--references")
    assert (status, err) == (0, "")
    prediction = predict("1.27Mpps")
    for label, text in prediction.summary():
        assert label in out
        assert text in out
    assert prediction.explain().split(". ")[0] in out.replace("\n", " ")
    assert "Sources:\n  - " in out


def test_predict_takes_every_knob(capsys):
    status, out, _ = run(
        capsys, "predict", "--rate", "0.1Gbit/s", "--size", "64=50%+1518=0.5", "--backend",
        "pf_ring", "--machine", "braun_xeon", "--work", "200ns+1ns", "--pinning", "auto", "--ring",
        "512", "--buffer", "20MiB", "--consumers", "2", "--arrivals", "bursts(on=10ms,off=90ms)",
        "--duration", "10s", "--threshold", "64", "--timeout", "10ms", "--nic", "82546EB",
        "--driver", "moderated", "--jumbo", "--solver", "closed_form", "--json",
    )  # fmt: skip
    expected = predict(
        "0.1Gbit/s", {64: 0.5, 1518: 0.5}, "pf_ring", "braun_xeon", work=("200ns", "1ns"),
        pinning="auto", ring=512, buffer="20MiB", consumers=2,
        arrivals="bursts(on=10ms,off=90ms)", duration="10s", threshold=64, timeout="10ms",
        nic="82546EB", driver="moderated", jumbo=True, solver="closed_form",
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["captured"] == expected.captured


def test_json_is_json_even_where_numbers_are_infinite(capsys):
    _, out, _ = run(capsys, *LIGHT, "--backend", "pf_packet_busy", "--json")
    assert json.loads(out)["batch"] is None
    assert json.loads(as_json([float("nan"), (1.0,)])) == [None, [1.0]]
    _, out, _ = run(capsys, *LIGHT, "--json", "--reasons")
    assert json.loads(out)["explanation"]


def test_explain(capsys):
    status, out, _ = run(capsys, "explain", "--rate", "1.27Mpps")
    assert status == 0
    assert " ".join(out.split()) == " ".join(predict("1.27Mpps").explain().split())
    assert narrow(out)
    assert "\n  backend tnapi_pf_ring  " in out  # a table is not folded
    _, out, _ = run(capsys, "explain", "--rate", "1.27Mpps", "--json")
    reasons = json.loads(out)
    assert len(reasons["explanation"]) >= 3
    best, wanted = reasons["remedies"][0], predict("1.27Mpps", backend="tnapi_pf_ring")
    assert best["arguments"] == {"backend": "tnapi_pf_ring"}
    assert best["captured"] == wanted.captured
    assert tuple(best["captured_interval"].values()) == wanted.interval()


def test_warnings_are_one_line_on_standard_error(capsys):
    status, out, err = run(capsys, "predict", "--rate", "2Mpps")
    assert status == 0
    assert "wire speed" not in out
    assert err.count("wire speed") == 1
    assert err.startswith("capmodel: warning: rate 2 Mpps exceeds")
    status, out, err = run(capsys, "sweep", "--rate", "1Mpps,2Mpps")
    assert status == 0
    assert err.count("capmodel: warning: ") == 1


def test_sweep_prints_csv(capsys):
    status, out, err = run(
        capsys, "sweep", "--rate", "0.2Mpps:1.2Mpps:3", "--backend", "pf_packet,bpf"
    )
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    grid = sweep([2e5, 7e5, 1.2e6], backend=["pf_packet", "bpf"])
    assert list(rows[0]) == ["rate", "backend", *grid.keys()]
    assert [float(row["captured"]) for row in rows] == grid["captured"].ravel().tolist()
    assert [row["backend"] for row in rows[:2]] == ["pf_packet", "bpf"]


def test_sweep_leaves_out_what_the_machine_lacks_if_told_to(capsys):
    argv = ["sweep", "--rate", "1e5", "--backend", "dpdk,pf_packet,netmap"]
    message = failure(capsys, *argv)
    assert "'dpdk' (no cost" in message
    assert "'netmap' (no cost" in message
    assert "supported: 'pf_packet'; " in message
    status, out, err = run(capsys, *argv, "--skip-unsupported")
    assert status == 0
    assert [row["backend"] for row in csv.DictReader(io.StringIO(out))] == ["pf_packet"]
    assert err.startswith("capmodel: warning: left out of the grid: backend 'dpdk' (no cost")
    assert err.count("capmodel: warning: ") == 1


def test_sweep_writes_files_whole(capsys, tmp_path):
    target = tmp_path / "grid.json"
    status, out, err = run(
        capsys, "sweep", "--rate", "1e5,1e6", "--intervals", "--out", str(target)
    )
    assert (status, out, err) == (0, "", "")
    content = json.loads(target.read_text())
    assert len(content["points"]) == 2
    assert content["fixed"]["backend"] == "pf_packet"
    assert "captured_low" in content["points"][0]
    assert [file.name for file in tmp_path.iterdir()] == ["grid.json"]
    run(capsys, "sweep", "--rate", "1e5,1e6", "--out", str(tmp_path / "a.dat"), "--format", "csv")
    assert (tmp_path / "a.dat").read_text().startswith("rate,captured,")
    assert "'csv', 'json'" in failure(capsys, "sweep", "--rate", "1e5", "--out", "grid.txt")
    assert "no folder" in failure(
        capsys, "sweep", "--rate", "1e5", "--out", str(tmp_path / "none" / "grid.csv")
    )


def test_sweep_writes_quantities_as_numbers_in_the_si(capsys):
    _, out, _ = run(
        capsys, "sweep", "--rate", "0.1Mpps,200kpps:300kpps:1,0.1Gbit/s", "--size", "64,128B,imix",
        "--work", "1us,200ns+5ns", "--ring", "512", "--buffer", "1MiB,64 slots",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(out)))
    # 64 and 128 bytes with 20 more on the wire; imix is 7:4:1 of 64, 594 and 1518 bytes
    imix = (7 * 64 + 4 * 594 + 1518) / 12
    wire = [1e8 / 8 / (size + 20) for size in (64, 128, imix)]
    rates = [1e5] * 3 + [2e5] * 3 + wire
    assert [float(row["rate"]) for row in rows[::4]] == pytest.approx(rates, rel=1e-12)
    assert [row["size"] for row in rows[:12:4]] == ["64", "128", "imix"]
    assert [row["work"] for row in rows[:4:2]] == ["1e-06", "2e-07+5e-09"]
    assert [row["buffer"] for row in rows[:2]] == ["1048576 B", "64 slots"]


def test_what_a_sweep_holds_fixed_is_numbers_too(capsys):
    _, out, _ = run(
        capsys, "sweep", "--rate", "0.5Gbit/s", "--size", "105B", "--work", "400ns,1us", "--ring",
        "512 slots", "--timeout", "10ms", "--backend", "tpacket_v3", "--buffer", "2MiB", "--json",
    )  # fmt: skip
    fixed = json.loads(out)["fixed"]
    assert fixed == {
        "rate": 5e5, "size": 105, "backend": "tpacket_v3", "machine": "braun_amd", "ring": 512,
        "buffer": "2097152 B", "consumers": 1, "arrivals": "cbr", "duration": 100.0,
        "timeout": 0.01, "jumbo": False,
    }  # fmt: skip
    # a wire rate over several sizes is no single number
    _, out, _ = run(capsys, "sweep", "--rate", "0.1Gbit/s", "--size", "64,128", "--json")
    assert json.loads(out)["fixed"]["rate"] == "0.1Gbit/s"


def test_a_range_of_one_keeps_its_column(capsys):
    _, out, _ = run(capsys, "sweep", "--rate", "1e5:2e5:1")
    (row,) = csv.DictReader(io.StringIO(out))
    assert float(row["rate"]) == 1e5


def test_two_formats_at_once_are_refused(capsys, tmp_path):
    target = tmp_path / "x.csv"
    sweeping = ["sweep", "--rate", "1e5", "--json"]
    assert "--json contradicts --out" in failure(capsys, *sweeping, "--out", str(target))
    assert "--json contradicts --format csv" in failure(capsys, *sweeping, "--format", "csv")
    assert not target.exists()
    assert run(capsys, *sweeping, "--out", str(tmp_path / "x.json"))[0] == 0


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rate", "1.27Mpps", "1.27Mpps"),
        ("rate", "1Mpps,2e5", ["1Mpps", "2e5"]),
        ("rate", "log:1e4:1e6:3", pytest.approx([1e4, 1e5, 1e6])),
        ("rate", "1Gbit/s:3Gbit/s:3", ["1000000000bit/s", "2000000000bit/s", "3000000000bit/s"]),
        ("rate", "100kpps:1Mpps:2,2Mpps", [1e5, 1e6, "2Mpps"]),
        ("ring", "256:512:2", [256, 512]),
        ("ring", "1:2:50", [1, 2]),
        ("ring", "256:512:1", [256]),
        ("buffer", "64KiB:1MiB:2", ["65536 B", "1048576 B"]),
        ("buffer", "64 slots:256 slots:3", ["64 slots", "160 slots", "256 slots"]),
        ("work", "0ns:1us:2", [0.0, 1e-6]),
        ("work", "200ns+5ns,1e+3", [("200ns", "5ns"), "1e+3"]),
        ("application", "packzip:0,packzip:9", ["packzip:0", "packzip:9"]),
        ("size", "64=0.25+1518=75%,imix", [{"64": 0.25, "1518": 0.75}, "imix"]),
        ("arrivals", "cbr,bursts(on=1ms,off=9ms)", ["cbr", "bursts(on=1ms,off=9ms)"]),
    ],
)
def test_series(name, text, expected):
    assert series(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rate", "1:2", "from:to:count"),
        ("rate", "1:2:0", "count of the range of rate"),
        ("rate", "1:2:1e7", "1,000,000 values"),
        ("rate", "1Mpps:1Gbit/s:3", "needs a frame size"),
        ("work", "log:0ns:1us:3", "must not begin or end at 0"),
        ("buffer", "64KiB:64 slots:3", "bytes or slots at both ends"),
        ("size", "64=2", "share of a size"),
        ("work", "0:400:3", "work must have a unit"),
        ("duration", "10s:20:2", "duration must have a unit"),
    ],
)
def test_damaged_series(name, text, message):
    with pytest.raises(ValueError, match=message):
        series(name, text)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--backend", "pf_paket"], "did you mean 'pf_packet'?"),
        (["--machine", "braun_amt"], "did you mean 'braun_amd'?"),
        (["--application", "tcpdmp"], "did you mean 'tcpdump'?"),
        (["--application", "packzip:10"], "'8', '9', not '10'\n"),
        (["--application", "snort"], "'tcpdump', not 'snort'; for any other program give its time"),
        (["--backend", "pfring"], "did you mean 'pf_ring'?"),
        (["--machine", "epic"], "did you mean 'epyc_vm'?"),
        (["--size", "Imx"], "size must be in bytes, or imix, not 'Imx' (did you mean 'imix'?)"),
        (["--pinning", "splitt"], "did you mean 'split'?"),
        (["--arrivals", "poison"], "did you mean 'poisson'?"),
        (["--solver", "closed-form"], "did you mean 'closed_form'?"),
        (["--driver", "nap"], "did you mean 'napi'?"),
        (["--nic", "82576x"], "did you mean '82576'?"),
        (["--rate", "0"], "rate must be a finite number of packets per second greater than 0"),
        (["--rate", "-1"], "rate must be"),
        (["--rate", "-5kpps"], "rate must be a finite number of packets per second greater than 0"),
        (["--rate", "-.5Mpps"], "rate must be"),
        (["--rate", "-inf"], "rate must be"),
        (["--size", "-64B"], "size must be a whole number"),
        (["--work", "-5ns"], "work must be a finite time of at least 0"),
        (["--buffer", "-2MiB"], "buffer must be a size greater than 0"),
        (["--consumers", "-1x"], "consumers must be a whole number"),
        (["--rate", "nan"], "rate must be"),
        (["--rate", "inf"], "rate must be"),
        (["--rate", "1e999"], "rate must be"),
        (["--rate", "1.27mpps"], "did you mean 'Mpps'"),
        (["--size", "63"], "size must be a whole number of bytes from 64 to 9216"),
        (["--size", "9217"], "to 65535 where jumbo is set"),
        (["--size", "64=0.5+1518=0.4"], "shares that sum to 1"),
        (["--buffer", "10"], "buffer must have a unit"),
        (["--ring", "0"], "ring must be a whole number of at least 1"),
        (["--consumers", "0"], "consumers must be"),
        (["--duration", "0s"], "duration must be"),
        (["--sleep", "1ms", "--backend", "pf_packet"], "sleep does not apply to backend"),
        (["--work", "1us", "--application", "tcpdump"], "application and work exclude each other"),
        (["--work", "1us+2ns+3ns"], "work must be"),
        (["--work", "400"], "work must have a unit, got '400'; write 400ns, 400us, 400ms or 400s"),
        (["--work", "200ns+5"], "work per byte must have a unit"),
        (["--duration", "100"], "duration must have a unit"),
        (["--backend", "tpacket_v3", "--timeout", "10"], "timeout must have a unit"),
        (["--backend", "pf_packet_sleep", "--sleep", "1"], "sleep must have a unit"),
        (["--arrivals", "bursts(on=10,off=90ms)"], "burst length) must have a unit"),
        (["--pinning", "split", "--machine", "deri2004"], 'pinning must be "same"'),
        (["--machine", "missing.toml"], "missing.toml, file: it does not exist"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "explain", "sweep"])
def test_bad_input_is_one_sentence(capsys, command, argv, message):
    rate = [] if "--rate" in argv else ["--rate", "1e5"]
    assert message in failure(capsys, command, *rate, *argv)


@pytest.mark.parametrize(
    "argv",
    [
        [*LIGHT, "--stall", "20"],
        [*LIGHT, "--burst", "2Mpps:5"],
        ["doctor", "--interval", "3"],
        ["lab", "run", "--rate", "300kpps", "--work", "1"],
        ["lab", "run", "--rate", "300kpps", "--duration", "1"],
        ["lab", "run", "--rate", "300kpps", "--wait", "sleep", "--sleep", "1"],
        ["lab", "run", "--rate", "300kpps", "--backend", "tpacket_v3", "--timeout", "1"],
    ],
)
def test_every_other_time_needs_its_unit_too(capsys, argv):
    message = failure(capsys, *argv)
    assert "must have a unit, got" in message
    assert "(units: ns, us, ms, s, min, h)" in message


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("title = ", "syntax"),
        ("title = 'x'\n", "cores: missing"),
        ("title = 'x'\ncores = 'two'\n", "machine.cores"),
        ("title = 'x'\ncores = 2\ncolour = 1\n", "machine.colour"),
        ("title = 'x'\ncores = 2\n[costs]\nwakeup = 3\n", "wakeup"),
        ("title = 'x'\ncores = 2\n[costs]\nwakeup = {value = 3, unit = 'us'}\n", "wakeup"),
    ],
)
def test_damaged_machine_files_are_named_with_their_key(capsys, tmp_path, content, place):
    path = tmp_path / "mine.toml"
    path.write_text(content, encoding="utf-8")
    for argv in (["predict", "--rate", "1e5", "--machine", str(path)], ["machines", str(path)]):
        message = failure(capsys, *argv)
        assert "mine.toml" in message
        assert place in message


def test_a_negative_value_is_not_taken_for_an_option(capsys):
    assert "rate must be" in failure(capsys, "sweep", "--rate", "-5kpps,1Mpps")
    assert "rate must be" in failure(capsys, "sweep", "--rate=-5kpps:1Mpps:3")
    assert "rate must be" in failure(capsys, "lab", "run", "--rate", "-5kpps")
    assert "interval must be" in failure(capsys, "doctor", "--interval", "-3s")
    assert "expected one argument" in failure(capsys, "predict", "--rate", "--json")
    assert "expected one argument" in failure(capsys, "predict", "--rate", "-h")
    status, out, _ = run(capsys, "predict", "--rate", "-5kpps", "-h")
    assert (status, out[:6]) == (0, "usage:")


def test_wrong_use_of_the_command_line_itself(capsys):
    assert "--rate" in failure(capsys, "predict")
    assert "invalid choice" in failure(capsys, "predct")
    assert "COMMAND" in failure(capsys)
    assert "unrecognized" in failure(capsys, *LIGHT, "--colour", "red")
    assert "int" in failure(capsys, "calibrate", "braun2010", "--seed", "x")


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (["doctor", "--interval", "0s"], "--interval"),
        ([*LIGHT, "--duration", "0s"], "--duration"),
        ([*LIGHT, "--work", "-1ns"], "--work"),
        ([*LIGHT, "--backend", "tpacket_v3", "--timeout", "0s"], "--timeout"),
        ([*LIGHT, "--stall", "-1s"], "--stall"),
        ([*LIGHT, "--consumers", "0"], "--consumers"),
        ([*LIGHT, "--ring", "0"], "--ring"),
        ([*LIGHT, "--buffer", "0MiB"], "--buffer"),
        (["predict", "--rate", "0"], "--rate"),
    ],
)
def test_what_a_refusal_suggests_is_taken(capsys, argv, option):
    # the same command with the suggestion typed in its place is not refused for that argument
    message = failure(capsys, *argv)
    suggested = message.partition("such as ")[2].rpartition(", not ")[0]
    values = [quoted or bare for quoted, bare in re.findall(r"'(.+?)'|\b([0-9]\S*)\b", suggested)]
    assert values
    for value in values:
        # the answer is not looked at: what comes after the value is wrong
        given = [*argv[: argv.index(option) + 1], value, "--machine", "none"]
        assert "machine must be one of" in failure(capsys, *given), value


def test_a_count_of_processes_has_no_slots(capsys):
    assert "consumers must be" in failure(capsys, *LIGHT, "--consumers", "2 slots")
    assert "consumers must be" in failure(capsys, "sweep", "--rate", "1e5", "--consumers",
                                          "1 slots:2 slots:2")  # fmt: skip


def test_a_machine_without_the_usual_backend_gets_one_that_it_can_predict(capsys):
    status, out, _ = run(capsys, *LIGHT, "--machine", "epyc_vm")
    assert status == 0
    assert "TPACKET_V3" in out.splitlines()[0]
    _, out, _ = run(capsys, *LIGHT, "--machine", "epyc_vm", "--json")
    assert json.loads(out)["inputs"]["backend"] == "tpacket_v3"
    # one that is named is not replaced
    assert "no cost" in failure(capsys, *LIGHT, "--machine", "epyc_vm", "--backend", "pf_packet")
    _, out, _ = run(capsys, "sweep", "--rate", "1e5", "--machine", "epyc_vm", "--json")
    assert json.loads(out)["fixed"]["backend"] == "tpacket_v3"


def test_imix_in_any_case(capsys):
    outputs = [run(capsys, *LIGHT, "--size", size)[1] for size in ("imix", "IMIX", "Imix")]
    assert outputs[0] == outputs[1] == outputs[2] != ""
    _, out, _ = run(capsys, "sweep", "--rate", "1e5", "--size", "IMIX", "--json")
    assert json.loads(out)["fixed"]["size"] == "imix"


def test_help_says_that_bursts_are_random_and_how_they_are_not(capsys):
    _, out, _ = run(capsys, "predict", "--help")
    told = " ".join(out.partition("--arrivals PROCESS  ")[2].partition("--duration")[0].split())
    assert "of random lengths" in told
    assert "random=no" in told
    assert run(capsys, *LIGHT, "--arrivals", "bursts(on=10ms,off=90ms,random=no)")[0] == 0


def test_files_that_cannot_be_read_are_said_in_words(capsys, tmp_path):
    missing, empty, foreign = (tmp_path / name for name in ("no.pcap", "empty.pcap", "x.pcap"))
    empty.write_bytes(b"")
    foreign.write_bytes(b"\x7fELF\x02 and more")
    assert failure(capsys, "traffic", str(missing)).endswith("no.pcap: no such file or directory\n")
    assert "Errno" not in failure(capsys, "traffic", str(tmp_path))
    assert failure(capsys, "traffic", str(empty)).endswith("the file is empty\n")
    message = failure(capsys, "traffic", str(foreign))
    assert message.endswith("x.pcap, start: not a whole header of a pcap or pcapng file\n")


def test_claims_table_and_exit_status(capsys):
    status, out, _ = run(capsys, "claims", "--numbers")
    lines = out.splitlines()
    held = sum(" holds " in line for line in lines)
    failed = sum(" FAILS " in line for line in lines)
    assert held + failed == 43
    assert lines[-1] == f"{held} of 43 claims hold"
    assert status == (0 if failed == 0 else 1)
    assert narrow(out)
    json_status, out, _ = run(capsys, "claims", "--json")
    assert json_status == status
    assert sum(claim["holds"] for claim in json.loads(out)) == held


def test_backends(capsys):
    _, out, _ = run(capsys, "backends")
    listed = {line.split()[0] for line in out.splitlines()[1:] if not line.startswith(" ")}
    assert listed == set(backend_names())
    assert narrow(out)
    for name in backend_names():
        _, out, _ = run(capsys, "backends", name)
        assert out.startswith(f"name: {name}\n")
        assert "sources:\n  - " in out
        assert narrow(out)
    _, out, _ = run(capsys, "backends", "--json")
    assert [entry["name"] for entry in json.loads(out)] == list(backend_names())
    _, out, _ = run(capsys, "backends", "pf_ring", "--json")
    assert "pf_ring_parse" in json.loads(out)["kernel charges"]
    assert "did you mean" in failure(capsys, "backends", "pf_rin")


def test_machines(capsys):
    _, out, _ = run(capsys, "machines")
    listed = {line.split()[0] for line in out.splitlines()[1:] if not line.startswith(" ")}
    assert listed == set(machine_names())
    for name in machine_names():
        _, out, _ = run(capsys, "machines", name)
        assert "origin" in out
        assert narrow(out)
    _, out, _ = run(capsys, "machines", "braun_amd", "--json")
    constants = json.loads(out)["constants"]
    assert {"name", "value", "std", "unit", "origin", "source", "locator"} == set(constants[0])
    _, out, _ = run(capsys, "machines", "--json")
    assert [entry["name"] for entry in json.loads(out)] == list(machine_names())
    assert "did you mean" in failure(capsys, "machines", "braun_am")


def test_version_and_help(capsys):
    status, out, _ = run(capsys, "--version")
    assert (status, out) == (0, "capmodel 0.1.0\n")
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert "examples:" in out
    for name in COMMANDS:
        status, out, _ = run(capsys, name, "--help")
        assert status == 0
        assert "examples:\n  capmodel " in out
        assert "--json" in out
        assert narrow(out)


def parsers(parser):
    """A parser and those of its commands, with their names."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for own in action.choices.values():
                yield from parsers(own)


def test_help_fits_a_terminal_and_says_what_every_option_is():
    found = list(parsers(build_parser()))
    assert len(found) == 1 + len(COMMANDS) + len(ACTIONS)
    for parser in found:
        text = parser.format_help()
        assert narrow(text), parser.prog
        silent = [action.dest for action in parser._actions if not action.help]
        assert set(silent) <= {"command", "action"}, parser.prog


def test_help_says_every_default_and_names_what_exists(capsys):
    _, out, _ = run(capsys, "predict", "--help")
    options = " ".join(out.partition("\ntraffic:")[2].partition("\nexamples:")[0].split()).split(
        " --"
    )
    told = {text.partition(" ")[0]: text for text in options}
    # no default: the rate is needed, work replaces an application, three are for some backends
    without = {"rate", "work", "threshold", "timeout", "sleep"}
    for name in {option.name for group in GROUPS.values() for option in group} - without:
        assert "(default: " in told[name], name
    for name in ("threshold", "timeout", "sleep"):
        assert "capmodel backends NAME" in told[name]
    assert all(name in told["solver"] for name in SOLVERS)
    assert "its unit" in told["duration"]
    for name in DRIVER_MODES:
        assert name in told["driver"]


@pytest.mark.parametrize(
    "line", [text for command in COMMANDS.values() for text in command.examples]
)
def test_the_examples_of_the_help_run(capsys, tmp_path, monkeypatch, line):
    if any(word in line for word in ("calibrate", "validate", "my.toml", "doctor")):
        pytest.skip("needs a long time, a file of the user's own, or a capture that is running")
    monkeypatch.chdir(tmp_path)
    packets = [(i * 1000, 60, 0) for i in range(200)]
    write(tmp_path, pcap(packets), "edge.pcap")
    write(tmp_path, gzip.compress(pcapng(packets)), "edge.pcapng.gz")
    assert main(line.split()[1:]) in (0, 1)
    assert "error" not in capsys.readouterr().err


def test_interrupts_and_broken_pipes_are_quiet(capsys, monkeypatch):
    def stop(error):
        def raising(*_, **__):
            raise error

        return raising

    monkeypatch.setattr("capmodel.cli.predict", stop(KeyboardInterrupt()))
    assert run(capsys, *LIGHT) == (130, "", "")
    monkeypatch.setattr("capmodel.cli.predict", stop(BrokenPipeError()))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(LIGHT) == 130
    sys.stdout.close()


def test_progress_only_for_long_work_and_for_somebody_watching(capsys, monkeypatch):
    assert progress_bar() is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = progress_bar()
    show(10, 20)
    assert capsys.readouterr().err == ""
    show(2500, 5000)
    show(5000, 5000)
    assert capsys.readouterr().err.endswith("] 100 %\n")


def test_table_aligns_numbers_right_and_wraps_the_last_column():
    table = text_table(["n", "text"], [[1, "a"], [10, "word " * 30], [None, "b"]], width=40)
    assert table.splitlines()[1] == " 1  a"
    assert table.splitlines()[-1] == " -  b"
    assert max(map(len, table.splitlines())) <= 40


@pytest.mark.slow
def test_calibrate_writes_machine_files(capsys, tmp_path):
    argv = ["calibrate", "deri2004", "--members", "16", "--moves", "1", "--final-moves", "1"]
    status, out, err = run(capsys, *argv, "--seed", "1", "--out", str(tmp_path), "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["calibration"] == "deri2004"
    assert list(tmp_path.glob("deri2004*"))


def test_calibrate_names_what_exists(capsys):
    assert "did you mean 'braun2010'" in failure(capsys, "calibrate", "braun2011")
    assert "members" in failure(capsys, "calibrate", "braun2010", "--members", "0")


def test_validate_compares_with_measurements(capsys):
    status, out, _ = run(capsys, "validate", "--set", "deri2004")
    assert status == 0
    assert out.splitlines()[0] == "deri2004"
    assert narrow(out)
    assert out.splitlines()[-1].endswith("rows agree")
    _, out, _ = run(capsys, "validate", "--set", "deri2004", "--json")
    assert {row["data_set"] for row in json.loads(out)} == {"deri2004"}
    assert "deri2004" in failure(capsys, "validate", "--set", "deri2003")
