"""Who is told of which jobs, in SQLite, and what is to be done. Each function is a step of a transaction.

That news is queued with each end, whoever records that, is done by triggers of the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.core.fire import from_milliseconds, milliseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from runjobs.core.news import Terms

# of a letter and of its receiver the later counts: one that can't be reached keeps them all waiting
NEXT: Final = (
    "SELECT min(at) FROM (SELECT min(lapse_at) AS at FROM subscriptions WHERE lapse_at IS NOT NULL"
    " UNION ALL SELECT min(max(coalesce(again_at, 0), (SELECT min(due_at) FROM letters WHERE NOT has_failed"
    " AND letters.receiver = postboxes.receiver))) FROM postboxes)"
)
# in a ledger that stands in, nothing is queued: it is news when the real one is told
SILENT: Final = (
    "DROP TRIGGER news_inserted; DROP TRIGGER news_ended; DROP TRIGGER news_begun;"
    "CREATE TRIGGER nobody BEFORE INSERT ON subscriptions BEGIN SELECT raise(IGNORE); END;"
)


def subscriptions(connection: sqlite3.Connection) -> dict[str, str]:
    """The terms of each job that is told of, as text."""
    return dict(connection.execute("SELECT job, terms FROM subscriptions WHERE NOT is_gone"))


def subscribe(connection: sqlite3.Connection, wanted: Mapping[str, Terms], gone: Iterable[str], now: datetime) -> None:
    """Write terms that are new, and let go of jobs that are gone; what they leave open is told all the same."""
    for job, terms in wanted.items():
        _subscribe(connection, job, terms, milliseconds(now))
    connection.executemany(
        "UPDATE subscriptions SET is_gone = 1, lapse_at = NULL, expect = NULL WHERE job = ?", [(job,) for job in gone]
    )


def _subscribe(connection: sqlite3.Connection, job: str, terms: Terms, now: int) -> None:
    from runjobs.core.news import to_text

    expect = None if terms.expect is None else int(terms.expect * 1000)
    row = connection.execute("SELECT expect, lapse_at, lapsed_at FROM subscriptions WHERE job = ?", (job,)).fetchone()
    known, lapse_at, lapsed_at = row or (None, None, None)
    if expect != known:
        lapse_at = None if expect is None else (_last_ok(connection, job) or now) + expect
        lapsed_at = None
    values = (job, to_text(terms), terms.wants_all, terms.has_pings, expect, lapse_at, lapsed_at)
    connection.execute(
        "INSERT INTO subscriptions(job, terms, wants_all, has_pings, expect, lapse_at, lapsed_at)"
        " VALUES (?,?,?,?,?,?,?) ON CONFLICT(job) DO UPDATE SET terms = excluded.terms, is_gone = 0,"
        " wants_all = excluded.wants_all, has_pings = excluded.has_pings, expect = excluded.expect,"
        " lapse_at = excluded.lapse_at, lapsed_at = excluded.lapsed_at",
        values,
    )


def _last_ok(connection: sqlite3.Connection, job: str) -> int | None:
    query = "SELECT ended_at FROM fires WHERE job = ? AND outcome = 'ok' ORDER BY scheduled_at DESC LIMIT 1"
    row = connection.execute(query, (job,)).fetchone()
    return None if row is None else row[0]


def due(connection: sqlite3.Connection) -> datetime | None:
    """From when on there is something to be done about news; None: nothing is to come."""
    if connection.execute("SELECT EXISTS(SELECT 1 FROM news)").fetchone()[0]:
        return from_milliseconds(0)
    (at,) = connection.execute(NEXT).fetchone()
    return None if at is None else from_milliseconds(at)


def has_lapsed(connection: sqlite3.Connection, now: int) -> bool:
    """Whether any job has not gone well for as long as it may, and nobody has heard."""
    query = "SELECT EXISTS(SELECT 1 FROM subscriptions WHERE lapse_at <= ?)"
    return bool(connection.execute(query, (now,)).fetchone()[0])


def raise_lapses(connection: sqlite3.Connection, now: int) -> int:
    """Make news of jobs that have not gone well for as long as they may, once for each lapse; how many jobs."""
    connection.execute(
        "INSERT INTO news(what, job, at) SELECT 'lapse', job, lapse_at FROM subscriptions WHERE lapse_at <= ?", (now,)
    )
    update = "UPDATE subscriptions SET lapsed_at = lapse_at, lapse_at = NULL WHERE lapse_at <= ?"
    return connection.execute(update, (now,)).rowcount
