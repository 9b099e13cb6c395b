"""Durations as people write them: `90s`, `30m`, `1h30m`, `2d`, `500ms`."""

from __future__ import annotations

import re
from datetime import timedelta

from runjobs.core.errors import FieldError

UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
EXAMPLES = "durations look like 90s, 30m, 1h30m, 2d, 1w or 500ms"

_PART = re.compile(r"([0-9]+)(ms|[wdhms])")
_WRITTEN = ("d", "h", "m", "s", "ms")  # no weeks: "8d" reads better than "1w1d"


def parse_duration(text: str) -> timedelta:
    """Read a duration: whole numbers with units, from big to small, each unit once.

    Raises FieldError with the offsets of the part that can't be read.
    """
    total, position, smallest = timedelta(0), 0, -1
    units = list(UNITS)
    while position < len(text) or not text:
        part = _PART.match(text, position)
        if part is None:
            raise FieldError(f'"{text[position:]}" is not a duration', _way_out(text), start=position, end=len(text))
        rank = units.index(part[2])
        if rank <= smallest:
            message = f'"{part[0]}" is out of order'
            raise FieldError(message, "units go from big to small, each once: 1h30m", start=position, end=part.end())
        total += _amount(part)
        position, smallest = part.end(), rank
    return total


def _amount(part: re.Match[str]) -> timedelta:
    try:
        return int(part[1]) * UNITS[part[2]]
    except (OverflowError, ValueError):  # ValueError: more digits than int() takes
        message = "that is longer than any calendar"
        raise FieldError(message, EXAMPLES, start=part.start(), end=part.end()) from None


def _way_out(text: str) -> str:
    if re.fullmatch(r"[0-9]+", text):
        return f"say the unit: {text[:9]}s, {text[:9]}m or {text[:9]}h"
    return EXAMPLES


def format_duration(duration: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, to the millisecond; a negative one gets a minus."""
    rest, parts = abs(duration), []
    for unit in _WRITTEN:
        count, rest = divmod(rest, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    sign = "-" if duration < timedelta(0) and parts else ""
    return sign + ("".join(parts) or "0s")
