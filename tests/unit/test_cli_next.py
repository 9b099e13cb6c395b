"""`runjobs next`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.calling import Answer, call

if TYPE_CHECKING:
    from pathlib import Path

JOBS = """\
CRON_TZ=UTC
#: name=hourly
0 * * * * true
#: name=half
30 * * * * true
#: name=off enabled=no
15 * * * * true
#: name=spread jitter=5m
45 12 * * * true
"""
AFTER = ["--after", "2026-03-10T00:10:00Z"]


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs"
    file.write_text(JOBS)
    return file


def coming(jobs: Path, *words: str) -> Answer:
    return call("next", "--jobs", str(jobs), "--trust-jobs", *words)


def fires(answer: Answer) -> list[tuple[str | None, str]]:
    assert answer.code == 0, answer.err
    return [(fire["job"], fire["scheduled"][11:16]) for fire in answer.json["fires"]]


def asked(expression: str, *words: str) -> list[str]:
    answer = call("next", "--expr", expression, "--json", *words)
    assert answer.code == 0, answer.err
    return [fire["local"] for fire in answer.json["fires"]]


def test_the_fires_of_all_jobs_stand_in_the_order_of_time(jobs: Path) -> None:
    found = fires(coming(jobs, *AFTER, "--count", "3", "--json"))
    assert found == [("half", "00:30"), ("hourly", "01:00"), ("half", "01:30")]


def test_ten_fires_where_nothing_else_is_said(jobs: Path) -> None:
    assert len(coming(jobs).out.splitlines()) == 11


def test_until_is_part_of_the_answer(jobs: Path) -> None:
    found = fires(coming(jobs, *AFTER, "--until", "2026-03-10T01:00Z", "--json"))
    assert found == [("half", "00:30"), ("hourly", "01:00")]


def test_named_jobs_alone_even_a_disabled_one(jobs: Path) -> None:
    assert fires(coming(jobs, "off", *AFTER, "-n", "2", "--json")) == [("off", "00:15"), ("off", "01:15")]


def test_a_job_with_jitter_shows_how_late_it_starts(jobs: Path) -> None:
    answer = coming(jobs, "spread", "-n", "1")
    assert answer.out.splitlines()[0].split() == ["WHEN", "IN", "DELAY", "JOB"]
    fire = coming(jobs, "spread", "-n", "1", "--json").json["fires"][0]
    assert fire["scheduled"] <= fire["start"]


def test_a_schedule_can_be_asked_about_in_any_zone() -> None:
    found = asked("30 2 * * *", "--tz", "Europe/Berlin", "--after", "2026-03-28T12:00Z", "-n", "2")
    assert found == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]  # 02:30 is skipped: right after the gap


def test_a_schedule_with_seconds_needs_fields() -> None:
    found = asked("*/20 0 12 * * *", "--fields", "6", "--tz", "UTC", "--after", "2026-03-10T00:00Z", "-n", "2")
    assert found == ["2026-03-10T12:00:00+00:00", "2026-03-10T12:00:20+00:00"]


def test_the_minute_of_h_depends_on_the_name() -> None:
    names = [["--name", f"job{number}"] for number in range(5)]
    assert len({asked("H 3 * * *", "--tz", "UTC", "-n", "1", *name)[0] for name in names}) > 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--expr", "75 3 * * *"], "runjobs: --expr: minute 75 is past 59\n    75 3 * * *\n    ^^\n  try: "),
        (["--expr", "5 3 * * *", "--tz", "Europa/Berlin"], 'runjobs: --tz: there is no time zone "Europa/Berlin"\n'),
        (["--until", "soonish"], "runjobs: --until: "),
        (["--until", "yesterday"], "runjobs: --until yesterday is not after the start\n"),
        (["--tz", "UTC"], "runjobs: --tz and --name are about a schedule"),
        (["--expr", "5 3 * * *", "backup"], "runjobs: --expr asks about a schedule, not about jobs\n"),
    ],
)
def test_what_cannot_be_asked_exits_2_and_says_why(words: list[str], said: str) -> None:
    answer = call("next", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(said)


def test_a_time_in_which_nothing_fires_is_said_aside(jobs: Path) -> None:
    answer = coming(jobs, "spread", *AFTER, "--until", "2026-03-10T12:44Z")
    assert answer == (0, "", "runjobs: nothing fires in that time\n")
    assert coming(jobs, "spread", *AFTER, "--until", "2026-03-10T12:44Z", "--json").json == {"fires": []}


def test_an_answer_without_end_is_cut_and_says_so(jobs: Path) -> None:
    answer = coming(jobs, "hourly", *AFTER, "--until", "2099-01-01", "--json")
    assert len(answer.json["fires"]) == 10_000
    assert answer.err == "runjobs: stopped after 10,000 fires\n  try: --count N for more\n"
