"""What will surprise in a file as a whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.directives import IS_DIRECTIVE
from runjobs.core.environment import IS_ASSIGNMENT, read_assignment
from runjobs.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.crontab import JobsFile

_COMMENTED_JOB = re.compile(r"#[ \t]*(?:@[a-z]+|(?:[0-9*][0-9*,/~-]*[ \t]+){2,4}[^ \t]+[ \t]+[^ \t]+)[ \t]+[^ \t]")


def no_jobs(file: JobsFile, _lines: list[str]) -> Iterator[tuple[int, FieldError]]:
    """A file without a single job, and without a mistake that would tell why."""
    if not file.jobs and not file.problems:
        yield 1, FieldError("there is no job in this file", "a job is five fields and a command", end=1)


def variables(_file: JobsFile, lines: list[str]) -> Iterator[tuple[int, FieldError]]:
    """Environment lines that look as if a shell read them."""
    for number, line in enumerate(lines, 1):
        if not IS_ASSIGNMENT.match(line):
            continue
        try:
            name, value = read_assignment(line)
        except FieldError:
            continue  # parse has said so
        error = _variable(name, value)
        if error is not None:
            yield number, error


def _variable(name: str, value: str) -> FieldError | None:
    if name == "TZ":
        return FieldError("TZ is for the job only: it does not move the schedule", "for the schedule write CRON_TZ=")
    if name in {"MAILTO", "MAILFROM"} and value:
        return FieldError(f"{name} sends no mail: jobs only see it", "called from cron, cron mails what runjobs prints")
    if re.search(r"\$[A-Za-z_{(]|^~/|:~/", value):
        return FieldError("nothing is expanded here: the value is taken as it stands", "write it out")
    if re.search(r"[ \t]#", value):
        return FieldError("the # is part of the value", "a comment needs a line of its own")
    return None


def commented_out(_file: JobsFile, lines: list[str]) -> Iterator[tuple[int, FieldError]]:
    """Options whose job was commented out: they now belong to the next job, name and user and all."""
    pending = False
    for number, line in enumerate(lines, 1):
        body = line.lstrip(" \t")
        if IS_DIRECTIVE.match(body):
            pending = not body[2:].lstrip().startswith("defaults")
        elif pending and _COMMENTED_JOB.match(body):
            hint = "comment the #: lines out too (## will do), or write enabled=no and leave the job in"
            yield number, FieldError("the options above this commented-out job go to the next job", hint)
        elif body and body[0] != "#" and not IS_ASSIGNMENT.match(line):
            pending = False
