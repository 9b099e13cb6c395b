"""Sentences under a table: wrapped between words on a terminal, one line each in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.render.text import cells, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.render.screen import Screen

LEAST = 20  # cells that are left for words, however far they are indented


def prose(text: str, screen: Screen, *, indent: str = "", color: str = "") -> str:
    """Return a sentence as lines, each indented; on a terminal none is longer than the screen is wide.

    Continued lines are indented by two more. Whatever would move the cursor is shown instead.
    """
    text = printable(text)
    lines = _wrapped(text, max(screen.width - cells(indent), LEAST)) if screen.pretty else [text]
    first, *more = [screen.paint(line, color) if color else line for line in lines]
    return "\n".join([indent + first, *(f"{indent}  {line}" for line in more)])


def _wrapped(text: str, width: int) -> list[str]:
    lines, room = [""], width
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cells(longer) <= room:
            lines[-1] = longer
            continue
        room = width - 2
        lines += _parts(word, room)
    return lines[1:] if not lines[0] else lines


def _parts(word: str, room: int) -> Iterator[str]:
    """A word in parts that fit: most are one, a path may be longer than a line."""
    part = ""
    for char in word:
        if cells(part + char) > room:
            yield part
            part = ""
        part += char
    yield part
