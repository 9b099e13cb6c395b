"""Command lines of systemd, systemd.service(5), as text for the shell."""

from __future__ import annotations

import re
from typing import NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.imports.shelltext import quote

_PREFIX = re.compile(r"[@:+!|-]*")
_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_WHOLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SPECIFIER = re.compile(r"%(.?)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_CODED = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})")
_FOLDERS = {"t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc", "T": "/tmp", "V": "/var/tmp"}  # noqa: S108


class Exec(NamedTuple):
    """One command: its text for the shell, whether its failure is to be ignored, and whether a variable is cut up.

    An unquoted variable is cut at blanks by systemd and by the shell, but the shell would also look for files of that
    name: `set -f` keeps it from doing so.
    """

    text: str
    may_fail: bool
    cut: bool


def specified(text: str, unit: str, user: str = "root") -> str:
    """Replace specifiers, `%i` and its like; FieldError for what only systemd knows, such as `%m`.

    `unit` is the unit's whole name. The system's manager is meant, not a user's.
    """
    stem = unit.rsplit(".", 1)[0]
    prefix, at, instance = stem.partition("@")
    known = {
        "%": "%", "n": unit, "N": stem, "p": prefix, "P": _unescaped(prefix), "i": instance, "I": _unescaped(instance),
        "j": prefix.rsplit("-", 1)[-1], "J": _unescaped(prefix.rsplit("-", 1)[-1]),
        "f": "/" + _unescaped(instance if at else prefix), "u": user, "h": "/root", "s": "/bin/sh", **_FOLDERS,
    }  # fmt: skip

    def replace(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise FieldError(f"only systemd knows what %{match[1]} is", "write out what it stands for")
        return known[match[1]]

    return _SPECIFIER.sub(replace, text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text.replace("-", "/"))


def read_exec(text: str, unit: str, *, lowered: bool = False) -> list[Exec]:
    """Read the commands of one `ExecStart=`; several stand there with a `;` between them.

    `lowered` says that the unit runs as a user of its own, which some commands are marked to go without.
    """
    commands: list[Exec] = []
    words: list[str] = []
    for word in [*_cut(text), ";"]:
        if word != ";":
            words.append(word)
        elif words:
            commands.append(_command(words, unit, lowered=lowered))
            words = []
    return commands


def _command(words: list[str], unit: str, *, lowered: bool) -> Exec:
    prefix = _PREFIX.match(words[0])
    marks = prefix[0] if prefix else ""
    for mark, what in _LOST_MARKS.items():
        if mark in marks and (lowered or mark not in _RIGHTS):
            raise FieldError(f"the {mark} before the command {what}", "write the command by hand")
    words = [words[0][len(marks) :], *words[1:]]
    if not words[0]:
        raise FieldError("there is no command here", "write one behind the =")
    drawn = [_word(_plain(word), unit, expand=":" not in marks and index > 0) for index, word in enumerate(words)]
    cut = ":" not in marks and any(_WHOLE.fullmatch(word) for word in words[1:])
    return Exec(" ".join(drawn), "-" in marks, cut)


_RIGHTS = "+!"
_LOST_MARKS = {
    "+": "gives it more rights than the job has",
    "!": "gives it more rights than the job has",
    "@": "gives it another name than its own",
    "|": "has it run by the user's own shell",
}


def _word(word: str, unit: str, *, expand: bool) -> str:
    """Write a word for the shell; variables stand in it as systemd has them."""
    word = specified(word, unit)
    if not expand:
        return quote(word)
    if _WHOLE.fullmatch(word):
        return word
    pieces, at = [], 0
    for match in _VARIABLE.finditer(word):
        pieces.append(word[at : match.start()])
        pieces.append("$" if match[1] else f'"${{{match[2]}}}"')
        at = match.end()
    if not pieces:
        return quote(word)
    pieces.append(word[at:])
    return "".join(piece if index % 2 and piece != "$" else _literal(piece) for index, piece in enumerate(pieces))


def _literal(piece: str) -> str:
    return quote(piece) if piece else ""


def split_words(text: str) -> list[str]:
    """Cut a list of words, such as variables, with the quotes gone; FieldError for an open quote."""
    return [_plain(word) for word in _cut(text)]


def _cut(text: str) -> list[str]:
    """Cut a command line into words as they stand, their quotes and escapes still in them."""
    found = re.findall(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+|.""", text, re.DOTALL)
    words = [word for word in found if not word.isspace()]
    if any(word in {'"', "'", "\\"} for word in words):
        raise FieldError("a quote is never closed", "close it")
    return words


def _plain(word: str) -> str:
    """Take a word's quotes off and its escapes out."""
    pieces = re.findall(r"""(?:[^\s"'\\]|\\.)+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", word, re.DOTALL)
    return "".join(_unescape(piece[1:-1] if piece[0] in "\"'" else piece) for piece in pieces)


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        coded = _CODED.fullmatch(match[1])
        if coded is None:
            return _ESCAPES.get(match[1], match[1])
        return chr(int(coded[4], 8)) if coded[4] else chr(int(coded[1] or coded[2] or coded[3], 16))

    return re.sub(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{3}|.)", replace, text, flags=re.DOTALL)
