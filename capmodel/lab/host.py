"""What the machine is that measures: kernel, processor, whether it is a virtual one, its load."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Host:
    """Facts that go with a measurement.

    Parameters
    ----------
    cpu, kernel : str
        Model of the processor, release of the kernel.
    virtual : bool
        Whether a hypervisor is beneath.
    cores : int
        Cores that this process may use.
    load : float
        Load average over a minute [processes].
    date : str
        Day of the measurement, ISO 8601.

    Examples
    --------
    >>> Host("AMD EPYC", "6.18", True, 2, 0.1, "2026-11-24").title
    'AMD EPYC, 2 cores, virtual, Linux 6.18'
    """

    cpu: str
    kernel: str
    virtual: bool
    cores: int
    load: float
    date: str

    @property
    def title(self) -> str:
        """The machine on one line."""
        kind = "virtual" if self.virtual else "bare metal"
        return f"{self.cpu}, {self.cores} cores, {kind}, Linux {self.kernel}"


def this_host() -> Host:
    """The machine that this runs on.

    Returns
    -------
    Host
        What the system does not tell is "unknown".
    """
    text = _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else ""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Host(
        cpu=fields.get("model name", _UNKNOWN),
        # a release may name the build: what identifies the kernel stands before the first dash
        kernel=platform.release().split("-")[0] or _UNKNOWN,
        virtual="hypervisor" in fields.get("flags", "").split(),
        cores=cores or 1,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        date=datetime.now(UTC).date().isoformat(),
    )
