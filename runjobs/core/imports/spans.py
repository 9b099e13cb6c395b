"""Time spans as systemd writes them, systemd.time(7): `5min 20s`, `1h`, `43200`, `infinity`."""

from __future__ import annotations

import re
from datetime import timedelta

from runjobs.core.errors import FieldError

_UNITS = {
    timedelta(microseconds=1): "usec us µs",
    timedelta(milliseconds=1): "msec ms",
    timedelta(seconds=1): "seconds second sec s",
    timedelta(minutes=1): "minutes minute min m",
    timedelta(hours=1): "hours hour hr h",
    timedelta(days=1): "days day d",
    timedelta(weeks=1): "weeks week w",
    timedelta(days=30.44): "months month M",
    timedelta(days=365.25): "years year y",
}
_LENGTHS = {name: length for length, names in _UNITS.items() for name in names.split()}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]*)\s*")


def read_span(text: str) -> timedelta | None:
    """Read a span; a number alone is seconds, None is infinity."""
    if text.strip() == "infinity":
        return None
    total, at = timedelta(0), 0
    while at < len(text) or not text:
        part = _PART.match(text, at)
        length = _LENGTHS.get(part[2] or "s") if part else None
        if part is None or length is None:
            raise FieldError(f"{text!r} is no span of time", "a span is such as 5min 20s")
        try:
            total += float(part[1]) * length
        except OverflowError:
            raise FieldError(f"{text!r} is longer than any calendar", "write a shorter one") from None
        at = part.end()
    return total
