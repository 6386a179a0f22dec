"""Recorded arrivals: a file of times, and frame sizes if there are any."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capmodel.errors import damaged_file
from capmodel.lab.point import MOST_PACKETS, MOST_SECONDS
from capmodel.pcap import is_capture
from capmodel.pcap import read_trace as captured
from capmodel.quantities import LARGEST_FRAME, LARGEST_JUMBO, SMALLEST_FRAME


def read_trace(
    path: Path, rate: float | None = None, *, jumbo: bool = False
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    r"""Arrival times of a recorded trace, from the first packet on.

    Parameters
    ----------
    path : Path
        A pcap or pcapng file (see :func:`capmodel.read_trace`); or text with a time [s] in every
        line, which must not fall, and after a comma, in all lines or in none, a frame size [B],
        checksum included. Lines that begin with ``#`` are skipped.
    rate : float, optional
        Mean rate [1/s] to which the times are stretched or squeezed; default: as recorded.
    jumbo : bool
        Allow frames above 9216 bytes.

    Returns
    -------
    ndarray
        Times [s], the first at 0.
    ndarray or None
        Frame sizes [B].

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or longer than the lab's longest run.
    ImportError
        If it is a pcap file and Scapy is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "trace.csv"
    >>> _ = path.write_text("10.0,64\n10.5,128\n11.0,64\n")
    >>> times, sizes = read_trace(path)
    >>> times.tolist(), sizes.tolist()
    ([0.0, 0.5, 1.0], [64.0, 128.0, 64.0])
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no trace {path}")
    table = _captured(path) if is_capture(path) else _written(path)
    if table.shape[0] < 2 or table.shape[1] not in (1, 2) or not np.all(np.isfinite(table)):
        raise damaged_file(path, "trace", "needs two lines or more of a time, or a time and a size")
    if table.shape[0] > MOST_PACKETS:
        raise damaged_file(path, "trace", f"has more than {MOST_PACKETS:,} packets")
    times = np.ascontiguousarray(table[:, 0] - table[0, 0])
    if np.any(np.diff(times) < 0.0) or times[-1] <= 0.0:
        raise damaged_file(path, "trace", "times must rise")
    if rate is not None:
        times *= (times.size - 1) / (rate * times[-1])
    if times[-1] > MOST_SECONDS:
        raise damaged_file(
            path, "trace", f"lasts {times[-1]:g} s, the lab's longest run is {MOST_SECONDS:g} s; "
            "give a higher rate, or a shorter piece"
        )  # fmt: skip
    if table.shape[1] == 1:
        return times, None
    sizes = np.ascontiguousarray(table[:, 1])
    most = LARGEST_JUMBO if jumbo else LARGEST_FRAME
    if np.any((sizes < SMALLEST_FRAME) | (sizes > most) | (sizes != np.floor(sizes))):
        raise damaged_file(path, "trace", f"sizes must be whole bytes from 64 to {most:.0f}")
    return times, sizes


def _captured(path: Path) -> npt.NDArray[np.float64]:
    """Times and sizes of a pcap or pcapng file."""
    packets = captured(path)
    return np.column_stack([packets.times, packets.sizes])


def _written(path: Path) -> npt.NDArray[np.float64]:
    """Times, and sizes if there are any, of a text file."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = (line for line in file if line.strip() and not line.startswith("#"))
            some = itertools.islice(lines, MOST_PACKETS + 1)
            return np.loadtxt(some, delimiter=",", ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise damaged_file(path, "trace", " ".join(str(error).split())) from None
