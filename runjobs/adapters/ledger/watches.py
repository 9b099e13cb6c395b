"""What watched paths were like, in SQLite, by job. Each function is a step of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

OPEN: Final = (
    "SELECT job FROM fires WHERE state = 'claimed' UNION SELECT job FROM fires WHERE state = 'waiting' UNION"
    " SELECT job FROM runs JOIN fires ON fires.id = runs.fire WHERE runs.state <> 'ended'"
)


def read(connection: sqlite3.Connection, job: str) -> bytes | None:
    """What is kept of a job's paths."""
    row = connection.execute("SELECT state FROM watches WHERE job = ?", (job,)).fetchone()
    return None if row is None else bytes(row[0])


def keep(connection: sqlite3.Connection, job: str, state: bytes | None) -> None:
    """Keep this instead (None: what is kept holds)."""
    if state is not None:
        connection.execute("INSERT OR REPLACE INTO watches VALUES (?, ?)", (job, state))


def keep_of_fire(connection: sqlite3.Connection, fire: int, state: bytes | None) -> None:
    """As `keep`, for the job of a fire."""
    if state is not None:
        connection.execute("INSERT OR REPLACE INTO watches SELECT job, ? FROM fires WHERE id = ?", (state, fire))


def forget(connection: sqlite3.Connection, jobs: Iterable[tuple[str]]) -> None:
    """Keep nothing of jobs that are gone, each a row of its own."""
    connection.executemany("DELETE FROM watches WHERE job = ?", jobs)


def open_jobs(connection: sqlite3.Connection) -> set[str]:
    """The jobs that have a fire which is claimed, waits or runs."""
    return {row[0] for row in connection.execute(OPEN)}
