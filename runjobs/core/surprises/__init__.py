"""What will surprise, as warnings for `check`: each is one small function, in one of the two tables here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.environment import CLEAN_PATH
from runjobs.core.lines import BOM, Report
from runjobs.core.surprises import commands, files, paths, schedules
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
    paths.own_output,
    paths.watched_program,
)
# what can't be meant by anybody, though only who knows the world sees it
JOB_MISTAKES: tuple[Callable[[Seen], FieldError | None], ...] = (paths.in_state_folder,)
FILE_SURPRISES: tuple[Callable[[JobsFile, list[str]], Iterator[tuple[int, FieldError]]], ...] = (
    files.no_jobs,
    files.variables,
    files.told_secrets,
    files.commented_out,
)


def surprises(  # noqa: PLR0913  each is a fact from elsewhere
    file: JobsFile,
    text: str,
    *,
    now: datetime,
    path: str = CLEAN_PATH,
    find_command: FindCommand | None = None,
    state: str = "",
) -> tuple[Problem, ...]:
    """Return warnings, and mistakes that need the world to be seen, for a file that was parsed from `text`, by line.

    `now` is aware: changes of the clock in the 12 months after it are looked at. `find_command(word, path)` tells
    whether a command is there (None: not looked at); `path` is the PATH that jobs inherit from the runner, `state` the
    state folder.
    """
    report = Report(file.source)
    lines = [line.rstrip("\r") for line in text.removeprefix(BOM).split("\n")]
    for rule in FILE_SURPRISES:
        for number, warning in rule(file, lines):
            report.warn(number, lines[number - 1], warning)
    clock = schedules.Clock(now)
    for job in file.jobs:
        line = lines[job.line - 1]
        seen = Seen(job, line, command_at(job, line), now, path, find_command, state)
        found = [*(surprise(seen) for surprise in JOB_SURPRISES), clock.surprise(seen)]
        for error in found:
            if error is not None:
                report.warn(job.line, line, error)
        for mistake in JOB_MISTAKES:
            if (error := mistake(seen)) is not None:
                report.add(job.line, line, error)
    return tuple(sorted(report.problems, key=lambda problem: problem.place.line))
