"""Why a job was due or was not: the field that ruled a time out, the nearest fires, and what the record can say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.answers import Entry
from runjobs.core.fire import Mark
from runjobs.core.schedule import parse_schedule
from runjobs.core.why import Case, Known, Ruling, Window, judge, last_before, rule, window
from tests.support.jobs import job_of

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
NO_MULTIPLE = "it is due at multiples of 1m30s since 1970-01-01 00:00 UTC, and this is none"
NOTHING = Known((), None, None, is_full=False)


def asked(schedule: str, time: str, *, fields: int = 5, tz: str | None = None) -> Ruling:
    """What a schedule says of a time, which is in Berlin if the schedule is."""
    when = datetime.fromisoformat(time)
    zone = BERLIN if tz else UTC
    at = (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)
    return rule(parse_schedule(schedule, tz=tz, name="backup", fields=fields), window(at))


@pytest.mark.parametrize(
    ("schedule", "time", "reasons"),
    [
        ("15 3 * * *", "2026-11-20T04:15", ["the hour field 3 does not have 4"]),
        (
            "15 3 * * *",
            "2026-11-20T04:00",
            ["the minute field 15 does not have 0", "the hour field 3 does not have 4"],
        ),
        ("0 9 * * 1-5", "2026-11-22T09:00", ["Sun 2026-11-22 is not in the weekday field 1-5"]),
        ("0 9 1,15 * *", "2026-11-22T09:00", ["the day of the month field 1,15 does not have 22"]),
        ("0 9 * jan *", "2026-11-22T09:00", ["the month field jan does not have 11"]),
        (
            "0 9 1 * mon",
            "2026-11-22T09:00",
            ["Sun 2026-11-22 is neither in the day of the month field 1 nor in the weekday field mon"],
        ),
        (
            "0 9 */2 * mon",
            "2026-11-22T09:00",
            ["the day of the month field */2 does not have 22", "Sun 2026-11-22 is not in the weekday field mon"],
        ),
        ("0 9 L * *", "2026-11-22T09:00", ["the day of the month field L does not have 22"]),
        ("0 9 * * fri#1", "2026-11-20T09:00", ["Fri 2026-11-20 is not in the weekday field fri#1"]),
        ("H 3 * * *", "2026-11-20T03:59", ["the minute field H (for this job 0) does not have 59"]),
        ("@daily", "2026-11-20T03:00", ["the hour field 0 of @daily does not have 3"]),
        ("@every 90s", "2026-11-20T03:00:10", [NO_MULTIPLE]),
        ("@at 2026-12-24T18:00", "2026-11-20T03:00", ["it is due once, and not then"]),
        ("@reboot", "2026-11-20T03:00", ["it is due when the machine starts, at no time of the clock"]),
        ("15 3 * * *", "2026-11-20T03:15:01", ["the second field 0 does not have 1"]),
    ],
)  # fmt: skip
def test_a_time_that_is_not_due_names_what_ruled_it_out(schedule: str, time: str, reasons: list[str]) -> None:
    ruling = asked(schedule, time)
    assert ruling.due == ()
    assert list(ruling.reasons) == reasons


@pytest.mark.parametrize(
    ("schedule", "fields", "reasons"),
    [
        ("5 0 9 * * *", 6, ["the second field 5 does not have 6"]),
        ("6 0 9 * * * 2027", 7, ["the year field 2027 does not have 2026"]),
    ],
)
def test_seconds_and_years_are_named_where_a_schedule_has_them(schedule: str, fields: int, reasons: list[str]) -> None:
    assert list(asked(schedule, "2026-11-22T09:00:06", fields=fields).reasons) == reasons


def test_a_whole_minute_asks_for_any_second_of_it() -> None:
    assert asked("5 0 9 * * *", "2026-11-22T09:00", fields=6).due == (datetime(2026, 11, 22, 9, 0, 5, tzinfo=UTC),)
    assert len(asked("@every 1s", "2026-11-22T09:00").due) == 60
    assert asked("5 0 9 * * *", "2026-11-22T08:00", fields=6).reasons == ("the hour field 9 does not have 8",)


def test_the_nearest_fires_stand_on_both_sides_of_the_time() -> None:
    ruling = asked("15 3 * * 1-5", "2026-11-22T09:00")
    assert ruling.before == datetime(2026, 11, 20, 3, 15, tzinfo=UTC)
    assert ruling.after == datetime(2026, 11, 23, 3, 15, tzinfo=UTC)
    assert asked("@at 2026-12-24T18:00", "2026-11-20T03:00").before is None
    assert asked("@at 2026-10-24T18:00", "2026-11-20T03:00").after is None


@given(
    schedule=st.sampled_from(["15 3 * * *", "*/7 * 1 * *", "@every 7m", "0 0 29 2 *", "30 2 * * *", "0 9 * * fri#2"]),
    seconds=st.integers(min_value=1_600_000_000, max_value=1_900_000_000),
)
def test_the_fire_before_is_the_last_of_all_before(schedule: str, seconds: int) -> None:
    parsed = parse_schedule(schedule, tz="Europe/Berlin", name="backup")
    at = datetime.fromtimestamp(seconds, UTC)
    before = last_before(parsed, at)
    assert before is not None
    assert before < at
    after = parsed.next(before)
    assert after is not None
    assert after >= at


@given(
    schedule=st.sampled_from(["15 3 * * *", "*/7 * 1 * *", "@every 7m", "30 2 * * *", "*/30 2 * * *", "5 4 * * sun"]),
    minutes=st.integers(min_value=29_000_000, max_value=31_000_000),
)
def test_a_time_is_due_or_there_is_a_reason_never_both(schedule: str, minutes: int) -> None:
    parsed = parse_schedule(schedule, tz="Europe/Berlin", name="backup")
    at = datetime.fromtimestamp(minutes * 60, UTC)
    ruling = rule(parsed, window(at))
    fire = parsed.next(at - SECOND)
    assert bool(ruling.due) == (fire is not None and fire < at + timedelta(minutes=1))
    assert bool(ruling.due) != bool(ruling.reasons)


def test_a_time_that_the_clock_skipped_is_explained() -> None:
    fixed = asked("30 2 * * *", "2026-03-29T02:45", tz="Europe/Berlin")
    assert fixed.clock == (
        "2026-03-29 02:30 did not exist: its fire was moved to right after the clock was set forward",
    )
    wild = asked("*/30 2 * * *", "2026-03-29T02:30", tz="Europe/Berlin")
    assert wild.clock[-1] == "2026-03-29 02:30 did not exist: the clock was set forward"


def test_a_time_that_came_twice_is_due_the_first_time_only() -> None:
    first = asked("30 2 * * *", "2026-10-25T02:30+02:00", tz="Europe/Berlin")
    second = asked("30 2 * * *", "2026-10-25T02:30+01:00", tz="Europe/Berlin")
    assert first.due
    assert second.reasons == ("the clock was set back, and had shown 02:30 before: the job was due that time",)
    wild = asked("30 * * * *", "2026-10-25T02:30+01:00", tz="Europe/Berlin")
    assert wild.due
    assert "2026-10-25 02:30 came twice, and so did the fire" in wild.clock


def entry(at: datetime, trigger: str = "schedule") -> Entry:
    empty = ("", "", "", "", "")
    return Entry(1, "backup", trigger, at, at, 1, "ended", *empty, at, at, "", None, None, 0)


JOB = job_of("0 12 * * *")
MARK = Mark(JOB.schedule.key, NOON + DAY)
AT_NOON = rule(JOB.schedule, window(NOON))
NOT_THEN = rule(JOB.schedule, window(NOON + timedelta(hours=1)))


@pytest.mark.parametrize(
    ("ruling", "known", "now", "case"),
    [
        (AT_NOON, Known([entry(NOON)], MARK, entry(NOON), is_full=False), NOON + DAY, Case.RECORDED),
        (NOT_THEN, NOTHING, NOON + DAY, Case.NOT_DUE),
        (AT_NOON, NOTHING, NOON - SECOND, Case.FUTURE),
        (AT_NOON, NOTHING, NOON + DAY, Case.UNSEEN),
        (AT_NOON, NOTHING._replace(mark=MARK._replace(schedule_key="other")), NOON + DAY, Case.CHANGED),
        (AT_NOON, NOTHING._replace(mark=MARK._replace(watermark=NOON - DAY)), NOON + DAY, Case.UNWATCHED),
        (AT_NOON, NOTHING._replace(mark=MARK), NOON + DAY, Case.UNKNOWN),
        (AT_NOON, Known((), MARK, entry(NOON + DAY), is_full=False), NOON + DAY, Case.UNKNOWN),
        (AT_NOON, Known((), MARK, entry(NOON + DAY), is_full=True), NOON + DAY, Case.DELETED),
        (AT_NOON, Known((), MARK, entry(NOON + DAY), is_full=False), NOON + 500 * DAY, Case.DELETED),
        (AT_NOON, Known((), MARK, entry(NOON - DAY), is_full=False), NOON + DAY, Case.UNRECORDED),
        (AT_NOON, Known([entry(NOON, "manual")], MARK, entry(NOON - DAY), is_full=False), NOON + DAY, Case.UNRECORDED),
    ],
)
def test_how_it_stands_with_a_due_time_follows_from_the_record(
    ruling: Ruling, known: Known, now: datetime, case: Case
) -> None:
    assert judge(JOB, ruling, known, now) is case


def test_a_disabled_job_would_have_been_due() -> None:
    assert judge(job_of("0 12 * * *", "enabled=no"), AT_NOON, NOTHING, NOON + DAY) is Case.DISABLED


def test_no_age_is_too_old_where_history_is_kept_for_ever() -> None:
    job = job_of("0 12 * * *", "history-for=none")
    assert judge(job, AT_NOON, NOTHING._replace(mark=MARK), NOON + 9_000 * DAY) is Case.UNKNOWN


def test_a_second_asks_for_itself_alone() -> None:
    assert window(NOON + SECOND) == Window(NOON + SECOND, NOON + 2 * SECOND)
    assert window(NOON) == Window(NOON, NOON + timedelta(minutes=1))
