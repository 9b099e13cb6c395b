"""A ledger that catches up: it takes in what lock files, a broken ledger or a stand-in know and it does not.

Whatever is taken in twice is there once: runs are known by their ids, fires by job, trigger and key.
"""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.adapters.ledger import LedgerError, bytewise, onces, runs
from runjobs.adapters.ledger.news import SILENT
from runjobs.adapters.ledger.opening import connect_reading, explain
from runjobs.adapters.ledger.schema import STEPS
from runjobs.adapters.ledger.sqlite import SqliteLedger
from runjobs.core.fire import Trigger
from runjobs.core.journal import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from runjobs.core.journal import Journal

    Row = dict[str, Any]

# no zone is that far from UTC: what comes after such a mark is worked out anew when somebody looks at it
STALE: Final = timedelta(days=2)
# how far a fire has come; one that waits between two attempts is further than the attempt that it has had
RANKS: Final = {"claimed": 0, "starting": 2, "running": 3, "waiting": 4, "ended": 5}
OPEN_FIRES: Final = (
    "SELECT * FROM fires WHERE state IN ('claimed', 'waiting') UNION"
    " SELECT * FROM fires WHERE id IN (SELECT fire FROM runs WHERE state <> 'ended') UNION"
    " SELECT * FROM fires WHERE id IN (SELECT (SELECT id FROM fires WHERE fires.job = marks.job"
    " ORDER BY scheduled_at DESC, id DESC LIMIT 1) FROM marks)"
)
OPEN_RUNS: Final = (
    "SELECT * FROM runs WHERE state <> 'ended' UNION"
    " SELECT * FROM runs WHERE fire IN (SELECT id FROM fires WHERE state IN ('claimed', 'waiting'))"
)


class Past(NamedTuple):
    """What the lock file of a job tells; `lock` is its path, `logs` the folder of the job's logs."""

    job: str
    lock: str
    logs: str
    journal: Journal


class Copy(NamedTuple):
    """Rows of a ledger, by their columns: marks, pauses and facts, fires and their runs, onces and watched paths."""

    marks: Sequence[Row] = ()
    pauses: Sequence[Row] = ()
    facts: Sequence[Row] = ()
    fires: Sequence[Row] = ()
    runs: Sequence[Row] = ()
    onces: Sequence[Row] = ()
    watches: Sequence[Row] = ()


class CatchingUp(SqliteLedger):
    """A ledger in SQLite that can take in what it was not told at the time."""

    def is_new(self) -> bool:
        """Whether nothing was ever recorded in it."""
        query = "SELECT EXISTS(SELECT 1 FROM fires) OR EXISTS(SELECT 1 FROM marks)"
        return not self._guarded(lambda: self._execute(query).fetchone())[0]

    def knows(self, pasts: Iterable[Past]) -> bool:
        """Whether it has all of this already."""
        return self._guarded(lambda: not any(self._is_news(past) for past in pasts))

    def catch_up(self, pasts: Iterable[Past]) -> int:
        """Take in what lock files tell; how many runs and fires of it were news. One transaction."""
        return self._write(lambda: sum(map(self._bring_in, pasts)))

    def take_in(self, copy: Copy, pasts: Iterable[Past] = ()) -> int:
        """Take in the rows of a ledger that stood in, then what lock files tell; how many runs and fires were news."""
        return self._write(lambda: self._merge(copy) + sum(map(self._bring_in, pasts)))

    def _is_news(self, past: Past) -> bool:
        mark = self._execute("SELECT watermark FROM marks WHERE job = ?", (past.job,)).fetchone()
        behind = past.journal.watermark_ms is not None and (mark is None or mark[0] < past.journal.watermark_ms)
        return behind or any(self._is_entry_news(past, entry) for entry in past.journal.entries)

    def _is_entry_news(self, past: Past, entry: Entry) -> bool:
        if entry.kind is Kind.FIRES:
            query = "SELECT 1 FROM fires WHERE job = ? AND trigger = ? AND key = ?"
            return self._execute(query, self._key(past.job, entry)).fetchone() is None
        known = self._execute("SELECT state FROM runs WHERE id = ?", (entry.run_id,)).fetchone()
        return known is None or (bool(entry.outcome) and known[0] != "ended")

    def _bring_in(self, past: Past) -> int:
        news = sum(self._bring_entry(past, entry) for entry in past.journal.entries)
        if past.journal.watermark_ms is not None:
            self._raise_mark(past.job, past.journal.watermark_ms, past.journal.key)
        return news

    def _bring_entry(self, past: Past, entry: Entry) -> bool:
        if entry.kind is Kind.FIRES:
            return self._insert_fire(past, entry) is not None
        known = self._execute("SELECT state FROM runs WHERE id = ?", (entry.run_id,)).fetchone()
        if known is None:
            self._insert_run(past, entry)
        elif known[0] != "ended" and entry.outcome:
            runs.end(self._connection, entry.end)
            return True
        return known is None

    def _insert_fire(self, past: Past, entry: Entry) -> int | None:
        """Write fires without a run; the row's id, or None where the first of them is known."""
        last = entry.begun_ms if entry.kind is Kind.FIRES else 0
        row = (*self._key(past.job, entry), entry.scheduled_ms, max(entry.scheduled_ms, last))
        count = entry.number if entry.kind is Kind.FIRES else 1
        ended = entry.ended_ms or entry.begun_ms or entry.scheduled_ms
        attempts = 0 if entry.kind is Kind.FIRES else entry.number
        cursor = self._execute(
            "INSERT OR IGNORE INTO fires(job, trigger, key, scheduled_at, last_at, count, state, outcome, reason,"
            " detail, claimed_at, ended_at, attempts) VALUES (?,?,?,?,?,?,'ended',?,?,?,?,?,?)",
            (*row, count, entry.outcome, entry.reason, entry.detail, entry.scheduled_ms, ended, attempts),
        )
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def _insert_run(self, past: Past, entry: Entry) -> None:
        fire = self._insert_fire(past, entry) or self._find_fire(past, entry)
        lock = past.lock if entry.slot == 1 else f"{past.lock}+{entry.slot}"
        state = "ended" if entry.outcome else "starting"
        self._execute(
            "INSERT INTO runs(id, fire, attempt, state, lock, log, started_at, ended_at, outcome, reason, detail,"
            " exit_code, signal) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(entry.run_id, fire, entry.number, state, lock, f"{past.logs}/{entry.run_id}.log"),
                *(entry.begun_ms or None, entry.ended_ms or None, entry.outcome or None, entry.reason, entry.detail),
                *(entry.exit_code, entry.signal),
            ),
        )
        self._execute(
            "UPDATE fires SET state = ?, outcome = ?, reason = ?, detail = ?, ended_at = ?, attempts = ?, wait = NULL"
            " WHERE id = ? AND (attempts <= ? OR state <> 'ended')",
            (
                *(state, entry.outcome or None, entry.reason, entry.detail, entry.ended_ms or None),
                *(entry.number, fire, entry.number),
            ),
        )

    def _find_fire(self, past: Past, entry: Entry) -> int:
        query = "SELECT id FROM fires WHERE job = ? AND trigger = ? AND key = ?"
        return int(self._execute(query, self._key(past.job, entry)).fetchone()[0])

    def _key(self, job: str, entry: Entry) -> tuple[str, str, str]:
        """What tells a fire from all others; of a boot the journal has room for the beginning only."""
        key = entry.fire(job).key
        if entry.trigger is Trigger.BOOT:
            query = "SELECT key FROM fires WHERE job = ? AND trigger = ? AND substr(key, 1, ?) = ?"
            row = self._execute(query, (job, entry.trigger.value, len(key), key)).fetchone()
            key = row[0] if row is not None else key
        return job, entry.trigger.value, key

    def _raise_mark(self, job: str, watermark: int, key: str) -> None:
        row = self._execute("SELECT schedule_key, watermark FROM marks WHERE job = ?", (job,)).fetchone()
        key = key or (row[0] if row is not None else "")
        if not key or (row is not None and row[1] >= watermark):
            return
        offset = int(STALE.total_seconds())
        values = (job, key, watermark, watermark, watermark, offset)
        self._execute("INSERT OR REPLACE INTO marks VALUES (?,?,?,?,?,?)", values)

    def _merge(self, copy: Copy) -> int:
        self._merge_marks(copy.marks)
        ids: dict[int, int] = {}
        news = sum(self._merge_fire(row, ids) for row in copy.fires)
        for row in copy.onces:
            self._merge_once(row)
        for row in copy.watches:
            self._put("watches", row)
        return news + sum(self._merge_run(row, ids[row["fire"]]) for row in copy.runs if row["fire"] in ids)

    def _merge_marks(self, marks: Iterable[Row]) -> None:
        for row in marks:
            known = self._execute("SELECT watermark FROM marks WHERE job = ?", (row["job"],)).fetchone()
            if known is None or known[0] < row["watermark"]:
                self._put("marks", row)

    def _merge_fire(self, row: Row, ids: dict[int, int]) -> bool:
        """Write a fire, or how far it has come meanwhile; its id here goes to `ids`."""
        identity = (row["job"], row["trigger"], row["key"])
        known = self._execute(
            "SELECT id, attempts, state FROM fires WHERE job = ? AND trigger = ? AND key = ?", identity
        ).fetchone()
        if known is None:
            taken = self._execute("SELECT 1 FROM fires WHERE id = ?", (row["id"],)).fetchone()
            fresh = {key: value for key, value in row.items() if key != "id" or not taken}
            ids[row["id"]] = self._put("fires", fresh)
            return True
        ids[row["id"]] = known[0]
        if (row["attempts"], RANKS[row["state"]]) > (known[1], RANKS[known[2]]):
            self._put("fires", row | {"id": known[0]})
        return False

    def _merge_once(self, row: Row) -> None:
        known = "SELECT EXISTS(SELECT 1 FROM onces WHERE job = ?1 OR id = ?2)"
        if not self._execute(known, (row["job"], row["id"])).fetchone()[0] and not onces.is_over(self._connection, row):
            self._put("onces", row)

    def _merge_run(self, row: Row, fire: int) -> bool:
        known = self._execute("SELECT state FROM runs WHERE id = ?", (row["id"],)).fetchone()
        if known is None or RANKS[known[0]] < RANKS[row["state"]]:
            self._put("runs", row | {"fire": fire})
        return known is None

    def _put(self, table: str, row: Row) -> int:
        """Write a row under the columns that this ledger has; the row's id."""
        names = ", ".join(row)
        places = ", ".join("?" * len(row))
        cursor = self._execute(f"REPLACE INTO {table}({names}) VALUES ({places})", tuple(row.values()))  # noqa: S608
        return int(cursor.lastrowid or 0)


def in_memory() -> sqlite3.Connection:
    """An empty ledger that is on no disk."""
    connection = bytewise.connect(":memory:")
    connection.executescript("".join(STEPS) + SILENT)
    return connection


def salvage(path: Path, *, broken: bool = False) -> Copy:
    """The open state of a ledger that can't be written; of a broken one what can be read. LedgerError for none."""
    try:
        with contextlib.closing(connect_reading(path, broken=broken)) as connection:
            return read_open(connection, broken=broken)
    except sqlite3.Error as error:
        raise LedgerError(explain(path, error)) from error


def read_open(connection: sqlite3.Connection, *, broken: bool = False) -> Copy:
    """All that is not settled yet, and the newest fire of each job. sqlite3.Error unless it is known to be broken."""
    queries = ("SELECT * FROM marks", "SELECT * FROM pauses", "SELECT * FROM facts", OPEN_FIRES, OPEN_RUNS)
    # half of what a damaged file holds is better than nothing
    heedless = contextlib.suppress(sqlite3.Error) if broken else contextlib.nullcontext()
    found: list[list[Row]] = [[] for _ in queries]
    for rows, query in zip(found, queries, strict=True):
        with heedless:
            rows.extend(as_rows(connection.execute(query)))
    with contextlib.suppress(sqlite3.Error):  # one of an older version, which can't be led to this one, has none
        found += [list(as_rows(connection.execute(f"SELECT * FROM {table}"))) for table in ("onces", "watches")]  # noqa: S608
    return Copy(*found)


def as_rows(cursor: sqlite3.Cursor) -> Iterator[Row]:
    """What a query gives, by the names of its columns."""
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)
