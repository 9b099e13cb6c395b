"""One pass, from a shell or the system's cron: what is due is run, then it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from runjobs.adapters.signals import Signals
from runjobs.core.plan import look_once
from runjobs.guard import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.core.job import Job
    from runjobs.core.run import RunEnd
    from runjobs.runner.crew import Member
    from runjobs.runner.engine import Engine
    from runjobs.runner.start import Refusal

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_pass(engine: Engine, jobs: Mapping[str, Job]) -> tuple[list[tuple[Member, RunEnd]], signal.Signals | None]:
    """Run what is due and wait until it has ended: the ends, and the signal that cut it short, if one did."""
    ear = Ear(engine)
    ended: list[tuple[Member, RunEnd]] = []
    engine.on_end = lambda member, end: ended.append((member, end))
    engine.crew.is_brief = True
    engine.run_due(jobs, look_once(engine.now(), engine.boot))
    wait_for_all(engine, jobs, ear)
    engine.tidy()
    return ended, ear.heard


def wait_for_all(engine: Engine, jobs: Mapping[str, Job], ear: Ear) -> list[Refusal]:
    """Wait until every run has ended and stands in the ledger, and nobody waits for a turn any more.

    What still waits when a signal says stop is left in the ledger, to whoever comes next. The fires that waited and
    that a lock kept from starting come back.
    """
    refused: list[Refusal] = []
    while engine.crew.is_busy or (engine.queue and ear.heard is None):
        engine.crew.turn(engine.queue.pause() if ear.heard is None else None)
        engine.settle_bereaved()
        if ear.heard is None:
            refused += engine.queue.serve(jobs)
    return refused


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
            self._engine.crew.stop_all(Stop(reason="person", detail=f"stopped by {number.name}"))
