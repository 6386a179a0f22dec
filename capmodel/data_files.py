"""Where the transcribed data lie: inside an installed package, or beside it in a source tree."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def data_folder() -> Path:
    """Folder that holds ``claims``, ``published``, ``priors`` and ``lab``.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If neither the package nor the source tree has it.

    Examples
    --------
    >>> data_folder().joinpath("claims", "braun2010.toml").is_file()
    True
    """
    package = Path(str(files("capmodel")))
    for folder in (package / "_data", package.parent / "data"):
        if folder.joinpath("claims").is_dir():
            return folder
    raise FileNotFoundError("the data folder is neither in the package nor beside it")
