"""Points in time as people type them: `in 2h`, `tomorrow 7:30`, `last friday`, `2026-12-24 18:00`."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from runjobs.core.duration import UNITS
from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import MONTH, WEEKDAY
from runjobs.core.nearest import nearest_word
from runjobs.core.zone import Zone, zone_of

EXAMPLES = 'examples: now, in 2h, 30 minutes ago, 7:30, tomorrow 7:30, last friday, 2026-12-24 18:00, "24 dec 6pm"'

_WORDS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
_UNITS = "|".join((*(f"{word}s?" for word in _WORDS), *UNITS))
_COUNT = r"(?<!\d)\d{1,9} ?|\ban? "
_SPAN = rf"(?:{_COUNT})(?:{_UNITS})"
_SPANS = rf"{_SPAN}(?: ?(?:and )?{_SPAN})*"
_FROM_NOW = re.compile(rf"in (?P<later>{_SPANS})|(?P<ago>{_SPANS}) ago", re.ASCII)
_PIECE = re.compile(rf"({_COUNT})({_UNITS})(?![a-z])", re.ASCII)
_TIME = r"noon|midnight|\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]m)?|\d{1,2} ?[ap]m"
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))? ?([ap]m)?", re.ASCII)
_WEEKDAYS = "|".join(WEEKDAY.names)
_DAY = rf"today|tomorrow|yesterday|(?:(?P<which>next|last|on) )?(?P<weekday>{_WEEKDAYS})"
_ON_DAY = re.compile(rf"(?P<day>{_DAY})(?:,?(?: at)? (?P<time>{_TIME}))?|(?:at )?(?P<clock>{_TIME})", re.ASCII)
_TWO_WAYS = re.compile(r"(?<!\d)(\d{1,2})[-/. ](\d{1,2})[-/. ]\d{2,4}", re.ASCII)
_NOON = 12
_STEPS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_KNOWN = (
    *("now", "in", "ago", "next", "last", "on", "at", "noon", "midnight", *_STEPS, *WEEKDAY.names, *MONTH.names),
    *(form for word in _WORDS for form in (word, f"{word}s")),
)


def parse_when(text: str, now: datetime, tz: tzinfo) -> datetime:
    """Read a point in time; wall times are in `tz`, the answer is in UTC.

    A span (`in 2h`, `1d ago`) is exact. A day without a time is its midnight. A weekday is the first one after
    today, with or without `next`; `last` is the one before today. A time alone is the next time it comes round.
    Dates: ISO 8601, else what dateutil reads, which must name a day and be readable in one way only.
    Raises FieldError.
    """
    words = " ".join(text.lower().split())
    try:
        return _read(words, text, now.astimezone(UTC), zone_of(tz))
    except OverflowError:
        raise _unreadable(text, "is out of any calendar") from None
    except FieldError as error:
        near = _respelled(words)
        with contextlib.suppress(FieldError, OverflowError):
            if near != words and _read(near, near, now.astimezone(UTC), zone_of(tz)):
                error.hint = f'"{near}"'
        raise


def _respelled(words: str) -> str:
    """Return the words with each that is none of ours as the nearest that is."""
    return " ".join(
        (word.isalpha() and word not in _KNOWN and nearest_word(word, _KNOWN)) or word for word in words.split()
    )


def _read(words: str, text: str, now: datetime, zone: Zone) -> datetime:
    if words == "now":
        return now
    span = _FROM_NOW.fullmatch(words)
    if span:
        return now + _length(span["later"]) if span["later"] else now - _length(span["ago"])
    named = _ON_DAY.fullmatch(words)
    if named:
        return _on_day(named, text, now, zone)
    if _PIECE.search(words):  # dateutil reads "in 10 minutes" as ten past midnight
        message = "has a span of time but no direction"
        raise _unreadable(text, message, f'write "in {_span_in(words)}" or "{_span_in(words)} ago"')
    written = _iso(text.strip()) or _dateutil(text, now.astimezone(zone.tz).year)
    return written.astimezone(UTC) if written.tzinfo else zone.instant_of(written)


def _length(spans: str) -> timedelta:
    total = timedelta(0)
    for count, unit in _PIECE.findall(spans):
        total += (1 if count.startswith("a") else int(count)) * UNITS[_WORDS.get(unit.removesuffix("s"), unit)]
    return total


def _span_in(words: str) -> str:
    return next(found[0] for found in _PIECE.finditer(words))


def _on_day(named: re.Match[str], text: str, now: datetime, zone: Zone) -> datetime:
    today = now.astimezone(zone.tz).date()
    if named["clock"]:
        clock = _clock(named["clock"], text)
        soon = zone.instant_of(datetime.combine(today, clock))
        return soon if soon > now else zone.instant_of(datetime.combine(today + timedelta(days=1), clock))
    clock = _clock(named["time"], text) if named["time"] else time()
    return zone.instant_of(datetime.combine(_day(named, today), clock))


def _day(named: re.Match[str], today: date) -> date:
    if not named["weekday"]:
        return today + timedelta(days=_STEPS[named["day"]])
    wanted = WEEKDAY.names[named["weekday"]]
    if named["which"] == "last":
        return today - timedelta(days=(today.isoweekday() - wanted - 1) % 7 + 1)
    return today + timedelta(days=(wanted - today.isoweekday() - 1) % 7 + 1)


def _clock(words: str, text: str) -> time:
    found = _CLOCK.fullmatch(words)
    if found is None:
        return time(_NOON) if words == "noon" else time()
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    if found[4] and not 1 <= hour <= _NOON:
        raise _unreadable(text, "has an hour that am and pm don't know")
    if found[4]:
        hour = hour % _NOON + (_NOON if found[4] == "pm" else 0)
    try:
        return time(hour, minute, second)
    except ValueError:
        raise _unreadable(text, "has a time that no clock shows") from None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _dateutil(text: str, year: int) -> datetime:
    """Read other dates, never fuzzily; what the text leaves open must not be filled from today."""
    import warnings

    from dateutil.parser import parse  # 20 ms

    parts = _TWO_WAYS.search(text)
    if parts and parts[1] != parts[2] and max(int(parts[1]), int(parts[2])) <= MONTH.top:
        raise _unreadable(text, "can be read as two dates", "write the year first: 2026-12-24")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a zone name that it doesn't know is only a warning to dateutil
            first, second = (parse(text, default=datetime(year, filler, filler)) for filler in (1, 2))  # noqa: DTZ001
    except (ValueError, Warning):
        raise _unreadable(text) from None
    if first != second:
        raise _unreadable(text, "names no day of a month")
    return first


def _unreadable(text: str, problem: str = "is not a point in time", hint: str = EXAMPLES) -> FieldError:
    return FieldError(f'"{text}" {problem}', hint, start=0, end=len(text))
