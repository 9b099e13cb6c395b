"""Environment lines, env-files, and the environment that a job is started with."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.crontab import parse
from runjobs.core.environment import RunFacts, job_environment, read_assignment, read_env_file
from runjobs.core.errors import FieldError

if TYPE_CHECKING:
    from runjobs.core.job import Job

FACTS = RunFacts("r1", datetime(2026, 11, 20, 4, 15, tzinfo=timezone(timedelta(hours=1))), 2)
OURS = {
    "RUNJOBS_RUN_ID": "r1",
    "RUNJOBS_SCHEDULED_AT": "2026-11-20T03:15:00Z",
    "RUNJOBS_ATTEMPT": "2",
}


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("A=1", "A", "1"),
        ("  A=1", "A", "1"),
        ("A = 1 2 ", "A", "1 2"),
        ("A=", "A", ""),
        ("A=  ", "A", ""),
        ("A=' 1 '", "A", " 1 "),
        ('A="1"  ', "A", "1"),
        ("'A'=1", "A", "1"),
        ('"A" = 1', "A", "1"),
        ("A=''", "A", ""),
        ("A=1 # c", "A", "1 # c"),
        ("A=a%b", "A", "a%b"),
        ("PATH=$PATH:/x", "PATH", "$PATH:/x"),
        ("A=b=c", "A", "b=c"),
        ("A=it's", "A", "it's"),
        ("java.home-dir=/x", "java.home-dir", "/x"),
    ],
)
def test_an_environment_line_is_read_as_by_cronie(line: str, name: str, value: str) -> None:
    assert read_assignment(line) == (name, value)


@pytest.mark.parametrize(
    ("line", "said", "start", "end"),
    [
        ("A='", "never closed", 2, 3),
        ("A=\"1'", "never closed", 2, 3),
        ('A="1" 2', "text after the closing quote", 6, 7),
        ('A="1" # c', "text after the closing quote", 6, 9),
        ('"A B"=1', "can't be the name", 1, 4),
        ("5=1", "can't be the name", 0, 1),
        ("''=1", "the name is empty", 1, 1),
        ("'A=1", "can't be the name", 0, 2),
        ("'A' 1", "there is no =", 0, None),
        ("A=" + "x" * 131_070, "too long", 0, 1),
    ],
)
def test_a_line_that_cronie_would_drop_in_silence_is_refused(line: str, said: str, start: int, end: int | None) -> None:
    with pytest.raises(FieldError, match=said) as caught:
        read_assignment(line)
    assert (caught.value.start, caught.value.end) == (start, end)
    assert caught.value.hint


@given(st.text())
def test_no_line_makes_anything_but_a_field_error(line: str) -> None:
    with contextlib.suppress(FieldError):
        assert read_assignment(line)[0]


def test_an_env_file_has_comments_blank_lines_and_assignments() -> None:
    assert read_env_file("\ufeff# c\n\nA=1\r\n  B='x y'\nA=2") == {"A": "2", "B": "x y"}


@pytest.mark.parametrize(("line", "said"), [("export A=hunter2", "not NAME=value"), ("A=hunter2\0", "NUL")])
def test_a_bad_line_of_an_env_file_is_named_but_never_quoted(line: str, said: str) -> None:
    with pytest.raises(FieldError, match=f"line 2 .*{said}") as caught:
        read_env_file(f"# secrets\n{line}\n")
    assert "hunter2" not in caught.value.message + caught.value.hint


def job(text: str) -> Job:
    (only,) = parse(text, source="f").jobs
    return only


def built(text: str, inherited: dict[str, str], env_file_text: str = "") -> dict[str, str]:
    return job_environment(
        job(text), inherited, home="/home/ann", logname="ann", facts=FACTS, env_file_text=env_file_text
    )


def test_a_job_inherits_what_the_runner_was_given_but_our_settings() -> None:
    inherited = {
        "PATH": "/opt/bin",
        "SHELL": "/bin/zsh",
        "HOME": "/root",
        "USER": "root",
        "DB": "x",
        "RUNJOBS_STATE": "/s",
    }
    assert built("#: name=j\n@daily x\n", inherited) == {
        "PATH": "/opt/bin",
        "DB": "x",
        "SHELL": "/bin/sh",
        "HOME": "/home/ann",
        "LOGNAME": "ann",
        "USER": "ann",
        "RUNJOBS_JOB": "j",
        **OURS,
    }


def test_a_clean_job_gets_the_few_variables_that_cron_gives() -> None:
    assert built("#: name=j env=clean\n@daily x\n", {"PATH": "/opt/bin", "DB": "x"}) == {
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "HOME": "/home/ann",
        "LOGNAME": "ann",
        "USER": "ann",
        "RUNJOBS_JOB": "j",
        **OURS,
    }


def test_a_job_always_has_a_path() -> None:
    assert built("@daily x\n", {})["PATH"] == "/usr/bin:/bin"


def test_the_files_lines_go_before_what_is_inherited_and_the_env_file_before_both() -> None:
    text = "A=file\nB=file\nHOME=/srv\nSHELL=/bin/bash\n@daily x\n"
    found = built(text, {"A": "given", "B": "given", "C": "given"}, "B=secret\nRUNJOBS_JOB=fake\nUSER=root\nSHELL=/x\n")
    assert (found["A"], found["B"], found["C"], found["HOME"]) == ("file", "secret", "given", "/srv")
    assert (found["SHELL"], found["USER"]) == ("/bin/bash", "ann")
    assert found["RUNJOBS_JOB"].startswith("f/x-")


def test_a_fraction_of_a_second_is_told_too() -> None:
    facts = RunFacts("r", datetime(2026, 1, 1, microsecond=500_000, tzinfo=UTC))
    found = job_environment(job("@daily x\n"), {}, home="/", logname="0", facts=facts)
    assert (found["RUNJOBS_SCHEDULED_AT"], found["RUNJOBS_ATTEMPT"]) == ("2026-01-01T00:00:00.500000Z", "1")
