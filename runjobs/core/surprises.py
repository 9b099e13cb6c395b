"""What will surprise, as warnings for `check`: each is one small function in one of the two tables at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.directives import IS_DIRECTIVE
from runjobs.core.dst import DstEffect, Effect
from runjobs.core.environment import CLEAN_PATH, IS_ASSIGNMENT, read_assignment
from runjobs.core.errors import FieldError
from runjobs.core.job import Base
from runjobs.core.lines import BOM, Report
from runjobs.core.names import LEADING_ASSIGNMENTS
from runjobs.core.schedule import CronSchedule, dst_effects

if TYPE_CHECKING:
    from runjobs.core.crontab import JobsFile
    from runjobs.core.errors import Problem
    from runjobs.core.fields import Field
    from runjobs.core.job import Job
    from runjobs.core.rule import Rule

YEAR = timedelta(days=366)  # long enough for both changes of the clock, whenever one asks
FindCommand = Callable[[str, str], bool]

_SHELL_WORDS = frozenset(
    """! . : [ [[ { alias bg break case cd command continue declare echo eval exec exit export false fg for
    function getopts hash if jobs kill let local printf pwd read readonly return select set shift source test
    time times trap true type typeset ulimit umask unalias unset until wait while""".split()  # noqa: SIM905
)
_SHELLS = frozenset({"ash", "bash", "dash", "ksh", "mksh", "sh", "zsh"})
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./+@-]*(?=[ \t;&|<>]|$)")
_WORD = re.compile(r"[^ \t]+")
_QUOTED = re.compile(r"""\\.|"(?:[^"\\]|\\.)*"|'[^']*'""")
_COMMENTED_JOB = re.compile(r"#[ \t]*(?:@[a-z]+|(?:[0-9*][0-9*,/~-]*[ \t]+){2,4}[^ \t]+[ \t]+[^ \t]+)[ \t]+[^ \t]")


class Seen(NamedTuple):
    """One job, beside its line and what is known of the world; `at` is the offset of the command in the line."""

    job: Job
    line: str
    at: int
    now: datetime
    path: str
    find_command: FindCommand | None


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
    clock = _Clock(now)
    for job in file.jobs:
        line = lines[job.line - 1]
        seen = Seen(job, line, _command_at(job, line), now, path, find_command)
        found = [*(surprise(seen) for surprise in JOB_SURPRISES), clock.surprise(seen)]
        for error in found:
            if error is not None:
                report.warn(job.line, line, error)
    return tuple(sorted(report.problems, key=lambda problem: problem.place.line))


def _command_at(job: Job, line: str) -> int:
    return max(0, line.find(job.command.partition("%")[0], len(job.schedule.expression)))


def _field_at(line: str, index: int) -> tuple[int, int]:
    spans = [match.span() for match in _WORD.finditer(line)]
    return spans[min(index, len(spans) - 1)]


# the command


def bare_percent(seen: Seen) -> FieldError | None:
    """`date +%Y`: cron ends the command at the `%`."""
    if seen.job.stdin is None:
        return None
    head = seen.job.command
    open_quotes = re.search("[\"']", _QUOTED.sub("", head))
    cut_short = open_quotes or head.count("`") % 2 or head.count("$(") > head.count(")")
    if not cut_short and not re.search(r"""[-+=_:.,/'"]$""", head):
        return None
    at = seen.line.index("%", seen.at)
    message = "the command ends at this %: what follows is its standard input"
    return FieldError(message, r"for a % in the command write \%", start=at, end=at + 1)


def looks_like_field(seen: Seen) -> FieldError | None:
    """`0 0 1 1 * * cmd`: a field too many makes `*` or `5` the command."""
    match = re.match(r"[0-9*?][0-9*?,/-]*(?=[ \t]|$)", seen.job.command)
    if match is None:
        return None
    hint = "#: fields=6 puts seconds first, #: fields=7 a year last"
    message = f"{match[0]} is taken for the command, but looks like one more field"
    return FieldError(message, hint, start=seen.at, end=seen.at + match.end())


def missing_command(seen: Seen) -> FieldError | None:
    """A command that is not on the job's PATH, which is not the PATH of a login shell."""
    job = seen.job
    word = _command_word(job)
    if seen.find_command is None or word is None:
        return None
    path = dict(job.environment).get("PATH", CLEAN_PATH if job.options.env is Base.CLEAN else seen.path)
    if seen.find_command(word, path):
        return None
    at = seen.at + job.command.index(word)
    rest = _PLAIN_WORD.match(job.command[job.command.index(word) + len(word) :].lstrip())
    if rest is not None and "/" not in word and seen.find_command(rest[0], path):
        hint = f"if {word} is a user, say so at the top of the file: #: user-column"
    else:
        hint = "write its whole path, or set PATH= above the job" if "/" not in word else "check the path"
    where = f"in {path}" if "/" not in word else "there"
    return FieldError(f"there is no command {word} {where}", hint, start=at, end=at + len(word))


def _command_word(job: Job) -> str | None:
    """The command's first word, where it is plain enough to be sure what it names."""
    if job.shell.rpartition("/")[2] not in _SHELLS or job.options.env_file is not None:
        return None
    lead = LEADING_ASSIGNMENTS.match(job.command)
    if lead is not None and "PATH=" in lead[0]:
        return None
    match = _PLAIN_WORD.match(job.command, lead.end() if lead else 0)
    if match is None or match[0] in _SHELL_WORDS or match[0].startswith("."):
        return None
    return match[0]


# the schedule


def _rule(seen: Seen) -> Rule | None:
    schedule = seen.job.schedule
    return schedule.rule if isinstance(schedule, CronSchedule) and schedule.expression[0] != "@" else None


def uneven_step(seen: Seen) -> FieldError | None:
    """`*/45` in the minutes: 0 and 45, so 45 minutes and 15 minutes apart in turn."""
    rule = _rule(seen)
    if rule is None:
        return None
    for index, field in enumerate(_in_order(seen, rule)):
        error = _uneven(field)
        if error is not None:
            error.start, error.end = _field_at(seen.line, index)
            return error
    return None


def _in_order(seen: Seen, rule: Rule) -> list[Field]:
    fields = [rule.minute, rule.hour, rule.day, rule.month, rule.weekday]
    return [rule.second, *fields] if len(seen.job.schedule.expression.split()) > len(fields) else fields


def _uneven(field: Field) -> FieldError | None:
    if field.text.startswith("*/") and len(field.values) == 1 and not field.special:
        only = field.values[0]
        return FieldError(f"{field.text} means {field.kind.name} {only} and no other", f"write {only} if that is meant")
    if field.uneven_step is None:
        return None
    message = f"{field.text} is not even: after {field.kind.name} {field.values[-1]} comes {field.values[0]} again"
    return FieldError(message, "for equal gaps write @every 45m, or @every 2d")


def two_day_fields(seen: Seen) -> FieldError | None:
    """Day of month and day of week: either of them is enough, unless one begins with a star, crontab(5)."""
    rule = _rule(seen)
    if rule is None or rule.day.full or rule.weekday.full:
        return None
    index = _in_order(seen, rule).index(rule.day)
    start, end = _field_at(seen.line, index)[0], _field_at(seen.line, index + 2)[1]
    if rule.day.starred or rule.weekday.starred:
        message = "day of month and day of week must both match here, as one of them begins with *"
        hint = "without the leading * either would be enough"
    else:
        message = "day of month or day of week: the job runs when either matches"
        hint = "for both at once test one of them in the command, or write such as fri#2 or 5L"
    return FieldError(message, hint, start=start, end=end)


class _Clock:
    """Changes of the clock: worked out once for all jobs of equal schedules."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.found: dict[str, list[DstEffect]] = {}

    def surprise(self, seen: Seen) -> FieldError | None:
        """A fire that the coming change of the clock skips, repeats or moves.

        A job of every hour goes on at its pace through a change, so there is nothing to say of it.
        """
        schedule = seen.job.schedule
        if not isinstance(schedule, CronSchedule) or schedule.rule.hour.full:
            return None
        effects = self.found.get(schedule.key)
        if effects is None:
            effects = self.found[schedule.key] = dst_effects(schedule, self.now, self.now + YEAR)
        if not effects:
            return None
        first = effects[0]
        start, end = _field_at(seen.line, 0)[0], max(1, seen.at)
        end = len(seen.line[:end].rstrip())
        day, wall = first.wall.strftime("%Y-%m-%d"), first.wall.strftime("%H:%M")
        message = f"on {day} the clock in {schedule.zone.key} {_WHAT_HAPPENS[first.effect].format(wall=wall)}"
        hint = "choose another hour, or a zone without summer time such as tz=UTC"
        return FieldError(message, hint, start=start, end=end)


_WHAT_HAPPENS = {
    Effect.SKIPPED: "jumps over {wall}: the job does not run then",
    Effect.MOVED: "jumps over {wall}: the job runs right after the jump",
    Effect.REPEATED: "shows {wall} twice: the job runs both times",
}


# the file


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


JOB_SURPRISES: tuple[Callable[[Seen], FieldError | None], ...] = (
    bare_percent,
    looks_like_field,
    missing_command,
    uneven_step,
    two_day_fields,
)
FILE_SURPRISES: tuple[Callable[[JobsFile, list[str]], Iterator[tuple[int, FieldError]]], ...] = (
    no_jobs,
    variables,
    commented_out,
)
