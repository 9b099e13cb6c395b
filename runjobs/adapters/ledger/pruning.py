"""Retention in SQLite: old fires are deleted with their runs, a few at a time. A step of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.fire import milliseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime, timedelta

MOST: Final = 200  # fires deleted by one call: some 10 ms of the write lock, whatever there is


class Keep(NamedTuple):
    """What is kept of a job: its newest fires, so many, and none that is older than that (None: of any age)."""

    job: str
    number: int
    age: timedelta | None


def prune(connection: sqlite3.Connection, keeps: Iterable[Keep], now: datetime, most: int = MOST) -> int:
    """Delete fires that ended and are past what is kept, oldest first, at most `most`; how many were deleted.

    Each job's newest fire stays, and the newest that went well: `status` tells from them since when a job fails.
    """
    deleted = 0
    for keep in keeps:
        if deleted >= most:
            break
        deleted += _prune(connection, keep, now, most - deleted)
    return deleted


def _prune(connection: sqlite3.Connection, keep: Keep, now: datetime, most: int) -> int:
    edge = _edge(connection, keep, now)
    if edge is None:
        return 0
    query = (
        "SELECT id FROM fires WHERE job = ?1 AND scheduled_at <= ?2 AND last_at <= ?2 AND state = 'ended'"
        " AND id <> (SELECT id FROM fires WHERE job = ?1 ORDER BY scheduled_at DESC, id DESC LIMIT 1)"
        " AND id <> coalesce((SELECT id FROM fires WHERE job = ?1 AND outcome = 'ok'"
        " ORDER BY scheduled_at DESC, id DESC LIMIT 1), 0) ORDER BY scheduled_at, id LIMIT ?3"
    )
    old = connection.execute(query, (keep.job, edge, most)).fetchall()
    connection.executemany("DELETE FROM runs WHERE fire = ?", old)
    connection.executemany("DELETE FROM fires WHERE id = ?", old)
    return len(old)


def _edge(connection: sqlite3.Connection, keep: Keep, now: datetime) -> int | None:
    """The newest time, in milliseconds, of what is too old or too many; None: nothing is."""
    query = "SELECT scheduled_at FROM fires WHERE job = ? ORDER BY scheduled_at DESC, id DESC LIMIT 1 OFFSET ?"
    row = connection.execute(query, (keep.job, keep.number)).fetchone()
    edges = [row[0]] if row else []
    if keep.age is not None:
        edges.append(milliseconds(now - keep.age))
    return max(edges) if edges else None
