"""Which days a schedule names: Vixie cron's rule, and the days that need a calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from runjobs.core.days import days_of_month
from runjobs.core.fieldkinds import DAY, WEEKDAY
from runjobs.core.fields import parse_field


def days(day: str, weekday: str, year: int, month: int) -> list[int]:
    mask = days_of_month(parse_field(DAY, day)[0], parse_field(WEEKDAY, weekday)[0], year, month)
    return [number for number in range(32) if mask >> number & 1]


@pytest.mark.parametrize(
    ("day", "weekday", "found"),
    [
        ("*", "*", list(range(1, 32))),
        ("13", "*", [13]),
        ("*", "fri", [1, 8, 15, 22, 29]),
        ("13", "fri", [1, 8, 13, 15, 22, 29]),
        ("13,*", "fri", list(range(1, 32))),
        ("*,13", "fri", [1, 8, 15, 22, 29]),
        ("*/2", "fri", [1, 15, 29]),
        ("1-7", "*/5", [1, 3]),
        ("?", "fri", [1, 8, 15, 22, 29]),
        ("L", "fri", [1, 8, 15, 22, 29, 31]),
    ],
)
def test_either_day_will_do_unless_one_field_begins_with_a_star(day: str, weekday: str, found: list[int]) -> None:
    assert days(day, weekday, 2026, 5) == found


@pytest.mark.parametrize(
    ("day", "month", "found"),
    [
        ("29", (2000, 2), [29]),
        ("29", (2100, 2), []),
        ("L", (2024, 2), [29]),
        ("L", (2026, 2), [28]),
        ("L,15", (2026, 4), [15, 30]),
        ("L-3", (2026, 4), [27]),
        ("L-30", (2026, 5), [1]),
        ("L-30", (2026, 4), []),
        ("LW", (2026, 5), [29]),
        ("LW", (2026, 8), [31]),
        ("LW", (2026, 2), [27]),
        ("15W", (2026, 8), [14]),
        ("16W", (2026, 8), [17]),
        ("1W", (2026, 8), [3]),
        ("31W", (2026, 5), [29]),
        ("31W", (2026, 9), [30]),
    ],
)
def test_last_and_nearest_days_of_any_month(day: str, month: tuple[int, int], found: list[int]) -> None:
    assert days(day, "*", *month) == found


@pytest.mark.parametrize(
    ("weekday", "month", "found"),
    [
        ("5L", (2026, 5), [29]),
        ("7L", (2026, 5), [31]),
        ("fri#2", (2026, 5), [8]),
        ("fri#5", (2026, 5), [29]),
        ("fri#5", (2026, 6), []),
        ("mon#1,mon#3,5L", (2026, 5), [4, 18, 29]),
    ],
)
def test_last_and_numbered_weekdays(weekday: str, month: tuple[int, int], found: list[int]) -> None:
    assert days("*", weekday, *month) == found


def last_day(year: int, month: int) -> date:
    return (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


months = st.tuples(st.integers(1970, 2099), st.integers(1, 12))


@given(months, st.integers(0, 27), st.integers(0, 6))
@settings(max_examples=25, deadline=None)
def test_days_from_the_calendar_agree_with_counting_by_hand(month: tuple[int, int], back: int, weekday: int) -> None:
    last = last_day(*month)
    every = [date(*month, number) for number in range(1, last.day + 1)]
    same = [day.day for day in every if day.isoweekday() % 7 == weekday]
    assert days(f"L-{back}" if back else "L", "*", *month) == [last.day - back]
    assert days("*", f"{weekday}L", *month) == same[-1:]
    assert days("*", f"{weekday}#2", *month) == same[1:2]
    assert days("LW", "*", *month) == [day.day for day in every if day.isoweekday() < 6][-1:]


@given(months, st.sets(st.integers(1, 31), max_size=4), st.sets(st.integers(0, 6), max_size=3))
@settings(max_examples=25, deadline=None)
def test_plain_days_agree_with_croniter(month: tuple[int, int], numbers: set[int], weekdays: set[int]) -> None:
    day = ",".join(map(str, numbers)) or "*"
    weekday = ",".join(map(str, weekdays)) or "*"
    walk = croniter(f"0 0 {day} * {weekday}", datetime(*month, 1, tzinfo=UTC) - timedelta(minutes=1), ret_type=datetime)
    found = []
    while (fire := walk.get_next()).date() <= last_day(*month):
        found.append(fire.day)
    assert days(day, weekday, *month) == found
