"""The machine that was measured on, in one line."""

from __future__ import annotations

import os
import platform


def describe() -> str:
    """Say what a figure depends on most: cores, kernel, Python."""
    release = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} cores, {platform.system()} {release}, Python {platform.python_version()}"


def plain_environment() -> dict[str, str]:
    """An environment that is the same for everyone measured: UTC, and byte code cached as it is in use."""
    drop = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "RUNJOBS_STATE", "RUNJOBS_JOBS"}
    kept = {key: value for key, value in os.environ.items() if key not in drop}
    return {**kept, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
