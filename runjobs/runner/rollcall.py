"""The roll call: which runs go on, told on demand, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.event import Event, Happening
from runjobs.core.fire import from_milliseconds, milliseconds
from runjobs.core.run import begun_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from runjobs.runner.engine import Engine


def call_the_roll(engine: Engine, jobs: int) -> None:
    """Tell how many jobs are followed and how many runs go on, and each of these: since when, and who guards it."""
    now = engine.now()
    facts = {"jobs": jobs, "running": engine.crew.number}
    engine.report(Event(now, Happening.RUNNER_STATUS, facts=facts))
    for event in sorted(_running(engine, now), key=lambda event: event.run):
        engine.report(event)


def _running(engine: Engine, now: datetime) -> Iterator[Event]:
    for guard in engine.crew.guards.values():
        member = guard.member
        yield _event(now, member.job.name, member.run_id, member.fire.scheduled_at, guard.pid)
    for ward in engine.crew.wards:
        yield _event(now, ward.run.job, ward.run.run_id, from_milliseconds(ward.run.scheduled_ms), ward.pid)


def _event(now: datetime, job: str, run: str, due: datetime, guard: int) -> Event:
    seconds = max(0, milliseconds(now) - begun_ms(run)) / 1000
    return Event(now, Happening.RUNNING, job, run, {"scheduled_at": due, "pid": guard, "seconds": seconds})
