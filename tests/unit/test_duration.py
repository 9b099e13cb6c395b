"""Durations: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.duration import format_duration, parse_duration
from runjobs.core.errors import FieldError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("500ms", 0.5), ("0s", 0)],
)
def test_a_duration_is_whole_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "start", "end", "hint"),
    [
        ("", 0, 0, "durations look like"),
        ("90", 0, 2, "say the unit: 90s, 90m or 90h"),
        ("1.5h", 0, 4, "durations look like"),
        ("5 m", 0, 3, "durations look like"),
        ("1hour", 2, 5, "durations look like"),
        ("30M", 0, 3, "durations look like"),
        ("-5m", 0, 3, "durations look like"),
        ("٣s", 0, 2, "durations look like"),
        ("30m1h", 3, 5, "big to small"),
        ("1h2h", 2, 4, "big to small"),
        ("99999999999w", 0, 12, "durations look like"),
        ("9" * 5000 + "s", 0, 5001, "durations look like"),
    ],
)
def test_what_is_no_duration_is_refused_with_its_place_and_a_way_out(
    text: str, start: int, end: int, hint: str
) -> None:
    with pytest.raises(FieldError) as refused:
        parse_duration(text)
    assert (refused.value.start, refused.value.end) == (start, end)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(weeks=1, days=1), "8d"),
        (timedelta(0), "0s"),
        (timedelta(seconds=-90), "-1m30s"),
        (timedelta(microseconds=-400), "0s"),
        (timedelta(milliseconds=1500), "1s500ms"),
    ],
)
def test_a_duration_is_written_in_its_largest_units(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.integers(0, 10**14))
def test_what_is_written_reads_back_the_same(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
