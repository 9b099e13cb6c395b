"""What the ledger holds, read as a visitor would: read-only, without the program's own code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fires(state: Path, job: str = "%") -> list[sqlite3.Row]:
    """The fires of one job, or of all, in order of their scheduled time."""
    return _rows(state, "SELECT * FROM fires WHERE job LIKE ? ORDER BY scheduled_at", job)


def runs(state: Path, job: str = "%") -> list[sqlite3.Row]:
    """The runs of one job, or of all, with the job's name and the fire's scheduled time beside each."""
    return _rows(
        state,
        "SELECT fires.job, fires.scheduled_at, runs.* FROM runs JOIN fires ON fires.id = runs.fire"
        " WHERE fires.job LIKE ? ORDER BY scheduled_at",
        job,
    )


def _rows(state: Path, query: str, *values: str) -> list[sqlite3.Row]:
    path = state / "ledger.sqlite3"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as ledger:
        ledger.row_factory = sqlite3.Row
        return [] if _is_new(ledger) else ledger.execute(query, values).fetchall()


def _is_new(ledger: sqlite3.Connection) -> bool:
    """Whether the tables are not there yet: a file exists a moment before they do."""
    return not ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
