"""Start lag: how many milliseconds after its instant one job starts, by the time that the job itself writes."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure
from bench.schedulers import ALL, BUSYBOX, CRON, Entry, Scheduler, running
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

_COMMAND = "date --rfc-3339=ns >> "  # it costs a millisecond of its own, the same for all


def measure(asked: Asked) -> Iterator[Figure]:
    """Measure a job that is due each second; with --long also those that know minutes only."""
    for _ in range(asked.rounds or 2):
        for scheduler in ALL:
            if scheduler.knows_seconds and scheduler.is_there():
                yield _lag(scheduler, "* * * * * *", period=1, fires=13)
    for scheduler in (CRON, BUSYBOX) if asked.long else ():
        if scheduler.is_there():
            yield _lag(scheduler, "0 * * * * *", period=60, fires=3)


def _lag(scheduler: Scheduler, fields: str, period: int, fires: int) -> Figure:
    with tempfile.TemporaryDirectory(prefix="bench-lag-") as name:
        written = Path(name) / "times"
        written.touch()
        with running(scheduler, Path(name) / "it", [Entry(fields, _COMMAND + str(written))]):
            wait_until(lambda: len(_times(written)) > fires, seconds=period * (fires + 10), pause=0.5)
        lags = [time % period * 1000 for time in _times(written)]
    return Figure("lag of one job's start", scheduler.who, "ms", tuple(lags[1:]))  # the first: its daemon still loads


def _times(written: Path) -> list[float]:
    return [datetime.fromisoformat(line).timestamp() for line in written.read_text().splitlines()]
