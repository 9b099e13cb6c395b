"""The foreground: stays, follows the schedules until it is told to stop; works as PID 1."""

from __future__ import annotations

import heapq
import os
import signal
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from runjobs.adapters.clock import Timer
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.signals import Signals
from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.core.plan import INSTANT, look_on
from runjobs.guard import Stop
from runjobs.runner.attending import FILES
from runjobs.runner.oneshot import STOPPING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.runner.attending import Attendant
    from runjobs.runner.engine import Engine

RETRY: Final = timedelta(seconds=10)  # after a pass that the ledger refused
LOOK: Final = 60.0  # seconds between two looks at what other runners may have left
MARGIN: Final = 0.75  # of the second half of the grace: the rest is for the records


class OnStop(Enum):
    """What a runner that is told to stop does with the runs in progress."""

    STOP = "stop"
    LEAVE = "leave"


class Foreground:
    """A runner that stays. One loop: a timer for the next instant, the guards' channels, the signals."""

    def __init__(
        self,
        engine: Engine,
        jobs: Mapping[str, Job],
        grace: timedelta,
        on_stop: OnStop,
        attendants: Sequence[Attendant] = (),
    ) -> None:
        """Listen to signals from here on; nothing fires before `run`."""
        self._engine = engine
        self._parts = {FILES: dict(jobs)}
        self._jobs: Mapping[str, Job] = self._parts[FILES]
        self._attendants = attendants
        self._grace = grace
        self._on_stop = on_stop
        self._since = engine.now()
        self._queue: list[tuple[datetime, str]] = []
        self._stop_signals = 0
        self._next_look = engine.monotonic() + LOOK
        self._signals = Signals((*STOPPING, signal.SIGCHLD))
        self._timer = Timer()
        self._is_clock_set = False
        self._has_news = False
        engine.crew.listen(self._signals.fd, self._hear)
        engine.crew.listen(self._timer.fd, self._ring)

    def run(self) -> None:
        """Follow the schedules until a signal says stop, then end within the grace."""
        self._engine.report(
            self._event(
                Happening.RUNNER_STARTED, jobs=len(self._jobs), pid=os.getpid(), state=str(self._engine.state.root)
            )
        )
        self._pass(None)
        while not self._stop_signals:
            self._is_clock_set |= self._timer.arm(self._queue[0][0] if self._queue else None)
            self._engine.crew.turn(0 if self._is_clock_set else self._pause())
            self._engine.settle_bereaved()
            self._look_around()
            self._attend()
            if self._is_clock_set or self._has_news:
                self._start_over()
            earliest = self._queue[0][0] if self._queue else None
            if names := self._due():
                self._pass(names, self._due_since(names, earliest))
        left = self._end()
        self._engine.report(self._event(Happening.RUNNER_STOPPED, left=left))

    def _pause(self) -> float:
        """How long nothing but the timer, a guard or a signal needs us."""
        if self._has_news:
            return 0.0
        look = max(0.0, self._next_look - self._engine.monotonic())
        pauses = (self._engine.queue.pause(), *(each.pause() for each in self._attendants))
        return min([look, *(pause for pause in pauses if pause is not None)])

    def take_jobs(self, part: str, jobs: Mapping[str, Job]) -> None:
        """From now on these are the jobs of this part (FILES, ONCE): they replace those that it had; runs go on."""
        self._parts[part] = dict(jobs)
        self._jobs = {name: job for each in self._parts.values() for name, job in each.items()}
        self._has_news = True

    def fire(self, names: Sequence[str]) -> None:
        """Make a pass over these jobs now: something other than the time made them due."""
        self._pass(names)

    @property
    def jobs(self) -> Mapping[str, Job]:
        """All jobs that it follows, of every part."""
        return self._jobs

    def _attend(self) -> None:
        for attendant in self._attendants:
            try:
                attendant.attend(self)
            except (LedgerError, OSError) as error:
                self._engine.warn(error)

    def _look_around(self) -> None:
        """Try who waits; and once a minute see to what other runners have left, should they have died."""
        try:
            if not self._stop_signals:
                self._engine.queue.serve(self._jobs)
            if self._engine.crew.wards.take_news() or self._engine.monotonic() >= self._next_look:
                self._next_look = self._engine.monotonic() + LOOK
                self._engine.tidy()
                if self._engine.ledger.is_unsettled():
                    self._engine.recover(self._jobs)
        except (LedgerError, OSError) as error:
            self._engine.warn(error)

    def _pass(self, names: Sequence[str] | None, back: datetime | None = None) -> None:
        """A pass over these jobs (None: all). `back`: where a mark is gone or another's, they are due since then."""
        now = self._engine.now()
        look = look_on(now, self._since, self._engine.boot)
        try:
            marks = self._engine.run_due(self._jobs, look._replace(back=back or now), names)
        except (LedgerError, OSError) as error:
            self._engine.warn(error)
            for name in self._jobs if names is None else names:
                heapq.heappush(self._queue, (now + RETRY, name))
            return
        self._enqueue(marks)

    def _enqueue(self, marks: Mapping[str, Mark]) -> None:
        for name, mark in marks.items():
            if mark.next_start is not None:
                heapq.heappush(self._queue, (mark.next_start, name))

    def _due(self) -> list[str]:
        now = self._engine.now()
        names = []
        while self._queue and self._queue[0][0] <= now:
            names.append(heapq.heappop(self._queue)[1])
        return names

    def _due_since(self, names: Sequence[str], earliest: datetime | None) -> datetime | None:
        """From when on these fires count. A runner with other jobs files may have dropped or replaced their marks."""
        if earliest is None:
            return None
        jitter = max(self._jobs[name].options.jitter for name in names)
        return max(self._since, earliest - jitter - INSTANT)

    def _ring(self) -> None:
        self._is_clock_set |= self._timer.drain()

    def _start_over(self) -> None:
        """The clock was set, or there are other jobs: what is queued may be due at other times."""
        self._is_clock_set = self._has_news = False
        self._since = min(self._since, self._engine.now())
        self._queue.clear()
        self._pass(None)

    def _hear(self) -> None:
        for number in self._signals.take():
            if number is signal.SIGCHLD:
                self._engine.crew.reap()
            else:
                self._stop_signals += 1

    def _end(self) -> int:
        """Let the runs end, TERM them at half of the grace, have them killed and recorded before its end.

        Returns how many go on.
        """
        crew = self._engine.crew
        for attendant in self._attendants:
            attendant.close()
        self._engine.report(self._event(Happening.RUNNER_STOPPING, running=crew.number))
        if self._on_stop is OnStop.LEAVE:
            return crew.leave()
        begin = self._engine.monotonic()
        half, end = self._grace.total_seconds() / 2, self._grace.total_seconds()
        if not self._wait_until(begin + half, signals=1):
            self._stop_all(timedelta(seconds=(end - half) * MARGIN))
            if not self._wait_until(begin + end, signals=max(self._stop_signals, 1)):
                self._stop_all(timedelta(0))
                self._wait_until(begin + end, signals=1 << 30)
        return crew.number

    def _stop_all(self, kill_after: timedelta) -> None:
        seconds = 0.0 if self._stop_signals > 1 else kill_after.total_seconds()
        detail = "the runner was told to stop"
        self._engine.crew.stop_all(Stop(seconds, Outcome.INTERRUPTED.value, "shutdown", detail))

    def _wait_until(self, instant: float, signals: int) -> bool:
        """Wait for the runs to end; False when the instant has come or one more signal than `signals`."""
        crew = self._engine.crew
        while crew.is_busy:
            left = instant - self._engine.monotonic()
            if left <= 0 or self._stop_signals > signals:
                return False
            crew.turn(left)
            self._engine.settle_bereaved()
        return True

    def _event(self, happening: Happening, **facts: object) -> Event:
        return Event(self._engine.now(), happening, facts=facts)
