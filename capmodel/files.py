"""Files are written to a temporary name and renamed, so that none is ever half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    text : str
        Its content.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        # mkstemp makes private files; the result should have the usual permissions
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
