"""The loop of the foreground, on an engine that is played."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from runjobs.core.fire import Mark
from runjobs.core.plan import Boot
from runjobs.runner.attending import ONCE
from runjobs.runner.foreground import Foreground, Hearing
from runjobs.runner.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runjobs.runner.attending import Attendant

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
PLANNED = "at/1"
SECOND = timedelta(seconds=1)
JOB = cast("Any", SimpleNamespace(options=SimpleNamespace(jitter=timedelta(0))))


class PlayedEngine:
    """Has in its ledger a once that nobody has brought to the foreground yet, and counts its passes."""

    def __init__(self) -> None:
        self.clock = NOW
        self.boot = Boot("boot", NOW)
        self.state = SimpleNamespace(root="/state")
        self.passes: list[Sequence[str] | None] = []
        wards = SimpleNamespace(take_news=lambda: False)
        self.crew = SimpleNamespace(listen=lambda *_: None, turn=lambda _: None, wards=wards)
        self.queue = SimpleNamespace(serve=lambda _: None, pause=lambda: None)
        self.report = self.settle_bereaved = lambda *_: None

    def now(self) -> datetime:
        return self.clock

    def monotonic(self) -> float:
        return 0.0

    def run_due(self, jobs: Mapping[str, object], look: object, only: Sequence[str] | None = None) -> dict[str, Mark]:
        self.passes.append(only)
        self.clock += SECOND  # in which what was not due yet has become so
        return {PLANNED: Mark("", NOW, NOW + SECOND, NOW + SECOND)}


class Bringer:
    """Brings the once to the foreground, later than the pass has found it."""

    def __init__(self, stopping: SimpleNamespace) -> None:
        self.turns = 0
        self._stopping = stopping

    def pause(self) -> float | None:
        return None

    def wake(self) -> None: ...

    def close(self) -> None: ...

    def attend(self, foreground: Foreground) -> None:
        self.turns += 1
        if self.turns == 2:
            foreground.take_jobs(ONCE, {PLANNED: JOB})
        if self.turns == 3:
            self._stopping.signals = 1


def test_a_job_that_a_pass_has_found_before_its_attendant_brings_it_is_looked_at_again_at_once() -> None:
    engine, stopping = PlayedEngine(), SimpleNamespace(signals=0, end=lambda: 0)
    bringer: Attendant = Bringer(stopping)
    hearing = cast("Hearing", (None, SimpleNamespace(fd=0, take=list)))
    foreground = Foreground(cast("Any", engine), {}, cast("Any", stopping), hearing, attendants=[bringer])
    foreground.run()
    assert engine.passes[:3] == [None, None, [PLANNED]]


def test_a_lookout_that_is_woken_and_has_nothing_to_look_at_comes_to_rest() -> None:
    lookout = Lookout(cast("Any", SimpleNamespace(monotonic=lambda: 100.0)))
    lookout.wake()
    lookout.attend(cast("Any", SimpleNamespace(jobs={})))
    assert lookout.pause() is None  # else the loop would never wait again
