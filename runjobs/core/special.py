"""Days that need a calendar: `L`, `L-3`, `LW`, `15W`, `5L`, `fri#2`."""

from __future__ import annotations

import re

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, WEEKDAY, is_number, number, read_value

MOST_BACK = 30  # L-30 is the 1st of a month with 31 days
FIFTH = 5

_DAY = re.compile(r"(?P<last>l|lw)|l-(?P<back>[0-9]+)|(?P<near>[0-9]+)w", re.ASCII | re.IGNORECASE)
_LAST_WEEKDAY = re.compile(r"([0-9]+)l", re.ASCII | re.IGNORECASE)
_NAMED_LAST = re.compile(r"([a-z]+)l", re.ASCII | re.IGNORECASE)


def read_day(item: str, start: int) -> str | None:
    """Read `L`, `LW`, `L-n` or `nW` as `l`, `lw`, `l-n` or `nw`; None for anything else."""
    found = _DAY.fullmatch(item)
    if found is None:
        return None
    if found["last"]:
        return found["last"].lower()
    if found["near"]:
        return f"{read_value(DAY, found['near'], start)}w"
    back = number(found["back"])
    if not 1 <= back <= MOST_BACK:
        message = f"no month has a day {item.upper()}"
        raise FieldError(message, f"L-1 to L-{MOST_BACK} count back from the last day", start=start,
                         end=start + len(item))  # fmt: skip
    return f"l-{back}"


def read_weekday(item: str, start: int) -> str | None:
    """Read `5L` as `l5` and `fri#2` as `5#2`, croniter's spelling; None for anything else."""
    day, sharp, nth = item.partition("#")
    if sharp:
        return f"{_weekday(day, start, '#')}#{_nth(nth, start + len(day) + 1)}"
    last = _LAST_WEEKDAY.fullmatch(item)
    if last:
        return f"l{_weekday(last[1], start, 'L')}"
    named = _NAMED_LAST.fullmatch(item)
    if named and named[1].lower() in WEEKDAY.names:
        hint = f"write {WEEKDAY.names[named[1].lower()]}L"
        raise FieldError(f'"{item}" is not a weekday', hint, start=start, end=start + len(item))
    return None


def _weekday(text: str, start: int, sign: str) -> int:
    if not text:
        message = f"a weekday is missing before the {sign}"
        raise FieldError(message, WEEKDAY.bounds, start=start, end=start + 1)
    return read_value(WEEKDAY, text, start) % 7


def _nth(text: str, start: int) -> int:
    if is_number(text) and 1 <= number(text) <= FIFTH:
        return number(text)
    message = f'"#{text}" is not the first to fifth of a month'
    hint = "# takes 1 to 5: fri#2 is the second Friday of the month"
    raise FieldError(message, hint, start=start - 1, end=start + len(text))
