"""Output of jobs on its way to a reader: as it is into a pipe, harmless on a terminal, each line with its owner."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from runjobs.render.text import cells, pad, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runjobs.render.screen import Screen

SGR: Final = re.compile(r"(\x1b\[[0-9;:]*m|\t)")  # colours and tabs: all that output may ask of a terminal
NAMES: Final = ("cyan", "magenta", "blue", "green", "yellow")  # of owners, in turn; red is trouble's
RESET: Final = "\x1b[0m"
LONGEST: Final = 65_536  # bytes of a line that are waited for; then it is shown without its end


class Lines:
    """Cuts the output of several sources into whole lines, and says at each whose it is, if there is more than one.

    Where there are colours, each owner has its own.
    """

    def __init__(self, owners: Sequence[str], screen: Screen) -> None:
        """Show output of these owners; without any, lines come without a name."""
        self._width = max((cells(printable(owner)) for owner in owners), default=0)
        self._colors = {owner: NAMES[rank % len(NAMES)] for rank, owner in enumerate(dict.fromkeys(owners))}
        self._screen = screen
        self._begun: dict[str, bytes] = {}

    def add(self, source: str, owner: str, data: bytes) -> bytes:
        """The lines that are whole with this data, ready to be written; what is begun is kept back."""
        begun = self._begun.pop(source, b"") + data
        end = len(begun) if len(begun) > LONGEST else begun.rfind(b"\n") + 1
        if begun[end:]:
            self._begun[source] = begun[end:]
        return self._shown(owner, begun[:end])

    def end(self, source: str, owner: str) -> bytes:
        """The line that a source has begun and did not end, ended."""
        begun = self._begun.pop(source, b"")
        return self._shown(owner, begun + b"\n") if begun else b""

    def _shown(self, owner: str, data: bytes) -> bytes:
        if not data or not (self._width or self._screen.pretty):
            return data
        lines = data.removesuffix(b"\n").split(b"\n")
        return b"".join(self._line(owner, line) for line in lines)

    def _line(self, owner: str, line: bytes) -> bytes:
        shown = line
        if self._screen.pretty:
            shown = harmless(line.decode("utf-8", "backslashreplace"), self._screen).encode()
        if not self._width:
            return shown + b"\n"
        name = f"{pad(printable(owner), self._width)} |"
        return self._screen.paint(name, self._colors.get(owner, "bold")).encode() + b" " + shown + b"\n"


def harmless(line: str, screen: Screen) -> str:
    """Return a line of output as a terminal may be given it: its colours stay, whatever moves the cursor is shown.

    Of what was written over, as progress bars do it, the last is left.
    """
    line = line.rstrip("\r").rpartition("\r")[2]
    parts = SGR.split(line)
    colored = screen.color and len(parts) > 1
    text = "".join(_kept(part, screen) if number % 2 else printable(part) for number, part in enumerate(parts))
    return text + RESET if colored and "\x1b" in text else text


def _kept(part: str, screen: Screen) -> str:
    return part if part == "\t" or screen.color else ""


def last_lines(pieces: Iterable[bytes], count: int) -> bytes:
    """The last lines of data that comes in pieces; of more than they need, nothing is kept."""
    kept = b""
    for piece in pieces:
        kept = _cut(kept + piece, count)
    return kept


def _cut(data: bytes, count: int) -> bytes:
    start = len(data) - data.endswith(b"\n")
    if not count:
        return b""
    for _ in range(count):
        start = data.rfind(b"\n", 0, start)
        if start < 0:
            return data
    return data[start + 1 :]
