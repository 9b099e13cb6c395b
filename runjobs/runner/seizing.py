"""Taking what a run needs before it may start: its lock, a shared lock, a place in a pool; all of them or none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runjobs.adapters import locks
from runjobs.core.job import Overlap
from runjobs.core.turn import Busy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job

    Holders = Mapping[str, Mapping[str, object]]


def seize(folder: Path, job: Job, ours: Holders, full: dict[str, Busy]) -> tuple[Lock, ...] | Busy:
    """Take what the job needs without waiting; the first lock is the run's own. OSError where a file can't be opened.

    `ours` are the records that locks taken a moment ago are about to say: as yet they tell of old runs. `full` is what
    others who share a lock or a pool have found busy a moment ago, and what this one does.
    """
    if (known := next((full[key] for key in _shared(job) if key in full), None)) is not None:
        return known
    first = _take_own(folder, job, ours)
    if isinstance(first, Busy):
        return first
    held = [first]
    try:
        busy = _take_rest(folder, job, ours, held)
    except OSError:
        let_go(held)
        raise
    if busy is not None:
        let_go(held)
        full[f"{'pool' if busy.places else 'lock'}.{busy.name}"] = busy
        return busy
    return tuple(held)


def _shared(job: Job) -> list[str]:
    lock, pool = job.options.lock, job.options.pool
    return [f"lock.{lock}"] * (lock is not None) + ([f"pool.{pool.name}"] if pool is not None else [])


def let_go(held: Sequence[Lock]) -> None:
    """Close the descriptors here; who has inherited them still holds the locks."""
    for lock in held:
        os.close(lock.fd)


def _take_own(folder: Path, job: Job, ours: Holders) -> Lock | Busy:
    path = folder / f"job.{locks.file_name(job.name)}"
    if job.options.overlap is Overlap.ALLOW:
        return locks.take_slot(path)
    return locks.take(path) or _busy(path, job.name, ours, is_own=True)


def _take_rest(folder: Path, job: Job, ours: Holders, held: list[Lock]) -> Busy | None:
    if job.options.lock is not None:
        path = folder / f"lock.{locks.file_name(job.options.lock)}"
        lock = locks.take(path)
        if lock is None:
            return _busy(path, job.options.lock, ours)
        held.append(lock)
    if job.options.pool is not None:
        pool = job.options.pool
        place = locks.take_place(folder / f"pool.{locks.file_name(pool.name)}", pool.size)
        if place is None:
            return Busy(pool.name, {}, places=pool.size)
        held.append(place)
    return None


def _busy(path: Path, name: str, ours: Holders, *, is_own: bool = False) -> Busy:
    return Busy(name, ours.get(str(path)) or locks.read(path), str(path), is_own=is_own)
