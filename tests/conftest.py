"""The frame of all tests: an environment that says nothing, and one mark for what starts real processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REAL = Path(__file__).parent / "real"

# what a developer or a machine has set must not decide how a test ends; children see what is left
for name in [name for name in os.environ if name.startswith("RUNJOBS_")]:
    del os.environ[name]
for name in ("COLUMNS", "LINES", "NO_COLOR", "STATE_DIRECTORY", "TZ", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
    os.environ.pop(name, None)

# no deadline: no test depends on how fast a machine is; the same examples everywhere, so that a gate is no lottery
settings.register_profile("runjobs", deadline=None, derandomize=True)
settings.load_profile("runjobs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in tests/real, so that `-m "not real"` is the quick half."""
    for item in items:
        if item.path.is_relative_to(REAL):
            item.add_marker(pytest.mark.real)
