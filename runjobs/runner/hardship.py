"""A ledger that goes on: when it can't be used, the ballast is given up for it, or it is set aside, or stood in for.

What a runner sees is one ledger. A person is told once what has happened, and again when all is well. What only
hardship needs is loaded in hardship.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runjobs.adapters import ballast, locks
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.opening import connect, identity, is_broken, set_aside
from runjobs.adapters.ledger.sqlite import SqliteLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from runjobs.adapters.ledger import Begin, Beginning, Claimed, Claims, Decide, Orphan, RunnerId
    from runjobs.adapters.ledger.opening import Identity
    from runjobs.adapters.lockjournal import Alone
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.fire import Waiting
    from runjobs.core.run import Unended
    from runjobs.runner.alarm import Alarm
    from runjobs.runner.standin import StandIn

    Result = TypeVar("Result")

AGAIN: Final = 10.0  # seconds between two tries of the real ledger
FEW: Final = 3  # answers to one trouble before the last: claim alone, give up the ballast, set aside
MOST: Final = FEW + 3
NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})  # what a full disk is
PRIMARY: Final = 0xFF  # of an extended result code, sqlite.org/rescode.html
GOES_ON: Final = "jobs run all the same, and the ledger is told as soon as it can be written"
WELL: Final = "the ledger can be written again, and what happened meanwhile is in it"


class OvertakenError(LedgerError):
    """Somebody has begun to stand in while we were about to claim: the claim is made once more, alone."""


class Hands(NamedTuple):
    """What a ledger that endures works with."""

    state: StateFolder
    alarm: Alarm
    monotonic: Callable[[], float] = time.monotonic


class Enduring(SqliteLedger):
    """The ledger of a runner: in SQLite where that can be, else in memory and in the lock files.

    Its fires start at most once, whichever it is. The functions that it is given (`decide`, `begin`) are called again
    where what they led to could not be written: each time they begin anew.
    """

    def __init__(self, hands: Hands) -> None:
        """Open the ledger. LedgerError where it is a newer version's."""
        self._state, self._alarm, self._monotonic = hands
        self._standin: StandIn | None = None
        self._file: Identity | None = None
        self._lock: Alone | None = None
        self._again = 0.0
        self._depth = 0
        self._is_open = False
        self._path = self._state.ledger
        self._endure(lambda: None)

    @property
    def stands_in(self) -> bool:
        """Whether the ledger can't be written, as far as we know."""
        return self._standin is not None

    def claim(
        self,
        runner: RunnerId,
        now: datetime,
        jobs: Sequence[str] | None,
        decide: Decide,
        begin: Begin | None = None,
    ) -> Claims:
        """As every ledger. While anybody may stand in, one claims at a time, and knows what the others have claimed."""
        plain = super().claim

        def step() -> Claims:
            if self._standin is None and ballast.is_there(self._state.ballast):
                return self._reserved(plain(runner, now, jobs, decide, self._watched(begin)))
            with self._alone():
                if self._standin is not None and ballast.is_there(self._state.ballast):
                    self._try_return()  # somebody else can write it
                if self._standin is not None:
                    return self._standin.claim(runner, now, jobs, decide, begin)
                self._catch_up()
                claims = self._reserved(plain(runner, now, jobs, decide, begin))
                self._settle()
                return claims

        return self._endure(step)

    def unended(self) -> list[Unended]:
        """As every ledger."""
        plain = super().unended

        def step() -> list[Unended]:
            if self._standin is not None:
                return self._standin.unended()
            if not ballast.is_there(self._state.ballast):
                with self._alone():  # who stands in says that a run has ended before its lock is free
                    self._catch_up()
            return plain()

        return self._endure(step)

    def reclaim(self, orphan: Orphan, runner: RunnerId, now: datetime) -> bool:
        """As every ledger."""
        ours = self._standin
        return super().reclaim(orphan, runner, now) if ours is None else ours.reclaim(orphan, runner, now)

    def adopt(self, waiting: Waiting, runner: RunnerId) -> bool:
        """As every ledger."""
        ours = self._standin
        return super().adopt(waiting, runner) if ours is None else ours.adopt(waiting, runner)

    def close(self) -> None:
        """Let go of the file; what is still to be written is tried once more."""
        if self._standin is not None:
            self._try_return()
        if self._standin is None and not ballast.is_there(self._state.ballast):
            with contextlib.suppress(LedgerError), self._within(), self._alone():
                self._catch_up()
                self._settle()
        super().close()

    def _guarded(self, step: Callable[[], Result]) -> Result:
        return self._endure(partial(super()._guarded, step))

    def _write(self, step: Callable[[], Result]) -> Result:
        plain = super()._write
        return self._endure(lambda: (plain if self._standin is None else self._standin._write)(step))  # noqa: SLF001

    def _endure(self, step: Callable[[], Result]) -> Result:
        """Carry out a step, with an answer to each trouble; within another step the trouble is that one's."""
        if self._depth:
            return step()
        for number in range(MOST):
            try:
                with self._within():
                    self._look_around()
                    return step()
            except LedgerError as error:
                trouble = error
            with self._within():
                self._answer(trouble, is_last=number >= FEW)
        raise trouble

    @contextlib.contextmanager
    def _within(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _look_around(self) -> None:
        """See whether the ledger can be written again, or is another file by now."""
        if self._standin is not None:
            if self._monotonic() >= self._again:
                self._try_return()
            return
        if self._is_open and identity(self._path) != self._file:
            self._close_real()
        if not self._is_open:
            self._open()

    def _answer(self, trouble: LedgerError, *, is_last: bool) -> None:
        """Do something about it, after which it is worth another try; raises it where nothing is left to do."""
        cause = trouble.__cause__
        if isinstance(trouble, OvertakenError):
            return
        if self._standin is not None or not isinstance(cause, sqlite3.Error):
            raise trouble
        if not is_last and is_broken(cause) and self._replace():
            return
        if getattr(cause, "sqlite_errorcode", 0) & PRIMARY in NO_ROOM and ballast.give_up(self._state.ballast):
            self._alarm.raise_(f"{trouble.message}: the room that was held back for it is used now; make more")
            return
        self._stand_in(trouble)

    def _open(self) -> None:
        """Open the real ledger, and bring in what lock files know and it does not."""
        self._go_on_with(connect(self._path, announce=self._alarm.mention))
        if not ballast.is_there(self._state.ballast) or self._is_new():
            with self._alone():
                self._catch_up()

    def _go_on_with(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._file = identity(self._path)
        self._is_open = True

    def _is_new(self) -> bool:
        query = "SELECT NOT EXISTS(SELECT 1 FROM fires) AND NOT EXISTS(SELECT 1 FROM marks)"
        return bool(self._guarded(lambda: self._execute(query).fetchone())[0])

    def _catch_up(self) -> None:
        """Bring in what was not recorded. The caller is alone."""
        from runjobs.runner import past

        if number := past.bring_in(self._state, self._connection):
            self._alarm.mention(f"{number} runs and fires that were not in the ledger are in it now")

    def _alone(self) -> Alone:
        """Keeps away who stands in, and who catches up."""
        if self._lock is None:
            from runjobs.adapters.lockjournal import Alone

            self._lock = Alone(self._state.standin)
        return self._lock

    def _watched(self, begin: Begin | None) -> Begin | None:
        """`begin`, after which nobody may have begun to stand in: who does gives up the ballast before all else."""
        if begin is None:
            return None

        def watched(claims: Sequence[Claimed]) -> Beginning:
            beginning = begin(claims)
            if not ballast.is_there(self._state.ballast):
                raise OvertakenError("somebody else can't write the ledger")
            return beginning

        return watched

    def _reserved(self, claims: Claims) -> Claims:
        """While there is room, each job that somebody has looked at gets a lock file: on a full disk it needs one."""
        for decision in claims.decisions:
            path = self._state.locks / f"job.{locks.file_name(decision.job)}"
            if not os.path.exists(path):
                from runjobs.adapters import lockjournal

                lockjournal.reserve(path)
        return claims

    def _settle(self) -> None:
        """All is in the ledger: hold room back again, if there is any, and say so if it was told otherwise."""
        if ballast.make(self._state.ballast) or ballast.free(self._state.root) >= ballast.SIZE:
            self._alarm.lower(WELL)

    def _replace(self) -> bool:
        """Set a broken ledger aside and begin another; False where that can't be."""
        self._close_real()
        try:
            set_aside(self._path, self._file, self._alarm.mention)
        except LedgerError:
            return False
        return True

    def _close_real(self) -> None:
        if self._is_open:
            super().close()
        self._is_open = False

    def _stand_in(self, trouble: LedgerError) -> None:
        """Go on in memory, with what can be read of the real ledger."""
        from runjobs.runner import past
        from runjobs.runner.standin import StandIn

        known = past.readable(self._path, self._connection if self._is_open else None)
        self._close_real()
        ballast.give_up(self._state.ballast)
        ours = StandIn(self._state, self._alone(), known)
        self._standin = ours
        self._connection = ours._connection  # noqa: SLF001 (of our own kind)
        self._again = self._monotonic() + AGAIN
        self._alarm.raise_(f"{trouble.message}: {GOES_ON}")

    def _try_return(self) -> None:
        """Tell the real ledger all that has happened, and go on with it, if it can be written by now."""
        from runjobs.runner import past

        ours, self._again = self._standin, self._monotonic() + AGAIN
        if ours is None:
            return
        with contextlib.suppress(LedgerError):
            real = connect(self._path, announce=self._alarm.mention)
            try:
                with self._alone():
                    past.bring_in(self._state, real, ours.export())
                    self._standin = None
                    self._go_on_with(real)
                    ours.close()
                    self._settle()
            except LedgerError:
                real.close()
