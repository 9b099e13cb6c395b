"""`runjobs simulate`: a window of time played with the durations that runs on record had."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options, recorded
from runjobs.cli.next import read_when
from runjobs.core.duration import parse_duration
from runjobs.core.errors import UsageError
from runjobs.core.simulation import LEARNED, Tally, learn
from runjobs.render.progress import advancing
from runjobs.render.screen import screen_of
from runjobs.render.simulated import Simulated, as_json, tell
from runjobs.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from runjobs.adapters.ledger.reading import Reader
    from runjobs.core.job import Job
    from runjobs.core.pausing import Pause
    from runjobs.core.simulation import Habit
    from runjobs.settings import Settings

DAY = timedelta(days=1)
LEAST_LEAD = timedelta(hours=1)

From = Annotated[str | None, typer.Option("--from", metavar="WHEN", help="From when on.  [now]")]
To = Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Up to when.  [a day after --from]")]
Assume = Annotated[
    str, typer.Option("--assume", metavar="DURATION", help="How long a run takes of a job that has none on record.")
]
Slow = Annotated[bool, typer.Option("--slow", help="Have each run take as long as a slow one: the 95th percentile.")]
Cold = Annotated[
    bool, typer.Option("--cold", help="Begin as a runner that nobody was before: nothing goes on, nothing has ended.")
]
MaxParallel = Annotated[
    str | None,
    typer.Option(
        "--max-parallel",
        metavar="N|none",
        help="How many runs may go on at once.  [RUNJOBS_MAX_PARALLEL; else by memory]",
    ),
]


def simulate(
    start: From = None,
    to: To = None,
    assume: Assume = "1m",
    slow: Slow = False,
    cold: Cold = False,
    max_parallel: MaxParallel = None,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Play a window of time: what overlaps, is skipped or waits, how much runs at once, and which jobs never start.

    The rules are the runner's own, on a clock that is only thought. Each run takes the median of its job's newest 30
    runs on record. Nothing is run, and nothing is written.

    \b
    runjobs simulate
    runjobs simulate --from "friday 18:00" --to "monday 6:00" --slow
    runjobs simulate --jobs new/jobs.d --state /var/lib/runjobs
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = resolve(jobs or (), state, user_column=user_column, trust_jobs=trust_jobs, max_parallel=max_parallel)
    assumed = recorded.read_option("--assume", assume, lambda: parse_duration(assume))
    begin, end = span_of(start, to, datetime.now(UTC), settings.local)
    found = work_out(settings, (begin, end), assumed, slow=slow, cold=cold)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(found)))
    else:
        print(tell(found, settings.local, screen_of(sys.stdout)))


def work_out(
    settings: Settings, span: tuple[datetime, datetime], assumed: timedelta, *, slow: bool = False, cold: bool = False
) -> Simulated:
    """Read jobs and record, and play the window."""
    begin, end = span
    with recorded.opened(settings) as record:
        habits = learn_habits(record.jobs.values(), record.reader, assumed)
        pauses = [] if cold else [pause for pause in record.reader.pauses().values() if pause.holds(begin)]
        jobs = record.jobs
    tally, waiting = play(settings, jobs, habits, span, pauses, slow=slow, cold=cold)
    return Simulated(
        start=begin,
        end=end,
        jobs=jobs,
        habits=habits,
        tally=tally,
        most=settings.most,
        assumed=assumed,
        slow=slow,
        cold=cold,
        waiting=waiting,
        paused=[pause.job for pause in pauses if pause.job in jobs],
    )


def span_of(start: str | None, to: str | None, now: datetime, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """Return the window; without an end it is a day long."""
    begin = read_when("--from", start, now, zone) if start is not None else now
    end = read_when("--to", to, now, zone) if to is not None else begin + DAY
    if end <= begin:
        raise UsageError(f"--to {to} is not after the start", "a later time, or an earlier --from")
    return begin, end


def learn_habits(jobs: Iterable[Job], reader: Reader, assumed: timedelta) -> dict[str, Habit]:
    """Learn from the record how the runs of each job go."""
    return {
        job.name: learn([run for entry in reader.runs_of(job.name, 2 * LEARNED) for run in entry.runs], assumed)
        for job in jobs
    }


def play(
    settings: Settings,
    jobs: dict[str, Job],
    habits: dict[str, Habit],
    span: tuple[datetime, datetime],
    pauses: Sequence[Pause],
    *,
    slow: bool,
    cold: bool,
) -> tuple[Tally, int]:
    """Play the window, and before it as long as it takes that what goes on in it is there; how many wait at its end."""
    from runjobs.runner.rehearsal import Rehearsal

    begin, end = span
    tally = Tally(jobs, begin)
    rehearsal = Rehearsal(jobs, habits, tally, settings.most, slow=slow)
    lead = timedelta(0)
    if not cold:
        longest = max((habit.slow for habit in habits.values()), default=timedelta(0))
        lead = max(LEAST_LEAD, min(2 * longest, DAY))
        rehearsal.prepare(begin - lead, pauses)
    with advancing("simulating") as tell_progress:
        rehearsal.play(begin - lead, end, tell_progress)
    return tally, rehearsal.waiting
