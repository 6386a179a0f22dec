"""The works that numbers, formulas and data come from: ``references.bib``, read once."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from capmodel.errors import closest, damaged_file

FILE = "references.bib"

_OPENING = re.compile(r"@(?P<kind>[A-Za-z]+)\{(?P<key>[^\s,{}]+),")
_FIELD = re.compile(r"(?P<name>[A-Za-z][\w-]*)\s*=\s*\{(?P<value>.*)\},?")
_ACCENT = re.compile(r"\\(?P<accent>[\"'`^~=.]|[cvuH](?=[ {]))\s*\{?(?P<letter>\\?[A-Za-z])\}?")
_COMBINING = {
    '"': "\N{COMBINING DIAERESIS}",
    "'": "\N{COMBINING ACUTE ACCENT}",
    "`": "\N{COMBINING GRAVE ACCENT}",
    "^": "\N{COMBINING CIRCUMFLEX ACCENT}",
    "~": "\N{COMBINING TILDE}",
    "=": "\N{COMBINING MACRON}",
    ".": "\N{COMBINING DOT ABOVE}",
    "c": "\N{COMBINING CEDILLA}",
    "v": "\N{COMBINING CARON}",
    "u": "\N{COMBINING BREVE}",
    "H": "\N{COMBINING DOUBLE ACUTE ACCENT}",
}
_PLAIN = {
    r"\ss": "\N{LATIN SMALL LETTER SHARP S}",
    r"\o": "\N{LATIN SMALL LETTER O WITH STROKE}",
    r"\O": "\N{LATIN CAPITAL LETTER O WITH STROKE}",
    r"\l": "\N{LATIN SMALL LETTER L WITH STROKE}",
    r"\L": "\N{LATIN CAPITAL LETTER L WITH STROKE}",
}
_PLAIN_PATTERN = re.compile("|".join(re.escape(command) + r"\b" for command in _PLAIN))
_VENUES = (
    "journal",
    "booktitle",
    "howpublished",
    "publisher",
    "institution",
    "school",
    "organization",
)


@dataclass(frozen=True)
class Reference:
    """One work.

    Parameters
    ----------
    key : str
        What constants and documents call it.
    kind : str
        Type of the entry in lower case, such as ``article``.
    fields : mapping of str to str
        Fields as they stand in the file, with names in lower case.

    Examples
    --------
    >>> work = Reference("moran1950", "article", {"author": "Moran, A. and Knuth, B.",
    ...                  "title": "On {Dams}", "journal": "J. Dams", "year": "1950"})
    >>> work.text()
    'A. Moran, B. Knuth: On Dams. J. Dams, 1950.'
    """

    key: str
    kind: str
    fields: Mapping[str, str]

    def text(self) -> str:
        """Citation on one line: authors, title, where, year, identifier.

        Returns
        -------
        str
            Plain text; fields that are missing are left out.
        """
        field = {name: _plain(value) for name, value in self.fields.items()}
        people = _people(self.fields.get("author") or self.fields.get("editor") or "")
        venue = next((field[name] for name in _VENUES if field.get(name)), "")
        if venue and field.get("volume"):
            number = f"({field['number']})" if field.get("number") else ""
            venue += f" {field['volume']}{number}"
        pages = f"pp. {field['pages']}" if field.get("pages") else ""
        identifier = f"doi:{field['doi']}" if field.get("doi") else field.get("url", "")
        where = ", ".join(part for part in (venue, pages, field.get("year", "")) if part)
        head = ": ".join(part for part in (people, field.get("title", "")) if part)
        parts = [part.rstrip(".") + "." for part in (head, where) if part]
        return " ".join([*parts, identifier] if identifier else parts)


@functools.cache
def references() -> Mapping[str, Reference]:
    """Every work that the package cites, by key.

    Returns
    -------
    mapping of str to Reference
        Read only; the file is read at the first call.

    Raises
    ------
    ValueError
        Naming file and line, if an entry is malformed.

    Examples
    --------
    >>> all(work.text() for work in references().values())
    True
    """
    text = resources.files("capmodel").joinpath(FILE).read_text(encoding="utf-8")
    return MappingProxyType(parse_bibliography(text, FILE))


def reference(key: str) -> Reference:
    """One work by its key.

    Parameters
    ----------
    key : str
        As in ``references.bib``.

    Returns
    -------
    Reference
        The work.

    Raises
    ------
    KeyError
        Naming the closest key, if there is no such work.

    Examples
    --------
    >>> reference("no such work")
    Traceback (most recent call last):
        ...
    KeyError: "references.bib has no work 'no such work'..."
    """
    works = references()
    if key in works:
        return works[key]
    near = closest(key, works)
    hint = f"; the closest is {near!r}" if near is not None else ""
    raise KeyError(f"{FILE} has no work {key!r}{hint}")


def parse_bibliography(text: str, file: str) -> dict[str, Reference]:
    r"""Works of a BibTeX file that keeps each field on one line.

    Parameters
    ----------
    text : str
        Contents: entries of an opening line ``@kind{key,``, lines ``name = {value},`` and a
        closing ``}``; between entries blank lines and lines that start with ``%``.
    file : str
        Name of the file, for errors.

    Returns
    -------
    dict of str to Reference
        In the order of the file.

    Raises
    ------
    ValueError
        Naming file and line, if an entry is malformed, has neither a title nor a
        howpublished, or repeats a key.

    Examples
    --------
    >>> list(parse_bibliography("@book{knuth1973,\n  title = {Sorting},\n}", "mine.bib"))
    ['knuth1973']
    """
    works: dict[str, Reference] = {}
    opening: re.Match[str] | None = None
    fields: dict[str, str] = {}
    number = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line, where = raw.strip(), f"line {number}"
        if not line or line.startswith("%"):
            continue
        if opening is None:
            opening = _OPENING.fullmatch(line)
            if opening is None:
                raise damaged_file(file, where, f"expected '@kind{{key,', found {line!r}")
            if opening["key"] in works:
                raise damaged_file(file, where, f"the key {opening['key']!r} is there twice")
            fields = {}
        elif line == "}":
            if not (fields.get("title") or fields.get("howpublished")):
                message = f"the work {opening['key']!r} has neither title nor howpublished"
                raise damaged_file(file, where, message)
            key = opening["key"]
            works[key] = Reference(key, opening["kind"].lower(), MappingProxyType(fields))
            opening = None
        else:
            name, value = _field(line, file, where)
            if name in fields:
                raise damaged_file(file, where, f"the field {name!r} is there twice")
            fields[name] = value
    if opening is not None:
        raise damaged_file(file, f"line {number}", f"the work {opening['key']!r} is not closed")
    return works


def _field(line: str, file: str, where: str) -> tuple[str, str]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise damaged_file(file, where, f"expected 'name = {{value}},' or '}}', found {line!r}")
    depth = 0
    for character in match["value"].replace(r"\{", "").replace(r"\}", ""):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            break
    if depth != 0:
        raise damaged_file(file, where, f"the braces of {match['name']!r} do not balance")
    return match["name"].lower(), match["value"].strip()


def _people(names: str) -> str:
    """Initials and family names; an organisation in braces stays as it is."""
    people = [_person(name.strip()) for name in re.split(r"\s+and\s+", names) if name]
    return ", ".join("et al." if person == "others" else person for person in people)


def _person(name: str) -> str:
    family, comma, given = name.partition(",")
    if name.startswith("{") or not comma:
        return _plain(name)
    initials = " ".join(f"{part[0]}." for part in _plain(given).replace("-", " ").split())
    return f"{initials} {_plain(family)}".strip()


def _plain(value: str) -> str:
    """Text of a field without its markup."""
    value = _ACCENT.sub(_accented, value)
    value = _PLAIN_PATTERN.sub(lambda match: _PLAIN[match[0]], value)
    value = re.sub(r"[{}]", "", value).replace("---", "\N{EM DASH}")
    value = re.sub(r"\\([&%_#$])", r"\1", value).replace("--", "\N{EN DASH}").replace("~", " ")
    return " ".join(value.split())


def _accented(match: re.Match[str]) -> str:
    letter = match["letter"].removeprefix("\\")
    return unicodedata.normalize("NFC", letter + _COMBINING[match["accent"]])
