"""The command line on a clock that a test sets: `python -m tests.real.support.clock_stand_in FILE WORDS…`.

FILE holds two numbers of seconds: how far the wall clock is ahead of the machine's, and for how long it has slept.
The kernel wakes a runner when somebody sets the clock; this one looks ten times a second whether somebody has.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from runjobs.adapters import clock

if TYPE_CHECKING:
    from runjobs.core.clockwatch import Reading

GLANCE = timedelta(milliseconds=100)


class SetClock:
    """The machine's clocks, shifted as the file says."""

    def __init__(self, path: Path) -> None:
        """Start from what the file says now."""
        self._path = path
        self._now, self._reading = clock.now, clock.reading
        self.seen = self.shift()

    def shift(self) -> tuple[timedelta, timedelta]:
        """How far ahead, and for how long asleep."""
        ahead, asleep = map(float, self._path.read_text(encoding="ascii").split())
        return timedelta(seconds=ahead), timedelta(seconds=asleep)

    def now(self) -> datetime:
        """The wall clock."""
        return self._now() + self.shift()[0]

    def reading(self) -> Reading:
        """All clocks."""
        plain = self._reading()
        return plain._replace(wall=self.now(), uptime=plain.uptime + self.shift()[1])


class Glancing(clock.Timer):
    """A timer on that clock."""

    def arm(self, at: datetime | None) -> bool:
        """Wake at an instant of that clock, or before."""
        soon = MACHINE_NOW() + GLANCE
        return super().arm(soon if at is None else min(soon, at - CLOCK.shift()[0]))

    def drain(self) -> bool:
        """Whether it was set or has slept: the kernel tells of both in one way."""
        super().drain()
        before, CLOCK.seen = CLOCK.seen, CLOCK.shift()
        return CLOCK.seen != before


CLOCK = SetClock(Path(sys.argv[1]))
MACHINE_NOW = clock.now

if __name__ == "__main__":
    clock.now, clock.reading = CLOCK.now, CLOCK.reading  # before those who use them are loaded
    clock.Timer = Glancing  # type: ignore[misc]
    from runjobs.cli.main import main

    sys.argv[:2] = ["runjobs"]
    main()
