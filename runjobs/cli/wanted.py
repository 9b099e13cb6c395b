"""What `runjobs at` was asked for: from words and surroundings to a value, checked."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from runjobs.cli.errors import WordError
from runjobs.cli.options import choose
from runjobs.cli.person import who
from runjobs.cli.recorded import read_option
from runjobs.cli.streams import complain
from runjobs.core import once
from runjobs.core.errors import FieldError, RunjobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runjobs.core.once import Once
    from runjobs.settings import Settings

LONGEST: Final = 1 << 20  # bytes read of standard input: what no process can be given is refused soon after
TIMES: Final = 'write now, "in 10 minutes", 7:30, "tomorrow 7:30", "next friday 8:00", noon, or 2026-12-24T18:00'
LONGEST_TIME: Final = 6  # words: "in 2 hours and 30 minutes"
EXAMPLE: Final = 'runjobs at "tomorrow 7:30" -- COMMAND'


def read(
    settings: Settings, words: Sequence[str], chosen: Sequence[str], name: str | None, cwd: str | None, env: str
) -> Once:
    """Read all that was asked for: the words, options as `KEY=VALUE`, and what the flags say. A UsageError is told why.

    Folder, umask and environment are this process's; without a command standard input is read.
    """
    if not words:
        raise UsageError("no time is named", EXAMPLE)
    choose("--env", env, ("keep", "clean"))
    from runjobs.adapters.clock import now

    asked_at = now()
    return once.Once(
        at=_instant(words, asked_at, settings),
        asked_at=asked_at,
        cwd=_folder(cwd),
        umask=_umask(),
        uid=os.geteuid(),
        user=_user(os.geteuid()),
        who=who(),
        name=read_option("--name", name, lambda: once.check_once_name(name)) if name is not None else "",
        environment=once.kept_environment(os.environ) if env == "keep" else (),
        settings=_settings(chosen),
        command=_command(words[1:]),  # the last: nobody is to type it in vain
    )


def _instant(words: Sequence[str], now: datetime, settings: Settings) -> datetime:
    """The time, in whole seconds. A WordError where it is none or has passed; or where its words may go on."""
    from runjobs.core.when import EXAMPLES, parse_when

    zone = settings.local or UTC

    def when(text: str) -> datetime:
        try:
            return parse_when(text, now, zone)
        except FieldError as error:
            hint = TIMES if error.hint == EXAMPLES else error.hint
            raise FieldError(error.message, hint, start=error.start, end=error.end) from None

    _refuse_more(words, when)
    found = read_option("WHEN", words[0], lambda: when(words[0])).replace(microsecond=0)
    if now - found >= timedelta(seconds=1):
        hint = f'name one that is to come: runjobs at "in 10 minutes", "tomorrow {found.astimezone(zone):%H:%M}"'
        raise WordError("WHEN", words[0], FieldError(f'"{words[0]}" has passed', hint))
    return found


def _refuse_more(words: Sequence[str], when: Callable[[str], datetime]) -> None:
    """Refuse a time of several words that was given without quotes: `tomorrow 7:30` would be midnight and `7:30`."""
    alone: datetime | None = None
    with contextlib.suppress(FieldError):
        alone = when(words[0])
    for number in range(min(len(words), LONGEST_TIME), 1, -1):
        text = " ".join(words[:number])
        with contextlib.suppress(FieldError):
            if when(text) != alone:
                message = f'is the time "{words[0]}", or "{text}"?'
                raise UsageError(message, f'put quotes around it: runjobs at "{text}" -- COMMAND')


def _command(words: Sequence[str]) -> str:
    text = _stdin() if words in ([], ["-"]) else None
    try:
        return once.command_of(words if text is None else [text])
    except FieldError as error:
        raise UsageError(error.message, error.hint) from error


def _stdin() -> str:
    """The lines that a person types, or that a file or a pipe has."""
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("there is no command, and no standard input to read it from", EXAMPLE)
    if sys.stdin.isatty():
        complain("type the commands, one a line; Ctrl-D ends them, Ctrl-C plans nothing")
    data = sys.stdin.buffer.read(LONGEST)
    return data.decode("utf-8", "surrogateescape").strip("\n")


def _settings(chosen: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for text in chosen:
        key, value = read_option("--set", text, partial(once.read_setting, text))
        if key in found:
            raise UsageError(f"{key} is given twice", "keep one of them")
        found[key] = value
    return tuple(found.items())


def _folder(cwd: str | None) -> str:
    try:
        return os.path.abspath(cwd) if cwd is not None else os.getcwd()
    except OSError as error:
        raise RunjobsError(f"this folder is no more: {error.strerror}", "name another one: --cwd DIR") from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""  # as in a container, whose uid may be anything
