"""Why a job was due at a time or was not: the rule that ruled the time out, and what the record can say of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.days import days_of_month
from runjobs.core.dst import Effect
from runjobs.core.duration import format_duration
from runjobs.core.expression import words
from runjobs.core.fieldkinds import DAY, SECOND, WEEKDAY, YEAR
from runjobs.core.fields import parse_field
from runjobs.core.fire import Trigger
from runjobs.core.schedule import AtSchedule, CronSchedule, EverySchedule, WatchSchedule, dst_effects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.core.answers import Entry
    from runjobs.core.fields import Field
    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.core.schedule import Schedule

SECONDS: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
INSTANT: Final = timedelta(microseconds=1)
NEAR: Final = timedelta(hours=3)  # a change of the clock so near may be what somebody wonders about
MOST: Final = 60  # fires in the time asked about: @every 1s has as many in a minute
# how far back the fire before a time is looked for; no schedule waits for longer than 40 years
BACK: Final = tuple(timedelta(days=days) for days in (1, 8, 40, 400, 4 * 366, 12 * 366, 41 * 366))
_EVERY_DAY, _ = parse_field(DAY, "*")
_EVERY_WEEKDAY, _ = parse_field(WEEKDAY, "*")


class Window(NamedTuple):
    """The time asked about: a minute where no second was named, else that second; the end is not part of it."""

    start: datetime
    end: datetime

    @property
    def is_minute(self) -> bool:
        """Whether any second of it will do."""
        return self.end - self.start > SECONDS


class Ruling(NamedTuple):
    """What a schedule says of a time.

    `due` are its fires in that time. Where there is none, `reasons` are what ruled it out, as sentences. `before` and
    `after` are the nearest fires on both sides. `clock` says what changes of the clock did around that time.
    """

    due: tuple[datetime, ...]
    reasons: tuple[str, ...]
    before: datetime | None
    after: datetime | None
    clock: tuple[str, ...]


class Case(Enum):
    """How it stands with a due time."""

    RECORDED = "recorded"  # its fire is on record
    NOT_DUE = "not-due"
    DISABLED = "disabled"
    FUTURE = "future"
    UNSEEN = "unseen"  # no runner has ever looked at the job
    CHANGED = "changed"  # no runner has looked at it since its schedule was edited
    UNWATCHED = "unwatched"  # no runner has looked since
    UNKNOWN = "unknown"  # the record of the job begins later, and nothing was deleted
    DELETED = "deleted"  # the record reached there once, and was cut
    UNRECORDED = "unrecorded"  # the record reaches there, and has nothing


class Known(NamedTuple):
    """What the record has to say: entries of the time asked about, the job's mark, and its oldest entry.

    `is_full` is whether as many fires are on record as are kept.
    """

    entries: Sequence[Entry]
    mark: Mark | None
    oldest: Entry | None
    is_full: bool


def window(at: datetime) -> Window:
    """The time that is meant by an instant."""
    is_whole = not (at.second or at.microsecond)
    start = at.replace(microsecond=0)
    return Window(start, start + (MINUTE if is_whole else SECONDS))


def rule(schedule: Schedule, asked: Window) -> Ruling:
    """Say whether a schedule is due in a time, or what ruled it out."""
    due = tuple(_fires(schedule, asked))
    return Ruling(
        due,
        () if due else tuple(_reasons(schedule, asked)),
        last_before(schedule, asked.start),
        schedule.next(asked.end - INSTANT),
        tuple(_changes(schedule, asked)),
    )


def judge(job: Job, ruling: Ruling, known: Known, now: datetime) -> Case:
    """Say how it stands with the first fire of a time."""
    if any(entry.trigger != Trigger.MANUAL.value for entry in known.entries):
        return Case.RECORDED
    if not ruling.due:
        return Case.NOT_DUE
    if not job.options.enabled:
        return Case.DISABLED
    if ruling.due[0] > now:
        return Case.FUTURE
    if known.mark is None:
        return Case.UNSEEN
    if known.mark.schedule_key != job.schedule.key:
        return Case.CHANGED
    if ruling.due[0] > known.mark.watermark:
        return Case.UNWATCHED
    return _missing(job, ruling.due[0], known, now)


def _missing(job: Job, due: datetime, known: Known, now: datetime) -> Case:
    if known.oldest is not None and known.oldest.scheduled_at < due:
        return Case.UNRECORDED
    kept_for = job.options.history_for
    is_old = kept_for is not None and now - due > kept_for
    return Case.DELETED if is_old or known.is_full else Case.UNKNOWN


def last_before(schedule: Schedule, at: datetime) -> datetime | None:
    """The last fire strictly before an instant; None: there is none."""
    found = next((fire for back in BACK if (fire := _first_from(schedule, at - back, at)) is not None), None)
    if found is None:
        return None
    empty = at  # nothing fires from here on until `at`
    while empty - found > SECONDS:
        middle = found + (empty - found) / 2
        later = _first_from(schedule, middle, at)
        if later is None:
            empty = middle
        else:
            found = later
    return found


def _first_from(schedule: Schedule, start: datetime, end: datetime) -> datetime | None:
    """The first fire at or after `start`, if it is before `end`."""
    fire = schedule.next(start - INSTANT)
    return fire if fire is not None and fire < end else None


def _fires(schedule: Schedule, asked: Window) -> Iterator[datetime]:
    fire = _first_from(schedule, asked.start, asked.end)
    for _ in range(MOST):
        if fire is None:
            return
        yield fire
        fire = _first_from(schedule, fire + SECONDS, asked.end)


def _reasons(schedule: Schedule, asked: Window) -> list[str]:
    match schedule:
        case CronSchedule():
            return [*_fields(schedule, asked)] or [_by_the_clock(schedule, asked)]
        case EverySchedule():
            period = format_duration(timedelta(seconds=schedule.period))
            return [f"it is due at multiples of {period} since 1970-01-01 00:00 UTC, and this is none"]
        case AtSchedule():
            return ["it is due once, and not then"]
        case WatchSchedule():
            return ["it is due when something changes at its paths, at no time of the clock"]
    return ["it is due when the machine starts, at no time of the clock"]


def _fields(schedule: CronSchedule, asked: Window) -> Iterator[str]:
    """The fields that do not have the wall time."""
    wall = asked.start.astimezone(schedule.zone.tz)
    values = {"second": wall.second, "minute": wall.minute, "hour": wall.hour, "month": wall.month, "year": wall.year}
    for field in schedule.fields:
        value = values.get(field.kind.name)
        if value is None or value in field.values or (field.kind is SECOND and asked.is_minute):
            continue
        yield f"the {field.kind.name} field {_written(schedule, field)} does not have {value}"
    yield from _days(schedule, wall)


def _days(schedule: CronSchedule, wall: datetime) -> Iterator[str]:
    rule, name = schedule.rule, f"{wall:%a} {wall:%Y-%m-%d}"
    if days_of_month(rule.day, rule.weekday, wall.year, wall.month) >> wall.day & 1:
        return
    day, weekday = _written(schedule, rule.day), _written(schedule, rule.weekday)
    if rule.either_day_will_do:
        yield f"{name} is neither in the day of the month field {day} nor in the weekday field {weekday}"
        return
    if not days_of_month(rule.day, _EVERY_WEEKDAY, wall.year, wall.month) >> wall.day & 1:
        yield f"the day of the month field {day} does not have {wall.day}"
    if not days_of_month(_EVERY_DAY, rule.weekday, wall.year, wall.month) >> wall.day & 1:
        yield f"{name} is not in the weekday field {weekday}"


def _written(schedule: CronSchedule, field: Field) -> str:
    """A field as it was written, and what it comes to where that is something else."""
    texts = words(schedule.expression)
    if len(texts) == 1:
        return f"{field.text} of {texts[0]}"
    if field.kind is SECOND and len(texts) < YEAR.index:
        return field.text
    written = texts[field.kind.index - (len(texts) < YEAR.index)]
    return written if written == field.text else f"{written} (for this job {field.text})"


def _by_the_clock(schedule: CronSchedule, asked: Window) -> str:
    """The fields have the wall time, and still it is not due: it had come before, since the clock was set back."""
    wall = asked.start.astimezone(schedule.zone.tz)
    return f"the clock was set back, and had shown {wall:%H:%M} before: the job was due that time"


def _changes(schedule: Schedule, asked: Window) -> Iterator[str]:
    said = {
        Effect.SKIPPED: "did not exist: the clock was set forward",
        Effect.REPEATED: "came twice, and so did the fire",
    }
    for effect in dst_effects(schedule, asked.start - NEAR, asked.end + NEAR)[:MOST]:
        moved = "did not exist: its fire was moved to right after the clock was set forward"
        yield f"{effect.wall:%Y-%m-%d %H:%M} {said.get(effect.effect, moved)}"
