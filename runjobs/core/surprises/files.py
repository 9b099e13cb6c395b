"""What will surprise in a file as a whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.directives import IS_DIRECTIVE, read_directive
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


def variables(file: JobsFile, lines: list[str]) -> Iterator[tuple[int, FieldError]]:
    """Environment lines that look as if a shell read them, or as if cron sent the mail."""
    is_mailed = any(each.kind == "mail" and not each.address for job in file.jobs for each in job.options.notify)
    for number, line in enumerate(lines, 1):
        if not IS_ASSIGNMENT.match(line):
            continue
        try:
            name, value = read_assignment(line)
        except FieldError:
            continue  # parse has said so
        error = _mail(name, value, is_mailed=is_mailed) or _variable(name, value)
        if error is not None:
            yield number, error


def _mail(name: str, value: str, *, is_mailed: bool) -> FieldError | None:
    if name not in {"MAILTO", "MAILFROM"} or not value.strip():
        return None
    if not is_mailed:
        hint = "#: defaults notify=mail above the jobs mails news of them; called from cron, cron mails what is printed"
        return FieldError(f"{name} alone sends no mail: jobs only see it", hint)
    from runjobs.core.addresses import read_addresses

    try:
        read_addresses(value)
    except FieldError as error:
        return FieldError(f"{name}: {error.message}", error.hint)
    return None


def _variable(name: str, value: str) -> FieldError | None:
    if name == "TZ":
        return FieldError("TZ is for the job only: it does not move the schedule", "for the schedule write CRON_TZ=")
    if re.search(r"\$[A-Za-z_{(]|^~/|:~/", value):
        return FieldError("nothing is expanded here: the value is taken as it stands", "write it out")
    if re.search(r"[ \t]#", value):
        return FieldError("the # is part of the value", "a comment needs a line of its own")
    return None


def told_secrets(_file: JobsFile, lines: list[str]) -> Iterator[tuple[int, FieldError]]:
    """Addresses of receivers that should stand among the secrets."""
    for number, line in enumerate(lines, 1):
        body = line.lstrip(" \t")
        if not IS_DIRECTIVE.match(body) or "notify=" not in body:
            continue
        from runjobs.core.receivers import has_secret

        for setting in read_directive(line, len(line) - len(body) + 2).settings:
            for receiver in setting.value if setting.key == "notify" and isinstance(setting.value, tuple) else ():
                if has_secret(receiver):
                    message = f"{receiver.name} is a secret, and all who can read the file know it"
                    hint = f"write {receiver.kind}:@NAME, and NAME=... into the file that RUNJOBS_SECRETS names"
                    yield number, FieldError(message, hint, start=setting.start, end=setting.end)


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
