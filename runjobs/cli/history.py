"""`runjobs history`: what has become of each fire."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options, recorded
from runjobs.cli.streams import complain
from runjobs.core.answers import parse_outcomes
from runjobs.core.errors import UsageError
from runjobs.render.entries import entry_json, table
from runjobs.render.progress import waiting
from runjobs.render.prose import prose
from runjobs.render.screen import screen_of
from runjobs.render.table import draw
from runjobs.render.times import clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from runjobs.core.answers import Entry
    from runjobs.render.screen import Screen


COUNT = 20  # fires shown where no time is named
MOST = 10_000  # fires shown of a time: nobody reads more, and a program can ask for a --limit

Since = Annotated[str | None, typer.Option(metavar="WHEN", help='From when on: yesterday, "fri 18:00", 3d, ISO 8601.')]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Up to when.  [now]")]
Outcomes = Annotated[
    str | None,
    typer.Option("--outcome", metavar="WORDS", help="Only with these: failed,missed; trouble: all but ok and skipped."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, metavar="N", help=f"The newest N.  [{COUNT}; of a time: all]")
]


def show_history(
    names: recorded.Names = None,
    since: Since = None,
    until: Until = None,
    outcome: Outcomes = None,
    limit: Limit = None,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Show what became of each fire: outcome, duration, reason, and every run where there were several.

    The newest stand last. Fires that were missed one after the other for one reason are one row.

    \b
    runjobs history backup
    runjobs history --since yesterday --outcome trouble
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    now, zone = datetime.now(UTC), settings.local
    first, last = recorded.read_instant("--since", since, now, zone), recorded.read_instant("--until", until, now, zone)
    if first is not None and first > (last or now):
        raise UsageError(f"--since {since} is after the end", "an earlier time")
    wanted = () if outcome is None else recorded.read_option("--outcome", outcome, lambda: parse_outcomes(outcome))
    most = limit or (COUNT if first is None and last is None else MOST)
    with waiting("reading the record"), recorded.opened(settings) as record:
        found = record.reader.fires(record.named(names or ()), wanted, first, last, most)
        is_new = record.reader.is_empty
    if json:
        from runjobs.render.json import to_json

        print(to_json({"fires": [entry_json(entry) for entry in found]}))
    elif found:
        print(text(found, now, zone, screen_of(sys.stdout)))
    if not found:
        complain("runjobs: nothing is on record yet" if is_new else "runjobs: nothing of that is on record")
    elif limit is None and most == MOST == len(found):
        complain(f"runjobs: only the newest {MOST:,} are shown\n  try: --limit N for more")


def text(found: Sequence[Entry], now: datetime, zone: tzinfo | None, screen: Screen) -> str:
    """Return the fires as a table; on a terminal with the way on where something went wrong."""
    drawn = draw(table(found, now, zone, screen), screen)
    wrong = [entry for entry in found if entry.is_trouble]
    if not wrong or not screen.pretty:
        return drawn
    command = f'runjobs why {wrong[-1].job} --at "{clock(wrong[-1].scheduled_at, zone)}"'
    return "\n".join([drawn, "", prose(f"try: {command}", screen, indent="  ")])
