"""Forking the undertakers of a runner: what they inherit, and who hears of them."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import cgroup, locks
from runjobs.core.fire import Fire, Trigger, from_milliseconds
from runjobs.guard import make_channel
from runjobs.guard.remains import Remains
from runjobs.guard.undertaker import Burial, spawn_undertaker
from runjobs.runner import recovery
from runjobs.runner.crew import Guard, Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.adapters.locks import Lock
    from runjobs.core.job import Job
    from runjobs.core.run import RunEnd, Unended
    from runjobs.guard import Channel
    from runjobs.runner.engine import Engine


class Case(NamedTuple):
    """A run whose guard is dead: its job (None: it is gone), and where the run is our own, our record of it.

    `more` are locks that nobody else may have while anything of the run is alive.
    """

    run: Unended
    job: Job | None
    member: Member | None = None
    more: tuple[Lock, ...] = ()


def undertake(engine: Engine, case: Case, lock: Lock, remains: Remains) -> None:
    """Fork an undertaker for what is left of a run: it inherits the run's lock, and the others that the run had.

    Where the job is gone nobody listens to it, and it records alone. Where no process can be made, the next recovery
    tries anew.
    """
    others = _others_of(case.run, lock)
    ours, theirs = make_channel()
    inherited = tuple({held.fd: held for held in (lock, *others, *case.more)}.values())
    try:
        pid = spawn_undertaker(_burial(case, inherited, theirs, remains), engine.record_alone)
    except OSError as error:
        engine.warn(error)
        ours.close()
        return
    finally:
        theirs.close()
        for held in others:
            os.close(held.fd)
    with contextlib.suppress(OSError):  # a full disk
        locks.write_pid(lock.fd, pid)
    if case.job is None:
        ours.close()
        return
    member = case.member or _member(case.run, case.job)
    engine.crew.take_on(Guard(member, pid, ours, is_undertaker=True, is_ours=case.member is not None))


def _others_of(run: Unended, own: Lock) -> list[Lock]:
    """The shared lock and the place in a pool that a run had, taken again where nobody has them yet."""
    folder = Path(own.path).parent
    names = [name for name in os.listdir(folder) if name.startswith(("lock.", "pool."))]
    paths = [folder / name for name in names if locks.read(folder / name).get("run") == run.run_id]
    return [lock for path in paths if (lock := locks.take(path)) is not None]


def _burial(case: Case, held: Sequence[Lock], channel: Channel, before: Remains) -> Burial:
    run = case.run

    def describe(remains: Remains) -> RunEnd:
        found = dict([*before.killed, *before.stuck, *remains.killed])
        return recovery.guard_died(run, case.job, Remains(tuple(found.items())))

    record = locks.read(Path(held[0].path))
    if record.get("run") != run.run_id:  # it was not written, on a full disk
        record = {"run": run.run_id, "job": run.job}
    return Burial(
        run_id=run.run_id,
        main=run.process,
        base=cgroup.find_base(),
        channel=channel,
        lock_fds=tuple(lock.fd for lock in held),
        describe=describe,
        note=partial(recovery.note, held[:1], record),
    )


def _member(run: Unended, job: Job) -> Member:
    fire = Fire(run.job, Trigger.SCHEDULE, from_milliseconds(run.scheduled_ms))
    return Member(run.run_id, job, fire, "", run.fire_id)
