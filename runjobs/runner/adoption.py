"""Adopted runs, which dead runners have left to their guards: shown, stopped with the rest, told of when they end."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.adapters.ledger import LedgerError
from runjobs.core.event import Event, Happening
from runjobs.core.fire import from_milliseconds
from runjobs.runner import control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.job import Job
    from runjobs.core.run import RunEnd, Unended
    from runjobs.guard import Stop

LOOK: Final = 1.0  # seconds between two looks at the ledger: a guard may have ended its run and live on as a drain


class Ward(NamedTuple):
    """An adopted run: its job (None: it is gone), its lock, and its guard, by a pidfd and as the number to show."""

    run: Unended
    job: Job | None
    lock: Path
    handle: int
    pid: int


class Wards:
    """The adopted runs of one runner. They report to nobody: the ledger tells how they ended, as their guards do."""

    def __init__(self, ledger: Ledger, report: Callable[[Event], None], now: Callable[[], datetime]) -> None:
        """Begin with none."""
        self.orphaned: list[Ward] = []  # wards whose guard died, and that have no end yet: recovery settles them
        self.has_news = False  # whether any has ended since `take_news`: their fires may wait now, or others for them
        self._wards: dict[str, Ward] = {}
        self._ledger = ledger
        self._report = report
        self._now = now
        self._next_look = 0.0

    def __len__(self) -> int:
        return len(self._wards) + len(self.orphaned)

    def __iter__(self) -> Iterator[Ward]:
        return iter(list(self._wards.values()))

    def ids(self) -> set[str]:
        """The runs that are adopted."""
        return self._wards.keys() | {ward.run.run_id for ward in self.orphaned}

    def add(self, ward: Ward, selector: selectors.BaseSelector) -> None:
        """Adopt a run; its guard's death is heard at once."""
        self._wards[ward.run.run_id] = ward
        selector.register(ward.handle, selectors.EVENT_READ, partial(self._mourn, ward, selector))
        facts = {"scheduled_at": from_milliseconds(ward.run.scheduled_ms), "pid": ward.pid}
        self._report(Event(self._now(), Happening.ADOPTED, ward.run.job, ward.run.run_id, facts))

    def take_news(self) -> bool:
        """Whether any run of other runners has ended here since this was asked."""
        news, self.has_news = self.has_news, False
        return news

    def patience(self, timeout: float | None) -> float | None:
        """How long a turn may wait, in seconds, that would wait for `timeout`."""
        return timeout if not self._wards else LOOK if timeout is None else min(timeout, LOOK)

    def look(self, tell: Callable[[Unended, RunEnd], object], selector: selectors.BaseSelector) -> None:
        """Ask the ledger, not more than once in LOOK seconds, who of them has ended, and `tell` how."""
        if not self._wards or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK
        with contextlib.suppress(LedgerError):  # asked again at the next look; what writes to it has said so
            unended = {run.run_id for run in self._ledger.unended()}
            for ward in [ward for run_id, ward in self._wards.items() if run_id not in unended]:
                self._dismiss(ward, selector)
                self.has_news = True
                if (end := self._ledger.end_of(ward.run.run_id)) is not None:
                    tell(ward.run, end)

    def stop(self, stop: Stop) -> None:
        """Order every guard to end its run; a second order kills at once."""
        for ward in self._wards.values():
            wanted = stop if ward.job is None else stop.within(ward.job.options)
            control.order_stop(ward.lock, ward.run.run_id, wanted, patience=0.0)

    def leave(self, selector: selectors.BaseSelector) -> int:
        """Let go of them all; how many there were."""
        number = len(self)
        for ward in list(self._wards.values()):
            self._dismiss(ward, selector)
        self.orphaned.clear()
        return number

    def _mourn(self, ward: Ward, selector: selectors.BaseSelector) -> None:
        self._dismiss(ward, selector)
        self.orphaned.append(ward)

    def _dismiss(self, ward: Ward, selector: selectors.BaseSelector) -> None:
        if self._wards.pop(ward.run.run_id, None) is not None:
            selector.unregister(ward.handle)
            os.close(ward.handle)


def adopt(run: Unended, job: Job | None, lock: Path) -> Ward | None:
    """A run whose guard is found to hold its lock; None where nobody that can be seen from here does."""
    handle = control.open_guard(lock, run.run_id)
    return None if handle is None else Ward(run, job, lock, handle, pid_of(handle))


def pid_of(handle: int) -> int:
    """The pid behind a pidfd, pidfd_open(2); 0 when the process is gone."""
    with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as file:
        facts: dict[str, Any] = dict(line.split(":", 1) for line in file)
    return max(0, int(facts.get("Pid", 0)))
