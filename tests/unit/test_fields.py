"""One field: the values of each spelling, and for each mistake its place and the way out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, YEAR, Kind
from runjobs.core.fields import Field, parse_field

ALL = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR)


def read(kind: Kind, text: str, name: str = "") -> Field:
    return parse_field(kind, text, name)[0]


def refuse(kind: Kind, text: str) -> tuple[str, str, str]:
    """Return the part of the text that the error points at, its message and its hint."""
    with pytest.raises(FieldError) as refused:
        parse_field(kind, text)
    assert refused.value.end is not None
    assert 0 <= refused.value.start < refused.value.end <= len(text)
    return text[refused.value.start : refused.value.end], refused.value.message, refused.value.hint


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        (MINUTE, "5", (5,)),
        (MINUTE, "005", (5,)),
        (MINUTE, "0000000000059", (59,)),
        (MINUTE, "1,3,2-4", (1, 2, 3, 4)),
        (MINUTE, "*/25", (0, 25, 50)),
        (MINUTE, "10-20/5", (10, 15, 20)),
        (MINUTE, "5/20", (5, 25, 45)),
        (MINUTE, "*/60", (0,)),
        (MINUTE, "*/99999999999", (0,)),
        (HOUR, "0-0", (0,)),
        (DAY, "*/10", (1, 11, 21, 31)),
        (MONTH, "jan,MAR-May,december", (1, 3, 4, 5, 12)),
        (MONTH, "1-jan", (1,)),
        (YEAR, "2098/1", (2098, 2099)),
    ],
)
def test_a_field_gives_its_values_sorted_and_once(kind: Kind, text: str, values: tuple[int, ...]) -> None:
    field = read(kind, text)
    assert (field.values, field.mask) == (values, sum(1 << value for value in values))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0", (0,)),
        ("7", (0,)),
        ("Sunday", (0,)),
        ("5-7", (0, 5, 6)),
        ("5-7/2", (0, 5)),
        ("sat-sun", (0, 6)),
        ("Wed-Sun", (0, 3, 4, 5, 6)),
        ("sun-sun", (0,)),
        ("sun-sat", tuple(range(7))),
        ("0-7", tuple(range(7))),
        ("*/8", (0,)),
        ("*/3", (0, 3, 6)),
    ],
)
def test_sunday_is_0_and_7_and_may_end_a_week_by_name(text: str, values: tuple[int, ...]) -> None:
    assert read(WEEKDAY, text).values == values


def test_only_the_first_character_makes_a_field_starred_as_in_vixie_cron() -> None:
    starred = {text: read(DAY, text).starred for text in ("*", "*/2", "*,5", "5,*", "1-31", "?")}
    assert starred == {"*": True, "*/2": True, "*,5": True, "5,*": False, "1-31": False, "?": True}
    assert read(DAY, "5,*").full
    assert read(WEEKDAY, "?").full


def test_a_step_that_does_not_divide_its_field_is_known() -> None:
    steps = {text: read(MINUTE, text).uneven_step for text in ("*/45", "5,*/7", "*/15", "*/60", "10-50/7")}
    assert steps == {"*/45": 45, "5,*/7": 7, "*/15": None, "*/60": None, "10-50/7": None}


@pytest.mark.parametrize(
    ("kind", "text", "part", "message", "hint"),
    [
        (MINUTE, "75", "75", "minute 75 is past 59", "minutes go from 0 to 59"),
        (HOUR, "0-24", "24", "hour 24 is past 23", "hours go from 0 to 23"),
        (DAY, "1,0", "0", "day of the month 0 is below 1", "days of the month go from 1 to 31"),
        (MINUTE, "9" * 5000, "9" * 5000, f"minute {'9' * 20} is past 59", "minutes go from 0 to 59"),
        (YEAR, "1969", "1969", "year 1969 is below 1970", "years go from 1970 to 2099"),
        (WEEKDAY, "1-8", "8", "weekday 8 is past 7", "or sun to sat"),
        (MINUTE, "5!", "!", '"!" after minute 5 is not understood', "minutes go from 0 to 59"),
        (MINUTE, "0,1-5-7", "-7", '"-7" after minute 5 is not understood', "minutes go from 0 to 59"),
        (MINUTE, "+5", "+5", '"+5" is not a minute', "minutes go from 0 to 59"),
        (HOUR, "x", "x", '"x" is not an hour', "hours go from 0 to 23"),
        (MINUTE, "¹", "¹", '"¹" is not a minute', "plain digits 0 to 9"),
        (MINUTE, "**", "**", '"**" is not a minute', "* stands alone or takes a step, as in */5"),
        (WEEKDAY, "mon,sund", "sund", '"sund" is not a weekday', 'did you mean "sun"?'),
        (MONTH, "janu", "janu", '"janu" is not a month', 'did you mean "jan"?'),
        (MONTH, "mon", "mon", '"mon" is not a month', '"mon" is a weekday, which has a field of its own'),
        (MINUTE, "*/5/5", "5/5", 'step "5/5" is not a number', "a step looks like */10"),
        (MINUTE, "5-10/", "/", "a step is missing after the slash", "a step looks like */10"),
        (MINUTE, "*/0", "0", "a step of 0 never gets on", "the smallest step is 1"),
        (MINUTE, "/2", "/", "a minute is missing here", "minutes go from 0 to 59"),
        (MINUTE, "-1", "-", "a minute is missing here", "minutes go from 0 to 59"),
        (MINUTE, "1-", "-", "a minute is missing here", "minutes go from 0 to 59"),
        (MINUTE, "1,,2", ",", "a minute is missing here", "minutes go from 0 to 59"),
        (MINUTE, "5,", ",", "a minute is missing here", "minutes go from 0 to 59"),
        (MINUTE, "?", "?", '"?" stands alone, in the day-of-month or weekday field', 'write "*"'),
        (DAY, "1,?", "?", '"?" stands alone, in the day-of-month or weekday field', 'write "*"'),
        (WEEKDAY, "sat/2", "sat/", '"sat/" has a step but no range', "as in 1-5/2"),
    ],
)
def test_a_mistake_is_pointed_at_and_says_the_way_out(
    kind: Kind, text: str, part: str, message: str, hint: str
) -> None:
    found = refuse(kind, text)
    assert found[:2] == (part, message)
    assert hint in found[2]


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        (HOUR, "22-2", "write 22-23,0-2"),
        (MINUTE, "50-10/5", "write 50-59/5,0-10/5"),
        (WEEKDAY, "fri-mon", "write fri-sun,mon"),
        (WEEKDAY, "sat-tue/2", "write sat-sun/2,mon-tue/2"),
        (WEEKDAY, "5-1", "write 5-7,1"),
        (WEEKDAY, "7-2", "write 7,1-2"),
        (WEEKDAY, "5-0", "write 5-7"),
        (MONTH, "mar-jan", "write mar-dec,jan"),
        (MONTH, "11-feb", "write 11-dec,jan-feb"),
    ],
)
def test_a_range_that_runs_backwards_is_refused_since_crons_take_it_as_nothing(
    kind: Kind, text: str, hint: str
) -> None:
    part, message, way_out = refuse(kind, text)
    assert (part, way_out) == (text.partition("/")[0], hint)
    assert message.endswith("runs backwards")
    assert read(kind, way_out.removeprefix("write ")).values


@pytest.mark.parametrize(
    ("kind", "text", "values", "special"),
    [
        (DAY, "L", (), ("l",)),
        (DAY, "l,15", (15,), ("l",)),
        (DAY, "LW,L-3,1", (1,), ("lw", "l-3")),
        (DAY, "15w", (), ("15w",)),
        (WEEKDAY, "5L", (), ("l5",)),
        (WEEKDAY, "7l", (), ("l0",)),
        (WEEKDAY, "FRI#2,1#1", (), ("5#2", "1#1")),
    ],
)
def test_days_that_need_a_calendar_are_kept_apart(
    kind: Kind, text: str, values: tuple[int, ...], special: tuple[str, ...]
) -> None:
    field = read(kind, text)
    assert (field.values, field.special) == (values, special)


@pytest.mark.parametrize(
    ("kind", "text", "part", "message"),
    [
        (DAY, "L-0", "L-0", "no month has a day L-0"),
        (DAY, "L-31", "L-31", "no month has a day L-31"),
        (DAY, "32W", "32", "day of the month 32 is past 31"),
        (DAY, "1,15W", "15W", "nearest weekdays (15W) can't share a list"),
        (DAY, "15W,16", "16", "nearest weekdays (15W) can't share a list"),
        (DAY, "15W,16W", "16W", "nearest weekdays (15W) can't share a list"),
        (DAY, "1-15W", "W", '"W" after day of the month 15 is not understood'),
        (DAY, "LL", "LL", '"LL" is not a day of the month'),
        (DAY, "L/2", "L", '"L" is not a day of the month'),
        (WEEKDAY, "L", "L", '"L" is not a weekday'),
        (WEEKDAY, "FRIL", "FRIL", '"FRIL" is not a weekday'),
        (WEEKDAY, "fooL", "fooL", '"fooL" is not a weekday'),
        (WEEKDAY, "5#6", "#6", '"#6" is not the first to fifth of a month'),
        (WEEKDAY, "5#0", "#0", '"#0" is not the first to fifth of a month'),
        (WEEKDAY, "5#", "#", '"#" is not the first to fifth of a month'),
        (WEEKDAY, "#2", "#", "a weekday is missing before the #"),
        (WEEKDAY, "8#2", "8", "weekday 8 is past 7"),
        (WEEKDAY, "5,6#3", "6#3", "plain weekdays and # or L can't share a list"),
        (WEEKDAY, "5L,6", "6", "plain weekdays and # or L can't share a list"),
    ],
)
def test_a_mistake_in_a_calendar_day_is_pointed_at(kind: Kind, text: str, part: str, message: str) -> None:
    assert refuse(kind, text)[:2] == (part, message)


def test_the_hint_for_a_named_last_weekday_is_its_number() -> None:
    assert refuse(WEEKDAY, "FRIL")[2] == "write 5L"


@pytest.mark.parametrize(
    ("kind", "text", "low", "high"),
    [
        (MINUTE, "H", 0, 59),
        (MINUTE, "H(0-29)", 0, 29),
        (HOUR, "H(22-23)", 22, 23),
        (DAY, "H", 1, 28),
        (WEEKDAY, "H", 0, 6),
        (MONTH, "H(jan-mar)", 1, 3),
        (MINUTE, "5~20", 5, 20),
        (MINUTE, "50~", 50, 59),
        (MINUTE, "~20", 0, 20),
        (DAY, "~", 1, 28),
        (MONTH, "feb~mar", 2, 3),
    ],
)
def test_a_hashed_value_stays_in_its_range_and_jobs_spread_over_all_of_it(
    kind: Kind, text: str, low: int, high: int
) -> None:
    seen = [read(kind, text, f"job-{number}").values for number in range(400)]
    assert {len(values) for values in seen} == {1}
    assert {value for (value,) in seen} == set(range(low, high + 1))


def test_a_hashed_value_is_the_same_in_every_process() -> None:
    assert [read(MINUTE, "H", name).values for name in ("backup", "report", "été", "")] == [(0,), (0,), (7,), (55,)]


def test_a_hashed_step_begins_anywhere_in_its_first_step() -> None:
    seen = {read(MINUTE, "H/15", f"job-{number}").values for number in range(200)}
    assert seen == {tuple(range(first, 60, 15)) for first in range(15)}
    assert {read(MINUTE, "H(30-40)/60", f"job-{number}").values[0] for number in range(200)} == set(range(30, 41))


def test_only_a_hashed_field_depends_on_the_name() -> None:
    hashed = {text: parse_field(MINUTE, text, "backup")[1] for text in ("5", "*/5", "H", "1,~", "H/5")}
    assert hashed == {"5": False, "*/5": False, "H": True, "1,~": True, "H/5": True}
    assert not parse_field(MONTH, "march", "backup")[1]


@pytest.mark.parametrize(
    ("kind", "text", "part", "message"),
    [
        (MINUTE, "5~1", "5~1", "minute range 5~1 runs backwards"),
        (MINUTE, "5~99", "99", "minute 99 is past 59"),
        (MINUTE, "H(9-5)", "9-5", "minute range 9-5 runs backwards"),
        (MINUTE, "H(5)", "5", "a minute is missing here"),
        (MINUTE, "H(0-99)", "99", "minute 99 is past 59"),
        (MINUTE, "H/0", "0", "a step of 0 never gets on"),
        (MINUTE, "H/", "/", "a step is missing after the slash"),
        (MINUTE, "H,75", "75", "minute 75 is past 59"),
        (YEAR, "H", "H", "a year can't be left to chance"),
        (MINUTE, "h", "h", '"h" is not a minute'),
    ],
)
def test_a_mistake_in_a_hashed_field_is_pointed_at_as_it_was_written(
    kind: Kind, text: str, part: str, message: str
) -> None:
    assert refuse(kind, text)[:2] == (part, message)


def test_a_backwards_random_range_says_the_right_way_round() -> None:
    assert refuse(MINUTE, "5~1")[2] == "write 1~5"


def attempt(kind: Kind, text: str) -> Field | FieldError:
    try:
        return read(kind, text, "job")
    except FieldError as refused:
        return refused


@given(st.sampled_from(ALL), st.text("0123456789-,/*~#LWH()?sunfrijan!¹ ", min_size=1, max_size=8))
def test_any_field_gives_values_or_an_error_that_points_into_it(kind: Kind, text: str) -> None:
    found = attempt(kind, text)
    if isinstance(found, FieldError):
        assert found.end is not None
        assert 0 <= found.start < found.end <= len(text)
    else:
        assert found.values or found.special
        assert all(kind.low <= value <= kind.high for value in found.values)
