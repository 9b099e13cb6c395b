"""The outbox in SQLite: from news to letters, from letters to what became of them. One sender at a time works with it.

Reading is done outside of transactions, and each of these is small: a sender must not keep a runner waiting.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar

from runjobs.adapters.ledger import LedgerError, letters, news, occasions
from runjobs.adapters.ledger.opening import FAULTS, connect, explain, identity
from runjobs.core.fire import milliseconds
from runjobs.core.news import after, letters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger.letters import Posted
    from runjobs.core.letter import Delivery, Letter
    from runjobs.core.news import Standing, Terms
    from runjobs.core.receivers import Receiver

    Result = TypeVar("Result")

PIECE: Final = 100  # news that become letters in one transaction


class Outbox:
    """News and letters of one ledger. Every call may raise LedgerError, and then nothing of it was done."""

    def __init__(self, path: Path, announce: Callable[[str], None]) -> None:
        """Open the ledger."""
        self._connection = connect(path, announce=announce)
        self._path = path
        self._file = identity(path)

    @property
    def is_current(self) -> bool:
        """Whether the ledger is still the one that was opened, neither gone nor set aside."""
        return identity(self._path) == self._file

    def due(self) -> datetime | None:
        """From when on there is something to do; None: nothing is to come."""
        return self._guarded(lambda: news.due(self._connection))

    def raise_lapses(self, now: datetime) -> int:
        """Make news of jobs that have not gone well for as long as they may, once for each lapse; how many jobs."""
        at = milliseconds(now)
        has_any = self._guarded(lambda: news.has_lapsed(self._connection, at))  # it is asked twice a second
        return self._write(lambda: news.raise_lapses(self._connection, at)) if has_any else 0

    def gather(self, now: datetime) -> int:
        """Make letters of the oldest news; how much news that was."""
        found, written, standings = self._guarded(self._look)
        if found:
            self._write(lambda: self._post(written, standings, found[-1], milliseconds(now)))
        return len(found)

    def postboxes(self, now: datetime) -> list[Receiver]:
        """The receivers to whom something is to be sent now."""
        return self._guarded(lambda: letters.postboxes(self._connection, milliseconds(now)))

    def take(self, receiver: Receiver, now: datetime) -> Posted | None:
        """The next letter to a receiver, many of them as one; None: no more is due.

        That it is tried is on record before it is: who dies over it does not try it again at once.
        """
        return self._write(lambda: letters.take(self._connection, receiver, milliseconds(now)))

    def settle(self, posted: Posted, delivery: Delivery, now: datetime) -> bool:
        """Record how a try went; whether the receiver may be sent more at once."""
        return self._write(lambda: letters.settle(self._connection, posted, delivery, milliseconds(now)))

    def retry(self, now: datetime) -> int:
        """Have all that waits tried at once, and what was given up once more; how many letters that is."""
        return self._write(lambda: letters.retry(self._connection, milliseconds(now)))

    def tidy(self, now: datetime) -> None:
        """Let go of what nobody needs any more."""
        self._write(lambda: letters.tidy(self._connection, milliseconds(now)))

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _look(self) -> tuple[list[int], list[tuple[Receiver, Letter]], dict[str, tuple[Terms, Standing]]]:
        query = "SELECT id, what, job, fire, coalesce(at, 0) FROM news ORDER BY id LIMIT ?"
        found = self._connection.execute(query, (PIECE,)).fetchall()
        written: list[tuple[Receiver, Letter]] = []
        standings: dict[str, tuple[Terms, Standing]] = {}
        for _, *what in found:
            job = what[1]
            known = standings.get(job) or occasions.standing(self._connection, job)
            occasion = occasions.occasion(self._connection, *what)
            if known is not None and occasion is not None:
                written += letters_of(*known, occasion)
                standings[job] = known[0], after(known[1], occasion)
        return [row[0] for row in found], written, standings

    def _post(
        self,
        written: Sequence[tuple[Receiver, Letter]],
        standings: dict[str, tuple[Terms, Standing]],
        last: int,
        now: int,
    ) -> None:
        letters.post(self._connection, written, now)
        self._connection.executemany(
            "UPDATE subscriptions SET failures = ?, lapsed_at = CASE WHEN ? THEN lapsed_at END WHERE job = ?",
            [(standing.failures, standing.has_lapsed, job) for job, (_, standing) in standings.items()],
        )
        self._connection.execute("DELETE FROM news WHERE id <= ?", (last,))

    def _guarded(self, step: Callable[[], Result]) -> Result:
        try:
            return step()
        except FAULTS as error:
            raise LedgerError(explain(self._path, error)) from error

    def _write(self, step: Callable[[], Result]) -> Result:
        def transaction() -> Result:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = step()
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                    self._connection.execute("ROLLBACK")
                raise
            return result

        return self._guarded(transaction)
