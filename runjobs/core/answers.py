"""What is on record of a job: fires with their runs, and trouble that has not ended, as values to answer from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.duration import parse_duration
from runjobs.core.errors import FieldError
from runjobs.core.nearest import nearest_word
from runjobs.core.outcome import Outcome
from runjobs.core.plan import mark_after
from runjobs.core.schedule import OnceSchedule
from runjobs.core.when import parse_when

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from runjobs.core.fire import Mark
    from runjobs.core.job import Job

GOOD: Final = frozenset({Outcome.OK, Outcome.SKIPPED})
TROUBLES: Final = tuple(outcome.value for outcome in Outcome if outcome not in GOOD)
# cron calls once a minute, and a pass over thousands of jobs takes a few seconds: later than that, nobody has looked
OVERDUE: Final = timedelta(seconds=90)
_BACKWARDS: Final = (timedelta(days=1), timedelta(days=7), timedelta(days=14))
_FORWARD: Final = ("in ", "tomorrow", "today", "next ")


class Attempt(NamedTuple):
    """One run on record: one attempt at a fire. What is not known, or has not come yet, is None."""

    run_id: str
    fire_id: int
    number: int
    state: str
    lock: str
    log: str
    guard_pid: int | None
    pid: int | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str
    reason: str
    detail: str
    exit_code: int | None
    signal: int | None
    cpu_seconds: float
    max_rss: int
    output_bytes: int
    dropped_bytes: int
    leftovers: tuple[tuple[int, str], ...]

    @property
    def took(self) -> timedelta | None:
        """How long it took; None while it goes on, and for one that never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(self.ended_at - self.started_at, timedelta(0))


class Entry(NamedTuple):
    """One fire on record, with its runs, oldest first.

    A stretch of missed fires is one entry from `scheduled_at` to `last_at`; its `number` is 0 where nobody counted.
    `outcome` of a fire that waits to be tried again is that of its last run.
    """

    fire_id: int
    job: str
    trigger: str
    scheduled_at: datetime
    last_at: datetime
    number: int
    state: str
    outcome: str
    reason: str
    detail: str
    runner: str
    runner_lock: str
    claimed_at: datetime | None
    ended_at: datetime | None
    wait: str
    waiting_since: datetime | None
    not_before: datetime | None
    attempts: int
    runs: tuple[Attempt, ...] = ()

    @property
    def is_stretch(self) -> bool:
        """Whether it stands for more than one fire."""
        return self.number != 1

    @property
    def has_ended(self) -> bool:
        """Whether it has its outcome for good."""
        return self.state == "ended"

    @property
    def is_trouble(self) -> bool:
        """Whether it ended so that a person should hear of it."""
        return self.has_ended and self.outcome in TROUBLES


class Past(NamedTuple):
    """How a fire that has ended went, in short: `took` is how long its last run did, None where none started.

    `number` is how many fires it stands for, as in Entry.
    """

    scheduled_at: datetime
    outcome: str
    took: timedelta | None
    number: int


class Trouble(NamedTuple):
    """What has gone wrong with a job since it last went well.

    `number` counts fires up to a bound; `is_more` is whether there are more. `ever_ok` is whether it went well before.
    """

    since: datetime
    number: int
    is_more: bool
    ever_ok: bool


def overdue_since(job: Job, mark: Mark | None, now: datetime) -> datetime | None:
    """Since when a fire of a job waits for somebody to look at it; None: nothing is overdue."""
    if mark is None and isinstance(job.schedule, OnceSchedule):
        mark = mark_after(job, job.schedule.since)
    if not job.options.enabled or mark is None or mark.next_start is None or mark.schedule_key != job.schedule.key:
        return None
    return mark.next_start if now - mark.next_start > OVERDUE else None


def merged(entries: Iterable[Entry], most: int | None) -> list[Entry]:
    """Entries of several questions in the order of time, each once, the newest `most` of them (None: all)."""
    known = {entry.fire_id: entry for entry in entries}
    ordered = sorted(known.values(), key=lambda entry: (entry.scheduled_at, entry.fire_id))
    return ordered if most is None else ordered[-most:]


def parse_past(text: str, now: datetime, tz: tzinfo) -> datetime:
    """Read a point in time as one asks about what has been: `3:15`, `fri` and `fri 18:00` are the last ones.

    A duration alone, `3d`, is so long ago. All else is as for parse_when. Raises FieldError.
    """
    words = " ".join(text.lower().split())
    span = _span(words)
    if span is not None:
        return _before(now, span, text)
    found = parse_when(text, now, tz)
    if found <= now or words.startswith(_FORWARD):
        return found
    for back in _BACKWARDS:
        earlier = parse_when(text, now - back, tz)
        if earlier <= now:
            return earlier
    return found


def _span(words: str) -> timedelta | None:
    try:
        return parse_duration(words) if words else None
    except FieldError:
        return None


def _before(now: datetime, span: timedelta, text: str) -> datetime:
    try:
        return (now - span).astimezone(UTC)
    except OverflowError:
        raise FieldError(f'"{text}" is out of any calendar', "3d, yesterday", start=0, end=len(text)) from None


def parse_outcomes(text: str) -> tuple[str, ...]:
    """Read outcomes as people list them, `failed,missed`; `trouble` is all that is neither ok nor skipped.

    Raises FieldError with the place of a word that is none.
    """
    found: dict[str, None] = {}
    at = 0
    for word in text.split(","):
        found |= dict.fromkeys(_outcomes_of(word.strip().lower(), text, at, len(word)))
        at += len(word) + 1
    return tuple(found)


def _outcomes_of(word: str, text: str, at: int, width: int) -> Sequence[str]:
    if word == "trouble":
        return TROUBLES
    known = [outcome.value for outcome in Outcome]
    if word in known:
        return (word,)
    near = nearest_word(word, [*known, "trouble"])
    hint = near or f"there are {', '.join(known)}, and trouble for all but ok and skipped"
    raise FieldError(f'"{word}" is no outcome', hint, start=at, end=min(at + max(width, 1), len(text) + 1))
