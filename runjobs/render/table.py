"""Tables: drawn by rich on a terminal, plain aligned columns in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.render.text import cells, clip, pad, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.box import Box

    from runjobs.render.screen import Screen

GAP = "  "
COMFORT = 30  # cells that a clipped column should have before optional ones may take room
LEAST = 12  # cells that a clipped column has at least


class Column(NamedTuple):
    """A column: its title and looks, and how it gives way on a narrow terminal.

    A `clipped` one is cut to the room that is left, an `optional` one is left out; the others keep their width.
    """

    title: str
    right: bool = False
    color: str = ""
    clipped: bool = False
    optional: bool = False


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
    return _ruled(fit(shown, screen.width), screen) if screen.pretty else _plain(shown)


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
    """Choose the columns: the optional ones only if all fit with a comfortable width of the clipped ones."""
    pairs = list(zip(table.columns, table.widths(), strict=True))
    wanted = sum(min(width, COMFORT) if column.clipped else width for column, width in pairs)
    everything = wanted + len(GAP) * (len(pairs) - 1) <= room
    return [index for index, column in enumerate(table.columns) if everything or not column.optional]


def _plain(table: Table) -> str:
    widths = table.widths()
    rows = [[column.title for column in table.columns], *table.rows]
    return "\n".join(_line(row, widths, table.columns) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    parts = zip(row, widths, columns, strict=True)
    return GAP.join(pad(cell, width, right=column.right) for cell, width, column in parts).rstrip()


def _ruled(table: Table, screen: Screen) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=_rule(screen), header_style="bold", padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in table.columns:
        drawn.add_column(column.title, justify="right" if column.right else "left", style=column.color, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    out = StringIO()
    console = Console(
        file=out, width=screen.width, force_terminal=screen.color, no_color=not screen.color, highlight=False
    )
    console.print(drawn)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _rule(screen: Screen) -> Box:
    """Return the frame: a rule under the titles, of dashes where lines can't be shown."""
    from rich.box import SIMPLE_HEAD, Box

    blank, rule = "    ", " -- "
    plain = Box("\n".join([blank, blank, rule, *[blank] * 5]), ascii=True)
    return SIMPLE_HEAD if screen.unicode else plain
