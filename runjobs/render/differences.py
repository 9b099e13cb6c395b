"""Differences between two sets of jobs, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.comparing import Kind
from runjobs.render.prose import prose
from runjobs.render.text import clip, counted
from runjobs.render.times import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from runjobs.core.comparing import Change, Difference, Window
    from runjobs.core.job import Job
    from runjobs.render.screen import Screen

SIGNS: Final = {
    Kind.ADDED: ("+", "green"),
    Kind.REMOVED: ("-", "red"),
    Kind.RENAMED: (">", "yellow"),
    Kind.MOVED: ("~", "yellow"),
    Kind.CHANGED: ("~", "yellow"),
    Kind.REWRITTEN: ("=", "dim"),
}
INDENT: Final = "    "
LONGEST: Final = 200  # cells of a value that is shown: of a longer command the beginning tells which it is


class Side(NamedTuple):
    """One of the two sets: where it was read, and how many jobs it has."""

    path: str
    jobs: int


class Compared(NamedTuple):
    """Two sets of jobs, the window whose fires were compared, and what differs."""

    old: Side
    new: Side
    window: Window
    differences: Sequence[Difference]

    @property
    def number(self) -> int:
        """How many jobs differ."""
        return sum(each.counts for each in self.differences)


def tell(found: Compared, zone: tzinfo | None, screen: Screen) -> str:
    """Return the differences as lines of text, job by job, and the sum."""
    lines = [line for each in found.differences for line in _job(each, zone, screen)]
    same = sum(1 for each in found.differences if each.new is not None and each.counts)
    alike = counted(found.new.jobs - same, "job")
    span = f"{clock(found.window.start, zone)} to {clock(found.window.end, zone)}"
    differ = f"{counted(found.number, 'job')} {'differs' if found.number == 1 else 'differ'}"
    differ = differ if found.number else "no job differs"
    verdict = f"{differ}, {alike} {'does' if alike == '1 job' else 'do'} the same, {span}"
    return "\n".join([*lines, prose(verdict, screen, color="bold")])


def _job(each: Difference, zone: tzinfo | None, screen: Screen) -> Iterator[str]:
    job = each.new or each.old
    if job is None:
        return
    sign, color = SIGNS[each.kinds[0]]
    name = f"{each.old.name} -> {job.name}" if Kind.RENAMED in each.kinds and each.old is not None else job.name
    yield prose(f"{sign} {name}: {', '.join(kind.value for kind in each.kinds)}", screen, color=color)
    yield prose(_schedules(each), screen, indent=INDENT)
    if each.old is None or each.new is None:
        yield prose(_shortened(job.command), screen, indent=INDENT)
    for sentence in _fires(each, zone):
        yield prose(sentence, screen, indent=INDENT)
    for change in each.changes:
        yield prose(_change(change), screen, indent=INDENT)


def _schedules(each: Difference) -> str:
    texts = [_schedule(job) for job in (each.old, each.new) if job is not None]
    return " -> ".join(dict.fromkeys(texts))


def _schedule(job: Job) -> str:
    return job.schedule.expression + (f" ({job.schedule.tz})" if job.schedule.tz else "")


def _fires(each: Difference, zone: tzinfo | None) -> Iterator[str]:
    """Yield how the fires differ: numbers, and the first few of each side."""
    fires = each.fires
    if fires is None:
        return
    if each.kinds == (Kind.REWRITTEN,):
        yield f"the same {counted(fires.new, 'fire')}"
    elif not fires.differ:
        yield "no fire in this time"
    for words, number, some in (("gone", fires.only_old, fires.gone), ("new", fires.only_new, fires.come)):
        if number:
            examples = ", ".join(clock(when, zone) for when in some)
            yield f"{counted(number, 'fire')} {words}: {examples}{' ...' if number > len(some) else ''}"


def _change(change: Change) -> str:
    if not change.old or not change.new:
        return f"{change.what}: {_shortened(change.new) + ' is new' if change.new else 'is gone'}"
    return f"{change.what}: {_shortened(change.old)} -> {_shortened(change.new)}"


def _shortened(text: str) -> str:
    return clip(text, LONGEST)


def as_json(found: Compared) -> dict[str, object]:
    """Return the differences for machines."""
    return {
        "old": found.old._asdict(),
        "new": found.new._asdict(),
        "from": found.window.start,
        "to": found.window.end,
        "differ": found.number,
        "jobs": [_difference(each) for each in found.differences],
    }


def _difference(each: Difference) -> dict[str, object]:
    fires = each.fires
    return {
        "job": next(job.name for job in (each.new, each.old) if job is not None),
        "kinds": each.kinds,
        "old": _side(each.old),
        "new": _side(each.new),
        "fires": fires and fires._asdict(),
        "changes": [change._asdict() for change in each.changes],
    }


def _side(job: Job | None) -> dict[str, object] | None:
    if job is None:
        return None
    return {
        "job": job.name,
        "schedule": job.schedule.expression,
        "zone": job.schedule.tz,
        "command": job.command,
        "source": job.source,
        "line": job.line,
    }
