"""What the reader of a stream can show: a terminal or a pipe, its width, colours and characters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

WIDTH = 80  # where nobody says how wide it is, as for paper and pipes
# SGR, ECMA-48: colours that each terminal takes from its own theme, so that they are read on dark and on light
COLORS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}


class Screen(NamedTuple):
    """A terminal is `pretty`: it gets tables with frames. A pipe gets plain columns, of any width."""

    pretty: bool = False
    width: int = WIDTH
    color: bool = False
    unicode: bool = False

    def paint(self, text: str, color: str) -> str:
        """Give text a colour where the screen has colours."""
        return f"\x1b[{COLORS[color]}m{text}\x1b[0m" if self.color and text else text


def screen_of(stream: TextIO, environ: Mapping[str, str] | None = None) -> Screen:
    """Tell what a stream can show. NO_COLOR (no-color.org), TERM=dumb, COLUMNS and the locale are honoured."""
    environ = os.environ if environ is None else environ
    pretty = stream.isatty()
    return Screen(
        pretty=pretty,
        width=_width(stream, environ),
        color=pretty and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb",
        unicode=_unicode(stream, environ),
    )


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):  # not a terminal, or no descriptor at all
        return WIDTH


def _unicode(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Judge by encoding and locale: in the C locale Python writes UTF-8 (PEP 540), which the terminal may not read."""
    named = [environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if named[1] in _COERCED and not named[0]:
        del named[1]
    locale = next(filter(None, named), "C")
    return (stream.encoding or "").lower().startswith("utf") and locale not in {"C", "POSIX"}


_COERCED = {"C.UTF-8", "C.utf8", "UTF-8"}  # what Python sets LC_CTYPE to in the C locale, PEP 538
