"""What will surprise, as warnings for `check`: each is one small function, in one of the two tables here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.environment import CLEAN_PATH
from runjobs.core.lines import BOM, Report
from runjobs.core.surprises import commands, files, schedules
from runjobs.core.surprises.seen import Seen, command_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from runjobs.core.crontab import JobsFile
    from runjobs.core.errors import FieldError, Problem
    from runjobs.core.surprises.seen import FindCommand

JOB_SURPRISES: tuple[Callable[[Seen], FieldError | None], ...] = (
    commands.bare_percent,
    commands.looks_like_field,
    commands.missing_command,
    schedules.uneven_step,
    schedules.two_day_fields,
)
FILE_SURPRISES: tuple[Callable[[JobsFile, list[str]], Iterator[tuple[int, FieldError]]], ...] = (
    files.no_jobs,
    files.variables,
    files.commented_out,
)


def surprises(
    file: JobsFile,
    text: str,
    *,
    now: datetime,
    path: str = CLEAN_PATH,
    find_command: FindCommand | None = None,
) -> tuple[Problem, ...]:
    """Return warnings for a file that was parsed from `text`, by line.

    `now` is aware: changes of the clock in the 12 months after it are looked at. `find_command(word, path)` tells
    whether a command is there (None: not looked at); `path` is the PATH that jobs inherit from the runner.
    """
    report = Report(file.source)
    lines = [line.rstrip("\r") for line in text.removeprefix(BOM).split("\n")]
    for rule in FILE_SURPRISES:
        for number, warning in rule(file, lines):
            report.warn(number, lines[number - 1], warning)
    clock = schedules.Clock(now)
    for job in file.jobs:
        line = lines[job.line - 1]
        seen = Seen(job, line, command_at(job, line), now, path, find_command)
        found = [*(surprise(seen) for surprise in JOB_SURPRISES), clock.surprise(seen)]
        for error in found:
            if error is not None:
                report.warn(job.line, line, error)
    return tuple(sorted(report.problems, key=lambda problem: problem.place.line))
