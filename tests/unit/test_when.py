"""Points in time as people type them. It is Wednesday 13 May 2026, noon in Berlin."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runjobs.core.errors import FieldError
from runjobs.core.when import parse_when

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 5, 13, 12, tzinfo=BERLIN)


def read(text: str) -> str:
    return parse_when(text, now=NOW, tz=BERLIN).astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("now", "2026-05-13 12:00:00"),
        ("in 2h", "2026-05-13 14:00:00"),
        ("in 10 minutes", "2026-05-13 12:10:00"),
        ("IN 10 MIN", "2026-05-13 12:10:00"),
        ("in an hour", "2026-05-13 13:00:00"),
        ("in 1 hour and 30 minutes", "2026-05-13 13:30:00"),
        ("in a week", "2026-05-20 12:00:00"),
        ("1h30m ago", "2026-05-13 10:30:00"),
        ("2 days ago", "2026-05-11 12:00:00"),
    ],
)
def test_a_span_from_now_is_exact(text: str, wall: str) -> None:
    assert read(text) == wall


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("today", "2026-05-13 00:00:00"),
        ("today 18:00", "2026-05-13 18:00:00"),
        ("tomorrow 7:30", "2026-05-14 07:30:00"),
        ("tomorrow at 6pm", "2026-05-14 18:00:00"),
        ("tomorrow 12 am", "2026-05-14 00:00:00"),
        ("yesterday", "2026-05-12 00:00:00"),
        ("yesterday, noon", "2026-05-12 12:00:00"),
        ("thursday", "2026-05-14 00:00:00"),
        ("wed", "2026-05-20 00:00:00"),
        ("next friday 9:00", "2026-05-15 09:00:00"),
        ("on sunday at 23:59:59", "2026-05-17 23:59:59"),
        ("last wednesday", "2026-05-06 00:00:00"),
        ("last tue", "2026-05-12 00:00:00"),
    ],
)
def test_a_day_is_named_from_today_and_is_its_midnight_unless_told(text: str, wall: str) -> None:
    assert read(text) == wall


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("12:01", "2026-05-13 12:01:00"),
        ("noon", "2026-05-14 12:00:00"),
        ("at 7:30", "2026-05-14 07:30:00"),
        ("midnight", "2026-05-14 00:00:00"),
    ],
)
def test_a_time_alone_is_the_next_time_it_comes_round(text: str, wall: str) -> None:
    assert read(text) == wall


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2026-12-24", "2026-12-24 00:00:00"),
        ("2026-12-24T18:00", "2026-12-24 18:00:00"),
        ("2026-12-24 18:00:00Z", "2026-12-24 19:00:00"),
        ("2026-12-24 7:30", "2026-12-24 07:30:00"),
        ("24 dec 6pm", "2026-12-24 18:00:00"),
        ("5 may 18:00 +05:00", "2026-05-05 15:00:00"),
        ("24.12.2026 18:00", "2026-12-24 18:00:00"),
        ("2026-03-29 02:30", "2026-03-29 03:00:00"),
    ],
)
def test_a_date_is_iso_or_readable_in_one_way_only(text: str, wall: str) -> None:
    assert read(text) == wall


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a point in time"),
        ("foo", "is not a point in time"),
        ("in 5", "is not a point in time"),
        ("in 2 months", "is not a point in time"),
        ("2026-13-01", "is not a point in time"),
        ("31 feb", "is not a point in time"),
        ("5 may 18:00 CEST2", "is not a point in time"),
        ("5 may 18:00 XYZ", "is not a point in time"),
        ("10", "names no day of a month"),
        ("7.30", "names no day of a month"),
        ("march 2026", "names no day of a month"),
        ("05/06/2026", "can be read as two dates"),
        ("25:00", "has a time that no clock shows"),
        ("tomorrow 13pm", "has an hour that am and pm don't know"),
        ("in 999999999w", "is out of any calendar"),
        ("9" * 40, "is out of any calendar"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused_with_examples(text: str, problem: str) -> None:
    with pytest.raises(FieldError) as refused:
        read(text)
    assert refused.value.message == f'"{text}" {problem}'
    assert refused.value.hint


@pytest.mark.parametrize("text", ["10 minutes", "5 may 10 minutes"])
def test_a_span_without_a_direction_never_reaches_dateutil_which_reads_it_as_ten_past_midnight(text: str) -> None:
    with pytest.raises(FieldError) as refused:
        read(text)
    assert refused.value.hint == 'write "in 10 minutes" or "10 minutes ago"'


def attempt(text: str) -> datetime | FieldError:
    try:
        return parse_when(text, now=NOW, tz=BERLIN)
    except FieldError as refused:
        return refused


@given(st.text(max_size=20) | st.text("0123456789 :-/.apmndtuejhwsZT+", max_size=16))
@example("in 1a")
def test_any_text_is_a_point_in_time_or_refused(text: str) -> None:
    found = attempt(text)
    assert found.end == len(text) if isinstance(found, FieldError) else found.tzinfo is UTC
