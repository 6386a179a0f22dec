"""The numbers in README.md are what its commands print; the tool that puts them there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from capmodel import cli, predict
from capmodel.comparison import main_table, summarise
from capmodel.data_files import data_folder

ROOT = Path(__file__).parents[1]
RECORDED = data_folder() / "calibration" / "braun2010.json"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_tool", ROOT / "tools" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(
    not RECORDED.exists(), reason="data/calibration/braun2010.json is not there yet"
)
def test_the_readme_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert TOOL.main(["--check"]) == 0, "run 'make readme'"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", TOOL.commands(README))
def test_its_commands_run(command: str) -> None:
    if "--recorded" in command and not RECORDED.exists():
        pytest.skip("data/calibration/braun2010.json is not there yet")
    text = TOOL.output(command)
    assert text
    assert not text.startswith("capmodel: ")
    if "-n 1" in command:
        assert "\n" not in text


def test_it_holds_the_commands_that_it_speaks_of() -> None:
    found = TOOL.commands(README)
    assert len(found) == 5
    assert any("validate --set published --summary" in command for command in found)
    assert any("claims | tail -n 1" in command for command in found)
    assert any("calibrate braun2010 --recorded | head -n 1" in command for command in found)


def says(text: str, status: int = 0) -> Any:
    def run(arguments: list[str]) -> int:
        print(text.replace("ARGS", " ".join(arguments)))
        return status

    return run


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("capmodel claims", "one\ntwo\nthree"),
        ("capmodel claims | tail -n 1", "three"),
        ("capmodel claims | head -n 2", "one\ntwo"),
        ("capmodel claims | head -n 2 | tail -n 1", "two"),
        ("capmodel claims | head -n 9", "one\ntwo\nthree"),
    ],
)
def test_filters(command: str, printed: str) -> None:
    assert TOOL.output(command, says("one\ntwo\nthree\n\n")) == printed


def test_arguments_are_those_of_a_shell() -> None:
    found = TOOL.output("capmodel predict --buffer '4096 slots'", says("ARGS"))
    assert found == "predict --buffer 4096 slots"
    assert TOOL.output("capmodel claims", says("1 of 2 claims hold", status=1)) == (
        "1 of 2 claims hold"
    )


@pytest.mark.parametrize(
    ("command", "run", "message"),
    [
        ("rm -rf x", says("x"), "only capmodel is run here"),
        ("capmodel claims | sort", says("x"), "filter 'sort' of .* is not head -n N"),
        ("capmodel claims | head -n 0", says("x"), "filter 'head -n 0'"),
        ("capmodel claims", says("x", status=2), "ended with status 2"),
        ("capmodel claims", says(""), "printed nothing"),
    ],
)
def test_commands_that_fail(command: str, run: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TOOL.output(command, run)


TEXT = """# A

<!-- capmodel one -->
old
<!-- end -->

between

<!-- capmodel two | tail -n 1 -->
<!-- end -->
after
"""


def test_text_is_fenced_and_tables_are_not() -> None:
    answers = {"capmodel one": "1\n2", "capmodel two | tail -n 1": "| a |\n|---|"}
    found = TOOL.filled(TEXT, answers.__getitem__)
    assert found == (
        "# A\n\n<!-- capmodel one -->\n```text\n1\n2\n```\n<!-- end -->\n\nbetween\n\n"
        "<!-- capmodel two | tail -n 1 -->\n| a |\n|---|\n<!-- end -->\nafter\n"
    )
    assert TOOL.filled(found, answers.__getitem__) == found
    # what is printed is not a pattern
    assert r"\1 \g<0>" in TOOL.filled(TEXT, lambda command: r"\1 \g<0>")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("<!-- end -->\n\nbetween", "between"),
        TEXT.replace("<!-- capmodel one -->\n", ""),
        TEXT.replace("<!-- end -->\nafter", "after"),
        TEXT + "<!-- end -->\n",
    ],
)
def test_markers_come_in_pairs(text: str) -> None:
    with pytest.raises(ValueError, match="in pairs"):
        TOOL.filled(text, lambda command: "x")


def test_writing_comparing_and_failing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    text = "<!-- capmodel backends | head -n 1 -->\n<!-- end -->\n"
    path.write_text(text, encoding="utf-8")
    assert TOOL.main(["--check"], path) == 1
    assert "README.md is not up to date" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == text
    assert TOOL.main([], path) == 0
    assert "\nname" in path.read_text(encoding="utf-8")
    assert TOOL.main(["--check"], path) == 0
    assert TOOL.main(["--verify"], path) == 2
    path.write_text("<!-- capmodel backend -->\n<!-- end -->\n", encoding="utf-8")
    assert TOOL.main([], path) == 2
    assert "ended with status 2" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "<!-- capmodel backend -->\n<!-- end -->\n"
    assert [item.name for item in tmp_path.iterdir()] == ["README.md"]

    path.write_text(text, encoding="utf-8")

    def never(*_: Any) -> None:
        raise OSError("not permitted")

    monkeypatch.setattr("capmodel.atomic.os.replace", never)
    with pytest.raises(OSError, match="not permitted"):
        TOOL.main([], path)
    assert path.read_text(encoding="utf-8") == text
    assert [item.name for item in tmp_path.iterdir()] == ["README.md"]


def test_the_tool_runs_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "readme.py"), "--verify"], cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "readme: the only option is --check\n"


def test_make_knows_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nreadme: " in makefile
    if shutil.which("make"):
        done = subprocess.run(
            ["make", "--dry-run", "--assume-old=.venv/.installed-base", "readme"], cwd=ROOT,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "tools/readme.py" in done.stdout


# --- the two commands that the README needs ---


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = cli.main(list(argv))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_validate_summary(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "validate", "--summary", "--set", "published")
    assert (status, err) == (0, "")
    rows = main_table()
    lines = summarise(rows)
    table, _, verdict = out.rstrip().rpartition("\n\n")
    head, rule, *body = table.splitlines()
    assert head.startswith("| data set | role | rows | agree | median error | largest error |")
    assert rule.count("|") == head.count("|") == 8
    assert len(body) == len(lines)
    for text, line in zip(body, lines, strict=True):
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        assert cells[:4] == [line.data_set, line.role, str(line.rows), str(line.agree)]
        assert cells[4] == f"{100 * line.median_error:.1f} %"
        assert cells[6] == line.worst_row
    counts = {
        role: (sum(row.agrees for row in rows if row.role == role),
               sum(row.role == role for row in rows))
        for role in ("validation", "calibration")
    }  # fmt: skip
    assert verdict == (
        f"{counts['validation'][0]} of {counts['validation'][1]} validation rows agree, "
        f"{counts['calibration'][0]} of {counts['calibration'][1]} calibration rows"
    )
    _, out, _ = run(capsys, "validate", "--summary", "--set", "deri2004", "--json")
    assert [entry["data_set"] for entry in json.loads(out)] == ["deri2004"]


def test_the_summary_shows_a_difference_where_nothing_was_measured() -> None:
    from capmodel.cli_output import summary_text
    from capmodel.comparison import ComparisonRow

    rows = [ComparisonRow("set", "none", "validation", "carried_rate", 250.0, 0.0, 1.0, 0.0)]
    assert "| 250 | none |" in summary_text(summarise(rows), rows)
    assert summary_text(summarise(rows), rows).endswith(
        "0 of 1 validation rows agree, 0 of 0 calibration rows"
    )


REPORT = {
    "calibration": "braun2010", "costs": [], "residuals": [], "pins": {},
    "margins": {"first": 1.234, "second": -0.5, "third": 3.0},
    "held": {"first": 0.995, "second": 0.25, "third": 1.0},
    "folds": [{"left_out": ["first", "third"], "margins": [0.5, -2.345]},
              {"left_out": ["second"], "margins": [0.25]}],
}  # fmt: skip


def stored(
    monkeypatch: pytest.MonkeyPatch, folder: Path, content: Any, name: str = "braun2010"
) -> None:
    (folder / "calibration").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "calibration" / f"{name}.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(cli, "data_folder", lambda: folder)


def test_a_recorded_calibration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored(monkeypatch, tmp_path, REPORT)
    status, out, err = run(capsys, "calibrate", "braun2010", "--recorded")
    assert (status, err) == (0, "")
    first, blank, head, *body = out.splitlines()
    assert first == "left out of the fit in 2 folds, 2 of 3 claims still hold"
    assert blank == ""
    assert head.split("  ")[0] == "claim"
    cells = [line.split() for line in body]
    assert cells == [
        ["first", "1.23", "100", "1", "0.5", "holds", "-"],
        ["second", "-0.5", "25", "2", "0.25", "holds", "-"],
        ["third", "3", "100", "1", "-2.35", "FAILS", "-"],
    ]
    _, out, _ = run(capsys, "calibrate", "braun2010", "--recorded", "--json")
    assert json.loads(out) == REPORT


def test_recorded_without_folds_and_without_claims(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored(monkeypatch, tmp_path, {**REPORT, "folds": []})
    _, out, _ = run(capsys, "calibrate", "braun2010", "--recorded")
    assert out.startswith("no claims were left out of the fit\n")
    assert out.splitlines()[3].split() == ["first", "1.23", "100", "-", "-", "-", "-"]
    rows = {
        **REPORT, "calibration": "deri2004", "margins": {}, "held": {}, "folds": [],
        "residuals": [["a", 0.5, 0.51, 0.02]],
    }  # fmt: skip
    stored(monkeypatch, tmp_path, rows, "deri2004")
    _, out, _ = run(capsys, "calibrate", "deri2004", "--recorded")
    assert out.splitlines()[-1].split() == ["a", "0.5", "0.51", "0.5"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "braun2010.json, syntax"),
        ("[]", "braun2010.json, calibration: missing"),
        ("3", "braun2010.json, calibration: missing"),
        ({**REPORT, "calibration": "deri2004"}, "calibration: is 'deri2004', not 'braun2010'"),
        ({key: value for key, value in REPORT.items() if key != "folds"}, "folds: missing"),
    ],
)
def test_damaged_records_are_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: Any,
    message: str,
) -> None:
    stored(monkeypatch, tmp_path, content)
    status, out, err = run(capsys, "calibrate", "braun2010", "--recorded")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_what_was_not_recorded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "data_folder", lambda: tmp_path)
    _, _, err = run(capsys, "calibrate", "braun2010", "--recorded")
    assert "'capmodel calibrate braun2010 --folds 10 --record FILE' makes one" in err
    _, _, err = run(capsys, "calibrate", "braun2011", "--recorded")
    assert "did you mean 'braun2010'" in err
    _, _, err = run(capsys, "calibrate", "braun2010", "--recorded", "--record", "x.json")
    assert "not allowed with argument" in err


def test_recording_and_reading_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "calibration"
    folder.mkdir()
    target = folder / "deri2004.json"
    effort = ["--members", "16", "--final-moves", "1"]
    status, printed, _ = run(
        capsys, "calibrate", "deri2004", *effort, "--record", str(target), "--json"
    )
    assert status == 0
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(printed)
    assert [path.name for path in folder.iterdir()] == ["deri2004.json"]
    monkeypatch.setattr(cli, "data_folder", lambda: tmp_path)
    status, out, _ = run(capsys, "calibrate", "deri2004", "--recorded")
    assert status == 0
    assert "pf-ring-64" in out


@pytest.mark.parametrize("option", ["--record", "--out"])
def test_a_missing_folder_is_said_before_the_fit(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    option: str,
) -> None:
    monkeypatch.setattr("capmodel.calibration_run.run", lambda *_, **__: pytest.fail("it ran"))
    _, _, err = run(capsys, "calibrate", "braun2010", option, str(tmp_path / "none" / "x"))
    assert "there is no folder" in err


def test_what_it_says_to_install_is_in_this_checkout_and_has_all_that_its_blocks_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = re.findall(r"pip install +(\S+)", README)
    assert len(wanted) >= 2
    extras = {}
    for target in wanted:  # the package is on no index
        match = re.fullmatch(r'"\.\[([a-z,]+)\]"[`:,.]*', target)
        assert match is not None, target
        extras[match[1]] = [name for extra in match[1].split(",")
                            for name in project["optional-dependencies"][extra]]  # fmt: skip
    before_replay = README[: README.index("capmodel.replay(")]
    needs = extras[re.findall(r'pip install "\.\[([a-z,]+)\]"', before_replay)[-1]]
    assert any(name.startswith("numba") for name in needs)
    assert any(name.startswith("scapy") for name in needs)


def test_workers_that_share_the_packets_are_answered_where_consumers_point() -> None:
    (note,) = [text for text in predict("1e5", consumers=2).warnings if "every packet" in text]
    section = re.search(r"README, ([^)]+)\)", note)
    assert section is not None
    assert f"\n### {section[1]}\n" in README
