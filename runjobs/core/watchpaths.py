"""The paths of `@watch`: how they are written, where they end and the command begins, and what they stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable

NICKNAME: Final = "@watch"
END: Final = "--"
# one word as the shell has it, sh(1); blanks are crontab's, as everywhere in a job's line
# not compiled before somebody watches: most jobs files have no such job, and every pass reads them
_WORD: Final = r"""(?s:[^ \t"'\\]|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+"""
_PIECE: Final = r"""(?s:'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^"'\\]+))"""
_ESCAPED: Final = r"\\([\"\\$`])"  # what a backslash escapes inside "…", sh(1)
_MAGIC: Final = r"[*?\[]"
_QUOTED: Final = r"\[([*?\[])\]"  # a character that stands for itself
# options whose meaning is a schedule of times, and what holds for paths instead
_TIMES_ONLY: Final = {
    "catchup": "a change that found no runner is told to the next one in any case",
    "fields": "paths have no fields",
    "jitter": "settle= says for how long the paths must have been at rest",
    "overlap": "a job that watches has one run at a time, and one more after it for all that changed meanwhile",
    "start-within": "a change is never too late",
    "tz": "paths have no time zone",
}
_PATHS_ONLY: Final = ("on", "settle", "recursive")


class Parts(NamedTuple):
    """Where the schedule of a line ends, and where what follows it begins (offsets; -1: nothing follows)."""

    end: int
    rest: int


def is_watch(text: str, start: int = 0) -> bool:
    """Whether a schedule that watches paths begins here."""
    return text.startswith(NICKNAME, start) and text[start + len(NICKNAME) : start + len(NICKNAME) + 1] in " \t"


def split_line(line: str, start: int) -> Parts:
    """Find the end of the paths: one word, or all words up to `--` where every one of them begins as a path does.

    FieldError with offsets into the line.
    """
    first = _word(line, _skip(line, start + len(NICKNAME)))
    end, at = first, _skip(line, first)
    while at < len(line) and (line[at] in "/\"'" or line.startswith("\\", at)):
        try:
            end = _word(line, at)
        except FieldError:
            break  # a command may quote as its shell does
        at = _skip(line, end)
    if _is_end(line, at):
        return Parts(end, _found(line, at + len(END)))
    return Parts(first, _found(line, first))


def read_paths(expression: str) -> tuple[str, ...]:
    """The paths of `@watch PATH…` as patterns of fnmatch(3) without `.` and double slashes.

    What was quoted stands for itself. FieldError with offsets into `expression`.
    """
    found: dict[str, None] = {}
    at = _skip(expression, expression.index(NICKNAME) + len(NICKNAME))
    while at < len(expression):
        end = _word(expression, at)
        found[_pattern(expression[at:end], at, end)] = None
        at = _skip(expression, end)
    if not found:
        raise FieldError(f"{NICKNAME} lacks its path", f"write {NICKNAME} /srv/in COMMAND", start=0)
    return tuple(found)


def is_glob(pattern: str) -> bool:
    """Whether a pattern, or a part of it, may stand for several names."""
    return re.search(_MAGIC, re.sub(_QUOTED, "", pattern)) is not None


def literal(pattern: str) -> str:
    """What a pattern stands for that is no glob but for characters that were quoted."""
    return re.sub(_QUOTED, r"\1", pattern)


def misplaced(expression: str, keys: Iterable[str]) -> tuple[str, str] | None:
    """An option of these that says nothing of such a schedule, and the way out."""
    if is_watch(expression):
        return next(((key, f"take it out: {_TIMES_ONLY[key]}") for key in keys if key in _TIMES_ONLY), None)
    hint = f"take it out, or watch a path: {NICKNAME} /srv/in COMMAND"
    return next(((key, hint) for key in keys if key in _PATHS_ONLY), None)


def _pattern(word: str, start: int, end: int) -> str:
    text = "".join(_piece(piece) for piece in re.finditer(_PIECE, word))
    if not text.startswith("/"):
        hint = "begin it with /: a relative path depends on who starts the runner"
        raise FieldError(f"{literal(text)} is not an absolute path", hint, start=start, end=end)
    names = [name for name in text.split("/") if name not in {"", "."}]
    if ".." in names:
        raise FieldError("a path with .. is not understood", "write where it leads", start=start, end=end)
    if "**" in names:
        hint = "write the folder, and #: recursive above the job"
        raise FieldError("** is not understood", hint, start=start, end=end)
    return "/" + "/".join(names)


def _piece(piece: re.Match[str]) -> str:
    if piece[4] is not None:
        return piece[4]
    double = None if piece[2] is None else re.sub(_ESCAPED, r"\1", piece[2])
    return re.sub(_MAGIC, r"[\g<0>]", next(text for text in (piece[1], double, piece[3]) if text is not None))


def _word(line: str, at: int) -> int:
    """The end of the word at this offset; FieldError where it is not closed."""
    found = re.compile(_WORD).match(line, at)
    end = found.end() if found else at
    if end < len(line) and line[end] not in " \t":
        message = "nothing follows this backslash" if line[end] == "\\" else "this quote is never closed"
        raise FieldError(message, "a path is written as in a shell", start=end, end=end + 1)
    return end


def _skip(line: str, at: int) -> int:
    return len(line) - len(line[at:].lstrip(" \t"))


def _is_end(line: str, at: int) -> bool:
    return line.startswith(END, at) and line[at + len(END) : at + len(END) + 1] in {"", " ", "\t"}


def _found(line: str, end: int) -> int:
    at = _skip(line, end)
    return at if at < len(line) else -1
