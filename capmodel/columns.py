"""Arguments that are whole arrays of numbers in SI units: checked once, for all their entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from capmodel.formulary._typing import Array


def is_column(value: Any) -> bool:
    """Whether an argument is an array of numbers rather than one quantity.

    Parameters
    ----------
    value : object
        The argument.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_column(np.array([1.0, 2.0])), is_column("10ms")
    (True, False)
    """
    return isinstance(value, np.ndarray) and value.ndim > 0


def checked_column(
    value: Array, name: str, *, least: float = 0.0, most: float = np.inf, open_end: bool = True
) -> Array:
    """The array as float64, if every entry is finite and in range.

    Parameters
    ----------
    value : ndarray
        The argument.
    name : str
        What to call it in an error.
    least, most : float
        Range; `least` itself is refused where `open_end` is true.
    open_end : bool
        Whether every entry must exceed `least`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Naming the argument and the first entry that is out of range.

    Examples
    --------
    >>> checked_column(np.array([1, 2]), "rate")
    array([1., 2.])
    """
    numbers = np.asarray(value, dtype=np.float64)
    good = np.isfinite(numbers) & (numbers <= most)
    good &= numbers > least if open_end else numbers >= least
    if not np.all(good):
        bound = "greater than" if open_end else "at least"
        upper = "" if np.isinf(most) else f" and at most {most:g}"
        raise ValueError(
            f"{name} must be finite, {bound} {least:g}{upper}, "
            f"got {float(numbers[~good].flat[0])!r}"
        )
    return numbers
