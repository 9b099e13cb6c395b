"""What is due: from a job, its mark and the time, the fires to start and those that were missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.fire import Fire, Mark, Stretch, Trigger
from runjobs.core.job import Catchup
from runjobs.core.outcome import Outcome
from runjobs.core.schedule import CronSchedule, OnceSchedule, ScheduleKind, delay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runjobs.core.job import Job
    from runjobs.core.watching import Noticed

MOST = 10_000  # fires of one job looked at one by one; `* * * * *` has as many in a week
CAUGHT_UP = 100  # fires that catchup=all starts: enough for four days of an hourly job, and no flood
SOME = 10 * CAUGHT_UP  # fires walked at each step of the search for the newest of very many
NEW_CLOCK = timedelta(hours=3)  # Debian cron: a clock that moves by so much is a new clock, not a corrected one
SLACK = timedelta(minutes=1)  # cron calls once a minute: a shift that is seen now began so much earlier, at the most
SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)


class Boot(NamedTuple):
    """The boot that the runner lives in: boot id and start of PID 1, so that a restarted container is a new one."""

    identity: str
    at: datetime


class Look(NamedTuple):
    """What a runner looks at its jobs with.

    `back` is the time up to which a job seen for the first time counts as accounted for; `since` is
    when this runner began to watch (None for a one-shot pass): what came due before that found no runner.
    `asleep` is for how long the machine was suspended until just now, `stepped` how far its clock was set forward
    (negative: back) since somebody last looked.
    """

    now: datetime
    back: datetime
    since: datetime | None
    boot: Boot
    asleep: timedelta = timedelta(0)
    stepped: timedelta = timedelta(0)
    noticed: Mapping[str, Noticed] = {}  # what looks at watched paths have come to, by job


class Decision(NamedTuple):
    """What a pass does for one job: fires to start, stretches that were missed, and the mark from there on.

    `supersedes` is whether older fires of the job that still wait give way to these claims. `reset_from` is the
    watermark in the future that was given up, since the clock was set back (None: none was). `watched` is to be kept
    of the job's paths (None: what is kept holds).
    """

    job: str
    mark: Mark
    claims: tuple[Fire, ...] = ()
    missed: tuple[Stretch, ...] = ()
    supersedes: bool = True
    reset_from: datetime | None = None
    watched: bytes | None = None


def look_once(now: datetime, boot: Boot) -> Look:
    """A one-shot pass: it looks back to the start of the current minute, since cron calls it once in each."""
    return Look(now, now.replace(second=0, microsecond=0) - INSTANT, None, boot)


def look_on(now: datetime, since: datetime, boot: Boot) -> Look:
    """A foreground runner: it looks forward only, from when it began to watch."""
    return Look(now, now, since, boot)


def decide(job: Job, mark: Mark | None, look: Look) -> Decision | None:
    """Decide what `job` does now; None when nothing is due and its mark holds.

    Nothing is due up to a watermark in the future, unless that is further ahead than a clock is ever corrected.
    """
    if job.schedule.kind is ScheduleKind.REBOOT:
        return _decide_boot(job, mark, look)
    if job.schedule.kind is ScheduleKind.WATCH:
        return _decide_watch(job, mark, look)
    if mark is None:
        return _decide_afresh(job, look)
    is_same = mark.schedule_key == job.schedule.key
    if mark.watermark > look.now and _is_void(job, mark, look, is_same=is_same):
        return _decide_afresh(job, look)._replace(reset_from=mark.watermark)
    return _decide_due(job, refreshed(job, mark), look) if is_same else _decide_afresh(job, look)


def refreshed(job: Job, mark: Mark) -> Mark:
    """The mark as it holds for the job as it is now: its jitter or its zone's rules may have changed meanwhile.

    A store keeps milliseconds, and a share of jitter has microseconds: what was stored is a little early.
    """
    if mark.next_fire is None:
        return mark
    if job.schedule.offset(mark.next_fire) != mark.offset:
        return mark_after(job, mark.watermark)
    start = start_of(job, mark.next_fire)
    return mark if start == mark.next_start else mark._replace(next_start=start)


def mark_after(job: Job, watermark: datetime) -> Mark:
    """The mark of a job whose fires are accounted for up to `watermark`."""
    fire = job.schedule.next(watermark)
    if fire is None:
        return Mark(job.schedule.key, watermark)
    return Mark(job.schedule.key, watermark, fire, start_of(job, fire), job.schedule.offset(fire))


def start_of(job: Job, scheduled: datetime) -> datetime:
    """When a fire starts: at its time, or later by its share of the job's jitter."""
    jitter = job.options.jitter
    return scheduled + delay(job.name, scheduled, jitter) if jitter else scheduled


def _is_void(job: Job, mark: Mark, look: Look, *, is_same: bool) -> bool:
    """Whether a watermark in the future is given up. An `@at` whose one instant is accounted for never comes again."""
    is_over = is_same and job.schedule.kind is ScheduleKind.AT
    return mark.watermark - look.now > NEW_CLOCK and not is_over


def _decide_afresh(job: Job, look: Look) -> Decision:
    back = job.schedule.since if isinstance(job.schedule, OnceSchedule) else look.back
    fresh = mark_after(job, min(back, look.now))
    return _decide_due(job, fresh, look) or Decision(job.name, fresh)


def _decide_due(job: Job, mark: Mark, look: Look) -> Decision | None:
    if mark.next_start is None or mark.next_start > look.now:
        return None
    due = list(islice(_due(job, mark.next_fire, look.now), MOST))
    return _decide_long(job, due, look) if len(due) == MOST else _decision(job, due, look)


def _decision(job: Job, due: Sequence[datetime], look: Look) -> Decision:
    starts = _starts(job, due, look)
    return Decision(
        job.name,
        mark_after(job, due[-1]),
        tuple(Fire(job.name, _trigger(job), each) for each in starts),
        _stretches(job, due, starts, look),
        supersedes=job.options.catchup is not Catchup.ALL,
    )


def _trigger(job: Job) -> Trigger:
    return Trigger.ONCE if isinstance(job.schedule, OnceSchedule) else Trigger.SCHEDULE


def _starts(job: Job, due: Sequence[datetime], look: Look) -> Sequence[datetime]:
    """Those of the due fires that start, oldest first: the newest that is in time, unless `catchup` asks for more."""
    if job.options.catchup is Catchup.ALL:
        return due[-CAUGHT_UP:]
    timely = [each for each in due if _is_timely(job, each, look)]
    return (timely or [each for each in due if _may_start(job, each, look)])[-1:]


def _may_start(job: Job, scheduled: datetime, look: Look) -> bool:
    """Whether a due fire is started where no newer one is."""
    if job.options.catchup is not Catchup.NONE or _is_timely(job, scheduled, look):
        return True
    return look.stepped < NEW_CLOCK and _is_fixed(job) and _was_skipped(job, scheduled, look)


def _is_timely(job: Job, scheduled: datetime, look: Look) -> bool:
    return look.now - start_of(job, scheduled) <= job.options.start_within


def _was_skipped(job: Job, scheduled: datetime, look: Look) -> bool:
    """Whether the clock has never shown the time of a fire, since it was set forward past it."""
    return look.stepped > timedelta(0) and start_of(job, scheduled) >= look.now - look.stepped - SLACK


def _is_fixed(job: Job) -> bool:
    """Whether it is due at fixed times: Debian's cron runs such jobs once after a gap, and no others."""
    return isinstance(job.schedule, CronSchedule) and not job.schedule.rule.follows_wall_clock


def _due(job: Job, scheduled: datetime | None, now: datetime) -> Iterator[datetime]:
    """The due fires from this one on, up to the first whose start has not come."""
    while scheduled is not None and start_of(job, scheduled) <= now:
        yield scheduled
        scheduled = job.schedule.next(scheduled)


def _decide_long(job: Job, due: Sequence[datetime], look: Look) -> Decision:
    """More was due than is worth a look each: one uncounted stretch up to the newest fires, which may start."""
    last, *newest = _newest(job, due, look.now)
    decision = _decision(job, newest, look)
    reason = _absence(job, last, [fire.scheduled_at for fire in decision.claims], look)
    rest = decision.missed
    if rest and (rest[0].first, rest[0].reason) == (newest[0], reason):
        last, rest = rest[0].last, rest[1:]
    detail = f"more than {MOST:,} fires"
    long = Stretch(job.name, Trigger.SCHEDULE, due[0], last, 0, Outcome.MISSED.value, reason, detail)
    return decision._replace(missed=(long, *rest))


def _newest(job: Job, due: Sequence[datetime], now: datetime) -> Sequence[datetime]:
    """The newest of very many due fires, more than are ever caught up with; `due` are the oldest of them.

    A schedule knows its next fire only, so the look back is widened and narrowed until it takes in a few of them.
    """
    few, many = job.options.jitter, now - due[0] + INSTANT
    enough, back = due, min(few + job.options.start_within + SLACK, many)
    while many - few > SECOND:
        found = list(islice(_due(job, job.schedule.next(now - back), now), SOME))
        if CAUGHT_UP < len(found) < SOME:
            return found
        if len(found) == SOME:
            enough, many = found, back
        else:
            few = back
        back = min(2 * back, (few + many) / 2)
    return enough


def _stretches(job: Job, due: Sequence[datetime], starts: Sequence[datetime], look: Look) -> tuple[Stretch, ...]:
    """What of the due fires does not start: a stretch for those that follow each other for one reason."""
    started = set(starts)

    def why(scheduled: datetime) -> tuple[str, str] | None:
        if scheduled in started:
            return None
        reason = _absence(job, scheduled, starts, look)
        return reason, _detail(job, scheduled, reason, look)

    return tuple(
        Stretch(job.name, _trigger(job), run[0], run[-1], len(run), Outcome.MISSED.value, *words)
        for words, group in groupby(due, key=why)
        if words is not None
        for run in [list(group)]
    )


def _absence(job: Job, scheduled: datetime, starts: Sequence[datetime], look: Look) -> str:
    """Why a due fire does not start: a newer one does, or nobody was there in time to start it."""
    if starts and scheduled < starts[-1] and _may_start(job, scheduled, look):
        return "superseded"
    start = start_of(job, scheduled)
    if look.asleep and start >= look.now - look.asleep - SLACK:
        return "suspended"
    return "late" if look.since is not None and start >= look.since else "down"


def _detail(job: Job, scheduled: datetime, reason: str, look: Look) -> str:
    if reason == "superseded":
        return f"catchup=all starts the newest {CAUGHT_UP}" if job.options.catchup is Catchup.ALL else ""
    return "the clock was set forward past it" if _was_skipped(job, scheduled, look) else ""


def _decide_watch(job: Job, mark: Mark | None, look: Look) -> Decision | None:
    """`@watch` fires when a look has found something to tell, unless somebody else was faster since that look.

    What is told is settled when the run starts: until then nothing is taken as told, so nothing gets lost.
    """
    noticed = look.noticed.get(job.name)
    if noticed is None or mark != noticed.base:
        return None
    from runjobs.core import watching  # most passes have nothing to watch

    watermark = watching.mark_after(noticed, look.now)
    decision = Decision(job.name, Mark(noticed.key, watermark), supersedes=False, watched=noticed.memory)
    if not noticed.is_due:
        return decision
    fire = Fire(job.name, Trigger.WATCH, look.now, watching.instance_at(watermark))
    return decision._replace(claims=(fire,))


def _decide_boot(job: Job, mark: Mark | None, look: Look) -> Decision | None:
    """`@reboot` fires once per boot, for PID 1's start; a job that is new long after the boot waits for the next.

    A job is known by the mark of an earlier boot: then `catchup` starts it however late in this one.
    """
    key = f"{job.schedule.key} {look.boot.identity}"
    if mark is not None and mark.schedule_key == key:
        return None
    at = look.boot.at
    is_known = mark is not None and mark.schedule_key.startswith(f"{job.schedule.key} ")
    decision = Decision(job.name, Mark(key, look.now))
    if _is_timely(job, at, look) or (is_known and job.options.catchup is not Catchup.NONE):
        return decision._replace(claims=(Fire(job.name, Trigger.BOOT, at, look.boot.identity),))
    if not is_known:
        return decision
    reason = _absence(job, at, (), look)
    return decision._replace(missed=(Stretch(job.name, Trigger.BOOT, at, at, 1, Outcome.MISSED.value, reason),))
