"""What the version before left behind: its ledger, at schema version 1, and its lock files."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from runjobs.adapters.ledger.schema import VERSION_1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Rows = Sequence[Mapping[str, Any]] | Sequence[sqlite3.Row]

LOCK_SIZE = 2064  # bytes: the record, and the pid of who holds it


def write_ledger(state: Path, *, fires: Rows, runs: Rows) -> None:
    """Put a ledger of version 1 with these rows in the place of the one that is there."""
    for ending in ("", "-wal", "-shm"):
        (state / f"ledger.sqlite3{ending}").unlink(missing_ok=True)
    with closing(sqlite3.connect(state / "ledger.sqlite3", isolation_level=None)) as ledger:
        ledger.execute("PRAGMA journal_mode = WAL")
        ledger.executescript(f"BEGIN; {VERSION_1} PRAGMA user_version = 1; COMMIT;")
        for table, rows in (("fires", fires), ("runs", runs)):
            columns = [row[1] for row in ledger.execute(f"PRAGMA table_info({table})")]
            for row in rows:
                known = {name: row[name] for name in columns if name in row.keys()}  # noqa: SIM118 (a sqlite3.Row has no `in` of its own)
                names, places = ", ".join(known), ", ".join("?" * len(known))
                ledger.execute(f"INSERT INTO {table}({names}) VALUES ({places})", tuple(known.values()))
    (state / "ledger.sqlite3").chmod(0o600)


def write_lock(path: Path, record: Mapping[str, Any]) -> None:
    """Write a lock file as version 1 had them."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(json.dumps(record).encode().ljust(LOCK_SIZE))
    path.chmod(0o600)
