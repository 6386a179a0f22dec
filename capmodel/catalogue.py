"""Finding and reading the TOML files that hold mechanisms, numbers and applications."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from capmodel.errors import damaged_file, unknown_choice


@cache
def names(folder: str) -> tuple[str, ...]:
    """Names of the TOML files of a package folder, sorted.

    Parameters
    ----------
    folder : str
        ``"backends"``, ``"machines"`` or ``"applications"``.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "pf_packet" in names("backends")
    True
    """
    found = files("capmodel").joinpath(folder).iterdir()
    return tuple(sorted(item.name[:-5] for item in found if item.name.endswith(".toml")))


def locate(folder: str, name: str) -> Path:
    """File of a named entry.

    Parameters
    ----------
    folder, name : str
        As for :func:`names`; the name of one entry.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If there is no such entry; the message lists those that exist.

    Examples
    --------
    >>> locate("backends", "bpf").name
    'bpf.toml'
    """
    if name not in names(folder):
        raise unknown_choice(folder.removesuffix("s"), name, names(folder))
    return Path(str(files("capmodel").joinpath(folder, f"{name}.toml")))


def read_toml(path: Path) -> dict[str, Any]:
    """Content of a TOML file, with errors that name the file and the line.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If it cannot be read or parsed.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise damaged_file(path, "file", "it does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise damaged_file(path, "file", str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise damaged_file(path, "syntax", str(error)) from None


def expect(
    table: Mapping[str, Any], allowed: Mapping[str, type | tuple[type, ...]], path: Path, where: str
) -> None:
    """Refuse unknown keys and wrong types, naming file and key.

    Parameters
    ----------
    table : mapping
        What was read.
    allowed : mapping
        Known keys and their types.
    path : Path
        The file, for the message.
    where : str
        The table's name, for the message.

    Raises
    ------
    ValueError
        At the first key that is unknown or of the wrong type.
    """
    for key, value in table.items():
        if key not in allowed:
            raise damaged_file(path, f"{where}.{key}", f"unknown key; known: {', '.join(allowed)}")
        if not isinstance(value, allowed[key]) or isinstance(value, bool) is not (
            allowed[key] is bool
        ):
            raise damaged_file(
                path, f"{where}.{key}", f"{value!r} is of the wrong type ({type(value).__name__})"
            )
