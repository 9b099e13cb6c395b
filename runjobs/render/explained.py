"""A schedule explained, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.explaining import tell_change
from runjobs.core.schedule import CronSchedule
from runjobs.render.prose import prose
from runjobs.render.table import Column, Table, draw
from runjobs.render.times import distance, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, tzinfo

    from runjobs.core.explaining import ClockChange, Explanation, Remark
    from runjobs.core.job import Job
    from runjobs.core.schedule import Schedule
    from runjobs.render.screen import Screen

INDENT: Final = "  "


class Explained(NamedTuple):
    """A schedule with all that is said of it.

    `job` has it, None for one that is only asked about. `zone` is where it is kept, `here` the caller's; `fires` are
    the next ones, and `year` the one that changes of the clock were looked up in.
    """

    schedule: Schedule
    job: Job | None
    explanation: Explanation
    more: Sequence[Remark]
    fires: Sequence[datetime]
    zone: tzinfo
    here: tzinfo | None
    year: int
    now: datetime

    @property
    def remarks(self) -> list[Remark]:
        """What may surprise in the schedule, and what the job's options do to it."""
        return [*self.explanation.remarks, *self.more]


def tell(found: Explained, screen: Screen) -> str:
    """Return the explanation as lines of text: the sentence, the next fires, the clock, and what may surprise."""
    lines = [prose(_title(found), screen, color="bold"), prose(found.explanation.words, screen, indent=INDENT), ""]
    lines += [draw(_table(found), screen)] if found.fires else [prose(_nothing(found), screen, indent=INDENT)]
    if isinstance(found.schedule, CronSchedule):
        lines += ["", *(prose(line, screen, indent=INDENT) for line in _clock(found))]
    if found.remarks:
        lines += ["", prose("What people may expect otherwise:", screen, color="bold")]
        lines += [line for remark in found.remarks for line in _remark(remark, screen)]
    return "\n".join(lines)


def _title(found: Explained) -> str:
    where = f" ({found.job.name}, {found.job.source}:{found.job.line})" if found.job is not None else ""
    return found.schedule.expression + where


def _nothing(found: Explained) -> str:
    is_timed = found.schedule.next(found.now) is not None or found.schedule.kind.value in {"cron", "at"}
    return "it does not fire any more" if is_timed else "no time says when it fires next"


def _table(found: Explained) -> Table:
    """The next fires in the zone of the schedule, and in the caller's where that shows other times."""
    is_elsewhere = any(each.astimezone(found.zone).utcoffset() != each.astimezone(found.here).utcoffset()
                       for each in found.fires)  # fmt: skip
    title = f"NEXT IN {_zone_name(found)}" if is_elsewhere else "NEXT"
    columns = [Column(title), *([Column("HERE")] if is_elsewhere else ()), Column("IN", right=True)]
    rows = [
        [
            instant(each, found.zone),
            *([instant(each, found.here)] if is_elsewhere else ()),
            distance(each - found.now),
        ]
        for each in found.fires
    ]
    return Table(columns, rows)


def _zone_name(found: Explained) -> str:
    return found.schedule.zone.key if isinstance(found.schedule, CronSchedule) else (found.schedule.tz or "UTC")


def _clock(found: Explained) -> Iterator[str]:
    """What the changes of the clock do this year: those that touch no fire in one line."""
    changes, name = found.explanation.changes, _zone_name(found)
    if not changes:
        yield f"The clock of {name} is not changed in {found.year}."
        return
    if not any(change.is_felt for change in changes):
        days = " and ".join(f"{change.before:%Y-%m-%d}" for change in changes)
        yield f"The clock of {name} is changed on {days}: no fire is touched."
        return
    yield f"The clock of {name} in {found.year}:"
    yield from (tell_change(change) for change in changes)


def _remark(remark: Remark, screen: Screen) -> Iterator[str]:
    yield prose(f"- {remark.message}", screen, indent=INDENT)
    if remark.hint:
        yield prose(f"try: {remark.hint}", screen, indent=INDENT * 2)


def as_json(found: Explained) -> dict[str, object]:
    """Return the explanation for machines."""
    return {
        "expression": found.schedule.expression,
        "job": found.job.name if found.job is not None else None,
        "kind": found.schedule.kind,
        "zone": _zone_name(found),
        "words": found.explanation.words,
        "next": [
            {"scheduled": each, "there": each.astimezone(found.zone), "local": each.astimezone(found.here)}
            for each in found.fires
        ],
        "year": found.year,
        "clock": [_change(change) for change in found.explanation.changes],
        "remarks": [remark._asdict() for remark in found.remarks],
    }


def _change(change: ClockChange) -> dict[str, object]:
    return {
        "at": change.instant,
        "before": change.before,
        "after": change.after,
        "skipped": [each.wall for each in change.effects if each.effect.value == "skipped"],
        "moved": [each.wall for each in change.effects if each.effect.value == "moved"],
        "repeated": [each.wall for each in change.effects if each.effect.value == "repeated"],
        "once": change.once,
        "words": tell_change(change),
    }
