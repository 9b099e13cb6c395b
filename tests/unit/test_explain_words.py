"""The words of an explanation, read back by a reader that knows English and no cron, mean what the rule fires."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from runjobs.core.explaining import of_rule
from runjobs.core.schedule import CronSchedule, parse_schedule

if TYPE_CHECKING:
    from runjobs.core.rule import Rule

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = list(calendar.month_name)
NTH = ["first", "second", "third", "fourth", "fifth"]
CLOCK = r"\d\d:\d\d(?::\d\d)?"
NUMBERS = r"(?:\d+(?: to \d+)?(?:, | and |(?= of)|$|(?=,)))+"
HOURS = rf"of (?:every hour|hour \d+|the hours {NUMBERS})"
TIME = re.compile(
    rf"at (?P<list>{CLOCK}(?:(?:, | and ){CLOCK})*)"
    r"|every hour, (?:on the hour|at minute (?P<hourly>\d+))"
    rf"|every (?P<pace>\d+ )?(?P<unit>minute|hour)s? from (?P<first>{CLOCK}) to (?P<last>{CLOCK})"
    rf"|every (?P<step>\d+ )?minutes?(?: from minute (?P<low>\d+) to (?P<high>\d+))? (?P<of>{HOURS})"
    rf"|at minutes? (?P<minutes>{NUMBERS}) (?P<of2>{HOURS})"
    r"|every (?P<plain>\d+ )?minutes?(?:, starting at minute (?P<start>\d+) of each hour)?"
)


def numbers(text: str) -> set[int]:
    """Read `1, 5 to 7 and 9`."""
    found = re.findall(r"(\d+)(?: to (\d+))?", text)
    return {value for low, high in found for value in range(int(low), int(high or low) + 1)}


def of_hours(text: str) -> set[int]:
    return set(range(24)) if text == "of every hour" else numbers(text)


def clock(text: str) -> int:
    """Minutes since midnight."""
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def times(found: re.Match[str]) -> set[int]:
    """The minutes of the day that the first part of a sentence names."""
    if found["list"]:
        return {clock(each) for each in re.findall(CLOCK, found["list"])}
    if found["unit"]:
        step = int(found["pace"] or 1) * (60 if found["unit"] == "hour" else 1)
        return set(range(clock(found["first"]), clock(found["last"]) + 1, step))
    if found["of"]:
        low, high = int(found["low"] or 0), int(found["high"] or 59)
        return in_hours(set(range(low, high + 1, int(found["step"] or 1))), of_hours(found["of"]))
    if found["minutes"]:
        return in_hours(numbers(found["minutes"]), of_hours(found["of2"]))
    if found[0].startswith("every hour"):
        return in_hours({int(found["hourly"] or 0)}, set(range(24)))
    return in_hours(set(range(int(found["start"] or 0), 60, int(found["plain"] or 1))), set(range(24)))


def in_hours(minutes: set[int], hours: set[int]) -> set[int]:
    return {hour * 60 + minute for hour in hours for minute in minutes}


def months(text: str) -> set[int]:
    """Read ` in January and July`, ` of every month`, ` from March to May`; nothing is all of them."""
    named = [MONTHS.index(word) for word in re.findall("|".join(MONTHS[1:]), text)]
    if not named:
        return set(range(1, 13))
    return set(range(named[0], named[1] + 1)) if " to " in text else set(named)


def weekday_names(text: str) -> list[int]:
    return [DAYS.index(word) for word in re.findall("|".join(DAYS), text)]


def is_day(text: str, day: date) -> bool:
    """Whether the second part of a sentence names this day."""
    if " and also " in text:
        return any(is_day(part, day) for part in text.split(" and also "))
    if " that fall " in text:
        return all(is_day(part, day) for part in text.split(" that fall "))
    text = text.removeprefix("on days ")
    if text in {"", "every day"} or text.startswith("every day "):
        return day.month in months(text)
    month_part = re.search(r",? (?:(?:of|in) .*|from (?:" + "|".join(MONTHS[1:]) + ").*)$", text)
    rest = text[: month_part.start()] if month_part else text
    if day.month not in months(month_part[0] if month_part else ""):
        return False
    if names := weekday_names(rest):
        return day.weekday() in (range(names[0], names[1] + 1) if rest.startswith("from") else names)
    return day.day in month_days(rest)


def month_days(text: str) -> set[int]:
    """Read `on the 1st to 7th and 15th`, `on every 2nd day from the 1st to the 31st`, `on an odd day`."""
    if text in {"on an odd day", "on an even day"}:
        return set(range(1 if "odd" in text else 2, 32, 2))
    if stepped := re.fullmatch(r"on every (\d+)\w\w day from the (\d+)\w\w to the (\d+)\w\w", text):
        step, low, high = map(int, stepped.groups())
        return set(range(low, high + 1, step))
    return numbers(re.sub(r"(\d+)(?:st|nd|rd|th)", r"\1", text))


def fires(rule: Rule, day: date) -> set[int]:
    """The minutes of a day at which a rule fires."""
    start = (day - date(1970, 1, 1)).days * 86_400
    found, wall = set(), rule.next_wall(start)
    while wall is not None and wall < start + 86_400:
        found.add((wall - start) // 60)
        wall = rule.next_wall(wall + 1)
    return found


def field(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    pair = st.tuples(value, value).map(sorted)
    span = pair.map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, high)
    return st.one_of(
        st.just("*"),
        value.map(str),
        st.lists(value, min_size=2, max_size=4).map(lambda values: ",".join(map(str, values))),
        span,
        step.map(lambda size: f"*/{size}"),
        st.tuples(span, step).map(lambda parts: f"{parts[0]}/{parts[1]}"),
        st.tuples(span, value).map(lambda parts: f"{parts[0]},{parts[1]}"),
        st.tuples(value, step).map(lambda parts: f"{parts[0]}-{high}/{parts[1]}"),
    )


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)


@given(EXPRESSIONS, st.dates(date(2026, 1, 1), date(2028, 12, 31)))
@example("0 0 */2 * mon", date(2026, 11, 2))
@example("0 0 2-30/2 1-3 1-5", date(2026, 3, 1))
@example("10-50/10 8,12 13 * fri", date(2026, 11, 1))
@example("5-59/15 * 1-31 6-8 mon", date(2026, 5, 25))
@example("5-59/15 9-17 * * *", date(2026, 11, 2))
@example("7-59/10 9 * * *", date(2026, 11, 2))
@example("1-59/2 9 * * *", date(2026, 11, 2))
@example("30 9-17/2 * * *", date(2026, 11, 2))
@example("0,45 9-12,14 1-7,15 1 *", date(2026, 1, 1))
@example("* 3,5 31 * *", date(2026, 12, 15))
@settings(max_examples=60)  # of 40 days each
def test_the_words_mean_what_the_rule_fires(expression: str, start: date) -> None:
    schedule = parse_schedule(expression)
    assert isinstance(schedule, CronSchedule)
    words = of_rule(schedule.rule)
    found = TIME.match(words)
    assert found, words
    rest = words[found.end() :].removeprefix(",").strip()
    days = [start + timedelta(days=number) for number in range(40)]
    for day in days:
        expected = times(found) if is_day(rest, day) else set()
        assert fires(schedule.rule, day) == expected, (words, day)


@given(EXPRESSIONS)
def test_no_field_is_passed_over_in_silence(expression: str) -> None:
    """Who changes the rule changes the words: two rules of one sentence are one rule."""
    schedule = parse_schedule(expression)
    assert isinstance(schedule, CronSchedule)
    rule = schedule.rule
    other = parse_schedule(f"{(rule.minute.values[0] + 1) % 60} {' '.join(expression.split()[1:])}")
    assert isinstance(other, CronSchedule)
    assert of_rule(rule) != of_rule(other.rule) or rule.minute.values == other.rule.minute.values
