"""Whether a ledger's file is sound, and what stands in it that should not: read-only, in full."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.ledger import rows
from runjobs.adapters.ledger.opening import connect_reading
from runjobs.adapters.ledger.schema import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from runjobs.core.run import Unended

MOST: Final = 3  # faults that are told: the first says as much as a hundred
UNENDED: Final = (
    "SELECT runs.id, fires.id, fires.job, fires.scheduled_at, attempt, fires.runner, runner_lock, lock, guard_pid,"
    " pid, start_time, boot_id, pid_namespace FROM runs JOIN fires ON fires.id = runs.fire"
    " WHERE runs.state <> 'ended' ORDER BY runs.id"
)


class Health(NamedTuple):
    """What was found: faults of the file (or why it can't be read), its version, and what is in it.

    `ahead` are the jobs whose mark is later than the instant asked for, in milliseconds; `waiting` are the runners
    that own claims and waiting fires, with their locks; `last_ms` is when anything was claimed last.
    """

    faults: tuple[str, ...] = ()
    version: int = VERSION
    fires: int = 0
    ahead: tuple[str, ...] = ()
    unended: tuple[Unended, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    last_ms: int | None = None

    @property
    def is_newer(self) -> bool:
        """Whether a newer runjobs wrote it."""
        return self.version > VERSION


def examine(path: Path, now_ms: int) -> Health:
    """Read a ledger from its first page to its last; nothing is raised."""
    try:
        with contextlib.closing(connect_reading(path)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version != VERSION:
                return Health(version=version)
            found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({MOST})")]
            return _contents(connection, now_ms)._replace(faults=tuple(text for text in found if text != "ok"))
    except sqlite3.Error as error:
        return Health((str(error),))


def known_runs(path: Path) -> frozenset[str]:
    """The ids of all runs on record; none where they can't be read."""
    try:
        with contextlib.closing(connect_reading(path)) as connection:
            return frozenset(row[0] for row in connection.execute("SELECT id FROM runs"))
    except sqlite3.Error:
        return frozenset()


def _contents(connection: sqlite3.Connection, now_ms: int) -> Health:
    ahead = connection.execute("SELECT job FROM marks WHERE watermark > ? ORDER BY job", (now_ms,))
    open_fires = "SELECT DISTINCT runner, runner_lock FROM fires WHERE state IN ('claimed', 'waiting')"
    last = connection.execute("SELECT max(claimed_at) FROM fires WHERE id > (SELECT max(id) FROM fires) - 1000")
    return Health(
        fires=int(connection.execute("SELECT count(*) FROM fires").fetchone()[0]),
        ahead=tuple(row[0] for row in ahead),
        unended=tuple(map(rows.unended, connection.execute(UNENDED))),
        waiting=tuple((row[0] or "", row[1] or "") for row in connection.execute(open_fires)),
        last_ms=last.fetchone()[0],
    )
