"""From claims to guards: take each lock without waiting, record the starts, fork."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters import locks
from runjobs.adapters.ledger import LedgerError, Skip
from runjobs.core.event import Event, Happening
from runjobs.core.fire import milliseconds
from runjobs.core.job import Overlap
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd, Start, run_id
from runjobs.guard import make_channel, spawn_guard
from runjobs.runner import recovery
from runjobs.runner.crew import Guard, Member

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from runjobs.adapters.ledger import Claimed
    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job
    from runjobs.guard import Assignment, Channel
    from runjobs.runner.engine import Engine

BATCH: Final = 100  # runs that are prepared at once: four descriptors each, of 1,024 at the least


BREATH: Final = 25  # forks between two looks at what has ended: a guard that is let go gives its memory to the next


class Ready(NamedTuple):
    """A claimed fire that holds its locks; the first of them is the run's own."""

    claimed: Claimed
    job: Job
    run_id: str
    locks: tuple[Lock, ...]


class Busy(NamedTuple):
    """A lock that somebody else holds: its name and what its record says of the holder."""

    name: str
    holder: dict[str, object]

    @property
    def detail(self) -> str:
        """Who holds it, as a sentence."""
        run, pid, since = (self.holder.get(key) for key in ("run", "pid", "since"))
        if run is None:
            return f"the lock {self.name} is held"
        return f"the lock {self.name} is held by run {run} of {self.holder.get('job')} (pid {pid}) since {since}"


class Batch:
    """Claims on their way to guards: it holds their locks until the guards do. Close it whatever happens."""

    def __init__(self, engine: Engine, jobs: Mapping[str, Job]) -> None:
        """Nothing is held yet."""
        self.refused: list[Busy | RunEnd] = []
        self._engine = engine
        self._jobs = jobs
        self._ready: list[Ready] = []
        self._skipped: list[tuple[Claimed, Skip]] = []
        # what the locks taken here are about to say; as yet they tell of old runs
        self._holders: dict[str, dict[str, object]] = {}

    def begin(self, claims: Sequence[Claimed]) -> tuple[list[Start], list[Skip]]:
        """Take each claim's locks without waiting: the runs to start, and the fires that do not."""
        for claimed, name in zip(claims, _names(self._engine, len(claims)), strict=True):
            self._begin(claimed, name)
        starts = [
            Start(one.run_id, one.claimed.fire_id, 1, one.locks[0].path, log_path(self._engine, one))
            for one in self._ready
        ]
        return starts, [skip for _, skip in self._skipped]

    def begin_some(self, claims: Sequence[Claimed]) -> tuple[list[Start], list[Skip]]:
        """As `begin`, for as many as a batch takes; the others stay claimed."""
        return self.begin(claims[:BATCH])

    def fork(self, owned: Collection[str] | None = None) -> None:
        """Fork the guards of the runs that the ledger has as ours (None: of all), and tell of what does not start."""
        for claimed, skip in self._skipped:
            _tell(self._engine, claimed, self._jobs[claimed.fire.job], skip)
        _settle_unended(self._engine, self._ready)
        for one in self._ready:
            for lock in one.locks:
                with contextlib.suppress(OSError):  # a full disk costs the record, never the run
                    locks.write(lock.fd, self._holders[lock.path])
        _fork_all(self._engine, [one for one in self._ready if owned is None or one.run_id in owned])

    def close(self) -> None:
        """Let go of the locks: they are the guards' now."""
        for one in self._ready:
            _close(one.locks)

    def _begin(self, claimed: Claimed, name: str) -> None:
        job = self._jobs[claimed.fire.job]
        try:
            held = _take_locks(self._engine.state.locks, job, self._holders)
        except OSError as error:
            detail = f"its lock can't be taken: {error.strerror or error}"
            self.refused.append(RunEnd("", Outcome.ERROR.value, "lock", detail))
            self._skipped.append((claimed, Skip(claimed.fire_id, Outcome.ERROR.value, "lock", detail)))
            return
        if isinstance(held, Busy):
            self.refused.append(held)
            self._skipped.append((claimed, Skip(claimed.fire_id, Outcome.SKIPPED.value, "overlap", held.detail)))
            return
        one = Ready(claimed, job, name, held)
        self._ready.append(one)
        self._holders.update(dict.fromkeys((lock.path for lock in held), holder(one, self._engine)))


def launch(engine: Engine, claims: Sequence[Claimed], jobs: Mapping[str, Job]) -> list[Busy | RunEnd]:
    """Start every claimed fire whose locks are free, and record the others; what kept those from starting."""
    refused: list[Busy | RunEnd] = []
    for first in range(0, len(claims), BATCH):
        batch = Batch(engine, jobs)
        try:
            starts, skips = batch.begin(claims[first : first + BATCH])
            batch.fork(engine.ledger.start(engine.runner, engine.now(), starts, skips))
        finally:
            batch.close()
        refused += batch.refused
    return refused


def _tell(engine: Engine, claimed: Claimed, job: Job, skip: Skip) -> None:
    """Tell of a fire that does not start: it is skipped, or it ends as an error, without a run."""
    if skip.outcome == Outcome.SKIPPED.value:
        facts = {"scheduled_at": claimed.fire.scheduled_at, "reason": skip.reason, "detail": skip.detail}
        engine.report(Event(engine.now(), Happening.SKIPPED, claimed.fire.job, facts=facts))
    else:
        end = RunEnd("", skip.outcome, skip.reason, skip.detail, ended_at=engine.now().timestamp())
        engine.crew.finish(Member("", job, claimed.fire, ""), end)


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
                _fail(engine, member, pid)
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
    member = Member(one.run_id, one.job, one.claimed.fire, log)
    try:
        ours, theirs = make_channel()
    except OSError as error:
        _fail(engine, member, error)
        return None
    return member, engine.assignment(one, log, theirs), ours


def _fail(engine: Engine, member: Member, error: OSError) -> None:
    now = engine.now().timestamp()
    detail = f"no guard could be forked: {error.strerror}"
    end = RunEnd(member.run_id, Outcome.ERROR.value, "start", detail, started_at=now, ended_at=now)
    try:
        engine.ledger.record((), [end])
    except LedgerError as refused:
        engine.warn(refused)
    engine.crew.finish(member, end)


def _names(engine: Engine, count: int) -> Iterator[str]:
    now = milliseconds(engine.now())
    start = int.from_bytes(os.urandom(2), "big")
    return (run_id(now, start + number) for number in range(count))


def _take_locks(folder: Path, job: Job, ours: Mapping[str, dict[str, object]]) -> tuple[Lock, ...] | Busy:
    own = folder / f"job.{locks.file_name(job.name)}"
    if job.options.overlap is Overlap.ALLOW:
        first = locks.take_slot(own)
    elif (taken := locks.take(own)) is not None:
        first = taken
    else:
        return Busy(job.name, ours.get(str(own)) or locks.read(own))
    if job.options.lock is None:
        return (first,)
    shared = folder / f"lock.{locks.file_name(job.options.lock)}"
    if (second := locks.take(shared)) is not None:
        return (first, second)
    _close((first,))
    return Busy(job.options.lock, ours.get(str(shared)) or locks.read(shared))


def _settle_unended(engine: Engine, ready: Sequence[Ready]) -> None:
    """Whoever gains a lock settles the unended run under it before starting anything."""
    gained = {os.path.basename(one.locks[0].path): one.run_id for one in ready}
    try:
        stale = [
            run for run in engine.ledger.unended() if gained.get(os.path.basename(run.lock), run.run_id) != run.run_id
        ]
        ends = [(run, recovery.settle(run, engine.state.locks)) for run in stale]
        if ends:
            engine.ledger.record((), [end for _, end in ends])
            engine.tell_recovered(ends)
    except LedgerError as error:  # these runs are claimed on disk, so they must start; the old ones wait for recovery
        engine.warn(error)


def holder(one: Ready, engine: Engine) -> dict[str, object]:
    """The record of a lock: which run holds it, since when, and the process that can be asked."""
    fire = one.claimed.fire
    return {
        "run": one.run_id,
        "job": one.job.name,
        "trigger": fire.trigger.value,
        "scheduled_at": fire.scheduled_at.isoformat(),
        "since": engine.now().isoformat(timespec="seconds"),
        "pid": os.getpid(),
    }


def log_path(engine: Engine, one: Ready) -> str:
    """Where a run's output is kept."""
    return f"{engine.state.logs}/{locks.file_name(one.job.name)}/{one.run_id}.log"


def _close(held: Sequence[Lock]) -> None:
    for lock in held:
        os.close(lock.fd)
