"""Events: what a runner tells while it works, for people as lines and for machines as objects."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Happening(Enum):
    """The names of events; they are part of the interface, so they never change their meaning."""

    RUNNER_STARTED = "runner-started"
    RUNNER_STOPPING = "runner-stopping"
    RUNNER_STOPPED = "runner-stopped"
    WARNING = "warning"
    STARTED = "started"
    ENDED = "ended"
    SKIPPED = "skipped"
    WAITING = "waiting"
    GIVEN_UP = "given-up"
    ADOPTED = "adopted"
    CLOCK_SET = "clock-set"
    SUSPENDED = "suspended"
    MISSED = "missed"
    STUCK = "stuck"
    JOB_ADDED = "job-added"
    JOB_CHANGED = "job-changed"
    JOB_REMOVED = "job-removed"
    FILE_BAD = "file-bad"
    FILE_MENDED = "file-mended"
    RELOADED = "reloaded"
    RUNNER_STATUS = "runner-status"
    RUNNING = "running"


class Event(NamedTuple):
    """One thing that happened: when, what, to which job and run, and the facts that go with it."""

    time: datetime
    happening: Happening
    job: str = ""
    run: str = ""
    facts: dict[str, Any] = {}  # noqa: RUF012 (never written to: an event is made with all its facts)
