"""The fires of several jobs in the order of time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.upcoming import upcoming
from tests.support.jobs import jobs_of

START = datetime(2026, 3, 10, tzinfo=UTC)


def test_fires_of_several_jobs_come_in_the_order_of_time_and_equal_ones_in_that_of_the_file() -> None:
    jobs = jobs_of("#: name=b\n*/30 * * * * true\n#: name=a\n0 * * * * true\n").values()
    coming = [(fire.when.minute, fire.job.name) for fire in islice(upcoming(jobs, START), 4)]
    assert coming == [(30, "b"), (0, "b"), (0, "a"), (30, "b")]


def test_jobs_without_a_fire_to_come_are_passed_over_and_the_last_one_ends_it() -> None:
    jobs = jobs_of(
        "@reboot true\n@at 2001-01-01T00:00 old\n@at 2027-01-01T00:00 new\n@at 2026-06-01T00:00 mid\n"
    ).values()
    assert [fire.job.command for fire in upcoming(jobs, START)] == ["mid", "new"]


@given(st.lists(st.sampled_from(["*/7 * * * *", "0 */5 * * *", "@every 97m", "30 2 * * sun"]), min_size=1, max_size=6))
def test_merging_loses_nothing_and_invents_nothing(expressions: list[str]) -> None:
    jobs = list(jobs_of("".join(f"{text} job-{index}\n" for index, text in enumerate(expressions))).values())
    merged = [(fire.when, fire.job.name) for fire in islice(upcoming(jobs, START), 50)]
    assert merged == sorted(merged, key=lambda fire: fire[0])
    for job in jobs:
        when, own = job.schedule.next(START), []
        while when is not None and when < merged[-1][0]:
            own.append(when)
            when = job.schedule.next(when)
        assert [fire for fire, name in merged if name == job.name and fire < merged[-1][0]] == own
