"""What the ledger has counted, in SQLite, read; the counting itself is done by triggers of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runjobs.core.metrics import ONCES, OUTCOMES, Lag, Tally
from runjobs.core.names import ONCE_PREFIX

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

CHUNK: Final = 500  # names in one query; SQLite allows 999 variables where it is old
COLUMNS: Final = f"job, {', '.join(OUTCOMES)}, succeeded_at, started_at, ended_at, status"
UNENDED: Final = "SELECT job, started_at FROM runs JOIN fires ON fires.id = runs.fire WHERE runs.state <> 'ended'"
UNBOUNDED: Final = 1 << 60  # the last bound of the lags


def read(connection: sqlite3.Connection, jobs: Sequence[str]) -> dict[str, Tally]:
    """What is counted of these jobs, those too of which nothing is; all onces together are the job ONCES."""
    found = dict.fromkeys(jobs, Tally())
    for some in (jobs[first : first + CHUNK] for first in range(0, len(jobs), CHUNK)):
        places = ",".join("?" * len(some))
        query = f"SELECT {COLUMNS} FROM tallies WHERE job IN ({places})"  # noqa: S608 (columns of ours)
        found |= {row[0]: _tally(row[1:]) for row in connection.execute(query, some)}
    for job, started in connection.execute(UNENDED):
        name = ONCES if job.startswith(ONCE_PREFIX) else job
        if (tally := found.get(name)) is not None:
            newest = max(filter(None, (tally.started_ms, started)), default=None)
            found[name] = tally._replace(running=tally.running + 1, started_ms=newest)
    return found


def lags(connection: sqlite3.Connection) -> list[Lag]:
    """How late runs started, by bounds that go up."""
    found = connection.execute("SELECT up_to, starts, total FROM lags ORDER BY up_to")
    return [Lag(None if row[0] == UNBOUNDED else row[0], *row[1:]) for row in found]


def _tally(row: Sequence[Any]) -> Tally:
    *counts, succeeded, started, ended, status = row
    took = max(0, ended - started) if started and ended else None
    return Tally(tuple(counts), 0, started, succeeded, took, status)
