"""A day drawn: a row for each job over its hours, past runs solid, what is to come outlined."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.answers import TROUBLES
from runjobs.core.timeline import COMING, DEAD, OVERDUE, PAUSED, RUNNING, at_once
from runjobs.render.glyphs import LOOKS, mark
from runjobs.render.prose import prose
from runjobs.render.spark import bar
from runjobs.render.table import GAP
from runjobs.render.text import cells, clip, pad, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from runjobs.core.timeline import Span
    from runjobs.render.screen import Screen

HOUR: Final = timedelta(hours=1)
STEPS: Final = tuple(timedelta(minutes=each) for each in (5, 10, 15, 20, 30, 60, 120, 180, 240))  # widths of a column
LABELS: Final = (1, 2, 3, 4, 6, 12)  # hours between two labels
WIDEST: Final = 30  # cells of a job's name
LEAST: Final = 8  # cells of it that are left to a narrow screen
TICK: Final = 5  # cells that a label takes at least, with what parts it from the next
TOGETHER: Final = "runs"
MANY: Final = 9  # runs at once that a digit can tell
# what is told of a column, from the last to the first; a skip gives way to the run that it was skipped for
RANKS: Final = (COMING, PAUSED, "ok", "skipped", RUNNING, "missed", OVERDUE, DEAD, *reversed(TROUBLES))
RANK: Final = {what: rank for rank, what in enumerate(dict.fromkeys(RANKS))}
GLYPHS: Final = {"short": ("▫", "-"), "long": ("▯", "="), "now": ("│", "|"), "tick": ("·", "."), "head": ("▼", "v")}


class Day(NamedTuple):
    """A day of jobs: from its beginning to the next one's, and what each job does in it.

    `expected` is how long a run of each job usually takes, as far as it is known.
    """

    name: str
    start: datetime
    end: datetime
    now: datetime
    rows: Mapping[str, Sequence[Span]]
    expected: Mapping[str, timedelta | None]

    @property
    def has_now(self) -> bool:
        """Whether it is today."""
        return self.start <= self.now < self.end


class Columns(NamedTuple):
    """The columns of the drawing: the instants between them, and how wide one is."""

    edges: Sequence[datetime]
    step: timedelta
    now: int | None

    def at(self, when: datetime) -> int:
        """The column of an instant; below 0 before the day, and past the last one after it."""
        return (when - self.edges[0]) // self.step


class Cell:
    """What falls into one column of one job."""

    __slots__ = ("busy", "marked", "what")

    def __init__(self) -> None:
        """Nothing."""
        self.what = ""
        self.marked = False  # whether something ended, or did not run, here
        self.busy = timedelta(0)

    def add(self, what: str, busy: timedelta, *, marked: bool) -> None:
        """Something is here for so long."""
        self.busy += busy
        if RANK.get(what, 0) > RANK.get(self.what, -1):
            self.what, self.marked = what, marked
        elif what == self.what:
            self.marked = self.marked or marked


def draw_day(day: Day, zone: tzinfo | None, screen: Screen) -> str:
    """Return the drawing as lines: the day, the hours, a row for each job, how many ran at once, and the legend."""
    label = max(map(cells, (TOGETHER, *map(printable, day.rows))), default=0)
    columns = _columns(day, screen, min(label, WIDEST))
    label = min(label, WIDEST, max(screen.width - len(columns.edges) - 1, LEAST))
    drawn = {name: _cells(spans, columns) for name, spans in day.rows.items()}
    lines = [screen.paint(_title(day, zone), "bold"), f"{' ' * label}{GAP}{_hours(columns, zone, screen)}"]
    for name, row in drawn.items():
        shown = screen.paint(pad(clip(printable(name), label), label), "bold")
        lines.append(f"{shown}{GAP}{_row(row, columns, zone, screen)}".rstrip())
    lines.append(f"{pad(TOGETHER, label)}{GAP}{_together(day, columns, screen)}".rstrip())
    lines.append(_legend(drawn, columns, screen))
    return "\n".join(lines)


def _columns(day: Day, screen: Screen, label: int) -> Columns:
    """Divide the day: as finely as there is room for, so that an hour has a whole number of columns, or its reverse."""
    room = screen.width - label - len(GAP)
    length = day.end - day.start
    fitting = [step for step in STEPS if -(-length // step) <= room]
    step = fitting[0] if fitting else STEPS[-1]
    number = -(-length // step)
    edges = [day.start + step * each for each in range(number + 1)]
    return Columns(edges, step, (day.now - day.start) // step if day.has_now else None)


def _title(day: Day, zone: tzinfo | None) -> str:
    local = day.start.astimezone(zone)
    hours = (day.end - day.start) / HOUR
    odd = "" if hours == 24 else f", {hours:g} hours: the clock is set {'back' if hours > 24 else 'forward'}"  # noqa: PLR2004
    now = f", now {day.now.astimezone(zone):%H:%M}" if day.has_now else ""
    return f"{local:%A %Y-%m-%d}{now}{odd}"


def _ticks(columns: Columns, zone: tzinfo | None) -> dict[int, int]:
    """The columns that have a label, and the hours there as clocks show them."""
    apart = next((hours for hours in LABELS if hours * HOUR / columns.step >= TICK), LABELS[-1])
    found = {}
    for number, edge in enumerate(columns.edges[:-1]):
        local = edge.astimezone(zone)
        if local.hour % apart == 0 and local.minute * timedelta(minutes=1) < columns.step:
            found[number] = local.hour
    return found


def _hours(columns: Columns, zone: tzinfo | None, screen: Screen) -> str:
    line = [" "] * (len(columns.edges) - 1)
    for number, hour in _ticks(columns, zone).items():
        is_free = columns.now is None or not number <= columns.now <= number + 1
        if is_free and number + 1 < len(line):
            line[number : number + 2] = f"{hour:02}"
    if columns.now is not None:
        line[columns.now] = _glyph("head", screen)
    return "".join(line).rstrip()


def _cells(spans: Sequence[Span], columns: Columns) -> list[Cell]:
    row = [Cell() for _ in columns.edges[:-1]]
    last = len(row) - 1
    for span in spans:
        first, final = max(columns.at(span.start), 0), columns.at(span.end)
        if final > columns.at(span.start) and columns.edges[min(final, last)] == span.end:
            final -= 1  # it ends with the column before
        for number in range(first, min(final, last) + 1):
            begun, ended = columns.edges[number], columns.edges[number + 1]
            busy = min(span.end, ended) - max(span.start, begun) if span.has_run else timedelta(0)
            row[number].add(span.what, max(busy, timedelta(0)), marked=number == final or not span.has_run)
    return row


def _row(row: Sequence[Cell], columns: Columns, zone: tzinfo | None, screen: Screen) -> str:
    ticks = _ticks(columns, zone)
    parts = []
    for number, cell in enumerate(row):
        text, color = _drawn(cell, columns, screen)
        if text == " " and number == columns.now:
            text, color = _glyph("now", screen), "dim"
        elif text == " " and number in ticks:
            text, color = _glyph("tick", screen), "dim"
        parts.append((text, color))
    return "".join(screen.paint(text, color) if color else text for text, color in _joined(parts))


def _joined(parts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join what has one colour: fewer escapes, and the same picture."""
    from itertools import groupby

    grouped = groupby(parts, key=lambda part: part[1])
    return [("".join(text for text, _ in group), color) for color, group in grouped]


def _drawn(cell: Cell, columns: Columns, screen: Screen) -> tuple[str, str]:
    """The character of a column, and its colour: a mark where something went wrong, a bar where something ran."""
    share = cell.busy / columns.step
    look = LOOKS.get(cell.what)
    if cell.what == COMING:
        return _glyph("long" if share >= 0.5 else "short", screen), ""  # noqa: PLR2004 half
    if look is None:
        return " ", ""
    if cell.what == "ok" or (cell.what == "skipped" and cell.busy) or not cell.marked:
        return bar(share, screen), look.color
    return mark(cell.what, screen), look.color


def _together(day: Day, columns: Columns, screen: Screen) -> str:
    most = at_once((span for spans in day.rows.values() for span in spans), columns.edges)
    digits = "".join(" " if not each else "+" if each > MANY else str(each) for each in most)
    return screen.paint(digits, "dim")


def _legend(drawn: Mapping[str, Sequence[Cell]], columns: Columns, screen: Screen) -> str:
    """One line that says what the characters mean: of outcomes those that are there, as many as there is room for."""
    seen = {cell.what for row in drawn.values() for cell in row if cell.what}
    parts = []
    if seen - {COMING, PAUSED}:
        parts.append((bar(1, screen), "ran", "green"))
    if COMING in seen:
        parts.append((_glyph("long", screen), "to come", ""))
    told = sorted((what for what in seen if what in LOOKS and what != "ok"), key=lambda each: -RANK.get(each, 0))
    parts += [(mark(what, screen), what, LOOKS[what].color) for what in told]
    minutes = columns.step // timedelta(minutes=1)
    parts.append(("a column:", f"{minutes}m" if minutes < 60 else f"{minutes // 60}h", ""))  # noqa: PLR2004
    shown, used = [], 0
    for glyph, word, color in parts:
        used += len(glyph) + 1 + len(word) + len(GAP)
        if used - len(GAP) <= screen.width:
            shown.append(f"{screen.paint(glyph, color) if color else glyph} {word}")
    return GAP.join(shown)


def _glyph(name: str, screen: Screen) -> str:
    return GLYPHS[name][0 if screen.unicode else 1]


def draw_way_on(day: Day, screen: Screen) -> str:
    """The command that says more of what went wrong; nothing where all went well."""
    if not any(span.what in TROUBLES for spans in day.rows.values() for span in spans):
        return ""
    return prose(f"try: runjobs history --since {day.name} --outcome trouble", screen, indent="  ")


def as_json(day: Day) -> dict[str, object]:
    """Return the day for machines."""
    return {
        "now": day.now,
        "from": day.start,
        "to": day.end,
        "jobs": [
            {
                "name": name,
                "expected": day.expected.get(name),
                "spans": [
                    {
                        "from": span.start,
                        "to": span.end,
                        "what": span.what,
                        "count": span.number,
                        "run": span.has_run,
                    }
                    for span in spans
                ],
            }
            for name, spans in day.rows.items()
        ],
    }
