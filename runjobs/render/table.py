"""Tables: drawn by rich on a terminal, plain aligned columns in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.render.text import Tinted, cells, clip, pad, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.box import Box
    from rich.text import Text

    from runjobs.render.screen import Screen

GAP = "  "
COMFORT = 30  # cells that a clipped column should have before optional ones may take room
MANY = 300  # rows: rich needs most of a millisecond for each
LEAST = 12  # cells that a clipped column has at least


class Column(NamedTuple):
    """A column: its title and looks, and how it gives way on a narrow terminal.

    A `clipped` one is cut to the room that is left; `optional` ones are left out, the last first; the others keep their
    width. `colors` are those of some texts, such as of outcomes.
    """

    title: str
    right: bool = False
    color: str = ""
    clipped: bool = False
    optional: bool = False
    colors: Mapping[str, str] | None = None


class Table(NamedTuple):
    """Rows of text under columns; the text is shown as it is, never read as markup."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def widths(self) -> list[int]:
        """Return the cells that each column needs."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns)
        return [max(map(cells, (column.title, *texts))) for column, texts in zip(self.columns, columns, strict=True)]


def draw(table: Table, screen: Screen) -> str:
    """Return the table as lines of text, without a final newline."""
    shown = Table(table.columns, [[printable(cell) for cell in row] for row in table.rows])
    if not screen.pretty:
        return _plain(shown)
    fitting = fit(shown, screen.width)
    is_quick = len(fitting.rows) > MANY and sum(fitting.widths()) + len(GAP) * len(fitting.columns) <= screen.width
    return _quick(fitting, screen) if is_quick else _ruled(fitting, screen)


def fit(table: Table, room: int) -> Table:
    """Return the table without what a narrow terminal has no room for; a pipe gets all of it."""
    chosen = _needed(table, room)
    columns = [table.columns[index] for index in chosen]
    fitting = Table(columns, [[row[index] for index in chosen] for row in table.rows])
    widths = fitting.widths()
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - room
    if excess <= 0:
        return fitting
    limits = [
        max(width - excess, LEAST) if column.clipped else width for column, width in zip(columns, widths, strict=True)
    ]
    return fitting._replace(rows=[[clip(*part) for part in zip(row, limits, strict=True)] for row in fitting.rows])


def _needed(table: Table, room: int) -> list[int]:
    """Choose the columns: optional ones only as long as all fit with a comfortable width of the clipped ones."""
    pairs = list(zip(table.columns, table.widths(), strict=True))
    wanted = [min(width, COMFORT) if column.clipped else width for column, width in pairs]
    chosen = list(range(len(pairs)))
    for index in reversed(range(len(pairs))):
        if sum(wanted[each] for each in chosen) + len(GAP) * (len(chosen) - 1) <= room:
            break
        if table.columns[index].optional:
            chosen.remove(index)
    return chosen


def _plain(table: Table) -> str:
    widths = table.widths()
    rows = [[column.title for column in table.columns], *table.rows]
    return "\n".join(_line(row, widths, table.columns) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    parts = zip(row, widths, columns, strict=True)
    return GAP.join(pad(cell, width, right=column.right) for cell, width, column in parts).rstrip()


def _quick(table: Table, screen: Screen) -> str:
    """A long table as rich draws it, without rich."""
    widths = table.widths()
    titles = [
        screen.paint(pad(column.title, width, right=column.right), "bold")
        for column, width in zip(table.columns, widths, strict=True)
    ]
    rule = ("─" if screen.unicode else "-") * (sum(widths) + len(GAP) * (len(widths) - 1))
    return "\n".join([GAP.join(titles), rule, *(_painted(row, widths, table.columns, screen) for row in table.rows)])


def _painted(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column], screen: Screen) -> str:
    cells_of = []
    for text, width, column in zip(row, widths, columns, strict=True):
        if isinstance(text, Tinted):
            painted = "".join(screen.paint(piece, tint) if tint else piece for piece, tint in text.runs())
            blanks = " " * (width - len(text))
            cells_of.append(blanks + painted if column.right else painted + blanks)
            continue
        drawn = pad(text, width, right=column.right)
        color = _color(column, text) or column.color
        cells_of.append(screen.paint(drawn, color) if color else drawn)
    return GAP.join(cells_of).rstrip()


def _rich(column: Column, text: str) -> Text:
    from rich.text import Text

    return Text.assemble(*text.runs()) if isinstance(text, Tinted) else Text(text, _color(column, text))


def _ruled(table: Table, screen: Screen) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as RichTable

    drawn = RichTable(box=_rule(screen), header_style="bold", padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in table.columns:
        drawn.add_column(column.title, justify="right" if column.right else "left", style=column.color, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_rich(column, text) for column, text in zip(table.columns, row, strict=True)))
    out = StringIO()
    console = Console(
        file=out, width=screen.width, force_terminal=screen.color, no_color=not screen.color, highlight=False
    )
    console.print(drawn)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _color(column: Column, text: str) -> str:
    return (column.colors or {}).get(text, "")


def _rule(screen: Screen) -> Box:
    """Return the frame: a rule under the titles, of dashes where lines can't be shown."""
    from rich.box import SIMPLE_HEAD, Box

    blank, rule = "    ", " -- "
    plain = Box("\n".join([blank, blank, rule, *[blank] * 5]), ascii=True)
    return SIMPLE_HEAD if screen.unicode else plain
