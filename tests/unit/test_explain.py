"""Schedules in plain words: the sentences, what they promise, what the clock does, what people may expect otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from runjobs.core.explaining import explain, remarks_on_job, sentence, tell_change
from runjobs.core.schedule import Schedule, parse_schedule
from tests.support.jobs import job_of

BERLIN = ZoneInfo("Europe/Berlin")

SENTENCES = {
    "* * * * *": "Every minute.",
    "*/5 * * * *": "Every 5 minutes.",
    "0-59 * * * *": "Every minute.",
    "0 * * * *": "Every hour, on the hour.",
    "17 * * * *": "Every hour, at minute 17.",
    "1,2 * * * *": "At minutes 1 and 2 of every hour.",
    "5-59/15 * * * *": "Every 15 minutes, starting at minute 5 of each hour.",
    "*/45 * * * *": "At minutes 0 and 45 of every hour.",
    "*/7 * * * *": "Every 7 minutes from minute 0 to 56 of every hour.",
    "10-20 * * * *": "Every minute from minute 10 to 20 of every hour.",
    "15 3 * * *": "At 03:15 every day.",
    "0 9,17 * * 1-5": "At 09:00 and 17:00 from Monday to Friday.",
    "0 */6 * * *": "At 00:00, 06:00, 12:00 and 18:00 every day.",
    "0 */2 * * *": "Every 2 hours from 00:00 to 22:00, every day.",
    "0 9-17/2 * * *": "Every 2 hours from 09:00 to 17:00, every day.",
    "30 9-17 * * *": "Every hour from 09:30 to 17:30, every day.",
    "0 1,2,3,5,8,13 * * *": "At 01:00, 02:00, 03:00, 05:00, 08:00 and 13:00 every day.",
    "*/15 9-17 * * mon-fri": "Every 15 minutes from 09:00 to 17:45, from Monday to Friday.",
    "*/15 9 * * *": "At 09:00, 09:15, 09:30 and 09:45 every day.",
    "* 3 * * *": "Every minute from 03:00 to 03:59, every day.",
    "* 3,5 * * *": "Every minute of the hours 3 and 5, every day.",
    "10-50/10 8,12 * * *": "Every 10 minutes from minute 10 to 50 of the hours 8 and 12, every day.",
    "0,45 9-12,14 * * *": "At minutes 0 and 45 of the hours 9 to 12 and 14, every day.",
    "1-5 4 * * *": "Every minute from minute 1 to 5 of hour 4, every day.",
    "0 0 1 * *": "At 00:00 on the 1st of every month.",
    "0 0 1,15 * *": "At 00:00 on the 1st and 15th of every month.",
    "0 0 2,3,11,12,13,21,22,23 * *": "At 00:00 on the 2nd, 3rd, 11th to 13th and 21st to 23rd of every month.",
    "0 0 */2 * *": "At 00:00 on every 2nd day from the 1st to the 31st of every month.",
    "0 0 31 * *": "At 00:00 on the 31st of every month that has one.",
    "0 0 29 2 *": "At 00:00 on the 29th of February.",
    "0 0 1 */3 *": "At 00:00 on the 1st of January, April, July and October.",
    "0 0 1 1-3 *": "At 00:00 on the 1st of each month from January to March.",
    "0 0 L * *": "At 00:00 on the last day of every month.",
    "0 0 L-3 * *": "At 00:00 on the 3rd day before the last day of every month.",
    "0 0 LW * *": "At 00:00 on the last working day (Monday to Friday) of every month.",
    "0 0 15W * *": "At 00:00 on the working day (Monday to Friday) nearest to the 15th of every month.",
    "0 0 L,15 * *": "At 00:00 on the 15th and last day of every month.",
    "0 0 * * 0": "At 00:00 on Sundays.",
    "0 0 * * 7": "At 00:00 on Sundays.",
    "0 0 * * 6,0": "At 00:00 on Saturdays and Sundays.",
    "0 0 * * 5-7,1": "At 00:00 on Mondays, Fridays, Saturdays and Sundays.",
    "0 0 * * 2-7": "At 00:00 from Tuesday to Sunday.",
    "0 0 * * 5L": "At 00:00 on the last Friday of every month.",
    "0 0 * * fri#2": "At 00:00 on the second Friday of every month.",
    "0 0 * * 5#5": "At 00:00 on the fifth Friday of every month that has one.",
    "0 0 * 1 fri#1,fri#3,5L": "At 00:00 on the first Friday, third Friday and last Friday of January.",
    "0 0 * 1 *": "At 00:00 every day in January.",
    "0 0 * 6-8 *": "At 00:00 every day from June to August.",
    "0 0 * 6-8 1-5": "At 00:00 from Monday to Friday, from June to August.",
    "0 0 * 1,7 mon": "At 00:00 on Mondays in January and July.",
    "0 0 13 * fri": "At 00:00 on the 13th of every month and also on Fridays.",
    "0 0 13 1 fri": "At 00:00 on the 13th of January and also on Fridays in January.",
    "0 0 1-31 * mon": "At 00:00 every day.",
    "0 0 */2 * mon": "At 00:00 on Mondays that fall on an odd day of the month.",
    "0 0 2-30/2 * */2": "At 00:00 on Tuesdays, Thursdays, Saturdays and Sundays that fall on an even day of the month.",
    "0 0 */10 * 1-5": "At 00:00 on days from Monday to Friday that fall on the 1st, 11th, 21st or 31st of the month.",
    "0 0 */2 3 fri#2": "At 00:00 on the second Friday of March, if that falls on an odd day of March.",
    "* * * * mon": "Every minute, on Mondays.",
    "* * * * * *": "Every second.",
    "*/10 * * * * *": "Every 10 seconds.",
    "5,45 * * * * *": "At seconds 5 and 45 of every minute.",
    "1-30 * * * * *": "At seconds 1 to 30 of every minute.",
    "30 */15 * * * *": "Every 15 minutes, at second 30.",
    "30 0 12 * * *": "At 12:00:30 every day.",
    "*/20 0 12 * * *": "At 12:00:00, 12:00:20 and 12:00:40 every day.",
    "*/10 0 12 * * *": "Every 10 seconds from 12:00:00 to 12:00:50, every day.",
    "*/10 * 9-17 * * *": "Every 10 seconds from 09:00:00 to 17:59:50, every day.",
    "*/10 * 9,17 * * *": "Every 10 seconds in every minute of the hours 9 and 17, every day.",
    "*/10 0,30 * * * *": "Every 10 seconds in minutes 0 and 30 of every hour.",
    "*/10 0 9,12 * * *": "Every 10 seconds in the minutes 09:00 and 12:00, every day.",
    "0 0 0 1 1 * 2027": "At 00:00 on the 1st of January, only in 2027.",
    "0 0 12 * * * 2027-2030": "At 12:00 every day, only from 2027 to 2030.",
    "5 0 12 * * mon 2027,2029": "At 12:00:05 on Mondays, only in 2027 and 2029.",
    "0 0 12 * * * *": "At 12:00 every day.",
    "@daily": "At 00:00 every day.",
    "@weekly": "At 00:00 on Sundays.",
    "@hourly": "Every hour, on the hour.",
    "@yearly": "At 00:00 on the 1st of January.",
    "@every 90s": "Every 90 seconds, counted from 1970-01-01 00:00 UTC.",
    "@every 1h": "Every hour, counted from 1970-01-01 00:00 UTC.",
    "@every 25h": "Every 25 hours, counted from 1970-01-01 00:00 UTC.",
    "@every 1h1m1s": "Every 1 hour, 1 minute and 1 second, counted from 1970-01-01 00:00 UTC.",
    "@every 2h2s": "Every 2 hours and 2 seconds, counted from 1970-01-01 00:00 UTC.",
    "@at 2026-12-24T18:00": "Once, on Thursday 2026-12-24 at 18:00:00+01:00.",
    "@watch /srv/in": "When something changes at /srv/in.",
    '@watch "/srv/in" /srv/*.csv': "When something changes at /srv/in or /srv/*.csv.",
    "@reboot": "Once at each start of the machine or container, as soon as a runner looks.",
}


def read(expression: str, name: str = "") -> Schedule:
    number = 5 if expression.startswith("@") else len(expression.split())
    return parse_schedule(expression, fields=number, name=name, local=BERLIN)


def said(expression: str, name: str = "") -> list[str]:
    """What people may expect otherwise."""
    return [remark.message for remark in explain(read(expression, name), 2026, UTC).remarks]


@pytest.mark.parametrize(("expression", "words"), SENTENCES.items())
def test_a_schedule_is_a_sentence_in_good_english(expression: str, words: str) -> None:
    assert sentence(read(expression), BERLIN) == words


@pytest.mark.parametrize(
    ("expression", "start"),
    [
        ("*/45 * * * *", "*/45 is not even: after minute 45 comes 0 again"),
        ("0 */5 * * *", "*/5 is not even: after hour 20 comes 0 again"),
        ("0 0 * */5 *", "*/5 is not even: after month 11 comes 1 again"),
        ("*/60 * * * *", "*/60 means minute 0 and no other"),
        ("0 0 13 * fri", "day of month or day of week: the job runs when either matches"),
        ("0 0 */2 * mon", "day of month and day of week must both match here"),
        ("* 3 * * *", "the * in the minutes makes it fire in every minute of the hour, not once"),
        ("* 0 12 * * *", "the * in the seconds makes it fire in every second of the minute, not once"),
        ("0 0 31 * *", "February, April, June, September and November have no 31st: it is left out there"),
        ("0 0 30 2,3 *", "February has no 30th: it is left out there"),
        ("0 0 29 2 *", "February has a 29th in leap years only"),
        ("0 0 * * mon", "00:00 on a Monday is in the night from Sunday to Monday"),
        ("30 0 * * fri#2", "00:30 on a Friday is in the night from Thursday to Friday"),
        ("0 12 * * 7", "weekday 7 is Sunday, as 0 is"),
        ("0 0 12 * * 2", "weekdays count from 0 for Sunday, as in cron: 2 is Tuesday; in Quartz Sunday is 1"),
        ("0 0 12 * * 5L", "weekdays count from 0 for Sunday, as in cron: 5L is Friday; in Quartz Sunday is 1"),
        ("5/15 * * * *", "5/15 means 5-59/15 here; cron itself refuses it"),
        ("@daily", "@daily is short for 0 0 * * *: all such jobs of a machine start together"),
        ("@every 90s", "it fires at multiples of the period since 1970-01-01 00:00 UTC, whenever the runner was"),
        ("@watch /srv/in", "what changes while a run goes on makes one more run after it"),
        ("@reboot", "a restart of the runner is no start of the machine"),
    ],
)
def test_what_people_usually_mean_otherwise_is_said_first(expression: str, start: str) -> None:
    assert said(expression)[0].startswith(start)


@pytest.mark.parametrize(
    "expression",
    ["15 3 * * *", "*/15 * * * *", "* 9-17 * * *", "* */2 * * *", "0 12 * * mon", "0 0 28-31 * *", "0 12 29 3 *",
     "0 0 */5 * *",     "0 12 13 * *", "0 0 12 * * mon", "0 0 1 1 *", "0 0 1-31 * mon", "@at 2026-12-24T18:00"],
)  # fmt: skip
def test_a_schedule_that_says_what_is_meant_has_no_remark_but_on_its_steps(expression: str) -> None:
    assert [each for each in said(expression) if "not even" not in each] == []


@pytest.mark.parametrize(
    ("expression", "more"),
    [
        ("@every 1w", "that is at 00:00 UTC on a Thursday: 1970-01-01 was one"),
        ("@every 1d", "that is at 00:00 UTC, not at midnight in another zone"),
        ("@every 7h", "a day is no multiple of the period: it fires at other times each day"),
        ("@every 6h", "that is at 00:00, 06:00, 12:00 and 18:00, UTC: by the wall clock of a zone it moves when that"),
        ("@every 2h", "that is at 00:00, 02:00, 04:00, 06:00, 08:00 and 10:00 and so on, UTC: by the wall clock"),
    ],
)
def test_periods_are_counted_in_utc_and_the_times_are_named(expression: str, more: str) -> None:
    assert said(expression)[1].startswith(more)


def test_a_period_that_divides_the_hour_needs_no_more_words() -> None:
    assert len(said("@every 5m")) == 1


def test_a_hashed_value_is_told_with_the_name_that_it_comes_from() -> None:
    minute = said("H 3 * * *", "backup")[0]
    assert minute.startswith("H is minute ")
    assert minute.endswith(", by the name of the job, backup: the same each time and on every machine")
    assert said("0~30 3 * * *")[0].endswith(", for a job without a name: the same each time and on every machine")


def test_the_hint_for_an_even_step_has_the_unit_of_the_field() -> None:
    hints = [explain(read(expression), 2026, UTC).remarks[0].hint for expression in ("*/45 * * * *", "0 */5 * * *")]
    assert hints == ["for equal gaps write @every 45m", "for equal gaps write @every 5h"]
    assert explain(read("* 3 * * *"), 2026, UTC).remarks[0].hint == "write 0 3 * * * for once"


def test_a_job_says_what_its_options_do_to_the_times() -> None:
    job = job_of("0 3 * * *", "jitter=5m enabled=no after=dump,load")
    assert [remark.message for remark in remarks_on_job(job)] == [
        "the job is switched off (enabled=no): it does not fire at all",
        "each fire starts up to 5m later (jitter), the same in every runner",
        "each fire waits for the newest one of dump and load (after) to end well",
    ]
    assert remarks_on_job(job_of("0 3 * * *")) == []


def test_a_job_that_watches_says_for_what_and_how_patiently() -> None:
    job = job_of("@watch /srv/in", "on=create,move settle=2s recursive=yes")
    words = remarks_on_job(job)[0].message
    assert words.startswith("it looks for create and move (on), and at all that is below them, and waits until")


SPRING, AUTUMN = (
    "on 2026-03-29 the clock goes from 02:00 to 03:00: ",
    "on 2026-10-25 the clock goes from 03:00 to 02:00: ",
)
NOTHING = "no fire is touched"


@pytest.mark.parametrize(
    ("expression", "spring", "autumn"),
    [
        ("30 3 * * *", NOTHING, NOTHING),
        (
            "30 2 * * *",
            "02:30 does not come, so it fires right after the jump, at 03:00",
            "02:30 comes twice, and it fires the first time only",
        ),
        (
            "*/30 * * * *",
            "02:00 and 02:30 do not come, so it does not fire then",
            "02:00 and 02:30 come twice, and it fires both times",
        ),
        (
            "*/10 * * * *",
            "02:00 to 02:50 (6 times) do not come, so it does not fire then",
            "02:00 to 02:50 (6 times) come twice, and it fires both times",
        ),
        (
            "5 30 2 * * *",
            "02:30:05 does not come, so it fires right after the jump, at 03:00",
            "02:30:05 comes twice, and it fires the first time only",
        ),
    ],
)
def test_each_change_of_the_clock_is_told_with_what_it_does(expression: str, spring: str, autumn: str) -> None:
    changes = explain(read(expression), 2026, UTC).changes
    assert [tell_change(change) for change in changes] == [SPRING + spring, AUTUMN + autumn]


def test_a_change_that_touches_a_fire_is_told_from_one_that_does_not() -> None:
    assert [change.is_felt for change in explain(read("30 2 28-31 3 *"), 2026, UTC).changes] == [True, False]
    assert [change.is_felt for change in explain(read("30 2 * * *"), 2026, UTC).changes] == [True, True]


def test_what_keeps_no_wall_time_has_no_changes_of_the_clock() -> None:
    assert explain(read("@every 1h"), 2026, UTC).changes == []
    assert explain(parse_schedule("30 2 * * *", tz="UTC"), 2026, UTC).changes == []


def test_a_change_names_the_instant_in_utc() -> None:
    assert explain(read("30 2 * * *"), 2026, UTC).changes[0].instant == datetime(2026, 3, 29, 1, tzinfo=UTC)
