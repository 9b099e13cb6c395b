"""`runjobs diff`: two sets of jobs, compared by what they do."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import asking, options
from runjobs.cli.next import read_when
from runjobs.core.comparing import Window, compare
from runjobs.core.errors import RunjobsError, UsageError
from runjobs.render.differences import Compared, Side, as_json, tell
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.core.job import Job
    from runjobs.settings import Settings

DAYS = 31  # so that each day of a month and each weekday is in it
DIFFERENT = 1

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="[OLD] NEW", help="Jobs files or folders of them; OLD: those of --jobs.", show_default=False
    ),
]
From = Annotated[str | None, typer.Option("--from", metavar="WHEN", help="Compare the fires from when on.  [now]")]
To = Annotated[str | None, typer.Option("--to", metavar="WHEN", help=f"Up to when.  [{DAYS} days after --from]")]
Days = Annotated[int | None, typer.Option(min=1, max=3660, metavar="N", help="For so many days, instead of --to.")]


def diff(
    paths: Paths,
    start: From = None,
    to: To = None,
    days: Days = None,
    jobs: options.Jobs = None,
    user_column: options.UserColumn = False,
    json: options.Json = False,
) -> int:
    """Compare two sets of jobs by what they do: fires within a time, commands, options.

    Exits 0 if they do the same, 1 if any job differs, and 78 if a side has mistakes, whatever else is found. Files are
    read whoever owns them, and the record is not looked at, so that a checkout can be compared anywhere.

    \b
    runjobs diff new/jobs.d
    runjobs diff old/jobs.d new/jobs.d --days 366
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=True)
    before, after = sides(settings, paths, asked=jobs)
    window = window_of(start, to, days, datetime.now(UTC), settings.local)
    with waiting("comparing"):
        found, is_bad = work_out(before, after, window)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(found)))
    else:
        print(tell(found, settings.local, screen_of(sys.stdout)))
    if is_bad:
        return RunjobsError.exit_code
    return DIFFERENT if found.number else 0


def work_out(before: Settings, after: Settings, window: Window) -> tuple[Compared, bool]:
    """Load both sides and compare them; the second value says whether either has mistakes."""
    (old, is_old_bad), (new, is_new_bad) = read(before), read(after)
    found = compare(old, new, window)
    sides = Side(", ".join(before.jobs), len(old)), Side(", ".join(after.jobs), len(new))
    return Compared(*sides, window, found), is_old_bad or is_new_bad


def sides(settings: Settings, paths: list[str], asked: list[str] | None) -> tuple[Settings, Settings]:
    """Return the settings that lead to the old jobs and to the new ones."""
    match paths:
        case [new]:
            return settings, settings._replace(jobs=(new,))
        case [old, new] if not asked:
            return settings._replace(jobs=(old,)), settings._replace(jobs=(new,))
        case [_, new]:
            raise UsageError("--jobs says which jobs are the old ones, and so does the first path",
                             f"runjobs diff {new} --jobs PATH")  # fmt: skip
    raise UsageError(f"diff compares two, not {len(paths)}", "runjobs diff OLD NEW")


def window_of(start: str | None, to: str | None, days: int | None, now: datetime, zone: tzinfo | None) -> Window:
    """Return the time whose fires are compared."""
    if to is not None and days is not None:
        raise UsageError("--to and --days both say how long", "leave out one of them")
    begin = read_when("--from", start, now, zone) if start is not None else now
    end = read_when("--to", to, now, zone) if to is not None else begin + timedelta(days=days or DAYS)
    if end <= begin:
        raise UsageError(f"--to {to} is not after the start", "a later time, or an earlier --from")
    return Window(begin, end)


def read(settings: Settings) -> tuple[dict[str, Job], bool]:
    """Load one side, and say aside what is wrong with it; the jobs that can be read, and whether any could not."""
    from runjobs.wiring import load_jobs

    loaded = load_jobs(settings)
    asking.mention(loaded.errors)
    return {job.name: job for job in loaded.jobs}, bool(loaded.errors)
