"""From claims to guards: take each lock without waiting, record the starts, fork."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters import locks
from runjobs.adapters.ledger import Beginning, Skip, Wait
from runjobs.core.again import again_at
from runjobs.core.event import Event, Happening
from runjobs.core.fire import Trigger, milliseconds
from runjobs.core.outcome import Outcome
from runjobs.core.plan import start_of
from runjobs.core.run import RunEnd, Start, run_id
from runjobs.core.turn import Busy, End, Go, Stay, Turn, judge, judge_busy, replaces
from runjobs.guard import make_channel, spawn_guard
from runjobs.runner.crew import Guard, Member
from runjobs.runner.line import place_of
from runjobs.runner.seizing import let_go, seize
from runjobs.runner.succession import make_way
from runjobs.runner.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from runjobs.adapters.ledger import Claimed
    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job
    from runjobs.guard import Assignment, Channel
    from runjobs.runner.engine import Engine
    from runjobs.runner.line import Place
    from runjobs.runner.triggers import Taken

BATCH: Final = 100  # runs that are prepared at once: four descriptors each, of 1,024 at the least


BREATH: Final = 25  # forks between two looks at what has ended: a guard that is let go gives its memory to the next


class Ready(NamedTuple):
    """A claimed fire that holds its locks; the first of them is the run's own."""

    claimed: Claimed
    job: Job
    run_id: str
    locks: tuple[Lock, ...]
    taken: Taken | None = None  # what it is told of the paths that its job watches

    @property
    def attempt(self) -> int:
        """Which attempt at the fire it is, counted from 1."""
        return self.claimed.attempts + 1


def _due_ms(one: Ready) -> int | None:
    """When a run was to start whose job puts its fires off, by its jitter."""
    if not one.job.options.jitter or one.claimed.fire.trigger is not Trigger.SCHEDULE:
        return None
    return milliseconds(start_of(one.job, one.claimed.fire.scheduled_at))


class Refusal(NamedTuple):
    """A fire that can't start, since a lock is held or can't be taken."""

    fire_id: int
    why: Busy | RunEnd


class Batch:
    """Claims on their way to guards: it holds their locks until the guards do. Close it whatever happens."""

    def __init__(self, engine: Engine, jobs: Mapping[str, Job]) -> None:
        """Nothing is held yet."""
        self.refused: list[Refusal] = []
        self._engine = engine
        self._jobs = jobs
        self._ready: list[Ready] = []
        self._ended: list[tuple[Claimed, Skip]] = []
        self._waiting: list[tuple[Claimed, Place]] = []
        # what the locks taken here are about to say; as yet they tell of old runs
        self._holders: dict[str, dict[str, object]] = {}
        self._full: dict[str, Busy] = {}

    def begin(self, claims: Sequence[Claimed]) -> Beginning:
        """Settle what becomes of each claim: take its locks without waiting, or have it wait, or end it."""
        self._begin_anew()
        now = self._engine.now()
        around = Surroundings(self._engine.ledger, self._jobs, now, self._engine.most)
        for claimed, name in zip(claims, _names(now, len(claims)), strict=True):
            self._begin(claimed, name, around)
        starts = [
            Start(
                *(one.run_id, one.claimed.fire_id, one.attempt, one.locks[0].path, log_path(self._engine, one)),
                one.taken.state if one.taken else None,
                _due_ms(one),
            )
            for one in self._ready
        ]
        waits = [
            Wait(claimed.fire_id, place.wait, place.not_before)
            for claimed, place in self._waiting
            if claimed.wait is not place.wait  # what waits on as before is not written again
        ]
        return Beginning(starts, [skip for _, skip in self._ended], waits)

    def _begin_anew(self) -> None:
        """A claim that could not be written is made once more: nothing of the first time holds."""
        self.close()
        for each in (self._ready, self._ended, self._waiting, self._holders, self._full, self.refused):
            each.clear()

    def begin_some(self, claims: Sequence[Claimed]) -> Beginning:
        """As `begin`, for as many as a batch takes; the others stay claimed."""
        return self.begin(claims[:BATCH])

    def fork(self) -> None:
        """Fork the guards of the runs that start, and tell of what does not."""
        for claimed, skip in self._ended:
            self._engine.queue.leave(claimed.fire_id)
            tell_end(self._engine, claimed, self._jobs.get(claimed.fire.job), skip)
        for claimed, place in self._waiting:
            self._engine.queue.hold(claimed.fire_id, claimed.fire, place)
        for one in self._ready:
            self._engine.queue.leave(one.claimed.fire_id)
        ready = make_way(self._engine, self._jobs, self._ready)
        for one in ready:
            for lock in one.locks:
                with contextlib.suppress(OSError):  # a full disk costs the record, never the run
                    locks.write(lock.fd, self._holders[lock.path])
        _fork_all(self._engine, ready)

    def close(self) -> None:
        """Let go of the locks: they are the guards' now."""
        for one in self._ready:
            let_go(one.locks)

    def _begin(self, claimed: Claimed, name: str, around: Surroundings) -> None:
        job = self._jobs.get(claimed.fire.job)
        if job is None or not (job.options.enabled or claimed.fire.trigger is Trigger.MANUAL):
            self._end(claimed, End(Outcome.MISSED.value, "down", "the job is gone, or switched off"))
            return
        turn = Turn(job, claimed.fire, claimed.attempts, claimed.wait, claimed.since, claimed.not_before)
        verdict = judge(turn, around.facts(turn))
        if isinstance(verdict, Go):
            verdict = self._seize(claimed, turn, name)
        if isinstance(verdict, Stay):
            place = place_of(claimed, verdict.wait, self._engine.now(), verdict.detail)
            self._waiting.append((claimed, place))
        elif isinstance(verdict, End):
            self._end(claimed, verdict)
        else:
            around.count_start()

    def _seize(self, claimed: Claimed, turn: Turn, name: str) -> Go | Stay | End:
        try:
            held = seize(self._engine.state.locks, turn.job, self._holders, self._full)
        except OSError as error:
            detail = f"its lock can't be taken: {error.strerror or error}"
            self.refused.append(Refusal(claimed.fire_id, RunEnd("", Outcome.ERROR.value, "lock", detail)))
            return End(Outcome.ERROR.value, "lock", detail)
        if isinstance(held, Busy):
            if replaces(turn, held):
                self._engine.queue.make_way(held, turn.fire)
            verdict = judge_busy(turn, held)
            if isinstance(verdict, End):
                self.refused.append(Refusal(claimed.fire_id, held))
            return verdict
        taken = self._engine.triggers.take(turn.job, turn.fire, name, self._engine.now())
        one = Ready(claimed, turn.job, name, held, taken)
        self._ready.append(one)
        self._holders.update(dict.fromkeys((lock.path for lock in held), holder(one, self._engine)))
        return Go()

    def _end(self, claimed: Claimed, end: End) -> None:
        self._ended.append((claimed, Skip(claimed.fire_id, end.outcome, end.reason, end.detail)))


def launch(engine: Engine, fires: Sequence[int], jobs: Mapping[str, Job]) -> list[Refusal]:
    """Start the fires that can start, claimed or waiting, have the others wait or end; whom a lock kept from it.

    Room is counted in the transaction that takes it, so that runners at once keep the bound. What the ledger has as
    another's, or as ended, leaves the line.
    """
    refused: list[Refusal] = []
    for first in range(0, len(fires), BATCH):
        some = fires[first : first + BATCH]
        batch = Batch(engine, jobs)
        try:
            mine = engine.ledger.start_waiting(engine.runner, engine.now(), some, batch.begin)
            for gone in set(some) - {claimed.fire_id for claimed in mine}:
                engine.queue.leave(gone)
            batch.fork()
        finally:
            batch.close()
        refused += batch.refused
    return refused


def tell_end(engine: Engine, claimed: Claimed, job: Job | None, skip: Skip) -> None:
    """Tell of a fire that does not start: it is skipped or missed, given up after its runs, or ends as an error."""
    fire = claimed.fire
    if claimed.attempts or skip.outcome == Outcome.SKIPPED.value:
        happening = Happening.GIVEN_UP if claimed.attempts else Happening.SKIPPED
        facts = {"scheduled_at": fire.scheduled_at, "reason": skip.reason, "detail": skip.detail}
        engine.report(Event(engine.now(), happening, fire.job, facts=facts))
    elif skip.outcome == Outcome.MISSED.value or job is None:
        facts = {"first": fire.scheduled_at, "last": fire.scheduled_at, "count": 1, "reason": skip.reason}
        engine.report(Event(engine.now(), Happening.MISSED, fire.job, facts=facts))
    else:
        end = RunEnd("", skip.outcome, skip.reason, skip.detail, ended_at=engine.now().timestamp())
        engine.crew.finish(Member("", job, fire, "", claimed.fire_id), end)


def _fork_all(engine: Engine, ready: Sequence[Ready]) -> None:
    """Prepare, then fork and do nothing else, then see to the guards: a page written between two forks is copied."""
    prepared = [prepare for one in ready if (prepare := _prepare(engine, one)) is not None]
    for first in range(0, len(prepared), BREATH):
        some = prepared[first : first + BREATH]
        alone = engine.record_alone
        pids = [_fork(assignment, alone) for _, assignment, _ in some]
        for (member, assignment, ours), pid in zip(some, pids, strict=True):
            assignment.channel.close()
            if isinstance(pid, OSError):
                ours.close()
                _fail(engine, member, assignment.attempt, pid)
                continue
            engine.crew.take_on(Guard(member, pid, ours))
            for fd in assignment.lock_fds:
                with contextlib.suppress(OSError):
                    locks.write_pid(fd, pid)
        engine.crew.turn(0)


def _fork(assignment: Assignment, alone: Callable[[RunEnd], None]) -> int | OSError:
    try:
        return spawn_guard(assignment, alone)
    except OSError as error:
        return error


def _prepare(engine: Engine, one: Ready) -> tuple[Member, Assignment, Channel] | None:
    log = log_path(engine, one)
    member = Member(one.run_id, one.job, one.claimed.fire, log, one.claimed.fire_id)
    try:
        ours, theirs = make_channel()
    except OSError as error:
        _fail(engine, member, one.attempt, error)
        return None
    return member, engine.assignment(one, log, theirs), ours


def _fail(engine: Engine, member: Member, attempt: int, error: OSError) -> None:
    now = engine.now().timestamp()
    detail = f"no guard could be forked: {error.strerror}"
    end = RunEnd(member.run_id, Outcome.ERROR.value, "start", detail, started_at=now, ended_at=now)
    end = end._replace(again_at=again_at(member.job.options, attempt, end))
    engine.conclude(member, end)


def _names(now: datetime, count: int) -> Iterator[str]:
    start = int.from_bytes(os.urandom(2), "big")
    return (run_id(milliseconds(now), start + number) for number in range(count))


def holder(one: Ready, engine: Engine) -> dict[str, object]:
    """The record of a lock: which run holds it, since when, and the process that can be asked."""
    fire = one.claimed.fire
    return {
        "run": one.run_id,
        "job": one.job.name,
        "trigger": fire.trigger.value,
        "scheduled_at": fire.scheduled_at.isoformat(),
        "since": engine.now().isoformat(timespec="seconds"),
        "attempt": one.attempt,
        "pid": os.getpid(),
    }


def log_path(engine: Engine, one: Ready) -> str:
    """Where a run's output is kept."""
    return f"{engine.state.logs}/{locks.file_name(one.job.name)}/{one.run_id}.log"
