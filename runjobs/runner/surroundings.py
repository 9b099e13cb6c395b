"""What a claimed fire's turn depends on, besides itself: pauses, the jobs it comes after, room for one more run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from runjobs.core.fire import Trigger
from runjobs.core.job import Catchup, Overlap
from runjobs.core.outcome import Outcome
from runjobs.core.pausing import detail_of
from runjobs.core.turn import OWN_TRIGGERS, Dependency, Facts, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.core.pausing import Pause
    from runjobs.core.turn import Turn


class Surroundings:
    """The facts for the turns of one batch, read within its transaction: each thing when it is first asked for."""

    def __init__(self, ledger: Ledger, jobs: Mapping[str, Job], now: datetime, most: int | None) -> None:
        """`most` is how many runs may go on at once (None: no bound)."""
        self._ledger = ledger
        self._jobs = jobs
        self._now = now
        self._most = most
        self._started = 0

    def facts(self, turn: Turn) -> Facts:
        """What holds for this fire."""
        after = () if turn.attempts or turn.fire.trigger not in OWN_TRIGGERS else turn.job.options.after
        return Facts(
            self._now,
            self._paused(turn.job.name),
            bool(turn.attempts) and self._ledger.has_newer(turn.fire),
            _is_in_order(turn) and self._ledger.has_older(turn.fire),
            tuple(self._dependency(name, turn.fire.scheduled_at) for name in after),
            self._most is None or self._going + self._started < self._most,
        )

    def count_start(self) -> None:
        """One more run is about to start."""
        self._started += 1

    @cached_property
    def _going(self) -> int:
        return self._ledger.unended_number()

    @cached_property
    def _pauses(self) -> Mapping[str, Pause]:
        return self._ledger.pauses()

    def _paused(self, job: str) -> str:
        pause = self._pauses.get(job)
        return detail_of(pause) if pause is not None and pause.holds(self._now) else ""

    def _dependency(self, name: str, at: datetime) -> Dependency:
        job = self._jobs.get(name)
        if job is None or not job.options.enabled:
            return Dependency(Stage.FAILED, f"{name} is {'gone' if job is None else 'switched off'}")
        newest = self._ledger.newest(name, at)
        if self._is_still_to_come(job, at):
            return Dependency(Stage.PENDING, f"{name} has a fire that has not started yet")
        if newest is None:
            return Dependency(Stage.FAILED, f"{name} has had no fire yet")
        when = newest.scheduled_at.isoformat(sep=" ", timespec="seconds")
        if newest.ended_at is None:
            return Dependency(Stage.PENDING, f"{name} has not ended yet (its fire of {when})")
        if newest.outcome == Outcome.OK.value:
            return Dependency(Stage.OK, "", newest.ended_at)
        why = f" ({newest.reason})" if newest.reason else ""
        return Dependency(Stage.FAILED, f"{name} was {newest.outcome}{why} (its fire of {when})")

    def _is_still_to_come(self, job: Job, at: datetime) -> bool:
        """Whether a fire of the job is due by then that nobody has claimed: its jitter holds it back, or its runner."""
        mark: Mark | None = self._ledger.marks([job.name]).get(job.name)
        if mark is None or mark.next_fire is None or mark.schedule_key != job.schedule.key:
            return False
        return mark.next_fire <= at


def _is_in_order(turn: Turn) -> bool:
    """Whether the fires of the job start one after the other, oldest first."""
    options = turn.job.options
    is_all = options.catchup is Catchup.ALL and options.overlap is not Overlap.ALLOW
    return is_all and turn.fire.trigger is Trigger.SCHEDULE and not turn.attempts
