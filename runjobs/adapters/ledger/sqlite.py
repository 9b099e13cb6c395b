"""The ledger in SQLite: one file, write-ahead log, every commit on disk before it counts."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runjobs.adapters.ledger import Claims, LedgerError, marks, news, onces, pruning, rows, runs, waits, watches
from runjobs.adapters.ledger.bytewise import legible
from runjobs.adapters.ledger.opening import FAULTS, connect, explain
from runjobs.core.fire import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger import Appointed, Begin, Beginning, Claimed, Decide, Newest, Orphan, RunnerId, Skip
    from runjobs.adapters.ledger.pruning import Keep
    from runjobs.core.fire import Fire, Mark, Waiting
    from runjobs.core.metrics import Lag, Tally
    from runjobs.core.news import Terms
    from runjobs.core.once import Once, Planned
    from runjobs.core.pausing import Pause
    from runjobs.core.run import RunEnd, Started, Unended

CHUNK: Final = 500  # names in one query; SQLite allows 999 variables where it is old
Result = TypeVar("Result")


class SqliteLedger:
    """A ledger in one SQLite file. One per process, never used after a fork (sqlite.org/howtocorrupt.html, 2.6)."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Keep an open connection; `open_ledger` makes one."""
        self._connection = connection
        self._path = path

    def marks(self, jobs: Sequence[str] | None = None) -> dict[str, Mark]:
        """The marks of these jobs that have one (None: of all)."""
        return self._guarded(lambda: marks.read(self._connection, jobs))

    def claim(
        self,
        runner: RunnerId,
        now: datetime,
        jobs: Sequence[str] | None,
        decide: Decide,
        begin: Begin | None = None,
    ) -> Claims:
        """Read marks, decide on them, and write marks, misses and claims: see the interface."""

        def step() -> Claims:
            decisions = list(decide(marks.read(self._connection, jobs)))
            for decision in decisions:
                marks.reset(self._connection, decision)
            marks.write(self._connection, decisions)
            marks.write_misses(self._connection, decisions, now)
            for decision in decisions:
                watches.keep(self._connection, decision.job, decision.watched)
            claimed: list[Claimed] = []
            superseded: list[Waiting] = []
            for decision in decisions:
                new = [one for fire in decision.claims if (one := runs.claim(self._connection, runner, now, fire))]
                if new and decision.supersedes:
                    superseded += waits.supersede(self._connection, new[-1].fire, now)
                claimed += new
            if begin is not None:
                runs.begin(self._connection, runner, now, begin(claimed))
            return Claims(claimed, decisions, superseded)

        return self._write(step)

    def claim_one(self, runner: RunnerId, now: datetime, fire: Fire) -> Claimed | None:
        """Claim one fire that has no mark; None when it is known already."""
        return self._write(lambda: runs.claim(self._connection, runner, now, fire))

    def forget(self, jobs: Iterable[str]) -> None:
        """Drop the marks of jobs that are gone."""
        names = [(job,) for job in jobs]

        def step() -> None:
            self._connection.executemany("DELETE FROM marks WHERE job = ?", names)
            watches.forget(self._connection, names)

        self._write(step)

    def watch_state(self, job: str) -> bytes | None:
        """What was kept last of the paths that a job watches; None: nothing."""
        return self._guarded(lambda: watches.read(self._connection, job))

    def open_jobs(self) -> set[str]:
        """The jobs that have a fire which is claimed, waits or runs."""
        return self._guarded(lambda: watches.open_jobs(self._connection))

    def start(self, runner: RunnerId, now: datetime, beginning: Beginning) -> set[str]:
        """Record runs about to start, fires that do not and fires that wait; the runs that are ours to start."""
        return self._write(lambda: runs.begin(self._connection, runner, now, beginning))

    def start_waiting(self, runner: RunnerId, now: datetime, fires: Sequence[int], begin: Begin) -> list[Claimed]:
        """Try fires that this runner has claimed, or that wait for it: see the interface."""

        def step() -> list[Claimed]:
            mine = waits.of_runner(self._connection, runner, fires)
            runs.begin(self._connection, runner, now, begin(mine))
            return mine

        return self._write(step)

    def waiting(self) -> list[Waiting]:
        """Every fire that waits, oldest first, whoever owns it."""
        return self._guarded(lambda: list(waits.all_waiting(self._connection)))

    def adopt(self, waiting: Waiting, runner: RunnerId) -> bool:
        """Take over a waiting fire whose owner is dead; False when somebody was faster."""
        return self._write(lambda: waits.adopt(self._connection, waiting, runner))

    def cancel(self, skip: Skip, now: datetime) -> bool:
        """End a fire that waits, whoever owns it; False: it does not wait."""
        return self._write(lambda: waits.end(self._connection, skip, now))

    def newest(self, job: str, at: datetime) -> Newest | None:
        """The newest fire of a job scheduled at or before an instant; None: there is none."""
        query = (
            "SELECT min(last_at, ?1), CASE WHEN state = 'ended' THEN outcome END, reason, ended_at FROM fires"
            " WHERE job = ?2 AND scheduled_at <= ?1 AND NOT (trigger = 'manual' AND attempts = 0)"
            " ORDER BY scheduled_at DESC, id DESC LIMIT 1"
        )
        row = self._guarded(lambda: self._execute(query, (milliseconds(at), job)).fetchone())
        return None if row is None else rows.newest(row)

    def has_newer(self, fire: Fire) -> bool:
        """Whether a newer scheduled fire of its job has started, or waits to."""
        return self._guarded(lambda: waits.has_newer(self._connection, fire))

    def has_older(self, fire: Fire) -> bool:
        """Whether an older scheduled fire of its job is claimed or waits, and has had no run yet."""
        return self._guarded(lambda: waits.has_older(self._connection, fire))

    def unended_number(self) -> int:
        """How many runs have no end."""
        query = "SELECT count(*) FROM runs WHERE state <> 'ended'"
        return int(self._guarded(lambda: self._execute(query).fetchone())[0])

    def pauses(self) -> dict[str, Pause]:
        """The jobs that are paused, those too whose pause is over."""
        query = "SELECT job, since, until, reason, who FROM pauses"
        return self._guarded(lambda: {row[0]: rows.pause(row) for row in self._execute(query)})

    def pause(self, pause: Pause) -> None:
        """Pause a job; a pause that it has already is replaced."""
        until = None if pause.until is None else milliseconds(pause.until)
        row = (pause.job, milliseconds(pause.since), until, legible(pause.reason), legible(pause.who))
        self._write(lambda: self._execute("INSERT OR REPLACE INTO pauses VALUES (?,?,?,?,?)", row))

    def resume(self, job: str) -> bool:
        """End a job's pause; False when it had none."""
        return self._write(lambda: self._execute("DELETE FROM pauses WHERE job = ?", (job,)).rowcount == 1)

    def plan_once(self, once: Once) -> Planned | None:
        """Keep a once until its fire has ended; None where its name is taken, or was at that very time."""
        return self._write(lambda: onces.add(self._connection, once))

    def appointed(self) -> list[Appointed]:
        """The numbers, names and times of all onces, those too that run now."""
        return self._guarded(lambda: onces.times(self._connection))

    def onces(self) -> list[Planned]:
        """All onces, those too that run now, in the order of their times."""
        return self._guarded(lambda: onces.read(self._connection))

    def remove_once(self, job: str) -> bool:
        """Let go of a once that has not fired; False where there is none, or its fire is claimed."""
        return self._write(lambda: onces.remove(self._connection, job))

    def prune_onces(self, before: datetime) -> list[str]:
        """Delete what is on record of onces that were over by then, a few hundred at the most; their jobs' names."""
        return self._write(lambda: onces.prune(self._connection, before))

    def record(self, started: Sequence[Started], ends: Sequence[RunEnd]) -> list[str]:
        """Record that runs have started and how runs ended; the ids of those that this call ended."""

        def step() -> list[str]:
            for start in started:
                runs.running(self._connection, start)
            return [end.run_id for end in ends if runs.end(self._connection, end)]

        return self._write(step)

    def unended(self) -> list[Unended]:
        """Every run without an end, oldest first."""
        query = (
            "SELECT runs.id, fires.id, fires.job, fires.scheduled_at, attempt, fires.runner, runner_lock, lock,"
            " guard_pid, pid, start_time, boot_id, pid_namespace FROM runs JOIN fires ON fires.id = runs.fire"
            " WHERE runs.state <> 'ended' ORDER BY runs.id"
        )
        return self._guarded(lambda: [rows.unended(row) for row in self._execute(query)])

    def end_of(self, run_id: str) -> RunEnd | None:
        """How a run ended, as it was recorded first; None while it has not, or where it is not known."""
        return self._guarded(lambda: runs.end_of(self._connection, run_id))

    def orphans(self) -> list[Orphan]:
        """Every claim without a start, oldest first: a living runner's too."""
        query = (
            "SELECT id, job, trigger, scheduled_at, key, runner, runner_lock FROM fires"
            " WHERE state = 'claimed' ORDER BY id"
        )
        return self._guarded(lambda: [rows.orphan(row) for row in self._execute(query)])

    def is_unsettled(self) -> bool:
        """Whether any run is without an end, any claim without a start, or any fire waiting."""
        query = (
            "SELECT EXISTS(SELECT 1 FROM runs WHERE state <> 'ended')"
            " OR EXISTS(SELECT 1 FROM fires WHERE state = 'claimed')"
            " OR EXISTS(SELECT 1 FROM fires WHERE state = 'waiting')"
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
        return self._write(lambda: runs.skip(self._connection, skip, orphan.runner, now))

    def counted(self, jobs: Sequence[str]) -> tuple[dict[str, Tally], list[Lag]]:
        """What is counted of each of these jobs, and how late runs started."""
        from runjobs.adapters.ledger import tallies  # (start-up: few ask)

        return self._guarded(lambda: (tallies.read(self._connection, jobs), tallies.lags(self._connection)))

    def prune(self, keeps: Sequence[Keep], now: datetime) -> int:
        """Delete fires past what is kept of these jobs, a few hundred at the most; how many were deleted."""
        return self._write(lambda: pruning.prune(self._connection, keeps, now))

    def subscriptions(self) -> dict[str, str]:
        """What is to be told of which jobs, as text."""
        return self._guarded(lambda: news.subscriptions(self._connection))

    def subscribe(self, wanted: Mapping[str, Terms], gone: Iterable[str], now: datetime) -> None:
        """Keep what is to be told of these jobs, and that nothing more is of those that are gone."""
        self._write(lambda: news.subscribe(self._connection, wanted, gone, now))

    def news_due(self) -> datetime | None:
        """From when on a sender has something to do; None: nothing is to come."""
        return self._guarded(lambda: news.due(self._connection))

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
        except FAULTS as error:
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


def open_ledger(path: Path, *, announce: Callable[[str], None]) -> SqliteLedger:
    """Open the ledger, or begin one; a broken one is set aside, which `announce` is told in a sentence."""
    return SqliteLedger(connect(path, announce=announce), path)
