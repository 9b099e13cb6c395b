"""One look for each outcome and state, the same in every command: a glyph, its twin in ASCII, a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from runjobs.render.screen import Screen


_TROUBLES: Final = frozenset(outcome.value for outcome in Outcome if outcome.is_trouble)


class Look(NamedTuple):
    """How a word looks: its glyph takes one cell, `letter` stands for it where only ASCII can be shown."""

    glyph: str
    letter: str
    color: str


ROOM: Final = 60  # cells: on fewer, a word stands alone
LOOKS: Final = {
    "ok": Look("✓", "#", "green"),
    "failed": Look("✗", "F", "red"),
    "timeout": Look("⧗", "T", "red"),
    "stopped": Look("⊘", "S", "red"),
    "interrupted": Look("↯", "I", "red"),
    "error": Look("!", "E", "red"),
    "missed": Look("∅", "m", "yellow"),
    "skipped": Look("↷", "s", "yellow"),
    "paused": Look("‖", "p", "yellow"),
    "overdue": Look("?", "?", "red"),
    "starting": Look("►", ">", "bold"),
    "running": Look("►", ">", "bold"),
    "waiting": Look("⋯", "w", "bold"),
    "claimed": Look("⋯", "w", "bold"),
    "dead": Look("?", "?", "red"),
    "never ran": Look("·", ".", "dim"),
    # of `doctor` and `check`
    "note": Look("!", "!", "yellow"),
    "warning": Look("!", "!", "yellow"),
    "problem": Look("✗", "X", "red"),
}


def told(word: str, screen: Screen) -> str:
    """A word as a screen shows it: `✗ failed` on a terminal, `FAILED` on one without Unicode, `failed` in a pipe.

    So trouble stands out without colours too, and a program always reads the same words.
    """
    look = LOOKS.get(word)
    if look is None or not screen.pretty:
        return word
    return f"{look.glyph} {word}" if screen.unicode and screen.width >= ROOM else loud(word)


def loud(word: str) -> str:
    """The twin of a word in plain ASCII: that of trouble is written in capitals."""
    return word.upper() if word in _TROUBLES else word


def mark(word: str, screen: Screen) -> str:
    """The one cell that stands for a word."""
    look = LOOKS[word]
    return look.glyph if screen.unicode else look.letter


def color_of(word: str) -> str:
    """The colour of a word; of one that has no look, none."""
    look = LOOKS.get(word)
    return look.color if look is not None else ""


# by every form that a word is told in: what a table's column is given
COLORS: Final = {
    form: look.color for word, look in LOOKS.items() for form in (word, loud(word), f"{look.glyph} {word}")
}
