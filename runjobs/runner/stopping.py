"""The end of a foreground: its runs may end by themselves, then they are told to, then they are killed; or are left."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.guard import Stop

if TYPE_CHECKING:
    from datetime import timedelta

    from runjobs.runner.engine import Engine

MARGIN: Final = 0.75  # of the second half of the grace: the rest is for the records


class OnStop(Enum):
    """What a runner that is told to stop does with the runs in progress."""

    STOP = "stop"
    LEAVE = "leave"


class Stopping:
    """How a runner stops, and how often it was told to: the first signal ends it, any other kills its runs at once."""

    def __init__(self, engine: Engine, grace: timedelta, on_stop: OnStop) -> None:
        """Nobody has said so yet; `grace` is how long it may take in all."""
        self.signals = 0
        self._engine = engine
        self._grace = grace.total_seconds()
        self._on_stop = on_stop

    def end(self) -> int:
        """Let the runs end, TERM them at half of the grace, have them killed and recorded before its end.

        Returns how many go on.
        """
        crew = self._engine.crew
        self._engine.report(Event(self._engine.now(), Happening.RUNNER_STOPPING, facts={"running": crew.number}))
        if self._on_stop is OnStop.LEAVE:
            return crew.leave()
        begin = self._engine.monotonic()
        half, end = self._grace / 2, self._grace
        if not self._wait_until(begin + half, signals=1):
            self._stop_all((end - half) * MARGIN)
            if not self._wait_until(begin + end, signals=max(self.signals, 1)):
                self._stop_all(0.0)
                self._wait_until(begin + end, signals=1 << 30)
        return crew.number

    def _stop_all(self, kill_after: float) -> None:
        seconds = 0.0 if self.signals > 1 else kill_after
        detail = "the runner was told to stop"
        self._engine.crew.stop_all(Stop(seconds, Outcome.INTERRUPTED.value, "shutdown", detail))

    def _wait_until(self, instant: float, signals: int) -> bool:
        """Wait for the runs to end; False when the instant has come or one more signal than `signals`."""
        crew = self._engine.crew
        while crew.is_busy:
            left = instant - self._engine.monotonic()
            if left <= 0 or self.signals > signals:
                return False
            crew.turn(left)
            self._engine.settle_bereaved()
        return True
