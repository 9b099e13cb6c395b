"""Calendar expressions of systemd, systemd.time(7), as schedules of ours: `Mon..Fri *-*-* 08..18:00/15`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, YEAR, Kind
from runjobs.core.zone import zone_named

_SHORTHANDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "anually": "*-01-01 00:00:00",
}
_ITEM = re.compile(r"(\d+)(?:\.\.(\d+))?(?:/(\d+))?")
_WEEKDAY = re.compile(r"([a-z]+)(?:(?:\.\.|-)([a-z]+))?")
_TIME = re.compile(r"([^:]+):([^:]+?)(?::([^:]+))?")
_DATE = re.compile(r"(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)")
_PARTS = 4  # weekdays, date, time, zone
_CENTURY = 100
_PIVOT = 70  # two digits of a year: 69 is 2069, 70 is 1970
_LAST_BACK = 28  # the furthest day from the end that systemd takes
_WEEK = 7
_WEEKS = [frozenset(range(first, first + _WEEK)) for first in (1, 8, 15, 22)]
_LAST_WEEK = frozenset(range(1, _WEEK + 1))
_SUNDAY = 0


class When(NamedTuple):
    """A schedule of ours: its text, how many fields it has, and its zone ("" is local time)."""

    schedule: str
    fields: int = 5
    tz: str = ""


class Days(NamedTuple):
    """Days of the month: None is every day; counted `from_end`, 1 is the last."""

    days: frozenset[int] | None
    from_end: bool = False


def read_calendar(text: str) -> When:
    """Read one `OnCalendar=`: the schedule that is due at the same times; FieldError where there is none.

    Around a change of the clock each has its own ways: `docs/import.md` says which.
    """
    if text.startswith("@"):
        return When(f"@at {_epoch(text)}")
    words = text.split()
    if words and words[0].lower() in _SHORTHANDS:
        words = [*_SHORTHANDS[words[0].lower()].split(), *words[1:]]
    if not 0 < len(words) <= _PARTS:
        raise _unreadable(text)
    zone = _zone(words)
    if not words:
        raise _unreadable(text)
    weekdays = _weekdays(words.pop(0)) if words and words[0][0].isalpha() else None
    date = words.pop(0) if words and ":" not in words[0] else "*-*-*"
    clock = words.pop(0) if words else "00:00:00"
    if words:
        raise _unreadable(text)
    year, month, days = _date(date)
    hour, minute, second = _clock(clock)
    day_text, weekday_text = day_fields(days, weekdays)
    fields = [_text(MINUTE, minute), _text(HOUR, hour), day_text, _text(MONTH, month), weekday_text]
    if year is not None or second != {0}:
        fields.insert(0, _text(SECOND, second))
    if year is not None:
        fields.append(_text(YEAR, year))
    return When(" ".join(fields), len(fields), zone)


def _unreadable(text: str) -> FieldError:
    return FieldError(f"{text!r} is no calendar expression", "systemd-analyze calendar shows what it is")


def _epoch(text: str) -> str:
    try:
        return datetime.fromtimestamp(int(text[1:]), UTC).isoformat()
    except (ValueError, OverflowError):
        raise _unreadable(text) from None


def _zone(words: list[str]) -> str:
    """Take the zone off the end, if there is one: what is neither time, date nor weekdays."""
    last = words[-1]
    if ":" in last or last[0] in "*0123456789" or _are_weekdays(last):
        return ""
    zone_named(last)
    return words.pop()


def _are_weekdays(word: str) -> bool:
    match = _WEEKDAY.match(word.lower())
    return match is not None and match[1] in WEEKDAY.names


def _weekdays(word: str) -> set[int] | None:
    found: set[int] = set()
    for item in word.lower().rstrip(",").split(","):
        match = _WEEKDAY.fullmatch(item)
        names = [name for name in match.groups() if name] if match else []
        if not names or not set(names) <= set(WEEKDAY.names):
            raise FieldError(f"{item!r} is no weekday", "weekdays are Mon to Sun")
        # systemd's week begins on Monday
        first, last = (WEEKDAY.names[name] or _WEEK for name in (names[0], names[-1]))
        if first > last:
            raise FieldError(f"{item!r} goes backwards", "a week begins on Monday")
        found.update(number % _WEEK for number in range(first, last + 1))
    return found if len(found) < _WEEK else None


def _clock(word: str) -> tuple[set[int] | None, set[int] | None, set[int] | None]:
    match = _TIME.fullmatch(word)
    if match is None:
        raise _unreadable(word)
    second = re.sub(r"\.0+(?!\d)", "", match[3] or "0")
    if re.search(r"(?<!\.)\.(?!\.)", second):
        raise FieldError("fires are at whole seconds", "drop the fraction")
    return _values(HOUR, match[1]), _values(MINUTE, match[2]), _values(SECOND, second)


def _date(word: str) -> tuple[set[int] | None, set[int] | None, Days]:
    match = _DATE.fullmatch(word)
    if match is None:
        raise _unreadable(word)
    year = _values(YEAR, match[1] or "*")
    if match[3] == "~":
        return year, _values(MONTH, match[2]), Days(_from_end(match[4]), from_end=True)
    days = _values(DAY, match[4])
    return year, _values(MONTH, match[2]), Days(None if days is None else frozenset(days))


def _from_end(text: str) -> frozenset[int] | None:
    if text == "*":
        return None
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else first
        step = int(match[3] or 1) if match else 0
        leads_past = match is not None and match[3] is not None and match[2] is None and step >= first
        if match is None or leads_past or not 1 <= first <= last <= _LAST_BACK or not step:
            raise FieldError(f"{item!r} is no day from the end of a month", "days from the end are 1 to 28")
        # a step alone goes on to the last day, in a range it goes back from it
        found.update(range(first, 0, -step) if match[3] and not match[2] else range(first, last + 1, step))
    return frozenset(found)


def _values(kind: Kind, text: str) -> set[int] | None:
    """Read a component into its values; None is every value."""
    if text == "*":
        return None
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        first = _number(kind, match[1]) if match else -1
        last = first if match is None or not (match[2] or match[3]) else kind.high
        last = _number(kind, match[2]) if match and match[2] else last
        step = int(match[3] or 1) if match else 0
        # systemd refuses a step that leads past the end at once
        leads_past = match is not None and match[3] is not None and first + step > last
        if not step or leads_past or not kind.low <= first <= last <= kind.high:
            raise FieldError(f"{item!r} is no {kind.name}", kind.bounds)
        found.update(range(first, last + 1, step))
    return None if len(found) == len(range(kind.low, kind.high + 1)) else found


def _number(kind: Kind, digits: str) -> int:
    number = int(digits)
    if kind is YEAR and number < _CENTURY:
        return number + (2000 if number < _PIVOT else 1900)
    return number


def _text(kind: Kind, values: set[int] | None) -> str:
    """Write values as a field: a star, a step, or ranges."""
    if values is None:
        return "*"
    ordered = sorted(values)
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 0
    if step > 1 and kind is not YEAR and ordered == list(range(kind.low, kind.high + 1, step)):
        return f"*/{step}"
    return ",".join(_ranges(ordered))


def _ranges(ordered: list[int]) -> list[str]:
    runs: list[list[int]] = []
    for value in ordered:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def day_fields(days: Days, weekdays: set[int] | None) -> tuple[str, str]:
    """Write the two day fields so that both must match, which systemd's do; a crontab's do where one begins with *."""
    weekday_text = _text(WEEKDAY, weekdays)
    if days.days is None:
        return "*", weekday_text
    if weekdays is None:
        return _day_text(days), "*"
    nth = _nth(days, sorted(weekdays))
    if nth:
        return "*", nth
    if not days.from_end and 1 in days.days:
        others = _ranges(sorted(days.days - {1}))
        return ",".join(["*/31", *others]), weekday_text  # */31 is the 1st, and begins with a star
    if _SUNDAY in weekdays:
        others = _ranges(sorted(weekdays - {_SUNDAY}))
        return _day_text(days), ",".join(["*/7", *others])  # */7 is Sunday
    message = "a crontab can't say that the day of the month and the weekday must both match here"
    raise FieldError(message, 'test one of them in the command: [ "$(date +\\%u)" = 1 ] || exit 0')


def _day_text(days: Days) -> str:
    chosen = sorted(days.days or ())
    if not days.from_end:
        return _text(DAY, set(chosen))
    return ",".join("L" if day == 1 else f"L-{day - 1}" for day in chosen)


def _nth(days: Days, weekdays: list[int]) -> str:
    """Write such as the first Monday as `1#1`, the last as `1L`; "" where the days are not whole weeks."""
    chosen = days.days or frozenset()
    if days.from_end:
        return ",".join(f"{day}L" for day in weekdays) if chosen == _LAST_WEEK else ""
    weeks = [number for number, week in enumerate(_WEEKS, 1) if week <= chosen]
    if chosen != frozenset().union(*(_WEEKS[number - 1] for number in weeks)):
        return ""
    return ",".join(f"{day}#{number}" for number in weeks for day in weekdays)
