"""`runjobs run JOB`: that job runs now, whatever its schedule says, and its exit code is passed on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from runjobs.adapters.ledger import Skip
from runjobs.core.fire import Fire, Trigger, milliseconds
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd, run_id
from runjobs.runner import succession
from runjobs.runner.oneshot import Ear, wait_for_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runjobs.adapters.ledger import Claimed
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine

BUSY: Final = 75  # EX_TEMPFAIL, sysexits(3)
NOT_STARTED: Final = 126  # what a shell says of a command that can't be executed


class Manual:
    """A person's call: its jobs one after the other, each with its retries; `tell` hears of trouble."""

    def __init__(self, engine: Engine, jobs: Mapping[str, Job], tell: Callable[[Job, RunEnd], None]) -> None:
        """Listen to signals from here on. `jobs` are all there are."""
        self._engine = engine
        self._jobs = jobs
        self._tell = tell
        self._ear = Ear(engine)
        self._ended: list[RunEnd] = []
        engine.on_end = lambda _, end: self._take(end)
        engine.crew.is_patient = True
        engine.crew.is_brief = True

    def run(self, jobs: Sequence[Job]) -> int:
        """Run them: the exit code of the first that failed, else 0."""
        engine = self._engine
        engine.messenger.keep(self._jobs)
        succession.recover(engine, self._jobs)
        code = 0
        for job in jobs:
            one = self._run_one(job)
            code = code or one
            if self._ear.heard is not None:
                return 128 + self._ear.heard
        engine.tidy()
        return code

    def _take(self, end: RunEnd) -> None:
        self._ended.append(end)

    def _run_one(self, job: Job) -> int:
        engine = self._engine
        self._ended.clear()
        claimed = _claim(engine, job)
        refused = engine.launch([claimed.fire_id], self._jobs)
        refused += wait_for_all(engine, self._jobs, self._ear)
        if self._ear.heard is not None:
            detail = f"stopped by {self._ear.heard.name}"
            engine.ledger.cancel(Skip(claimed.fire_id, Outcome.STOPPED.value, "person", detail), engine.now())
        if not self._ended or any(not isinstance(refusal.why, RunEnd) for refusal in refused):
            return BUSY  # why, an event has told
        return self._judge(job, self._ended[-1])

    def _judge(self, job: Job, end: RunEnd) -> int:
        if end.verdict is Outcome.OK:
            return 0
        if end.again_at is None:
            self._tell(job, end)
        return NOT_STARTED if end.verdict is Outcome.ERROR else end.status or 1  # stopped or failed, though it exited 0


def _claim(engine: Engine, job: Job) -> Claimed:
    """Claim a fire of this moment, under a number that no other call has drawn in the same millisecond."""
    while True:
        now = engine.now()
        instance = run_id(milliseconds(now), int.from_bytes(os.urandom(2), "big"))
        claimed = engine.ledger.claim_one(engine.runner, now, Fire(job.name, Trigger.MANUAL, now, instance))
        if claimed is not None:
            return claimed
