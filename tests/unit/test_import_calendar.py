"""Calendar expressions and spans of systemd: due here when they are due there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runjobs.core.errors import FieldError
from runjobs.core.imports.calendar import When, read_calendar
from runjobs.core.imports.spans import read_span
from runjobs.core.schedule import parse_schedule
from tests.support.imports import CASES

ROWS = [json.loads(line) for line in (CASES / "calendar.jsonl").read_text().splitlines()]
GOOD = [row for row in ROWS if row["expect"] is not None]
BAD = [row["expression"] for row in ROWS if row["expect"] is None]


def fires(expression: str, base: datetime, count: int) -> list[datetime]:
    when = read_calendar(expression)
    schedule = parse_schedule(when.schedule, fields=when.fields, tz=when.tz or None, local=UTC)
    found = [base]
    while len(found) <= count and (following := schedule.next(found[-1])) is not None:
        found.append(following)
    return found[1:]


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row["expression"])
def test_an_expression_is_due_when_systemd_says(row: dict[str, Any]) -> None:
    expected = [datetime.fromisoformat(each) for each in row["expect"]]
    assert fires(row["expression"], datetime.fromisoformat(row["base"]), 8) == expected


@pytest.mark.parametrize("expression", BAD)
def test_what_systemd_refuses_is_refused(expression: str) -> None:
    with pytest.raises(FieldError):
        read_calendar(expression)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Fri *-*-13", "must both match"),
        ("Mon *-*-8..12", "must both match"),
        ("Mon *-*~3", "must both match"),
        ("8:05:40.5", "whole seconds"),
    ],
)
def test_what_no_crontab_can_say_is_refused_with_the_way_out(expression: str, said: str) -> None:
    with pytest.raises(FieldError, match=said) as error:
        read_calendar(expression)
    assert error.value.hint


def test_a_schedule_is_written_as_a_person_would() -> None:
    assert read_calendar("*-*-* 08..18:00/15") == When("*/15 8-18 * * *")
    assert read_calendar("Mon..Fri 9:00 Europe/Berlin") == When("0 9 * * 1-5", tz="Europe/Berlin")
    assert read_calendar("Sun *-*-1..7") == When("0 0 * * 0#1")
    assert read_calendar("2027-*-* 1:2:3") == When("3 2 1 * * * 2027", 7)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("5min 20s", timedelta(minutes=5, seconds=20)),
        ("43200", timedelta(hours=12)),
        ("1.5h", timedelta(minutes=90)),
        ("1w2days 3 hours", timedelta(days=9, hours=3)),
        ("100ms", timedelta(milliseconds=100)),
        (" infinity ", None),
    ],
)
def test_a_span_is_read(text: str, span: timedelta | None) -> None:
    assert read_span(text) == span


@pytest.mark.parametrize("text", ["", "soon", "5 lightyears", "min", "99999999999999999y"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        read_span(text)
