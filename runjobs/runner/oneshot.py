"""One pass, from a shell or the system's cron: what is due is run, then it ends."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Final

from runjobs.adapters.signals import Signals
from runjobs.core.fire import WaitFor
from runjobs.core.outcome import Outcome
from runjobs.core.plan import look_once
from runjobs.guard import Stop
from runjobs.runner.triggers import watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runjobs.core.job import Job
    from runjobs.core.run import RunEnd
    from runjobs.runner.crew import Member
    from runjobs.runner.engine import Engine
    from runjobs.runner.start import Refusal

LOOK: Final = 15.0  # seconds between two looks of a pass at what its waiting fires need and nobody else may see to
REST: Final = 10.0  # seconds for which a pass stays to see watched paths come to rest
MARGIN: Final = 0.01  # seconds: a look must not come a moment too early
STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_pass(engine: Engine, jobs: Mapping[str, Job]) -> tuple[list[tuple[Member, RunEnd]], signal.Signals | None]:
    """Run what is due and wait until it has ended: the ends, and the signal that cut it short, if one did."""
    ear = Ear(engine)
    ended: list[tuple[Member, RunEnd]] = []
    engine.on_end = lambda member, end: ended.append((member, end))
    engine.crew.is_brief = True
    engine.run_due(jobs, look_once(engine.now(), engine.boot))
    everything = engine.onces.beside(jobs)
    wait_for_all(engine, everything, ear, partial(_look_around, engine, everything))
    _watch_on(engine, everything, ear)
    engine.tidy()
    return _as_they_stand(ended) if ear.heard is None else ended, ear.heard


def _watch_on(engine: Engine, jobs: Mapping[str, Job], ear: Ear) -> None:
    """Stay for changes that come to rest soon, and look at once after a run, however long that took.

    The next pass has the others.
    """
    until = engine.monotonic() + REST
    while ear.heard is None and (pause := engine.triggers.pause(engine.now())) is not None:
        if pause and engine.monotonic() + pause > until:
            return
        engine.crew.turn(pause + MARGIN)
        engine.run_due(jobs, look_once(engine.now(), engine.boot), watchers(jobs))
        wait_for_all(engine, jobs, ear)


def _look_around(engine: Engine, jobs: Mapping[str, Job]) -> None:
    """Settle what others have left, and claim what our waiting fires come after: nobody else may be there to do it."""
    engine.run_due(jobs, look_once(engine.now(), engine.boot), sorted(_awaited(engine, jobs)))


def _awaited(engine: Engine, jobs: Mapping[str, Job]) -> set[str]:
    """The jobs that our fires come after, where a fire by then is still to be claimed; later ones are not ours."""
    waiting = [each for each in engine.ledger.waiting() if each.runner == engine.runner.id]
    pairs = [
        (name, each.fire.scheduled_at)
        for each in waiting
        if each.wait is WaitFor.AFTER and each.fire.job in jobs
        for name in jobs[each.fire.job].options.after
    ]
    marks = engine.ledger.marks(sorted({name for name, _ in pairs} & jobs.keys()))
    return {name for name, at in pairs if name in marks and (marks[name].next_fire or engine.now()) <= at}


def _as_they_stand(ended: list[tuple[Member, RunEnd]]) -> list[tuple[Member, RunEnd]]:
    """The ends, when nothing is waited for any more: the last one of a fire is its end, whatever was to follow."""
    last = {member.fire_id: end.run_id for member, end in ended}
    return [
        (member, end._replace(again_at=None) if last[member.fire_id] == end.run_id else end) for member, end in ended
    ]


def wait_for_all(
    engine: Engine, jobs: Mapping[str, Job], ear: Ear, look_around: Callable[[], object] | None = None
) -> list[Refusal]:
    """Wait until every run has ended and stands in the ledger, and nobody waits for a turn any more.

    What still waits when a signal says stop is left in the ledger, to whoever comes next. The fires that waited and
    that a lock kept from starting come back. `look_around` is called now and then while somebody waits.
    """
    refused: list[Refusal] = []
    next_look = engine.monotonic() + LOOK
    while engine.crew.is_busy or (engine.queue and ear.heard is None):
        news = engine.messenger.look()
        engine.crew.turn(_pause(engine, next_look, news) if ear.heard is None else None)
        engine.settle_bereaved()
        if ear.heard is None:
            refused += engine.queue.serve(jobs)
            if look_around is not None and engine.queue and engine.monotonic() >= next_look:
                look_around()
                next_look = engine.monotonic() + LOOK
    return refused


def _pause(engine: Engine, next_look: float, news: float | None) -> float | None:
    pause = engine.queue.pause()
    waits = None if pause is None else min(pause, max(0.0, next_look - engine.monotonic()))
    return min((each for each in (waits, news) if each is not None), default=None)


class Ear:
    """Hears a person's or the system's wish to stop: the first stops every run, the second kills at once."""

    def __init__(self, engine: Engine) -> None:
        """Listen from here on."""
        self.heard: signal.Signals | None = None
        self._engine = engine
        self._signals = Signals((*STOPPING, signal.SIGCHLD))
        engine.crew.listen(self._signals.fd, self._hear)

    def _hear(self) -> None:
        for number in self._signals.take():
            if number is signal.SIGCHLD:
                self._engine.crew.reap()
                continue
            self.heard = self.heard or number
            self._engine.crew.stop_all(_stop_by(number))


def _stop_by(number: signal.Signals) -> Stop:
    """Who stops us: the system, which shuts down or restarts (TERM), or a person at a terminal."""
    if number is signal.SIGTERM:
        return Stop(None, Outcome.INTERRUPTED.value, "shutdown", "its runner was told to stop by SIGTERM")
    return Stop(reason="person", detail=f"stopped by {number.name}")
