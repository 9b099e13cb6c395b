"""The fires of a runner that wait: put in the line, tried, given up, taken over from dead runners."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.adapters.ledger import Claimed, LedgerError, Skip
from runjobs.core.event import Event, Happening
from runjobs.core.fire import Trigger, WaitFor
from runjobs.core.job import Catchup
from runjobs.core.outcome import SUPERSEDED, Outcome
from runjobs.guard import Stop
from runjobs.runner import recovery
from runjobs.runner.control import order_stop
from runjobs.runner.crew import from_seconds
from runjobs.runner.line import Line, Place
from runjobs.runner.start import launch, tell_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runjobs.core.fire import Fire, Waiting
    from runjobs.core.job import Job
    from runjobs.core.run import RunEnd
    from runjobs.core.turn import Busy
    from runjobs.runner.crew import Member
    from runjobs.runner.engine import Engine
    from runjobs.runner.start import Refusal

DOWN: Final = "its runner ended before its turn came"
TROUBLE: Final = 10.0  # seconds
ABANDONED: Final = "the call that asked for it was killed"


class Queue:
    """The line of one runner, and what its engine does with it."""

    def __init__(self, engine: Engine) -> None:
        """Nobody waits."""
        self._engine = engine
        self._line = Line()
        self._again = 0.0  # after trouble: when the next try may be
        self._ordered: set[str] = set()  # runs that were told to make way, so that nobody tells them twice

    def __len__(self) -> int:
        return len(self._line)

    def hold(self, fire_id: int, fire: Fire, place: Place) -> None:
        """Have a fire stand in the line, as the ledger has it too; told where it is news."""
        if self._line.put(fire_id, place):
            self._tell(Happening.WAITING, fire, place.wait.value, place.detail)

    def leave(self, fire_id: int) -> None:
        """It waits no more."""
        self._line.drop(fire_id)

    def take_end(self, member: Member, end: RunEnd) -> None:
        """A run has ended: whoever waits for that is tried, and where its fire is to be tried again it waits itself."""
        self._line.stir()
        if end.again_at is not None:
            wait = WaitFor.RERUN if end.verdict is Outcome.INTERRUPTED else WaitFor.RETRY
            at = from_seconds(end.again_at)
            longest = max(at - self._engine.now(), timedelta(0))
            self._line.put(member.fire_id, Place(member.job.name, wait, at, longest=longest))

    def serve(self, jobs: Mapping[str, Job]) -> list[Refusal]:
        """Try those whose time has come; the fires whose locks keep them from starting at all."""
        engine = self._engine
        if not self._line or engine.monotonic() < self._again:
            return []
        room = None if engine.most is None else engine.most - len(engine.crew.guards)
        fires = self._line.due(engine.now(), room)
        if not fires:
            return []
        try:
            with engine.still():
                return launch(engine, fires, jobs)
        except (LedgerError, OSError):
            self._again = engine.monotonic() + TROUBLE
            raise

    def pause(self) -> float | None:
        """For how many seconds nobody has to be tried; None: nobody waits."""
        now = self._engine.now()
        at = self._line.next_at(now)
        return None if at is None else max(0.0, (at - now).total_seconds(), self._again - self._engine.monotonic())

    def give_way(self, superseded: Iterable[Waiting], jobs: Mapping[str, Job]) -> None:
        """Tell of those that newer fires have put an end to."""
        for waiting in superseded:
            self._line.drop(waiting.fire_id)
            skip = Skip(waiting.fire_id, Outcome.MISSED.value, "superseded", SUPERSEDED)
            tell_end(self._engine, _claimed(waiting), jobs.get(waiting.fire.job), skip)

    def make_way(self, busy: Busy, fire: Fire) -> None:
        """Tell the run that holds a job's lock, once, to make way for a newer fire of the job."""
        run = busy.holder.get("run")
        if not isinstance(run, str) or run in self._ordered:
            return
        detail = f"replaced by the fire of {fire.scheduled_at.isoformat(sep=' ', timespec='seconds')}"
        stop = Stop(None, Outcome.STOPPED.value, "replaced", detail)
        if order_stop(Path(busy.path), run, stop, patience=0.0):  # else its guard is not there yet: at the next try
            self._ordered.add(run)

    def adopt(self, jobs: Mapping[str, Job]) -> None:
        """Take over what waits for dead runners; what a person waited for has nobody to wait for it any more.

        What others have ended meanwhile leaves the line.
        """
        engine = self._engine
        known = engine.ledger.waiting()
        self._line.keep({waiting.fire_id for waiting in known})
        for waiting in known:
            if waiting.runner != engine.runner.id:
                if recovery.is_alive(waiting, engine.state.locks) or not engine.ledger.adopt(waiting, engine.runner):
                    continue
                if waiting.fire.trigger is Trigger.MANUAL:
                    self._end(waiting, jobs, Skip(waiting.fire_id, "interrupted", "runner-died", ABANDONED))
                    continue
                if self._is_too_late(waiting, jobs.get(waiting.fire.job)):
                    self._end(waiting, jobs, Skip(waiting.fire_id, "missed", "down", DOWN))
                    continue
            if waiting.fire_id not in self._line:
                longest = max(waiting.not_before - waiting.since, timedelta(0))
                place = Place(waiting.fire.job, waiting.wait, waiting.not_before, longest=longest)
                self._line.put(waiting.fire_id, place)

    def _is_too_late(self, waiting: Waiting, job: Job | None) -> bool:
        """Whether a fire that waited for a lock or a place had nobody to wait for it while its patience ran out."""
        if job is None or waiting.attempts or waiting.wait is WaitFor.AFTER or job.options.catchup is not Catchup.NONE:
            return False
        if waiting.fire.trigger is Trigger.WATCH:
            return False  # it is told all that has changed by the time it starts
        return self._engine.now() - waiting.since > job.options.start_within

    def _end(self, waiting: Waiting, jobs: Mapping[str, Job], skip: Skip) -> None:
        if self._engine.ledger.cancel(skip, self._engine.now()):
            tell_end(self._engine, _claimed(waiting), jobs.get(waiting.fire.job), skip)

    def _tell(self, happening: Happening, fire: Fire, reason: str, detail: str) -> None:
        facts = {"scheduled_at": fire.scheduled_at, "reason": reason, "detail": detail}
        self._engine.report(Event(self._engine.now(), happening, fire.job, facts=facts))


def _claimed(waiting: Waiting) -> Claimed:
    return Claimed(waiting.fire_id, waiting.fire, waiting.attempts)
