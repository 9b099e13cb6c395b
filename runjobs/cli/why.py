"""`runjobs why`: what became of one fire, or why there was none."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.adapters.ledger.tidings import glance
from runjobs.cli import options, recorded
from runjobs.core.answers import overdue_since
from runjobs.core.why import Case, Known, judge, rule, window
from runjobs.render.posted import remarks
from runjobs.render.progress import waiting
from runjobs.render.reasons import Findings, as_json, tell
from runjobs.render.screen import screen_of

if TYPE_CHECKING:
    from runjobs.cli.recorded import Recorded
    from runjobs.core.answers import Entry

TAIL = 10  # lines of output shown

Name = Annotated[str, typer.Argument(metavar="JOB", help="The job.", show_default=False)]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="WHEN", help='The time: 3:15, "yesterday 3:15", ISO 8601.  [its newest fire]'),
]


def show_why(
    name: Name,
    at: At = None,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Say what became of a job at a time: was it due, who claimed it, how it ended; or why there was nothing.

    Without --at it is the fire that goes on, or the newest. Where the job was not due, it names the field of the
    schedule that ruled the time out, and the nearest fires. A time without a date is the last one that has come.

    \b
    runjobs why backup
    runjobs why backup --at 3:15
    runjobs why backup --at "last fri 3:15"
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    now, zone = datetime.now(UTC), settings.local
    when = recorded.read_instant("--at", at, now, zone)
    with waiting("reading the record"), recorded.opened(settings) as record:
        found = find(record, record.named([name])[0], when, now)
        news = glance(record.state.ledger, now)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(found) | {"lapsed_since": news.lapsed.get(found.name)}))
    else:
        print(tell(found, zone, screen_of(sys.stdout)))
        for sentence, _ in remarks(news._replace(failed=0), {found.name}, now, zone):
            print(sentence)


def find(record: Recorded, name: str, at: datetime | None, now: datetime) -> Findings:
    """Look up all that is known of a job at a time, or of its newest fire."""
    job, reader = record.jobs.get(name), record.reader
    asked = window(at) if at is not None else None
    entries = reader.at(name, asked.start, asked.end) if asked else _newest(record, name)
    mark, oldest = reader.marks().get(name), reader.oldest(name)
    ruling = rule(job.schedule, asked) if job is not None and asked is not None else None
    if asked and ruling and not ruling.due:  # a stretch around the time says nothing of it
        entries = [entry for entry in entries if entry.scheduled_at >= asked.start]
    case = Case.RECORDED if entries else Case.UNKNOWN
    if job is not None and ruling is not None:
        is_full = reader.has_at_least(name, job.options.history)
        case = judge(job, ruling, Known(entries, mark, oldest, is_full), now)
    pause = reader.pauses().get(name)
    runners = {runner.id for runner in record.runners()}
    return Findings(
        now=now,
        name=name,
        job=job,
        asked=asked,
        ruling=ruling,
        case=case,
        entries=entries,
        around=reader.around(name, asked.start) if asked else (None, None),
        mark=mark,
        oldest=oldest,
        pause=pause if pause is not None and pause.holds(now) else None,
        alive=_alive(record, entries, runners),
        is_watched=bool(runners) or (job is not None and overdue_since(job, mark, now) is None),
        tail=_tail(record, entries),
    )


def _newest(record: Recorded, name: str) -> list[Entry]:
    """The fires of a job that go on, else the newest."""
    going = [entry for entry in record.reader.open_fires() if entry.job == name]
    newest = record.reader.newest(name)
    return going or ([newest] if newest is not None else [])


def _alive(record: Recorded, entries: list[Entry], living: set[str]) -> dict[str, bool]:
    runs = recorded.alive(record, (run for entry in entries for run in entry.runs))
    return runs | {entry.runner: entry.runner in living for entry in entries if entry.runner}


def _tail(record: Recorded, entries: list[Entry]) -> bytes:
    """The end of the output of the last run."""
    from runjobs.adapters import joblog

    runs = [run for entry in entries for run in entry.runs]
    return joblog.tail(record.log_of(runs[-1]), TAIL) if runs else b""
