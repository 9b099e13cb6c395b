"""What is to run once, in SQLite: kept until its fire has ended. Each function is a step of a transaction.

That a row goes with the end of its fire, whoever records that, is a trigger of the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runjobs.adapters.ledger import Appointed
from runjobs.core.fire import Trigger, from_milliseconds, milliseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime

    from runjobs.core.fire import Fire
    from runjobs.core.once import Once, Planned

MOST: Final = 200  # deleted by one call: some 10 ms of the write lock
HAS_FIRED: Final = "EXISTS(SELECT 1 FROM fires WHERE fires.job = onces.job AND trigger = 'once' AND key = '' || at)"


def add(connection: sqlite3.Connection, once: Once) -> Planned | None:
    """Write it, under the next number; None where its name is taken, or was at that very time."""
    from runjobs.core.once import Planned, job_name, to_text

    at = milliseconds(once.at)
    cursor = connection.execute("INSERT INTO onces(job, at, what) VALUES ('', ?, ?)", (at, to_text(once)))
    number = int(cursor.lastrowid or 0)
    job = job_name(once.name, number)
    taken = (
        "SELECT EXISTS(SELECT 1 FROM onces WHERE job = ?1)"
        " OR EXISTS(SELECT 1 FROM fires WHERE job = ?1 AND trigger = 'once' AND key = ?2)"
    )
    if connection.execute(taken, (job, str(at))).fetchone()[0]:
        connection.execute("DELETE FROM onces WHERE id = ?", (number,))
        return None
    connection.execute("DELETE FROM marks WHERE job = ?", (job,))  # of one that had the name before
    connection.execute("UPDATE onces SET job = ? WHERE id = ?", (job, number))
    return Planned(number, job, once)


def times(connection: sqlite3.Connection) -> list[Appointed]:
    """All that there are, those too that run now, by their numbers."""
    rows = connection.execute("SELECT id, job, at FROM onces ORDER BY id")
    return [Appointed(number, job, from_milliseconds(at)) for number, job, at in rows]


def read(connection: sqlite3.Connection) -> list[Planned]:
    """All that there are, those too that run now, in the order of their times."""
    from runjobs.core.once import Planned, from_text

    rows = connection.execute("SELECT id, job, what FROM onces ORDER BY at, id")
    return [Planned(number, job, from_text(what)) for number, job, what in rows]


def remove(connection: sqlite3.Connection, job: str) -> bool:
    """Delete one that has not fired; False where there is none, or its fire is claimed."""
    query = f"DELETE FROM onces WHERE job = ? AND NOT {HAS_FIRED}"  # noqa: S608 (a condition of ours)
    return connection.execute(query, (job,)).rowcount == 1


def is_void(connection: sqlite3.Connection, fire: Fire) -> bool:
    """Whether this is the fire of a once that was removed, of which some runner had not heard."""
    if fire.trigger is not Trigger.ONCE:
        return False
    query = "SELECT EXISTS(SELECT 1 FROM onces WHERE job = ? AND at = ?)"
    return not connection.execute(query, (fire.job, milliseconds(fire.scheduled_at))).fetchone()[0]


def is_over(connection: sqlite3.Connection, row: Mapping[str, Any]) -> bool:
    """Whether the fire of this row, which comes from another ledger, has ended here."""
    query = "SELECT EXISTS(SELECT 1 FROM fires WHERE job = ? AND trigger = 'once' AND key = ? AND state = 'ended')"
    return bool(connection.execute(query, (row["job"], str(row["at"]))).fetchone()[0])


def prune(connection: sqlite3.Connection, before: datetime, most: int = MOST) -> list[str]:
    """Delete all that is on record of onces whose last fire was before then, `most` at the most; their jobs' names."""
    query = (
        "SELECT DISTINCT job FROM fires AS once WHERE trigger = 'once' AND scheduled_at < ?1"
        " AND NOT EXISTS(SELECT 1 FROM fires WHERE job = once.job AND (scheduled_at >= ?1 OR state <> 'ended'))"
        " AND NOT EXISTS(SELECT 1 FROM onces WHERE job = once.job) LIMIT ?2"
    )
    old = connection.execute(query, (milliseconds(before), most)).fetchall()
    connection.executemany("DELETE FROM runs WHERE fire IN (SELECT id FROM fires WHERE job = ?)", old)
    connection.executemany("DELETE FROM fires WHERE job = ?", old)
    return [job for (job,) in old]
