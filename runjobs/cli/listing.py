"""`runjobs list`: the jobs as they are understood."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import asking, options
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of
from runjobs.render.table import Column, Table, draw
from runjobs.render.times import clock, without_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from runjobs.core.job import Job, Options

COLUMNS = (
    Column("JOB", color="bold"),
    Column("SCHEDULE"),
    Column("NEXT"),
    Column("COMMAND", clipped=True),
    Column("WHERE", color="dim", optional=True),
)
ZONE = Column("ZONE", optional=True)

Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Only these jobs.", show_default=False)]


def list_jobs(
    names: Jobs = None,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """List the jobs: schedule, next fire, command, and where they stand.

    \b
    runjobs list
    runjobs list backup --json
    runjobs list --jobs /etc/cron.d --user-column

    Times are in the zone of this machine. With --json each job comes with all its options; of environment variables
    only the names are shown.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    with waiting("reading the jobs files"):
        chosen = asking.jobs(settings, names)
        now = datetime.now(UTC)
        following = [job.schedule.next(now) for job in chosen]
    if json:
        from runjobs.render.json import to_json

        print(to_json({"jobs": [as_json(job, when) for job, when in zip(chosen, following, strict=True)]}))
    else:
        print(draw(table(chosen, following, settings.local), screen_of(sys.stdout)))


def table(jobs: Sequence[Job], following: Sequence[datetime | None], zone: tzinfo | None) -> Table:
    """Return the table of the jobs, with a column for the zone if any job names one."""
    zoned = any(job.schedule.tz for job in jobs)
    columns = (*COLUMNS[:2], ZONE, *COLUMNS[2:]) if zoned else COLUMNS
    rows = []
    for job, when in zip(jobs, following, strict=True):
        row = [job.name, job.schedule.expression, next_word(job, when, zone), job.command, f"{job.source}:{job.line}"]
        rows.append([*row[:2], job.schedule.tz or "", *row[2:]] if zoned else row)
    return Table(columns, rows)


def next_word(job: Job, when: datetime | None, zone: tzinfo | None) -> str:
    """Say when a job fires next, or why it does not."""
    if not job.options.enabled:
        return "disabled"
    if when is not None:
        return clock(when, zone)
    return without_time(job)


def as_json(job: Job, when: datetime | None) -> dict[str, object]:
    """Return all that is known of a job, but for the values of its variables: they may be secrets."""
    return {
        "name": job.name,
        "schedule": job.schedule.expression,
        "tz": job.schedule.tz,
        "kind": job.schedule.kind,
        "next": when if job.options.enabled else None,
        "command": job.command,
        "has_input": job.stdin is not None,
        "shell": job.shell,
        "environment": [name for name, _ in job.environment],
        "options": _options(job.options),
        "source": job.source,
        "line": job.line,
    }


def _options(options: Options) -> dict[str, object]:
    values = {name: getattr(options, name) for name in options.__dataclass_fields__}
    return values | {"notify": [receiver.name for receiver in options.notify]}  # a name is no secret, an address may be
