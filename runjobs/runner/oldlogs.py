"""Deleting a job's old logs, by number and by age, but never that of a run that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from runjobs.adapters import joblog
from runjobs.adapters.ledger import LedgerError
from runjobs.core.fire import milliseconds
from runjobs.core.run import run_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.job import Job


def prune_logs(ledger: Ledger, job: Job, folder: str, now: datetime) -> None:
    """Delete what the job's options don't keep of the logs in its folder."""
    options = job.options
    oldest = None if options.keep_for is None else run_id(milliseconds(now - options.keep_for), 0)
    with contextlib.suppress(OSError):  # an old log that can't be deleted is tried again after the next run
        joblog.prune(folder, options.keep, Unfinished(ledger), oldest)


class Unfinished(Collection[str]):
    """The runs that go on, any runner's. The ledger is asked once, and only if somebody wants to know."""

    def __init__(self, ledger: Ledger) -> None:
        """Ask later."""
        self._ledger = ledger

    @cached_property
    def _ids(self) -> set[str] | None:
        with contextlib.suppress(LedgerError):
            return {run.run_id for run in self._ledger.unended()}
        return None

    def __contains__(self, run_id: object) -> bool:
        """Whether a run goes on, or may do so for all that can be known."""
        return self._ids is None or run_id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids or ())

    def __len__(self) -> int:
        return len(self._ids or ())
