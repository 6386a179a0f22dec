"""The two complaints that recur: a choice that does not exist, and a file that is damaged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from os import PathLike


def closest(got: object, options: Iterable[str]) -> str | None:
    """Option nearest to what was given, or None when nothing is near.

    Parameters
    ----------
    got : object
        What was given; only a string can be near anything.
    options : iterable of str
        What exists.

    Returns
    -------
    str or None
        An option that differs in letter case alone comes before one that differs in letters.

    Examples
    --------
    >>> closest("mpps", ["pps", "kpps", "Mpps"])
    'Mpps'
    >>> closest("pf_paket", ["pf_packet", "netmap"])
    'pf_packet'
    """
    if not isinstance(got, str):
        return None
    folded: dict[str, str] = {}
    for option in options:
        folded.setdefault(option.casefold(), option)
    if got.casefold() in folded:
        return folded[got.casefold()]
    near = difflib.get_close_matches(got.casefold(), folded, n=1)
    return folded[near[0]] if near else None


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
    near = closest(got, options)
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
