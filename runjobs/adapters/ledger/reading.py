"""Reading the ledger in SQLite, to answer questions: a connection that can't write, while runners do.

Every question follows an index, so that its answer takes as long on a million runs as on ten.
"""

from __future__ import annotations

import contextlib
import sqlite3
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runjobs.adapters.ledger import LedgerError, bytewise, glances, marks, onces, rows
from runjobs.adapters.ledger.entries import FIRE, RUN, attempt_of, entry_of
from runjobs.adapters.ledger.opening import FAULTS, connect, explain
from runjobs.adapters.ledger.probing import read_only
from runjobs.adapters.ledger.schema import STEPS, VERSION
from runjobs.core.answers import TROUBLES, Trouble, merged
from runjobs.core.fire import from_milliseconds, milliseconds
from runjobs.core.run import run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from runjobs.core.answers import Attempt, Entry, Past
    from runjobs.core.fire import Mark
    from runjobs.core.once import Planned
    from runjobs.core.pausing import Pause
    from runjobs.core.timeline import Span

Result = TypeVar("Result")

OLDEST: Final = -(1 << 60)  # milliseconds: before any fire
NEWEST: Final = 1 << 60
CHUNK: Final = 500  # ids in one query; SQLite allows 999 variables where it is old
MOST_COUNTED: Final = 1_000  # fires of a trouble that are counted: what is worse than that needs no figure
TRIES: Final = 5  # to find it as it is, while others make it or lead it to this version's tables
MOST_NEAR: Final = 5  # misses looked at for one that spans an instant: stretches of a job don't overlap


class Reader:
    """Answers from one ledger; each call sees it as it is at that moment, and raises LedgerError where it can't."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, is_empty: bool) -> None:
        """Keep an open connection; `open_reader` makes one. `is_empty`: there is no ledger, so nothing is on record."""
        self.is_empty = is_empty
        self._connection = connection
        self._path = path

    def jobs(self) -> list[str]:
        """The names of all jobs that have ever had a fire on record, sorted."""
        # one step per job, not one per fire
        query = (
            "WITH RECURSIVE known(job) AS (SELECT min(job) FROM fires UNION ALL"
            " SELECT (SELECT min(job) FROM fires WHERE job > known.job) FROM known WHERE known.job IS NOT NULL)"
            " SELECT job FROM known WHERE job IS NOT NULL"
        )
        return [row[0] for row in self._query(query)]

    def marks(self) -> dict[str, Mark]:
        """The mark of every job that has one."""
        return self._guarded(lambda: marks.read(self._connection, None))

    def pauses(self) -> dict[str, Pause]:
        """The jobs that are paused, those too whose pause is over."""
        return {row[0]: rows.pause(row) for row in self._query("SELECT job, since, until, reason, who FROM pauses")}

    def onces(self) -> list[Planned]:
        """All that is to run once, and what of it runs now, in the order of their times."""
        return self._guarded(lambda: onces.read(self._connection))

    def open_fires(self) -> list[Entry]:
        """Every fire that has not ended: claimed, about to start, running or waiting; oldest first."""
        ids = chain(
            self._query("SELECT fire FROM runs WHERE state <> 'ended'"),
            self._query("SELECT id FROM fires WHERE state = 'claimed'"),
            self._query("SELECT id FROM fires WHERE state = 'waiting'"),
        )
        return merged(self._by_id([row[0] for row in ids]), None)

    def last_ended(self, job: str) -> Entry | None:
        """The newest fire of a job that has ended."""
        return self._one("job = ? AND state = 'ended'", job)

    def pasts(self, jobs: Sequence[str], most: int) -> dict[str, list[Past]]:
        """The newest `most` fires that have ended of each of these jobs, oldest first, in one question."""
        return self._guarded(lambda: glances.pasts(self._connection, jobs, most))

    def spans(self, jobs: Sequence[str], start: datetime, end: datetime) -> dict[str, list[Span]]:
        """What became of these jobs in a time, as spans of it, in one question."""
        return self._guarded(lambda: glances.spans(self._connection, jobs, start, end))

    def newest(self, job: str) -> Entry | None:
        """The newest fire of a job."""
        return self._one("job = ?", job)

    def oldest(self, job: str) -> Entry | None:
        """The oldest fire of a job that is still on record."""
        return self._one("job = ?", job, order="ASC")

    def around(self, job: str, at: datetime) -> tuple[Entry | None, Entry | None]:
        """The fires on record before an instant and after it."""
        before = self._one("job = ? AND scheduled_at < ?", job, milliseconds(at))
        return before, self._one("job = ? AND scheduled_at > ?", job, milliseconds(at), order="ASC")

    def trouble(self, job: str) -> Trouble | None:
        """What has gone wrong with a job since it last went well; None: nothing has."""
        newest_ok = "SELECT scheduled_at FROM fires WHERE job = ? AND outcome = 'ok' ORDER BY scheduled_at DESC LIMIT 1"
        last_ok = next((row[0] for row in self._query(newest_ok, job)), None)
        found: list[tuple[int, int]] = []
        for outcome in TROUBLES:
            query = (
                "SELECT scheduled_at, max(count, 1) FROM fires WHERE job = ? AND outcome = ? AND scheduled_at > ?"
                " AND state = 'ended' ORDER BY scheduled_at LIMIT ?"
            )
            found += self._query(query, job, outcome, OLDEST if last_ok is None else last_ok, MOST_COUNTED)
        if not found:
            return None
        number = sum(count for _, count in found)
        first = from_milliseconds(min(found)[0])
        return Trouble(first, min(number, MOST_COUNTED), number >= MOST_COUNTED, last_ok is not None)

    def fires(
        self,
        jobs: Sequence[str],
        outcomes: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        most: int | None = None,
    ) -> list[Entry]:
        """The newest `most` fires (None: all) in a time, both ends with it, oldest first.

        Of all jobs where `jobs` is empty, with any outcome where `outcomes` is. A stretch that reaches into the time
        belongs to it.
        """
        low = OLDEST if since is None else milliseconds(since)
        high = NEWEST if until is None else milliseconds(until)
        return merged(self._fires(jobs, outcomes, low, high, most), most)

    def at(self, job: str, start: datetime, end: datetime) -> list[Entry]:
        """The fires of a job scheduled from `start` up to but not at `end`, and the stretch that spans `start`."""
        low, high = milliseconds(start), milliseconds(end) - 1
        found = self._entries("job = ? AND scheduled_at BETWEEN ? AND ? ORDER BY scheduled_at", job, low, high)
        return merged(chain(self._spanning(job, low), found), None)

    def has_at_least(self, job: str, number: int) -> bool:
        """Whether so many fires of a job are on record."""
        query = "SELECT 1 FROM fires WHERE job = ? LIMIT 1 OFFSET ?"
        return bool(self._query(query, job, max(number - 1, 0)))

    def run_ids(self, prefix: str, most: int = 2) -> list[str]:
        """The ids of runs that begin so, at most `most` of them."""
        query = "SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
        return [row[0] for row in self._query(query, prefix, prefix + "\x7f", most)]

    def run(self, run_id: str) -> Entry | None:
        """The fire that a run belongs to, with that run alone."""
        for (fire,) in self._query("SELECT fire FROM runs WHERE id = ?", run_id):
            for entry in self._by_id([fire]):
                return entry._replace(runs=tuple(run for run in entry.runs if run.run_id == run_id))
        return None

    def runs_of(self, job: str, most: int | None) -> list[Entry]:
        """The newest `most` fires of a job that have had a run (None: all), oldest first."""
        limit = -1 if most is None else most
        query = "job = ? AND attempts > 0 ORDER BY scheduled_at DESC, id DESC LIMIT ?"
        return merged(self._entries(query, job, limit), None)

    def runs_begun(self, jobs: Iterable[str], since: datetime) -> list[tuple[str, Attempt]]:
        """The runs of these jobs that began at or after an instant, with their jobs, oldest first."""
        names = set(jobs)
        query = (
            f"SELECT job, {RUN} FROM runs JOIN fires ON fires.id = runs.fire"  # noqa: S608 (columns of ours)
            " WHERE runs.id >= ? ORDER BY runs.id"
        )
        first = run_id(milliseconds(since), 0)
        return [(row[0], attempt_of(row[1:])) for row in self._query(query, first) if row[0] in names]

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _fires(
        self, jobs: Sequence[str], outcomes: Sequence[str], low: int, high: int, most: int | None
    ) -> Iterator[Entry]:
        order = "scheduled_at BETWEEN ? AND ? ORDER BY scheduled_at DESC, id DESC LIMIT ?"
        limit = -1 if most is None else most
        if not jobs and not outcomes:
            yield from self._entries(order, low, high, limit)
        names = jobs or (self.jobs() if outcomes or low > OLDEST else ())
        for job in names:
            for outcome in outcomes:
                yield from self._entries(f"job = ? AND outcome = ? AND {order}", job, outcome, low, high, limit)
            if jobs and not outcomes:
                yield from self._entries(f"job = ? AND {order}", job, low, high, limit)
            if low > OLDEST and (not outcomes or "missed" in outcomes):
                yield from self._spanning(job, low)

    def _spanning(self, job: str, at: int) -> Iterator[Entry]:
        """The stretch that began before an instant and goes on until then or longer."""
        before = f"job = ? AND outcome = 'missed' AND scheduled_at < ? ORDER BY scheduled_at DESC LIMIT {MOST_NEAR}"
        return (entry for entry in self._entries(before, job, at) if milliseconds(entry.last_at) >= at)

    def _one(self, where: str, *values: object, order: str = "DESC") -> Entry | None:
        found = self._entries(f"{where} ORDER BY scheduled_at {order}, id {order} LIMIT 1", *values)
        return found[0] if found else None

    def _by_id(self, ids: Sequence[int]) -> Iterator[Entry]:
        for some in (ids[first : first + CHUNK] for first in range(0, len(ids), CHUNK)):
            yield from self._entries(f"fires.id IN ({','.join('?' * len(some))})", *some)

    def _entries(self, where: str, *values: object) -> list[Entry]:
        query = f"SELECT {FIRE} FROM fires WHERE {where}"  # noqa: S608 (conditions of ours)
        found = self._query(query, *values)
        runs = self._runs([row[0] for row in found if row[17]])
        return [entry_of(row, tuple(runs.get(row[0], ()))) for row in found]

    def _runs(self, fires: Sequence[int]) -> dict[int, list[Attempt]]:
        found: dict[int, list[Attempt]] = {}
        for some in (fires[first : first + CHUNK] for first in range(0, len(fires), CHUNK)):
            places = ",".join("?" * len(some))
            query = f"SELECT {RUN} FROM runs WHERE fire IN ({places}) ORDER BY attempt, id"  # noqa: S608 (places)
            for row in self._query(query, *some):
                found.setdefault(row[1], []).append(attempt_of(row))
        return found

    def _query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._guarded(lambda: self._connection.execute(sql, values).fetchall())

    def _guarded(self, step: Callable[[], Result]) -> Result:
        try:
            return step()
        except FAULTS as error:
            raise LedgerError(explain(self._path, error)) from error


def open_reader(path: Path, *, announce: Callable[[str], None]) -> Reader:
    """Open the ledger to read it. Where there is none, none is made: nothing is on record.

    One of an older version is led to this one's tables first, as any runner would do; one of a newer is a LedgerError.
    """
    for _ in range(TRIES if path.exists() else 0):
        try:
            connection, version = read_only(path, announce)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(_explain(path, error)) from error
        if version == VERSION:
            return Reader(connection, path, is_empty=False)
        connection.close()
        if version == 0:
            break  # somebody makes it just now
        connect(path, announce=announce).close()  # what is read without the log may still be as it was before
    return _nothing(path)


def _nothing(path: Path) -> Reader:
    connection = bytewise.connect(":memory:")
    for step in STEPS:
        connection.executescript(step)
    return Reader(connection, path, is_empty=True)


def _explain(path: Path, error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return f"the ledger {path} can't be read: {error.strerror}"
    return explain(path, error)
