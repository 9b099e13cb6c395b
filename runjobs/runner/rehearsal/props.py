"""What a rehearsal has in place of the real things: locks that are names in a table, and a ledger in memory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.ledger import Beginning, RunnerId, bytewise
from runjobs.adapters.ledger.schema import STEPS
from runjobs.adapters.ledger.sqlite import SqliteLedger
from runjobs.core.fire import Fire, Trigger
from runjobs.core.job import Overlap
from runjobs.core.outcome import Outcome
from runjobs.core.plan import Decision, mark_after
from runjobs.core.run import RunEnd, Start
from runjobs.core.simulation import last_fire
from runjobs.core.turn import Busy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from runjobs.core.job import Job

RUNNER: Final = RunnerId("rehearsal", "")
SEEDED: Final = timedelta(days=400)  # how old the last fire of a job that others come after may be


class Holder(NamedTuple):
    """Who holds a lock: the run, its job, and since when."""

    run: str
    job: str
    since: datetime


class Locks:
    """Locks and places by name: taken without waiting, all that a job needs or none."""

    def __init__(self) -> None:
        """All are free."""
        self._held: dict[str, Holder] = {}

    def find(self, job: Job) -> tuple[str, ...] | Busy:
        """What a job needs: its own lock, one that it shares, a place in a pool; or what is busy of it."""
        options, wanted = job.options, []
        if options.overlap is not Overlap.ALLOW:
            wanted.append(f"job.{job.name}")
        if options.lock is not None:
            wanted.append(f"lock.{options.lock}")
        for key in wanted:
            if (holder := self._held.get(key)) is not None:
                return _busy(key, holder)
        if (pool := options.pool) is not None:
            places = (f"pool.{pool.name}+{number}" for number in range(pool.size))
            free = next((place for place in places if place not in self._held), None)
            if free is None:
                return Busy(pool.name, {}, places=pool.size)
            wanted.append(free)
        return tuple(wanted)

    def take(self, names: Iterable[str], holder: Holder) -> None:
        """Have a run hold them."""
        self._held |= dict.fromkeys(names, holder)

    def let_go(self, names: Iterable[str]) -> None:
        """They are free."""
        for name in names:
            del self._held[name]


def _busy(key: str, holder: Holder) -> Busy:
    record = {"run": holder.run, "job": holder.job, "pid": 0, "since": holder.since.isoformat(timespec="seconds")}
    return Busy(key.partition(".")[2], record, is_own=key.startswith("job."))


def ledger_in_memory() -> SqliteLedger:
    """A ledger as any runner has it, which nobody else can see and which ends with us."""
    connection = bytewise.connect(":memory:")
    for step in STEPS:
        connection.executescript(step)
    return SqliteLedger(connection, Path(":memory:"))


def seed(ledger: SqliteLedger, jobs: Mapping[str, Job], at: datetime) -> None:
    """Have the jobs that others come after end well, as of their last fire before an instant."""
    for name in sorted({other for job in jobs.values() for other in job.options.after}):
        job = jobs.get(name)
        last = last_fire(job.schedule, at, SEEDED) if job is not None else None
        if job is not None and last is not None:
            _end_well(ledger, job, last)


def _end_well(ledger: SqliteLedger, job: Job, at: datetime) -> None:
    decision = Decision(job.name, mark_after(job, at), (Fire(job.name, Trigger.SCHEDULE, at),))
    claims = ledger.claim(RUNNER, at, [job.name], lambda _: [decision])
    run, moment = f"before {job.name}", at.timestamp()
    ledger.start(RUNNER, at, Beginning([Start(run, claims.claimed[0].fire_id, 1, "", "")]))
    ledger.record([], [RunEnd(run, Outcome.OK.value, started_at=moment, ended_at=moment)])
