"""Opening the ledger for a look that leaves nothing behind and waits for nobody."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from runjobs.adapters.ledger import LedgerError, bytewise
from runjobs.adapters.ledger.opening import see_regular
from runjobs.adapters.ledger.reading import Reader
from runjobs.adapters.ledger.schema import VERSION

if TYPE_CHECKING:
    from pathlib import Path

BUSY: Final = 0.5  # seconds: who looks so would rather have no answer than wait


def open_traceless(path: Path) -> Reader:
    """Open the ledger: no file is made, as SQLite does beside one that is written, and no older ledger is led on.

    Where no runner has it open, what a dead one has left in its log of transactions is not seen. LedgerError where
    there is no ledger of this version that can be read.
    """
    try:
        see_regular(path)
        is_shared = path.with_name(f"{path.name}-shm").exists()
        how = "mode=ro" if is_shared else "mode=ro&immutable=1"
        connection = bytewise.connect(f"file:{quote(os.fsencode(path))}?{how}", uri=True, timeout=BUSY)
    except (OSError, sqlite3.Error) as error:
        raise _unreadable(path, str(error)) from error
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return Reader(connection, path, is_empty=False)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise _unreadable(path, str(error)) from error
    if version != VERSION:
        raise _unreadable(path, "it is one of another version of runjobs")


def _unreadable(path: Path, why: str) -> LedgerError:
    return LedgerError(f"the ledger {path} can't be looked at: {why}")
