"""A glance at the news of a ledger: read-only, and light, since each `runjobs status` takes it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.opening import connect_reading, explain
from runjobs.core.fire import from_milliseconds, milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger.letters import Posted

Result = TypeVar("Result")

LISTED: Final = 10_000
# of a job that has gone well again the next lapse is still to come, whether anybody was told of that or not
LAPSED: Final = (
    "SELECT job, coalesce(lapse_at, lapsed_at) FROM subscriptions"
    " WHERE expect NOT NULL AND coalesce(lapse_at, 0) <= ? AND coalesce(lapse_at, lapsed_at) NOT NULL"
)


class Glance(NamedTuple):
    """How it stands with news: jobs that have lapsed, and since when; letters that wait, and that were given up."""

    lapsed: Mapping[str, datetime] = {}
    waiting: int = 0
    failed: int = 0


def glance(path: Path, now: datetime) -> Glance:
    """How it stands with the news of the ledger in a file."""

    def read(connection: sqlite3.Connection) -> Glance:
        jobs = {job: from_milliseconds(at) for job, at in connection.execute(LAPSED, (milliseconds(now),))}
        counts = dict(connection.execute("SELECT has_failed, count(*) FROM letters GROUP BY has_failed"))
        return Glance(jobs, counts.get(0, 0), counts.get(1, 0))

    return _reading(path, read, Glance())


def look(path: Path) -> list[Posted]:
    """The letters that wait or were given up, oldest first."""
    from runjobs.adapters.ledger import letters

    return _reading(path, lambda connection: letters.read(connection, "1 ORDER BY letters.id LIMIT ?", LISTED), [])


def _reading(path: Path, read: Callable[[sqlite3.Connection], Result], nothing: Result) -> Result:
    """Read a ledger; `nothing` is in one that is not there, or is of before there was news."""
    if not path.exists():
        return nothing
    try:
        with contextlib.closing(connect_reading(path)) as connection:
            has_letters = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'letters'").fetchone()
            return read(connection) if has_letters else nothing
    except sqlite3.Error as error:
        raise LedgerError(explain(path, error)) from error
