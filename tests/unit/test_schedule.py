"""Reading a schedule, what it answers, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.errors import FieldError
from runjobs.core.schedule import CronSchedule, Schedule, ScheduleKind, delay, parse_schedule

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 5, 13, 12, tzinfo=UTC)


def fires(schedule: Schedule, count: int, after: datetime = START) -> list[str]:
    found: list[str] = []
    following = schedule.next(after)
    while following is not None and len(found) < count:
        found.append(following.strftime("%Y-%m-%d %H:%M:%S"))
        following = schedule.next(following)
    return found


def refuse(expression: str, fields: int = 5) -> FieldError:
    with pytest.raises(FieldError) as refused:
        parse_schedule(expression, fields=fields)
    return refused.value


@pytest.mark.parametrize(
    ("expression", "fields", "found"),
    [
        ("30 4 1,15 * 5", 5, ["2026-05-15 04:30:00", "2026-05-22 04:30:00", "2026-05-29 04:30:00"]),
        ("0 0 29 2 *", 5, ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("15,45 * * * * *", 6, ["2026-05-13 12:00:15", "2026-05-13 12:00:45", "2026-05-13 12:01:15"]),
        ("*/20 59 23 31 12 *", 6, ["2026-12-31 23:59:00", "2026-12-31 23:59:20", "2026-12-31 23:59:40"]),
        ("50 59 23 * * *", 6, ["2026-05-13 23:59:50", "2026-05-14 23:59:50"]),
        ("0 0 12 13 5 * 2026-2030/2", 7, ["2028-05-13 12:00:00", "2030-05-13 12:00:00"]),
        ("0 0 0 29 2 * 2026-2031", 7, ["2028-02-29 00:00:00"]),
        ("* * * * * * 2025", 7, []),
    ],
)
def test_fields_are_minute_first_then_seconds_first_then_year_last(
    expression: str, fields: int, found: list[str]
) -> None:
    assert fires(parse_schedule(expression, fields=fields), len(found) + 1)[: len(found)] == found


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("@yearly", "2027-01-01 00:00:00"),
        ("@annually", "2027-01-01 00:00:00"),
        ("@monthly", "2026-06-01 00:00:00"),
        ("@weekly", "2026-05-17 00:00:00"),
        ("@daily", "2026-05-14 00:00:00"),
        ("@midnight", "2026-05-14 00:00:00"),
        ("@hourly", "2026-05-13 13:00:00"),
    ],
)
def test_a_nickname_stands_for_its_fields(name: str, first: str) -> None:
    assert fires(parse_schedule(name, fields=6), 1) == [first]


def test_a_fire_is_strictly_after_the_instant_asked_about() -> None:
    schedule = parse_schedule("0 12 * * *")
    assert fires(schedule, 1, START) == ["2026-05-14 12:00:00"]
    assert fires(schedule, 1, START - timedelta(microseconds=1)) == ["2026-05-13 12:00:00"]


def test_the_zone_is_the_one_asked_for_else_the_local_one_else_utc() -> None:
    assert fires(parse_schedule("0 12 * * *", tz="Asia/Tokyo", local=BERLIN), 1) == ["2026-05-14 03:00:00"]
    assert fires(parse_schedule("0 12 * * *", local=BERLIN), 1) == ["2026-05-14 10:00:00"]
    assert fires(parse_schedule("0 12 * * *"), 1) == ["2026-05-14 12:00:00"]


def test_a_schedule_says_how_far_its_wall_clock_is_ahead_of_utc() -> None:
    assert parse_schedule("* * * * *", tz="Asia/Kolkata").offset(START) == timedelta(hours=5, minutes=30)
    assert parse_schedule("@every 1h", tz="Asia/Kolkata").offset(START) == timedelta(0)


def test_every_fires_at_multiples_of_its_period_since_the_epoch() -> None:
    schedule = parse_schedule("@every 7m", tz="Asia/Kolkata")
    assert fires(schedule, 2) == ["2026-05-13 12:06:00", "2026-05-13 12:13:00"]
    assert datetime(2026, 5, 13, 12, 6, tzinfo=UTC).timestamp() % 420 == 0
    assert fires(parse_schedule("@every 999999d"), 2) == ["4707-11-28 00:00:00", "7445-10-23 00:00:00"]


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-12-24T18:00", "2026-12-24 17:00:00"),
        ("2026-12-24 18:00", "2026-12-24 17:00:00"),
        ("2026-12-24T18:00Z", "2026-12-24 18:00:00"),
        ("2026-12-24T18:00+05:00", "2026-12-24 13:00:00"),
        ("2027-03-28T02:30", "2027-03-28 01:00:00"),
        ("2026-10-25T02:30", "2026-10-25 00:30:00"),
    ],
)
def test_at_fires_once_and_right_after_a_gap_that_skips_it(written: str, instant: str) -> None:
    assert fires(parse_schedule(f"@at {written}", tz="Europe/Berlin"), 2) == [instant]


def test_reboot_has_no_time() -> None:
    assert parse_schedule("@reboot").next(START) is None


def test_each_kind_of_schedule_says_what_it_is() -> None:
    kinds = [parse_schedule(text).kind for text in ("@daily", "@every 1h", "@at 2026-12-24T18:00", "@reboot")]
    assert kinds == [ScheduleKind.CRON, ScheduleKind.EVERY, ScheduleKind.AT, ScheduleKind.REBOOT]


def test_blanks_are_evened_out_in_the_expression() -> None:
    assert parse_schedule("  5\t*  * * mon ").expression == "5 * * * mon"
    assert parse_schedule("@every \t 5m").expression == "@every 5m"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (parse_schedule("0 9 * * MON"), parse_schedule("0  9 * * mon", tz="UTC")),
        (parse_schedule("0 9 * * *", name="a"), parse_schedule("0 9 * * *", name="b")),
        (parse_schedule("@every 60m"), parse_schedule("@every 1h", tz="Asia/Tokyo")),
        (parse_schedule("@at 2026-12-24T18:00", tz="Europe/Berlin"), parse_schedule("@at 2026-12-24T17:00Z")),
    ],
)
def test_schedules_of_the_same_fires_have_one_key(one: Schedule, other: Schedule) -> None:
    assert one.key == other.key
    assert repr(one) == f"<{type(one).__name__} {one.key}>"


def test_schedules_of_other_fires_have_other_keys() -> None:
    keys = {
        parse_schedule(text, tz=tz, name=name).key
        for text, tz, name in [
            ("0 9 * * *", "UTC", "a"),
            ("0 9 * * *", "Europe/Berlin", "a"),
            ("H 9 * * *", "UTC", "a"),
            ("H 9 * * *", "UTC", "b"),
            ("@every 1h", None, "a"),
            ("@every 2h", None, "a"),
            ("@at 2026-12-24T18:00", "Europe/Berlin", "a"),
            ("@at 2026-12-24T18:00", "UTC", "a"),
            ("@reboot", None, "a"),
        ]
    }
    assert len(keys) == 9


def test_the_fields_can_be_asked_for_their_names_texts_and_values() -> None:
    schedule = parse_schedule("*/30 9 1 jan mon")
    assert isinstance(schedule, CronSchedule)
    assert [(field.kind.name, field.text, field.values) for field in schedule.fields] == [
        ("second", "0", (0,)),
        ("minute", "*/30", (0, 30)),
        ("hour", "9", (9,)),
        ("day of the month", "1", (1,)),
        ("month", "jan", (1,)),
        ("weekday", "mon", (1,)),
    ]


@pytest.mark.parametrize(
    ("expression", "either", "both"),
    [
        ("0 0 1 * mon", True, False),
        ("0 0 */2 * mon", False, True),
        ("0 0 1 * *", False, False),
        ("0 0 * * mon", False, False),
        ("0 0 * * *", False, False),
    ],
)
def test_a_rule_says_how_it_joins_its_two_day_fields(expression: str, either: bool, both: bool) -> None:
    schedule = parse_schedule(expression)
    assert isinstance(schedule, CronSchedule)
    assert (schedule.rule.either_day_will_do, schedule.rule.both_days_must_match) == (either, both)


@pytest.mark.parametrize(
    ("expression", "fields", "part", "message", "hint"),
    [
        ("0 75 * * *", 5, "75", "hour 75 is past 23", "hours go from 0 to 23"),
        ("\t0  9 *   foo *", 5, "foo", '"foo" is not a month', "or jan to dec"),
        ("* * * *", 5, "* * * *", "4 fields where 5 are wanted", "minute, hour, day of the month, month, weekday"),
        ("5", 5, "5", "1 field where 5 are wanted", "minute, hour"),
        ("* * * * * *", 5, "* * * * * *", "6 fields where 5 are wanted", "`#: fields=6` above the line"),
        ("* * * * *", 6, "* * * * *", "5 fields where 6 are wanted", "`#: fields=5` above the line"),
        ("TZ=UTC * * * * *", 5, "TZ=UTC * * * * *", "6 fields where 5 are wanted", "CRON_TZ=Europe/Berlin"),
        ("0\xa00 * * *", 5, "\xa0", "U+00A0 looks like a blank but separates nothing", "an ordinary blank"),
        ("0 0 30 2 *", 5, "0 0 30 2 *", "there is no such day, ever", "day of the month 30, month 2"),
        ("0 0 0 29 2 * 2025", 7, "0 0 0 29 2 * 2025", "there is no such day, ever", "29, month 2, year 2025"),
        ("0 0 LW * */6", 5, "0 0 LW * */6", "there is no such day, ever", "LW, weekday */6"),
        ("@Daily", 5, "@Daily", '"@Daily" is not known', 'did you mean "@daily"?'),
        (" @dayly", 5, "@dayly", '"@dayly" is not known', 'did you mean "@daily"?'),
        ("@noon", 5, "@noon", '"@noon" is not known', "there are @yearly, "),
        ("@", 5, "@", '"@" is not known', "there are @yearly, "),
        ("@daily 5", 5, "5", '"5" after @daily is not understood', "@daily stands alone"),
        ("@every 5x", 5, "5x", '"5x" is not a duration', "durations look like 90s"),
        ("@every 500ms", 5, "500ms", "a period of 500ms is not in whole seconds", "@every 1s"),
        ("@every 1s500ms", 5, "1s500ms", "a period of 1s500ms is not in whole seconds", "@every 1s"),
        ("@every 0s", 5, "0s", "a period of 0s is not in whole seconds", "@every 1s"),
        ("@at tomorrow", 5, "tomorrow", '"tomorrow" is not a date and time', "@at 2026-12-24T18:00"),
        ("@at 0001-01-01T00:00+23:00", 5, "0001-01-01T00:00+23:00", None, "@at 2026-12-24T18:00"),
        ("@at 2026-12-24T18:00:00.5", 5, "2026-12-24T18:00:00.5", "fires are at whole seconds", "drop the fraction"),
    ],
)
def test_a_mistake_is_pointed_at_in_the_expression(
    expression: str, fields: int, part: str, message: str | None, hint: str
) -> None:
    refused = refuse(expression, fields)
    assert expression[refused.start : refused.end] == part
    assert refused.message == message or message is None
    assert hint in refused.hint


@pytest.mark.parametrize("expression", ["@every", "@at", "@every  ", ""])
def test_what_is_missing_is_said(expression: str) -> None:
    assert refuse(expression).hint


def test_an_unknown_zone_is_refused_with_its_own_offsets() -> None:
    with pytest.raises(FieldError) as refused:
        parse_schedule("* * * * *", tz="Europe/Berln")
    assert (refused.value.start, refused.value.end) == (0, 12)


def test_a_schedule_that_comes_round_only_every_40_years_is_taken_and_found() -> None:
    schedule = parse_schedule("0 0 */28 2 mon#5")  # 29 February on a Monday, over the year 2100 too
    assert fires(schedule, 3) == ["2044-02-29 00:00:00", "2072-02-29 00:00:00", "2112-02-29 00:00:00"]


instants = st.datetimes(datetime.min, datetime.max).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ901


@given(st.sampled_from(["*/5 * * * *", "0 0 29 2 *", "@every 90s", "0 0 * * fri", "30 2 1 1 *"]), instants)
def test_next_is_after_whatever_instant_is_asked_about(expression: str, after: datetime) -> None:
    fire = parse_schedule(expression, tz="Europe/Berlin").next(after)
    assert fire is None or (fire > after and fire.tzinfo is UTC)
    assert fire is not None or after.year > 8900


@pytest.mark.parametrize("expression", ["* * * * *", "@every 1m"])
def test_there_is_an_end_of_time(expression: str) -> None:
    assert parse_schedule(expression, tz="Europe/Berlin").next(datetime(8950, 1, 1, tzinfo=UTC)) is None


def test_the_same_instant_in_another_zone_has_the_same_next_fire() -> None:
    schedule = parse_schedule("*/7 * * * *", tz="Europe/Berlin")
    assert schedule.next(START) == schedule.next(START.astimezone(timezone(timedelta(hours=-7))))


@given(st.text(max_size=12), instants, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_a_delay_is_within_the_jitter_and_the_same_each_time(job: str, fire: datetime, jitter: timedelta) -> None:
    assert timedelta(0) <= delay(job, fire, jitter) <= jitter
    assert delay(job, fire, jitter) == delay(job, fire.astimezone(BERLIN) if 1 < fire.year < 9999 else fire, jitter)


def test_a_delay_can_be_all_of_the_jitter_and_nothing() -> None:
    jitter = timedelta(microseconds=1)
    assert {delay(f"job-{number}", START, jitter) for number in range(20)} == {timedelta(0), jitter}


def test_delays_spread_over_the_jitter_by_job_and_by_fire() -> None:
    jitter = timedelta(minutes=10)
    by_job = sorted(delay(f"job-{number}", START, jitter) / jitter for number in range(1000))
    by_fire = sorted(delay("job", START + timedelta(minutes=number), jitter) / jitter for number in range(1000))
    for spread in (by_job, by_fire):
        assert all(abs(share - rank / 1000) < 0.06 for rank, share in enumerate(spread))


def test_an_ordinary_schedule_is_read_and_asked_without_importing_croniter_or_dateutil() -> None:
    code = (
        "import sys; from datetime import datetime, UTC\n"
        "from runjobs.core.schedule import parse_schedule\n"
        "for text in ('0 3 * * 1', '15 14 1,15 jan-jun fri', '@monthly', 'H H * * *'):\n"
        "    parse_schedule(text, tz='Europe/Berlin').next(datetime.now(UTC))\n"
        "sys.exit(str({'croniter', 'dateutil', 'difflib'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, "")
