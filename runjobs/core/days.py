"""Which days of a month a schedule names: Vixie cron's rule, over a calendar that croniter knows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runjobs.core.fields import Field

_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EACH_WEEK = sum(1 << week * 7 for week in range(5))
_FEBRUARY, _FRIDAY = 2, 5


def days_of_month(day: Field, weekday: Field, year: int, month: int) -> int:
    """Return the matching days of a month, bit n for day n.

    With both fields given a day matches either; but where one begins with `*` it must match both (crontab(5),
    and the flags DOM_STAR and DOW_STAR in Vixie cron's find_jobs): `*/2 * mon` is the odd Mondays only.
    """
    first = date(year, month, 1).toordinal() % 7  # ordinal 1 was a Monday, so Sunday is 0
    by_day = day.mask | _special(day.special, year, month)
    by_weekday = _repeat(weekday.mask, first) | _special(weekday.special, year, month)
    both = by_day & by_weekday if day.starred or weekday.starred else by_day | by_weekday
    return both & _whole(year, month)


def _repeat(week: int, first: int) -> int:
    """Lay a week's mask (bit 0 is Sunday) over a month whose first day is weekday `first`."""
    turned = ((week | week << 7) >> first) & 0b1111111
    return turned * _EACH_WEEK << 1


def _whole(year: int, month: int) -> int:
    """Return a mask of every day of the month."""
    leap = month == _FEBRUARY and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (2 << _LENGTHS[month - 1] + leap) - 2


def _special(items: tuple[str, ...], year: int, month: int) -> int:
    mask = 0
    for item in items:
        mask |= _from_calendar(item, year, month)
    return mask


def _from_calendar(item: str, year: int, month: int) -> int:
    if item == "lw":
        last = _croniter_days("l", year, month).bit_length() - 1
        late = date(year, month, last).isoweekday() - _FRIDAY
        return 1 << last - max(late, 0)
    if item.startswith("l-"):
        return _croniter_days("l", year, month) >> int(item[2:]) & ~1  # past the first there is no day
    return _croniter_days(item, year, month)


@lru_cache(maxsize=1024)  # some 80 years of one item
def _croniter_days(item: str, year: int, month: int) -> int:
    """Ask croniter for one month on naive wall time: it has no zone to go wrong in, and no union to unite."""
    from croniter import croniter  # 45 ms, and few schedules come here

    fields = f"{item} * *" if item == "l" or item.endswith("w") else f"* * {item}"
    before = datetime(year, month, 1) - timedelta(minutes=1)  # noqa: DTZ001
    walk = croniter(f"0 0 {fields}", before, ret_type=datetime)
    mask = 0
    while (fire := walk.get_next()).month == month:
        mask |= 1 << fire.day
    return mask
