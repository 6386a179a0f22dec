"""The exchange with the peers, without any of them."""

from __future__ import annotations

import io
import json
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import comparison, install, report, worker
from benchmarks.peers.client import Peer, PeerError, parsed
from benchmarks.peers.comparison import CASES, HOW, OURS, PEERS, Case, Comparison, asked
from benchmarks.peers.libraries import LIBRARIES, PACKAGES, Job, capmodel
from benchmarks.timing import Timing

ROOT = Path(__file__).parents[2]


def fail() -> Any:
    raise OverflowError("too large\nfor a double")


JOBS = {
    "double": lambda x: Job(lambda: 2.0 * x, lambda found: [found], work=4.0),
    "fails": lambda: Job(fail, lambda found: [found]),
}


def conversation(*requests: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    worker.converse(JOBS, [json.dumps(request) for request in requests], out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_worker_answers_line_by_line() -> None:
    first, second, third, fourth = conversation(
        {"job": "double", "params": {"x": 3.0}},
        {"job": "fails", "params": {}},
        {"job": "absent", "params": {}},
        {"job": "double", "params": {"y": 1.0}},
    )
    assert first["answers"] == [6.0]
    assert 0.0 < first["seconds"] < 0.01
    assert second == {"error": "OverflowError: too large"}
    assert third == {"error": "has no absent"}
    assert fourth["error"].startswith("TypeError: ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "ended without an answer"),
        ("Traceback\n", "no JSON"),
        ("[1]\n", "no object"),
        ('{"error": "it broke"}\n', "it broke"),
    ],
)
def test_what_is_no_answer(line: str, words: str) -> None:
    with pytest.raises(PeerError, match=words):
        parsed(line)


def test_a_library_in_a_process_of_its_own() -> None:
    with Peer(OURS) as peer:
        assert peer.greeting["version"]
        assert peer.greeting["memory"] > 1e6
        seconds, (answer,) = peer.sample("md1k", {"load": 0.8, "capacity": 2})
        assert seconds > 0.0
        assert answer == pytest.approx(0.19957030636314266, rel=1e-14)  # reference value
        with pytest.raises(PeerError, match="ValueError: offered_load"):
            peer.sample("md1k", {"load": -1.0, "capacity": 2})
        assert peer.sample("md1k", {"load": 0.8, "capacity": 2})[1] == [answer]


def test_a_library_that_cannot_be_imported() -> None:
    with pytest.raises(PeerError, match="KeyError"):
        Peer("nobody")


class Scripted:
    """A peer that answers from a list; the last answer may be an error."""

    def __init__(self, name: str, *replies: tuple[float, list[float]] | PeerError) -> None:
        self.name, self._replies = name, list(replies)

    def sample(self, job: str, params: Any) -> tuple[float, list[float]]:
        reply = self._replies.pop(0)
        if isinstance(reply, PeerError):
            raise reply
        return reply


QUESTION = Case("half", "half", {}, ("other",), lambda: 0.5)


def test_both_sides_are_held_to_the_exact_value() -> None:
    ours: Any = Scripted(OURS, *[(1.0, [0.5])] * 4)
    theirs: Any = Scripted("other", *[(7.0, [0.25, 0.75, 0.6])] * 4)
    found = asked(QUESTION, ours, theirs, repeats=3)
    assert found.ours is not None
    assert found.theirs is not None
    assert found.ratio is not None
    assert (found.ours.error, found.theirs.answer) == (0.0, 0.6)  # the best of their answers
    assert found.theirs.error == pytest.approx(0.2)
    assert found.ratio.median == 7.0
    # a first answer that took long is not asked for again
    assert found.theirs.timing == Timing((7.0, 7.0, 7.0))


def test_a_peer_that_fails_is_reported_and_ours_still_answers() -> None:
    ours: Any = Scripted(OURS, (1.0, [0.5]), (1.0, [0.5]))
    theirs: Any = Scripted("other", PeerError("OverflowError: no"))
    found = asked(QUESTION, ours, theirs)
    assert (found.failure, found.theirs, found.ratio) == ("OverflowError: no", None, None)
    assert found.ours is not None
    row = report._row(found)
    assert row[2:5] == ["other", "0.0e+00", "OverflowError: no"]


def test_not_one_digit_right_shows_the_answer() -> None:
    ours: Any = Scripted(OURS, *[(1.0, [0.5])] * 4)
    theirs: Any = Scripted("other", *[(7.0, [-1e-14])] * 4)
    found = asked(QUESTION, ours, theirs, repeats=3)
    assert found.theirs is not None
    assert report.error_in_words(found.theirs) == "answers -1e-14"


def test_without_peers_it_says_how_to_get_them(tmp_path: Path) -> None:
    with Comparison(tmp_path / "none") as without:
        assert not without.installed
        assert without.outcome(CASES[0], "LINE").failure == HOW
        ((row,),) = [table.rows for table in report.tables(without)]
        assert row == ["all", HOW]


def test_what_did_not_install_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / install.FAILURES).write_text(json.dumps({"Ciw": "ERROR: no wheel"}))
    monkeypatch.setattr(comparison, "LIBRARIES", {"Ciw": LIBRARIES["Ciw"]})
    with Comparison(tmp_path) as some:
        assert some.missing == {"Ciw": "does not install: ERROR: no wheel"}
        assert report.libraries(some).rows == [["Ciw", some.missing["Ciw"], "", ""]]


def test_pip_that_fails_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    script = "import sys; print('ERROR: no ' + sys.argv[2]); print('hint'); sys.exit(1)"
    failed = install.install(tmp_path, [sys.executable, "-c", script])
    assert failed == install.failures(tmp_path)
    assert set(failed) == set(install.pinned(install.REQUIREMENTS.read_text(encoding="utf-8")))
    assert failed["Ciw"].startswith("ERROR: no Ciw==")


def test_requirements_are_pinned() -> None:
    text = "# why\nCiw==3.2.7  # comment\n\nmost-queue==2.9\n"
    assert install.pinned(text) == {"Ciw": "3.2.7", "most-queue": "2.9"}
    with pytest.raises(ValueError, match=r"line 2 must be name==version, got 'Ciw>=3'"):
        install.pinned("\nCiw>=3\n")


def test_last_words() -> None:
    assert install.last_words("a\nERROR: b\nnotice\n") == "ERROR: b"
    assert install.last_words("a\n\nb\n") == "b"
    assert install.last_words("") == "no message"


def test_peers_are_no_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    declared = list(chain.from_iterable(groups))
    for name in PEERS:
        assert not any(line.lower().startswith(PACKAGES[name].lower()) for line in declared), name
    pins = install.pinned(install.REQUIREMENTS.read_text(encoding="utf-8"))
    assert {PACKAGES[name] for name in PEERS} <= set(pins)


def test_the_package_has_every_job_and_peers_are_known() -> None:
    assert {case.job for case in CASES} <= set(capmodel())
    assert {name for case in CASES for name in case.peers} == set(PEERS)
    assert set(PACKAGES) == set(LIBRARIES)
