"""What is due: from a job, its mark and the time, the fires to start and those that were missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.fire import Fire, Mark, Stretch, Trigger
from runjobs.core.outcome import Outcome
from runjobs.core.schedule import ScheduleKind, delay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.job import Job

MOST = 10_000  # fires of one job looked at one by one; `* * * * *` has as many in a week
INSTANT = timedelta(microseconds=1)


class Boot(NamedTuple):
    """The boot that the runner lives in: boot id and start of PID 1, so that a restarted container is a new one."""

    identity: str
    at: datetime


class Look(NamedTuple):
    """What a runner looks at its jobs with.

    `back` is the time up to which a job seen for the first time counts as accounted for; `since` is
    when this runner began to watch (None for a one-shot pass): what came due before that found no runner.
    """

    now: datetime
    back: datetime
    since: datetime | None
    boot: Boot


class Decision(NamedTuple):
    """What a pass does for one job: fires to start, stretches that were missed, and the mark from there on."""

    job: str
    mark: Mark
    claims: tuple[Fire, ...] = ()
    missed: tuple[Stretch, ...] = ()


def look_once(now: datetime, boot: Boot) -> Look:
    """A one-shot pass: it looks back to the start of the current minute, since cron calls it once in each."""
    return Look(now, now.replace(second=0, microsecond=0) - INSTANT, None, boot)


def look_on(now: datetime, since: datetime, boot: Boot) -> Look:
    """A foreground runner: it looks forward only, from when it began to watch."""
    return Look(now, now, since, boot)


def decide(job: Job, mark: Mark | None, look: Look) -> Decision | None:
    """Decide what `job` does now; None when nothing is due and its mark holds."""
    if job.schedule.kind is ScheduleKind.REBOOT:
        return _decide_boot(job, mark, look)
    if mark is None or mark.schedule_key != job.schedule.key:
        fresh = mark_after(job, look.back)
        return _decide_due(job, fresh, look) or Decision(job.name, fresh)
    return _decide_due(job, refreshed(job, mark), look)


def refreshed(job: Job, mark: Mark) -> Mark:
    """The mark as it holds for the job as it is now: its jitter or its zone's rules may have changed meanwhile.

    A store keeps milliseconds, and a share of jitter has microseconds: what was stored is a little early.
    """
    if mark.next_fire is None:
        return mark
    if job.schedule.offset(mark.next_fire) != mark.offset:
        return mark_after(job, mark.watermark)
    return mark._replace(next_start=start_of(job, mark.next_fire))


def mark_after(job: Job, watermark: datetime) -> Mark:
    """The mark of a job whose fires are accounted for up to `watermark`."""
    fire = job.schedule.next(watermark)
    if fire is None:
        return Mark(job.schedule.key, watermark)
    return Mark(job.schedule.key, watermark, fire, start_of(job, fire), job.schedule.offset(fire))


def start_of(job: Job, scheduled: datetime) -> datetime:
    """When a fire starts: at its time, or later by its share of the job's jitter."""
    return scheduled + delay(job.name, scheduled, job.options.jitter)


def _decide_due(job: Job, mark: Mark, look: Look) -> Decision | None:
    if mark.next_start is None or mark.next_start > look.now:
        return None
    due = list(_due(job, mark, look.now))
    if len(due) == MOST:
        return _decide_long(job, due, look)
    newest = due[-1]
    late = look.now - start_of(job, newest) > job.options.start_within
    claims = () if late else (Fire(job.name, Trigger.SCHEDULE, newest),)
    passed_over = due if late else due[:-1]
    return Decision(job.name, mark_after(job, newest), claims, _stretches(job, passed_over, look))


def _decide_long(job: Job, due: list[datetime], look: Look) -> Decision:
    """More was due than is worth a look each: one uncounted stretch up to where a fire may still start."""
    edge = max(look.now - job.options.start_within - job.options.jitter - INSTANT, due[-1])
    reason = _absence(job, edge, look)
    long = Stretch(
        job.name, Trigger.SCHEDULE, due[0], edge, 0, Outcome.MISSED.value, reason, f"more than {MOST:,} fires"
    )
    mark = mark_after(job, edge)
    rest = _decide_due(job, mark, look) or Decision(job.name, mark)
    return rest._replace(missed=(long, *rest.missed))


def _due(job: Job, mark: Mark, now: datetime) -> Iterator[datetime]:
    scheduled = mark.next_fire
    for _ in range(MOST):
        if scheduled is None or start_of(job, scheduled) > now:
            return
        yield scheduled
        scheduled = job.schedule.next(scheduled)


def _stretches(job: Job, fires: list[datetime], look: Look) -> tuple[Stretch, ...]:
    def reason(scheduled: datetime) -> str:
        in_time = look.now - start_of(job, scheduled) <= job.options.start_within
        return "superseded" if in_time else _absence(job, scheduled, look)

    return tuple(
        Stretch(job.name, Trigger.SCHEDULE, run[0], run[-1], len(run), Outcome.MISSED.value, why)
        for why, group in groupby(fires, key=reason)
        for run in [list(group)]
    )


def _absence(job: Job, scheduled: datetime, look: Look) -> str:
    """Why a fire could not start in time: no runner was there (down), or one was and came too late (late)."""
    return "late" if look.since is not None and start_of(job, scheduled) >= look.since else "down"


def _decide_boot(job: Job, mark: Mark | None, look: Look) -> Decision | None:
    """`@reboot` fires once per boot, for PID 1's start; a job that is new long after the boot waits for the next."""
    key = f"{job.schedule.key} {look.boot.identity}"
    if mark is not None and mark.schedule_key == key:
        return None
    fire = Fire(job.name, Trigger.BOOT, look.boot.at, look.boot.identity)
    decision = Decision(job.name, Mark(key, look.now))
    if look.now - start_of(job, look.boot.at) <= job.options.start_within:
        return decision._replace(claims=(fire,))
    if mark is None:
        return decision
    late = Stretch(job.name, Trigger.BOOT, fire.scheduled_at, fire.scheduled_at, 1, Outcome.MISSED.value, "down")
    return decision._replace(missed=(late,))
