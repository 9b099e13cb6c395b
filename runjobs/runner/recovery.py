"""Recovery: what a dead runner or a dead guard left open is found, ended and recorded.

A run's guard is alive exactly while the run's lock is held. So the lock is taken first, and only then judged.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from runjobs.adapters import cgroup, clock, lockjournal, locks, process
from runjobs.adapters.ledger import LedgerError, Skip
from runjobs.core.again import again_at
from runjobs.core.fire import Trigger
from runjobs.core.job import Catchup
from runjobs.core.outcome import Outcome
from runjobs.core.plan import start_of
from runjobs.core.run import RunEnd, end_from
from runjobs.guard.remains import PATIENCE, Remains, kill_remains

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger import Ledger, Orphan, RunnerId
    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job
    from runjobs.core.run import ProcessId, Unended

    Undertake = Callable[[Unended, Lock, Remains], object]


INTERRUPTED: Final = Outcome.INTERRUPTED.value


def recover(
    ledger: Ledger,
    folder: Path,
    mine: Collection[str],
    jobs: Mapping[str, Job],
    undertake: Undertake,
) -> list[tuple[Unended, RunEnd | LedgerError]]:
    """End every run whose guard is dead, but those in `mine`; the runs with their ends, as they were recorded.

    Each is a matter of its own: one whose end can't be recorded comes with the reason, and keeps no other waiting.
    `folder` is where the locks are: a state folder may have been moved, so of what is stored the name alone counts.
    `jobs` say whether a run that was cut short is run again. A run of which something is left that takes longer to
    kill is given to `undertake` with its lock.
    """
    others = [run for run in ledger.unended() if run.run_id not in mine]
    found: list[tuple[Unended, RunEnd | LedgerError]] = []
    for run in others:
        try:
            if (end := recover_one(ledger, folder, run, jobs.get(run.job), undertake)) is not None:
                found.append((run, end))
        except LedgerError as error:
            found.append((run, error))
    return found


def recover_one(ledger: Ledger, folder: Path, run: Unended, job: Job | None, undertake: Undertake) -> RunEnd | None:
    """End one run if its lock is free.

    None while it is held, or can't be opened, or somebody else ended the run, or an undertaker has it now.
    """
    try:
        lock = locks.take(lock_of(folder, run.lock))
    except OSError:
        return None
    if lock is None:
        return None
    try:
        if not _is_unended(ledger, run.run_id):
            return None  # it ended well between our look and our lock, and what it left behind may live on
        end = examine(run, folder, job)
        if isinstance(end, RunEnd):
            return end if ledger.record((), [end]) else None
        undertake(run, lock, end)
        return None
    finally:
        os.close(lock.fd)


def _is_unended(ledger: Ledger, run_id: str) -> bool:
    return any(run.run_id == run_id for run in ledger.unended())


def lock_of(folder: Path, stored: str) -> Path:
    """Where a lock is now whose path was stored."""
    return folder / os.path.basename(stored)


def examine(run: Unended, folder: Path, job: Job | None, patience: float = PATIENCE) -> RunEnd | Remains:
    """How a run ended whose lock is free: as its guard noted, else interrupted, once nothing of it is left alive.

    Remains where that takes longer than `patience`, in seconds. The caller holds the run's lock.
    """
    path = lock_of(folder, run.lock)
    record = locks.read(path)
    if record.get("run") == run.run_id and (noted := _noted(record, run)) is not None:
        return noted
    if (told := _journalled(run, path, job)) is not None:
        return told
    if run.process is not None and run.process.boot_id not in {"", clock.boot_id()}:  # "": it was not looked up in time
        detail = "the machine was restarted"
        return _cut_short(run, job, RunEnd(run.run_id, INTERRUPTED, "reboot", detail))
    remains = kill_remains(run.run_id, run.process, cgroup.find_base(), patience)
    return remains if remains.stuck else guard_died(run, job, remains)


def _noted(record: dict[str, Any], run: Unended) -> RunEnd | None:
    """The end that the guard noted in the lock file; None where that says nothing, or what no guard says."""
    noted = record.get("end")
    try:
        return end_from(noted | {"run_id": run.run_id}) if isinstance(noted, dict) else None
    except (TypeError, ValueError):
        return None


def guard_died(run: Unended, job: Job | None, remains: Remains) -> RunEnd:
    """The end of a run whose guard is dead, after what was left of it was killed."""
    detail = "the guard of this run was killed"
    if is_elsewhere(run.process):
        detail = "its guard is gone; it ran in another PID namespace, of which nothing can be seen from here"
    if remains.killed:
        detail += f"; {len(remains.killed)} of its processes were still there and were killed"
    return _cut_short(run, job, RunEnd(run.run_id, INTERRUPTED, "guard-died", detail))


def is_elsewhere(main: ProcessId | None) -> bool:
    """Whether a process belongs to another PID namespace than ours, such as that of another container."""
    return main is not None and main.boot_id == clock.boot_id() and not process.is_here(main)


def _cut_short(run: Unended, job: Job | None, end: RunEnd) -> RunEnd:
    """The end of a run that was cut short, as of now."""
    return _with_again(run, job, end._replace(ended_at=clock.now().timestamp()))


def _with_again(run: Unended, job: Job | None, end: RunEnd) -> RunEnd:
    return end if job is None else end._replace(again_at=again_at(job.options, run.attempt, end))


def sweep(end_of: Callable[[str], object | None], base: str | None, mine: Collection[str]) -> None:
    """Remove the empty control groups of runs that have ended, but those in `mine`.

    Somebody was still in them at the end. One that is empty may also be of a run that is about to start.
    """
    for run_id, leaf in cgroup.leaves(base):
        if run_id not in mine and not leaf.members() and end_of(run_id) is not None:
            leaf.remove()


def unsettled(run_id: str) -> RunEnd:
    """What can be said of a run whose guard died while nothing more is known."""
    detail = "the guard of this run was killed"
    return RunEnd(run_id, INTERRUPTED, "guard-died", detail, ended_at=clock.now().timestamp())


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
    is_late = now - start_of(job, orphan.fire.scheduled_at) > job.options.start_within
    if is_late and job.options.catchup is Catchup.NONE and orphan.fire.trigger is not Trigger.WATCH:
        return Skip(orphan.fire_id, Outcome.MISSED.value, "down", "its runner was killed before it started")
    return None


class Owned(Protocol):
    """What belongs to a runner: a claim, a fire that waits, a run."""

    @property
    def runner(self) -> str:
        """The runner's id."""

    @property
    def runner_lock(self) -> str:
        """The lock that it holds while it lives."""


def is_alive(owned: Owned, folder: Path) -> bool:
    """Whether the runner to which something belongs still holds its lock.

    It is taken for a moment to find out: one that is held in another container can't be seen in any other way.
    """
    path = lock_of(folder, owned.runner_lock)
    if not owned.runner_lock or locks.read(path).get("runner", owned.runner) != owned.runner:
        return False  # an empty record is of a full disk: who holds the lock may be the one
    lock = locks.take(path)
    if lock is None:
        return True
    os.close(lock.fd)
    return False


def note(held: Sequence[Lock], record: dict[str, Any], end: RunEnd) -> None:
    """In the guard: write into the run's lock files how it ended, in case that nobody is left to write the ledger."""
    facts = end._replace(detail=end.detail[:80], leftovers=())._asdict()
    noted = {key: value for key, value in facts.items() if value != RunEnd._field_defaults.get(key)}
    for lock in held:
        locks.write(lock.fd, record | {"pid": os.getpid(), "end": noted})


def _journalled(run: Unended, path: Path, job: Job | None) -> RunEnd | None:
    """The end that a runner wrote into the journal of the job's lock file, which the ledger has not been told yet."""
    journal = lockjournal.read(path.with_name(path.name.partition("+")[0]))
    for entry in journal.entries:
        if entry.run_id == run.run_id and entry.outcome:
            return _with_again(run, job, entry.end)
    return None
