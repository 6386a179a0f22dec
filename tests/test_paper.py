"""The paper: every number computed, every quotation listed, every work known."""

from __future__ import annotations

import importlib.util
import math
import re
import tomllib
from pathlib import Path

import pytest

from capmodel.references import reference

FOLDER = Path(__file__).resolve().parent.parent / "paper"
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w])")
COUNTED = re.compile(r"\b(?:Sections?|Figures?|Tables?|Equations?|level)\s+$")


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"paper_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = loaded("build")
SOURCE = build.SOURCE.read_text(encoding="utf-8")
QUOTES = tomllib.loads((FOLDER / "quoted.toml").read_text(encoding="utf-8"))["quote"]


def prose(text):
    """Text without markers, mathematics, code, headings and pictures."""
    for pattern in (r"\{\{.+?\}\}", r"\$\$.+?\$\$", r"\$[^$]+?\$", r"`[^`]*`", r"!?\]\([^)]*\)"):
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE)


def paragraphs(text):
    return [part for part in re.split(r"\n\s*\n|\n(?=- )", text) if part.strip()]


def bare_numbers(paragraph):
    """Numbers that are neither years, nor counts of sections and figures, nor small and whole."""
    found = []
    for match in NUMBER.finditer(paragraph):
        text = match[0].rstrip(",")
        after = paragraph[match.end() :].lstrip()
        whole = text.isdigit()
        year = whole and 1970 <= int(text) <= 2030
        counted = whole and COUNTED.search(paragraph[: match.start()])
        if not (year or counted or (whole and int(text) <= 3 and not after.startswith("%"))):
            found.append(text)
    return found


@pytest.fixture(scope="module")
def fresh():
    return build.built(SOURCE)


def test_every_expression_has_a_finite_value(fresh):
    assert len(build.markers(SOURCE)) > 50
    assert "{{" not in fresh
    assert not re.search(r"\b(?:nan|inf)\b", fresh)


def test_the_built_paper_is_up_to_date_within_rounding(fresh):
    text = build.TARGET.read_text(encoding="utf-8")
    digits = re.compile(r"\d+(?:\.\d+)?")
    words = [digits.sub("#", version).split() for version in (text, fresh)]
    assert words[0] == words[1], "run: make paper"
    for old, new in zip(digits.findall(text), digits.findall(fresh), strict=True):
        last = 10.0 ** -len(old.partition(".")[2])
        assert math.isclose(float(old), float(new), rel_tol=1e-9, abs_tol=1.01 * last), "make paper"


def test_no_number_of_the_model_stands_outside_a_marker():
    for paragraph in paragraphs(prose(SOURCE)):
        cited = set(build.CITATION.findall(paragraph))
        allowed = {quote["text"] for quote in QUOTES if quote["source"] in cited}
        bare = [number for number in bare_numbers(paragraph) if number not in allowed]
        assert not bare, f"{bare} in: {paragraph.strip()[:80]}"


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: quote["text"])
def test_every_quotation_is_used_and_has_its_place(quote):
    assert reference(quote["source"]).text()
    assert quote["locator"]
    assert quote["text"] in {n for p in paragraphs(prose(SOURCE)) for n in bare_numbers(p)}


def test_a_bare_number_is_found():
    assert bare_numbers("it captures 62.3 % at 1.27 Mpps, see Section 4 and Figure 11, 2010") == [
        "62.3",
        "1.27",
    ]
    assert bare_numbers("a loss of 2 % of 64-byte frames in TPACKET_V3") == ["2", "64"]


def test_every_work_is_known(fresh):
    keys = set(build.CITATION.findall(fresh))
    assert len(keys) > 20
    for key in keys:
        assert reference(key).key == key
        assert f"**@{key}**" in fresh


def test_every_figure_is_there():
    figures = loaded("figures")
    shown = re.findall(r"\]\((figures/[^)]+)\)", SOURCE)
    assert len(shown) >= 5
    for path in shown:
        assert (FOLDER / path).is_file()
    drawn = {path.name for path in (FOLDER / "figures").iterdir()}
    assert drawn == {f"{stem}.{ending}" for stem in figures.FIGURES for ending in ("png", "svg")}
    for path in (FOLDER / "figures").glob("*.svg"):
        assert "<dc:date>" not in path.read_text(encoding="utf-8")


def test_a_figure_is_drawn_whole_or_not_at_all(tmp_path, monkeypatch):
    figures = loaded("figures")
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    figures.main(["fig12"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "fig12_policies.png",
        "fig12_policies.svg",
    }


def test_the_paper_has_the_length_of_a_paper(fresh):
    words = len(prose(fresh.split("## Cited works")[0]).split())
    assert 2000 < words < 4500
