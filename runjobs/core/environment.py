"""Environment lines of jobs files and env-files, and the environment that a job is started with."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.job import Base

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.core.job import Job

LONGEST_STRING = 131_071  # bytes of one argument or variable: MAX_ARG_STRLEN less the final NUL, execve(2)
CLEAN_PATH = "/usr/bin:/bin"  # _PATH_DEFPATH, which is what cron gives
OURS = "RUNJOBS_"  # our own settings, which are not the jobs' business
# what a supervisor of ours has told us: a job that knew it could speak to it in our name, sd_notify(3)
SUPERVISION = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
# cron sets these after reading the file, so a file can't change them, crontab(5)
FIXED = frozenset({"LOGNAME", "USER"})
FACTS = frozenset({"RUNJOBS_JOB", "RUNJOBS_RUN_ID", "RUNJOBS_SCHEDULED_AT", "RUNJOBS_ATTEMPT", "RUNJOBS_CHANGED"})

# A line that cron would try as NAME=value first: a name or a quote in front, and an equals sign after the name.
IS_ASSIGNMENT = re.compile(r"""[ \t]*(?:["']|[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=)""")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# `[ \t\v\f\r]` is isspace(3) in the C locale, which cronie's load_env uses
_LEFT = re.compile(r"""[ \t]*(?:"([^"=]*)"|'([^'=]*)'|([^ \t=]*))[ \t\v\f]*(=?)[ \t\v\f\r]*""")


def read_assignment(line: str) -> tuple[str, str]:
    """Read `NAME=value` as cronie's load_env does; FieldError points at what it would silently drop the line for.

    Blanks around the = and behind the value don't count; one pair of quotes around the name or the value goes;
    nothing is expanded, and `#` is part of the value.
    """
    left = _LEFT.match(line)
    if left is None or not left[4]:
        raise FieldError("there is no = after the name", "write NAME=value, the name without quotes")
    group = next(group for group in (1, 2, 3) if left[group] is not None)
    name = left[group]
    if not _NAME.fullmatch(name):
        message = f"{name!r} can't be the name of a variable" if name else "the name is empty"
        hint = "use letters, digits and _, and begin with a letter or _"
        raise FieldError(message, hint, start=left.start(group), end=left.end(group))
    value = _read_value(line, left.end())
    if len(name) + 1 + len(value.encode("utf-8", "surrogateescape")) > LONGEST_STRING:
        message = f"{name} is too long to be given to a process"
        hint = f"name and value together can have {LONGEST_STRING:,} bytes"
        raise FieldError(message, hint, start=left.start(group), end=left.end(group))
    return name, value


def _read_value(line: str, start: int) -> str:
    quote = line[start : start + 1]
    if quote not in {'"', "'"} or not quote:
        return line[start:].rstrip(" \t\v\f\r")
    close = line.find(quote, start + 1)
    if close < 0:
        raise FieldError("this quote is never closed", f"end the value with {quote}", start=start, end=start + 1)
    rest = line[close + 1 :].strip(" \t\v\f\r")
    if rest:
        message = "there is text after the closing quote"
        at = line.index(rest, close + 1)
        hint = "a comment needs a line of its own" if rest.startswith("#") else "put quotes around the whole value"
        raise FieldError(message, hint, start=at, end=at + len(rest))
    return line[start + 1 : close]


def read_env_file(text: str) -> dict[str, str]:
    """Read an env-file: the jobs file's environment lines, comments and blank lines.

    FieldError names the line but never quotes it, since these files hold secrets.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        body = line.strip(" \t\r")
        if not body or body.startswith("#"):
            continue
        try:
            name, value = read_assignment(body)
        except FieldError:
            raise FieldError(
                f"line {number} of the env-file is not NAME=value",
                "check its quotes and its name; nothing else belongs there",
            ) from None
        if "\0" in body:
            raise FieldError(f"line {number} of the env-file holds a NUL byte", "write it as plain text")
        variables[name] = value
    return variables


class RunFacts(NamedTuple):
    """What a job is told of its own run: `scheduled_at` is aware, `attempt` counts from 1."""

    run_id: str
    scheduled_at: datetime
    attempt: int = 1


def job_environment(  # noqa: PLR0913  each is a fact from elsewhere
    job: Job,
    inherited: Mapping[str, str],
    *,
    home: str,
    logname: str,
    facts: RunFacts,
    env_file_text: str = "",
) -> dict[str, str]:
    """Build a job's whole environment; what comes later wins: base, the file's lines, env-file, what is ours to say.

    `inherited` is the runner's environment, `home` and `logname` are those of the user the job runs as. SHELL is
    the shell that runs the command, never the runner's own. Raises FieldError when the env-file can't be read.
    """
    variables = _base(job, inherited) | {"HOME": home}
    variables |= job.environment
    variables |= read_env_file(env_file_text)
    return variables | {
        "SHELL": job.shell,
        "LOGNAME": logname,
        "USER": logname,
        "RUNJOBS_JOB": job.name,
        "RUNJOBS_RUN_ID": facts.run_id,
        "RUNJOBS_SCHEDULED_AT": facts.scheduled_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "RUNJOBS_ATTEMPT": str(facts.attempt),
    }


def _base(job: Job, inherited: Mapping[str, str]) -> dict[str, str]:
    if job.options.env is Base.CLEAN:
        return {"PATH": CLEAN_PATH}
    kept = {name: value for name, value in inherited.items() if not name.startswith(OURS) and name not in SUPERVISION}
    kept.setdefault("PATH", CLEAN_PATH)
    return kept
