"""Opening the ledger: made where there is none, led to this version's tables, set aside when it is broken."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.schema import STEPS, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY: Final = timedelta(seconds=30)  # another runner's transaction takes milliseconds; a stalled disk takes longer
BROKEN: Final = ("malformed", "not a database", "disk image", "file is encrypted")


def connect(path: Path, *, announce: Callable[[str], None]) -> sqlite3.Connection:
    """Open the ledger's file, or begin one; a broken one is set aside, which `announce` is told in a sentence."""
    try:
        return _connect(path)
    except sqlite3.Error as error:
        if not any(word in str(error) for word in BROKEN):
            raise LedgerError(explain(path, error)) from error
    aside = _set_aside(path)
    if aside is not None:
        announce(f"the ledger was broken: it is set aside as {aside}, and a new one is begun")
    try:
        return _connect(path)
    except sqlite3.Error as error:
        raise LedgerError(explain(path, error)) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY.total_seconds(), isolation_level=None)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            _migrate(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT 1 FROM fires LIMIT 1")
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    with _alone(path):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            message = f"{path} was written by a newer runjobs (ledger version {version}, this one knows {VERSION})"
            raise LedgerError(message)
        if version == 0:
            path.chmod(0o600)
            connection.execute("PRAGMA journal_mode = WAL")
        for number in range(version, VERSION):
            connection.executescript(f"BEGIN IMMEDIATE; {STEPS[number]} PRAGMA user_version = {number + 1}; COMMIT;")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time makes, migrates or sets aside the ledger: SQLite's own lock can't cover that."""
    from filelock import lock_descriptor

    fd = os.open(path.with_name("ledger.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        lock_descriptor(fd)
        yield
    finally:
        os.close(fd)


def _set_aside(path: Path) -> Path | None:
    """Rename a broken ledger and its logs; None when somebody else has done so meanwhile."""
    with _alone(path):
        with contextlib.suppress(sqlite3.Error):
            _connect_only(path)
            return None
        aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}")
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}{ending}", f"{aside}{ending}")
        return aside


def _connect_only(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if connection.execute("PRAGMA user_version").fetchone()[0]:
            connection.execute("SELECT 1 FROM fires LIMIT 1")
    finally:
        connection.close()


def explain(path: Path, error: sqlite3.Error) -> str:
    """Say which file, and what SQLite says of it."""
    return f"the ledger {path} can't be used: {error}"
