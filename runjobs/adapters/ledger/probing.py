"""Opening a ledger only to read it, be it just being made, on a full disk, or where nothing can be written."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from runjobs.adapters.ledger import bytewise
from runjobs.adapters.ledger.opening import BUSY, see_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNSHARED: Final = ("unable to open", "disk I/O", "disk is full", "readonly")  # no room for SQLite's index of the log


def read_only(path: Path, announce: Callable[[str], None]) -> tuple[sqlite3.Connection, int]:
    """A connection that can't write, and the version of the tables.

    SQLite keeps a small file beside a ledger that is written; where that can't be had, on a full disk or a read-only
    one, the ledger is read without the log of the last transactions, and `announce` is told. While one is made, it
    can't be had for a moment.
    """
    for pause in (0.02, 0.1, None):
        try:
            return _probe(path, "mode=ro")
        except sqlite3.OperationalError as error:
            if not any(word in str(error) for word in UNSHARED):
                raise
            refused = error
        if pause:
            time.sleep(pause)
    return _alone(path, refused, announce)


def _alone(path: Path, refused: sqlite3.Error, announce: Callable[[str], None]) -> tuple[sqlite3.Connection, int]:
    found = _probe(path, "mode=ro&immutable=1")
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        announce(f"the newest may be missing: the ledger can be read only in part ({refused})")
    return found


def _probe(path: Path, how: str) -> tuple[sqlite3.Connection, int]:
    see_regular(path)
    place = f"file:{quote(os.fsencode(path))}?{how}"
    connection = bytewise.connect(place, uri=True, timeout=BUSY.total_seconds())
    try:
        return connection, connection.execute("PRAGMA user_version").fetchone()[0]
    except BaseException:
        connection.close()
        raise
