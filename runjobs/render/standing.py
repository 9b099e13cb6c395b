"""How it stands with each job: a table for one glance, and below it a sentence for whatever is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.pausing import detail_of as detail_of_pause
from runjobs.render.entries import detail_of, run_time, state_of
from runjobs.render.glyphs import COLORS, told
from runjobs.render.prose import prose
from runjobs.render.spark import spark
from runjobs.render.table import GAP, Column, Table
from runjobs.render.text import counted
from runjobs.render.times import distance, near, without_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from runjobs.core.answers import Attempt, Entry, Past, Trouble
    from runjobs.core.job import Job
    from runjobs.core.pausing import Pause
    from runjobs.render.screen import Screen

COLUMNS: Final = (
    Column("JOB", color="bold"),
    Column("LAST", colors=COLORS),
    Column("WHEN"),
    Column("TOOK", right=True, optional=True),
    Column("NEXT"),
    Column("NOW", clipped=True),
)
RECENT: Final = Column("RECENT", right=True)  # the newest of all stand under each other
AGO: Final = Column("AGO", right=True, color="dim")
IN: Final = Column("IN", right=True, color="dim")
ROOMY: Final = 100  # cells: on so many, times are told both ways
MOST_BARS: Final = 24  # fires that are shown as bars: a day of hours
LEAST_BARS: Final = 6  # where there is no room for more, there are none
MOST: Final = 20  # jobs whose troubles are told one by one
SHORT: Final = {"retry": "waits: retry", "rerun": "waits: rerun"}


class Standing(NamedTuple):
    """How it stands with one job; `job` is None where only the record knows it.

    `alive` says of each run without an end whether it goes on. `overdue` is since when a fire waits to be looked at.
    """

    name: str
    job: Job | None
    last: Entry | None
    open: tuple[Entry, ...]
    alive: Mapping[str, bool]
    trouble: Trouble | None
    pause: Pause | None
    recent: Sequence[Past]
    next: datetime | None
    overdue: datetime | None

    @property
    def running(self) -> list[Attempt]:
        """The runs that go on."""
        return [run for entry in self.open for run in entry.runs if self.alive.get(run.run_id)]

    @property
    def dead(self) -> list[Attempt]:
        """The runs that have no end on record though nobody watches over them any more."""
        return [run for entry in self.open for run in entry.runs if self.alive.get(run.run_id) is False]

    @property
    def waiting(self) -> list[Entry]:
        """The fires that wait."""
        return [entry for entry in self.open if entry.state == "waiting"]


class Watch(NamedTuple):
    """Who runs the jobs: a sentence on each runner that is alive, and whether any runner ever looked."""

    runners: Sequence[str]
    has_looked: bool


def table(standings: Sequence[Standing], now: datetime, zone: tzinfo | None, screen: Screen) -> Table:
    """Return a row for each job; on a terminal with bars for its last fires, and distances, where there is room."""
    found = Table(COLUMNS, [_row(standing, now, zone, screen) for standing in standings])
    if screen.pretty and screen.width >= ROOMY:
        found = _with(found, COLUMNS[4], IN, [_away(standing.next, now) for standing in standings])
        found = _with(found, COLUMNS[2], AGO, [_since(standing, now) for standing in standings])
    room = screen.width - sum(found.widths()) - len(GAP) * len(found.columns)
    if not screen.pretty or room < LEAST_BARS or not any(standing.recent for standing in standings):
        return found
    bars = [spark(standing.recent[-min(room, MOST_BARS) :], screen) for standing in standings]
    return _with(found, COLUMNS[3], RECENT, bars)


def _with(table: Table, before: Column, column: Column, texts: Sequence[str]) -> Table:
    """The table with a column more, right of another."""
    place = list(table.columns).index(before) + 1
    rows = [[*row[:place], text, *row[place:]] for row, text in zip(table.rows, texts, strict=True)]
    return Table([*table.columns[:place], column, *table.columns[place:]], rows)


def _away(when: datetime | None, now: datetime) -> str:
    return distance(when - now) if when is not None else ""


def _since(standing: Standing, now: datetime) -> str:
    return distance(now - standing.last.last_at) if standing.last is not None else ""


def _row(standing: Standing, now: datetime, zone: tzinfo | None, screen: Screen) -> list[str]:
    last = standing.last
    return [
        standing.name,
        told(state_of(last) if last else "never ran", screen),
        near(last.last_at, now, zone) if last else "",
        run_time(last.runs[-1], now) if last and last.runs else "",
        _next_word(standing, now, zone),
        ", ".join(_present(standing, now, zone)),
    ]


def _next_word(standing: Standing, now: datetime, zone: tzinfo | None) -> str:
    job = standing.job
    if job is None:
        return "gone"
    if not job.options.enabled:
        return "disabled"
    if standing.next is not None:
        return near(standing.next, now, zone)
    return without_time(job)


def _present(standing: Standing, now: datetime, zone: tzinfo | None) -> list[str]:
    """What a job does just now."""
    running, said = standing.running, []
    if len(running) == 1:
        said.append(f"running {run_time(running[0], now)}".rstrip())
    elif running:
        said.append(f"{len(running)} running")
    for entry in standing.waiting:
        word = SHORT.get(entry.wait, f"waits: {entry.wait}")
        is_timed = entry.wait in SHORT and entry.not_before is not None and entry.not_before > now
        said.append(f"{word} {near(entry.not_before, now, zone)}" if is_timed and entry.not_before else word)
    if standing.pause is not None:
        said.append("paused")
    return said


def foremost(standings: Sequence[Standing], most: int) -> list[Standing]:
    """Choose the jobs that matter most, where not all have room: in trouble, then at work; in the order of all."""
    ranked = sorted(range(len(standings)), key=lambda number: (_rank(standings[number]), number))
    return [standings[number] for number in sorted(ranked[:most])]


def _rank(standing: Standing) -> int:
    if standing.dead or standing.trouble is not None:
        return 0
    if standing.open:
        return 1
    return 2 if standing.overdue is not None or standing.pause is not None else 3


def remarks(standings: Sequence[Standing], watch: Watch, now: datetime, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Return what is wrong, the worst last, where a reader's eyes are: sentences, each with the next command."""
    told = [remark for standing in standings for remark in _of_job(standing, now, zone)]
    if len(told) > MOST:
        more = f"and more: {counted(len(told) - MOST, 'sentence')} left out"
        told = [*told[:MOST], (more, "runjobs history --outcome trouble")]
    return told + _of_watch(standings, watch, now, zone)


def _of_job(standing: Standing, now: datetime, zone: tzinfo | None) -> list[tuple[str, str]]:
    name, last, told = standing.name, standing.last, []
    if standing.pause is not None:
        told.append((f"{name} is {detail_of_pause(standing.pause)}", f"runjobs resume {name}"))
    told += [
        (f"{name}: nobody watches over run {run.run_id} any more; the next pass settles it", "runjobs run")
        for run in standing.dead
    ]
    if standing.trouble is not None:
        told.append((_trouble(standing, standing.trouble, now, zone), f"runjobs why {name}"))
    elif last is not None and last.outcome == "skipped" and standing.pause is None:
        told.append(
            (f"{name} was skipped at {near(last.scheduled_at, now, zone)}: {last.detail}", f"runjobs why {name}")
        )
    return told


def _trouble(standing: Standing, trouble: Trouble, now: datetime, zone: tzinfo | None) -> str:
    since = f"since {near(trouble.since, now, zone)}" if trouble.ever_ok else "on record"
    many = f", {'more than ' if trouble.is_more else ''}{counted(trouble.number, 'fire')}" if trouble.number > 1 else ""
    ever = "not been ok" if trouble.ever_ok else "never been ok"
    last = standing.last
    said = f"; last: {_ending(last, zone)}" if last is not None and last.is_trouble else ""
    return f"{standing.name} has {ever} {since}{many}{said}"


def _ending(entry: Entry, zone: tzinfo | None) -> str:
    detail = detail_of(entry, zone)
    return f"{entry.outcome}, {detail}" if detail else entry.outcome


def _of_watch(standings: Sequence[Standing], watch: Watch, now: datetime, zone: tzinfo | None) -> list[tuple[str, str]]:
    overdue = [(standing.overdue, standing.name) for standing in standings if standing.overdue is not None]
    way_out = "runjobs run --foreground, or in a crontab: * * * * * runjobs run"
    if not watch.runners and not watch.has_looked:
        return [("nobody runs these jobs: no runner has looked at them yet", way_out)]
    if not overdue:
        return []
    since, name = min(overdue)
    late = f"{name} was due at {near(since, now, zone)}, {distance(now - since)} ago"
    more = f", and {counted(len(overdue) - 1, 'other')} after it" if len(overdue) > 1 else ""
    if watch.runners:
        return [(f"a runner is alive, but has not looked: {late}{more}", "runjobs locks runner")]
    return [(f"nobody runs these jobs: {late}{more}, and no runner is alive", way_out)]


def draw_remarks(told: Sequence[tuple[str, str]], screen: Screen) -> str:
    """Return the sentences as lines, each with the way on below it."""
    lines = []
    for sentence, command in told:
        lines += [prose(sentence, screen, color="red"), prose(f"try: {command}", screen, indent="  ")]
    return "\n".join(lines)
