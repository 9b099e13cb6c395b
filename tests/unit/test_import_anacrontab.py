"""Anacrontabs taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.errors import Severity
from runjobs.core.imports.account import Fate, Source
from runjobs.core.imports.anacrontab import take_anacrontab
from runjobs.core.job import Catchup, Overlap
from tests.support.imports import CASES, accounted, messages

if TYPE_CHECKING:
    from runjobs.core.imports.account import Taken
    from runjobs.core.job import Job


def take(text: str, taken: tuple[str, ...] = ()) -> Taken:
    return take_anacrontab(Source("there", text), "here", taken)


def jobs_of(text: str) -> list[Job]:
    return accounted(take(text), Source("there", text))


def test_debians_own_is_taken_over_whole() -> None:
    jobs = jobs_of((CASES / "anacrontab").read_text())
    assert [(job.name, job.schedule.expression, job.command) for job in jobs] == [
        ("cron.daily", "5 0 * * *", "run-parts --report /etc/cron.daily"),
        ("cron.weekly", "10 0 * * 0", "run-parts --report /etc/cron.weekly"),
        ("cron.monthly", "15 0 1 * *", "run-parts --report /etc/cron.monthly"),
    ]
    assert dict(jobs[0].environment)["HOME"] == "/root"


def test_jobs_catch_up_one_at_a_time_as_anacrons_do() -> None:
    (job,) = jobs_of("1 5 a x\n")
    assert (job.options.catchup, job.options.overlap, job.options.lock) == (Catchup.LAST, Overlap.QUEUE, "anacron")
    assert (job.options.cwd, job.options.timeout) == ("/", None)


def test_the_hours_shift_the_start_and_the_end_is_told() -> None:
    text = "START_HOURS_RANGE=3-22\nRANDOM_DELAY=45\n1 65 a x\n"
    (job,) = jobs_of(text)
    assert (job.schedule.expression, job.options.jitter) == ("5 4 * * *", timedelta(minutes=45))
    assert "after 22 o'clock" in messages(take(text), Severity.WARNING)[0]


def test_periods_that_a_calendar_has_are_its_days() -> None:
    periods = ["@daily", "@weekly", "@monthly", "@yearly", "@annually", "1", "07", "30", "31"]
    jobs = jobs_of("".join(f"{period} 0 j{number} x\n" for number, period in enumerate(periods)))
    assert [job.schedule.expression for job in jobs] == [
        "0 0 * * *", "0 0 * * 0", "0 0 1 * *", "0 0 1 1 *", "0 0 1 1 *", "0 0 * * *", "0 0 * * 0", "0 0 1 * *",
        "0 0 1 * *",
    ]  # fmt: skip


def test_other_periods_are_counted_and_said_to_be() -> None:
    (job,) = jobs_of("14 5 a x\n")
    assert job.schedule.expression == "@every 14d"
    assert "from 1970 on" in messages(take("14 5 a x\n"), Severity.WARNING)[0]


def test_a_percent_sign_means_nothing_to_anacron() -> None:
    (job,) = jobs_of("1 5 a date +%F\n")
    assert (job.command, job.stdin) == ("date +%F", None)


def test_a_line_goes_on_behind_a_backslash() -> None:
    text = "1 5 a x \\\n  y\n# end \\"
    taken = take(text)
    assert [job.command for job in accounted(taken, Source("there", text))] == ["x   y"]
    assert taken.counted[0].fates == (Fate.CARRIED, Fate.CARRIED, Fate.COMMENT)


def test_what_no_jobs_file_can_say_is_reported() -> None:
    lost = [
        "nonsense", "0 5 a x", "x 5 a x", "1 1500 a x", "START_HOURS_RANGE=late", "START_HOURS_RANGE=25-26",
        "CRON_TZ=UTC", "1 5 a *", "1 5 a echo '\\%'", "99999999999 5 a x",
    ]  # fmt: skip
    text = "".join(f"{line}\n" for line in lost)
    taken = take(text)
    assert accounted(taken, Source("there", text)) == []
    assert len(messages(taken)) == len(lost)


def test_another_shell_is_said_to_run_the_commands_here() -> None:
    assert messages(take("SHELL=/bin/sh\n"), Severity.WARNING) == []
    (job,) = jobs_of("SHELL=/bin/bash\n1 5 a x\n")
    assert job.shell == "/bin/bash"
    assert len(messages(take("SHELL=/bin/bash\n"), Severity.WARNING)) == 1


def test_mailto_stays_and_a_secret_is_pointed_out() -> None:
    taken = take("MAILTO=root\nAPI_TOKEN=hunter2\n1 5 a x\n")
    assert ("MAILTO=root\n" in taken.text, taken.private) == (True, True)
    assert "hunter2" not in taken.problems[0].text


def test_a_comment_that_would_speak_to_runjobs_stays_a_comment() -> None:
    assert jobs_of("#: timeout=3x\n1 5 a x\n")[0].options.timeout is None


def test_names_are_made_to_fit_and_not_given_twice() -> None:
    text = "1 5 a:b x\n1 5 a:b y\n"
    jobs = accounted(take(text, ("a-b",)), Source("there", text))
    assert [job.name for job in jobs] == ["a-b-2", "a-b-3"]


@given(st.lists(st.text("1 5@daily a=x\\#:%*\t\r\0", max_size=16), max_size=8))
def test_whatever_it_holds_each_line_is_accounted_for(lines: list[str]) -> None:
    jobs_of("\n".join(lines))
