"""A day of jobs as spans of time: what ran, what did not, and what is to come."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.fire import MILLISECOND
from runjobs.core.nearest import nearest_word
from runjobs.core.plan import start_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from runjobs.core.job import Job
    from runjobs.core.pausing import Pause

COMING: Final = "coming"
PAUSED: Final = "paused"
OVERDUE: Final = "overdue"
RUNNING: Final = "running"
DEAD: Final = "dead"
MINUTE: Final = timedelta(minutes=1)
DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}


class Span(NamedTuple):
    """A stretch of a job's day; `what` is an outcome, or `running`, `dead`, `overdue`, `coming`, `paused`.

    `number` is how many runs, or fires that had none, it stands for: 0 where nobody counted. `has_run` is whether
    something runs in it, or is expected to.
    """

    start: datetime
    end: datetime
    what: str
    number: int = 1
    has_run: bool = True


def read_day(text: str, today: date) -> date:
    """Read a day: `yesterday`, `today`, `tomorrow`, or a date such as `2026-11-20`. Raises FieldError."""
    word = text.strip().lower()
    try:
        return today + timedelta(days=DAYS[word]) if word in DAYS else date.fromisoformat(word)
    except (ValueError, OverflowError):
        hint = nearest_word(word, DAYS) or "yesterday, today, tomorrow, or a date such as 2026-11-20"
        raise FieldError(f'"{text}" is not a day', hint, start=0, end=len(text)) from None


def bounds(day: date, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """When a day begins in a zone (None: this machine's), and when the next one does, in UTC: 23, 24 or 25 hours.

    Raises FieldError for the last days of any calendar.
    """
    try:
        first, last = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    except (OverflowError, ValueError):
        raise FieldError(f"{day} is out of any calendar", "today", start=0, end=len(str(day))) from None
    return first, last


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    # where the clock is set forward at midnight, the day begins with the first time after it: fold=0, PEP 495
    return datetime.combine(day, time(), zone).astimezone(UTC)


def coming(job: Job, after: datetime, until: datetime, took: timedelta | None, pause: Pause | None) -> Iterator[Span]:
    """Yield what is to come of a job after an instant, and before another: a run takes as long as `took`, if known.

    The fires of one minute are one span. Those of a pause will be skipped.
    """
    when = job.schedule.next(after)
    while when is not None and when < until:
        following = job.schedule.next(when)
        edge = when.replace(second=0, microsecond=0) + MINUTE
        last, number = when, 1
        if following is not None and following < edge:
            last, number = edge, 0
            following = job.schedule.next(edge - MILLISECOND)
        if pause is not None and pause.holds(when):
            yield Span(when, last, PAUSED, number, has_run=False)
        else:
            yield Span(start_of(job, when), start_of(job, last) + (took or timedelta(0)), COMING, number)
        when = following


def at_once(spans: Iterable[Span], edges: Sequence[datetime]) -> list[int]:
    """How many runs go on at once at the most, between each of these instants and the next."""
    running = [span for span in spans if span.has_run]
    changes = [(span.start, 1) for span in running]
    changes += [(max(span.end, span.start + MILLISECOND), -1) for span in running]
    most, level, column = [0] * (len(edges) - 1), 0, 0
    for when, change in sorted(changes):  # at one instant, what ends comes first
        column = _spread(most, edges, column, level, when)
        level += change
        if when >= edges[-1]:
            break
        if change > 0 and when >= edges[0]:
            most[column] = max(most[column], level)
    return most


def _spread(most: list[int], edges: Sequence[datetime], column: int, level: int, until: datetime) -> int:
    """Note that so many go on until an instant; return the column that it lies in, at most the last."""
    while True:
        if until > edges[column]:
            most[column] = max(most[column], level)
        if column == len(most) - 1 or until < edges[column + 1]:
            return column
        column += 1
