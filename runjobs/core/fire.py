"""A fire: one due time of one job, and the mark up to which a job's fires are accounted for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Trigger(Enum):
    """What made a job due."""

    SCHEDULE = "schedule"
    BOOT = "reboot"
    MANUAL = "manual"
    ONCE = "once"
    WATCH = "watch"


class Fire(NamedTuple):
    """One due time of one job, in UTC; `instance` tells apart what has no due time of its own (a boot, a person)."""

    job: str
    trigger: Trigger
    scheduled_at: datetime
    instance: str = ""

    @property
    def key(self) -> str:
        """The identity among the fires of one job and trigger: its instance, else its time."""
        return self.instance or str(milliseconds(self.scheduled_at))


class WaitFor(Enum):
    """What a fire waits for that is claimed and does not run: the reason of a wait, on record and in events."""

    RETRY = "retry"  # its last run went wrong
    RERUN = "rerun"  # its last run was cut short
    AFTER = "after"  # the jobs that it comes after
    OVERLAP = "overlap"  # the run that holds its lock
    POOL = "pool"  # a place in its pool
    PARALLEL = "parallel"  # the runner's bound, --max-parallel


class Waiting(NamedTuple):
    """A fire that waits, on record.

    `since` is when it began to wait. `not_before` is when it may be tried next: of a retry, when it is due; of any
    other wait, when it began. `attempts` counts the runs it has had, and `outcome` is the last one's ("" of none).
    `runner` owns it: it alone starts it, as long as it lives, which is while `runner_lock` is held and names it.
    """

    fire_id: int
    fire: Fire
    wait: WaitFor
    since: datetime
    not_before: datetime
    attempts: int
    outcome: str
    runner: str
    runner_lock: str


class Mark(NamedTuple):
    """How far a job's fires are accounted for.

    Every fire scheduled at or before `watermark` has an outcome or an owner. `next_fire` is the first
    one after it and `next_start` the instant at which it starts (later by its jitter); both None: never again.
    `offset` is the zone's offset from UTC at `next_fire`: another one today means that the zone's rules changed.
    """

    schedule_key: str
    watermark: datetime
    next_fire: datetime | None = None
    next_start: datetime | None = None
    offset: timedelta = timedelta(0)


class Stretch(NamedTuple):
    """Fires of one job that did not start, for one reason: the first, the last, and how many (0: uncounted)."""

    job: str
    trigger: Trigger
    first: datetime
    last: datetime
    number: int
    outcome: str
    reason: str
    detail: str = ""


def milliseconds(when: datetime) -> int:
    """Milliseconds since the epoch, rounded down: how the ledger keeps time."""
    return (when - EPOCH) // MILLISECOND


def from_milliseconds(value: int) -> datetime:
    """Milliseconds since the epoch as an aware time in UTC."""
    return EPOCH + value * MILLISECOND
