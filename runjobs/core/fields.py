"""One field of a schedule: its text and every value it allows."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, WEEKDAY, Kind
from runjobs.core.hashed import is_hashed, settle
from runjobs.core.ranges import missing, read_item
from runjobs.core.special import read_day, read_weekday

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WEEK = 7
_FIELDS = 4096  # real crontabs repeat themselves: 10,000 lines share some hundred fields


class Field(NamedTuple):
    """A field that was read; equal texts share one.

    `values` are sorted, Sunday is 0; `mask` has bit n set for value n; `full` is: every value there is.
    `special` holds the items that need a calendar (`l`, `l-3`, `lw`, `15w`, `5#2`, `l5`), not in `values`.
    `starred` is what Vixie's cron goes by: the text begins with `*` (or is `?`).
    """

    kind: Kind
    text: str
    values: tuple[int, ...]
    mask: int
    full: bool
    starred: bool
    special: tuple[str, ...]

    @property
    def uneven_step(self) -> int | None:
        """The step of a `*/n` that doesn't divide the field, so that the last gap is a short one (`*/45`)."""
        size = len(range(self.kind.low, self.kind.high + 1))
        steps = (int(item[2:]) for item in self.text.split(",") if item.startswith("*/"))
        return next((step for step in steps if step < size and size % step), None)


def parse_field(kind: Kind, text: str, name: str = "") -> tuple[Field, bool]:
    """Read a field for the job of this name; the second value says whether the name had a part in it.

    Raises FieldError with offsets into `text`.
    """
    return (_parse_hashed(kind, text, name), True) if _is_hashed(text) else (_parse_plain(kind, text), False)


@lru_cache(maxsize=_FIELDS)
def _is_hashed(text: str) -> bool:
    return any(is_hashed(item) for item in text.split(","))


def _parse_hashed(kind: Kind, text: str, name: str) -> Field:
    plain = [(settle(kind, item, at, name), at) for item, at in _items(kind, text)]
    _read(kind, plain)  # here, not below, for errors that point into the text as written
    return _parse_plain(kind, ",".join(item for item, _ in plain))


@lru_cache(maxsize=_FIELDS)
def _parse_plain(kind: Kind, text: str) -> Field:
    if text == "?" and kind in {DAY, WEEKDAY}:
        return _field(kind, text, set(range(kind.low, kind.high + 1)), ())
    return _field(kind, text, *_read(kind, _items(kind, text)))


def _field(kind: Kind, text: str, values: set[int], special: tuple[str, ...]) -> Field:
    mask = sum(1 << value for value in values)
    full = len(values) == len(range(kind.low, kind.high + 1))
    return Field(kind, text, tuple(sorted(values)), mask, full, text[0] in "*?", special)


def _items(kind: Kind, text: str) -> Iterator[tuple[str, int]]:
    """Cut a list at its commas, each item with its offset."""
    at = 0
    for item in text.split(","):
        if not item:
            raise missing(kind, min(at, len(text) - 1))
        if "?" in item:
            message = '"?" stands alone, in the day-of-month or weekday field'
            raise FieldError(message, 'write "*"', start=at, end=at + len(item))
        yield item, at
        at += len(item) + 1


def _read(kind: Kind, items: Iterable[tuple[str, int]]) -> tuple[set[int], tuple[str, ...]]:
    values: set[int] = set()
    special: list[str] = []
    for item, at in items:
        token = _special(kind, item, at)
        if token is not None:
            special.append(token)
        elif kind is WEEKDAY:
            values.update(value % _WEEK for value in read_item(kind, item, at))
        else:
            values.update(read_item(kind, item, at))
        _check_mix(kind, values, special, (item, at))
    return values, tuple(special)


def _special(kind: Kind, item: str, at: int) -> str | None:
    if kind is DAY:
        return read_day(item, at)
    return read_weekday(item, at) if kind is WEEKDAY else None


def _check_mix(kind: Kind, values: set[int], special: list[str], last: tuple[str, int]) -> None:
    """Refuse lists whose meaning differs from one program to the next; `last` is the item that made the mix."""
    item, at = last
    if kind is WEEKDAY and values and special:
        message, hint = "plain weekdays and # or L can't share a list", "give one of them a line of its own"
    elif kind is DAY and len(special) + bool(values) > 1 and any(token[0].isdigit() for token in special):
        message, hint = "nearest weekdays (15W) can't share a list", "give each a line of its own"
    else:
        return
    raise FieldError(message, hint, start=at, end=at + len(item))
