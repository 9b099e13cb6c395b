"""The stand-in: a ledger in memory, for as long as the real one can't be written.

It begins with what can be read of the real one, and with what the lock files tell. What happens it writes into the
journals of the lock files, in place, before it counts: so runners that stand in at the same time, or one after the
other, start nothing twice, and the real ledger can catch up. One of them at a time writes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runjobs.adapters import ballast, lockjournal
from runjobs.adapters.ledger import rows
from runjobs.adapters.ledger.catching_up import CatchingUp, Copy, as_rows, in_memory
from runjobs.core.journal import Entry, entry_of
from runjobs.runner import past

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runjobs.adapters.ledger import Begin, Claims, Decide, Orphan, RunnerId
    from runjobs.adapters.lockjournal import Alone
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.fire import Waiting
    from runjobs.core.run import Unended

    Result = TypeVar("Result")

# what is new or has changed is to be said; there are many ways to change a row, and triggers know them all
UNSAID: Final = "CREATE TEMP TABLE unsaid(kind TEXT, id, PRIMARY KEY(kind, id));"
TRIGGER: Final = (
    "CREATE TEMP TRIGGER TABLE_VERB AFTER VERB ON TABLE BEGIN"
    " INSERT OR IGNORE INTO unsaid VALUES ('TABLE', new.COLUMN); END;"
)
TABLES: Final = (("fires", "id"), ("runs", "id"), ("marks", "job"))
FIRES_UNSAID: Final = (
    "SELECT job, trigger, scheduled_at, key, last_at, count, outcome, reason, ended_at FROM fires"
    " WHERE id IN (SELECT id FROM unsaid WHERE kind = 'fires') AND state = 'ended' AND job <> ''"
    " AND NOT EXISTS(SELECT 1 FROM runs WHERE runs.fire = fires.id)"
)
RUNS_UNSAID: Final = (
    "SELECT job, trigger, scheduled_at, key, runs.id, attempt, lock, started_at, runs.ended_at, runs.outcome,"
    " runs.reason, exit_code, signal FROM runs JOIN fires ON fires.id = runs.fire"
    " WHERE runs.id IN (SELECT id FROM unsaid WHERE kind = 'runs')"
)
MARKS_UNSAID: Final = (
    "SELECT job, watermark, schedule_key FROM marks WHERE job IN (SELECT id FROM unsaid WHERE kind = 'marks')"
)
FIRST: Final = {"job": "", "trigger": "", "key": "", "scheduled_at": 0, "last_at": 0, "state": "ended"}
EPOCH: Final = 1_577_836_800  # 2020-01-01, in seconds: ids of fires stay below 2**58 until 2054


class StandIn(CatchingUp):
    """A ledger in memory, with a journal in each job's lock file."""

    def __init__(self, state: StateFolder, alone: Alone, known: Copy | None) -> None:
        """Begin with what is known of the real ledger; None: nothing, so the lock files have to say what ran last."""
        super().__init__(in_memory(), Path(":memory:"))
        self._state = state
        self._alone = alone
        self._first = _first_id()
        for table in Copy._fields:
            for row in getattr(known or Copy(), table):
                self._put(table, row)
        self._begun = self._everything()
        # the ids that fires have here are nobody else's, so that they may stay what they are in the real ledger
        self._put("fires", FIRST | {"id": self._first})
        self._connection.executescript(_triggers())
        if known is None:
            self.catch_up(past.last_runs(state))

    def export(self) -> Copy:
        """All that is new or has changed since it began."""
        whole, begun = self._guarded(self._everything), self._begun
        news = [[row for row in now if row not in then] for now, then in zip(whole, begun, strict=True)]
        marks, _, _, fires, runs, _, watches = news
        of_runs = {run["fire"] for run in runs} - {row["id"] for row in fires}
        fires = [row for row in fires if row["id"] != self._first] + [
            row for row in whole.fires if row["id"] in of_runs
        ]
        return Copy(marks=marks, fires=fires, runs=runs, watches=watches)

    def claim(
        self,
        runner: RunnerId,
        now: datetime,
        jobs: Sequence[str] | None,
        decide: Decide,
        begin: Begin | None = None,
    ) -> Claims:
        """As every ledger, after a look at what others that stand in have claimed."""
        with self._alone:
            self._hear()
            return super().claim(runner, now, jobs, decide, begin)

    def unended(self) -> list[Unended]:
        """Every run without an end, by the word of the others too that stand in."""
        with self._alone:
            self._hear()
            return super().unended()

    def reclaim(self, orphan: Orphan, runner: RunnerId, now: datetime) -> bool:
        """Only our own: of what a dead runner left on record, just one takes over, and the real ledger knows who."""
        return orphan.runner == runner.id and super().reclaim(orphan, runner, now)

    def adopt(self, waiting: Waiting, runner: RunnerId) -> bool:
        """Nobody's: see `reclaim`."""
        return waiting.runner == runner.id and super().adopt(waiting, runner)

    def _write(self, step: Callable[[], Result]) -> Result:
        with self._alone:
            result = super()._write(step)
            self._say()
            return result

    def _hear(self) -> None:
        """Take in what others have said; it needs not be said again."""
        told = [*past.journals(self._state), *past.last_fires(self._state)]
        if told and not self.knows(told):
            super()._write(lambda: sum(map(self._bring_in, told)))
            self._execute("DELETE FROM unsaid")

    def _say(self) -> None:
        """Write what is new into the journals; the lock file of a job that can't be written can't be taken either."""
        entries: dict[str, list[Entry]] = defaultdict(list)
        ballast.give_up(self._state.ballast)  # the sign that not all is in the ledger
        for row in self._execute(FIRES_UNSAID):
            entries[row[0]].append(_fires_entry(row))
        for row in self._execute(RUNS_UNSAID):
            entries[row[0]].append(_run_entry(row))
        marks = {row[0]: row[1:] for row in self._execute(MARKS_UNSAID)}
        for job in entries.keys() | marks.keys():
            with contextlib.suppress(OSError):
                lockjournal.add(past.lock_path(self._state, job), entries[job], *marks.get(job, ()))
        self._execute("DELETE FROM unsaid")

    def _everything(self) -> Copy:
        return Copy(*(list(as_rows(self._execute(f"SELECT * FROM {table}"))) for table in Copy._fields))  # noqa: S608


def _triggers() -> str:
    made = (
        TRIGGER.replace("TABLE", table).replace("VERB", verb).replace("COLUMN", column)
        for table, column in TABLES
        for verb in ("INSERT", "UPDATE")
    )
    return UNSAID + "".join(made)


def _first_id() -> int:
    """A number from which on fires are counted: another one for each process and second."""
    return ((int(time.time()) - EPOCH) << 28) | ((os.getpid() & 0xFFFF) << 12)


def _fires_entry(row: Sequence[Any]) -> Entry:
    *identity, last, count, outcome, reason, ended = row
    found = entry_of(rows.fire(*identity))
    how = {"outcome": outcome, "reason": reason, "ended_ms": ended or 0}
    return found._replace(number=count, begun_ms=last, **how)


def _run_entry(row: Sequence[Any]) -> Entry:
    job, trigger, scheduled, key, run, attempt, lock, begun, ended, outcome, reason, code, signal = row
    found = entry_of(rows.fire(job, trigger, scheduled, key))
    found = found._replace(
        run_id=run, number=attempt, slot=past.slot_of(lock), begun_ms=begun or 0, ended_ms=ended or 0
    )
    return found._replace(outcome=outcome or "", reason=reason or "", exit_code=code, signal=signal)
