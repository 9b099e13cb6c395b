"""Problems of input: place, message, the line with a caret under the mistake, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import Severity
from runjobs.render.text import CONTINUED, cells, printable

if TYPE_CHECKING:
    from runjobs.core.errors import Place, Problem
    from runjobs.render.screen import Screen

INDENT = "    "
TAB = 8  # tty's tab stops; the line is drawn with blanks, so that the caret stands right in any of them
COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


class Excerpt(NamedTuple):
    """A drawn line, and the line with the carets under it ("" where the whole line is meant)."""

    text: str
    carets: str


def draw_problem(problem: Problem, screen: Screen) -> str:
    """Return the problem as lines of text, without a final newline."""
    kind = screen.paint(f"{problem.severity.value}:", COLORS[problem.severity])
    whole_file = not problem.text and problem.place.line <= 1
    place = printable(problem.place.source) if whole_file else where(problem.place)
    lines = [f"{screen.paint(place, 'bold')}: {kind} {printable(problem.message)}"]
    lines += draw_excerpt(problem.text, problem.place, screen)
    if problem.other:
        lines.append(f"  see: {where(problem.other)}")
    if problem.hint:
        lines.append(f"  try: {printable(problem.hint)}")
    return "\n".join(lines)


def draw_excerpt(text: str, place: Place, screen: Screen) -> list[str]:
    """Return the line and the carets under the place, indented; nothing where no line is at fault."""
    if not text:
        return []
    excerpt = under_caret(text, place, screen.width - len(INDENT))
    indent = len(excerpt.carets) - len(excerpt.carets.lstrip())
    carets = INDENT + " " * indent + screen.paint(excerpt.carets[indent:], "green")
    return [INDENT + excerpt.text, carets] if excerpt.carets else [INDENT + excerpt.text]


def where(place: Place) -> str:
    """Write a place as compilers do, `file:line:column`, which editors can jump to."""
    return f"{printable(place.source)}:{place.line}:{place.column}"


def under_caret(text: str, place: Place, width: int) -> Excerpt:
    """Draw a line in at most so many cells, cut around the place where it is longer, with carets under the place."""
    start = min(place.column - 1, len(text))
    near = 2 * width  # characters that can matter on either side: a line may be a megabyte long
    before, marked, after = text[max(0, start - near) : start], text[start : start + place.width], text[start:]
    drawn = _grid(before + (after[:near] or " "))  # a caret may stand behind the last character
    first, last = len(_grid(before)), len(_grid(before + marked[:near]))
    low = max(0, min(first - width // 3, len(drawn) - width))
    shown = _cut(drawn, low, width, cut_before=low > 0 or start > near, cut_after=len(after) > near)
    last = min(max(last, first + 1), low + len(shown))
    carets = " " * (first - low) + "^" * (last - first) if place.width else ""
    return Excerpt("".join(shown).rstrip(), carets)


def _cut(drawn: list[str], low: int, width: int, *, cut_before: bool, cut_after: bool) -> list[str]:
    shown = drawn[low : low + width]
    dots = len(CONTINUED)
    if cut_before:
        shown[:dots] = CONTINUED
        shown[dots : dots + 1] = [shown[dots] or " "]  # the right half of a wide character
    if cut_after or low + width < len(drawn):
        if not shown[-dots]:
            shown[-dots - 1] = " "  # the left half of a wide character
        shown[-dots:] = CONTINUED
    return shown


def _grid(text: str) -> list[str]:
    """Draw text into cells: tabs as blanks up to the next stop, control characters as escapes.

    A wide character takes its cell and an empty one after it; an accent joins the character before it.
    """
    grid: list[str] = []
    for char in text:
        if char == "\t":
            grid += " " * (TAB - len(grid) % TAB)
            continue
        for drawn in printable(char):
            match cells(drawn):
                case 0 if grid:
                    grid[-1] += drawn
                case 2:
                    grid += [drawn, ""]
                case _:
                    grid.append(drawn)
    return grid
