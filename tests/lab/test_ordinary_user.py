"""The live tests once more without root's rights, where root runs the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="all tests are an ordinary user's here"
)
ROOT = Path(__file__).parents[2]


def as_ordinary_user(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python as user 1000 without a capability; root's files stay readable by another mapping."""
    return subprocess.run(
        ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, *arguments],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_instrument_counts_every_packet_without_root(namespace) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare (util-linux) to become an ordinary user with")
    rights = as_ordinary_user(
        "-c", "import os; print(os.geteuid(), *open('/proc/self/status').read().split())"
    )
    if rights.returncode:
        pytest.skip(f"root may not become an ordinary user here: {rights.stderr.strip()[-200:]}")
    words = rights.stdout.split()
    assert words[0] == "1000"
    assert int(words[words.index("CapEff:") + 1], 16) == 0
    found = as_ordinary_user(
        "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/lab/test_run.py"
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    verdict = found.stdout.strip().splitlines()[-1]
    assert " passed" in verdict
    assert " skipped" in verdict  # what needs root is left out, and says so
