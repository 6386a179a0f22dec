"""Files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A file to write in place of another, which takes its name only once it is complete.

    Parameters
    ----------
    path : str or Path
        The file that is wanted.

    Yields
    ------
    Path
        A file in the same folder, with the same ending, that does not exist yet. When the block
        ends it is moved to `path`; when the block raises it is removed and `path` stays as it was.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "table.csv") as temporary:
    ...     _ = temporary.write_text("rate,captured", encoding="utf-8")
    >>> [file.name for file in folder.iterdir()]
    ['table.csv']
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target} cannot be written: there is no folder {target.parent}")
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
