"""The foreground: stays, follows the schedules until it is told to stop; works as PID 1."""

from __future__ import annotations

import heapq
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.clock import Timer
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.signals import Signals, Terminal
from runjobs.core.event import Event, Happening
from runjobs.core.plan import INSTANT, look_on
from runjobs.runner.attending import FILES
from runjobs.runner.oneshot import STOPPING
from runjobs.runner.rollcall import call_the_roll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.runner.attending import Attendant
    from runjobs.runner.engine import Engine
    from runjobs.runner.stopping import Stopping

RETRY: Final = timedelta(seconds=10)  # after a pass that the ledger refused
LOOK: Final = 60.0  # seconds between two looks at what other runners may have left
HEARD: Final = (*STOPPING, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)


def _nothing() -> None:
    """Nobody waits for it."""


class Hearing(NamedTuple):
    """What was heard since before anybody could find the runner, and the terminal that it was started on."""

    terminal: Terminal
    signals: Signals


def listen() -> Hearing:
    """Keep every signal from here on, for the foreground to come. To be called before its PID file is held."""
    terminal = Terminal()  # before SIGHUP has a handler
    return Hearing(terminal, Signals(HEARD))


class Hooks(NamedTuple):
    """What is called when it follows the schedules, when SIGHUP says to read the files, and when SIGUSR1 comes."""

    on_ready: Callable[[], object] = _nothing
    on_hangup: Callable[[], object] = _nothing
    on_usr1: Callable[[], object] = _nothing


class Foreground:
    """A runner that stays. One loop: a timer for the next instant, the guards' channels, the signals."""

    def __init__(  # noqa: PLR0913 (each is a part of its own)
        self,
        engine: Engine,
        jobs: Mapping[str, Job],
        stopping: Stopping,
        hearing: Hearing,
        *,
        attendants: Sequence[Attendant] = (),
        hooks: Hooks = Hooks(),  # noqa: B008 (a tuple, which nobody can change)
    ) -> None:
        """Nothing fires before `run`, and nothing that `hearing` has kept is done before it."""
        self._engine = engine
        self._parts = {FILES: dict(jobs)}
        self._jobs: Mapping[str, Job] = self._parts[FILES]
        self._attendants = attendants
        self._hooks = hooks
        self._stopping = stopping
        self._since = engine.now()
        self._queue: list[tuple[datetime, str]] = []
        self._next_look = engine.monotonic() + LOOK
        self._terminal, self._signals = hearing
        self._timer = Timer()
        self._is_clock_set = False
        self._has_news = False
        self._back: datetime | None = None  # from when on fires of the jobs count that were taken since the last pass
        self.trouble = ""  # what kept the last pass from being made; "": nothing
        engine.crew.listen(self._signals.fd, self._hear)
        engine.crew.listen(self._timer.fd, self._ring)

    def run(self) -> None:
        """Follow the schedules until a signal says stop, then end within the grace."""
        self._engine.report(
            self._event(
                Happening.RUNNER_STARTED, jobs=len(self._jobs), pid=os.getpid(), state=str(self._engine.state.root)
            )
        )
        self._hear()
        if not self._stopping.signals:
            self._pass(None)
        self._hooks.on_ready()
        while not self._stopping.signals:
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
        for attendant in self._attendants:
            attendant.close()
        left = self._stopping.end()
        self._engine.report(self._event(Happening.RUNNER_STOPPED, left=left))

    def _pause(self) -> float:
        """How long nothing but the timer, a guard or a signal needs us."""
        if self._has_news:
            return 0.0
        look = max(0.0, self._next_look - self._engine.monotonic())
        pauses = (self._engine.queue.pause(), *(each.pause() for each in self._attendants))
        return min([look, *(pause for pause in pauses if pause is not None)])

    def take_jobs(self, part: str, jobs: Mapping[str, Job], since: datetime | None = None) -> None:
        """From now on these are the jobs of this part (FILES, ONCE): they replace those that it had; runs go on.

        Fires of jobs that are new, or have another schedule, count from `since` on (None: from the next pass on).
        """
        self._back = since or self._back
        self._parts[part] = dict(jobs)
        self._jobs = {name: job for each in self._parts.values() for name, job in each.items()}
        self._has_news = True

    def fire(self, names: Sequence[str]) -> datetime:
        """Make a pass over these jobs now: something other than the time made them due. Up to when it has looked."""
        return self._pass(names)

    @property
    def jobs(self) -> Mapping[str, Job]:
        """All jobs that it follows, of every part."""
        return self._jobs

    @property
    def upcoming(self) -> tuple[datetime, str] | None:
        """The next instant at which it makes a pass, and a job that is due then; None: none is due ever again."""
        return self._queue[0] if self._queue else None

    def _attend(self) -> None:
        for attendant in self._attendants:
            try:
                attendant.attend(self)
            except (LedgerError, OSError) as error:
                self._engine.warn(error)

    def _look_around(self) -> None:
        """Try who waits; and once a minute see to what other runners have left, should they have died."""
        try:
            if not self._stopping.signals:
                self._engine.queue.serve(self._jobs)
            if self._engine.crew.wards.take_news() or self._engine.monotonic() >= self._next_look:
                self._next_look = self._engine.monotonic() + LOOK
                self._engine.tidy()
                if self._engine.ledger.is_unsettled():
                    self._engine.recover(self._jobs)
        except (LedgerError, OSError) as error:
            self._engine.warn(error)

    def _pass(self, names: Sequence[str] | None, back: datetime | None = None) -> datetime:
        """A pass over these jobs (None: all). `back`: where a mark is gone or another's, they are due since then."""
        now = self._engine.now()
        look = look_on(now, self._since, self._engine.boot)
        try:
            marks = self._engine.run_due(self._jobs, look._replace(back=back or now), names)
        except (LedgerError, OSError) as error:
            self._engine.warn(error)
            self.trouble = str(error)
            for name in self._jobs if names is None else names:
                heapq.heappush(self._queue, (now + RETRY, name))
            return now
        self.trouble = ""
        self._enqueue(marks)
        return now

    def _enqueue(self, marks: Mapping[str, Mark]) -> None:
        for name, mark in marks.items():
            if mark.next_start is not None:
                heapq.heappush(self._queue, (mark.next_start, name))

    def _due(self) -> list[str]:
        """The jobs that are due, of those that are followed."""
        now = self._engine.now()
        names = []
        while self._queue and self._queue[0][0] <= now:
            names.append(heapq.heappop(self._queue)[1])
        followed = [name for name in names if name in self._jobs]
        # a pass may have found a job that its attendant brings at the next turn only: all is looked at after that
        self._has_news |= len(followed) < len(names)
        return followed

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
        back, self._back = self._back, None
        self._pass(None, back)

    def _hear(self) -> None:
        for number in self._signals.take():
            match number:
                case signal.SIGCHLD:
                    self._engine.crew.reap()
                case signal.SIGUSR1:
                    self._hooks.on_usr1()
                    call_the_roll(self._engine, len(self._jobs))
                case signal.SIGHUP if self._terminal.has_hung_up():
                    self._stopping.signals = max(self._stopping.signals, 1)  # it comes twice: the shell passes it on
                case signal.SIGHUP | signal.SIGUSR2 | signal.SIGCONT if self._stopping.signals:
                    pass  # nothing is started any more
                case signal.SIGUSR2 | signal.SIGCONT:
                    self._wake()
                case signal.SIGHUP:
                    self._wake()
                    self._hooks.on_hangup()
                case _:
                    self._stopping.signals += 1

    def _wake(self) -> None:
        """Look at everything, whenever that was to be: what came due meanwhile is judged as after any absence."""
        self._next_look = 0.0
        self._has_news = True
        for attendant in self._attendants:
            attendant.wake()

    def _event(self, happening: Happening, **facts: object) -> Event:
        return Event(self._engine.now(), happening, facts=facts)
