from __future__ import annotations

import pytest

from capmodel.references import Reference, parse_bibliography, reference, references

ARTICLE = r"""% a comment
@Article{erlang1917,
  author = {Erlang, Agner Krarup and M{\"u}ller, J{\"u}rgen-Peter and {The {ACM} Group}},
  title = {Losses \& {Waits}: 1--2},
  journal = {Elektroteknikeren},
  volume = {13},
  number = {2},
  pages = {5--13},
  year = {1917},
  DOI = {10.1000/x_1},
}
"""


def test_an_entry_and_its_citation() -> None:
    works = parse_bibliography(ARTICLE, "mine.bib")
    work = works["erlang1917"]
    assert work.kind == "article"
    assert work.fields["doi"] == "10.1000/x_1"
    assert work.text() == (
        "A. K. Erlang, J. P. M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller, The ACM Group: "
        "Losses & Waits: 1\N{EN DASH}2. Elektroteknikeren 13(2), pp. 5\N{EN DASH}13, 1917. "
        "doi:10.1000/x_1"
    )


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        (r"{\'e}", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (r"\'{e}", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (r"\v{c}", "\N{LATIN SMALL LETTER C WITH CARON}"),
        (r"\c c", "\N{LATIN SMALL LETTER C WITH CEDILLA}"),
        (r"{\o}re", "\N{LATIN SMALL LETTER O WITH STROKE}re"),
        (r"stra{\ss}e", "stra\N{LATIN SMALL LETTER SHARP S}e"),
        ("a~b", "a b"),
        (r"5\,\%", r"5\,%"),
    ],
)
def test_markup(markup: str, plain: str) -> None:
    assert Reference("k", "misc", {"title": markup}).text() == f"{plain}."


def test_a_citation_leaves_out_what_is_missing() -> None:
    work = Reference("k", "misc", {"title": "Notes", "url": "https://example.org/n"})
    assert work.text() == "Notes. https://example.org/n"
    assert Reference("k", "misc", {"title": "T", "author": "{IEEE}"}).text() == "IEEE: T."
    work = Reference("k", "misc", {"title": "T", "author": "Jane Doe and others"})
    assert work.text() == "Jane Doe, et al.: T."
    assert Reference("k", "misc", {"howpublished": "A list", "year": "1999"}).text() == (
        "A list, 1999."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = {x},", "line 1: expected '@kind{key,'"),
        ("@book{a b,\n}", "line 1: expected '@kind{key,'"),
        ("\n@book{a,\n  title = x,\n}", "line 3: expected 'name = {value},'"),
        ("@book{a,\n  title = {x,\n}", "line 2: expected 'name = {value},'"),
        ("@book{a,\n  title = {{x},\n}", "line 2: the braces of 'title' do not balance"),
        ("@book{a,\n  title = {x}}y{},\n}", "line 2: the braces of 'title' do not balance"),
        ("@book{a,\n  title = {x},\n  Title = {y},\n}", "line 3: the field 'title' is there"),
        ("@book{a,\n  year = {1},\n}", "line 3: the work 'a' has neither title nor howpublished"),
        ("@book{a,\n  title = {x},\n", "line 2: the work 'a' is not closed"),
        ("@book{a,\n  title = {x},\n}\n" * 2, "line 4: the key 'a' is there twice"),
        ("@book{a,\n  title = {x},\n@book{b,\n", "line 3: expected 'name = {value},'"),
    ],
)
def test_a_malformed_entry_names_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^mine.bib, line") as caught:
        parse_bibliography(text, "mine.bib")
    assert str(caught.value).startswith(f"mine.bib, {message}")


def test_the_works_of_the_package() -> None:
    works = references()
    assert works
    assert works is references()
    for key, work in works.items():
        text = work.text()
        assert work.key == key
        assert reference(key) is work
        assert "\n" not in text
        assert not set("{}\\") & set(text), f"{key} has markup that is not understood: {text}"


def test_the_works_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        references()["new"] = Reference("new", "misc", {})  # type: ignore[index]


def test_an_unknown_work_names_the_closest() -> None:
    key = next(iter(references()))
    with pytest.raises(KeyError, match=rf"no work '{key}x'; the closest is '"):
        reference(f"{key}x")
