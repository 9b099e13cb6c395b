"""`#:` lines: their words, with shell quoting and positions, read into settings or problems."""

from __future__ import annotations

import re
from typing import NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.options import OPTIONS, Option, find_option

# A directive is `#:` before a blank, a letter or a quote: decorations such as `#:::::` and `#:---` stay comments.
IS_DIRECTIVE = re.compile(r"""#:(?=[ \t]|[A-Za-z"']|$)""")
# one word as the shell has it, sh(1): plain stretches, quoted ones and escaped characters, in any order
_WORD = re.compile(r"""(?:[^\s"'\\]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+""")
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^"'\\]+)""")
_FLAGS = frozenset({"user-column", "recursive"})  # keys that say yes by standing there
_SPECIAL = re.compile(r"""["'\\#]""")
_SOLID = re.compile(r"\S+")
_BLANKS = re.compile(r"\s*")


class Word(NamedTuple):
    """One word: its value with the quotes gone, its place in the line (offsets), and whether it was quoted."""

    text: str
    start: int
    end: int
    quoted: bool


class Setting(NamedTuple):
    """One `key=value`, read; `start` and `end` are offsets into its line."""

    key: str
    value: object
    start: int
    end: int


class Fault(NamedTuple):
    """What is wrong with a stretch of a directive, with offsets into its line."""

    start: int
    end: int
    message: str
    hint: str


class Directive(NamedTuple):
    """One `#:` line: whether it sets defaults, what it sets, and every mistake in it."""

    defaults: bool
    settings: tuple[Setting, ...]
    faults: tuple[Fault, ...]


def read_directive(line: str, start: int) -> Directive:
    """Read the directive whose words begin at offset `start` of `line`; never raises."""
    try:
        words = split_words(line, start)
    except FieldError as error:
        defaults = line.startswith("defaults", _skip_blanks(line, start))
        return Directive(defaults, (), (_fault(error, 0, len(line)),))
    defaults = bool(words) and words[0].text == "defaults"
    if _is_prose(words):
        return Directive(defaults=False, settings=(), faults=(_prose(words),))
    settings: list[Setting] = []
    faults: list[Fault] = []
    for word in words[1:] if defaults else words:
        try:
            settings.append(_read_setting(word, defaults=defaults))
        except FieldError as error:
            faults.append(_fault(error, word.start, word.end))
    return Directive(defaults, tuple(settings), tuple(faults))


def _fault(error: FieldError, start: int, end: int) -> Fault:
    return Fault(start + error.start, end if error.end is None else start + error.end, error.message, error.hint)


def _is_prose(words: list[Word]) -> bool:
    return bool(words) and words[0].text not in {"defaults", *_FLAGS} and not any("=" in w.text for w in words)


def _prose(words: list[Word]) -> Fault:
    first = words[0].text
    hint = f"write {OPTIONS[first].example}" if first in OPTIONS else "for an ordinary comment leave out the colon"
    return Fault(words[0].start, words[-1].end, "a directive is key=value, with nothing around the =", hint)


def split_words(line: str, start: int) -> list[Word]:
    """Split as the shell does, from offset `start`; a `#` that begins a word begins a comment."""
    if not _SPECIAL.search(line, start):
        return [Word(match[0], match.start(), match.end(), quoted=False) for match in _SOLID.finditer(line, start)]
    words: list[Word] = []
    at = _skip_blanks(line, start)
    while at < len(line) and line[at] != "#":
        match = _WORD.match(line, at)
        end = match.end() if match else at
        if end < len(line) and not line[end].isspace():
            raise FieldError(
                "this quote is never closed" if line[end] != "\\" else "nothing follows this backslash",
                f"close it with {line[end]}" if line[end] != "\\" else "",
                start=end,
                end=end + 1,
            )
        raw = line[at:end]
        quoted = any(mark in raw for mark in "\"'\\")
        words.append(Word(_unquote(raw) if quoted else raw, at, end, quoted))
        at = _skip_blanks(line, end)
    return words


def _skip_blanks(line: str, at: int) -> int:
    match = _BLANKS.match(line, at)
    return match.end() if match else at


def _unquote(raw: str) -> str:
    def bare(piece: re.Match[str]) -> str:
        if piece[2] is not None:
            return re.sub(r"\\([\"\\$`])", r"\1", piece[2])  # what a backslash escapes inside "…", sh(1)
        return piece[1] or piece[3] or piece[4] or ""

    return _PIECE.sub(bare, raw)


def _read_setting(word: Word, *, defaults: bool) -> Setting:
    """Read one word; FieldError's offsets count from the word's start (None: up to its end)."""
    key, equals, value = word.text.partition("=")
    if not equals and key in _FLAGS:
        value = "yes"
    elif not equals:
        raise _no_value(key)
    option = _find(key)
    if defaults and option.once:
        raise FieldError(
            f"{key} can't be a default", "give it to one job" if key == "name" else f"write #: {key} on its own line"
        )
    try:
        return Setting(key, option.parse(value), word.start, word.end)
    except FieldError as error:
        raise _within(error, word, len(key) + 1) from None


def _find(key: str) -> Option:
    try:
        return find_option(key)
    except FieldError as error:
        raise FieldError(error.message, error.hint, start=0, end=len(key) or None) from None


def _no_value(key: str) -> FieldError:
    hint = f"write {OPTIONS[key].example}" if key in OPTIONS else "write key=value; put quotes around blanks"
    return FieldError(f"{key!r} has no value", hint)


def _within(error: FieldError, word: Word, before: int) -> FieldError:
    """Move an error's offsets from the value to the word; quotes blur them to the whole value."""
    if word.quoted or len(word.text) == before:
        return FieldError(error.message, error.hint, start=before if word.quoted else 0)
    end = None if error.end is None or error.end <= error.start else before + error.end
    start = min(before + error.start, word.end - word.start)
    return FieldError(error.message, error.hint, start=start, end=end)
