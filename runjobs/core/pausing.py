"""Pauses: a job that fires no more for a while, because somebody said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Pause(NamedTuple):
    """A job that fires no more until somebody resumes it, or until an instant; times in UTC."""

    job: str
    since: datetime
    until: datetime | None
    reason: str
    who: str

    def holds(self, now: datetime) -> bool:
        """Whether it is not over yet."""
        return self.until is None or now < self.until


def detail_of(pause: Pause) -> str:
    """Say who has paused a job, since when, until when and why: the detail of each fire that is skipped for it."""
    since = pause.since.isoformat(sep=" ", timespec="seconds")
    until = f" until {pause.until.isoformat(sep=' ', timespec='seconds')}" if pause.until is not None else ""
    why = f": {pause.reason}" if pause.reason else ""
    return f"paused by {pause.who} since {since}{until}{why}"
