"""`runjobs explain`: a schedule in plain words, of a job or only asked about."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runjobs.cli import asking, options
from runjobs.cli.errors import WordError
from runjobs.cli.next import read_when, zone_of_expression
from runjobs.core.errors import FieldError, UsageError
from runjobs.core.explaining import Remark, explain, remarks_on_job
from runjobs.core.fieldkinds import LAYOUTS
from runjobs.core.schedule import CronSchedule, parse_schedule
from runjobs.render.explained import Explained, as_json, tell
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.job import Job
    from runjobs.core.schedule import Schedule

COUNT = 5  # fires shown
PLAIN = 5  # fields of a crontab
WITH_SECONDS = 6

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="EXPR|JOB", help='A schedule, as in "0 9 * * 1-5", or the name of a job.', show_default=False
    ),
]
Count = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, metavar="N", help="How many fires to show.")]
After = Annotated[str | None, typer.Option(metavar="WHEN", help="Fires after when.  [now]")]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="The zone of the schedule.  [that of this machine]")
]
Name = Annotated[str, typer.Option(metavar="NAME", help="The name of the job that H and ~ in the schedule are for.")]
Year = Annotated[
    int | None,
    typer.Option(min=1970, max=2099, metavar="YEAR", help="The year of the changes of the clock.  [this one]"),
]


def explain_schedule(
    words: Words,
    count: Count = COUNT,
    after: After = None,
    tz: Zone = None,
    name: Name = "",
    year: Year = None,
    jobs: options.Jobs = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Say in plain words when a schedule fires, and where that differs from what people usually mean.

    With the next fires, in its zone and in yours, and what the changes of the clock do to it this year. A schedule of
    six fields has the seconds in front, one of seven a year at the end.

    \b
    runjobs explain "0 9 * * 1-5"
    runjobs explain "*/45 * * * *" --tz Europe/Berlin
    runjobs explain backup
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs)
    now, here, text = datetime.now(UTC), settings.local, " ".join(words)
    start = read_when("--after", after, now, here) if after is not None else now
    job: Job | None = None
    if is_schedule(text):
        zone = zone_of_expression(tz, here)
        schedule = read_schedule(text, zone, name)
    else:
        if tz or name:
            raise UsageError("--tz and --name are about a schedule: a job has its own", f"runjobs explain {text}")
        job = asking.jobs(settings, [text])[0]
        schedule, zone = job.schedule, zone_of_expression(job.schedule.tz, here)
    with waiting("working out what is to come"):
        found = look(schedule, job, Look(start, count, year, zone or UTC, here))
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(found)))
    else:
        print(tell(found, screen_of(sys.stdout)))


class Look(NamedTuple):
    """What is asked besides the schedule: fires after when, how many, the clock of which year; and two zones.

    `zone` is that of a schedule that says none, `here` the caller's.
    """

    start: datetime
    number: int
    year: int | None
    zone: tzinfo
    here: tzinfo | None


def look(schedule: Schedule, job: Job | None, asked: Look) -> Explained:
    """Work out all that is said of a schedule."""
    there = schedule.zone.tz if isinstance(schedule, CronSchedule) else asked.zone
    year = asked.year or asked.start.astimezone(there).year
    return Explained(
        schedule=schedule,
        job=job,
        explanation=explain(schedule, year, there),
        more=remarks_on_job(job) if job is not None else list(remarks_on_fields(schedule.expression)),
        fires=list(islice(fires_after(schedule, asked.start), asked.number)),
        zone=there,
        here=asked.here,
        year=year,
        now=asked.start,
    )


def is_schedule(text: str) -> bool:
    """Whether it is a schedule and not a name: no name has blanks in it, nor begins with `@` or `*`."""
    return " " in text.strip() or text.lstrip()[:1] in {"@", "*"}


def read_schedule(text: str, zone: tzinfo | None, name: str) -> Schedule:
    """Read a schedule of as many fields as it has; what can't be read is a WordError."""
    try:
        return parse_schedule(text, name=name, fields=fields_of(text), local=zone)
    except FieldError as error:
        raise WordError("EXPR", text, error) from error


def fields_of(text: str) -> int:
    """How many fields an expression is to be read with: as many as it has, where there is such a layout."""
    number = len(text.split())
    return number if number in LAYOUTS else PLAIN


def remarks_on_fields(text: str) -> Iterator[Remark]:
    """What a jobs file needs, so that it is understood there as it was here."""
    number = fields_of(text)
    if number != PLAIN and not text.lstrip().startswith("@"):
        names = "the first is the second" + (", the last the year" if number > WITH_SECONDS else "")
        message = f"it has {number} fields: {names}; cron itself takes {PLAIN}"
        yield Remark(message, f"in a jobs file write #: fields={number} above it")


def fires_after(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Yield the fires of a schedule strictly after an instant."""
    when = schedule.next(after)
    while when is not None:
        yield when
        when = schedule.next(when)
