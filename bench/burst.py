"""A burst: 1,000 tiny jobs due at one instant, and how long after it the last of them has started."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench import procfs
from bench.figures import Figure
from bench.schedulers import APSCHEDULER, BUSYBOX, CRON, CRONSTABLE, OURS, YACRON, Scheduler, at, running
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

JOBS = 1000


class _Burst(NamedTuple):
    lags: list[float]  # of each start after the instant, seconds, sorted
    cpu: float  # seconds, over the whole tree, from before the instant to the end of the last job


def measure(asked: Asked) -> Iterator[Figure]:
    """Measure ours and APScheduler's between the minutes that cron and busybox need; --long adds rounds and peers."""
    to_the_minute = [CRON, BUSYBOX, *([YACRON] if asked.long else [])]
    between = [OURS, APSCHEDULER, *([CRONSTABLE] if asked.long else [])]
    for _ in range(asked.rounds or (3 if asked.long else 1)):
        for waiting in to_the_minute:
            for scheduler in [*between, waiting]:
                if scheduler.is_there():
                    yield from _figures(scheduler, _burst(scheduler))


def _figures(scheduler: Scheduler, burst: _Burst) -> Iterator[Figure]:
    note = "" if len(burst.lags) == JOBS else f"only {len(burst.lags)} of {JOBS} started"
    if burst.lags:
        yield Figure(f"first of {JOBS:,} starts", scheduler.who, "ms", (burst.lags[0] * 1000,))
        yield Figure(f"last of {JOBS:,} starts", scheduler.who, "ms", (burst.lags[-1] * 1000,), note)
    yield Figure(f"CPU of {JOBS:,} jobs", scheduler.who, "s", (burst.cpu,), note)


def _burst(scheduler: Scheduler) -> _Burst:
    with tempfile.TemporaryDirectory(prefix="bench-burst-") as name:
        marks = Path(name) / "marks"
        marks.mkdir(mode=0o777)
        instant = next_instant(scheduler)
        # A redirection is all that a shell does without another process; the file's times say when it ran.
        entries = [at(instant, f": >{marks}/{number}") for number in range(JOBS)]
        with running(scheduler, Path(name) / "it", entries) as pid:
            return _watch(pid, instant, marks)


def next_instant(scheduler: Scheduler) -> float:
    """The first instant (seconds since the epoch) by which a scheduler started now has loaded its jobs."""
    soonest = time.time() + scheduler.lead
    step = 1 if scheduler.knows_seconds else 60
    return (soonest // step + 1) * step


def _watch(pid: int, instant: float, marks: Path) -> _Burst:
    time.sleep(max(0, instant - 0.5 - time.time()))
    before = procfs.seconds_of_cpu(pid)
    wait_until(lambda: sum(1 for _ in marks.iterdir()) >= JOBS, seconds=60, pause=0.2)
    procfs.settle(pid)
    lags = sorted(mark.stat().st_mtime - instant for mark in marks.iterdir())
    return _Burst(lags, procfs.seconds_of_cpu(pid) - before)
