"""The one place where numba meets the type checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function to machine code on its first call, and keep the code on disk.

    Parameters
    ----------
    function : callable
        Written in what numba understands.

    Returns
    -------
    callable
        Same signature, same results.

    Examples
    --------
    >>> @compiled
    ... def double(x: float) -> float:
    ...     return 2.0 * x
    >>> double(1.5)
    3.0
    """
    # the cache is keyed by source file: a function typed at the prompt or in a doctest has none
    cached = function.__code__.co_filename.endswith(".py")
    return cast(F, njit(cache=cached, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile a function into those that call it: no arrays are handed over, nor counted.

    A call that takes arrays counts who refers to each of them, in steps that no core may disturb;
    where a loop calls something small for every packet, that is most of its time.

    Parameters
    ----------
    function : callable
        As for :func:`compiled`.

    Returns
    -------
    callable
        Same signature, same results.

    Examples
    --------
    >>> @inlined
    ... def half(x: float) -> float:
    ...     return 0.5 * x
    >>> half(3.0)
    1.5
    """
    return cast(F, njit(inline="always", nogil=True, error_model="numpy")(function))
