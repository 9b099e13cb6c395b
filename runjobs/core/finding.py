"""Findings of a check-up: what was looked at, how it is, what that means, and the way out."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(Enum):
    """How much a finding matters: a note is worth knowing, a problem has to be mended."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One thing that was looked at; `hint` is a command that mends it, or a sentence ("" where nothing is to do)."""

    area: str
    level: Level
    message: str
    hint: str = ""


def fine(area: str, message: str) -> Finding:
    """A finding that is as it should be."""
    return Finding(area, Level.OK, message)


def note(area: str, message: str, hint: str = "") -> Finding:
    """A finding that is worth knowing."""
    return Finding(area, Level.NOTE, message, hint)


def problem(area: str, message: str, hint: str) -> Finding:
    """A finding that has to be mended."""
    return Finding(area, Level.PROBLEM, message, hint)


def has_problem(findings: Iterable[Finding]) -> bool:
    """Whether anything has to be mended."""
    return any(finding.level is Level.PROBLEM for finding in findings)


def in_bytes(size: int) -> str:
    """A size as people say it: `4.0 MiB`."""
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:  # noqa: PLR2004 (a KiB has as many bytes)
            break
        value, unit = value / 1024, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
