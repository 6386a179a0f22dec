"""The conditions of a run, and its tables in README.md between markers.

A section stands between ``<!-- python -m benchmarks SECTION -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from capmodel.atomic import replacing

README = Path(__file__).with_name("README.md")
BUSY = 0.3  # of the cores: above it times are too long

_BLOCK = re.compile(
    r"^<!-- python -m benchmarks (?P<name>\w+) -->\n.*?^<!-- end -->$", re.DOTALL | re.MULTILINE
)
_MARKER = re.compile(r"^<!-- .* -->$", re.MULTILINE)


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    match = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def conditions() -> str:
    """Machine, versions and how busy it was, in one paragraph."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    packages = ", ".join(_version(name) for name in ("numpy", "scipy", "numba"))
    text = (
        f"Run on {cores} cores ({_processor()}), one thread each side, Python "
        f"{platform.python_version()}, {packages}; load average {load:.1f} when it began."
    )
    if load > BUSY * cores:
        text += " **The machine was busy: times are too long and ratios rough; errors hold.**"
    return text


def sections(text: str) -> list[str]:
    """Names of the sections that a text has room for."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def filled(text: str, outputs: Mapping[str, str]) -> str:
    """The text with these sections in place, others as they were.

    Raises
    ------
    ValueError
        If markers do not pair, or the text has no room for a section.
    """
    names = sections(text)
    if len(_MARKER.findall(text)) != 2 * len(names):
        raise ValueError("'<!-- python -m benchmarks ... -->' and '<!-- end -->' come in pairs")
    homeless = set(outputs) - set(names)
    if homeless:
        raise ValueError(f"there is no room for {', '.join(sorted(homeless))}")

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in outputs:
            return match[0]
        return f"<!-- python -m benchmarks {name} -->\n\n{outputs[name]}\n\n<!-- end -->"

    return _BLOCK.sub(block, text)


def write(outputs: Mapping[str, str], path: Path = README) -> None:
    """Put sections into the file, whole or not at all."""
    after = filled(path.read_text(encoding="utf-8"), outputs)
    with replacing(path) as temporary:
        temporary.write_text(after, encoding="utf-8")
