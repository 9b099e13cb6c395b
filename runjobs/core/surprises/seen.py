"""One job beside its line: what a warning is judged by, and where in the line it points."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from runjobs.core.job import Job

FindCommand = Callable[[str, str], bool]
_WORD = re.compile(r"[^ \t]+")


class Seen(NamedTuple):
    """One job, beside its line and what is known of the world; `at` is the offset of the command in the line.

    `state` is the state folder ("" where nobody knows).
    """

    job: Job
    line: str
    at: int
    now: datetime
    path: str
    find_command: FindCommand | None
    state: str = ""


def command_at(job: Job, line: str) -> int:
    """Return the offset of the command in the line."""
    return max(0, line.find(job.command.partition("%")[0], len(job.schedule.expression)))


def field_at(line: str, index: int) -> tuple[int, int]:
    """Return where the word of this index, or the last one, begins and ends in the line."""
    spans = [match.span() for match in _WORD.finditer(line)]
    return spans[min(index, len(spans) - 1)]
