"""What `sweep` returns: one array per quantity over the grid of arguments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capmodel.application import Application
from capmodel.errors import unknown_choice
from capmodel.machine import Machine
from capmodel.tables import text_table

if TYPE_CHECKING:
    import pandas
    import xarray

# quantity -> +1 where more is better, -1 where less is
QUANTITIES: Mapping[str, int] = MappingProxyType({
    "captured": 1, "loss": -1, "carried_rate": 1, "ring_drops": -1, "buffer_drops": -1,
    "wakeup_rate": -1, "poll_rate": -1, "sojourn_time": -1, "buffer_occupancy": -1,
    "captured_std": -1, "captured_low": 1, "captured_high": 1,
})  # fmt: skip
INTERVAL_ENDS = ("captured_low", "captured_high")
BOTTLENECK = "bottleneck"
_SHOWN = ("captured", "loss", "wakeup_rate", BOTTLENECK)
_FEW = 12


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Predictions over a grid; read a quantity with ``sweep["captured"]``.

    Quantities are `captured`, `loss` [-], `carried_rate`, `ring_drops`, `buffer_drops`,
    `wakeup_rate`, `poll_rate` [1/s], `sojourn_time` [s], `buffer_occupancy` [packets],
    `captured_std` [-] and `bottleneck` (names); with ``intervals=True`` also `captured_low` and
    `captured_high` [-], the ends of the 90 % interval. Its length is the number of points.

    Attributes
    ----------
    axes : mapping of str to tuple
        The arguments that vary and their values as given, in the order of the signature.
    fixed : mapping of str to object
        The arguments that do not.
    arrays : mapping of str to ndarray
        Read-only, each of the shape of the grid.
    warnings : tuple of str
        What limits the validity of some of the points.
    """

    axes: Mapping[str, tuple[Any, ...]]
    fixed: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(values) for values in self.axes.values())

    def __len__(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def keys(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(self.arrays)

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __contains__(self, quantity: object) -> bool:
        return quantity in self.arrays

    def __getitem__(self, quantity: str) -> NDArray[Any]:
        if quantity in INTERVAL_ENDS and quantity not in self.arrays:
            raise ValueError(f"{quantity} is computed only by sweep(..., intervals=True)")
        if quantity not in self.arrays:
            raise unknown_choice("quantity", quantity, self.keys())
        return self.arrays[quantity]

    def best(self, quantity: str = "captured") -> dict[str, Any]:
        """Where a quantity is best: highest captured share or carried rate, lowest anything else.

        Parameters
        ----------
        quantity : str
            One of :meth:`keys`, except ``"bottleneck"``.

        Returns
        -------
        dict
            The value of every axis at the first such point.

        Raises
        ------
        ValueError
            If there is no such quantity, or it has no best.

        Examples
        --------
        >>> from capmodel import sweep
        >>> sweep(1.27e6, work=["0ns", "500ns", "20us"]).best()
        {'work': '500ns'}
        """
        values = self[quantity]
        if quantity not in QUANTITIES:
            options = tuple(key for key in self.keys() if key in QUANTITIES)
            raise unknown_choice("quantity", quantity, options)
        signed = np.where(np.isnan(values), -np.inf, QUANTITIES[quantity] * values)
        places = np.unravel_index(int(np.argmax(signed)), self.shape)
        pairs = zip(self.axes.items(), places, strict=True)
        return {name: values[place] for (name, values), place in pairs}

    def to_rows(self) -> list[dict[str, Any]]:
        """One dictionary per point: axis values as given, then every quantity.

        Returns
        -------
        list of dict
            Plain Python values; the last axis varies fastest.

        Examples
        --------
        >>> from capmodel import sweep
        >>> rows = sweep([1e5, 1.27e6]).to_rows()
        >>> [(row["rate"], row["bottleneck"]) for row in rows]
        [(100000.0, 'unsaturated'), (1270000.0, 'kernel')]
        """
        columns = [values.ravel().tolist() for values in self.arrays.values()]
        points = itertools.product(*self.axes.values())
        return [
            dict(zip((*self.axes, *self.arrays), (*point, *numbers), strict=True))
            for point, numbers in zip(points, zip(*columns, strict=True), strict=True)
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """A tidy frame: one row per point, one column per axis and quantity.

        Returns
        -------
        pandas.DataFrame
            Machines and other objects on an axis appear by name.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from capmodel import sweep
        >>> sweep([1e5, 1.27e6], ring=[256, 1024]).to_pandas().shape
        (4, 13)
        """
        try:
            import pandas
        except ImportError:
            raise ImportError(
                "Sweep.to_pandas needs pandas; install it with: pip install capmodel[frames]"
            ) from None
        points = zip(*itertools.product(*self._coordinates().values()), strict=True)
        axes = dict(zip(self.axes, map(list, points), strict=True))
        return pandas.DataFrame(
            {**axes, **{key: item.ravel() for key, item in self.arrays.items()}}
        )

    def to_xarray(self) -> xarray.Dataset:
        """A data set with one dimension per axis.

        Returns
        -------
        xarray.Dataset
            Machines and other objects on an axis appear by name.

        Raises
        ------
        ImportError
            If xarray is not installed.

        Examples
        --------
        >>> from capmodel import sweep
        >>> dict(sweep([1e5, 1.27e6], ring=[256, 512, 1024]).to_xarray().sizes)
        {'rate': 2, 'ring': 3}
        """
        try:
            import xarray
        except ImportError:
            raise ImportError(
                "Sweep.to_xarray needs xarray; install it with: pip install capmodel[frames]"
            ) from None
        dimensions = tuple(self.axes)
        return xarray.Dataset(
            {key: (dimensions, values) for key, values in self.arrays.items()},
            coords=self._coordinates(),
            attrs={key: label(item) for key, item in self.fixed.items() if item is not None},
        )

    def _coordinates(self) -> dict[str, list[Any]]:
        """Axis values as numbers where all are, else as texts."""
        return {
            name: list(values) if all(map(_is_number, values)) else [str(label(v)) for v in values]
            for name, values in self.axes.items()
        }

    def _table(self) -> tuple[list[str], list[list[Any]]]:
        """Headers and the first rows, for reading."""
        points = itertools.islice(itertools.product(*self.axes.values()), _FEW)
        flat = [self.arrays[key].ravel()[:_FEW].tolist() for key in _SHOWN]
        rows = [
            [*map(label, point), *numbers]
            for point, numbers in zip(points, zip(*flat, strict=True), strict=False)
        ]
        return [*self.axes, *_SHOWN], rows

    def _caption(self) -> str:
        varied = " x ".join(f"{len(values)} {name}" for name, values in self.axes.items())
        return f"sweep of {len(self)} points" + (f" ({varied})" if varied else "")

    def __str__(self) -> str:
        headers, rows = self._table()
        more = [f"... {len(self) - len(rows)} more"] if len(self) > len(rows) else []
        return "\n".join([self._caption(), text_table(headers, rows), *more])

    def __repr__(self) -> str:
        return f"<Sweep: {self._caption()}; {', '.join(self.keys())}>"

    def _repr_html_(self) -> str:
        headers, rows = self._table()
        head = "".join(f"<th>{escape(text)}</th>" for text in headers)
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:right'>{_html(c)}</td>" for c in row) + "</tr>"
            for row in rows
        )
        more = f"<p>... {len(self) - len(rows)} more</p>" if len(self) > len(rows) else ""
        caption = f"<caption>{escape(self._caption())}</caption>"
        return f"<table>{caption}<tr>{head}</tr>{body}</table>{more}"


def label(value: Any) -> Any:
    """An axis value as a number or a text: machines and applications by name.

    Parameters
    ----------
    value : object
        An argument of :func:`capmodel.predict`.

    Returns
    -------
    object
        The value itself if it is a number, a text or None.

    Examples
    --------
    >>> label(256), label({64: 0.5, 1518: 0.5})
    (256, '64=0.5+1518=0.5')
    """
    if isinstance(value, (Machine, Application)):
        return value.name
    if isinstance(value, Mapping):
        return "+".join(f"{size}={share}" for size, share in value.items())
    if isinstance(value, (tuple, list)):
        return "+".join(map(str, value))
    if value is None or isinstance(value, (str, int, float)):
        return value
    return Path(value).name if isinstance(value, Path) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _html(cell: Any) -> str:
    return escape(f"{cell:.4g}" if _is_number(cell) else str(cell))
