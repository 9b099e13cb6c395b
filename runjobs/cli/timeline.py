"""`runjobs timeline`: who runs when, over the hours of a day."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options, recorded
from runjobs.cli.streams import complain
from runjobs.core import timeline
from runjobs.core.answers import overdue_since
from runjobs.core.fire import MILLISECOND
from runjobs.core.simulation import LEARNED
from runjobs.core.timeline import Span
from runjobs.render.progress import advancing
from runjobs.render.screen import screen_of
from runjobs.render.spark import usual
from runjobs.render.timeline import Day, as_json, draw_day, draw_way_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from runjobs.cli.recorded import Recorded
    from runjobs.render.screen import Screen

TheDay = Annotated[str, typer.Option("--day", metavar="DAY", help="yesterday, today, tomorrow, or a date: 2026-11-20.")]


def show_timeline(
    names: recorded.Names = None,
    day: TheDay = "today",
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Draw a day: who ran when, for how long and how it went, and what is to come.

    A bar is as high as its part of the time is; a run that went wrong ends with its mark. What is to come is outlined,
    as long as the runs on record usually took. The last row says how many go on at once.

    \b
    runjobs timeline
    runjobs timeline --day yesterday backup report
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    now, zone = datetime.now(UTC), settings.local
    span = recorded.read_option("--day", day, lambda: _span(day, now, zone))
    with recorded.opened(settings) as record, advancing("working out the day") as tell:
        found = look(record, record.named(names) if names else list(record.jobs), span, now, zone, tell)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(found)))
    elif found.rows:
        print(text(found, zone, screen_of(sys.stdout)))
    else:
        complain(f"runjobs: no jobs in {', '.join(settings.jobs)} (chosen by {settings.jobs_why})")


def _span(day: str, now: datetime, zone: tzinfo | None) -> tuple[datetime, datetime]:
    return timeline.bounds(timeline.read_day(day, now.astimezone(zone).date()), zone)


def look(
    record: Recorded,
    names: Sequence[str],
    span: tuple[datetime, datetime],
    now: datetime,
    zone: tzinfo | None,
    tell: Callable[[float], object] = lambda _: None,
) -> Day:
    """Look up what these jobs did in a time, and work out what they will do."""
    start, end = span
    pasts = record.reader.pasts(names, LEARNED)
    expected = {name: usual(pasts.get(name, ())) for name in names}
    rows = {name: list(spans) for name, spans in record.reader.spans(names, start, end).items()}
    for name, going in _going(record, now):
        if name in expected and going.start < end and going.end >= start:
            rows.setdefault(name, []).append(going)
    after, pauses, marks = max(now, start - MILLISECOND), record.reader.pauses(), record.reader.marks()
    for number, name in enumerate(names):
        tell(number / len(names))
        job = record.jobs.get(name)
        mine = rows.setdefault(name, [])
        if job is None or not job.options.enabled:
            continue
        if (since := overdue_since(job, marks.get(name), now)) is not None and since < end:
            mine.append(Span(max(since, start), min(now, end), timeline.OVERDUE, 0, has_run=False))
        mine += timeline.coming(job, after, end, expected[name], pauses.get(name))
    return Day(
        name=start.astimezone(zone).date().isoformat(),
        start=start,
        end=end,
        now=now,
        rows={name: rows[name] for name in names},
        expected=expected,
    )


def _going(record: Recorded, now: datetime) -> Iterator[tuple[str, Span]]:
    """The runs that have not ended: those that go on do so until now at the least, of others nobody knows."""
    for entry in record.reader.open_fires():
        alive = recorded.alive(record, entry.runs)
        for run in entry.runs:
            if run.run_id in alive and run.started_at is not None:
                is_alive = alive[run.run_id]
                end = max(now, run.started_at) if is_alive else run.started_at
                yield entry.job, Span(run.started_at, end, timeline.RUNNING if is_alive else timeline.DEAD)


def text(found: Day, zone: tzinfo | None, screen: Screen) -> str:
    """Return the drawing, and the way on where something went wrong."""
    return "\n".join(filter(None, (draw_day(found, zone, screen), draw_way_on(found, screen))))
