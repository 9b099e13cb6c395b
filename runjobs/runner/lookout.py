"""The foreground's lookout: learns that something may have changed at watched paths, and has their jobs looked at.

It only says when to look. What has changed is found by comparing, so a notice that the kernel loses costs time alone.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from runjobs.runner.triggers import watchers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runjobs.adapters.watch import Watch
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground

SAFETY: Final = 60.0  # seconds after which a job is looked at in any case: the loop wakes up then anyway
LATEST: Final = 1.0  # seconds: a job that settles slowly is looked at as soon as others, and again when that is over
MARGIN: Final = 0.01  # seconds: a look must not come a moment too early
HELD: Final = 2.0  # seconds between two looks at a job that can't be told yet: somebody else's run may end unheard
SHARE: Final = 10  # a look that takes long is not made again before so many times that has passed


class Lookout:
    """An attendant (see runner/attending) that fires the jobs whose paths are worth a look."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is followed before there is a job that watches."""
        self._engine = engine
        self._jobs: Mapping[str, Job] | None = None
        self._names: list[str] = []
        self._watch: Watch | None = None
        self._followed: frozenset[str] = frozenset()
        self._mounts: dict[str, str] = {}
        self._due: dict[str, float] = {}  # on the monotonic clock
        self._last: dict[str, float] = {}
        self._cost: dict[str, float] = {}
        self._running: set[str] = set()
        self._is_woken = False
        self._is_heard = False  # whether there was news that no look has followed yet

    def pause(self) -> float | None:
        """Seconds until a job is worth a look; None: when something happens."""
        if self._jobs is None or self._is_woken:
            return 0.0
        now = self._engine.monotonic()
        pauses = [max(0.0, at - now) for at in self._due.values()]
        if self._watch is not None and not self._is_heard and (poll := self._watch.pause()) is not None:
            pauses.append(poll)
        return min(pauses, default=None)

    def wake(self) -> None:
        """Look at all of them."""
        self._is_woken = True

    def attend(self, foreground: Foreground) -> None:
        """Have those looked at whose time has come, and follow what they watch now."""
        now = self._engine.monotonic()
        self._take_jobs(foreground.jobs, now)
        if not self._names:
            self._is_woken = False
            self.close()
            return
        self._hear(foreground.jobs, now)
        names = [name for name in self._names if self._is_due(name, now)]
        if not names:
            return
        for name in names:
            self._due.pop(name, None)
            self._last[name] = now
        self._begin_look()
        foreground.fire(names)
        self._cost |= dict.fromkeys(names, (self._engine.monotonic() - now) / len(names))
        self._look_again(names)
        self._follow(now)

    def close(self) -> None:
        """Let go of what is followed, which nobody needs any more."""
        if self._watch is not None:
            if self._watch.fd is not None:
                with contextlib.suppress(KeyError):
                    self._engine.crew.selector.unregister(self._watch.fd)
            self._watch.close()
            self._watch, self._followed = None, frozenset()

    def _look_again(self, names: Sequence[str]) -> None:
        """Put down when these, which were just looked at, are worth another look."""
        triggers, now = self._engine.triggers, self._engine.monotonic()
        running = self._running_jobs()
        for name in names:
            if name in triggers.held:
                self._call(name, now + HELD)
            if (again := triggers.again.get(name)) is not None and name not in running:
                left = (again - self._engine.now()).total_seconds()
                self._call(name, now + max(left + MARGIN, SHARE * self._cost[name]))

    def _running_jobs(self) -> set[str]:
        running = {guard.member.job.name for guard in self._engine.crew.guards.values()}
        return running.intersection(self._names)

    def _take_jobs(self, jobs: Mapping[str, Job], now: float) -> None:
        if jobs is self._jobs:
            return
        self._jobs, self._names = jobs, watchers(jobs)
        self._due = dict.fromkeys(self._names, now)

    def _hear(self, jobs: Mapping[str, Job], now: float) -> None:
        """Put down who is to be looked at, and when."""
        is_news = self._watch is not None and not self._is_heard and self._watch.is_due()
        self._is_heard = self._is_heard or is_news
        running = self._running_jobs()
        for name in self._names:
            if name in self._running - running or self._is_woken:
                self._due[name] = now  # what changed during the run is told once it has ended
            elif is_news:
                rest = min(LATEST, jobs[name].options.settle.total_seconds())
                self._call(name, now + max(rest + MARGIN, SHARE * self._cost.get(name, 0.0)))
        self._running, self._is_woken = running, False

    def _call(self, name: str, at: float) -> None:
        self._due[name] = min(at, self._due.get(name, at))

    def _is_due(self, name: str, now: float) -> bool:
        return now >= min(self._due.get(name, now + 1), self._last.get(name, now) + SAFETY)

    def _follow(self, now: float) -> None:
        """Follow all places at which something can change; where they are others now, all is looked at once more."""
        places = self._engine.triggers.places
        wanted = frozenset().union(*(places.get(name, ()) for name in self._names))
        if wanted == self._followed:
            return
        self._followed = wanted
        self._begin_look()
        for name in self._names:
            self._call(name, now)

    def _begin_look(self) -> None:
        """What changes from here on is news: to be called before a look, never between a look and what it leads to."""
        from runjobs.adapters.mounts import read_mounts

        self._mounts = read_mounts()
        watch = self._watch = self._watch or self._listen()
        watch.follow(sorted(self._followed))
        self._is_heard = False
        for trouble in watch.take_troubles():
            self._engine.mention(trouble)

    def _is_local(self, path: str) -> bool:
        from runjobs.adapters.mounts import is_local

        return is_local(path, self._mounts)

    def _listen(self) -> Watch:
        from runjobs.adapters.watch import Watch

        watch = Watch(self._is_local)
        if watch.fd is not None:
            self._engine.crew.listen(watch.fd, watch.heard)
        return watch
