"""A simulation's result, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.duration import format_duration
from runjobs.core.schedule import ScheduleKind
from runjobs.core.simulation import LEARNED, total
from runjobs.render.prose import prose
from runjobs.render.table import Column, Table, draw
from runjobs.render.text import clip, counted
from runjobs.render.times import clock, instant, took

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta, tzinfo

    from runjobs.core.job import Job
    from runjobs.core.simulation import Habit, JobTally, Tally
    from runjobs.render.screen import Screen

NAMED: Final = 8  # jobs that are named in a sentence: of more the number says more
COLUMNS: Final = (
    Column("JOB", color="bold", clipped=True),
    Column("FIRES", right=True),
    Column("RUNS", right=True),
    Column("TAKES", right=True),
    Column("SKIPPED", right=True, color="yellow"),
    Column("MISSED", right=True, color="yellow"),
    Column("WAITED", right=True),
    Column("AT MOST", right=True),
    Column("LEARNED FROM", color="dim", optional=True),
)


class Simulated(NamedTuple):
    """A window that was played, what was assumed for it, and what it came to."""

    start: datetime
    end: datetime
    jobs: Mapping[str, Job]
    habits: Mapping[str, Habit]
    tally: Tally
    most: int | None
    assumed: timedelta
    slow: bool
    cold: bool
    waiting: int
    paused: Sequence[str]


def tell(found: Simulated, zone: tzinfo | None, screen: Screen) -> str:
    """Return the result as lines of text: the sum, a row for each job that had fires, and what is to be seen to."""
    active = {name: tally for name, tally in found.tally.jobs.items() if tally.fires}
    until = f"{instant(found.start, zone)} to {instant(found.end, zone)}"
    lines = [prose(until, screen, color="bold"), prose(_sum(total(active.values())), screen)]
    if active:
        lines += ["", draw(_table(found, active), screen)]
    lines += ["", *(prose(sentence, screen) for sentence in _findings(found, zone))]
    return "\n".join(lines)


def _sum(whole: JobTally) -> str:
    parts = [f"{whole.starts:,} started"]
    parts += [f"{number:,} skipped ({reason})" for reason, number in sorted(whole.skipped.items())]
    parts += [f"{number:,} missed ({reason})" for reason, number in sorted(whole.missed.items())]
    again = f"; {counted(whole.tries, 'retry').replace('retrys', 'retries')}" if whole.tries else ""
    return f"{counted(whole.fires, 'fire')}: {', '.join(parts)}{again}"


def _table(found: Simulated, active: Mapping[str, JobTally]) -> Table:
    rows = []
    for name, tally in active.items():
        habit = found.habits[name]
        rows.append(
            [
                name,
                f"{tally.fires:,}",
                f"{tally.starts + tally.tries:,}",
                took(habit.slow if found.slow else habit.took),
                _number(tally.skipped),
                _number(tally.missed),
                _number(tally.waits),
                took(tally.longest_wait) if tally.longest_wait else "",
                counted(habit.runs, "run") if habit.runs else "assumed",
            ]
        )
    used = [index for index in range(len(COLUMNS)) if any(row[index] for row in rows)]
    return Table([COLUMNS[index] for index in used], [[row[index] for index in used] for row in rows])


def _number(counter: Counter[str]) -> str:
    return f"{counter.total():,}" if counter.total() else ""


def _findings(found: Simulated, zone: tzinfo | None) -> Iterator[str]:
    """Yield what the window comes to, a sentence each: the peak, the busiest minute, who never starts, assumptions."""
    tally = found.tally
    if (peak := tally.peak) is not None:
        spell = f" for {took(peak.end - peak.start)}" if peak.end is not None else ", and still so at the end"
        who = _names(f"{number} x {name}" if number > 1 else name for name, number in Counter(peak.jobs).items())
        yield f"At most {counted(peak.runs, 'run')} at once, first at {clock(peak.start, zone)}{spell}: {who}."
    if (busiest := tally.busiest) is not None:
        yield f"The busiest minute is {clock(busiest.at, zone)}, with {counted(busiest.starts, 'start')}."
    overlapping = [f"{name} ({each.overlaps:,})" for name, each in tally.jobs.items() if each.overlaps]
    if overlapping:
        yield f"Due while an earlier run of it went on: {_names(overlapping)}."
    never = tally.never()
    for name in never[:NAMED]:
        yield f"{name} never starts: {_why_never(tally.jobs[name])}."
    if len(never) > NAMED:
        yield f"{counted(len(never) - NAMED, 'more job')} never {'start' if len(never) > NAMED + 1 else 'starts'}."
    if idle := [_idle(found.jobs[name], found.end, zone) for name in tally.idle()]:
        yield f"Without a fire in this time: {_names(idle)}."
    if tally.going or found.waiting:
        waits = f", and {counted(found.waiting, 'fire')} {'waits' if found.waiting == 1 else 'wait'}"
        yield f"At the end {_going(tally.going)}{waits if found.waiting else ''}."
    yield from _assumptions(found)


def _names(words: Iterable[str]) -> str:
    listed = list(words)
    rest = f" and {len(listed) - NAMED:,} more" if len(listed) > NAMED else ""
    return ", ".join(clip(word, 60) for word in listed[:NAMED]) + rest


def _why_never(tally: JobTally) -> str:
    reasons = [*tally.skipped, *tally.missed]
    what = " and ".join(reasons) or "it waits until the end"
    return f"{what}; {tally.said}" if tally.said else what


def _idle(job: Job, end: datetime, zone: tzinfo | None) -> str:
    if not job.options.enabled:
        return f"{job.name} (switched off)"
    if job.schedule.kind not in {ScheduleKind.CRON, ScheduleKind.EVERY, ScheduleKind.AT}:
        return f"{job.name} ({job.schedule.expression.partition(' ')[0]})"
    following = job.schedule.next(end)
    return f"{job.name} ({'never again' if following is None else f'next {clock(following, zone)}'})"


def _going(jobs: Sequence[str]) -> str:
    if not jobs:
        return "nothing goes on"
    return f"{counted(len(jobs), 'run')} {'goes' if len(jobs) == 1 else 'go'} on: {_names(Counter(jobs))}"


def _assumptions(found: Simulated) -> Iterator[str]:
    """Yield what the result rests on."""
    known = [habit for habit in found.habits.values() if habit.runs]
    which = "95th percentile (--slow)" if found.slow else "median"
    if known:
        yield f"Each run takes the {which} of the newest {LEARNED} on record of its job, and ends as most of them did."
    if len(known) < len(found.habits):
        unknown = counted(len(found.habits) - len(known), "job")
        yield f"Of {unknown} no run is on record: {format_duration(found.assumed)} each and a good end is assumed."
    if found.paused:
        yield f"Paused: {_names(found.paused)}."


def as_json(found: Simulated) -> dict[str, object]:
    """Return the result for machines."""
    peak, busiest = found.tally.peak, found.tally.busiest
    return {
        "from": found.start,
        "to": found.end,
        "max_parallel": found.most,
        "assumed": found.assumed,
        "slow": found.slow,
        "cold": found.cold,
        "jobs": [_job(name, tally, found) for name, tally in found.tally.jobs.items()],
        "peak": peak and {"runs": peak.runs, "from": peak.start, "to": peak.end, "jobs": peak.jobs},
        "busiest_minute": busiest and {"at": busiest.at, "starts": busiest.starts},
        "never": found.tally.never(),
        "idle": found.tally.idle(),
        "going": found.tally.going,
        "waiting": found.waiting,
        "paused": found.paused,
    }


def _job(name: str, tally: JobTally, found: Simulated) -> dict[str, object]:
    habit = found.habits[name]
    return {
        "job": name,
        "fires": tally.fires,
        "starts": tally.starts,
        "retries": tally.tries,
        "ends": tally.ends,
        "skipped": tally.skipped,
        "missed": tally.missed,
        "waits": tally.waits,
        "longest_wait": tally.longest_wait,
        "overlaps": tally.overlaps,
        "detail": tally.said,
        "takes": habit.slow if found.slow else habit.took,
        "outcome": habit.outcome,
        "learned_from": habit.runs,
    }
