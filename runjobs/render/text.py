"""Text for terminals: control characters shown, widths counted in cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTINUED = "..."


class Tinted(str):
    """Text of ours, such as a row of bars, whose characters have colours of their own; each takes one cell.

    It is shown as it is, so it must never hold what somebody else has written.
    """

    __slots__ = ("tints",)
    tints: tuple[str, ...]  # the name of a colour for each character, "" for none

    @classmethod
    def of(cls, parts: Iterable[tuple[str, str]]) -> Tinted:
        """Join characters, each with its colour."""
        listed = list(parts)
        made = cls("".join(char for char, _ in listed))
        made.tints = tuple(tint for _, tint in listed)
        return made

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield the text in pieces of one colour."""
        from itertools import groupby

        for tint, group in groupby(zip(self, self.tints, strict=True), key=lambda pair: pair[1]):
            yield "".join(char for char, _ in group), tint


def printable(text: str) -> str:
    r"""Show what a terminal would obey or hide: `\x1b`, `\n`, surrogates, bidirectional overrides.

    A job's text may come from anywhere; none of it moves the cursor or rewrites what is on the screen.
    """
    return text if isinstance(text, Tinted) or text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isprintable() or char in _SPACES:
        return char
    return char.encode("unicode_escape").decode("ascii")


# blanks that are no control characters, though str.isprintable() is false for them
_SPACES = frozenset("\u00a0\u2002\u2003\u2009\u202f\u3000")


def cells(text: str) -> int:
    """Count the terminal cells that printable text takes: East Asian wide characters take two, accents none."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(char: str) -> int:
    from unicodedata import combining, east_asian_width

    if combining(char):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def clip(text: str, width: int) -> str:
    """Cut text to so many cells; what was cut shows as `...`."""
    if cells(text) <= width:
        return text
    kept, used = "", 0
    for char in text:
        used += cells(char)
        if used > width - len(CONTINUED):
            break
        kept += char
    return kept + CONTINUED[: max(width, 0)]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill text with blanks up to so many cells; `right` puts them before it."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: `1 job`, `2 jobs`, `1,000 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
