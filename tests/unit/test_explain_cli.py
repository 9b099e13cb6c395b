"""`runjobs explain`: a schedule or a job, the next fires here and there, the clock, and what is expected otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.calling import Answer, call

if TYPE_CHECKING:
    from pathlib import Path

AFTER = ["--after", "2026-03-28T12:00Z"]
JOBS = """\
#: name=report tz=Europe/Berlin jitter=5m
30 2 * * * true
#: name=boot
@reboot true
#: name=quick
@every 90s true
#: name=watching
@watch /srv/in -- true
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs"
    file.write_text(JOBS)
    return file


def explained(*words: str, terminal: bool = False) -> Answer:
    answer = call("explain", *words, *AFTER, terminal=terminal)
    assert (answer.code, answer.err) == (0, "")
    return answer


def of_job(jobs: Path, name: str, *words: str) -> Answer:
    return explained(name, "--jobs", str(jobs), "--trust-jobs", *words)


def test_a_schedule_is_a_sentence_its_fires_and_its_clock() -> None:
    lines = explained("30 2 * * *", "--tz", "Europe/Berlin", "-n", "2").out.splitlines()
    assert lines[:2] == ["30 2 * * *", "  At 02:30 every day."]
    assert lines[4].startswith("Sun 2026-03-29 03:00:00 +02:00  ")
    assert lines[-3] == "  The clock of Europe/Berlin in 2026:"
    assert lines[-2].endswith("02:00 to 03:00: 02:30 does not come, so it fires right after the jump, at 03:00")
    assert lines[-1].endswith("03:00 to 02:00: 02:30 comes twice, and it fires the first time only")


def test_the_words_of_a_schedule_may_come_without_quotes() -> None:
    assert "At 09:00 from Monday to Friday." in explained("0", "9", "*", "*", "1-5").out


def test_fires_are_told_in_the_zone_of_the_schedule_and_in_ours_where_they_differ() -> None:
    abroad = explained("0 9 * * *", "--tz", "Asia/Kathmandu").out.splitlines()[3]
    assert abroad.split("  ")[0] == "NEXT IN Asia/Kathmandu"
    assert "HERE" in abroad
    assert "HERE" not in explained("0 9 * * *").out


def test_a_job_is_explained_with_its_zone_and_its_options(jobs: Path) -> None:
    out = of_job(jobs, "report").out
    assert out.splitlines()[0] == f"30 2 * * * (report, {jobs}:2)"
    assert "The clock of Europe/Berlin in 2026:" in out
    assert "each fire starts up to 5m later (jitter), the same in every runner" in out


@pytest.mark.parametrize("name", ["boot", "watching"])
def test_what_no_time_tells_of_says_so(jobs: Path, name: str) -> None:
    out = of_job(jobs, name).out
    assert "no time says when it fires next" in out
    assert "clock" not in out


def test_what_is_over_says_so() -> None:
    assert "it does not fire any more" in explained("@at 2026-01-01T00:00").out


def test_changes_of_the_clock_that_touch_nothing_are_one_line() -> None:
    out = explained("0 12 * * *", "--tz", "Europe/Berlin").out
    assert "  The clock of Europe/Berlin is changed on 2026-03-29 and 2026-10-25: no fire is touched.\n" in out
    assert "  The clock of UTC is not changed in 2026." in explained("0 12 * * *", "--tz", "UTC").out


def test_another_year_can_be_asked_about() -> None:
    assert "on 2027-03-28 the clock goes" in explained("30 2 * * *", "--tz", "Europe/Berlin", "--year", "2027").out


def test_six_and_seven_fields_are_understood_and_what_they_need_is_said() -> None:
    assert "try: in a jobs file write #: fields=6 above it" in explained("0 0 12 * * mon").out
    out = explained("0 0 12 1 1 * 2027").out
    assert "At 12:00 on the 1st of January, only in 2027." in out
    assert "it has 7 fields: the first is the second, the last the year; cron itself takes 5" in out


def test_the_document_has_stable_keys(jobs: Path) -> None:
    found = of_job(jobs, "report", "--json", "-n", "1").json
    assert found["words"] == "At 02:30 every day."
    assert (found["job"], found["kind"], found["zone"], found["year"]) == ("report", "cron", "Europe/Berlin", 2026)
    assert found["next"][0]["scheduled"] == "2026-03-29T01:00:00+00:00"
    assert found["next"][0]["there"] == "2026-03-29T03:00:00+02:00"
    assert [change["moved"] for change in found["clock"]] == [["2026-03-29T02:30:00"], []]
    assert [change["once"] for change in found["clock"]] == [[], ["2026-10-25T02:30:00"]]
    assert found["remarks"][0]["hint"] == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["60 3 * * *"],
            "runjobs: EXPR: minute 60 is past 59\n    60 3 * * *\n    ^^\n  try: minutes go from 0 to 59; for",
        ),
        (["0 24 * * *"], "runjobs: EXPR: hour 24 is past 23\n"),
        (["0 0 30 2 *"], "runjobs: EXPR: there is no such day, ever\n"),
        (["@fortnightly"], 'runjobs: EXPR: "@fortnightly" is not known\n'),
        (["0 9 * *"], "runjobs: EXPR: 4 fields where 5 are wanted\n"),
        (["0 9 * * *", "--tz", "Berlin"], "runjobs: --tz: "),
        (["report", "--tz", "UTC"], "runjobs: --tz and --name are about a schedule: a job has its own\n"),
        ([], "runjobs: missing argument"),
    ],
)
def test_what_cannot_be_explained_exits_2_and_says_why(words: list[str], said: str) -> None:
    answer = call("explain", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(said)


def test_an_unknown_job_exits_2_and_names_the_nearest(jobs: Path) -> None:
    answer = call("explain", "reprot", "--jobs", str(jobs), "--trust-jobs")
    assert answer.code == 2
    assert "try: report" in answer.err


@pytest.mark.parametrize("expression", ["0 0 */2 * mon", "30 2 31 * *", "*/10 * * * * *", "@every 1d"])
def test_a_terminal_of_80_columns_is_not_overrun(expression: str) -> None:
    shown = explained(expression, "--tz", "Europe/Berlin", terminal=True).out
    assert max(map(len, re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines())) <= 80
