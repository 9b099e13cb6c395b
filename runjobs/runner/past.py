"""What the lock files of the jobs tell of the past, for a ledger that does not know it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from runjobs.adapters import lockjournal, locks
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.catching_up import CatchingUp, Copy, Past, read_open, salvage
from runjobs.core.fire import Fire, Trigger, milliseconds
from runjobs.core.journal import LOST, Entry, Journal, entry_of
from runjobs.core.run import end_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.run import RunEnd

PREFIX: Final = "job."
SLOT: Final = "+"  # what separates the number of a further lock of one job from its name


def lock_path(state: StateFolder, job: str) -> Path:
    """The lock file of a job, which has the job's journal; runs that may overlap have others besides."""
    return state.locks / f"{PREFIX}{locks.file_name(job)}"


def slot_of(lock: str) -> int:
    """Which of its job's locks it is."""
    _, _, number = os.path.basename(lock).rpartition(SLOT)
    return int(number) if SLOT in os.path.basename(lock) and number.isdecimal() else 1


def journals(state: StateFolder) -> list[Past]:
    """The journals that say something."""
    pasts = (_past(state, path, lockjournal.read(path)) for path in lock_files(state) if SLOT not in path.name)
    return [past for past in pasts if not past.journal.is_empty]


def last_fires(state: StateFolder) -> list[Past]:
    """The last scheduled fire under each lock, by its record, as marks: all up to there is accounted for."""
    found = []
    for path in lock_files(state):
        entry = _recorded(locks.read(path))
        if entry is not None and entry.trigger is Trigger.SCHEDULE:
            found.append(_past(state, path, Journal(entry.scheduled_ms)))
    return found


def last_runs(state: StateFolder) -> list[Past]:
    """The last run under each lock, by its record, for a ledger that is new; how it ended where that was noted."""
    found = []
    for path in lock_files(state):
        record = locks.read(path)
        if (entry := _recorded(record)) is not None:
            ended = _ended(entry, record, is_held=locks.is_held(path))._replace(slot=slot_of(path.name))
            mark = ended.scheduled_ms if ended.trigger is Trigger.SCHEDULE else None
            found.append(_past(state, path, Journal(mark, "", (ended,))))
    return found


def bring_in(state: StateFolder, connection: sqlite3.Connection, standin: Copy | None = None) -> int:
    """Bring into the ledger what a stand-in knows, and what lock files tell, and clear their journals.

    The number of runs and fires that were news. The caller is alone. LedgerError where it can't be written.
    """
    ledger = CatchingUp(connection, state.ledger)
    told, known = journals(state), standin or Copy()
    if ledger.is_new():
        told += last_runs(state)
        known = known._replace(**_together(remains(state), known))
    if known == Copy() and ledger.knows(told):
        return 0
    number = ledger.take_in(known, told)
    for job in {each.job for each in told}:
        lockjournal.clear(lock_path(state, job))
    return number


def _together(one: Copy, other: Copy) -> dict[str, list[dict[str, Any]]]:
    return {table: [*getattr(one, table), *getattr(other, table)] for table in Copy._fields}


def readable(path: Path, connection: sqlite3.Connection | None) -> Copy | None:
    """The open state of a ledger that can't be written, by a connection that is open or by a new one; None: nothing."""
    with contextlib.suppress(sqlite3.Error):
        if connection is not None:
            return read_open(connection)
    with contextlib.suppress(LedgerError):
        return salvage(path)
    return None


def remains(state: StateFolder) -> Copy:
    """What can still be read of the ledger that was set aside last."""
    broken = sorted(state.root.glob(f"{state.ledger.name}.broken-*[0-9]"))
    with contextlib.suppress(LedgerError, IndexError):
        return salvage(broken[-1], broken=True)
    return Copy()


def lock_files(state: StateFolder) -> Iterator[Path]:
    """The lock files of jobs, further ones of one job too."""
    try:
        names = sorted(os.listdir(state.locks))
    except OSError:
        return
    yield from (state.locks / name for name in names if name.startswith(PREFIX))


def _past(state: StateFolder, path: Path, journal: Journal) -> Past:
    file = path.name.partition(SLOT)[0].removeprefix(PREFIX)
    return Past(file.replace(",", "/"), str(path.with_name(PREFIX + file)), f"{state.logs}/{file}", journal)


def _recorded(record: dict[str, Any]) -> Entry | None:
    """The run that a record tells of, as one whose end is not known."""
    try:
        run, job = str(record["run"]), str(record["job"])
        fire = Fire(job, Trigger(record["trigger"]), datetime.fromisoformat(record["scheduled_at"]))
        begun = datetime.fromisoformat(record["since"])
        attempt = int(record.get("attempt", 1))
    except (KeyError, TypeError, ValueError):
        return None  # of a runner, or of a version that wrote less
    if fire.trigger not in {Trigger.SCHEDULE, Trigger.ONCE}:
        fire = fire._replace(instance=run)
    return entry_of(fire)._replace(run_id=run, number=attempt, begun_ms=milliseconds(begun))


def _ended(entry: Entry, record: dict[str, Any], *, is_held: bool) -> Entry:
    noted = record.get("end")
    if isinstance(noted, dict):
        return with_end(entry, end_from(noted | {"run_id": entry.run_id}))
    if is_held:
        return entry  # it goes on, and its guard will say
    return entry._replace(outcome=LOST[0], reason=LOST[1], ended_ms=entry.begun_ms)


def with_end(entry: Entry, end: RunEnd) -> Entry:
    """The entry of a run that has ended."""
    return entry._replace(
        begun_ms=int(end.started_at * 1000) or entry.begun_ms,
        ended_ms=int(end.ended_at * 1000),
        outcome=end.outcome,
        reason=end.reason,
        exit_code=end.exit_code,
        signal=end.signal,
    )
