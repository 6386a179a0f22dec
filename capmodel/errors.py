"""The two complaints that recur: a choice that does not exist, and a file that is damaged."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike


def closest(got: object, options: Iterable[str], *, heads: bool = False) -> str | None:
    """Option nearest to what was given, or None when nothing is near.

    Parameters
    ----------
    got : object
        What was given; only a string can be near anything.
    options : iterable of str
        What exists.
    heads : bool
        Whether an option is near too if the part of it before its first ``_`` is, or if it is a
        word of two letters or more that what was given begins with. Where being near decides more
        than a hint, these are not.

    Returns
    -------
    str or None
        An option that differs in letter case alone comes before one that differs in letters. Near
        is what takes no more edits (a letter put in, left out, changed, or two swapped) than a
        third of the letters.

    Examples
    --------
    >>> closest("mpps", ["pps", "kpps", "Mpps"])
    'Mpps'
    >>> closest("pf_paket", ["pf_packet", "netmap"])
    'pf_packet'
    >>> closest("epic", ["epyc_vm", "deri2004"], heads=True), closest("10", ["1", "2"])
    ('epyc_vm', None)
    """
    if not isinstance(got, str):
        return None
    folded: dict[str, str] = {}
    for option in options:
        folded.setdefault(option.casefold(), option)
    if got.casefold() in folded:
        return folded[got.casefold()]
    wholes = {name: name for name in folded}
    parts: dict[str, str] = {}
    for name in folded:
        if heads and "_" in name:
            parts.setdefault(name.partition("_")[0], name)
    for words in (wholes, parts):
        found = [(_edits(got.casefold(), word), name) for word, name in words.items()
                 if _few(got.casefold(), word)]  # fmt: skip
        if found:
            return folded[min(found, key=lambda pair: pair[0])[1]]
    begun = [name for name in folded if heads and _begins(got.casefold(), name)]
    return folded[max(begun, key=len)] if begun else None


def _begins(got: str, option: str) -> bool:
    return len(option) > 1 and option.isalpha() and got.startswith(option)


def _few(got: str, option: str) -> bool:
    longest = max(len(got), len(option))
    # lengths that differ by more cannot be bridged: nothing to count
    if 3 * abs(len(got) - len(option)) > longest:
        return False
    return 3 * _edits(got, option) <= longest


def _edits(a: str, b: str) -> int:
    """Letters put in, left out or changed, and neighbours swapped, from one word to the other."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(b, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]


def unknown_choice(name: str, got: object, options: Iterable[str]) -> ValueError:
    """Error for a name that is not among those that exist.

    Parameters
    ----------
    name : str
        The argument, in the caller's words.
    got : object
        What was given.
    options : iterable of str
        What exists, in the order in which it is to be listed.

    Returns
    -------
    ValueError
        To be raised by the caller; one sentence with all options and the closest.

    Examples
    --------
    >>> print(unknown_choice("backend", "pf_paket", ["pf_packet", "netmap"]))
    backend must be one of 'pf_packet', 'netmap', not 'pf_paket' (did you mean 'pf_packet'?)
    """
    options = list(options)
    if not options:
        return ValueError(f"{name} cannot be {got!r}, because there are none to choose from")
    listed = ", ".join(repr(option) for option in options)
    near = closest(got, options, heads=True)
    hint = f" (did you mean {near!r}?)" if near is not None else ""
    return ValueError(f"{name} must be one of {listed}, not {got!r}{hint}")


def damaged_file(path: str | PathLike[str], where: str, what: str) -> ValueError:
    """Error for a file whose contents cannot be used.

    Parameters
    ----------
    path : str or path-like
        The file.
    where : str
        The place in it: a line, a key.
    what : str
        What is wrong there.

    Returns
    -------
    ValueError
        To be raised by the caller.

    Examples
    --------
    >>> print(damaged_file("machines/mine.toml", "line 3", "the key 'unit' is missing"))
    machines/mine.toml, line 3: the key 'unit' is missing
    """
    return ValueError(f"{path}, {where}: {what}")
