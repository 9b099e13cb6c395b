"""`runjobs next`: what is to come, of the jobs or of a schedule that is only asked about."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, tzinfo
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from runjobs.cli import asking, options
from runjobs.cli.errors import WordError
from runjobs.cli.streams import complain
from runjobs.core.errors import FieldError, UsageError
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of
from runjobs.render.table import Column, Table, draw
from runjobs.render.times import distance, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runjobs.settings import Settings

Value = TypeVar("Value")

COUNT = 10  # fires shown where nothing else is said
MOST = 10_000  # fires up to an --until: nobody reads more, and a program can ask for a --count
COLUMNS = (Column("WHEN"), Column("IN", right=True))
JOB = Column("JOB", color="bold")
DELAY = Column("DELAY", right=True)

Names = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Only these jobs.", show_default=False)]
Count = Annotated[
    int | None, typer.Option("--count", "-n", min=1, metavar="N", help=f"How many.  [{COUNT}; with --until: all]")
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help='Up to when: "tomorrow 7:30", "in 2h", ISO 8601.')]
After = Annotated[str | None, typer.Option(metavar="WHEN", help="After when.  [now]")]
Expr = Annotated[str | None, typer.Option(metavar="EXPR", help="Ask about this schedule instead of the jobs.")]
Zone = Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="The zone of --expr.  [that of this machine]")]
Fields = Annotated[int, typer.Option(min=5, max=7, metavar="N", help="Fields of --expr: 6 has seconds, 7 a year too.")]
Name = Annotated[str, typer.Option(metavar="NAME", help="The name of the job that H and ~ in --expr are for.")]


class Span(NamedTuple):
    """The time asked about: strictly after one instant, up to another and with it, at most so many fires."""

    after: datetime
    until: datetime | None
    most: int


class Due(NamedTuple):
    """A fire to show: when, of which job ("" for --expr), and when it starts if it has a jitter."""

    when: datetime
    job: str = ""
    start: datetime | None = None


def show_next(
    names: Names = None,
    count: Count = None,
    until: Until = None,
    after: After = None,
    expr: Expr = None,
    tz: Zone = None,
    fields: Fields = 5,
    name: Name = "",
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Show when jobs fire next, or when a schedule would.

    The fires of all jobs stand in the order of time.

    \b
    runjobs next --until "tomorrow 7:30"
    runjobs next backup --count 3
    runjobs next --expr "0 9 * * mon-fri" --tz Europe/Berlin
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    now, zone = datetime.now(UTC), settings.local
    span = span_of(count, until, after, now, zone)
    if expr is None:
        if tz or name:
            raise UsageError(
                "--tz and --name are about a schedule, and there is none", 'runjobs next --expr "H 3 * * *"'
            )
        coming = of_jobs(settings, names, span.after)
    else:
        if names:
            raise UsageError("--expr asks about a schedule, not about jobs", f"runjobs next {names[0]}")
        zone = zone_of_expression(tz, zone)
        coming = of_expression(expr, zone=zone, name=name, fields=fields, after=span.after)
    with waiting("working out what is to come"):
        found = list(within(coming, span))
    if json:
        from runjobs.render.json import to_json

        print(to_json({"fires": [as_json(due, zone) for due in found]}))
    elif found:
        print(draw(table(found, now, zone), screen_of(sys.stdout)))
    _say_what_is_missing(found, span, asked=count)


def span_of(count: int | None, until: str | None, after: str | None, now: datetime, zone: tzinfo | None) -> Span:
    """Return the time that is asked about; without an end it is ten fires long."""
    start = read_when("--after", after, now, zone) if after is not None else now
    end = read_when("--until", until, now, zone) if until is not None else None
    if end is not None and end <= start:
        raise UsageError(f"--until {until} is not after the start", "a later time, or an earlier --after")
    return Span(start, end, count or (COUNT if end is None else MOST))


def read_when(option: str, text: str, now: datetime, zone: tzinfo | None) -> datetime:
    """Read an instant as people write it."""
    from runjobs.core.when import parse_when

    return _read(option, text, lambda: parse_when(text, now, zone or UTC))


def zone_of_expression(name: str | None, local: tzinfo | None) -> tzinfo | None:
    """Return the zone that a schedule is asked about in."""
    from runjobs.core.zone import zone_named

    return local if name is None else _read("--tz", name, lambda: zone_named(name).tz)


def of_expression(text: str, *, zone: tzinfo | None, name: str, fields: int, after: datetime) -> Iterator[Due]:
    """Yield the fires of a schedule that no job needs to have."""
    from runjobs.core.schedule import parse_schedule

    schedule = _read("--expr", text, lambda: parse_schedule(text, name=name, fields=fields, local=zone))
    when = schedule.next(after)
    while when is not None:
        yield Due(when)
        when = schedule.next(when)


def of_jobs(settings: Settings, names: Sequence[str] | None, after: datetime) -> Iterator[Due]:
    """Yield the fires of the jobs that are enabled, or of those named."""
    from runjobs.core.spread import delay
    from runjobs.core.upcoming import upcoming

    chosen = [job for job in asking.jobs(settings, names) if job.options.enabled or names]
    for when, job in upcoming(chosen, after):
        jitter = job.options.jitter
        yield Due(when, job.name, when + delay(job.name, when, jitter) if jitter else None)


def within(coming: Iterable[Due], span: Span) -> Iterator[Due]:
    """Yield what lies in the time that is asked about."""
    until = span.until
    ended = coming if until is None else takewhile(lambda due: due.when <= until, coming)
    return islice(ended, span.most)


def table(found: Sequence[Due], now: datetime, zone: tzinfo | None) -> Table:
    """Return the table of fires, with the columns that they need."""
    named, spread = any(due.job for due in found), any(due.start for due in found)
    columns = [*COLUMNS, *([DELAY] if spread else ()), *([JOB] if named else ())]
    rows = []
    for due in found:
        delay = [f"+{distance(due.start - due.when)}" if due.start else ""] if spread else []
        rows.append([instant(due.when, zone), distance(due.when - now), *delay, *([due.job] if named else ())])
    return Table(columns, rows)


def as_json(due: Due, zone: tzinfo | None) -> dict[str, object]:
    """Return a fire for machines: in UTC, which is its identity, and in the zone that people read."""
    return {"job": due.job or None, "scheduled": due.when, "local": due.when.astimezone(zone), "start": due.start}


def _read(option: str, text: str, reading: Callable[[], Value]) -> Value:
    """Read the text of an option; what can't be read is a WordError that shows where in it."""
    try:
        return reading()
    except FieldError as error:
        raise WordError(option, text, error) from error


def _say_what_is_missing(found: Sequence[Due], span: Span, *, asked: int | None) -> None:
    if not found:
        complain("runjobs: nothing fires in that time")
    elif span.until is not None and asked is None and len(found) == MOST:
        complain(f"runjobs: stopped after {MOST:,} fires\n  try: --count N for more")
