"""Which wall times the fields of a schedule name, with no zone in sight."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.days import days_of_month

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.fields import Field

HOUR, DAY = 3_600, 86_400  # seconds
LAST_YEAR = 9_000  # datetime ends with 9999; no one's cron job gets there, and zones need room to look ahead
_DAY_ZERO = date(1970, 1, 1).toordinal()
_LONGEST_WAIT = 41  # years; 29 February falls on a given weekday at least every 40 years


class Rule(NamedTuple):
    """The fields of a schedule. Wall times are whole seconds since 1970-01-01 00:00 of the wall clock."""

    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    year: Field | None

    @property
    def follows_wall_clock(self) -> bool:
        """Whether it is what Debian's cron calls a wildcard job: the minute or hour field begins with `*`."""
        return self.minute.starred or self.hour.starred

    @property
    def either_day_will_do(self) -> bool:
        """Whether a day matches by its number or its weekday, as crons have it when both fields are given."""
        return not (self.day.starred or self.weekday.starred)

    @property
    def both_days_must_match(self) -> bool:
        """Whether a day must match by number and weekday, since one of the two begins with `*` (`*/2 * mon`)."""
        return not (self.either_day_will_do or self.day.full or self.weekday.full)

    def next_wall(self, wall: int) -> int | None:
        """Return the first matching wall time at or after `wall`, None if there is none."""
        day, time = divmod(wall, DAY)
        if not (self.day.full and self.weekday.full and self.month.full and self.year is None):
            return self._next_on_listed_day(day, time)
        found = self._next_time(time)
        if found is None:
            return (day + 1) * DAY + self._first_time()
        return day * DAY + found

    def _next_on_listed_day(self, day: int, time: int) -> int | None:
        listed = self._next_day(day)
        if listed == day:
            found = self._next_time(time)
            if found is not None:
                return day * DAY + found
            listed = self._next_day(day + 1)
        return None if listed is None else listed * DAY + self._first_time()

    def _first_time(self) -> int:
        return self.hour.values[0] * HOUR + self.minute.values[0] * 60 + self.second.values[0]

    def _next_time(self, time: int) -> int | None:
        """Return the first time of day at or after `time`, in seconds; None when the day has no more."""
        hour, rest = divmod(time, HOUR)
        hours, minutes = self.hour.values, self.minute.values
        at = bisect_left(hours, hour)
        if at < len(hours) and hours[at] == hour:
            minute, second = self._next_in_hour(*divmod(rest, 60))
            if minute is not None:
                return hour * HOUR + minute * 60 + second
            at += 1
        return hours[at] * HOUR + minutes[0] * 60 + self.second.values[0] if at < len(hours) else None

    def _next_in_hour(self, minute: int, second: int) -> tuple[int | None, int]:
        minutes, seconds = self.minute.values, self.second.values
        at = bisect_left(minutes, minute)
        if at < len(minutes) and minutes[at] == minute:
            later = bisect_left(seconds, second)
            if later < len(seconds):
                return minute, seconds[later]
            at += 1
        return (minutes[at] if at < len(minutes) else None), seconds[0]

    def _next_day(self, day: int) -> int | None:
        """Return the first matching day at or after `day`, both counted from 1970-01-01."""
        start = date.fromordinal(_DAY_ZERO + day)
        for year, month in self._months(start.year, start.month):
            days = days_of_month(self.day, self.weekday, year, month)
            if (year, month) == (start.year, start.month):
                days = days >> start.day << start.day
            if days:
                first = (days & -days).bit_length() - 1
                return date(year, month, first).toordinal() - _DAY_ZERO
        return None

    def _months(self, year: int, month: int) -> Iterator[tuple[int, int]]:
        """Walk the listed months from this one on, for as long as any schedule can take to come round."""
        first = bisect_left(self.month.values, month)
        for later in self._years(year):
            for listed in self.month.values[first if later == year else 0 :]:
                yield later, listed

    def _years(self, year: int) -> Iterator[int] | tuple[int, ...]:
        if self.year is None:
            return iter(range(year, min(year + _LONGEST_WAIT, LAST_YEAR)))
        return self.year.values[bisect_left(self.year.values, year) :]
