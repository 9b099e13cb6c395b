"""What a runner does about news: it keeps in the ledger who is told of what, and starts a sender when there is any."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from runjobs.adapters import clock
from runjobs.adapters.ledger import LedgerError
from runjobs.core.names import ONCE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.job import Job
    from runjobs.runner.foreground import Foreground

MARK: Final = "subscriptions"  # a small fact of the ledger: what changes with them
LOCK: Final = "sender"  # held by who sends
AGAIN: Final = 10.0  # seconds before another sender is started, where one has left something undone
FAREWELL: Final = 30.0  # seconds that the first process of a container stays for its sender
TICK: Final = 0.5  # seconds between two looks at it
LOOK: Final = 50.0  # seconds: a foreground turns once a minute, and then looks; it needs no wake-up of its own


class Messenger:
    """Who is told of the jobs of one runner, and its senders. Nothing is loaded for it while nobody is told of any."""

    def __init__(self, ledger: Ledger, state: StateFolder) -> None:
        """Know of nothing yet."""
        self._ledger = ledger
        self._state = state
        self._kept: dict[str, Job] = {}
        self._is_idle = True
        self._again = 0.0

    def keep(self, jobs: Mapping[str, Job], only: Sequence[str] | None = None) -> None:
        """See that the ledger knows, before any of these jobs (`only` some of them) can end. LedgerError."""
        told = _told(jobs if only is None else {name: jobs[name] for name in only})
        if only is None:
            from_files = _from_files(told)
            mark = _mark(from_files)
            if mark == (self._ledger.recall(MARK) or ""):
                self._kept.update(from_files)
            else:
                self._subscribe(told, set(self._ledger.subscriptions()) - told.keys())
                self._ledger.remember(MARK, mark)
            self._is_idle = not told and self._ledger.news_due() is None
        if fresh := {name: job for name, job in told.items() if self._kept.get(name) is not job}:
            self._subscribe(fresh, set())
            self._is_idle = False

    def _subscribe(self, told: Mapping[str, Job], gone: set[str]) -> None:
        from runjobs.core.news import terms_of, to_text

        known, person = self._ledger.subscriptions(), owner()
        terms = {name: found for name, job in told.items() if (found := terms_of(job, person)) is not None}
        changed = {name: found for name, found in terms.items() if known.get(name) != to_text(found)}
        if changed or gone:
            self._ledger.subscribe(changed, gone, clock.now())
        self._kept.update(told)

    def look(self) -> float | None:
        """Start a sender if there is something to send and nobody does; seconds until it is to be looked again."""
        if self._is_idle:
            return None
        try:
            due, now = self._ledger.news_due(), clock.now()
        except LedgerError:
            return AGAIN  # who writes to it tells a person
        if due is None or due > now:
            self._again = 0.0
            return None if due is None else (due - now).total_seconds()
        if (pause := self._again - time.monotonic()) > 0:
            return pause
        self._again = time.monotonic() + AGAIN
        post(self._state)
        return AGAIN


def is_current(ledger: Ledger, jobs: Mapping[str, Job]) -> bool:
    """Whether a ledger knows who is told of these jobs, which are all that the files have."""
    return (ledger.recall(MARK) or "") == _mark(_from_files(_told(jobs)))


def see_off(ledger: Ledger, state: StateFolder) -> None:
    """At the end of a pass: have what is due sent. A container ends with its first process: that waits a moment."""
    with contextlib.suppress(LedgerError):
        due = ledger.news_due()
        if due is not None and due <= clock.now() and post(state) and os.getpid() == 1:
            over = time.monotonic() + FAREWELL
            while time.monotonic() < over:
                time.sleep(TICK)  # the first one also lets it take its lock
                if not is_busy(state):
                    return


def post(state: StateFolder) -> bool:
    """Start a sender, unless one is at work; whether one is now."""
    from runjobs.adapters import post

    return is_busy(state) or post.start_sender(state.ledger.absolute()) is not None


def is_busy(state: StateFolder) -> bool:
    """Whether a sender is at work. Its lock is taken for a moment to find out."""
    from runjobs.adapters import locks

    with contextlib.suppress(OSError):
        if (lock := locks.take(state.locks / LOCK)) is None:
            return True
        os.close(lock.fd)
    return False


def _told(jobs: Mapping[str, Job]) -> dict[str, Job]:
    found = {name: job for name, job in jobs.items() if job.options.notify or job.options.expect_within}
    return {name: job for name, job in found.items() if job.options.enabled}


def _from_files(jobs: Mapping[str, Job]) -> dict[str, Job]:
    return {name: job for name, job in jobs.items() if not name.startswith(ONCE_PREFIX)}


def _mark(jobs: Mapping[str, Job]) -> str:
    if not jobs:
        return ""
    from runjobs.core.news import mark_of

    return mark_of(jobs.values(), owner())


def owner() -> str:
    """Who jobs run as that name nobody."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())  # as in a container, whose uid may be anything


class MessengerAttendant:
    """Has a foreground see to news: at once where an end has made it turn, else when a letter is to be tried again."""

    def __init__(self, messenger: Messenger) -> None:
        """Look at the first turn."""
        self._messenger = messenger
        self._jobs: Mapping[str, Job] | None = None
        self._next_look = 0.0
        self._pause: float | None = None

    def pause(self) -> float | None:
        """Until a letter is due."""
        return self._pause

    def wake(self) -> None:
        """Look at the next turn whether the ledger still knows all."""
        self._next_look = 0.0

    def attend(self, foreground: Foreground) -> None:
        """Keep who is told up to date, and see to it that somebody sends."""
        if foreground.jobs is not self._jobs or time.monotonic() >= self._next_look:
            self._jobs, self._next_look = foreground.jobs, time.monotonic() + LOOK
            self._messenger.keep(foreground.jobs)
        self._pause = self._messenger.look()

    def close(self) -> None:
        """A sender that is at work goes on without us."""
