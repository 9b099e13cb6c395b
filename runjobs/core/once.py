"""What `runjobs at` asked for: a command that runs once, as a value, as text in the ledger, and as a job."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.environment import LONGEST_STRING, OURS
from runjobs.core.errors import FieldError
from runjobs.core.fire import from_milliseconds, milliseconds
from runjobs.core.job import Base, Catchup, Job, Options, Overlap
from runjobs.core.names import LONGEST, ONCE_PREFIX, check_name
from runjobs.core.options import OPTIONS, find_option
from runjobs.core.schedule import OnceSchedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

SOURCE: Final = "runjobs at"  # where such a job stands, in the place of a jobs file
# what at(1) leaves out, of the terminal and the shell that asked; SHELL besides: a job's shell is /bin/sh, as at(1)'s
LEFT_OUT: Final = frozenset(
    {"_", "BASH_VERSINFO", "DISPLAY", "EUID", "GROUPS", "PPID", "SHELL", "SHELLOPTS", "TERM", "UID"}
)
# about a line of a file, or about schedules that go on; a name has an option of its own
NOT_ONCE: Final = frozenset(
    {"enabled", "expect-within", "fields", "name", "on", "recursive", "settle", "tz", "user-column"}
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Once(NamedTuple):
    """A command that is to run once: when, and all that it is started with.

    `asked_at` is when that was asked for, `who` by whom, in words; `uid` is the user that it is for, `user` that one's
    name ("" where it has none). `environment` is all that the caller gave it. `settings` are options of jobs, by their
    keys, as they are written in a jobs file. `name` is "" where it is to be called by its number.
    """

    at: datetime
    asked_at: datetime
    command: str
    cwd: str
    umask: int
    uid: int
    user: str = ""
    who: str = ""
    name: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


class Planned(NamedTuple):
    """A once in the ledger: its number, the name of its job, and what was asked for."""

    id: int
    job: str
    once: Once


def job_name(name: str, number: int) -> str:
    """The name of its job: `at/NAME`, or `at/12` where it has none."""
    return f"{ONCE_PREFIX}{name or number}"


def check_once_name(text: str) -> str:
    """Give `text` back when a once may be called so: without `at/`, which may be written. FieldError where not.

    A number is none: it would be taken for that of another.
    """
    name = text.removeprefix(ONCE_PREFIX)
    start = len(text) - len(name)
    if name.isdecimal():
        raise FieldError("a number is no name: those without a name are called by theirs", "--name report", start=start)
    try:
        check_name(name)
    except FieldError as error:
        end = None if error.end is None else start + error.end
        raise FieldError(error.message, error.hint, start=start + error.start, end=end) from None
    if len(ONCE_PREFIX) + len(name) > LONGEST:
        raise FieldError("the name is too long", f"use at most {LONGEST - len(ONCE_PREFIX)} characters", start=start)
    return name


def command_of(words: Sequence[str]) -> str:
    """The shell's command line: one word as it is, several quoted so that the command is given just these words.

    FieldError where there is nothing in it, or a process can't be given it.
    """
    command = words[0] if len(words) == 1 else shlex.join(words)
    if not command.strip():
        raise FieldError("there is no command", 'runjobs at "in 10 minutes" -- COMMAND…')
    if "\0" in command:
        raise FieldError("the command holds a NUL byte", "write it as plain text")
    if len(command.encode("utf-8", "surrogateescape")) > LONGEST_STRING:
        message = f"the command is longer than the {LONGEST_STRING:,} bytes that a process can be given"
        raise FieldError(message, "put it into a script")
    return command


def kept_environment(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What of the caller's environment the command is given: as at(1) keeps it, and nothing of our own settings."""
    return tuple(
        (name, value)
        for name, value in environ.items()
        if name not in LEFT_OUT and not name.startswith(OURS) and _VARIABLE.fullmatch(name)
    )


def read_setting(text: str) -> tuple[str, str]:
    """Read `KEY=VALUE` of an option that `#:` lines know, and check it as there; FieldError's offsets are into it."""
    key, equals, value = text.partition("=")
    if not equals:
        hint = f"write {OPTIONS[key].example}" if key in OPTIONS else "write KEY=VALUE, as in a #: line"
        raise FieldError(f"{key!r} has no value", hint)
    if key in NOT_ONCE:
        hint = "--name NAME" if key == "name" else "leave it out"
        raise FieldError(f"{key} means nothing for what runs once", hint, end=len(key))
    try:
        option = find_option(key)
    except FieldError as error:
        raise FieldError(error.message, error.hint, end=len(key) or None) from None
    start = len(key) + 1
    try:
        option.parse(value)
    except FieldError as error:
        end = None if error.end is None or error.end <= error.start else start + error.end
        raise FieldError(error.message, error.hint, start=start + error.start, end=end) from None
    return key, value


def job_of(planned: Planned, runner_uid: int) -> Job:
    """The job that it is, for a runner of this user; FieldError where an option is of another version.

    Where nobody was there in time it runs late, as at(1) has it, and where its lock is held too: there is no next time.
    Where it was asked for by another user than the runner's it runs as that one, or not at all.
    """
    once = planned.once
    values: dict[str, object] = {"catchup": Catchup.LAST, "overlap": Overlap.QUEUE, "env": Base.CLEAN}
    values |= {"cwd": once.cwd, "umask": once.umask}
    if once.uid != runner_uid:
        values["user"] = once.user or f"uid {once.uid}"
    values |= {key.replace("-", "_"): find_option(key).parse(text) for key, text in once.settings}
    options = Options(**values)  # type: ignore[arg-type]  # the table's parsers give what Options holds
    schedule = OnceSchedule(f"@at {once.at.isoformat()}", None, once.at, once.asked_at)
    return Job(planned.job, once.command, None, schedule, options, once.environment, SOURCE, planned.id)


def jobs_of(onces: Iterable[Planned], runner_uid: int) -> dict[str, Job]:
    """The jobs of all that can be read, by their names; `runjobs at --list` tells what is wrong with the others."""
    found = {}
    for planned in onces:
        try:
            found[planned.job] = job_of(planned, runner_uid)
        except FieldError:
            continue
    return found


def to_text(once: Once) -> str:
    """What a store keeps of it beside its number, its name and its time."""
    facts = once._asdict() | {"at": milliseconds(once.at), "asked_at": milliseconds(once.asked_at)}
    return json.dumps(facts, separators=(",", ":"))  # in ASCII: bytes that are no UTF-8 are escaped


def from_text(text: str) -> Once:
    """Read what `to_text` wrote; what later versions may have added is passed over."""
    facts = {key: value for key, value in json.loads(text).items() if key in Once._fields}
    facts |= {key: tuple((name, value) for name, value in facts[key]) for key in ("environment", "settings")}
    return Once(**facts | {key: from_milliseconds(facts[key]) for key in ("at", "asked_at")})
