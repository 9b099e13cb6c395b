"""Crontabs taken over: the same jobs as under cron, and every line accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.crontab import parse
from runjobs.core.errors import Place, Severity
from runjobs.core.imports.account import Fate, Source
from runjobs.core.imports.crontab import Crontab, take_crontab
from runjobs.core.job import Base, Overlap
from tests.support.imports import CASES, accounted, messages

if TYPE_CHECKING:
    from runjobs.core.imports.account import Taken
    from runjobs.core.job import Job

SAMPLES = CASES.parent / "crontabs" / "samples"
MANIFEST = {
    row.split("\t")[0]: row.split("\t")[3] == "yes" for row in (SAMPLES / "MANIFEST.tsv").read_text().splitlines()[1:]
}
PACKAGES = {str(path): True for path in sorted((CASES / "cron.d").iterdir())}
REAL = {**{str(SAMPLES / name): column for name, column in MANIFEST.items()}, **PACKAGES}


def take(text: str, *, column: bool = False, user: str = "", taken: tuple[str, ...] = ()) -> Taken:
    return take_crontab(Crontab(Source("there", text), "here", column, user), taken)


def jobs_of(text: str) -> list[Job]:
    return accounted(take(text), Source("there", text))


def what(job: Job) -> tuple[object, ...]:
    """All that decides when and what a job runs."""
    return job.schedule.expression, job.schedule.tz, job.command, job.stdin, job.options.user, job.environment


@pytest.mark.parametrize("path", REAL)
def test_a_real_crontab_has_the_same_jobs_after_it_was_taken_over(path: str) -> None:
    text = Path(path).read_text()
    source = Source(path, text)
    taken = take_crontab(Crontab(source, "here", REAL[path]))
    before = parse(text, source="here", user_column=REAL[path]).jobs
    assert [what(job) for job in accounted(taken, source)] == [what(job) for job in before]


def test_what_cron_does_and_runjobs_would_not_is_asked_for_in_the_file() -> None:
    (job,) = jobs_of("5 4 * * * x\n")
    options = job.options
    assert (options.env, options.timeout, options.overlap) == (Base.CLEAN, None, Overlap.ALLOW)


def test_a_crontab_that_speaks_to_runjobs_is_left_to_what_it_says() -> None:
    (job,) = jobs_of("#: name=a timeout=2h\n5 4 * * * x\n")
    assert (job.name, job.options.env, job.options.overlap) == ("a", Base.INHERIT, Overlap.SKIP)


def test_whose_crontab_it_is_can_be_said() -> None:
    assert (
        "#: defaults env=clean timeout=none overlap=allow user=www-data" in take("5 4 * * * x\n", user="www-data").text
    )


def test_a_line_that_cannot_be_read_is_a_comment_with_its_reason() -> None:
    taken = take("5 4 * * * x\n61 * * * * y\n")
    assert "# not carried over: minute 61 is past 59\n#   61 * * * * y\n" in taken.text
    (problem,) = taken.problems
    assert (problem.place.line, problem.severity, problem.text) == (2, Severity.ERROR, "61 * * * * y")
    assert (problem.place, problem.hint) == (Place("there", 2, 1, 2), "minutes go from 0 to 59")


def test_the_options_of_a_lost_job_do_not_go_to_the_next() -> None:
    jobs = jobs_of("#: name=a user=root\n# why\n61 * * * * y\n5 4 * * * x\n")
    assert [(job.command, job.options.user) for job in jobs] == [("x", None)]


def test_a_job_whose_options_cannot_be_read_is_lost_with_them() -> None:
    text = "#: timeout=3x\n#: nice=3\nA=1\n5 4 * * * x\n6 4 * * * y\n#: nice=99\n"
    taken = take(text)
    assert [job.command for job in accounted(taken, Source("there", text))] == ["y"]
    assert "its options in line 1 can't be read" in messages(taken)


def test_options_that_no_job_follows_are_lost() -> None:
    assert messages(take("5 4 * * * x\n#: nice=3\n")) == ["no job follows these options"]


def test_jobs_under_a_zone_that_is_not_there_are_lost_until_the_next_zone() -> None:
    text = "1 1 * * * a\nCRON_TZ=Mars/Base\n2 2 * * * b\n#: tz=UTC\n3 3 * * * c\nCRON_TZ=UTC\n4 4 * * * d\n"
    assert [job.command for job in jobs_of(text)] == ["a", "c", "d"]
    assert "its time zone stands in line 2, which can't be read" in messages(take(text))
    assert [job.command for job in jobs_of("1 1 * * * a\nCRON_TZ=Mars/Base\n2 2 * * * b\n")] == ["a"]


def test_jobs_under_defaults_that_cannot_be_read_are_lost() -> None:
    assert [job.command for job in jobs_of("1 1 * * * a\n#: defaults user=a:b\n2 2 * * * b\n")] == ["a"]


def test_prose_behind_a_hash_and_a_colon_stays_prose() -> None:
    text = "#: see the wiki\n5 4 * * * x\n#:\n"
    taken = take(text)
    assert taken.counted[0].fates == (Fate.COMMENT, Fate.CARRIED, Fate.COMMENT)
    assert "# : see the wiki\n" in taken.text


def test_a_dash_that_kept_a_job_out_of_syslog_is_taken_out() -> None:
    (job,) = jobs_of("-5 4 * * * x\n")
    assert (job.command, messages(take("-5 4 * * * x\n"), Severity.WARNING)) == ("x", ["the leading - is taken out"])


def test_a_user_that_cron_sets_itself_is_no_loss() -> None:
    taken = take("LOGNAME=bob\n5 4 * * * x\n")
    assert (messages(taken), len(messages(taken, Severity.WARNING))) == ([], 1)


def test_a_secret_is_pointed_out_and_never_shown() -> None:
    taken = take('DB_PASSWORD=hunter2\nDB_URL=postgres://a:hunter2@b/c\nB"=hunter2\n5 4 * * * x\n')
    assert taken.private
    assert len(messages(taken, Severity.WARNING)) == 2
    assert "hunter2" not in "".join(problem.text + problem.message for problem in taken.problems[:2])


def test_cron_tz_is_said_to_be_read_otherwise_by_debians_cron() -> None:
    assert "Debian's cron" in messages(take("CRON_TZ=UTC\nCRON_TZ=\n5 4 * * * x\n"), Severity.WARNING)[0]


def test_a_last_line_without_its_newline_is_carried_over_and_told() -> None:
    assert [job.command for job in jobs_of("5 4 * * * x\n6 4 * * * y")] == ["x", "y"]
    assert "without a newline" in messages(take("5 4 * * * x"), Severity.WARNING)[0]
    assert messages(take("# 5 4 * * * x"), Severity.WARNING) == []


def test_a_name_that_is_there_already_is_not_given_again() -> None:
    assert messages(take("#: name=a\n5 4 * * * x\n", taken=("a",)))[-1] == "a job named a is already there"


def test_windows_line_ends_and_a_bom_are_taken_out() -> None:
    taken = take("\ufeff5 4 * * * x\r\n")
    assert (taken.jobs, "\r" in taken.text, "\ufeff" in taken.text) == (1, False, False)
    assert len(messages(taken, Severity.WARNING)) == 2


def test_a_line_with_a_byte_that_no_crontab_has_is_shown_as_a_comment() -> None:
    text = "5 4 * * * x\0y\n5 4 * * * a\rb\n"
    assert jobs_of(text) == []
    assert "#   5 4 * * * x\\0y\n" in take(text).text


def test_a_file_in_utf_16_is_reported_line_by_line() -> None:
    text = "5 4 * * * x\n6 4 * * * y\n".encode("utf-16").decode("utf-8", "surrogateescape")
    taken = take(text)
    assert (taken.jobs, set(taken.counted[0].fates)) == (0, {Fate.REPORTED})


def test_an_empty_crontab_is_an_empty_jobs_file() -> None:
    assert take("").jobs == 0


PIECES = [
    "5 4 * * * x", "61 * * * * y", "* * * * * date +\\%F %in", "@daily z", "-@hourly w", "#: name=a", "#: timeout=2h",
    "#: timeout=3x", "#: prose", "#: defaults nice=3", "#: defaults nice=99", "#: user-column", "#: tz=Mars/Base",
    "CRON_TZ=UTC", "CRON_TZ=Mars/Base", "CRON_TZ=", "A=1", "A='", "USER=a", "# plain", "", " \t", "RANDOM_DELAY=x",
    "5 4 * * * x\0", "#: name=", "#: '", "five", "SHELL=/bin/bash", '"A B"=1', "#: defaults", "#:::",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text("ab#:=@* 5-%\"'\\\r", max_size=12), max_size=12), st.booleans())
def test_whatever_a_crontab_holds_each_line_is_accounted_for_and_the_result_is_read(
    lines: list[str], column: bool
) -> None:
    text = "\n".join(lines)
    accounted(take(text, column=column), Source("there", text))
