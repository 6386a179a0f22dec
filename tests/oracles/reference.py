"""Values computed elsewhere by two methods each; see data/reference_values/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "data" / "reference_values" / "models.json"


def entries() -> dict[str, dict[str, Any]]:
    """Every entry by its name: parameters, values, and how far its two methods are apart."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def reference_values(prefix: str) -> dict[str, tuple[dict[str, Any], list[float]]]:
    """Parameters and values of every entry whose name starts with `prefix`."""
    found = {
        name: (entry["params"], entry["value"])
        for name, entry in entries().items()
        if name.startswith(prefix)
    }
    assert found, prefix
    return found
