"""`runjobs run JOB`: that job runs now, whatever its schedule says, and its exit code is passed on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from runjobs.core.fire import Fire, Trigger, milliseconds
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd, run_id
from runjobs.runner import recovery
from runjobs.runner.oneshot import Ear, wait_for_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runjobs.adapters.ledger import Claimed
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine
    from runjobs.runner.start import Busy

BUSY: Final = 75  # EX_TEMPFAIL, sysexits(3)
NOT_STARTED: Final = 126  # what a shell says of a command that can't be executed


def run_now(engine: Engine, jobs: Sequence[Job], tell: Callable[[Job, Busy | RunEnd], None]) -> int:
    """Run the jobs one after the other: the exit code of the first that failed, else 0. `tell` hears of trouble."""
    ear = Ear(engine)
    ended: list[RunEnd] = []
    engine.crew.on_end = lambda _, end: ended.append(end)
    engine.crew.is_patient = True
    engine.tell_recovered(recovery.recover(engine.ledger, engine.state.locks, ()))
    code = 0
    for job in jobs:
        one = _run_one(engine, job, tell, ended)
        code = code or one
        if ear.heard is not None:
            return 128 + ear.heard
    return code


def _run_one(engine: Engine, job: Job, tell: Callable[[Job, Busy | RunEnd], None], ended: list[RunEnd]) -> int:
    if refused := engine.launch([_claim(engine, job)], {job.name: job}):
        tell(job, refused[0])
        return NOT_STARTED if isinstance(refused[0], RunEnd) else BUSY
    wait_for_all(engine)
    end = ended[-1]
    if end.verdict is not Outcome.OK:
        tell(job, end)
    if end.verdict is Outcome.ERROR:
        return NOT_STARTED
    return 0 if end.verdict is Outcome.OK else end.status or 1  # stopped or failed, though it exited 0


def _claim(engine: Engine, job: Job) -> Claimed:
    """Claim a fire of this moment, under a number that no other call has drawn in the same millisecond."""
    while True:
        now = engine.now()
        instance = run_id(milliseconds(now), int.from_bytes(os.urandom(2), "big"))
        claimed = engine.ledger.claim_one(engine.runner, now, Fire(job.name, Trigger.MANUAL, now, instance))
        if claimed is not None:
            return claimed
