"""Orders to guards, whoever started them: written into the lock file of their run, and told by a signal.

An order needs no runner: it reaches the guard of a runner that is dead, or of one that is busy. The signal goes to the
process that holds the lock and to no other, however its pid was found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.adapters import locks, tree
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.locks.holders import holds
from runjobs.core.outcome import Outcome
from runjobs.core.run import DIGITS, RunEnd
from runjobs.guard.orders import order_of
from runjobs.guard.spawn import TITLE
from runjobs.runner.recovery import examine, lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.run import Unended
    from runjobs.guard import Stop

PATIENCE: Final = 1.0  # seconds for a run that is just being forked to have a guard
PAUSE: Final = 0.02  # seconds between two looks for it
BEREAVED: Final = 2.0  # seconds for a run's end to be recorded once its lock is free: its runner may be about to


class Going(NamedTuple):
    """A run that has not ended: its job and its own lock, and the due time where it is known (ms since the epoch)."""

    run_id: str
    job: str
    lock: Path
    scheduled_ms: int | None = None


def order_stop(lock: Path, run_id: str, stop: Stop, patience: float = PATIENCE) -> bool:
    """Have a run stopped by its guard, and don't wait for its end; False when nobody guards it.

    `lock` is the run's own lock file. A second order for the same run kills it at once. Where the order can't be
    written (the lock file was made on a full disk) the guard hears of a signal alone, and records no more than that.
    """
    give_up = time.monotonic() + patience
    while (handle := open_guard(lock, run_id)) is None:
        if time.monotonic() >= give_up or not _is_of(lock, run_id):
            return False
        time.sleep(PAUSE)  # its runner holds the lock, and forks the guard any moment
    try:
        is_written = _write(lock, run_id, stop)
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not is_written and stop.kill_after == 0:
            time.sleep(PAUSE)  # two signals are two orders only when the first was taken before the second came
            signal.pidfd_send_signal(handle, signal.SIGTERM)
    except ProcessLookupError:
        return False  # it ended meanwhile
    finally:
        os.close(handle)
    return True


def going(unended: Sequence[Unended], folder: Path) -> list[Going]:
    """Every run that has not ended: those that the ledger knows, and those that only their lock files tell of."""
    known = {run.run_id: Going(run.run_id, run.job, lock_of(folder, run.lock), run.scheduled_ms) for run in unended}
    told = {run.run_id: run for run in map(_going, locks.survey(folder)) if run is not None}
    return list((told | known).values())


def _going(seen: locks.Seen) -> Going | None:
    path, record = seen.path, seen.record
    if not seen.is_held or not path.name.startswith("job.") or "end" in record:
        return None
    run_id, job = record.get("run"), record.get("job")
    return Going(run_id, job, path) if isinstance(run_id, str) and isinstance(job, str) else None


def _is_of(lock: Path, run_id: str) -> bool:
    return locks.read(lock).get("run") == run_id and locks.is_held(lock)


def _write(lock: Path, run_id: str, stop: Stop) -> bool:
    number = "".join(DIGITS[byte & 31] for byte in os.urandom(8))
    with contextlib.suppress(OSError):
        locks.write_order(lock, order_of(run_id, stop, number))
        return True
    return False


def open_guard(lock: Path, run_id: str) -> int | None:
    """A pidfd of the guard that holds this lock for this run, for the caller to close; None where there is none (yet).

    The process is pinned by its pidfd before it is judged, so nobody can come to have its pid in between.
    """
    record = locks.read(lock)
    if record.get("run") != run_id:
        return None
    for pid in _candidates(record):
        with contextlib.suppress(OSError):  # gone, or not ours to signal
            handle = os.pidfd_open(pid)
            if _is_guard(pid) and holds(pid, lock):
                return handle
            os.close(handle)
    return None


def _candidates(record: dict[str, Any]) -> Iterator[int]:
    """The recorded pid; then every guard, for a runner may die between forking one and writing down which it is."""
    if isinstance(recorded := record.get("pid"), int):
        yield recorded
    yield from (stat.pid for stat in tree.every_process() if stat.name == TITLE)


def _is_guard(pid: int) -> bool:
    """Whether a process is a guard: it leads a session, and what starts its job, which holds the lock too, does not."""
    stat = tree.read_stat(pid)
    return stat is not None and stat.name == TITLE and stat.session == pid


class Stopping:
    """Runs that are told to stop, until the last of them has ended. Without a ledger the lock files say who goes on."""

    def __init__(self, ledger: Ledger | None, folder: Path, runs: Sequence[Going], stop: Stop) -> None:
        """Order each of them; what is left of those that nobody guards any more is ended here and now."""
        self._ledger = ledger
        self._folder = folder
        self._stop = stop
        self._since = time.monotonic()
        self._free: dict[str, float] = {}  # runs whose lock was found free, and when that was first
        self.left = [run for run in runs if order_stop(run.lock, run.run_id, stop) or not self._see_to(run, 0.0)]

    @property
    def seconds(self) -> float:
        """How long ago they were told."""
        return time.monotonic() - self._since

    def look(self) -> None:
        """Take note of those that have ended; one whose guard died on the way is ended here."""
        unended = self._unended()
        self.left = [run for run in self.left if self._goes_on(run, unended) and not self._see_to(run, BEREAVED)]

    def _unended(self) -> dict[str, Unended] | None:
        """The runs that have no end on record; None where the ledger can't be asked."""
        if self._ledger is None:
            return None
        try:
            return {run.run_id: run for run in self._ledger.unended()}
        except LedgerError:
            return None

    def _goes_on(self, run: Going, unended: dict[str, Unended] | None) -> bool:
        if unended is None or run.scheduled_ms is None:
            return _is_of(run.lock, run.run_id)
        return run.run_id in unended

    def _see_to(self, run: Going, patience: float) -> bool:
        """End what is left of a run whose lock has been free for so long; whether it has ended."""
        if locks.is_held(run.lock):
            self._free.pop(run.run_id, None)
            return False
        if time.monotonic() - self._free.setdefault(run.run_id, time.monotonic()) < patience:
            return False
        unended = (self._unended() or {}).get(run.run_id)
        return unended is None or self._ledger is None or _end(self._ledger, self._folder, unended, self._stop)


def _end(ledger: Ledger, folder: Path, run: Unended, stop: Stop) -> bool:
    """End a run whose guard is dead, and record it as stopped; False while somebody holds its lock, or lives on."""
    lock = locks.take(lock_of(folder, run.lock))
    if lock is None:
        return False
    try:
        end = examine(run, folder, None)
        if not isinstance(end, RunEnd):
            return False
        if end.verdict is Outcome.INTERRUPTED:
            detail = f"{stop.detail}; {end.detail}"
            end = end._replace(outcome=stop.outcome, reason=stop.reason, detail=detail, again_at=None)
        with contextlib.suppress(LedgerError):  # nothing of it lives: how it ended is written by the next recovery
            ledger.record((), [end])
    finally:
        os.close(lock.fd)
    return True
