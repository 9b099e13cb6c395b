"""Marks and misses in SQLite: how far each job is accounted for, and what was not started on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.adapters.ledger import rows
from runjobs.adapters.ledger.bytewise import legible
from runjobs.core.fire import milliseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from runjobs.core.fire import Mark
    from runjobs.core.plan import Decision

CHUNK: Final = 500  # names in one query; SQLite allows 999 variables where it is old


def read(connection: sqlite3.Connection, jobs: Sequence[str] | None) -> dict[str, Mark]:
    """The marks of these jobs, or of all."""
    columns = "SELECT job, schedule_key, watermark, next_fire, next_start, utc_offset FROM marks"
    if jobs is None:
        return {row[0]: rows.mark(row) for row in connection.execute(columns)}
    found = {}
    for some in _chunks(jobs):
        places = ",".join("?" * len(some))
        for row in connection.execute(f"{columns} WHERE job IN ({places})", some):
            found[row[0]] = rows.mark(row)
    return found


def reset(connection: sqlite3.Connection, decision: Decision) -> None:
    """Give up a watermark in the future; the fires of the wrong time keep their records under keys of their own."""
    if decision.reset_from is None:
        return
    connection.execute("DELETE FROM marks WHERE job = ?", (decision.job,))
    connection.execute(
        "UPDATE fires SET key = key || ' by the wrong clock, row ' || id WHERE job = ? AND trigger = 'schedule'"
        " AND scheduled_at > ? AND key = CAST(scheduled_at AS TEXT)",
        (decision.job, milliseconds(decision.mark.watermark)),
    )


def write(connection: sqlite3.Connection, decisions: Iterable[Decision]) -> None:
    """Write the marks that decisions lead to. A watermark moves on, never back, but for a schedule that is new."""
    connection.executemany(
        "INSERT INTO marks VALUES (?,?,?,?,?,?) ON CONFLICT(job) DO UPDATE SET"
        " schedule_key = excluded.schedule_key, watermark = excluded.watermark,"
        " next_fire = excluded.next_fire, next_start = excluded.next_start, utc_offset = excluded.utc_offset"
        " WHERE excluded.watermark >= watermark OR excluded.schedule_key <> schedule_key",
        [rows.mark_row(decision) for decision in decisions],
    )


def write_misses(connection: sqlite3.Connection, decisions: Iterable[Decision], now: datetime) -> None:
    """Write the stretches that are missed: a row for each."""
    misses = [
        (
            *(miss.job, miss.trigger.value, str(milliseconds(miss.first)), milliseconds(miss.first)),
            *(milliseconds(miss.last), miss.number, miss.outcome, miss.reason, legible(miss.detail), milliseconds(now)),
        )
        for decision in decisions
        for miss in decision.missed
    ]
    connection.executemany(
        "INSERT OR IGNORE INTO fires(job, trigger, key, scheduled_at, last_at, count, state, outcome, reason,"
        " detail, ended_at) VALUES (?,?,?,?,?,?,'ended',?,?,?,?)",
        misses,
    )


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), CHUNK):
        yield names[first : first + CHUNK]
