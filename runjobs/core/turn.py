"""Whether a claimed fire starts now, waits, or does not start: the rules of pauses, order, places and patience."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.duration import format_duration
from runjobs.core.fire import Trigger, WaitFor
from runjobs.core.job import Catchup, Overlap
from runjobs.core.outcome import SUPERSEDED, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from runjobs.core.fire import Fire
    from runjobs.core.job import Job

SKIPPED: Final = Outcome.SKIPPED.value
MISSED: Final = Outcome.MISSED.value
OWN_TRIGGERS: Final = frozenset(Trigger) - {Trigger.MANUAL}  # what fires by itself; a person who asked waits for it


class Stage(Enum):
    """How far a job is that another comes after."""

    PENDING = "pending"
    OK = "ok"
    FAILED = "failed"


class Dependency(NamedTuple):
    """What became of the fire of another job that this one waits for; `ended_at` where it is OK."""

    stage: Stage
    detail: str
    ended_at: datetime | None = None


class Turn(NamedTuple):
    """A claimed fire whose turn it may be: the runs it has had, and if it has waited, for what and since when.

    `not_before` is when a retry was due.
    """

    job: Job
    fire: Fire
    attempts: int = 0
    wait: WaitFor | None = None
    since: datetime | None = None
    not_before: datetime | None = None

    @property
    def is_patient(self) -> bool:
        """Whether no wait is too long for it: what is to be caught up with is late anyway."""
        is_told_late = self.fire.trigger is Trigger.WATCH  # it is told all that has changed by the time it starts
        return is_told_late or (self.fire.trigger in OWN_TRIGGERS and self.job.options.catchup is not Catchup.NONE)


class Facts(NamedTuple):
    """What is known at the moment of the turn.

    `paused` is why the job is paused ("": it is not), `has_newer` whether a newer fire of it has started or waits,
    `has_older` whether an older one is to be started first, `has_room` whether the runner's bound leaves room for one
    more run.
    """

    now: datetime
    paused: str = ""
    has_newer: bool = False
    has_older: bool = False
    after: tuple[Dependency, ...] = ()
    has_room: bool = True


class Go(NamedTuple):
    """It starts, if its locks and its place can be had."""


class Stay(NamedTuple):
    """It waits: for what, and a sentence about that."""

    wait: WaitFor
    detail: str


class End(NamedTuple):
    """It does not start any more; if it has had a run, the outcome of that stands."""

    outcome: str
    reason: str
    detail: str


class Busy(NamedTuple):
    """A lock or a pool that can't be had: its name, what its record says of the holder, and its file.

    `is_own` is the job's own lock; `places` is how many a pool has (0: it is no pool).
    """

    name: str
    holder: Mapping[str, object]
    path: str = ""
    is_own: bool = False
    places: int = 0

    @property
    def detail(self) -> str:
        """Who holds it, as a sentence."""
        run, pid, since = (self.holder.get(key) for key in ("run", "pid", "since"))
        if self.places:
            return f"no place is free in the pool {self.name}, which has {self.places}"
        if run is None:
            return f"the lock {self.name} is held"
        return f"the lock {self.name} is held by run {run} of {self.holder.get('job')} (pid {pid}) since {since}"


def judge(turn: Turn, facts: Facts) -> Go | Stay | End:
    """Say what becomes of a fire, before any lock is tried."""
    if turn.fire.trigger in OWN_TRIGGERS and facts.paused:
        return End(SKIPPED, "paused", facts.paused)
    if turn.attempts and facts.has_newer and turn.job.options.catchup is not Catchup.ALL:
        return End(MISSED, "superseded", SUPERSEDED)
    if (held := _judge_order(facts.after)) is not None:
        return held
    if (late := _judge_patience(turn, facts)) is not None:
        return late
    if facts.has_older:
        return Stay(WaitFor.OVERLAP, "an older fire of it is still to start")
    if not facts.has_room:
        return Stay(WaitFor.PARALLEL, "as many runs as --max-parallel allows go on already")
    return Go()


def judge_busy(turn: Turn, busy: Busy) -> Stay | End:
    """Say what becomes of a fire whose lock or whose place in a pool somebody else has."""
    if busy.places:
        return Stay(WaitFor.POOL, busy.detail)
    options = turn.job.options
    waits = options.overlap in {Overlap.QUEUE, Overlap.REPLACE} or turn.attempts or turn.wait is WaitFor.OVERLAP
    in_order = options.catchup is Catchup.ALL and turn.fire.trigger is Trigger.SCHEDULE
    if waits or in_order or turn.fire.trigger is Trigger.WATCH:
        return Stay(WaitFor.OVERLAP, busy.detail)
    return End(SKIPPED, "overlap", busy.detail)


def replaces(turn: Turn, busy: Busy) -> bool:
    """Whether the run that holds the job's own lock is to be stopped in favour of this fire."""
    options = turn.job.options
    is_wanted = options.overlap is Overlap.REPLACE and options.catchup is not Catchup.ALL
    return busy.is_own and is_wanted and not turn.attempts and turn.fire.trigger is not Trigger.WATCH


def _judge_order(after: tuple[Dependency, ...]) -> Stay | End | None:
    for dependency in after:
        if dependency.stage is Stage.FAILED:
            return End(SKIPPED, "dependency", dependency.detail)
    for dependency in after:
        if dependency.stage is Stage.PENDING:
            return Stay(WaitFor.AFTER, dependency.detail)
    return None


def _judge_patience(turn: Turn, facts: Facts) -> End | None:
    """No fire waits longer than `start-within`, counted from when it began to wait, or could have started."""
    if turn.wait in {None, WaitFor.RERUN} or turn.is_patient:
        return None
    ends = [dependency.ended_at for dependency in facts.after if dependency.ended_at is not None]
    could = max([turn.since or turn.fire.scheduled_at, *ends])
    if turn.attempts and turn.not_before is not None:
        could = turn.not_before
    within = turn.job.options.start_within
    if facts.now - could <= within:
        return None
    end = _GIVEN_UP[turn.wait]
    return end._replace(detail=end.detail.format(within=format_duration(within)))


_GIVEN_UP: Final = {
    WaitFor.RETRY: End(MISSED, "late", "no runner was there within {within}"),
    WaitFor.AFTER: End(MISSED, "late", "no runner was there within {within} of the end of what it comes after"),
    WaitFor.OVERLAP: End(SKIPPED, "overlap", "it waited {within} for its lock"),
    WaitFor.POOL: End(SKIPPED, "pool", "it waited {within} for a place in its pool"),
    WaitFor.PARALLEL: End(SKIPPED, "pool", "it waited {within} while as many runs went on as --max-parallel allows"),
}
