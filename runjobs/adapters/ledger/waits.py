"""Fires that wait, in SQLite: put off, tried again, taken over, ended. Each function is a step of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runjobs.adapters.ledger import Claimed, rows
from runjobs.adapters.ledger.bytewise import legible
from runjobs.core.fire import Trigger, WaitFor, milliseconds
from runjobs.core.outcome import SUPERSEDED, Outcome

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from runjobs.adapters.ledger import RunnerId, Skip, Wait
    from runjobs.core.fire import Fire, Waiting
    from runjobs.core.run import RunEnd

WAITING: Final = f"SELECT {rows.WAITING} FROM fires WHERE state = 'waiting'"  # noqa: S608 (columns of ours)
# a job's, or all: by the index of what waits, or their cost would grow with the history
BY_JOB: Final = WAITING.replace("FROM fires", "FROM fires INDEXED BY fires_waiting")
OWN: Final = f"SELECT {rows.WAITING} FROM fires WHERE state IN ('claimed', 'waiting') AND id = ? AND runner = ?"  # noqa: S608
NOT_AGAIN: Final = "not tried again: "
# a fire that has had a run keeps the outcome of the last one
END: Final = (
    "UPDATE fires SET state = 'ended', wait = NULL, ended_at = ?,"
    " detail = CASE WHEN outcome IS NULL THEN ? ELSE ltrim(coalesce(detail, '') || '; ' || ?, '; ') END,"
    " reason = CASE WHEN outcome IS NULL THEN ? ELSE reason END, outcome = coalesce(outcome, ?)"
    " WHERE id = ? AND state = 'waiting' AND coalesce(runner, '') = coalesce(?, runner, '')"
)


def put_off(connection: sqlite3.Connection, runner: RunnerId, now: datetime, wait: Wait) -> None:
    """Have a fire wait that its runner has claimed, or go on waiting for something else."""
    connection.execute(
        "UPDATE fires SET state = 'waiting', wait = ?, waiting_since = coalesce(waiting_since, ?), not_before = ?"
        " WHERE id = ? AND state IN ('claimed', 'waiting') AND runner = ?",
        (wait.wait.value, milliseconds(now), milliseconds(wait.not_before), wait.fire_id, runner.id),
    )


def end(connection: sqlite3.Connection, skip: Skip, now: datetime, runner: str | None = None) -> bool:
    """End a fire that waits, for this runner or (None) for anybody."""
    detail = legible(skip.detail)
    row = (milliseconds(now), detail, NOT_AGAIN + (detail or skip.reason), skip.reason, skip.outcome)
    return connection.execute(END, (*row, skip.fire_id, runner)).rowcount == 1


def try_again(connection: sqlite3.Connection, end: RunEnd, row: dict[str, Any]) -> None:
    """Have the fire of a run that ended wait until it is tried again."""
    at = int((end.again_at or 0.0) * 1000)
    wait = WaitFor.RERUN if end.outcome == Outcome.INTERRUPTED.value else WaitFor.RETRY
    connection.execute(
        "UPDATE fires SET state = 'waiting', outcome = ?, reason = ?, detail = ?, wait = ?, waiting_since = ?,"
        " not_before = ? WHERE id = (SELECT fire FROM runs WHERE id = ?) AND state <> 'ended'",
        (end.outcome, end.reason, row["detail"], wait.value, row["ended_at"], at, end.run_id),
    )


def has_newer(connection: sqlite3.Connection, fire: Fire) -> bool:
    """Whether a newer scheduled fire of the job has started or waits to."""
    query = (
        "SELECT EXISTS(SELECT 1 FROM fires WHERE job = ? AND trigger = ? AND scheduled_at > ?"
        " AND key = CAST(scheduled_at AS TEXT) AND coalesce(outcome, '') NOT IN ('skipped', 'missed'))"
    )
    row = (fire.job, Trigger.SCHEDULE.value, milliseconds(fire.scheduled_at))
    return fire.trigger is Trigger.SCHEDULE and bool(connection.execute(query, row).fetchone()[0])


def supersede(connection: sqlite3.Connection, fire: Fire, now: datetime) -> list[Waiting]:
    """End the older scheduled fires of a job that wait, in favour of this one."""
    if fire.trigger is not Trigger.SCHEDULE:
        return []
    older = connection.execute(
        f"{BY_JOB} AND job = ? AND trigger = ? AND scheduled_at < ?",
        (fire.job, fire.trigger.value, milliseconds(fire.scheduled_at)),
    ).fetchall()
    values = (milliseconds(now), SUPERSEDED, NOT_AGAIN + SUPERSEDED, "superseded", Outcome.MISSED.value)
    connection.executemany(END, [(*values, row[0], None) for row in older])
    return [rows.waiting(row) for row in older]


def has_older(connection: sqlite3.Connection, fire: Fire) -> bool:
    """Whether an older scheduled fire of the job is claimed or waits, and has had no run yet."""
    older = "AND job = ?1 AND trigger = ?2 AND scheduled_at < ?3 AND attempts = 0"
    query = (
        f"SELECT EXISTS(SELECT 1 FROM fires INDEXED BY fires_waiting WHERE state = 'waiting' {older})"  # noqa: S608
        f" OR EXISTS(SELECT 1 FROM fires INDEXED BY fires_claimed WHERE state = 'claimed' {older})"
    )
    row = (fire.job, Trigger.SCHEDULE.value, milliseconds(fire.scheduled_at))
    return bool(connection.execute(query, row).fetchone()[0])


def of_runner(connection: sqlite3.Connection, runner: RunnerId, fires: Sequence[int]) -> list[Claimed]:
    """Those of the fires that this runner has claimed or that still wait for it, oldest first."""
    found = [row for fire in fires for row in connection.execute(OWN, (fire, runner.id))]
    return [_claimed(row) for row in sorted(found, key=lambda row: (row[3], row[0]))]


def _claimed(row: tuple[Any, ...]) -> Claimed:
    if row[5] is None:  # it does not wait yet
        return Claimed(row[0], rows.fire(*row[1:5]), row[8])
    waiting = rows.waiting(row)
    return Claimed(waiting.fire_id, waiting.fire, waiting.attempts, waiting.since, waiting.wait, waiting.not_before)


def all_waiting(connection: sqlite3.Connection) -> Iterable[Waiting]:
    """Every fire that waits, oldest first."""
    return map(rows.waiting, connection.execute(f"{BY_JOB} ORDER BY scheduled_at, id"))


def adopt(connection: sqlite3.Connection, waiting: Waiting, runner: RunnerId) -> bool:
    """Take over a waiting fire from its dead owner."""
    update = "UPDATE fires SET runner = ?, runner_lock = ? WHERE id = ? AND state = 'waiting' AND runner = ?"
    return connection.execute(update, (*runner, waiting.fire_id, waiting.runner)).rowcount == 1
