"""What this process uses; standard library only."""

from __future__ import annotations

import re
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_memory() -> int:
    """Largest size so far [B]; where there is no /proc, that of a parent may be counted in."""
    found = _PEAK.search(_STATUS.read_text(encoding="utf-8")) if _STATUS.exists() else None
    # a child starts with its parent's ru_maxrss, even after exec
    return 1024 * (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
