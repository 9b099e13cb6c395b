"""Jobs for tests, made the way users make them: from a jobs file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.crontab import parse

if TYPE_CHECKING:
    from runjobs.core.job import Job


def jobs_of(text: str) -> dict[str, Job]:
    """Parse a jobs file that has no mistakes; the jobs by their names."""
    file = parse(text, source="jobs")
    assert not file.problems, file.problems
    return {job.name: job for job in file.jobs}


def job_of(schedule: str, options: str = "", *, name: str = "backup", command: str = "true") -> Job:
    """One job, `* * * * *` or any other schedule, with the options of a directive."""
    return jobs_of(f"#: name={name} {options}\n{schedule} {command}\n")[name]
