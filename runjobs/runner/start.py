"""From claims to guards: take each lock without waiting, record the starts, fork."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters import locks
from runjobs.adapters.ledger import Skip
from runjobs.core.event import Event, Happening
from runjobs.core.fire import milliseconds
from runjobs.core.job import Overlap
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd, Start, run_id
from runjobs.guard import make_channel
from runjobs.runner import recovery
from runjobs.runner.crew import Member

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
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


def launch(engine: Engine, claims: Sequence[Claimed], jobs: Mapping[str, Job]) -> list[Busy]:
    """Start every claimed fire whose locks are free, and record the others as skipped; the locks that were busy."""
    busy = []
    for first in range(0, len(claims), BATCH):
        busy += _launch_batch(engine, claims[first : first + BATCH], jobs)
    return busy


def _launch_batch(engine: Engine, claims: Sequence[Claimed], jobs: Mapping[str, Job]) -> list[Busy]:
    ready: list[Ready] = []
    skips: list[tuple[Claimed, Busy]] = []
    try:
        for claimed, name in zip(claims, _names(engine, len(claims)), strict=True):
            job = jobs[claimed.fire.job]
            held = _take_locks(engine.state.locks, job)
            if isinstance(held, Busy):
                skips.append((claimed, held))
            else:
                ready.append(Ready(claimed, job, name, held))
        _settle_unended(engine, ready)
        owned = _record(engine, ready, skips)
        _fork_all(engine, [one for one in ready if one.run_id in owned])
    finally:
        for one in ready:  # the guards hold them now
            _close(one.locks)
    return [held for _, held in skips]


def _fork_all(engine: Engine, ready: Sequence[Ready]) -> None:
    """Prepare first and then only fork: what is written between two forks is copied for each of them."""
    prepared = [prepare for one in ready if (prepare := _prepare(engine, one)) is not None]
    for number, (member, assignment, ours) in enumerate(prepared, 1):
        try:
            engine.crew.spawn(member, assignment, ours, engine.record_alone)
        except OSError as error:
            _fail(engine, member, error)
        if number % BREATH == 0:
            engine.crew.turn(0)


def _prepare(engine: Engine, one: Ready) -> tuple[Member, Assignment, Channel] | None:
    log = str(log_path(engine, one))
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
    engine.ledger.record((), [end])
    engine.crew.finish(member, end)


def _names(engine: Engine, count: int) -> Iterator[str]:
    now = milliseconds(engine.now())
    start = int.from_bytes(os.urandom(2), "big")
    return (run_id(now, start + number) for number in range(count))


def _take_locks(folder: Path, job: Job) -> tuple[Lock, ...] | Busy:
    own = folder / f"job.{locks.file_name(job.name)}"
    if job.options.overlap is Overlap.ALLOW:
        first = locks.take_slot(own)
    elif (taken := locks.take(own)) is not None:
        first = taken
    else:
        return Busy(job.name, locks.read(own))
    if job.options.lock is None:
        return (first,)
    shared = folder / f"lock.{locks.file_name(job.options.lock)}"
    if (second := locks.take(shared)) is not None:
        return (first, second)
    _close((first,))
    return Busy(job.options.lock, locks.read(shared))


def _settle_unended(engine: Engine, ready: Sequence[Ready]) -> None:
    """Whoever gains a lock settles the unended run under it before starting anything."""
    gained = {one.locks[0].path for one in ready}
    stale = [run for run in engine.ledger.unended() if run.lock in gained]
    if stale:
        ends = [(run, recovery.settle(run)) for run in stale]
        engine.ledger.record((), [end for _, end in ends])
        engine.tell_recovered(ends)


def _record(engine: Engine, ready: Sequence[Ready], skips: Sequence[tuple[Claimed, Busy]]) -> set[str]:
    for one in ready:
        for lock in one.locks:
            locks.write(lock.fd, holder(one, engine))
    starts = [Start(r.run_id, r.claimed.fire_id, 1, r.locks[0].path, str(log_path(engine, r))) for r in ready]
    rows = [Skip(claimed.fire_id, Outcome.SKIPPED.value, "overlap", busy.detail) for claimed, busy in skips]
    owned = engine.ledger.start(engine.runner, engine.now(), starts, rows)
    for claimed, busy in skips:
        facts = {"scheduled_at": claimed.fire.scheduled_at, "reason": "overlap", "detail": busy.detail}
        engine.report(Event(engine.now(), Happening.SKIPPED, claimed.fire.job, facts=facts))
    return owned


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


def log_path(engine: Engine, one: Ready) -> Path:
    """Where a run's output is kept."""
    return engine.state.logs / locks.file_name(one.job.name) / f"{one.run_id}.log"


def _close(held: Sequence[Lock]) -> None:
    for lock in held:
        os.close(lock.fd)
