"""What people ask of the past: times as they say them, outcomes as they list them, and what is overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runjobs.core.answers import TROUBLES, Attempt, Entry, merged, overdue_since, parse_outcomes, parse_past
from runjobs.core.errors import FieldError
from runjobs.core.plan import mark_after
from tests.support.jobs import job_of

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)  # a Friday
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3:15", "2026-11-20T03:15"),
        ("9:00", "2026-11-20T09:00"),
        ("23:15", "2026-11-19T23:15"),
        ("yesterday", "2026-11-19T00:00"),
        ("yesterday 3:15", "2026-11-19T03:15"),
        ("fri", "2026-11-20T00:00"),
        ("fri 18:00", "2026-11-13T18:00"),
        ("mon", "2026-11-16T00:00"),
        ("last friday", "2026-11-13T00:00"),
        ("3d", "2026-11-17T09:00"),
        ("1h30m", "2026-11-20T07:30"),
        ("2h ago", "2026-11-20T07:00"),
        ("now", "2026-11-20T09:00"),
        ("2026-11-01 10:00", "2026-11-01T10:00"),
        ("2026-12-24 18:00", "2026-12-24T18:00"),
        ("today 18:00", "2026-11-20T18:00"),
        ("tomorrow 3:15", "2026-11-21T03:15"),
        ("in 2h", "2026-11-20T11:00"),
    ],
)
def test_a_time_without_a_date_is_the_last_one_that_has_come(text: str, found: str) -> None:
    assert parse_past(text, NOW, UTC) == datetime.fromisoformat(found).replace(tzinfo=UTC)


def test_wall_times_are_those_of_the_zone() -> None:
    assert parse_past("9:30", NOW, ZoneInfo("Europe/Berlin")) == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "1000000w", "25:00"])
def test_what_is_no_time_is_a_mistake_with_its_place(text: str) -> None:
    with pytest.raises(FieldError):
        parse_past(text, NOW, UTC)


def test_outcomes_are_listed_with_commas_and_trouble_is_all_that_went_wrong() -> None:
    assert parse_outcomes("failed, Missed,failed") == ("failed", "missed")
    assert parse_outcomes("skipped,trouble") == ("skipped", *TROUBLES)
    assert set(TROUBLES) == {"failed", "timeout", "stopped", "interrupted", "error", "missed"}


@pytest.mark.parametrize(("text", "start", "end", "hint"), [("ok,faild", 3, 8, "failed"), ("", 0, 1, "there are ok")])
def test_an_unknown_outcome_is_a_mistake_with_its_place_and_the_nearest(
    text: str, start: int, end: int, hint: str
) -> None:
    with pytest.raises(FieldError) as raised:
        parse_outcomes(text)
    assert (raised.value.start, raised.value.end) == (start, end)
    assert raised.value.hint.startswith(hint)


def test_a_fire_that_nobody_looked_at_in_time_is_overdue_since_its_start() -> None:
    job = job_of("0 * * * *")
    mark = mark_after(job, NOW - timedelta(hours=2))
    assert overdue_since(job, mark, NOW) == NOW - timedelta(hours=1)
    assert overdue_since(job, mark_after(job, NOW - MINUTE), NOW + MINUTE) is None
    assert overdue_since(job, mark_after(job, NOW - MINUTE), NOW + 2 * MINUTE) == NOW


def test_nothing_is_overdue_of_a_job_that_is_new_changed_disabled_or_done() -> None:
    job = job_of("0 * * * *")
    mark = mark_after(job, NOW - timedelta(days=2))
    assert overdue_since(job, None, NOW) is None
    assert overdue_since(job, mark._replace(schedule_key="other"), NOW) is None
    assert overdue_since(job, mark._replace(next_fire=None, next_start=None), NOW) is None
    assert overdue_since(job_of("0 * * * *", "enabled=no"), mark, NOW) is None


def entry(fire_id: int, minute: int, **facts: object) -> Entry:
    at, empty = NOW + minute * MINUTE, ("", "", "", "", "")
    plain = Entry(fire_id, "backup", "schedule", at, at, 1, "ended", *empty, at, at, "", None, None, 0)
    return plain._replace(**facts)  # type: ignore[arg-type]


def test_entries_are_merged_in_the_order_of_time_each_once() -> None:
    first, second, third = entry(3, 0), entry(1, 1), entry(2, 1)
    assert merged([third, first, second, first], None) == [first, second, third]
    assert merged([third, first, second, first], 2) == [second, third]


def test_an_entry_knows_whether_it_is_trouble() -> None:
    assert entry(1, 0, outcome="failed").is_trouble
    assert not entry(1, 0, outcome="failed", state="waiting").is_trouble
    assert not entry(1, 0, outcome="skipped").is_trouble
    assert entry(1, 0, number=0).is_stretch
    assert not entry(1, 0).is_stretch


def test_a_run_took_from_its_start_to_its_end_whatever_the_clock_did() -> None:
    run = Attempt("r", 1, 1, "ended", "", "", None, None, NOW, NOW + MINUTE, "ok", "", "", 0, None, 0.0, 0, 0, 0, ())
    assert run.took == MINUTE
    assert run._replace(ended_at=NOW - MINUTE).took == timedelta(0)
    assert run._replace(ended_at=None).took is None
    assert run._replace(started_at=None).took is None
