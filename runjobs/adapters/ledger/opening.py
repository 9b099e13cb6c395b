"""Opening the ledger: made where there is none, led to this version's tables, set aside when it is broken."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.ledger import LedgerError, bytewise
from runjobs.adapters.ledger.schema import STEPS, VERSION
from runjobs.core.trust import kind_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY: Final = timedelta(seconds=30)  # another runner's transaction takes milliseconds; a stalled disk takes longer
BROKEN: Final = ("malformed", "not a database", "disk image", "file is encrypted", "no such table: fires")
# what a call can come to; values from outside may be none that SQLite has: text that stands for no bytes, huge numbers
FAULTS: Final = (sqlite3.Error, UnicodeError, OverflowError)
WAYS: Final = ("mode=rw", "mode=ro", "mode=ro&immutable=1")  # to open a file for reading, sqlite.org/uri.html


class Identity(NamedTuple):
    """Which file a path leads to: another one, once a broken ledger was set aside."""

    device: int
    inode: int


def connect(path: Path, *, announce: Callable[[str], None]) -> sqlite3.Connection:
    """Open the ledger's file, or begin one; a broken one is set aside, which `announce` is told in a sentence."""
    tried = identity(path)
    try:
        return _connect(path)
    except sqlite3.Error as error:
        if not is_broken(error):
            raise LedgerError(explain(path, error)) from error
    set_aside(path, tried, announce)
    try:
        return _connect(path)
    except sqlite3.Error as error:
        raise LedgerError(explain(path, error)) from error


def connect_reading(path: Path, *, broken: bool = False) -> sqlite3.Connection:
    """Open the ledger's file to read it, on a disk that is full too; sqlite3.Error when it can't be read at all.

    Who may write clears the log and its index away at the end, which in a `broken` one are to stay as they are. Where
    not even the index can be made, nobody else has the file open, and the log was folded in.
    """
    see_regular(path)
    for how in WAYS[1:] if broken else WAYS:
        connection = bytewise.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
        try:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("SELECT 1 FROM fires LIMIT 1")
        except sqlite3.Error as error:
            connection.close()
            refused = error
        else:
            return connection
    raise refused


def see_regular(path: Path) -> None:
    """See that it is no FIFO, for which SQLite would wait for ever, and no device. sqlite3.Error says what it is."""
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            message = f"it is {kind_name(mode)}, not a file"
            raise sqlite3.OperationalError(message)


def identity(path: Path) -> Identity | None:
    """Which file the path leads to now; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Identity(status.st_dev, status.st_ino)


def is_broken(error: BaseException | None) -> bool:
    """Whether SQLite says that the file is none of its own, or has been damaged."""
    return isinstance(error, sqlite3.Error) and any(word in str(error) for word in BROKEN)


def _see_ours(path: Path) -> None:
    """See that the folder is still ours, or root's: what a stranger has put in its place is no record of ours."""
    with contextlib.suppress(FileNotFoundError):  # SQLite says so
        for place in (path.parent, path):
            owner = os.stat(place).st_uid
            if owner not in {os.geteuid(), 0}:
                message = f"the ledger {path} can't be used: {place} belongs to uid {owner}"
                raise LedgerError(message)


def _connect(path: Path) -> sqlite3.Connection:
    _see_ours(path)
    connection = bytewise.connect(path, timeout=BUSY.total_seconds())
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


def set_aside(path: Path, broken: Identity | None, announce: Callable[[str], None]) -> Path | None:
    """Rename a broken ledger and its logs; None when somebody else has done so meanwhile. LedgerError where it fails.

    `broken` is the file in question: by the time that nobody else does the same, the path may lead to a new one.
    """
    try:
        with _alone(path):
            if broken is None or identity(path) != broken:
                return None
            aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}")
            for ending in ("-wal", "-shm", ""):  # the file last: until then whoever looks finds it broken
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{path}{ending}", f"{aside}{ending}")
    except OSError as error:
        message = f"the ledger {path} is broken and can't be set aside: {error.strerror}"
        raise LedgerError(message) from error
    announce(f"the ledger was broken: it is set aside as {aside}, and a new one is begun")
    return aside


def explain(path: Path, error: Exception) -> str:
    """Say which file, and what is said of it."""
    return f"the ledger {path} can't be used: {error}"
