"""What is to run once, for a runner: as jobs that it knows beside those of the files, and for a foreground in time."""

from __future__ import annotations

import contextlib
import os
from collections import ChainMap
from typing import TYPE_CHECKING, Final

from runjobs.adapters import locks
from runjobs.core.job import DAY
from runjobs.runner.attending import ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground

KEPT: Final = 400 * DAY  # as the fires of a job, `history-for`
LOOK: Final = 50.0  # seconds: a foreground turns once a minute, and then looks; it needs no wake-up of its own


class Onces:
    """The onces of a state folder, as jobs; what has ended is none any more."""

    def __init__(self, ledger: Ledger) -> None:
        """Know of none yet."""
        self.jobs: dict[str, Job] = {}
        self._numbers: list[int] = []
        self._ledger = ledger

    def refresh(self) -> None:
        """Look at the ledger: one small query, and a second where something has changed."""
        numbers = [each.id for each in self._ledger.appointed()]
        if numbers == self._numbers:
            return
        from runjobs.core.once import jobs_of

        self.jobs.clear()
        self.jobs.update(jobs_of(self._ledger.onces(), os.geteuid()))
        self._numbers = numbers

    def beside(self, jobs: Mapping[str, Job]) -> Mapping[str, Job]:
        """These jobs, and all onces that there are at any later time."""
        return ChainMap(self.jobs, jobs)  # type: ignore[arg-type]  # of the second nothing is ever written


def tidy(ledger: Ledger, state: StateFolder, now: datetime) -> None:
    """Let go of onces that were over long ago: each is a job of its own, which never runs again and tidies up itself.

    Their lock files go too: nobody takes them any more, and who opened one before finds another in its place.
    """
    for job in ledger.prune_onces(now - KEPT):
        import shutil  # once in a blue moon

        from runjobs.runner.past import lock_path

        shutil.rmtree(state.logs / locks.file_name(job), ignore_errors=True)
        path = lock_path(state, job)
        with contextlib.suppress(OSError):
            for lock in (locks.take(each) for each in (path, *path.parent.glob(f"{path.name}+*"))):
                if lock is not None:
                    os.unlink(lock.path)
                    os.close(lock.fd)


class OnceAttendant:
    """Has a foreground follow what `runjobs at` asked for: at once where that wakes it, else within a minute."""

    def __init__(self, engine: Engine) -> None:
        """Look at the first turn."""
        self._engine = engine
        self._followed: dict[str, Job] = {}
        self._next_look = 0.0

    def pause(self) -> float | None:
        """None: the foreground turns by itself often enough."""
        return 0.0 if self._next_look == 0.0 else None

    def wake(self) -> None:
        """Look at the next turn."""
        self._next_look = 0.0

    def attend(self, foreground: Foreground) -> None:
        """Look if it is time to; a pass, too, may have found others."""
        if self._engine.monotonic() >= self._next_look:
            self._next_look = self._engine.monotonic() + LOOK
            self._engine.onces.refresh()
        if self._engine.onces.jobs != self._followed:
            self._followed = dict(self._engine.onces.jobs)
            foreground.take_jobs(ONCE, self._followed)

    def close(self) -> None:
        """Nothing is held."""
