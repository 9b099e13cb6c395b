"""What a runner takes on: the living runs of dead runners, and what is left of the runs of dead guards."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from runjobs.adapters import locks
from runjobs.adapters.ledger import LedgerError
from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd
from runjobs.guard.remains import Remains
from runjobs.runner import recovery
from runjobs.runner.adoption import adopt
from runjobs.runner.burial import Case, undertake
from runjobs.runner.crew import Member

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job
    from runjobs.core.run import Unended
    from runjobs.runner.engine import Engine
    from runjobs.runner.start import Ready

PATIENCE: Final = 5.0  # seconds for the lock of a run whose guard died: what starts its job may hold it a moment


def recover(engine: Engine, jobs: Mapping[str, Job]) -> None:
    """End every run whose guard is dead, but our own; an undertaker sees to what takes longer."""

    def bury(run: Unended, lock: Lock, remains: Remains) -> None:
        undertake(engine, Case(run, jobs.get(run.job)), lock, remains)

    for run, end in recovery.recover(engine.ledger, engine.state.locks, engine.crew.known, jobs, bury):
        if isinstance(end, LedgerError):
            engine.mention(f"how run {run.run_id} of {run.job} ended can't be recorded: {end}")
        else:
            engine.crew.tell_end(run, end, is_recovered=True)


def adopt_living(engine: Engine, jobs: Mapping[str, Job]) -> None:
    """Adopt every run whose guard lives and whose runner is dead; call it after `recover`, in a runner that stays.

    Of a run whose lock is held by nobody that can be seen from here, as in another container, it is told once, and
    it is left alone.
    """
    crew = engine.crew
    known = crew.known
    for run in engine.ledger.unended():
        if run.run_id in known or _has_runner(engine, run):
            continue
        lock = recovery.lock_of(engine.state.locks, run.lock)
        if (ward := adopt(run, jobs.get(run.job), lock)) is not None:
            crew.adopt(ward)
        elif run.run_id not in crew.unseen and _is_held(lock):
            crew.unseen.add(run.run_id)
            what = f"run {run.run_id} of {run.job} goes on where it can't be seen from here"
            message = f"{what}, such as in another container: it is left alone"
            engine.report(Event(engine.now(), Happening.WARNING, facts={"message": message}))


def _has_runner(engine: Engine, run: Unended) -> bool:
    return run.runner != engine.runner.id and recovery.is_alive(run, engine.state.locks)


def _is_held(path: Path) -> bool:
    """Whether a lock is held, wherever that may be: /proc has only what is in our namespace, so it is tried."""
    with contextlib.suppress(OSError):
        if (lock := locks.take(path)) is not None:
            os.close(lock.fd)
            return False
    return True


def settle_bereaved(engine: Engine) -> None:
    """End the runs whose guard died without a word; what can't be settled in time is left to the next recovery."""
    crew = engine.crew
    members, crew.bereaved = crew.bereaved, []
    for member in members:
        end = _settled(engine, member.run_id, member.job, member)
        if end is not None:
            crew.finish(member, end)
        elif member.run_id not in crew.guards:  # no undertaker has it
            crew.bereaved.append(member)
    wards, crew.wards.orphaned = crew.wards.orphaned, []
    for ward in wards:
        end = _settled(engine, ward.run.run_id, ward.job, None)
        if end is not None:
            crew.wards.has_news = True
            crew.tell_end(ward.run, end)
        elif ward.run.run_id not in crew.guards:
            crew.wards.orphaned.append(ward)


def _settled(engine: Engine, run_id: str, job: Job | None, member: Member | None) -> RunEnd | None:
    """How a run ended whose guard died; None while its lock is held, by what started its job or by an undertaker."""
    ledger, patience = engine.ledger, engine.crew.patience
    give_up = patience.setdefault(run_id, engine.monotonic() + PATIENCE)
    try:
        run = next((run for run in ledger.unended() if run.run_id == run_id), None)
        end = recovery.unsettled(run_id) if run is None else recover_one(engine, Case(run, job, member))
        end = ledger.end_of(run_id) or end  # another runner may have been faster: its record stands
    except LedgerError as error:
        engine.warn(error)
        end = recovery.unsettled(run_id)
    if end is None and run_id not in engine.crew.guards and engine.monotonic() >= give_up:
        end = recovery.unsettled(run_id)
    if end is not None or run_id in engine.crew.guards:
        del patience[run_id]
    return end


def recover_one(engine: Engine, case: Case) -> RunEnd | None:
    """End one run if its lock is free: see `recovery.recover_one`; an undertaker sees to what takes longer."""

    def bury(_: Unended, lock: Lock, remains: Remains) -> None:
        undertake(engine, case, lock, remains)

    return recovery.recover_one(engine.ledger, engine.state.locks, case.run, case.job, bury)


def make_way(engine: Engine, jobs: Mapping[str, Job], ready: Sequence[Ready]) -> list[Ready]:
    """Settle the unended runs under locks that were just gained: who may start beside nothing that is left of them.

    The others end as skipped, and their locks go to the undertakers of what stands in their way.
    """
    in_the_way: dict[str, Unended] = {}
    try:
        unended = engine.ledger.unended()
        for one in ready:
            for run in _stale(unended, one):
                if not _clear(engine, jobs, run, one):
                    in_the_way[one.run_id] = run
    except LedgerError as error:  # these runs are claimed on disk, so they must start; the old ones wait for recovery
        engine.warn(error)
    for one in ready:
        if one.run_id in in_the_way:
            _skip(engine, one, in_the_way[one.run_id])
    return [one for one in ready if one.run_id not in in_the_way]


def _stale(unended: Sequence[Unended], one: Ready) -> list[Unended]:
    """The runs without an end that held these locks before: the ledger tells of its own, records of the others."""
    named = {locks.parse(os.pread(lock.fd, locks.RECORD_SIZE, 0)).get("run") for lock in one.locks[1:]}
    return [run for run in unended if run.run_id != one.run_id and (run.run_id in named or _is_under(run, one))]


def _is_under(run: Unended, one: Ready) -> bool:
    return os.path.basename(run.lock) == os.path.basename(one.locks[0].path)


def _clear(engine: Engine, jobs: Mapping[str, Job], run: Unended, one: Ready) -> bool:
    """End what stands in the way of a run that has gained its locks; False when that takes longer."""
    job, ledger = jobs.get(run.job), engine.ledger
    case = Case(run, job, more=one.locks)
    if not _is_under(run, one):
        end = recover_one(engine, case)
        is_cleared = end is not None or ledger.end_of(run.run_id) is not None
    else:
        found = recovery.examine(run, engine.state.locks, job)
        is_cleared = isinstance(found, RunEnd)
        end = found if isinstance(found, RunEnd) and ledger.record((), [found]) else None
        if isinstance(found, Remains):
            undertake(engine, case, one.locks[0], found)
    if end is not None:
        engine.crew.tell_end(run, end, is_recovered=True)
    return is_cleared


def _skip(engine: Engine, one: Ready, run: Unended) -> None:
    now = engine.now().timestamp()
    detail = f"what is left of run {run.run_id} of {run.job} can't be ended yet"
    end = RunEnd(one.run_id, Outcome.SKIPPED.value, "overlap", detail, started_at=now, ended_at=now)
    engine.conclude(Member(one.run_id, one.job, one.claimed.fire, "", one.claimed.fire_id), end)
