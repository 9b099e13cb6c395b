"""The ledger in SQLite: one file, write-ahead log, every commit on disk before it counts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runjobs.adapters.ledger import Claimed, LedgerError, rows
from runjobs.adapters.ledger.opening import connect, explain
from runjobs.core.fire import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger import Begin, Decide, Orphan, RunnerId, Skip
    from runjobs.core.fire import Fire, Mark
    from runjobs.core.plan import Decision
    from runjobs.core.run import RunEnd, Start, Started, Unended

CHUNK: Final = 500  # names in one query; SQLite allows 999 variables where it is old
Result = TypeVar("Result")


class SqliteLedger:
    """A ledger in one SQLite file. One per process, never used after a fork (sqlite.org/howtocorrupt.html, 2.6)."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Keep an open connection; `open_ledger` makes one."""
        self._connection = connection
        self._path = path

    def marks(self) -> dict[str, Mark]:
        """The mark of every job that has one."""
        return self._guarded(lambda: self._read_marks(None))

    def claim(
        self,
        runner: RunnerId,
        now: datetime,
        jobs: Sequence[str] | None,
        decide: Decide,
        begin: Begin | None = None,
    ) -> tuple[list[Claimed], list[Decision]]:
        """Read marks, decide on them, and write marks, misses and claims: see the interface."""

        def step() -> tuple[list[Claimed], list[Decision]]:
            decisions = list(decide(self._read_marks(jobs)))
            self._write_marks(decisions)
            self._write_misses(decisions, now)
            fires = [fire for decision in decisions for fire in decision.claims]
            claims = [claimed for fire in fires if (claimed := self._claim(runner, now, fire))]
            if begin is not None:
                self._begin(runner, now, *begin(claims))
            return claims, decisions

        return self._write(step)

    def claim_one(self, runner: RunnerId, now: datetime, fire: Fire) -> Claimed | None:
        """Claim one fire that has no mark; None when it is known already."""
        return self._write(lambda: self._claim(runner, now, fire))

    def forget(self, jobs: Iterable[str]) -> None:
        """Drop the marks of jobs that are gone."""
        names = [(job,) for job in jobs]
        self._write(lambda: self._connection.executemany("DELETE FROM marks WHERE job = ?", names))

    def start(self, runner: RunnerId, now: datetime, starts: Sequence[Start], skips: Sequence[Skip]) -> set[str]:
        """Record runs about to start and fires that do not; the ids of the runs whose claim was still ours."""
        return self._write(lambda: self._begin(runner, now, starts, skips))

    def record(self, started: Sequence[Started], ends: Sequence[RunEnd]) -> list[str]:
        """Record that runs have started and how runs ended; the ids of those that this call ended."""

        def step() -> list[str]:
            for start in started:
                self._running(start)
            return [end.run_id for end in ends if self._end(end)]

        return self._write(step)

    def unended(self) -> list[Unended]:
        """Every run without an end, oldest first."""
        query = (
            "SELECT runs.id, fires.id, fires.job, fires.scheduled_at, lock, guard_pid, pid, start_time, boot_id,"
            " pid_namespace FROM runs JOIN fires ON fires.id = runs.fire WHERE runs.state <> 'ended' ORDER BY runs.id"
        )
        return self._guarded(lambda: [rows.unended(row) for row in self._execute(query)])

    def orphans(self) -> list[Orphan]:
        """Every claim without a start, oldest first: a living runner's too."""
        query = (
            "SELECT id, job, trigger, scheduled_at, key, runner, runner_lock FROM fires"
            " WHERE state = 'claimed' ORDER BY id"
        )
        return self._guarded(lambda: [rows.orphan(row) for row in self._execute(query)])

    def is_unsettled(self) -> bool:
        """Whether any run is without an end, or any claim without a start."""
        query = (
            "SELECT EXISTS(SELECT 1 FROM runs WHERE state <> 'ended')"
            " OR EXISTS(SELECT 1 FROM fires WHERE state = 'claimed')"
        )
        return bool(self._guarded(lambda: self._execute(query).fetchone())[0])

    def reclaim(self, orphan: Orphan, runner: RunnerId, now: datetime) -> bool:
        """Take over a dead runner's claim; False when somebody was faster."""
        update = (
            "UPDATE fires SET runner = ?, runner_lock = ?, claimed_at = ?"
            " WHERE id = ? AND state = 'claimed' AND runner = ?"
        )
        row = (*runner, milliseconds(now), orphan.fire_id, orphan.runner)
        return self._write(lambda: self._execute(update, row).rowcount == 1)

    def drop(self, skip: Skip, orphan: Orphan, now: datetime) -> bool:
        """End a dead runner's claim that starts no more; False when somebody was faster."""
        return self._write(lambda: self._skip(skip, orphan.runner, now))

    def remember(self, key: str, value: str) -> None:
        """Keep a small fact over passes."""
        self._write(lambda: self._execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value)))

    def recall(self, key: str) -> str | None:
        """A small fact that was kept, or None."""
        row = self._guarded(lambda: self._execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone())
        return str(row[0]) if row else None

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):  # a full disk: the log is folded in by who opens it next
            self._connection.close()

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def _guarded(self, step: Callable[[], Result]) -> Result:
        try:
            return step()
        except sqlite3.Error as error:
            raise LedgerError(explain(self._path, error)) from error

    def _write(self, step: Callable[[], Result]) -> Result:
        return self._guarded(lambda: self._transaction(step))

    def _transaction(self, step: Callable[[], Result]) -> Result:
        self._execute("BEGIN IMMEDIATE")
        try:
            result = step()
            self._execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                self._execute("ROLLBACK")
            raise
        return result

    def _read_marks(self, jobs: Sequence[str] | None) -> dict[str, Mark]:
        columns = "SELECT job, schedule_key, watermark, next_fire, next_start, utc_offset FROM marks"
        if jobs is None:
            return {row[0]: rows.mark(row) for row in self._execute(columns)}
        found = {}
        for some in _chunks(jobs):
            places = ",".join("?" * len(some))
            for row in self._execute(f"{columns} WHERE job IN ({places})", some):
                found[row[0]] = rows.mark(row)
        return found

    def _write_marks(self, decisions: Iterable[Decision]) -> None:
        # the watermark moves on, never back, but for a schedule that is a new one
        self._connection.executemany(
            "INSERT INTO marks VALUES (?,?,?,?,?,?) ON CONFLICT(job) DO UPDATE SET"
            " schedule_key = excluded.schedule_key, watermark = excluded.watermark,"
            " next_fire = excluded.next_fire, next_start = excluded.next_start, utc_offset = excluded.utc_offset"
            " WHERE excluded.watermark >= watermark OR excluded.schedule_key <> schedule_key",
            [rows.mark_row(decision) for decision in decisions],
        )

    def _write_misses(self, decisions: Iterable[Decision], now: datetime) -> None:
        misses = [
            (
                *(miss.job, miss.trigger.value, str(milliseconds(miss.first)), milliseconds(miss.first)),
                *(milliseconds(miss.last), miss.number, miss.outcome, miss.reason, miss.detail, milliseconds(now)),
            )
            for decision in decisions
            for miss in decision.missed
        ]
        self._connection.executemany(
            "INSERT OR IGNORE INTO fires(job, trigger, key, scheduled_at, last_at, count, state, outcome, reason,"
            " detail, ended_at) VALUES (?,?,?,?,?,?,'ended',?,?,?,?)",
            misses,
        )

    def _claim(self, runner: RunnerId, now: datetime, fire: Fire) -> Claimed | None:
        at = milliseconds(fire.scheduled_at)
        cursor = self._execute(
            "INSERT OR IGNORE INTO fires(job, trigger, key, scheduled_at, last_at, state, runner, runner_lock,"
            " claimed_at) VALUES (?,?,?,?,?,'claimed',?,?,?)",
            (fire.job, fire.trigger.value, fire.key, at, at, *runner, milliseconds(now)),
        )
        return Claimed(int(cursor.lastrowid or 0), fire) if cursor.rowcount == 1 else None

    def _begin(self, runner: RunnerId, now: datetime, starts: Iterable[Start], skips: Iterable[Skip]) -> set[str]:
        for skip in skips:
            self._skip(skip, runner.id, now)
        return {start.run_id for start in starts if self._start(runner, start)}

    def _start(self, runner: RunnerId, start: Start) -> bool:
        update = (
            "UPDATE fires SET state = 'starting', runner_lock = NULL WHERE id = ? AND state = 'claimed' AND runner = ?"
        )
        if self._execute(update, (start.fire_id, runner.id)).rowcount != 1:
            return False
        self._execute(
            "INSERT INTO runs(id, fire, attempt, state, lock, log, runner) VALUES (?,?,?,'starting',?,?,?)",
            (start.run_id, start.fire_id, start.attempt, start.lock, start.log, runner.id),
        )
        return True

    def _skip(self, skip: Skip, runner: str, now: datetime) -> bool:
        update = (
            "UPDATE fires SET state = 'ended', outcome = ?, reason = ?, detail = ?, ended_at = ?"
            " WHERE id = ? AND state = 'claimed' AND runner = ?"
        )
        row = (skip.outcome, skip.reason, skip.detail, milliseconds(now), skip.fire_id, runner)
        return self._execute(update, row).rowcount == 1

    def _running(self, started: Started) -> None:
        self._execute(
            "UPDATE runs SET state = 'running', guard_pid = ?, pid = ?, start_time = ?, boot_id = ?,"
            " pid_namespace = ?, started_at = ? WHERE id = ? AND state = 'starting'",
            (started.guard_pid, *started.process, int(started.started_at * 1000), started.run_id),
        )
        self._execute(
            "UPDATE fires SET state = 'running' WHERE state = 'starting' AND id = (SELECT fire FROM runs WHERE id = ?)",
            (started.run_id,),
        )

    def _end(self, end: RunEnd) -> bool:
        row = end._asdict() | {
            "leftovers": json.dumps(end.leftovers) if end.leftovers else None,
            "started_at": int(end.started_at * 1000) or None,
            "ended_at": int((end.ended_at or time.time()) * 1000),
        }
        columns = ", ".join(f"{name} = :{name}" for name in row if name not in {"run_id", "started_at"})
        sql = (
            f"UPDATE runs SET state = 'ended', started_at = coalesce(started_at, :started_at), {columns}"  # noqa: S608
            " WHERE id = :run_id AND state <> 'ended'"
        )
        if self._execute(sql, row).rowcount != 1:  # type: ignore[arg-type]  # a mapping, for named places
            return False
        self._execute(
            "UPDATE fires SET state = 'ended', outcome = ?, reason = ?, detail = ?, ended_at = ?"
            " WHERE state <> 'ended' AND id = (SELECT fire FROM runs WHERE id = ?)",
            (end.outcome, end.reason, end.detail, row["ended_at"], end.run_id),
        )
        return True


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), CHUNK):
        yield names[first : first + CHUNK]


def open_ledger(path: Path, *, announce: Callable[[str], None]) -> SqliteLedger:
    """Open the ledger, or begin one; a broken one is set aside, which `announce` is told in a sentence."""
    return SqliteLedger(connect(path, announce=announce), path)
