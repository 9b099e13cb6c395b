"""`runjobs status`: how it stands with each job, and what is wrong."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runjobs.adapters.ledger.tidings import Glance, glance
from runjobs.cli import options, recorded
from runjobs.cli.streams import complain
from runjobs.core.answers import overdue_since
from runjobs.core.errors import UsageError
from runjobs.core.plan import start_of
from runjobs.core.schedule import OnceSchedule
from runjobs.render import posted, standing
from runjobs.render.entries import entry_json, past_json
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of
from runjobs.render.standing import Standing, Watch
from runjobs.render.table import draw
from runjobs.render.times import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from runjobs.cli.recorded import Recorded, RunnerSeen
    from runjobs.core.answers import Entry
    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.render.screen import Screen


MOST_RECENT = 24_000  # fires that are looked up for it, of all jobs together: more, nobody can see

Watching = Annotated[bool, typer.Option("--watch", "-w", help="Stay, and draw it anew as it changes; q ends.")]


def show_status(
    names: recorded.Names = None,
    watch: Watching = False,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Show how it stands with each job: how it last ended, when it fires next, what it does now, what is wrong.

    \b
    runjobs status
    runjobs status backup --watch
    runjobs status --json | jq '.jobs[] | select(.failures > 0).name'

    Jobs stand in the order of their files. Those that are in no file any more are shown when they are named. On a
    terminal RECENT has a bar for each of the last fires: its colour is the outcome, its height how long it took, and
    half of it is the usual.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    if watch:
        from runjobs.cli import watching

        if json:
            raise UsageError("--watch is for people, --json for programs", "one of them")
        watching.watch(settings, names)
        return
    now = datetime.now(UTC)
    screen = screen_of(sys.stdout)
    with waiting("reading the record"), recorded.opened(settings) as record:
        known = record.named(names) if names else list(record.jobs)
        report = look(record, known, now, has_recent=json or screen.pretty)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(report)))
    elif report.standings:
        print(text(report, settings.local, screen))
    else:
        complain(f"runjobs: no jobs in {', '.join(settings.jobs)} (chosen by {settings.jobs_why})")


class Report(NamedTuple):
    """How it stands with the jobs at an instant, and which runners are alive."""

    now: datetime
    standings: list[Standing]
    runners: list[RunnerSeen]
    has_looked: bool  # whether any runner ever did
    news: Glance = Glance()


def look(record: Recorded, names: Sequence[str], now: datetime, *, has_recent: bool = True) -> Report:
    """Look up how it stands with these jobs; `has_recent`: and how their last fires went, for who shows them."""
    marks = record.reader.marks()
    most = max(min(standing.MOST_BARS, MOST_RECENT // max(len(names), 1)), 1)
    pasts = record.reader.pasts(names, most) if has_recent else {}
    standings = [each._replace(recent=pasts.get(each.name, ())) for each in survey(record, names, marks, now)]
    has_looked = any(each.name in marks or each.last or each.open for each in standings)
    return Report(now, standings, record.runners(), has_looked, glance(record.state.ledger, now))


def text(report: Report, zone: tzinfo | None, screen: Screen) -> str:
    """Return the table, what is wrong, and who follows the jobs."""
    parts = [draw(standing.table(report.standings, report.now, zone, screen), screen)]
    if told := remarks(report, zone):
        parts.append(standing.draw_remarks(told, screen))
    if followed := [_introduce(each, zone) for each in report.runners if each.kind == "foreground"]:
        parts.append("\n".join(screen.paint(line, "dim") for line in followed))
    return "\n\n".join(parts)


def remarks(report: Report, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Return what is wrong: sentences, each with the next command."""
    watch = Watch([f"{each.kind} {each.pid}" for each in report.runners], report.has_looked)
    of_news = posted.remarks(report.news, {each.name for each in report.standings}, report.now, zone)
    return of_news + standing.remarks(report.standings, watch, report.now, zone)


def survey(record: Recorded, names: Sequence[str], marks: Mapping[str, Mark], now: datetime) -> list[Standing]:
    """Look up each of these jobs; `marks` say how far they are accounted for."""
    pauses = record.reader.pauses()
    open_fires: dict[str, list[Entry]] = {}
    for entry in record.reader.open_fires():
        open_fires.setdefault(entry.job, []).append(entry)
    found = []
    for name in names:
        job, mark, pause = record.jobs.get(name), marks.get(name), pauses.get(name)
        mine, last = tuple(open_fires.get(name, ())), record.reader.last_ended(name)
        found.append(
            Standing(
                name=name,
                job=job,
                last=last,
                open=mine,
                alive=recorded.alive(record, (run for entry in mine for run in entry.runs)),
                trouble=record.reader.trouble(name) if last is not None and last.outcome != "ok" else None,
                pause=pause if pause is not None and pause.holds(now) else None,
                recent=(),
                next=_next(job, mark, now) if job is not None else None,
                overdue=overdue_since(job, mark, now) if job is not None else None,
            )
        )
    return found


def _next(job: Job, mark: Mark | None, now: datetime) -> datetime | None:
    """When a job fires next; what is to run once does so until somebody has claimed it, however late."""
    if isinstance(job.schedule, OnceSchedule) and (mark is None or mark.next_fire is not None):
        return job.schedule.instant
    return job.schedule.next(now)


def _introduce(runner: RunnerSeen, zone: tzinfo | None) -> str:
    since = f" since {clock(runner.since.replace(microsecond=0), zone)}" if runner.since else ""
    return f"a foreground runner follows them: pid {runner.pid}{since}"


def as_json(report: Report) -> dict[str, object]:
    """Return all of it for machines."""
    overdue = any(each.overdue for each in report.standings)
    return {
        "now": report.now,
        "watched": bool(report.runners) or (report.has_looked and not overdue),
        "runners": [
            {"kind": each.kind, "pid": each.pid, "since": each.since, "id": each.id} for each in report.runners
        ],
        "news": {"waiting": report.news.waiting, "failed": report.news.failed},
        "jobs": [_job_json(each) | {"lapsed_since": report.news.lapsed.get(each.name)} for each in report.standings],
    }


def _job_json(each: Standing) -> dict[str, object]:
    job, trouble, pause = each.job, each.trouble, each.pause
    when = each.next if job is not None and job.options.enabled else None
    running = [run.run_id for run in each.running]
    return {
        "name": each.name,
        "source": job.source if job else None,
        "line": job.line if job else None,
        "enabled": job.options.enabled if job else None,
        "last": entry_json(each.last) if each.last else None,
        "next": when,
        "starts": start_of(job, when) if job is not None and when is not None else None,
        "running": running,
        "dead": [run.run_id for run in each.dead],
        "open": [entry_json(entry) for entry in each.open],
        "paused": pause._asdict() if pause else None,
        "failing_since": trouble.since if trouble else None,
        "failures": trouble.number if trouble else 0,
        "overdue_since": each.overdue,
        "recent": [past_json(past) for past in each.recent],
    }
