"""A job's line taken apart: the schedule's text, the user, the command and its standard input."""

from __future__ import annotations

import re
from typing import NamedTuple

from runjobs.core.environment import LONGEST_STRING
from runjobs.core.errors import FieldError
from runjobs.core.values import user_name
from runjobs.core.watchpaths import NICKNAME, is_watch, split_line


class Entry(NamedTuple):
    """The parts of a job's line; `at` and `command_at` are offsets of the schedule and of what follows it."""

    expression: str
    at: int
    user: str | None
    command: str  # as written, with its `%`
    command_at: int


# Blanks are what cron's Skip_Blanks takes for blanks; the rest of the line, trailing blanks too, is the command.
def _shape(words: int) -> re.Pattern[str]:
    return re.compile(rf"((?:[^ \t]+[ \t]+){{{words - 1}}}[^ \t]+)(?:[ \t]+(.*))?", re.DOTALL)


_SHAPES = {words: _shape(words) for words in (1, 2, 5, 6, 7)}
_WITH_ARGUMENT = ("@every", "@at")  # nicknames that take a second word
_USER = re.compile(r"([^ \t]+)(?:[ \t]+(.*))?", re.DOTALL)
_SETTING_WITH_BLANKS = re.compile(r"(export|setenv|set|declare)?[ \t]*[A-Za-z_][A-Za-z0-9_ \t]*=")
_INPUT_PERCENT = re.compile(r"\\?%")
_PERCENT = re.compile(r"\\(.)|%", re.DOTALL)


def take_apart(line: str, start: int, fields: int, *, user_column: bool) -> Entry:
    """Take the line apart from offset `start`; FieldError says what is missing, with offsets into the line."""
    words = fields
    first = line[start : start + 1]
    if first == "@":
        words = 2 if line.startswith(_WITH_ARGUMENT, start) else 1
    end, at = split_line(line, start) if is_watch(line, start) else _split(line, start, words)
    rest = "" if at < 0 else line[at:]
    if not rest:
        raise FieldError(
            "there is no command after the schedule", _spare_words(line, start, fields), start=end - 1, end=end
        )
    user = None
    if rest[0] in "*-":
        raise _not_a_command(line, at, words)
    if user_column:
        user, rest, at = _split_user(line, at)
    return Entry(line[start:end], start, user, rest, at)


def _split(line: str, start: int, words: int) -> tuple[int, int]:
    """Where a schedule of so many words ends, and where what follows it begins (-1: nothing does)."""
    match = _SHAPES[words].match(line, start)
    if match is None:
        raise _too_few(line, start, words)
    return match.end(1), match.start(2)


def _split_user(line: str, at: int) -> tuple[str, str, int]:
    match = _USER.match(line, at)
    if match is None or not match[2]:
        raise FieldError(
            "there is no command after the user", "this file has a user column: user first, then the command", start=at
        )
    _check_user(match[1], at)
    return match[1], match[2], match.start(2)


def _spare_words(line: str, start: int, fields: int) -> str:
    if is_watch(line, start):
        return f"write {NICKNAME} PATH COMMAND, or {NICKNAME} PATH PATH -- COMMAND"
    if line.startswith("@", start):
        return "write it behind the nickname"
    return f"a line is {fields} fields and then a command"


def _too_few(line: str, start: int, words: int) -> FieldError:
    found = len(line[start:].split())
    if words == 2:  # noqa: PLR2004  a nickname and its argument
        return FieldError(f"{line[start:].rstrip()} lacks its argument", "write @every 90s COMMAND", start=start)
    hint = f"a job is {words} fields and a command, a variable is NAME=value, a comment begins with #"
    setting = _SETTING_WITH_BLANKS.match(line, start)
    if setting is not None:
        hint = f"leave out {setting[1]}" if setting[1] else "a variable's name has no blanks"
        hint += ": a variable is NAME=value"
    return FieldError(f"only {found} of the {words} fields of a schedule", hint, start=start)


def _check_user(user: str, at: int) -> None:
    try:
        user_name(user)
    except FieldError as error:
        end = at + len(user) if error.end is None else at + error.end
        hint = "this file has a user column: user first, then the command"
        raise FieldError(error.message, hint, start=at + error.start, end=end) from None


def _not_a_command(line: str, at: int, words: int) -> FieldError:
    # cronie catches the typo of a field too many in the same way, load_entry
    end = at + len(line[at:].split(None, 1)[0])
    hint = "write the command's path in front"
    if words < 7 and line[at] == "*":  # noqa: PLR2004  the most fields there are
        hint = "a schedule has 5 fields; #: fields=6 puts seconds first, fields=7 a year last"
    return FieldError(f"a command can't begin with {line[at]}", hint, start=at, end=end)


def split_input(written: str) -> tuple[str, str | None]:
    r"""Split a command as written into what the shell gets and its standard input, as cronie's do_command.

    The first `%` ends the command, later ones are newlines, `\%` is a plain `%` and every other backslash stays.
    The input ends with a newline when there is any. Debian's cron also drops one of two backslashes; we don't.
    """
    if "%" not in written:
        return written, None
    cut = next((match.start() for match in _PERCENT.finditer(written) if match[0] == "%"), None)
    command = _PERCENT.sub(_keep, written[:cut])
    if cut is None:
        return command, None
    # in the input cronie looks one character back only: two backslashes don't protect each other there
    text = _INPUT_PERCENT.sub(lambda match: "%" if len(match[0]) > 1 else "\n", written[cut + 1 :])
    return command, text + "\n" * (not text.endswith("\n")) if text else None


def _keep(match: re.Match[str]) -> str:
    return "%" if match[1] == "%" else match[0]


def check_command(entry: Entry, command: str) -> None:
    """Raise FieldError for a command that no shell could be given."""
    if not command.strip(" \t"):
        raise FieldError(
            "there is no command before the %", "to run a command with a % in it write \\%", start=entry.command_at
        )
    # 4 bytes hold any character, so short ones need no counting
    if len(command) * 4 > LONGEST_STRING and len(command.encode("utf-8", "surrogateescape")) > LONGEST_STRING:
        raise FieldError(
            f"the command is longer than the {LONGEST_STRING:,} bytes that a process can be given",
            "put it into a script",
            start=entry.command_at,
        )


_STRANGE_BLANK = re.compile("[\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]")


def strange_blank(line: str, start: int, end: int) -> FieldError | None:
    """Find a blank that only looks like one (a no-break space from a web page): no cron splits fields there."""
    match = _STRANGE_BLANK.search(line, start, end)
    if match is None:
        return None
    message = f"this is not a plain blank but U+{ord(match[0]):04X}"
    return FieldError(message, "type a space in its place", start=match.start(), end=match.end())
