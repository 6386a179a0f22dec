"""Settings that hold for every test."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

# Deadlines measure the machine, not the code.
settings.register_profile("dev", max_examples=50, deadline=None)
# The same commit gets the same verdict; `nightly` looks for new examples.
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)
