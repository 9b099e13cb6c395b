"""Claims, starts and ends in SQLite. Each function is a step of a transaction."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from runjobs.adapters.ledger import Claimed, onces, waits, watches
from runjobs.adapters.ledger.bytewise import legible
from runjobs.core.fire import milliseconds
from runjobs.core.run import RunEnd

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from runjobs.adapters.ledger import Beginning, RunnerId, Skip
    from runjobs.core.fire import Fire
    from runjobs.core.run import Start, Started


def claim(connection: sqlite3.Connection, runner: RunnerId, now: datetime, fire: Fire) -> Claimed | None:
    """Claim a fire; None when somebody has claimed it before, or it is of a once that was removed."""
    if onces.is_void(connection, fire):
        return None
    at = milliseconds(fire.scheduled_at)
    cursor = connection.execute(
        "INSERT OR IGNORE INTO fires(job, trigger, key, scheduled_at, last_at, state, runner, runner_lock,"
        " claimed_at) VALUES (?,?,?,?,?,'claimed',?,?,?)",
        (fire.job, fire.trigger.value, fire.key, at, at, *runner, milliseconds(now)),
    )
    return Claimed(int(cursor.lastrowid or 0), fire) if cursor.rowcount == 1 else None


def begin(connection: sqlite3.Connection, runner: RunnerId, now: datetime, beginning: Beginning) -> set[str]:
    """Write what becomes of claimed and of waiting fires; the ids of the runs that are this runner's to start."""
    for each in beginning.skips:
        if not skip(connection, each, runner.id, now):
            waits.end(connection, each, now, runner.id)
    for wait in beginning.waits:
        waits.put_off(connection, runner, now, wait)
    return {start.run_id for start in beginning.starts if _start(connection, runner, start)}


def _start(connection: sqlite3.Connection, runner: RunnerId, start: Start) -> bool:
    update = (
        "UPDATE fires SET state = 'starting', attempts = ?, wait = NULL, waiting_since = NULL, outcome = NULL,"
        " reason = NULL, detail = NULL WHERE id = ? AND state IN ('claimed', 'waiting') AND runner = ?"
    )
    if connection.execute(update, (start.attempt, start.fire_id, runner.id)).rowcount != 1:
        return False
    connection.execute(
        "INSERT INTO runs(id, fire, attempt, state, lock, log, runner, due_at) VALUES (?,?,?,'starting',?,?,?,?)",
        (start.run_id, start.fire_id, start.attempt, start.lock, start.log, runner.id, start.due_ms),
    )
    watches.keep_of_fire(connection, start.fire_id, start.watched)
    return True


def skip(connection: sqlite3.Connection, skip: Skip, runner: str, now: datetime) -> bool:
    """End a claimed fire that does not start; False when it is not this runner's."""
    update = (
        "UPDATE fires SET state = 'ended', outcome = ?, reason = ?, detail = ?, ended_at = ?"
        " WHERE id = ? AND state = 'claimed' AND runner = ?"
    )
    row = (skip.outcome, skip.reason, legible(skip.detail), milliseconds(now), skip.fire_id, runner)
    return connection.execute(update, row).rowcount == 1


def running(connection: sqlite3.Connection, started: Started) -> None:
    """Write that a run has started."""
    connection.execute(
        "UPDATE runs SET state = 'running', guard_pid = ?, pid = ?, start_time = ?, boot_id = ?,"
        " pid_namespace = ?, started_at = ? WHERE id = ? AND state = 'starting'",
        (started.guard_pid, *started.process, int(started.started_at * 1000), started.run_id),
    )
    connection.execute(
        "UPDATE fires SET state = 'running' WHERE state = 'starting' AND id = (SELECT fire FROM runs WHERE id = ?)",
        (started.run_id,),
    )


ENDED: Final = (
    "SELECT runs.id, runs.outcome, runs.reason, runs.detail, exit_code, signal, started_at / 1000.0,"
    " runs.ended_at / 1000.0, cpu_user, cpu_system, max_rss, blocks_in, blocks_out, switches_voluntary,"
    " switches_involuntary, output_bytes, dropped_bytes, leftovers,"
    " CASE WHEN fires.state = 'waiting' AND attempt = attempts THEN not_before / 1000.0 END"
    " FROM runs JOIN fires ON fires.id = runs.fire WHERE runs.id = ? AND runs.state = 'ended'"
)


def end_of(connection: sqlite3.Connection, run_id: str) -> RunEnd | None:
    """How a run ended, and when its fire is tried again if it still waits for that."""
    row = connection.execute(ENDED, (run_id,)).fetchone()
    if row is None:
        return None
    *plain, leftovers, again_at = row
    named = tuple((pid, name) for pid, name in json.loads(leftovers or "[]"))
    known = {key: value for key, value in zip(RunEnd._fields, plain, strict=False) if value is not None}
    return RunEnd(**known, leftovers=named, again_at=again_at)


def end(connection: sqlite3.Connection, end: RunEnd) -> bool:
    """Write how a run ended, and what becomes of its fire; False when it has an end already."""
    row = end._asdict() | {
        "detail": legible(end.detail),
        "leftovers": json.dumps(end.leftovers) if end.leftovers else None,
        "started_at": int(end.started_at * 1000) or None,
        "ended_at": int((end.ended_at or time.time()) * 1000),
    }
    columns = ", ".join(f"{name} = :{name}" for name in row if name not in {"run_id", "started_at", "again_at"})
    sql = (
        f"UPDATE runs SET state = 'ended', started_at = coalesce(started_at, :started_at), {columns}"  # noqa: S608
        " WHERE id = :run_id AND state <> 'ended'"
    )
    if connection.execute(sql, row).rowcount != 1:
        return False
    if end.again_at is not None:
        waits.try_again(connection, end, row)
        return True
    connection.execute(
        "UPDATE fires SET state = 'ended', outcome = ?, reason = ?, detail = ?, ended_at = ?"
        " WHERE state <> 'ended' AND id = (SELECT fire FROM runs WHERE id = ?)",
        (end.outcome, end.reason, row["detail"], row["ended_at"], end.run_id),
    )
    return True
