"""Recovery: what a dead runner or a dead guard left open is found, ended and recorded.

A run's guard is alive exactly while the run's lock is held. So the lock is taken first, and only then judged.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runjobs.adapters import cgroup, clock, locks
from runjobs.adapters.ledger import Skip
from runjobs.core.fire import Trigger
from runjobs.core.outcome import Outcome
from runjobs.core.plan import start_of
from runjobs.core.run import RunEnd
from runjobs.guard import kill_remains

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger import Ledger, Orphan, RunnerId
    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job
    from runjobs.core.run import Unended


def recover(ledger: Ledger, folder: Path, mine: Collection[str]) -> list[tuple[Unended, RunEnd]]:
    """End every run whose guard is dead, but those in `mine`; the runs with their ends, as they were recorded.

    `folder` is where the locks are: a state folder may have been moved, so of what is stored the name alone counts.
    """
    others = [run for run in ledger.unended() if run.run_id not in mine]
    return [(run, end) for run in others if (end := _recover_one(ledger, folder, run)) is not None]


def _recover_one(ledger: Ledger, folder: Path, run: Unended) -> RunEnd | None:
    """End one run if its lock is free; None while it is held, or can't be opened, or somebody else ended the run."""
    try:
        lock = locks.take(lock_of(folder, run.lock))
    except OSError:
        return None
    if lock is None:
        return None
    try:
        if not _is_unended(ledger, run.run_id):
            return None  # it ended well between our look and our lock, and what it left behind may live on
        end = settle(run, folder)
        return end if ledger.record((), [end]) else None
    finally:
        os.close(lock.fd)


def _is_unended(ledger: Ledger, run_id: str) -> bool:
    return any(run.run_id == run_id for run in ledger.unended())


def lock_of(folder: Path, stored: str) -> Path:
    """Where a lock is now whose path was stored."""
    return folder / os.path.basename(stored)


def settle(run: Unended, folder: Path) -> RunEnd:
    """How a run ended whose lock is free: as its guard noted, else interrupted, once nothing of it is left alive.

    The caller holds the run's lock.
    """
    record = locks.read(lock_of(folder, run.lock))
    if record.get("run") == run.run_id and isinstance(noted := record.get("end"), dict):
        return _noted(run.run_id, noted)
    rebooted = run.process is not None and run.process.boot_id != clock.boot_id()
    killed = () if rebooted else kill_remains(run.run_id, run.process, cgroup.find_base()).killed
    reason = "reboot" if rebooted else "guard-died"
    detail = "the machine was restarted" if rebooted else "the guard of this run was killed"
    if killed:
        detail += f"; {len(killed)} of its processes were still there and were killed"
    return RunEnd(run.run_id, Outcome.INTERRUPTED.value, reason, detail, ended_at=clock.now().timestamp())


def settle_bereaved(ledger: Ledger, folder: Path, run_id: str) -> RunEnd | None:
    """End a run of ours whose guard died; None while somebody holds its lock: what starts the job outlives its guard.

    Where another runner was faster, its record stands, and this end is only told.
    """
    for run in ledger.unended():
        if run.run_id == run_id:
            return _recover_one(ledger, folder, run)
    return unsettled(run_id)


def unsettled(run_id: str) -> RunEnd:
    """What can be said of a run whose guard died while nothing more is known."""
    detail = "the guard of this run was killed"
    return RunEnd(run_id, Outcome.INTERRUPTED.value, "guard-died", detail, ended_at=clock.now().timestamp())


def settle_claims(
    ledger: Ledger, folder: Path, runner: RunnerId, jobs: Mapping[str, Job], now: datetime
) -> list[Orphan]:
    """Take over the claims of dead runners that may still start, and end the others. Returns what is ours now.

    A pass starts or ends all that it claims, so a claim of our own was left by one that the ledger broke off.
    """
    ours = []
    for orphan in ledger.orphans():
        if orphan.runner != runner.id and is_alive(orphan, folder):
            continue
        if (skip := _verdict(orphan, jobs.get(orphan.fire.job), now)) is not None:
            ledger.drop(skip, orphan, now)
        elif ledger.reclaim(orphan, runner, now):
            ours.append(orphan)
    return ours


def _verdict(orphan: Orphan, job: Job | None, now: datetime) -> Skip | None:
    """Why a dead runner's claim is not started any more; None when it is."""
    if orphan.fire.trigger is Trigger.MANUAL:
        detail = "the call that asked for it was killed before it started"
        return Skip(orphan.fire_id, Outcome.INTERRUPTED.value, "runner-died", detail)
    if job is None or not job.options.enabled:
        return Skip(orphan.fire_id, Outcome.MISSED.value, "down", "the job is gone, or switched off")
    if now - start_of(job, orphan.fire.scheduled_at) > job.options.start_within:
        return Skip(orphan.fire_id, Outcome.MISSED.value, "down", "its runner was killed before it started")
    return None


def is_alive(orphan: Orphan, folder: Path) -> bool:
    """Whether the runner that made a claim still holds its lock."""
    path = lock_of(folder, orphan.runner_lock)
    if locks.read(path).get("runner") != orphan.runner:
        return False
    lock = locks.take(path)
    if lock is None:
        return True
    os.close(lock.fd)
    return False


def note(held: Sequence[Lock], record: dict[str, Any], end: RunEnd) -> None:
    """In the guard: write into the run's lock files how it ended, in case that nobody is left to write the ledger."""
    facts = end._replace(detail=end.detail[:80], leftovers=())._asdict()
    noted = {key: value for key, value in facts.items() if value not in (None, "", 0, ())}
    for lock in held:
        locks.write(lock.fd, record | {"pid": os.getpid(), "end": noted})


def _noted(run_id: str, noted: dict[str, Any]) -> RunEnd:
    known = {key: value for key, value in noted.items() if key in RunEnd._fields}
    return RunEnd(**(known | {"run_id": run_id, "leftovers": ()}))
