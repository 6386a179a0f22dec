"""A namespace for the tests that need one; where the machine allows none, a skip that says why."""

from __future__ import annotations

import pytest

from capmodel.lab import LabError, Namespace


@pytest.fixture(scope="session")
def namespace():
    try:
        opened = Namespace().__enter__()
    except (LabError, ImportError) as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


@pytest.fixture
def as_root(namespace):
    if not namespace.privileged:
        pytest.skip("packet steering and BPF programs are root's alone")
    return namespace
