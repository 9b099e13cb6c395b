"""Text that is not UTF-8 on its way into SQLite, which takes no other, and back: paths on Linux are bytes.

Python has such a byte in a text as a surrogate (PEP 383). Here it is kept as a character for private use, from the very
end of Unicode; and one of those that stands in a text itself is kept as its bytes are. So each text has one form, which
can be compared in SQL, and comes back as it was.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Values = Sequence[Any] | Mapping[str, Any]

SHIFT: Final = 0x10FF00  # what stands for a byte from 0x80 on
SURROGATES: Final = 0xDC00
_BYTE: Final = re.compile("[\udc80-\udcff]")
_ODD: Final = re.compile("[\udc80-\udcff\U0010ff80-\U0010ffff]")
_KEPT: Final = re.compile("[\U0010ff80-\U0010ffff]+")


class Connection(sqlite3.Connection):
    """A connection that takes any text that stands for bytes, and gives it back."""

    def __init__(self, *words: Any, **settings: Any) -> None:  # noqa: ANN401 (as sqlite3 has them)
        """Open the file."""
        super().__init__(*words, **settings)
        self.text_factory = _text

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 (as sqlite3 has them)
        """As sqlite3 does."""
        return super().execute(sql, _bound(values))

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        """As sqlite3 does."""
        return super().executemany(sql, map(_bound, rows))


def connect(path: Any, **settings: Any) -> Connection:  # noqa: ANN401 (as sqlite3 has them)
    """Open a file, with the settings of sqlite3.connect, in autocommit mode."""
    return sqlite3.connect(path, isolation_level=None, factory=Connection, **settings)


def stored(text: str) -> str:
    """The form in which a text is kept."""
    return text if text.isascii() else _ODD.sub(_as_kept, text)


def restored(kept: str) -> str:
    """The text that was kept."""
    return _KEPT.sub(_as_text, kept)


def legible(text: str) -> str:
    r"""A text for people alone: what is not UTF-8 in it as `\xe9`."""
    if text.isascii():
        return text
    named = _BYTE.sub(lambda found: f"\\x{ord(found[0]) - SURROGATES:02x}", text)
    return named.encode("utf-8", "backslashreplace").decode()


def _bound(values: Values) -> Values:
    if isinstance(values, dict):
        return {name: _value(value) for name, value in values.items()}
    return [stored(value) if isinstance(value, str) and not value.isascii() else value for value in values]


def _value(value: object) -> object:
    return stored(value) if isinstance(value, str) else value


def _as_kept(found: re.Match[str]) -> str:
    return "".join(chr(SHIFT + byte) for byte in found[0].encode("utf-8", "surrogateescape"))


def _as_text(found: re.Match[str]) -> str:
    return bytes(ord(char) - SHIFT for char in found[0]).decode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", "surrogateescape")  # of a damaged file half is better than nothing
    return text if text.isascii() else restored(text)
