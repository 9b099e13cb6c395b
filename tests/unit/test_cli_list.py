"""`runjobs list`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.calling import Answer, call

if TYPE_CHECKING:
    from pathlib import Path

JOBS = """\
TOKEN=sesame
#: name=backup timeout=30m
15 3 * * *   /usr/local/bin/backup --all [red]x[/red]
#: name=report enabled=no
30 3 * * *   report
CRON_TZ=Europe/Berlin
#: name=boot
@reboot      greet
#: name=past
@at 2001-01-01T00:00 never
#: name=loud
0 12 24 12 * cat%hello
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs"
    file.write_text(JOBS)
    return file


def listed(jobs: Path, *words: str, terminal: bool = False) -> Answer:
    return call("list", "--jobs", str(jobs), "--trust-jobs", *words, terminal=terminal)


def test_each_job_has_its_name_schedule_next_fire_command_and_place(jobs: Path) -> None:
    lines = listed(jobs).out.splitlines()
    assert lines[0].split() == ["JOB", "SCHEDULE", "ZONE", "NEXT", "COMMAND", "WHERE"]
    backup = lines[1].split("  ")
    assert backup[0] == "backup"
    assert "15 3 * * *" in backup
    assert lines[1].endswith(f"/usr/local/bin/backup --all [red]x[/red]  {jobs}:3")


@pytest.mark.parametrize(("name", "said"), [("report", "disabled"), ("boot", "at boot"), ("past", "never again")])
def test_a_job_without_a_next_fire_says_why(jobs: Path, name: str, said: str) -> None:
    assert said in listed(jobs, name).out


def test_the_zone_of_a_job_that_names_one_is_shown(jobs: Path) -> None:
    assert "Europe/Berlin" in listed(jobs, "loud").out
    assert "ZONE" not in listed(jobs, "backup").out


def test_jobs_are_listed_in_the_order_asked_for(jobs: Path) -> None:
    assert [job["name"] for job in listed(jobs, "past", "backup", "past", "--json").json["jobs"]] == ["past", "backup"]


def test_an_unknown_job_is_a_mistake_that_names_the_nearest(jobs: Path) -> None:
    answer = listed(jobs, "bakcup")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "runjobs: no job is named bakcup\n  try: backup\n"


def test_json_has_every_option_and_no_value_of_a_variable(jobs: Path) -> None:
    answer = listed(jobs, "--json")
    backup, report, *_, loud = answer.json["jobs"]
    assert backup["environment"] == ["TOKEN"]
    assert "sesame" not in answer.out
    assert backup["options"]["timeout"] == 1800.0
    assert backup["options"]["overlap"] == "skip"
    assert (report["options"]["enabled"], report["next"]) == (False, None)
    assert (loud["tz"], loud["has_input"], loud["kind"]) == ("Europe/Berlin", True, "cron")
    assert loud["next"].endswith("-12-24T11:00:00+00:00")
    assert (backup["source"], backup["line"]) == (str(jobs), 3)


def test_a_mistake_in_the_file_is_mentioned_aside_and_hides_no_other_job(jobs: Path) -> None:
    jobs.write_text(JOBS + "75 3 * * * true\n")
    answer = listed(jobs)
    assert answer.code == 0
    assert "backup" in answer.out
    assert "error: minute 75" in answer.err
    jobs.write_text(JOBS + "75 3 * * * true\n" * 2)
    assert listed(jobs).err == f"runjobs: 2 errors in {jobs}\n  try: runjobs check\n"


def test_no_jobs_where_the_path_is_wrong_is_an_error(tmp_path: Path) -> None:
    answer = listed(tmp_path / "none")
    assert (answer.code, answer.out) == (78, "")
    assert f"no jobs in {tmp_path}/none (chosen by --jobs)" in answer.err


def test_an_empty_file_has_no_jobs_and_that_is_no_error(jobs: Path) -> None:
    jobs.write_text("")
    assert listed(jobs).code == 0
    assert listed(jobs).err == f"runjobs: no jobs in {jobs} (chosen by --jobs)\n"


def test_a_terminal_gets_a_table_that_fits(jobs: Path) -> None:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", listed(jobs, terminal=True).out).splitlines()
    assert max(map(len, lines)) <= 80
    assert set(lines[1]) <= {"-", "─", " "}
    assert any("/usr/local/" in line for line in lines)
